"""What the trainer tells the outside world, whoever listens (`tracking.run.StageRun`, or nobody)."""

from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np

from myxtts.training.tasks.base import Preview

PIXELS_PER_FRAME, PIXELS_PER_BAND = 3, 2


class RunLogger(Protocol):
    """A tracking run, as far as training knows it."""

    def metrics(self, values: dict[str, float], step: int, timestamp: int | None = None) -> None: ...
    def params(self, values: dict[str, Any]) -> None: ...
    def tags(self, values: dict[str, str]) -> None: ...
    def text(self, text: str, path: str) -> None: ...
    def image(self, key: str, array: np.ndarray, step: int) -> None: ...
    def audio(self, name: str, wave: np.ndarray, sample_rate: int, step: int) -> None: ...
    def checkpoint(self, step: int, folder: Path, metrics: dict[str, float], final: bool, timestamp: int | None = None) -> str | None: ...
    def flush(self) -> None: ...


def spectrogram_picture(mels: dict[str, np.ndarray]) -> np.ndarray:
    """Log-mels (F, M), one above the other on a common colour scale -> (H, W, 3) uint8, low bands at the bottom."""
    low = min(float(mel.min()) for mel in mels.values())
    high = max(float(mel.max()) for mel in mels.values())
    width = max(len(mel) for mel in mels.values())
    colours = matplotlib.colormaps["magma"]
    strips = []
    for mel in mels.values():
        scaled = (np.pad(mel, ((0, width - len(mel)), (0, 0)), constant_values=low) - low) / max(high - low, 1e-6)
        strip = (colours(scaled.T[::-1])[..., :3] * 255).astype(np.uint8)
        strips += [np.kron(strip, np.ones((PIXELS_PER_BAND, PIXELS_PER_FRAME, 1), np.uint8))]
        strips += [np.full((6, strips[-1].shape[1], 3), 255, np.uint8)]
    return np.concatenate(strips[:-1])


def log_preview(logger: RunLogger, preview: Preview, step: int) -> None:
    """One picture and its audio."""
    if preview.mels:
        logger.image(f"mel/{preview.name}", spectrogram_picture(preview.mels), step)
    for name, wave in preview.waves.items():
        logger.audio(f"{preview.name}_{name}", wave, preview.sample_rate, step)
