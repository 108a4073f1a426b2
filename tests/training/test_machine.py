"""What a machine offers a training."""

import os

import psutil
import pytest

from myxtts.config.stages import HardwareConfig
from myxtts.training import machine
from myxtts.training.machine import detect
from myxtts.training.memory import GB


@pytest.mark.parametrize(
    ("flags", "onednn", "expected"),
    [("fpu avx512_bf16 amx", "1", True), ("fpu amx_bf16", "1", True), ("fpu avx512f avx2", "1", False), ("fpu avx512_bf16", "0", False)],
)
def test_bfloat16_of_a_cpu_is_read_from_its_instructions(tmp_path, monkeypatch, flags, onednn, expected):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    assert not machine.cpu_bfloat16()  # no such file, as on a Mac
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: one\nflags\t\t: {flags}\nprocessor\t: 1\nflags\t\t: {flags}\n")
    assert machine.cpu_bfloat16() == expected


def test_detect_reads_this_machine_and_takes_the_override():
    assert detect(HardwareConfig()).cpus >= 1
    assert detect(HardwareConfig(memory_gb=3.5)).memory_gb == 3.5


def test_memory_is_what_is_free_and_what_this_process_holds_already(monkeypatch, tmp_path):
    """A prediction counts all that the process will hold, libraries included: free memory alone would count these twice."""
    monkeypatch.setattr(machine, "CGROUP", tmp_path / "none")
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8 * GB, "total": 16 * GB}))
    held = psutil.Process().memory_info().rss / GB
    assert detect(HardwareConfig()).memory_gb == pytest.approx(8 + held, abs=0.2)
    assert detect(HardwareConfig(), neighbours=4).memory_gb == pytest.approx(2 + held, abs=0.2)


@pytest.mark.parametrize(
    ("group", "folder", "files", "free"),
    [
        (
            "0::/job",
            "job",
            {"memory.max": "3000000000", "memory.current": "2000000000", "memory.stat": "anon 5\ninactive_file 500000000"},
            1.5e9,
        ),
        (
            "0::/job/step",
            "job",
            {"memory.max": "3000000000", "memory.current": "1000000000", "memory.stat": "anon 5"},
            2e9,
        ),  # its parent's limit
        ("0::/", "", {"memory.max": "max", "memory.current": "1", "memory.stat": "anon 5"}, None),
        (
            "7:cpu:/x\n4:memory:/docker/abc",  # the host's path, of which a container sees nothing
            "memory",
            {"memory.limit_in_bytes": "3000000000", "memory.usage_in_bytes": "1000000000", "memory.stat": "total_inactive_file 1000000"},
            2.001e9,
        ),
    ],
)
def test_the_limit_of_a_container_is_the_limit(monkeypatch, tmp_path, group, folder, files, free):
    monkeypatch.setattr(machine, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    (tmp_path / "cgroup").write_text(group + "\n")
    place = tmp_path / "groups" / folder
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text + "\n")
    assert list(machine._room_in_cgroups()) == ([] if free is None else [free])
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8 * GB, "total": 16 * GB}))
    held = psutil.Process().memory_info().rss / GB
    assert detect(HardwareConfig()).memory_gb == pytest.approx(held + (8 if free is None else free / GB), abs=0.2)


def test_a_gpu_offers_what_is_free_and_what_is_held_and_only_those_that_train_count(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [type("GPU", (), {"name": f"/gpu:{n}"}) for n in range(2)])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": (9, 0) if gpu.name[-1] == "0" else (7, 5)}
    )
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": GB // 2, "peak": GB})
    memory = type("Memory", (), {})
    processes = []
    nvml = type("NVML", (), {
        "nvmlInit": staticmethod(lambda: None),
        "nvmlDeviceGetHandleByIndex": staticmethod(lambda index: index),
        "nvmlDeviceGetHandleByUUID": staticmethod(lambda name: {"GPU-a": 0, "GPU-b": 1}[name]),
        "nvmlDeviceGetComputeRunningProcesses": staticmethod(lambda index: processes),
        "nvmlDeviceGetMemoryInfo": staticmethod(lambda index: type("Info", (memory,), {"free": (20, 4)[index] * GB})),
    })  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    one = detect(HardwareConfig(), used_gpus=1)
    assert (one.gpus, one.memory_gb, one.bfloat16) == (2, 21, True)
    both = detect(HardwareConfig())
    assert (both.memory_gb, both.bfloat16) == (5, False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b,GPU-a")
    assert detect(HardwareConfig(), used_gpus=1).memory_gb == 5
    processes.append(type("Process", (), {"pid": os.getpid(), "usedGpuMemory": 3 * GB}))
    assert detect(HardwareConfig(), used_gpus=1).memory_gb == 7
