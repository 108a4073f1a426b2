"""The Keras port of Resemblyzer gives what the package itself gave (fixtures/resemblyzer.npy, by resemblyzer 0.1.4 on torch 2.13)."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from myxtts.audio.wave import load
from myxtts.config import DataError
from myxtts.models import voice_encoder
from myxtts.models.voice_encoder import SAMPLE_RATE, voice_embedding

EXPECTED = Path(__file__).parent / "fixtures" / "resemblyzer.npy"


def signal(seconds: float, pitch: float) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * pitch * k * time + k) / k for k in range(1, 20))
    return (0.1 * tones * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)


@pytest.fixture
def installed():
    if importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("needs the weights: pip install --no-deps resemblyzer==0.1.4")


def test_embeddings_are_those_of_the_package(installed):
    expected = np.load(EXPECTED)  # shorter than a window, one and a half, several
    for (seconds, pitch), values in zip(((1.0, 110), (2.5, 110), (4.1, 210)), expected, strict=True):
        np.testing.assert_allclose(voice_embedding(signal(seconds, pitch)), values, atol=2e-5)


def test_voices_are_told_apart(installed, shared):
    with (shared / "data" / "voices" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="|") if float(row["seconds"]) > 3]
    voices = sorted({row["speaker"] for row in rows})
    picked = [[row for row in rows if row["speaker"] == voice][:2] for voice in voices]
    folder = shared / "data" / "voices"
    embedded = np.array(
        [[voice_embedding(load(folder / row["audio_file"], SAMPLE_RATE)[0]) for row in pair] for pair in picked]
    )  # (8, 2, D)
    likeness = embedded[:, 0] @ embedded[:, 1].T
    assert (likeness.argmax(axis=1) == np.arange(len(voices))).mean() >= 0.85
    assert np.diag(likeness).mean() > 0.8 > 0.7 > likeness[~np.eye(len(voices), dtype=bool)].mean()


def test_without_the_package_the_remedy_is_named(monkeypatch):
    voice_encoder._encoder.cache_clear()
    monkeypatch.setattr(voice_encoder, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        voice_embedding(signal(2, 110))
    voice_encoder._encoder.cache_clear()
