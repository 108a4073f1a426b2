"""What the machine is, and how a stage's effective batch is split for it. Decides speed and memory, never the mathematics."""

import os
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from myxtts.config import ConfigError
from myxtts.config.stages import HardwareConfig, StageTraining

GB = 1024**3
MAX_WORKERS = 10  # more readers than this did not help any machine of ours


@dataclass(frozen=True)
class Machine:
    """`memory_gb` is what training may use: the smallest GPU's, or the free RAM without one."""

    gpus: int
    memory_gb: float
    cpus: int
    ram_gb: float


@dataclass(frozen=True)
class Suggestion:
    """One decision: micro-batch, accumulation, workers, and why."""

    batch_size: int
    grad_accum: int
    num_workers: int
    predicted_gb: float
    machine: Machine
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def detect(config: HardwareConfig) -> Machine:
    """Reads the machine; `config.memory_gb` overrides its memory."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    memory = config.memory_gb or psutil.virtual_memory().available / GB
    if gpus and not config.memory_gb:
        memory = min(_gpu_memory_gb(number) for number in range(len(gpus)))
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(len(gpus), memory, cpus, psutil.virtual_memory().total / GB)


def _gpu_memory_gb(number: int) -> float:
    """Free memory of the n-th visible GPU. Raises ConfigError where NVML cannot tell."""
    try:
        import pynvml

        pynvml.nvmlInit()
        visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip().isdigit()]
        index = int(visible[number]) if number < len(visible) else number
        return pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index)).free / GB
    except Exception as error:  # NVML's own errors derive from Exception alone, and the package may be missing
        raise ConfigError(
            f"the memory of GPU {number} cannot be read ({error}): install the extra `gpu` (nvidia-ml-py), or set hardware.memory_gb"
        ) from error


def allow_memory_growth() -> None:
    """TensorFlow takes GPU memory as it needs it, unless the user said otherwise. Before the first TensorFlow operation."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def split_batch(effective: int, most: int, replicas: int = 1) -> tuple[int, int]:
    """Largest micro-batch <= `most` that divides the effective batch of one replica -> (batch_size, grad_accum).

    Raises ConfigError where the effective batch cannot be shared evenly by the replicas.
    """
    if effective % replicas:
        raise ConfigError(f"effective_batch_size {effective} is not divisible by {replicas} devices: make it a multiple of {replicas}")
    each = effective // replicas
    size = max(size for size in range(1, each + 1) if each % size == 0 and size <= max(1, most))
    return size, each // size


def suggest(
    stage: StageTraining, hardware: HardwareConfig, machine: Machine, parameter_bytes: int, bytes_per_example: int, replicas: int = 1
) -> Suggestion:
    """Splits `stage.effective_batch_size` for the machine.

    `parameter_bytes`: trained and frozen weights; gradients and two Adam moments come on top. `bytes_per_example`: activations of one
    clip of the longest bucket, as the task predicts them.
    """
    reasons = []
    fixed = 4 * parameter_bytes
    budget = 0.85 * machine.memory_gb * GB - fixed
    most = int(max(1, budget // max(1, bytes_per_example)))
    reasons.append(
        f"{machine.memory_gb:.1f} GB for training ({'GPU' if machine.gpus else 'RAM, no GPU'}); weights, gradients and moments take "
        f"{fixed / GB:.2f} GB, a clip of the longest bucket {bytes_per_example / GB:.3f} GB: room for {most} clips"
    )
    if stage.batch_size:
        size, accum = split_batch(stage.effective_batch_size, stage.batch_size, replicas)
        if size != stage.batch_size:
            raise ConfigError(
                f"batch_size {stage.batch_size} does not divide effective_batch_size {stage.effective_batch_size} / {replicas} device(s): "
                f"use {size}, or change effective_batch_size"
            )
        reasons.append(f"batch_size {size} was given in params.yaml")
    else:
        size, accum = split_batch(stage.effective_batch_size, most, replicas)
        reasons.append(f"largest micro-batch that fits and divides {stage.effective_batch_size}: {size}, accumulated {accum} times")
    if machine.gpus > replicas:
        reasons.append(f"{replicas} of {machine.gpus} GPUs is used: the stages do not train over several yet")
    workers = hardware.num_workers or max(1, min(MAX_WORKERS, machine.cpus))
    reasons.append(
        f"{workers} data workers " + ("as given" if hardware.num_workers else f"for {machine.cpus} cores (at most {MAX_WORKERS})")
    )
    return Suggestion(size, accum, workers, (fixed + size * bytes_per_example) / GB, machine, tuple(reasons))
