"""Speech as a file: the name says how it is written."""

import numpy as np
import pytest
import soundfile
from vowels import syllables

from myxtts.audio import formats
from myxtts.config import DataError


@pytest.mark.parametrize(
    ("name", "container", "kept"),
    [("a.wav", "WAV", 1.0), ("a.flac", "FLAC", 1.0), ("a.mp3", "MP3", 0.9), ("a.opus", "OGG", 0.9), ("A.OGG", "OGG", 0.9)],
)
def test_the_name_says_how_it_is_written(tmp_path, name, container, kept):
    wave = 0.5 * syllables(1.0, 24000)
    formats.save(tmp_path / "new" / name, wave, 24000)
    assert soundfile.info(tmp_path / "new" / name).format == container
    heard, rate = soundfile.read(tmp_path / "new" / name)
    assert rate == 24000
    delays = range(-1500, 1500) if kept < 1 else (0,)  # of a codec
    padded = np.pad(heard, 2000)
    likeness = max(np.corrcoef(wave, padded[2000 + delay : 2000 + delay + len(wave)])[0, 1] for delay in delays)
    assert likeness >= kept - 1e-6


def test_a_rate_that_the_format_does_not_know_is_raised(tmp_path):
    formats.save(tmp_path / "a.opus", syllables(0.5, 22050), 22050)
    assert soundfile.info(tmp_path / "a.opus").samplerate in (24000, 48000)


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.pcm", "a.wav.txt"])
def test_another_name_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(DataError, match=r"expected a file name that ends in \.wav, \.flac, \.mp3, \.opus, \.ogg"):
        formats.save(tmp_path / name, np.zeros(100), 24000)
    assert not list(tmp_path.iterdir())


def test_what_is_no_wave_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a mono wave \(N,\) of finite samples, got shape \(2, 5\)"):
        formats.save(tmp_path / "a.mp3", np.zeros((2, 5)), 24000)
