"""What the machine is that trains: its devices, their number formats, and how much memory a training may take."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from myxtts.config import ConfigError
from myxtts.config.stages import HardwareConfig
from myxtts.training.memory import GB

BFLOAT16_CAPABILITY = (8, 0)  # CUDA compute capability
# x86 instructions that multiply bfloat16 matrices; oneDNN, TensorFlow's library for them, uses either
BFLOAT16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}
CPUINFO, CGROUP, CGROUPS = Path("/proc/cpuinfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# of control groups, by their version: limit, usage, and the line of memory.stat that says what of it the kernel would give back
CGROUP_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


@dataclass(frozen=True)
class Machine:
    """`memory_gb` is what training may use, what it holds already included: of the smallest GPU that trains, or of the RAM without one.

    bfloat16: whether what trains, GPU or CPU, computes in it faster than in float32.
    """

    gpus: int
    memory_gb: float
    cpus: int
    ram_gb: float
    bfloat16: bool = False
    devices: tuple[str, ...] = ()


def detect(config: HardwareConfig, used_gpus: int | None = None, neighbours: int = 1) -> Machine:
    """Reads the machine; `config.memory_gb` overrides its memory.

    used_gpus: how many of the GPUs train (default: by `config.all_devices`). neighbours: workers on this machine, which share its cores
    and, without GPUs, its RAM. Raises ConfigError where a GPU's memory cannot be read.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    used = gpus[: used_gpus if used_gpus is not None else len(gpus) if config.all_devices else 1]
    memory = config.memory_gb or _room_in_ram(neighbours) / GB
    if used and not config.memory_gb:
        memory = min(_room_on_gpu(number) for number in range(len(used))) / GB
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capable = [detail.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY for detail in details[: len(used)]]
    names = tuple(f"{gpu.name} {detail.get('device_name', '')}".strip() for gpu, detail in zip(gpus, details, strict=True))
    devices = names or tuple(device.name for device in tf.config.list_physical_devices())
    cpus, ram = max(1, usable_cpus() // neighbours), psutil.virtual_memory().total / GB
    return Machine(len(gpus), memory, cpus, ram, all(capable) if gpus else cpu_bfloat16(), devices)


def usable_cpus() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_bfloat16() -> bool:
    """True if this CPU has instructions for bfloat16 and TensorFlow uses them; without them it is many times slower than float32.

    Read, not timed: a run must go on in the format that it began with, however busy the machine is. False where Linux does not tell.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" or not CPUINFO.exists():
        return False
    lines = (line for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    return bool(BFLOAT16_INSTRUCTIONS & set(next(lines, "").split()))


def _room_in_ram(neighbours: int) -> int:
    """Bytes that this process may hold, with what it holds already: its share of what is free to it and its neighbours."""
    free = min([psutil.virtual_memory().available, *_room_in_cgroups()])
    return free // neighbours + psutil.Process().memory_info().rss


def _room_in_cgroups() -> Iterator[int]:
    """Bytes left in each control group that limits this process, as a container or a batch system makes them. Linux only."""
    for line in CGROUP.read_text().splitlines() if CGROUP.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version, base = (1, CGROUPS / "memory") if controllers else (2, CGROUPS)
        inside = base / path.lstrip("/")
        # in a container the path may be the host's: the mount itself is then the container's own group
        for folder in (inside, *(parent for parent in inside.parents if parent.is_relative_to(base))):
            room = _room_in_cgroup(folder, *CGROUP_FILES[version])
            if room is not None:
                yield room


def _room_in_cgroup(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    try:
        most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not there, or not as we know it
        return None
    # version 1 writes a number near 2**63 where there is no limit: what comes of it is above what is free
    return None if most == "max" else max(0, int(most) - used + int(stat.get(reclaimable, 0)))


def named_gpus() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves to this process, by number or UUID; [] where it leaves all."""
    return [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]


def _room_on_gpu(number: int) -> int:
    """Bytes that this process may hold on the n-th visible GPU, with what it holds already. Raises ConfigError where NVML cannot tell."""
    import tensorflow as tf

    try:
        import pynvml

        pynvml.nvmlInit()
        names = named_gpus()
        name = names[number] if number < len(names) else str(number)
        handle = pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
        free = pynvml.nvmlDeviceGetMemoryInfo(handle).free
        mine = [process.usedGpuMemory for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if process.pid == os.getpid()]
    except Exception as error:  # NVML's own errors derive from Exception alone, and the package may be missing
        raise ConfigError(
            f"the memory of GPU {number} cannot be read ({error}): install the extra `gpu` (nvidia-ml-py), or set hardware.memory_gb"
        ) from error
    # TensorFlow keeps what it took; in a container, where NVML knows other numbers of processes, its peak is what is known of that
    held = tf.config.experimental.get_memory_info(f"GPU:{number}")
    return free + max(mine[0] or 0 if mine else 0, held["current"], held["peak"])
