"""What the loop asks of a stage: its variables, its data, its losses and what it can show."""

import abc
import functools
import hashlib
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import tensorflow as tf

from myxtts.config import ConfigError, XTTSConfig
from myxtts.config.stages import StageTraining
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow
from myxtts.data.encode import IndexRow
from myxtts.models.precision import all_layers, set_precision
from myxtts.models.xtts import XTTS
from myxtts.training.hardware import Needs
from myxtts.training.optim import check_patterns, fits

Terms = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Preview:
    """Something to look at and listen to.

    mels: log-mels (F, M) by name; alignments: attention of codes to text (S, T) by name; waves: (N,) by name, at sample_rate Hz;
    recording: the file of the clip itself, where there is one; facts: what a reader must know of it, as a table's row.
    """

    name: str
    mels: dict[str, np.ndarray] = field(default_factory=dict)
    waves: dict[str, np.ndarray] = field(default_factory=dict)
    sample_rate: int = 0
    alignments: dict[str, np.ndarray] = field(default_factory=dict)
    recording: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def of(self, row: IndexRow, folder: Path) -> "Preview":
        """Names the clip that it shows: `row` of the index in `folder`."""
        facts = {"clip": row.id, "language": row.language, "speaker": row.speaker, "text": row.text} | self.facts
        return replace(self, recording=folder / row.audio, facts=facts)


class Task(abc.ABC):
    """One network's training. Stateless but for the model: the trainer owns optimizers, steps and checkpoints."""

    stage: str  # section of config.training, and name of the DVC stage
    components: tuple[str, ...]  # parts of XTTS that this stage trains and saves
    monitor: str  # validation value that chooses the best checkpoint; lower is better

    def __init__(self, config: XTTSConfig, model: XTTS, cache: Path):
        """`cache`: a folder that is the task's own, for what it computes once."""
        self.config, self.model, self.cache = config, model, cache
        self._digests: dict[Path, str] = {}

    def compute(self, path: Path) -> None:
        """Makes what the task needs once and keeps in `cache`. Of several workers one does it while the others wait."""
        del path

    def open(self, path: Path) -> None:
        """Reads what the task must know of its training data before variables are made."""
        del path

    @property
    def settings(self) -> StageTraining:
        return getattr(self.config.training, self.stage)

    @property
    @abc.abstractmethod
    def trainable(self) -> dict[str, list[keras.Variable]]:
        """{objective: variables it could train}, in the order they are updated within a step."""

    @functools.cached_property
    def objectives(self) -> dict[str, list[keras.Variable]]:
        """`trainable` without what `frozen` names. Raises ConfigError for a pattern that fits nothing, or if nothing is left."""
        section, everything = f"training.{self.stage}", [v for variables in self.trainable.values() for v in variables]
        check_patterns(f"{section}.frozen", self.settings.frozen, everything)
        check_patterns(f"{section}.learning_rate_factors", self.settings.learning_rate_factors, everything)
        left = {
            objective: [v for v in variables if not any(fits(v, pattern) for pattern in self.settings.frozen)]
            for objective, variables in self.trainable.items()
        }
        for objective, variables in left.items():
            if not variables:
                raise ConfigError(f"{section}.frozen leaves nothing to train of the {objective}; start.frozen takes a whole stage over")
        return left

    @property
    def networks(self) -> list[keras.Model]:
        """What this stage trains, and so computes in the precision asked for."""
        return [getattr(self.model, name) for name in self.components]

    def prepare_networks(self, precision: str, rematerialise: str) -> None:
        """What they compute in from now on, and which activations they compute a second time (`hardware.rematerialise`)."""
        for network in self.networks:
            set_precision(network, precision)
        if self.recomputation != ("none",):
            self.model.gpt.rematerialise = rematerialise

    @property
    def needs(self) -> Needs:
        """What the stage asks of the memory."""
        trained = sum(math.prod(variable.shape) for variables in self.objectives.values() for variable in variables)
        used = sum(math.prod(variable.shape) for network in (*self.networks, *self.frozen_networks) for variable in network.variables)
        tensors = sum(len(variables) for variables in self.objectives.values())
        # what is in memory now, its libraries and data path, but for the weights, which are counted on their own
        process = psutil.Process().memory_info().rss - 4 * used
        return Needs(trained, max(0, used - trained), self.passes * tensors, self.clip_bytes, process, self.recomputation)

    @property
    def frozen_networks(self) -> list[keras.Model]:
        """Networks that are in memory but not trained."""
        return []

    passes = 1  # of a network in one step, which the compiled step holds each
    recomputation: tuple[str, ...] = ("none",)  # ways of `hardware.rematerialise` that the networks know

    @property
    def state_variables(self) -> list[keras.Variable]:
        """Everything else that a step changes: codebooks, batch-norm statistics, dropout seeds."""
        trained = {id(variable) for variables in self.objectives.values() for variable in variables}
        # weights that are frozen are among them: a checkpoint holds the whole network
        return [variable for network in self.networks for variable in network.variables if id(variable) not in trained]

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """Of these, what a step changes besides its update: seeds and running statistics."""
        return [variable for variable in self.state_variables if not variable.trainable or "seed" in variable.path]

    @property
    def running_statistics(self) -> list[keras.Variable]:
        """Of these, what the forward pass itself moves: a step that is skipped must not have moved it."""
        layers = [layer for network in self.networks for layer in all_layers(network)]
        return [
            variable
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in (layer.moving_mean, layer.moving_variance)
        ]

    def features(self, path: Path) -> dict[str, str]:
        """What the weights belong to, by name: a checkpoint is of no use with other inputs. path: folder of the training data."""
        norm = hashlib.sha256(np.ascontiguousarray(self.model.mel_norm, np.float32).tobytes()).hexdigest()[:16]
        return {"audio": self.config.model.audio.model_dump_json(), "mel_norm": norm, "records": self._content(path / "train.tfrecord")}

    def _content(self, path: Path) -> str:
        """Digest of a file, read once: it is asked for at every checkpoint."""
        if path not in self._digests:
            with path.open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        return self._digests[path]

    @abc.abstractmethod
    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        """The stage's batches of split `train` or `eval` in `path`."""

    @abc.abstractmethod
    def clip_bytes(self, bytes_each: int, rematerialise: str) -> int:
        """Predicted activation memory of one clip of the longest bucket, at `bytes_each` for an activation."""

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

    def hear(self, path: Path) -> dict[str, float]:
        """{name: mean} of held-out clips in `path` by what is no part of a graph, listening to whole waves; {} where there is nothing."""
        del path
        return {}

    def finish(self, values: dict[str, float]) -> dict[str, float]:
        """Last touch on averaged validation values (differences, ratios)."""
        return values

    @abc.abstractmethod
    def previews(self, path: Path) -> list[Preview]:
        """Pictures and audio of fixed validation clips."""
