"""What the loop asks of a stage: its variables, its data, its losses and what it can show."""

import abc
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from myxtts.config import XTTSConfig
from myxtts.config.stages import StageTraining
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow
from myxtts.models.xtts import XTTS

Terms = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Preview:
    """Something to look at and listen to: log-mels (F, M) by name, waves (N,) by name."""

    name: str
    mels: dict[str, np.ndarray] = field(default_factory=dict)
    waves: dict[str, np.ndarray] = field(default_factory=dict)
    sample_rate: int = 0


class Task(abc.ABC):
    """One network's training. Stateless but for the model: the trainer owns optimizers, steps and checkpoints."""

    stage: str  # section of config.training, and name of the DVC stage
    components: tuple[str, ...]  # parts of XTTS that this stage trains and saves
    monitor: str  # validation value that chooses the best checkpoint; lower is better

    def __init__(self, config: XTTSConfig, model: XTTS, cache: Path):
        """`cache`: a folder that is the task's own, for what it computes once."""
        self.config, self.model, self.cache = config, model, cache

    def open(self, path: Path) -> None:
        """Reads what the task must know of its training data before variables are made."""
        del path

    @property
    def settings(self) -> StageTraining:
        return getattr(self.config.training, self.stage)

    @property
    @abc.abstractmethod
    def objectives(self) -> dict[str, list[keras.Variable]]:
        """{objective: variables it trains}, in the order they are updated within a step."""

    @property
    def networks(self) -> list[keras.Model]:
        """What this stage trains, and so computes in the precision asked for."""
        return [getattr(self.model, name) for name in self.components]

    @property
    def activation_bytes(self) -> int:
        """Bytes of one activation in the stage's precision."""
        return 4 if self.settings.precision == "float32" else 2

    @property
    def frozen_bytes(self) -> int:
        """Bytes of weights that are needed besides the trained ones."""
        return 0

    @property
    def state_variables(self) -> list[keras.Variable]:
        """Everything else that a step changes: codebooks, batch-norm statistics, dropout seeds."""
        trained = {id(variable) for variables in self.objectives.values() for variable in variables}
        return [variable for network in self.networks for variable in network.variables if id(variable) not in trained]

    @abc.abstractmethod
    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        """The stage's batches of split `train` or `eval` in `path`."""

    @abc.abstractmethod
    def bytes_per_example(self, path: Path) -> int:
        """Predicted activation memory of one clip of the longest bucket, in bytes."""

    @abc.abstractmethod
    def targets(self, batch: Batch) -> Terms:
        """How many targets the whole batch has, by kind. Losses divide by these, so splitting a batch changes nothing."""

    @abc.abstractmethod
    def loss(self, objective: str, batch: Batch, counts: Terms) -> tuple[tf.Tensor, Terms, Terms]:
        """(what to minimise, named loss terms unweighted, statistics for `after_step`), in training mode."""

    def combine(self, earlier: Terms, later: Terms) -> Terms:
        """Statistics of two micro-batches -> of both."""
        return tf.nest.map_structure(lambda a, b: a + b, earlier, later)

    def after_step(self, statistics: Terms, number: tf.Tensor) -> None:
        """Updates what has no gradient (the codebook). `number` counts the updates: a seed that a resumed run repeats."""
        del statistics, number

    @abc.abstractmethod
    def validation(self, batch: Batch) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """{name: (sum, count)} over the batch, in inference mode."""

    def finish(self, values: dict[str, float]) -> dict[str, float]:
        """Last touch on averaged validation values (differences, ratios)."""
        return values

    @abc.abstractmethod
    def previews(self, path: Path) -> list[Preview]:
        """Pictures and audio of fixed validation clips."""
