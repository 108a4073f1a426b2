"""kill -9 at random moments: the weights at the end are those of an undisturbed training, to the bit, and every step is in MLflow once.

Thirty kills: `pytest -m slow tests/training/test_kill.py -s` (about five minutes).
"""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

TRAINEE = Path(__file__).with_name("trainee.py")


class Process:
    """A trainee and what it last said."""

    def __init__(self, folder: Path, tokens: Path, steps: int):
        folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(TRAINEE), str(folder), str(tokens), str(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self.lines: list[str] = []
        self.began = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("begin"):
                self.began.set()
        self.began.set()

    @property
    def doing(self) -> str:
        """The kind of the thing it began last."""
        kinds = [line.split()[0] for line in self.lines if line.split(" ")[0] in ("begin", "step", "validate", "save", "prune", "done")]
        return kinds[-1] if kinds else "starting"

    def wait_for(self, kind: str) -> None:
        """Until it begins something of that kind anew."""
        before = len(self.lines)
        while not any(line.startswith(kind) for line in self.lines[before:]) and self.process.poll() is None:
            time.sleep(0.0005)

    def finish(self) -> None:
        status = self.process.wait(1200)
        self.reader.join(60)
        assert status == 0, "\n".join(self.lines[-40:])


def kill_at_random(folder: Path, tokens: Path, steps: int, kills: int, seed: int) -> Counter:
    """Starts, kills, starts again; lets the last one finish. Returns what the killed were doing."""
    chance, doing = random.Random(seed), Counter()
    for number in range(kills):
        process = Process(folder, tokens, steps)
        process.began.wait(600)
        wanted = ("save", None, "validate", "prune")[number % 4]
        if wanted:  # within what it does seldom and shortly; the first time there is a checkpoint already
            process.wait_for(wanted)
            if not number:
                process.wait_for(wanted)
            time.sleep(chance.uniform(0.0, 0.02))
        else:
            time.sleep(chance.uniform(0.0, 1.2))
        process.process.kill()
        process.process.wait()
        assert process.doing != "done", f"over after {number} kills: give it more steps"
        doing[process.doing] += 1
    last = Process(folder, tokens, steps)
    last.finish()
    steps_taken = [int(line.split()[1]) for line in last.lines if line.startswith("step ")]
    assert steps_taken[0] > 1 and steps_taken[-1] == steps, "it went on from a checkpoint"
    return doing


def tensors(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return found


def assert_same_and_logged_once(straight: Path, killed: Path, steps: int) -> None:
    ours, theirs = (tensors(folder / "final" / "gpt.weights.h5") for folder in (straight, killed))
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)
    histories = [metric_histories(folder) for folder in (straight, killed)]
    for history in histories:
        assert [step for step, _ in history["train/mel_loss"]] == list(range(1, steps + 1))
        assert all(len(points) == len({step for step, _ in points}) for points in history.values())
    assert histories[0] == histories[1]


def metric_histories(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of the losses of the one run in a folder's store, in their order."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len(runs) == 1
    assert runs[0].info.status == "FINISHED"
    keys = [key for key in runs[0].data.metrics if key.startswith(("train/", "val/"))]
    return {
        key: sorted((metric.step, metric.value) for metric in client.get_metric_history(runs[0].info.run_id, key)) for key in sorted(keys)
    }


def run(tmp_path: Path, tokens: Path, steps: int, kills: int, seed: int) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    Process(straight, tokens, steps).finish()
    print(f"\nkilled {kills} times:", dict(kill_at_random(killed, tokens, steps, kills, seed)))
    assert_same_and_logged_once(straight, killed, steps)


def test_a_kill_while_a_checkpoint_is_written(tmp_path, tokens):
    run(tmp_path, tokens, steps=30, kills=1, seed=1)


@pytest.mark.slow
def test_thirty_kills(tmp_path, tokens):
    run(tmp_path, tokens, steps=1500, kills=30, seed=2)
