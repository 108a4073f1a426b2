"""Optimizer and learning-rate schedule of a stage."""

import math

import keras
import tensorflow as tf
from keras import ops

from myxtts.config.stages import ScheduleConfig, StageTraining


@keras.saving.register_keras_serializable("myxtts")
class StageSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up, then constant or cosine, times a factor that the plateau rule lowers.

    The factor is a variable, so lowering it neither retraces the compiled step nor is lost in a checkpoint.
    """

    def __init__(self, peak: float, config: ScheduleConfig, total_steps: int):
        self.peak, self.config, self.total_steps = peak, config, max(1, total_steps)
        self.factor = tf.Variable(1.0, trainable=False, name="plateau_factor")

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warmup = self.config.warmup_steps
        rate = ops.ones_like(step)
        if self.config.kind == "cosine":
            # held at its end: a resumed or prolonged run must never climb the cosine again
            progress = ops.clip((step - warmup) / max(1, self.total_steps - warmup), 0.0, 1.0)
            rate = self.config.min_lr_ratio + (1 - self.config.min_lr_ratio) * 0.5 * (1 + ops.cos(math.pi * progress))
        if warmup:
            rate = rate * ops.minimum(1.0, (step + 1) / warmup)
        return self.peak * rate * self.factor

    def get_config(self):
        return {"peak": self.peak, "config": self.config.model_dump(), "total_steps": self.total_steps}


class Plateau:
    """Lowers the schedule's factor when the monitored value has not improved for `patience` validations."""

    def __init__(self, schedule: StageSchedule):
        self.schedule, self.config = schedule, schedule.config
        self.best, self.waited = math.inf, 0

    def update(self, value: float) -> bool:
        """Takes a validation value (lower is better). Returns True if the learning rate was lowered."""
        if self.config.kind != "plateau":
            return False
        if value < self.best:
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        if self.waited < self.config.patience:
            return False
        self.waited = 0
        factor = float(self.schedule.factor.numpy())
        lowered = max(factor * self.config.factor, self.config.min_lr_ratio)
        self.schedule.factor.assign(lowered)
        return lowered < factor - 1e-6

    def state(self) -> dict[str, float]:
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        self.best, self.waited = float(state["best"]), int(state["waited"])


def decays(variable: keras.Variable) -> bool:
    """Weight decay is for weight matrices: not for biases, norms (one axis) and embeddings. On the GPT: the reference's two groups."""
    # the reference knows its norms by their class, and the Perceiver's is of none that it knows
    return (len(variable.shape) > 1 and "embedding" not in variable.path) or variable.path.endswith("perceiver/gamma")


def make_optimizer(config: StageTraining, total_steps: int, variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """AdamW over `variables`, built. Clipping is the trainer's: it must see the gradient of the whole effective batch."""
    optimizer = keras.optimizers.AdamW(
        learning_rate=StageSchedule(config.learning_rate, config.schedule, total_steps),
        beta_1=config.betas[0],
        beta_2=config.betas[1],
        epsilon=1e-8,
        weight_decay=config.weight_decay or None,
        name="adamw",  # part of the names in checkpoints: it must not count optimizers made before
    )
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not decays(variable)])
    optimizer.build(variables)
    return optimizer
