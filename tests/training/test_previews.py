"""What a validation shows: pictures, sound and a table of the same clips, and the recordings once."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import soundfile

from myxtts.models.xtts import XTTS
from myxtts.training.logger import alignment_picture, log_preview, log_recording
from myxtts.training.tasks import TASKS


class Recorder:
    """What a run was told."""

    def __init__(self):
        self.images, self.waves, self.rows = {}, {}, []

    def image(self, key, array, step):
        self.images[key] = array

    def audio(self, name, wave, sample_rate, step):
        self.waves[name, step] = (wave, sample_rate)
        return f"audio/{step}/{name}.wav"

    def table(self, rows, path):
        assert path == "samples.json"
        self.rows += rows


@pytest.fixture
def previews(config, tokens, tmp_path):
    keras.utils.set_random_seed(2)
    model = XTTS(config.model)
    model.mel_norm = np.ones(config.model.audio.num_mels, np.float32)
    task = TASKS["gpt"](config, model, tmp_path)
    task.open(tokens)
    return task.previews(tokens)


def test_a_gpt_shows_what_it_says_where_it_looks_and_of_which_clip(config, tokens, previews):
    run = Recorder()
    for preview in previews:
        log_preview(run, preview, 40)
    assert set(run.images) == {"mel/val_0", "alignment/val_0", "mel/val_1", "alignment/val_1"}
    index = json.loads((tokens / "eval_index.json").read_text())
    for number, row in enumerate(run.rows):
        assert (row["step"], row["sample"], row["clip"]) == (40, f"val_{number}", index[number]["id"])
        assert row["true_codes"] == index[number]["code_length"] == len(previews[number].alignments["true_codes"])
        assert row["audio_true_codes"] == f"audio/40/val_{number}_true_codes.wav"
        text_positions = index[number]["text_length"] + 2
        assert previews[number].alignments["true_codes"].shape[1] == text_positions
    assert ("val_0_true_codes", 40) in run.waves


def test_recordings_are_logged_where_they_are_and_else_left_out(previews, tmp_path):
    run = Recorder()
    log_recording(run, previews[0])
    assert run.waves == {}, "the corpus is not on this machine"
    soundfile.write(tmp_path / "clip.wav", np.full(800, 0.25, np.float32), 8000)
    log_recording(run, replace(previews[0], recording=tmp_path / "clip.wav"))
    wave, rate = run.waves["val_0_recording", 0]
    assert rate == 8000 and wave == pytest.approx(0.25, abs=1e-3)


def test_an_alignment_is_drawn_with_time_to_the_right_and_text_from_the_bottom():
    picture = alignment_picture({"a": np.eye(5, 9, dtype=np.float32)})
    height = len(picture)
    bright = picture.sum(axis=2)
    assert bright[-1, 0] > bright[0, 0] and bright[height * 5 // 9 - 1, -1] > bright[-1, -1]
