"""Checkpoints of a training: written atomically, verified and restored strictly; the newest, the best and every K-th are kept."""

import contextlib
import hashlib
import itertools
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
from filelock import AcquireReturnProxy, FileLock, Timeout

from myxtts.config import ModelError, MyXTTSError
from myxtts.config.stages import LoopConfig

STATE = "state.json"
LOSS_SCALE = "loss_scale/"  # of names of variables that only float16 has: the number format may change when a training goes on


class CheckpointError(MyXTTSError):
    """A checkpoint could not be written. Training may go on; the checkpoints before it are whole."""


class DamagedCheckpoint(ModelError):
    """A checkpoint's files are not what was written."""


@dataclass(frozen=True)
class Saved:
    """One checkpoint on disk."""

    step: int
    path: Path

    def state(self) -> dict[str, Any]:
        """What was kept beside the weights. Raises DamagedCheckpoint."""
        try:
            return json.loads((self.path / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedCheckpoint(f"checkpoint {self.path} is damaged: {STATE} cannot be read ({error})") from None

    def verify(self) -> None:
        """Raises DamagedCheckpoint where a file is missing, or is not the one that was written."""
        for name, digest in self.state()["files"].items():
            path = self.path / name
            if not path.is_file():
                raise DamagedCheckpoint(f"checkpoint {self.path} is damaged: {name} is missing")
            if _digest(path) != digest:
                raise DamagedCheckpoint(f"checkpoint {self.path} is damaged: {name} is not what was written")


class CheckpointFolder:
    """`ckpt-<step>/` folders of one training. A variable is known by its path; both sides must have the same paths and shapes."""

    def __init__(self, folder: Path, loop: LoopConfig):
        self.folder, self.loop = folder, loop
        self._monitored: dict[int, float | None] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def lock(self) -> AcquireReturnProxy:
        """Takes the lock of the folder until the `with` block of what is returned ends, or until it is no longer kept.

        A process that holds it already gets it again. Raises MyXTTSError if another process holds it. Whoever gets it also clears away
        what a killed trainer left half written or half deleted.
        """
        lock = FileLock(self.folder / "trainer.lock", is_singleton=True)
        owner = self.folder / "trainer.pid"
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            pid = owner.read_text().strip() if owner.is_file() else "unknown"
            raise MyXTTSError(f"another trainer (process {pid}) is using {self.folder}: wait for it or stop it (kill {pid})") from None
        owner.write_text(str(os.getpid()))
        for left in (*self.folder.glob(".gone-*"), *self.folder.glob(".partial-*")):
            shutil.rmtree(left, ignore_errors=True)
        return held

    def all(self) -> list[Saved]:
        """Complete checkpoints, oldest first."""
        folders = [path for path in self.folder.glob("ckpt-*") if (path / STATE).is_file()]
        return sorted((Saved(int(path.name.removeprefix("ckpt-")), path) for path in folders), key=lambda saved: saved.step)

    def latest(self) -> Saved | None:
        saved = self.all()
        return saved[-1] if saved else None

    def newest_state(self) -> dict[str, Any]:
        """What was kept beside the newest checkpoint's weights; empty where there is none."""
        try:
            saved = self.latest()
            return saved.state() if saved else {}
        except DamagedCheckpoint:  # `restore_newest` will name it
            return {}

    def best(self) -> Saved | None:
        """The checkpoint with the lowest monitored value, or None if none was validated."""
        scored = [(self._score(saved), saved) for saved in self.all()]
        scored = [(value, saved) for value, saved in scored if value is not None and math.isfinite(value)]
        return min(scored, key=lambda pair: (pair[0], pair[1].step))[1] if scored else None

    def _score(self, saved: Saved) -> float | None:
        if saved.step not in self._monitored:
            try:
                self._monitored[saved.step] = saved.state().get("monitored")
            except DamagedCheckpoint:
                self._monitored[saved.step] = None
        return self._monitored[saved.step]

    def save(self, step: int, variables: dict[str, tf.Variable], state: dict[str, Any]) -> Saved:
        """Writes a checkpoint into a temporary folder, has it on the disk, then renames it: a reader sees all of it or nothing.

        One of this step that is there already has the same weights: only its state is replaced. Raises CheckpointError.
        """
        target = self.folder / f"ckpt-{step:08d}"
        if (target / STATE).is_file():
            with contextlib.suppress(DamagedCheckpoint):  # then it is written anew
                return self._update(Saved(step, target), state)
        partial = self.folder / f".partial-{step:08d}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            tf.train.Checkpoint(variables=list(variables.values())).write(str(partial / "weights"))
            files = {path.name: _digest(path) for path in sorted(partial.iterdir())}
            state = {**state, "step": step, "variables": _shapes(variables), "files": files}
            (partial / STATE).write_text(json.dumps(state), encoding="utf-8")
            for path in (*partial.iterdir(), partial):
                _to_disk(path)
            if target.exists():  # without its state, or with one that cannot be read
                self._put_aside(target)
            partial.rename(target)
            _to_disk(self.folder)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {target} could not be written ({error}): free disk space, or correct the permissions of its folder"
            ) from error
        self._monitored[step] = state.get("monitored")
        self._prune()
        return Saved(step, target)

    def _update(self, saved: Saved, state: dict[str, Any]) -> Saved:
        """What is known of a checkpoint since it was written: it may have been validated."""
        kept = {name: value for name, value in saved.state().items() if name in ("step", "variables", "files")}
        part = saved.path / f".{STATE}"
        try:
            part.write_text(json.dumps({**state, **kept}), encoding="utf-8")
            _to_disk(part)
            part.replace(saved.path / STATE)
        except OSError as error:
            raise CheckpointError(f"{saved.path / STATE} could not be written ({error}): free disk space") from error
        self._monitored[saved.step] = state.get("monitored")
        return saved

    def _prune(self) -> None:
        best = self.best()
        for saved in self.all()[: -self.loop.keep_checkpoints]:
            every = self.loop.keep_every
            if (best is None or saved.step != best.step) and not (every and saved.step % every == 0):
                self._remove(saved.path)

    def _remove(self, path: Path) -> None:
        """Renamed first: a checkpoint that is killed half deleted must not look like one."""
        gone = self.folder / f".gone-{path.name}"
        shutil.rmtree(gone, ignore_errors=True)
        try:
            path.rename(gone)
        except OSError as error:
            print(f"warning: {path} is not needed any more but cannot be removed ({error})", flush=True)
        shutil.rmtree(gone, ignore_errors=True)

    def _put_aside(self, path: Path) -> Path:
        """Renames a checkpoint that is none any more to the first free `damaged-ckpt-…`."""
        names = itertools.chain([f"damaged-{path.name}"], (f"damaged-{path.name}-{number}" for number in itertools.count(2)))
        return path.rename(next(self.folder / name for name in names if not (self.folder / name).exists()))

    def restore(self, saved: Saved, variables: dict[str, tf.Variable]) -> dict[str, Any]:
        """Loads a checkpoint into `variables` and returns its state.

        Raises DamagedCheckpoint, or ModelError naming what is missing, extra or misshapen; nothing is changed then.
        """
        saved.verify()
        state = saved.state()
        stored, wanted = state["variables"], _shapes(variables)
        optional = {name for name in stored.keys() ^ wanted.keys() if name.startswith(LOSS_SCALE)}
        compare_shapes(*({n: shape for n, shape in side.items() if n not in optional} for side in (stored, wanted)), saved.path)
        # by their numbers in the checkpoint; what float16 alone has is read into a variable that nobody asks
        places = [variables[name] if name in variables else _spare(name) for name in stored]
        status = tf.train.Checkpoint(variables=places).read(str(saved.path / "weights"))
        status.assert_consumed()
        return state

    def restore_newest(self, variables: dict[str, tf.Variable], wanted: dict[str, Any]) -> tuple[Saved, dict[str, Any]] | None:
        """Restores the newest checkpoint that is whole; None where there is none at all.

        wanted: `batch_rows` and `features` of this training, see `check_same`. Damaged ones are named, and put aside as
        `damaged-ckpt-…`. Raises DamagedCheckpoint if all are: to start anew must be the user's decision.
        """
        damaged = []
        for path in sorted(self.folder.glob("ckpt-*")):
            if not (path / STATE).is_file():
                damaged.append(f"checkpoint {path} is damaged: {STATE} is missing")
                print(f"warning: {damaged[-1]}; it is put aside", flush=True)
                self._put_aside(path)
        for saved in reversed(self.all()):
            try:
                check_same(saved, saved.state(), **wanted)
                return saved, self.restore(saved, variables)
            except DamagedCheckpoint as error:
                damaged.append(str(error))
                print(f"warning: {error}; it is put aside and the one before it is used", flush=True)
                self._put_aside(saved.path)
        if damaged:
            raise DamagedCheckpoint(f"no checkpoint in {self.folder} is whole: " + "; ".join(damaged) + ". Start again in another folder")
        return None


def check_same(saved: Saved, state: dict[str, Any], batch_rows: int, features: dict[str, str]) -> None:
    """Raises MyXTTSError where a checkpoint does not belong to this training: another effective batch, or other inputs by name."""
    if state["batch_rows"] != batch_rows:
        raise MyXTTSError(
            f"{saved.path} was made with {state['batch_rows']} clips an update, now it is {batch_rows}: the place in the data would be "
            "lost; set effective_batch_size back (it is --batch-size times --grad-accum)"
        )
    differing = [name for name in features if state["features"].get(name, features[name]) != features[name]]
    if differing:
        raise MyXTTSError(
            f"{saved.path} was trained on other features ({', '.join(differing)} differ): weights and data no longer belong together; "
            f"bring the old data back (dvc checkout), or, to train this network anew, move {saved.path.parent} away"
        )


def compare_shapes(stored: dict[str, list], wanted: dict[str, list], source: Path) -> None:
    """Raises ModelError unless both sides hold the same variables in the same shapes."""
    problems = [f"missing {name} {shape}" for name, shape in wanted.items() if name not in stored]
    problems += [f"unexpected {name} {shape}" for name, shape in stored.items() if name not in wanted]
    problems += [f"{name}: stored {stored[name]}, expected {shape}" for name, shape in wanted.items() if stored.get(name, shape) != shape]
    if problems:
        raise ModelError(f"{source} does not fit this model ({len(problems)} differences): " + "; ".join(problems[:8]))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    """A file's content, or a folder's entries, survive a loss of power from here on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shapes(variables: dict[str, tf.Variable]) -> dict[str, list]:
    return {name: [int(size) for size in variable.shape] for name, variable in variables.items()}


def _spare(name: str) -> tf.Variable:
    return tf.Variable(0 if name.endswith("good_steps") else 0.0)


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
