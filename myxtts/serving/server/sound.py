"""Speech as bytes: whole, in the formats that are asked for, or as they come."""

import base64
import io
import json
from dataclasses import dataclass

import numpy as np
import soundfile

from myxtts.audio.wave import endless_wav_header, resample, to_pcm, wav_bytes
from myxtts.serving.server.errors import Refusal


@dataclass(frozen=True)
class Format:
    """How speech is written. container, subtype: libsndfile's names; rates in Hz, empty = any."""

    media_type: str
    container: str = ""
    subtype: str = ""
    rates: tuple[int, ...] = ()


FORMATS = {
    "wav": Format("audio/wav"),
    "pcm": Format("audio/pcm"),  # 16 bits, little-endian, mono
    "flac": Format("audio/flac", "FLAC", "PCM_16"),
    "mp3": Format("audio/mpeg", "MP3", "MPEG_LAYER_III", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
    "opus": Format("audio/ogg; codecs=opus", "OGG", "OPUS", (8000, 12000, 16000, 24000, 48000)),
}
STREAMED = ("wav", "pcm")


def encode(wave: np.ndarray, sample_rate: int, name: str) -> bytes:
    """A wave (N,) as a file of a format of FORMATS; at the next higher rate where that knows no such. Raises Refusal where it cannot be."""
    kind = FORMATS[name]
    if not kind.container:
        pcm = to_pcm(wave)
        return wav_bytes(pcm, sample_rate) if name == "wav" else pcm.tobytes()
    if not soundfile.check_format(kind.container, kind.subtype):
        raise Refusal(422, f"this server's libsndfile writes no {name}: ask for wav, flac or pcm", "response_format")
    if kind.rates and sample_rate not in kind.rates:
        target = min((rate for rate in kind.rates if rate > sample_rate), default=max(kind.rates))
        wave, sample_rate = resample(wave, sample_rate, target), target
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm(wave), sample_rate, format=kind.container, subtype=kind.subtype)
    return buffer.getvalue()


def stream_head(name: str, sample_rate: int) -> bytes:
    """What stands before the samples of a stream: of a wav its header, without the length."""
    return b"" if name == "pcm" else endless_wav_header(sample_rate)


def sse_delta(sound: bytes) -> bytes:
    """A piece of sound as an event of OpenAI's `stream_format: sse`."""
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode("ascii")})


def sse_end() -> bytes:
    """The event after the last piece."""
    return _event({"type": "speech.audio.done"})


def _event(values: dict[str, str]) -> bytes:
    return f"data: {json.dumps(values)}\n\n".encode()
