"""Speech as a file of the format that its name asks for. N samples."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from myxtts.audio.wave import finite_mono, resample, to_pcm, wav_bytes, write_atomically
from myxtts.config import DataError


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
BY_SUFFIX = {".wav": "wav", ".flac": "flac", ".mp3": "mp3", ".opus": "opus", ".ogg": "opus"}


def encode(wave: np.ndarray, sample_rate: int, name: str) -> bytes:
    """A wave (N,) as a file of a format of FORMATS; at the next higher rate where that knows no such.

    Raises DataError where the libsndfile of this machine does not write it.
    """
    kind = FORMATS[name]
    if not kind.container:
        pcm = to_pcm(wave)
        return wav_bytes(pcm, sample_rate) if name == "wav" else pcm.tobytes()
    if not soundfile.check_format(kind.container, kind.subtype):
        raise DataError(f"the libsndfile of this machine writes no {name}: take wav or flac")
    if kind.rates and sample_rate not in kind.rates:
        target = min((rate for rate in kind.rates if rate > sample_rate), default=max(kind.rates))
        wave, sample_rate = resample(wave, sample_rate, target), target
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm(wave), sample_rate, format=kind.container, subtype=kind.subtype)
    return buffer.getvalue()


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for. Raises DataError where it asks for none of BY_SUFFIX."""
    name = BY_SUFFIX.get(Path(path).suffix.lower())
    if name is None:
        raise DataError(f"{path}: expected a file name that ends in {', '.join(BY_SUFFIX)}: it says how the sound is written")
    return name


def save(path: str | Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a wave (N,), whole or not at all, in the format that the name asks for. Samples beyond [-1, 1] are limited.

    Raises DataError as `format_of` and `encode` do, for a wave that is not finite, and where the disk is full or not writable.
    """
    name, path = format_of(path), Path(path)
    write_atomically(path, encode(finite_mono(wave, path), sample_rate, name))
