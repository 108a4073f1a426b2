"""Several devices and several workers train as one does: member.py in processes of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from myxtts.config import ConfigError
from myxtts.config.stages import HardwareConfig
from myxtts.training.scale import Crew, make_strategy

MEMBER = Path(__file__).with_name("member.py")


def start(
    folder: Path, records: Path, stage: str, devices: int = 1, steps: int = 8, task: dict | None = None, memory: float | None = None
) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    if task:
        environment["TF_CONFIG"] = json.dumps(task)
    folder.mkdir(exist_ok=True)
    log = (folder / f"log-{task['task']['index'] if task else 0}.txt").open("w")
    command = [sys.executable, str(MEMBER), str(folder), str(records), stage, str(devices), str(steps), *([str(memory)] if memory else [])]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def crew(
    folder: Path, records: Path, stage: str, steps: int = 8, memory: tuple[float | None, float | None] = (None, None)
) -> list[subprocess.Popen]:
    """Two workers on this machine."""
    sockets = [socket.socket() for _ in range(2)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{item.getsockname()[1]}" for item in sockets]
    for item in sockets:
        item.close()
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [start(folder, records, stage, steps=steps, task=task, memory=gb) for task, gb in zip(tasks, memory, strict=True)]


def finish(processes: list[subprocess.Popen], folder: Path) -> None:
    codes = [process.wait(1200) for process in processes]
    assert not any(codes), "\n".join(path.read_text()[-3000:] for path in folder.glob("log-*.txt"))


def points(folder: Path) -> dict[tuple[int, str], float]:
    found = {}
    for line in (folder / "log-0.txt").read_text().splitlines():
        if line.startswith("POINT "):
            row = json.loads(line.removeprefix("POINT "))
            for name, value in row["values"].items():
                assert (row["step"], name) not in found
                found[row["step"], name] = value
    return found


def weights(folder: Path, stage: str) -> dict[str, np.ndarray]:
    with h5py.File(folder / "final" / f"{stage}.weights.h5") as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return found


def assert_same_training(one: Path, many: Path, stage: str) -> None:
    alone, together = points(one), points(many)
    assert alone.keys() == together.keys()
    assert len(alone) > 20
    for key, value in alone.items():
        if key[1] == "val/codes_used_per_batch":  # of each device's share
            continue
        assert together[key] == pytest.approx(value, rel=2e-3, abs=2e-3), key
    trained = weights(many, stage)
    for name, value in weights(one, stage).items():
        np.testing.assert_allclose(trained[name], value, atol=2e-3, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tokens, mels) -> Callable[[str], Path]:
    """A stage's training by one worker on one device, made once."""

    @cache
    def make(stage: str) -> Path:
        folder = tmp_path_factory.mktemp(f"alone-{stage}")
        finish([start(folder, tokens if stage == "gpt" else mels, stage)], folder)
        return folder

    return make


@pytest.mark.parametrize("stage", ["gpt", pytest.param("dvae", marks=pytest.mark.slow)])
def test_two_devices_train_as_one(tmp_path, alone, tokens, mels, stage):
    finish([start(tmp_path, tokens if stage == "gpt" else mels, stage, devices=2)], tmp_path)
    assert "2 replicas" in (tmp_path / "log-0.txt").read_text()
    assert_same_training(alone(stage), tmp_path, stage)


@pytest.mark.parametrize("stage", ["gpt", pytest.param("dvae", marks=pytest.mark.slow)])
def test_two_workers_train_as_one_and_only_the_chief_writes(tmp_path, alone, tokens, mels, stage):
    finish(crew(tmp_path, tokens if stage == "gpt" else mels, stage), tmp_path)
    assert_same_training(alone(stage), tmp_path, stage)
    second = (tmp_path / "log-1.txt").read_text()
    assert "END 1 of 2" in second
    assert "POINT" not in second
    assert not any(word in second for word in ("val:", "train:"))


@pytest.mark.slow
def test_workers_of_unlike_memory_split_the_batch_alike(tmp_path, tokens):
    """Left to themselves one would take 2 x 1 and the other 1 x 2, and validate in batches that do not match."""
    finish(crew(tmp_path, tokens, "gpt", steps=2, memory=(16, 0.1)), tmp_path)
    for index in range(2):
        assert "SPLIT 1 x 2, 2 neighbours" in (tmp_path / f"log-{index}.txt").read_text()


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_both_at_one_step_and_they_go_on(tmp_path, tokens):
    processes = crew(tmp_path, tokens, "gpt", steps=400)
    wait_for(tmp_path, '"step": 20,')
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(1200) for process in processes] == [1, 1]  # Interrupted, which member.py does not catch
    steps = {re.search(r"saved step (\d+)", (tmp_path / f"log-{index}.txt").read_text())[1] for index in range(2)}
    assert len(steps) == 1
    (step,) = steps
    finish(crew(tmp_path, tokens, "gpt", steps=int(step) + 4), tmp_path)
    assert f"(step {step}, epoch" in (tmp_path / "log-0.txt").read_text()


def wait_for(folder: Path, text: str) -> None:
    for _ in range(1200):
        if text in (folder / "log-0.txt").read_text():
            return
        time.sleep(0.1)
    raise AssertionError((folder / "log-0.txt").read_text()[-3000:])


def test_a_cluster_that_is_no_json_is_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{worker: 1}")
    with pytest.raises(ConfigError, match="TF_CONFIG must be JSON as in"):
        make_strategy(HardwareConfig())


def test_one_worker_is_its_own_crew():
    alone = Crew(make_strategy(HardwareConfig()))
    assert (alone.is_chief, alone.shard, alone.replicas) == (True, (0, 1), 1)
    assert [alone.any(flag) for flag in (True, False)] == [True, False]


DRAWS = """
import os; os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import myxtts.training.scale
from myxtts.models.layers import SeedGenerator
strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU"))
with strategy.scope():
    ours, plain = SeedGenerator(7), keras.random.SeedGenerator(7)
draw = tf.function(lambda: strategy.run(lambda: (ours.next(), plain.next())))
for _ in range(2):
    drawn, original = (strategy.experimental_local_results(seed) for seed in draw())
    print(*(seed.numpy().tolist() for seed in (*drawn, *original)), sep=" / ")
"""


def test_each_replica_drops_elsewhere():
    done = subprocess.run([sys.executable, "-c", DRAWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    steps = [line.split(" / ") for line in done.stdout.splitlines()]
    assert len(steps) == 2
    for first, second, original, same in steps:
        assert first == original == same
        assert second != first
    assert len({seed for step in steps for seed in step}) == 4
