"""`myxtts suggest` and `myxtts doctor`: what this machine, or another, would train with, and what is wrong with this one."""

import importlib.metadata
import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES

FREE_DISK_GB = 20  # a few checkpoints of the largest preset
OPEN_FILES = 1024
PACKAGES = ("tensorflow", "keras", "numpy", "mlflow", "dvc", "soundfile", "librosa", "tokenizers")
MATRIX = 1024  # rows of the timed product


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's. `remedy` is empty where all is well."""

    subject: str
    found: str
    remedy: str = ""


def suggestions(
    config: XTTSConfig, memory_gb: float | None, gpus: int | None, cpus: int | None, stages: tuple[str, ...] = TRAINED_STAGES
) -> dict[str, Any]:
    """The suggestion of each stage, for this machine with whatever is given put in its place.

    memory_gb: of each GPU, with `gpus` of them (default 1 as soon as memory_gb is given, a recent one with bfloat16; a CPU is taken for
    one without).
    """
    from myxtts.training.advice import advise
    from myxtts.training.machine import Machine, detect, usable_cpus

    if cpus is not None and cpus < 1:
        raise ConfigError(f"--cpus must be at least 1, it is {cpus}")
    if memory_gb is None and gpus is not None:
        raise ConfigError("--gpus asks about another machine than this one: give the memory of each of its GPUs too (--gpu-memory)")
    if memory_gb is None:
        machine = detect(config.hardware)
    else:
        machine = Machine(1 if gpus is None else gpus, memory_gb, usable_cpus(), memory_gb, bfloat16=gpus != 0)
    machine = replace(machine, cpus=cpus or machine.cpus)
    return {stage: advise(config, stage, machine) for stage in stages}


def describe(found: dict[str, Any]) -> str:
    """Suggestions as people read them."""
    lines = [f"does not fit into {item.machine.memory_gb:.1f} GB: {stage}" for stage, item in found.items() if not item.fits]
    for stage, suggestion in found.items():
        lines.append(
            f"{stage}: batch_size {suggestion.batch_size}, grad_accum {suggestion.grad_accum}, num_workers {suggestion.num_workers}, "
            f"prefetch {suggestion.prefetch}, precision {suggestion.precision}, rematerialise {suggestion.rematerialise}; "
            f"predicted {suggestion.predicted_gb:.1f} GB"
        )
        lines += [f"  - {reason}" for reason in suggestion.reasons]
    return "\n".join(lines)


def examine(root: Path) -> list[Finding]:
    """Everything that users get wrong, in the order in which it matters."""
    checks: tuple[Callable[[Path], Finding], ...] = (_gpu, _precision, _memory, _disk, _open_files, _versions, _matmul, _data_path)
    return [check(root) for check in checks]


def report(findings: list[Finding]) -> str:
    """The findings as a table, remedies below their lines."""
    lines = []
    for finding in findings:
        lines.append(f"{'!!' if finding.remedy else 'ok'}  {finding.subject:<12} {finding.found}")
        if finding.remedy:
            lines.append(f"{'':16} -> {finding.remedy}")
    return "\n".join(lines)


def _gpu(root: Path) -> Finding:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return Finding("GPU", f"{len(gpus)}: {', '.join(names)}; memory growth {os.environ['TF_FORCE_GPU_ALLOW_GROWTH']}")
    if os.environ.get("CUDA_VISIBLE_DEVICES", None) in ("", "-1"):
        return Finding("GPU", "none: CUDA_VISIBLE_DEVICES hides all", "unset CUDA_VISIBLE_DEVICES, or name a GPU in it (0)")
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return Finding("GPU", "none: no NVIDIA driver on this machine; training runs on the CPU")
    if not tf.test.is_built_with_cuda():
        return Finding("GPU", "a driver, but this TensorFlow is built without CUDA", "pip install 'myxtts[gpu]'")
    wanted = tf.sysconfig.get_build_info().get("cuda_version", "?")
    return Finding(
        "GPU",
        f"a driver, but TensorFlow (built for CUDA {wanted}) loads no GPU: its CUDA libraries are missing or do not fit the driver",
        "pip install 'myxtts[gpu]' brings the libraries; `nvidia-smi` shows the CUDA version that the driver allows",
    )


