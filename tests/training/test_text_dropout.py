"""`training.gpt.text_dropout`: a clip without its text is one of START and STOP, and is no example of a text."""

from pathlib import Path

import numpy as np
import pytest
from small import small_config

from myxtts.models.xtts import XTTS
from myxtts.training.tasks import gpt
from myxtts.training.tasks.gpt import GPTTask, sequences

TEXT, WITHOUT, FILLER = 0, 1, 2


@pytest.fixture
def task(tokens):
    config = small_config(gpt={"alignment_weight": 1.0})
    made = GPTTask(config, XTTS(config.model), Path())
    made.open(tokens)
    return made


@pytest.fixture
def batch(task, tokens):
    """A clip with its text, one without, a row that fills the batch up, and whatever comes."""
    values = {name: np.array(value) for name, value in task.batches(tokens, "train", 4).load(0).items()}
    values["text_lengths"][:3] = [5, 0, 0]
    values["code_lengths"][FILLER] = 0
    values["places"][WITHOUT] = 0  # as data.fragments gives them
    return values


def test_it_has_start_and_stop_and_no_text_is_learnt_from_it(task, batch):
    made = sequences(batch, task.config, task.start_id, task.stop_id)
    assert np.asarray(made.text_mask).sum(axis=1)[:3].tolist() == [7, 2, 0]
    assert np.asarray(made.text_ids)[WITHOUT, :2].tolist() == [task.start_id, task.stop_id]
    assert np.asarray(made.text_target_mask).sum(axis=1)[:3].tolist() == [6, 0, 0]
    codes = batch["code_lengths"]
    assert np.asarray(made.audio_mask).sum(axis=1)[:3].tolist() == [codes[TEXT] + 1, codes[WITHOUT] + 1, 0]


def test_its_guided_heads_may_rest_on_stop(task, batch):
    made = sequences(batch, task.config, task.start_id, task.stop_id)
    near = np.asarray(gpt.near_places(gpt._places(batch, made), made.text_mask, made.audio_mask))
    np.testing.assert_allclose(near[WITHOUT, : batch["code_lengths"][WITHOUT] + 1, 1], 1.0)


def test_a_batch_without_any_text_is_learnt_from(task, batch):
    silent = {**batch, "text_lengths": np.zeros_like(batch["text_lengths"])}
    _, terms, _ = task.loss("gpt", silent, task.targets(silent))
    assert terms["text_loss"] == 0 and all(np.isfinite(value) for value in terms.values()) and terms["mel_loss"] > 0
