"""Optimizers and learning-rate schedule of a stage."""

import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import ops

from myxtts.config import ConfigError
from myxtts.config.stages import ScheduleConfig, StageTraining

MUON_RATE = 2.0  # of a matrix' learning rate by that of the rest: a step of the same size in every direction is small in most of them
MUON_EXCLUDES = ["head/"]  # what reads codes and text out of the last layer, as embeddings


@keras.saving.register_keras_serializable("myxtts")
class StageSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up, then constant, cosine or inverse square root, times a factor that the plateau rule lowers.

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
        elif self.config.kind == "inverse_sqrt":
            # Vaswani et al. 2017, section 5.3, scaled so that its peak is 1
            rate = ops.maximum(self.config.min_lr_ratio, ops.rsqrt(ops.maximum(step + 1, max(1, warmup)) / max(1, warmup)))
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


@dataclass(frozen=True)
class Group:
    """Variables that share a learning rate. `numbers`: which of the objective's variables they are."""

    name: str
    numbers: tuple[int, ...]
    optimizer: keras.optimizers.Optimizer


def make_groups(
    config: StageTraining, total_steps: int, objective: str, variables: list[keras.Variable], precision: str = "float32"
) -> list[Group]:
    """An optimizer for each learning rate of `config`: the stage's, and one for each pattern of `learning_rate_factors`.

    precision: that of the network, of which muon makes use. Raises ConfigError where a pattern fits no variable.
    """
    members: dict[str, list[int]] = {"": []}
    for number, variable in enumerate(variables):
        pattern = next((pattern for pattern in config.learning_rate_factors if fits(variable, pattern)), "")
        members.setdefault(pattern, []).append(number)
    groups = []
    for pattern, numbers in members.items():
        if numbers:
            factor = config.learning_rate_factors.get(pattern, 1.0)
            optimizer = make_optimizer(config, total_steps, [variables[number] for number in numbers], factor, precision)
            groups.append(Group(f"{objective}/{pattern}" if pattern else objective, tuple(numbers), optimizer))
    return groups


def fits(variable: keras.Variable, pattern: str) -> bool:
    """True if the variable's name inside its network (`block_0/qkv/kernel`), or with it (`speaker_encoder/stem/kernel`), fits a pattern."""
    return any(fnmatch.fnmatchcase(name, pattern) for name in (variable.path.partition("/")[2] or variable.path, variable.path))


def check_patterns(section: str, patterns: Iterable[str], variables: list[keras.Variable]) -> None:
    """Raises ConfigError for a pattern that fits nothing: a misspelt one would freeze or slow nothing, silently."""
    for pattern in patterns:
        if not any(fits(variable, pattern) for variable in variables):
            names = sorted({variable.path.partition("/")[2] for variable in variables})
            raise ConfigError(f"{section}: no weight is called {pattern!r}; names are {', '.join(names[:3])}, … {names[-1]}")


class Summed:
    """Of an optimizer whose gradients are sums over the replicas already: the step needs them before, for their global norm."""

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars


class SummedAdamW(Summed, keras.optimizers.AdamW):
    """AdamW of summed gradients."""

    def update_step(self, gradient, variable, learning_rate):
        """Keras' formula by TensorFlow's one kernel for it: as many passes over the memory as there are tensors, not as operations."""
        number = self._get_variable_index(variable)
        steps = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[number].value.handle,
            v=self._velocities[number].value.handle,
            beta1_power=tf.pow(self.beta_1, steps),
            beta2_power=tf.pow(self.beta_2, steps),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class SummedMuon(Summed, keras.optimizers.Muon):
    """Muon (Jordan et al. 2024; scaled as Liu et al. 2025) of summed gradients.

    precision: what the directions are computed in; Jordan's own is bfloat16, at no loss.
    """

    def __init__(self, *args, precision: str = "float32", **kwargs):
        super().__init__(*args, **kwargs)
        self.precision = precision

    def zeropower_via_newtonschulz5(self, x, steps):
        return ops.cast(super().zeropower_via_newtonschulz5(ops.cast(x, self.precision), steps), x.dtype)


def make_optimizer(
    config: StageTraining, total_steps: int, variables: list[keras.Variable], factor: float = 1.0, precision: str = "float32"
) -> keras.optimizers.Optimizer:
    """The stage's optimizer over `variables`, built. Clipping is the trainer's: it must see the gradient of the whole effective batch.

    factor: of the learning rate. With `ema_decay` it keeps the moving average of the weights, whose first value is the weights after the
    first step.
    """
    common = {
        "epsilon": 1e-8,
        "weight_decay": config.weight_decay,
        "use_ema": config.ema_decay is not None,
        "ema_momentum": config.ema_decay or 0.99,
        "name": config.optimizer,  # part of the names in checkpoints: it must not count optimizers made before
    }
    beta_1, beta_2 = config.betas
    if config.optimizer == "muon":
        optimizer = SummedMuon(
            StageSchedule(MUON_RATE * factor * config.learning_rate, config.schedule, total_steps),
            adam_beta_1=beta_1,
            adam_beta_2=beta_2,
            adam_weight_decay=config.weight_decay / MUON_RATE,  # Keras multiplies it with the rate of matrices
            adam_lr_ratio=1 / MUON_RATE,
            exclude_layers=MUON_EXCLUDES,
            precision="bfloat16" if precision == "bfloat16" else "float32",
            **common,
        )
    else:
        rate = StageSchedule(factor * config.learning_rate, config.schedule, total_steps)
        optimizer = SummedAdamW(rate, beta_1=beta_1, beta_2=beta_2, **common)
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not decays(variable)])
    optimizer.build(variables)
    return optimizer
