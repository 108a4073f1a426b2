"""What the trainer tells the outside world, whoever listens (`tracking.run.StageRun`, or nobody)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np
import soundfile

from myxtts.training.tasks.base import Preview

PIXELS_PER_FRAME, PIXELS_PER_BAND = 3, 2
PIXELS_PER_CODE, PIXELS_PER_TOKEN = 6, 4
SAMPLES = "samples.json"


class RunLogger(Protocol):
    """A tracking run, as far as training knows it."""

    def metrics(self, values: dict[str, float], step: int, timestamp: int | None = None) -> None: ...
    def params(self, values: dict[str, Any]) -> None: ...
    def tags(self, values: dict[str, str]) -> None: ...
    def text(self, text: str, path: str) -> None: ...
    def image(self, key: str, array: np.ndarray, step: int) -> None: ...
    def audio(self, name: str, wave: np.ndarray, sample_rate: int, step: int) -> str | None: ...
    def table(self, rows: Sequence[Mapping[str, Any]], path: str) -> None: ...
    def checkpoint(self, step: int, folder: Path, metrics: dict[str, float], final: bool, timestamp: int | None = None) -> str | None: ...
    def flush(self) -> None: ...


def spectrogram_picture(mels: dict[str, np.ndarray]) -> np.ndarray:
    """Log-mels (F, M), one above the other on a common colour scale -> (H, W, 3) uint8, low bands at the bottom."""
    return _strips(mels, PIXELS_PER_FRAME, PIXELS_PER_BAND)


def alignment_picture(alignments: dict[str, np.ndarray]) -> np.ndarray:
    """Attention of codes to text (S, T), one above the other -> (H, W, 3) uint8: time to the right, the text from bottom to top."""
    return _strips(alignments, PIXELS_PER_CODE, PIXELS_PER_TOKEN)


def _strips(arrays: dict[str, np.ndarray], across: int, up: int) -> np.ndarray:
    """Arrays (time, rows) as strips; each value is `across` pixels wide and `up` pixels high."""
    low = min(float(array.min()) for array in arrays.values())
    high = max(float(array.max()) for array in arrays.values())
    width = max(len(array) for array in arrays.values())
    colours = matplotlib.colormaps["magma"]
    strips = []
    for array in arrays.values():
        scaled = (np.pad(array, ((0, width - len(array)), (0, 0)), constant_values=low) - low) / max(high - low, 1e-6)
        strip = (colours(scaled.T[::-1])[..., :3] * 255).astype(np.uint8)
        strips += [np.kron(strip, np.ones((up, across, 1), np.uint8))]
        strips += [np.full((6, strips[-1].shape[1], 3), 255, np.uint8)]
    return np.concatenate(strips[:-1])


def log_preview(logger: RunLogger, preview: Preview, step: int) -> None:
    """Its pictures, its audio, and a row of the table that says what they are."""
    if preview.mels:
        logger.image(f"mel/{preview.name}", spectrogram_picture(preview.mels), step)
    if preview.alignments:
        logger.image(f"alignment/{preview.name}", alignment_picture(preview.alignments), step)
    heard = {}
    for name, wave in preview.waves.items():
        heard[f"audio_{name}"] = logger.audio(f"{preview.name}_{name}", wave, preview.sample_rate, step)
    if preview.facts:
        logger.table([{"step": step, "sample": preview.name, **preview.facts, **heard}], SAMPLES)


def log_recording(logger: RunLogger, preview: Preview) -> None:
    """The clip that the previews of all steps are to be compared with, as step 0; nothing where it is not on this machine."""
    if preview.recording is not None and preview.recording.is_file():
        wave, rate = soundfile.read(preview.recording, dtype="float32")
        logger.audio(f"{preview.name}_recording", wave, rate, 0)