def _precision(root: Path) -> Finding:
    from myxtts.config.stages import HardwareConfig
    from myxtts.training.machine import detect

    try:
        machine = detect(HardwareConfig())
    except ConfigError as error:
        return Finding("precision", "unknown", str(error))
    if not machine.gpus:
        return Finding("precision", "bfloat16 and float32" if machine.bfloat16 else "float32: this CPU has no instructions for bfloat16")
    if machine.bfloat16:
        return Finding("precision", "bfloat16, float16 and float32")
    return Finding("precision", "float16 and float32: this GPU has no bfloat16 (compute capability below 8.0)")


def _memory(root: Path) -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 1024**3:.1f} of {memory.total / 1024**3:.1f} GB RAM free, {_cpus()} cores"
    return Finding("memory", found, "" if memory.available > 2 * 1024**3 else "close other programs: the demo alone needs 2 GB")


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free / 1024**3
    remedy = "" if free > FREE_DISK_GB else f"checkpoints of large models need {FREE_DISK_GB} GB: free some, or lower loop.keep_checkpoints"
    return Finding("disk", f"{free:.0f} GB free in {root}", remedy)


def _open_files(root: Path) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding("open files", f"{soft} (hard limit {hard})", "" if soft >= OPEN_FILES else f"ulimit -n {OPEN_FILES}")


def _versions(root: Path) -> Finding:
    """Installed versions, against what the package asks for."""
    from packaging.requirements import Requirement

    wanted = {item.name: item.specifier for item in map(Requirement, importlib.metadata.requires("myxtts") or ()) if item.marker is None}
    found, wrong = [], []
    for name in PACKAGES:
        version = importlib.metadata.version(name)
        found.append(f"{name} {version}")
        if name in wanted and version not in wanted[name]:
            wrong.append(f"{name}{wanted[name]}")
    return Finding("versions", ", ".join(found), f"pip install {' '.join(map(repr, wrong))}" if wrong else "")


def _matmul(root: Path) -> Finding:
    import tensorflow as tf

    x = tf.random.normal((MATRIX, MATRIX))
    product = tf.function(lambda x: tf.matmul(x, x))
    product(x)
    began = time.perf_counter()
    for _ in range(5):
        result = product(x)
    result.numpy()
    rate = 5 * 2 * MATRIX**3 / (time.perf_counter() - began) / 1e9
    return Finding("matmul", f"{rate:,.0f} GFLOP/s in float32, {MATRIX} x {MATRIX}")


def _data_path(root: Path) -> Finding:
    """Batches a second out of the project's token records, where there are some."""
    from myxtts.config import MyXTTSError
    from myxtts.data.batches import Flow
    from myxtts.data.gpt_batches import gpt_batches

    if not (root / "data" / "tokens" / "train.tfrecord").is_file():
        return Finding("data path", "no data/tokens here yet (dvc repro encode)")
    try:
        config = XTTSConfig.load(root / "params.yaml")
        batches = gpt_batches(config, root / "data" / "tokens", "train", 16, training=True, flow=Flow(_cpus()))
    except MyXTTSError as error:
        return Finding("data path", "cannot be read", str(error))
    count = min(50, max(10, len(batches)))
    began = time.perf_counter()
    for _ in batches.stream(0, count):
        pass
    rate = count * 16 / (time.perf_counter() - began)
    return Finding("data path", f"{rate:,.0f} clips/s with {_cpus()} workers")


def _cpus() -> int:
    from myxtts.training.machine import usable_cpus

    return usable_cpus()
