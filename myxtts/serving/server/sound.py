"""Speech as bytes: whole, in the formats that are asked for, or as they come."""

import base64
import json

import numpy as np

from myxtts.audio import formats
from myxtts.audio.wave import endless_wav_header
from myxtts.config import DataError
from myxtts.serving.server.errors import Refusal

STREAMED = ("wav", "pcm")


def encode(wave: np.ndarray, sample_rate: int, name: str) -> bytes:
    """A wave (N,) as a file of a format of FORMATS. Raises Refusal where it cannot be."""
    try:
        return formats.encode(wave, sample_rate, name)
    except DataError as error:
        raise Refusal(422, str(error), "response_format") from None


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
