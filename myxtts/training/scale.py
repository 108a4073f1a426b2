"""Several devices, several machines: which strategy trains, who writes, who reads which rows, and how all stop at the same step."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from myxtts.config import ConfigError
from myxtts.config.stages import HardwareConfig
from myxtts.data.batches import Batch
from myxtts.models.layers import SeedGenerator
from myxtts.training.checkpoint import CheckpointFolder
from myxtts.training.hardware import Needs
from myxtts.training.machine import Machine, named_gpus


def _replica() -> Any:
    """Number of the replica that runs this, among those of all workers; 0 where there is but one."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context else 0


SeedGenerator.replica = staticmethod(_replica)


def make_strategy(hardware: HardwareConfig) -> tf.distribute.Strategy:
    """MultiWorkerMirroredStrategy where TF_CONFIG names other workers, MirroredStrategy over several GPUs, else the default one.

    Before any other TensorFlow operation. Raises ConfigError for a TF_CONFIG that is not valid.
    """
    text = os.environ.get("TF_CONFIG")
    if text:
        try:
            cluster = json.loads(text)["cluster"]
            workers = sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                'TF_CONFIG must be JSON as in {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
                f'"task": {{"type": "worker", "index": 0}}}}; '
                f"it is {text[:200]!r} ({error!r})"
            ) from None
        if workers > 1:
            return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy() if len(devices) > 1 and hardware.all_devices else tf.distribute.get_strategy()


def set_determinism(hardware: HardwareConfig) -> None:
    """Same bits in every run, where `hardware.deterministic` asks for it; without its word, on a CPU alone, where it costs nothing."""
    wanted = hardware.deterministic
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU")
    if wanted:
        tf.config.experimental.enable_op_determinism()


def share_gpus(hardware: HardwareConfig) -> list[dict[str, str]]:
    """Environment of each of `hardware.workers` processes on this machine, in which it sees GPUs of its own, as many as every other.

    Raises ConfigError where there are fewer GPUs than workers.
    """
    found = len(tf.config.list_physical_devices("GPU"))
    if not found:
        return [{}] * hardware.workers
    if found < hardware.workers:
        raise ConfigError(
            f"hardware.workers {hardware.workers} on a machine with {found} GPU(s): give each worker one (--workers {found}), or leave "
            "--workers out: one process trains over all GPUs"
        )
    names = named_gpus() or [str(number) for number in range(found)]
    each = found // hardware.workers if hardware.all_devices else 1
    return [{"CUDA_VISIBLE_DEVICES": ",".join(names[index * each : (index + 1) * each])} for index in range(hardware.workers)]


class Crew:
    """The workers of one training, seen from one of them."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        resolver = strategy.cluster_resolver
        tasks = resolver.cluster_spec().as_dict() if resolver else {}
        order = [(kind, index) for kind in ("chief", "worker") for index in range(len(tasks.get(kind, [])))]
        self.workers = max(1, len(order))
        self.index = order.index((resolver.task_type, resolver.task_id)) if len(order) > 1 else 0
        self.replicas: int = strategy.num_replicas_in_sync
        hosts = [address.rpartition(":")[0] for kind, index in order for address in [tasks[kind][index]]]
        self.neighbours = Counter(hosts)[hosts[self.index]] if hosts else 1  # workers on this machine, itself included

    @property
    def is_chief(self) -> bool:
        """The one that writes checkpoints, reports and runs."""
        return self.index == 0

    @property
    def shard(self) -> tuple[int, int]:
        """Which part of each batch this worker reads."""
        return self.index, self.workers

    def lock(self, checkpoints: CheckpointFolder) -> Any:
        """The folder's lock, held by the chief for all."""
        return checkpoints.lock() if self.is_chief else contextlib.nullcontext()

    def distribute(self, batch: Batch) -> Any:
        """Rows of this worker's batch, shared among its devices."""
        local = self.replicas // self.workers
        if self.replicas == 1:
            return batch
        rows = next(iter(batch.values())).shape[0] // local

        def share(context: tf.distribute.ReplicaContext) -> Batch:
            number = context.replica_id_in_sync_group % local
            return {name: value[number * rows : (number + 1) * rows] for name, value in batch.items()}

        return self.strategy.experimental_distribute_values_from_function(share)

    def gather(self, values: list[float]) -> np.ndarray:
        """(workers, values): what each worker gave. All must call it; it waits for the last of them."""
        if self.workers == 1:
            return np.array([values], np.float64)
        mine = np.zeros((self.workers, len(values)))
        mine[self.index] = values
        local = self.replicas // self.workers

        def part(context: tf.distribute.ReplicaContext) -> tf.Tensor:
            first = context.replica_id_in_sync_group % local == 0  # the other devices of this worker have nothing to add
            return tf.constant(mine if first else np.zeros_like(mine))

        shares = self.strategy.experimental_distribute_values_from_function(part)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None).numpy()

    def any(self, flag: bool) -> bool:
        """True everywhere if `flag` is True anywhere. All workers must call it."""
        return bool(self.gather([float(flag)]).any())

    def agree(self, machine: Machine, needs: Needs) -> tuple[Machine, Needs]:
        """The least of all workers' machines and the most of their needs: all must split the batch alike."""
        rows = self.gather([machine.memory_gb, float(machine.bfloat16), float(needs.process)])
        least, most = rows.min(axis=0), rows.max(axis=0)
        return replace(machine, memory_gb=float(least[0]), bfloat16=bool(least[1])), replace(needs, process=int(most[2]))

    def together(self) -> None:
        """Waits for all workers."""
        self.any(False)

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """The chief runs the block while the others wait, then they do: what it leaves on the disk, they find."""
        if not self.is_chief:
            self.together()
        yield
        if self.is_chief:
            self.together()
