"""The decoder's step on arrays made by hand: what a step that is skipped may not have moved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.data.encode import speaker_frames
from myxtts.models.xtts import XTTS
from myxtts.training.optim import make_groups
from myxtts.training.step import TrainStep
from myxtts.training.tasks.decoder import DecoderTask

ROWS = 2


@pytest.fixture(scope="module")
def task(config, tokens, tmp_path_factory) -> DecoderTask:
    keras.utils.set_random_seed(1)
    made = DecoderTask(config, XTTS(config.model), tmp_path_factory.mktemp("cache"))
    made.open(tokens)
    return made


def batch(task: DecoderTask) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    codes = task.settings.segment_codes
    made = {
        "latents": rng.normal(size=(ROWS, codes, task.config.model.gpt.dim)),
        "wave": rng.uniform(-0.5, 0.5, (ROWS, task.num_samples)),
        "speaker_mel": rng.normal(size=(ROWS, speaker_frames(task.config), 64)),
    }
    whole = {"speaker": np.array([0, 1]), "lengths": np.full(ROWS, codes)}
    return {name: tf.constant(value, tf.float32) for name, value in made.items()} | {
        name: tf.constant(value, tf.int32) for name, value in whole.items()
    }


@pytest.mark.parametrize("grad_accum", [1, 2])
def test_a_skipped_step_moves_no_running_statistics(task, grad_accum):
    groups = {name: make_groups(task.settings, 10, name, variables) for name, variables in task.objectives.items()}
    step = TrainStep(task, groups, tf.distribute.get_strategy(), grad_accum)
    good = batch(task)
    changed = [*task.objectives["generator"], *task.running_statistics]
    assert len(task.running_statistics) > 4

    def values() -> list[np.ndarray]:
        return [variable.numpy() for variable in changed]

    before = values()
    assert float(step(good)["skipped/generator"]) == 0
    after = values()
    assert all(not np.array_equal(a, b) for a, b in zip(before[-4:], after[-4:], strict=True))  # statistics
    logs = step({**good, "speaker_mel": good["speaker_mel"] * np.nan})
    assert float(logs["skipped/generator"]) == 1
    for variable, a, b in zip(changed, after, values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=variable.path)
