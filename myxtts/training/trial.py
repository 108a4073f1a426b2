"""A step's peak memory, measured: what the prediction of `memory` is compared with before a training starts."""

import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from myxtts.training.hardware import Suggestion
from myxtts.training.machine import Machine
from myxtts.training.memory import GB
from myxtts.training.step import TrainStep

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TOO_FULL = 0.97  # of the machine's memory: beyond, the next allocation may be the one that kills the process


class OutOfMemory(Exception):
    """The trial step did not fit."""


def prove(
    suggestion: Suggestion, rehearse: Callable[[], float], take: Callable[[Suggestion], None], any_worker: Callable[[bool], bool]
) -> Suggestion:
    """The suggestion, backed off to smaller micro-batches until a step fits, with its measured peak.

    rehearse: runs a step, returns its peak in GB or raises OutOfMemory. take: makes the steps of another suggestion. any_worker: True if
    the flag is True for any worker. Raises ConfigError where not even one clip fits.
    """
    while True:
        trouble, peak = None, 0.0
        try:
            peak = rehearse()
        except OutOfMemory as error:
            trouble = str(error)
        if not any_worker(trouble is not None):
            predicted = suggestion.predicted_gb
            return suggestion.with_reason(
                f"a trial step on the longest bucket took {peak:.2f} GB at its peak; {predicted:.2f} GB were predicted", measured_gb=peak
            )
        suggestion = suggestion.smaller(trouble or "another worker ran out of memory")
        take(suggestion)


def rehearse(step: TrainStep, batch: Any, moving: Sequence[keras.Variable], machine: Machine) -> float:
    """Peak memory in GB of a step on `batch` that changes nothing. moving: what a step changes beside its update, and is put back.

    Raises OutOfMemory.
    """
    variables = [variable.value for variable in moving]
    before = [tf.identity(variable) for variable in variables]
    try:
        return measure(lambda: [value.numpy() for value in step.rehearse(batch).values()], machine.gpus, machine.memory_gb)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def measure(step: Callable[[], Any], gpus: int, memory_gb: float) -> float:
    """Runs `step`, which waits for its own results; returns the peak in GB, of the process (CPU) or of the fullest GPU.

    Raises OutOfMemory where the device refused, or the RAM was all but full.
    """
    _reset_peak(gpus)
    try:
        step()
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemory(f"TensorFlow ran out of memory: {str(error.message).splitlines()[0][:200]}") from None
    except tf.errors.InternalError as error:  # cuDNN and cuBLAS say so in their own words
        if "memory" not in str(error.message).lower() and "ALLOC_FAILED" not in str(error.message):
            raise
        raise OutOfMemory(f"the GPU's libraries ran out of memory: {str(error.message).splitlines()[0][:200]}") from None
    peak = peak_gb(gpus)
    if not gpus and peak > TOO_FULL * memory_gb:
        raise OutOfMemory(f"the trial step's peak was {peak:.1f} GB of {memory_gb:.1f} GB")
    return peak


def _reset_peak(gpus: int) -> None:
    for number in range(gpus):
        tf.config.experimental.reset_memory_stats(f"GPU:{number}")
    if not gpus and CLEAR.exists():
        try:
            CLEAR.write_text("5")  # Linux: the high-water mark begins anew
        except OSError:  # a container may forbid it; the peak since the start of the process is then what there is
            return


def peak_gb(gpus: int) -> float:
    """Highest memory since the last reset."""
    if gpus:
        return max(tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"] for number in range(gpus)) / GB
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / GB
    # kilobytes on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / GB
