"""Spectrogram pictures: what was recorded, what the audio tokenizer keeps of it, what the model says. N samples, F frames, M mel bands."""

import io
import warnings
from pathlib import Path

import numpy as np

from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.audio.wave import resample, write_atomically
from myxtts.config import AudioConfig, DataError

MEL = dvae_mel(AudioConfig())
DECIBEL_PER_NEPER = 10 / np.log(10)
DYNAMIC_RANGE_DB = 70  # below the loudest point of the picture everything is one colour
TITLE_CHARACTERS = 90
# DejaVu holds Latin, Cyrillic and Arabic script with the Persian letters; the others are taken where the machine has them
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Devanagari", "Arial Unicode MS")


def draw_spectrograms(path: Path, title: str, waves: dict[str, np.ndarray], sample_rate: int) -> None:
    """Writes a PNG with one log-mel panel for each named wave (N,), above each other, on one time axis and one colour scale.

    The title is the text that is spoken, in any script, drawn literally. Raises DataError if there is no wave, or one too short
    to be seen (about 25 ms), or the file cannot be written.
    """
    if not waves:
        raise DataError("a picture needs at least one wave; got none")
    panels = {name: _decibel_mel(wave, sample_rate) for name, wave in waves.items()}  # (F, M) each
    write_atomically(path, _draw(title, panels))


def _decibel_mel(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """(N,) -> (F, M) in decibel."""
    return log_mel_numpy(resample(np.asarray(wave, np.float32), sample_rate, MEL.sample_rate), MEL) * DECIBEL_PER_NEPER


def _draw(title: str, panels: dict[str, np.ndarray]) -> bytes:
    # Figure and Agg directly: pyplot would keep a global state, and ask for a display
    from matplotlib import font_manager, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    seconds = MEL.hop_length / MEL.sample_rate
    longest = max(len(mel) for mel in panels.values()) * seconds
    high = max(float(mel.max()) for mel in panels.values())
    with rc_context({"font.family": [font for font in FONTS if font in installed] or ["sans-serif"]}), warnings.catch_warnings():
        # a script without a font is drawn as boxes: the text stands in samples.json as well, and a report must not fail of it
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(max(6.0, min(16.0, 3.0 * longest)), 0.8 + 2.0 * len(panels)), layout="constrained", dpi=100)
        FigureCanvasAgg(figure)
        shown = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1] + "…"
        figure.suptitle(shown, parse_math=False)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, mel) in zip(axes, panels.items(), strict=True):
            image = axis.imshow(
                mel.T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap="magma",
                vmin=high - DYNAMIC_RANGE_DB,
                vmax=high,
                extent=(0.0, len(mel) * seconds, 0.0, mel.shape[1]),
            )
            axis.set_title(name, loc="left", fontsize=9, parse_math=False)
            axis.set_ylabel("mel band")
            axis.set_xlim(0.0, longest)
        axes[-1].set_xlabel("seconds")
        figure.colorbar(image, ax=list(axes), label="dB", pad=0.01)
        png = io.BytesIO()
        figure.savefig(png, format="png")
    return png.getvalue()
