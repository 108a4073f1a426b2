"""Checkpoints of a training stage: written atomically, restored strictly, the newest N and the best kept."""

import json
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from filelock import FileLock, Timeout

from myxtts.config import ModelError, MyXTTSError


@dataclass(frozen=True)
class Saved:
    """One checkpoint on disk."""

    step: int
    path: Path

    def state(self) -> dict[str, Any]:
        return json.loads((self.path / "state.json").read_text(encoding="utf-8"))


class CheckpointFolder:
    """`ckpt-<step>/` folders of one stage. A variable is known by its path; both sides must have the same paths and shapes."""

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep
        folder.mkdir(parents=True, exist_ok=True)

    def lock(self) -> FileLock:
        """Lock of the folder, to be held by the trainer that uses it. Raises MyXTTSError if another process holds it."""
        lock = FileLock(self.folder / "trainer.lock")
        owner = self.folder / "trainer.pid"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = owner.read_text().strip() if owner.is_file() else "unknown"
            raise MyXTTSError(f"another trainer (process {pid}) is using {self.folder}: wait for it or stop it (kill {pid})") from None
        owner.write_text(str(os.getpid()))
        return lock

    def all(self) -> list[Saved]:
        """Complete checkpoints, oldest first."""
        folders = [path for path in self.folder.glob("ckpt-*") if (path / "state.json").is_file()]
        return sorted((Saved(int(path.name.removeprefix("ckpt-")), path) for path in folders), key=lambda saved: saved.step)

    def latest(self) -> Saved | None:
        saved = self.all()
        return saved[-1] if saved else None

    def best(self) -> Saved | None:
        """The checkpoint with the lowest monitored value, or None if none was validated."""
        scored = [(saved.state().get("monitored"), saved) for saved in self.all()]
        scored = [(value, saved) for value, saved in scored if value is not None and math.isfinite(value)]
        return min(scored, key=lambda pair: (pair[0], pair[1].step))[1] if scored else None

    def save(self, step: int, variables: dict[str, tf.Variable], state: dict[str, Any]) -> Saved:
        """Writes a checkpoint into a temporary folder, then renames it: a reader sees all of it or nothing."""
        target = self.folder / f"ckpt-{step:08d}"
        partial = self.folder / f".partial-{step:08d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        state = {**state, "step": step, "variables": _shapes(variables)}
        try:
            tf.train.Checkpoint(variables=list(variables.values())).write(str(partial / "weights"))
            (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise MyXTTSError(
                f"checkpoint {target} could not be written ({error}): free disk space, then run the same command again; "
                "it goes on from the checkpoint before"
            ) from error
        self._prune()
        return Saved(step, target)

    def _prune(self) -> None:
        best = self.best()
        for saved in self.all()[: -self.keep]:
            if best is None or saved.step != best.step:
                shutil.rmtree(saved.path)

    def restore(self, saved: Saved, variables: dict[str, tf.Variable]) -> dict[str, Any]:
        """Loads a checkpoint into `variables` and returns its state. Raises ModelError naming what is missing, extra or misshapen."""
        state = saved.state()
        compare_shapes(state["variables"], _shapes(variables), saved.path)
        status = tf.train.Checkpoint(variables=list(variables.values())).read(str(saved.path / "weights"))
        status.assert_consumed()
        return state


def compare_shapes(stored: dict[str, list], wanted: dict[str, list], source: Path) -> None:
    """Raises ModelError unless both sides hold the same variables in the same shapes."""
    problems = [f"missing {name} {shape}" for name, shape in wanted.items() if name not in stored]
    problems += [f"unexpected {name} {shape}" for name, shape in stored.items() if name not in wanted]
    problems += [f"{name}: stored {stored[name]}, expected {shape}" for name, shape in wanted.items() if stored.get(name, shape) != shape]
    if problems:
        raise ModelError(f"{source} does not fit this model ({len(problems)} differences): " + "; ".join(problems[:8]))


def _shapes(variables: dict[str, tf.Variable]) -> dict[str, list]:
    return {name: [int(size) for size in variable.shape] for name, variable in variables.items()}


def named_variables(prefix: str, variables: list[keras.Variable | tf.Variable]) -> dict[str, tf.Variable]:
    """{"prefix/number:path": tf.Variable}. The number keeps names apart that Keras gave twice.

    Keras numbers nameless seed generators through the whole process; that number says nothing of the model.
    """
    named = {}
    for number, variable in enumerate(variables):
        path = variable.path if isinstance(variable, keras.Variable) else variable.name
        path = re.sub(r"^seed_generator_\d+/", "seed_generator/", path)
        named[f"{prefix}/{number}:{path}"] = variable.value if isinstance(variable, keras.Variable) else variable
    return named
