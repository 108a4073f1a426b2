"""`training.gpt.coqui_compatible`: the reference's inputs, targets and masks, written out; parity of the losses is in tests/parity."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small import small_config

from myxtts.models.xtts import XTTS
from myxtts.training.tasks.gpt import GPTTask, reference_sequences

START, STOP = 5, 0
CODE_START, CODE_STOP = 32, 33


@pytest.fixture(scope="module")
def compatible():
    return small_config(gpt={"coqui_compatible": True})


def batch(**changes):
    made = {
        "text_ids": [[10, 11, 12], [20, 21, 99], [30, 99, 99], [40, 41, 42]],
        "text_lengths": [3, 2, 1, 0],  # the last row fills up the batch
        "codes": [[1, 2, 3, 4, 5, 6], [7, 8, 9, 31, 31, 31], [1, 2, 31, 31, 31, 31], [1, 1, 1, 1, 1, 1]],
        "code_lengths": [6, 3, 2, 0],
        "prompt_span": [[0, 2], [1, 2], [0, 1], [0, 0]],
        **changes,
    }
    return {name: tf.constant(value, tf.int32) for name, value in made.items()}


def shown(values, mask):
    """Kept values of each row."""
    return [row[keep].tolist() for row, keep in zip(np.array(values), np.array(mask), strict=True)]


def test_inputs_and_targets(compatible):
    made = reference_sequences(batch(), compatible, START, STOP, prompt_masked=False)
    stops = [CODE_STOP] * 4
    assert shown(made.audio_targets, made.audio_target_mask) == [[1, 2, 3, 4, 5, 6, *stops], [7, 8, 9, *stops], [1, 2, *stops], []]
    inputs = [[CODE_START, 1, 2, 3, 4, 5, 6, *stops[:3]], [CODE_START, 7, 8, 9, *stops[:3]], [CODE_START, 1, 2, *stops[:3]], []]
    assert shown(made.audio_ids, made.audio_mask) == inputs
    assert shown(made.text_ids, made.text_mask) == [[START, 10, 11, 12], [START, 20, 21], [START, 30], []]  # STOP is hidden
    assert shown(made.text_targets, made.text_target_mask) == [[10, 11, 12, STOP], [20, 21, STOP], [30, STOP], []]


@pytest.mark.parametrize(
    ("span", "lost"),
    [
        ((0, 0), []),
        ((0, 1), [0, 1, 2, 3]),  # one code is four frames: four targets go
        ((1, 2), [4, 5]),  # four frames too far: only stops are lost
        ((0, 3), [0, 1, 2, 3, 4, 5]),  # nothing is left, stops included
        ((2, 9), []),
    ],
)
def test_the_prompt_is_masked_in_the_last_clip_only_and_in_frames(compatible, span, lost):
    """The last clip, not the filler behind it; its 2 codes and 4 stops are positions 0..5."""
    spans = [[0, 6], [0, 3], list(span), [0, 0]]
    made = reference_sequences(batch(prompt_span=spans), compatible, START, STOP, prompt_masked=True)
    kept = [np.flatnonzero(row).tolist() for row in np.array(made.audio_target_mask)]
    assert kept == [list(range(10)), list(range(7)), [i for i in range(6) if i not in lost], []]
    assert np.array(made.audio_mask).sum(axis=1).tolist() == [10, 7, 6, 0]  # what is seen stays


def test_where_the_reference_has_no_target_at_all_its_loss_is_nan_and_ours_is_zero(compatible):
    """Our trainer divides by a count of at least one; only its gradient of the text is left."""
    alone = {name: value[2:3] for name, value in batch(prompt_span=[[0, 0]] * 2 + [[0, 5], [0, 0]]).items()}
    task = GPTTask(compatible, XTTS(compatible.model), Path())
    task.start_id, task.stop_id = START, STOP
    counts = task.targets(alone)
    assert float(counts["audio"]) == 0
    terms = task.loss("gpt", {**alone, "prompt": tf.zeros((1, 20, 80))}, counts)[1]
    assert float(terms["mel_loss"]) == 0
    assert float(terms["text_loss"]) > 0


def test_the_switch_chooses(compatible):
    for config, stops in ((small_config(), 1), (compatible, 4)):
        task = GPTTask(config, None, Path())
        task.start_id, task.stop_id = START, STOP
        spans = {"prompt_span": [[0, 0]] * 4}
        assert float(task.targets(batch(**spans))["audio"]) == 6 + 3 + 2 + 3 * stops
    assert float(task.targets(batch(), training=True)["audio"]) == 11 + 12 - 4
    assert float(task.targets(batch(), training=False)["audio"]) == 11 + 12  # its validation masks no prompt
