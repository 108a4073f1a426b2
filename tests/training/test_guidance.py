"""Where guided heads should look, and that a task asks it of them."""

from pathlib import Path

import numpy as np
import pytest

from myxtts.config import XTTSConfig
from myxtts.models.xtts import XTTS
from myxtts.training.guidance import near_diagonal, near_places
from myxtts.training.losses import count
from myxtts.training.tasks.gpt import GPTTask

TEXT = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
AUDIO = np.array([[1] * 9, [1, 1, 1, 1, 1, 0, 0, 0, 0]], bool)


def test_without_places_a_head_should_read_evenly():
    near = np.asarray(near_diagonal(TEXT, AUDIO))
    assert near.shape == (2, 9, 5)
    np.testing.assert_allclose(near[0, ::2].diagonal(), 1.0)
    np.testing.assert_allclose(near[1, [0, 2, 4], [0, 1, 2]], 1.0)
    assert near[0, 0, 4] < 1e-6 and near[0, 4, 1] == pytest.approx(np.exp(-((0.25 / 0.15) ** 2) / 2), rel=1e-5)
    assert not near[1, 5:].any() and not near[1, :, 3:].any()


def test_a_head_should_look_at_the_token_that_is_spoken_and_evenly_where_that_is_not_known():
    places = np.array([[1, 1, 1, 1, 2, 3, 3, 3, 4], [-1] * 9], np.int32)
    near = np.asarray(near_places(places, TEXT, AUDIO))
    np.testing.assert_array_equal(near[0].argmax(axis=1), places[0])
    np.testing.assert_allclose(near[0].max(axis=1), 1.0)
    assert near[0, 0, 2] == pytest.approx(np.exp(-0.5), rel=1e-5)
    np.testing.assert_array_equal(near[1], near_diagonal(TEXT, AUDIO)[1])


@pytest.fixture
def task(config, tokens):
    tree = config.to_dict()
    tree["training"]["gpt"]["alignment_weight"] = 1.0
    config = XTTSConfig.from_dict(tree)
    task = GPTTask(config, XTTS(config.model), Path())
    task.open(tokens)
    return task


def test_a_task_asks_for_the_places_behind_start_and_for_stop_at_the_end(task, tokens, monkeypatch):
    batch = task.batches(tokens, "train", 4).load(0)
    codes, texts = np.asarray(batch["code_lengths"]), np.asarray(batch["text_lengths"])
    assert (np.asarray(batch["places"]) == -1).all(), "these clips were not aligned"
    known = np.minimum(np.arange(batch["places"].shape[1])[None], texts[:, None] - 1)
    known = np.where(np.arange(known.shape[1]) < codes[:, None], known, -1).astype(np.int32)
    known[1] = -1
    asked = {}

    def kept(places, *masks):
        asked["places"] = np.asarray(places)
        return near_places(places, *masks)

    monkeypatch.setattr("myxtts.training.tasks.gpt.near_places", kept)
    counts = {name: count(value > 0) for name, value in (("text", batch["text_lengths"]), ("audio", batch["code_lengths"]))}
    _, terms, _ = task.loss("gpt", {**batch, "places": known}, counts)
    assert np.isfinite(terms["alignment_loss"])
    places = asked["places"]
    for row, (length, text) in enumerate(zip(codes, texts, strict=True)):
        if row == 1 or not length:  # not aligned, or filler
            assert (places[row] == -1).all()
            continue
        np.testing.assert_array_equal(places[row, :length], known[row, :length] + 1)
        assert places[row, length] == text + 1, "the code behind the last is STOP, spoken at the text's STOP"
        assert (places[row, length + 1 :] == -1).all()
