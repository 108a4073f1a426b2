"""What dead codes restart from must not depend on how a batch is split."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from small import small_config

from myxtts.training.tasks.dvae import DVAETask

CODES = 32


def rows(encoded: np.ndarray, lengths: list[int], parts: list[slice]) -> np.ndarray:
    task, clips = DVAETask(small_config(), None, Path()), tf.constant(float(np.count_nonzero(lengths)))
    places, lengths = np.arange(len(lengths), dtype=np.int32), np.array(lengths, np.int32)
    return sum(task._restart_rows(tf.constant(encoded[part]), lengths[part], places[part], clips).numpy() for part in parts)


def test_restart_rows_are_real_outputs_and_the_same_however_the_batch_is_split():
    encoded = np.random.default_rng(0).normal(size=(6, 9, 8)).astype(np.float32)
    lengths = [9, 4, 1, 9, 2, 0]  # the last is a filler
    whole = rows(encoded, lengths, [slice(0, 6)])
    for parts in ([slice(0, 3), slice(3, 6)], [slice(0, 2), slice(2, 4), slice(4, 6)]):
        np.testing.assert_array_equal(rows(encoded, lengths, parts), whole)
    real = np.concatenate([clip[:length] for clip, length in zip(encoded, lengths, strict=True)])
    assert whole.shape == (CODES, 8)
    assert all(any(np.array_equal(row, one) for one in real) for row in whole)
    assert len(np.unique(whole, axis=0)) > 10
