"""Pictures: any script, literal dollar signs, one colour scale."""

import warnings

import matplotlib.image
import numpy as np
import pytest

from myxtts.config import DataError
from myxtts.evaluation.pictures import draw_spectrograms

RATE = 24000


def tone(seconds, amplitude=0.3):
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize(
    "title",
    ["Good morning.", "سلام، می‌خواهم پنج کتاب بخرم", "it costs $5\\frac$", "你好，世界", "नमस्ते", "long " * 60],
    ids=["latin", "persian", "mathtext", "han", "devanagari", "long"],
)
def test_titles_of_any_script(tmp_path, title):
    path = tmp_path / "new folder" / "picture.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_spectrograms(path, title, {"ground truth": tone(1.0), "copy": tone(0.7)}, RATE)
    assert matplotlib.image.imread(path).shape[2] == 4
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]


def test_the_title_is_drawn(tmp_path):
    ink = []
    for title in (".", "سلام سلام سلام"):
        draw_spectrograms(tmp_path / "p.png", title, {"": tone(0.5)}, RATE)
        ink.append((matplotlib.image.imread(tmp_path / "p.png")[:24, :, 0] < 0.5).sum())
    assert ink[1] > 20 * ink[0] > 0


def test_panels_share_the_colour_scale(tmp_path):
    """A quieter wave is darker: on a scale of its own it would look the same."""
    path = tmp_path / "p.png"
    draw_spectrograms(path, "", {"loud": tone(1.0, 0.5), "quiet": tone(1.0, 0.005)}, RATE)
    picture = matplotlib.image.imread(path)[:, :, :3]
    picture = picture[:, : picture.shape[1] * 3 // 4]  # without the colour bar
    half = len(picture) // 2
    assert brightest(picture[:half]) > brightest(picture[half:]) + 0.2


def brightest(pixels):
    """The brightest pixel that has a colour: not paper, not ink."""
    coloured = pixels[np.ptp(pixels, axis=2) > 0.15]
    return float(coloured.sum(axis=1).max()) / 3


def test_errors(tmp_path):
    with pytest.raises(DataError, match="at least one wave"):
        draw_spectrograms(tmp_path / "p.png", "text", {}, RATE)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        draw_spectrograms(tmp_path / "file" / "p.png", "text", {"one": tone(0.5)}, RATE)
