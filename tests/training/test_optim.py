import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.stages import ScheduleConfig, StageTraining
from myxtts.training.optim import Plateau, StageSchedule, decays, make_optimizer


def rates(config: ScheduleConfig, total: int, steps: range, peak: float = 1.0) -> np.ndarray:
    schedule = StageSchedule(peak, config, total)
    return np.array([float(schedule(step)) for step in steps])


def test_cosine_warms_up_falls_and_stays_down_over_the_whole_horizon():
    """An earlier trainer's restarting cosine became NaN after 30,000 steps."""
    values = rates(ScheduleConfig(kind="cosine", warmup_steps=10, min_lr_ratio=0.1), 1000, range(0, 5000, 7))
    assert np.isfinite(values).all()
    assert values[0] == pytest.approx(0.1)
    peak = int(values.argmax())
    assert (np.diff(values[peak:]) <= 1e-7).all()
    np.testing.assert_allclose(values[-500:], 0.1, rtol=1e-5)


def test_constant_is_constant_after_warm_up():
    np.testing.assert_allclose(rates(ScheduleConfig(warmup_steps=4), 10, range(6), peak=2.0), [0.5, 1, 1.5, 2, 2, 2])


def test_plateau_lowers_after_patience_and_never_below_its_floor():
    schedule = StageSchedule(1.0, ScheduleConfig(kind="plateau", factor=0.5, patience=2, min_lr_ratio=0.2), 100)
    plateau = Plateau(schedule)
    lowered = [plateau.update(value) for value in (3.0, 2.0, 2.5, 2.4, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)]
    assert lowered == [False, False, False, True, False, False, True, False, True, False, False]
    assert float(schedule(50)) == pytest.approx(0.2)


def test_plateau_state_survives():
    plateau = Plateau(StageSchedule(1.0, ScheduleConfig(kind="plateau", patience=2), 10))
    plateau.update(1.0)
    plateau.update(2.0)
    other = Plateau(StageSchedule(1.0, ScheduleConfig(kind="plateau", patience=2), 10))
    other.restore(plateau.state())
    assert other.update(3.0)


def test_decay_spares_biases_norms_and_embeddings():
    model = keras.Sequential([keras.layers.Embedding(7, 4), keras.layers.LayerNormalization(), keras.layers.Dense(3)])
    model.build((None, 2))
    assert [decays(variable) for variable in model.trainable_variables] == [False, False, False, True, False]
    optimizer = make_optimizer(StageTraining(learning_rate=0.1, weight_decay=0.5), 10, model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply([tf.zeros_like(variable.value) for variable in model.trainable_variables], model.trainable_variables)
    changed = [not np.allclose(a, b.numpy()) for a, b in zip(before, model.trainable_variables, strict=True)]
    assert changed == [False, False, False, True, False]
