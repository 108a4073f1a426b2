"""StageRun: what a stage tells MLflow. NullRun: the same methods, without MLflow."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config import TrackingError
from myxtts.tracking import offline
from myxtts.tracking.delivery import clean_key, is_refusal, send
from myxtts.tracking.offline import Away
from myxtts.tracking.spool import OUTBOX, Spool
from myxtts.tracking.store import main_checkout, make_client, unreachable
from myxtts.tracking.writer import MetricWriter

log = logging.getLogger("myxtts.tracking")
_LAST_COUNTS = ("tags", "status")  # kinds of rows of which the last is what holds
_OUTAGE_SECONDS = 30.0  # after a failure, that long everything goes straight to the spool


class StageRun:
    """One MLflow run that is being written.

    No method raises because of MLflow: what it does not take waits in the spool of `folder` and a warning says so.
    """

    def __init__(self, client, uri: str, run_id: str, experiment_id: str, stage: str, folder: Path, root: Path, flush_seconds: float):
        self.run_id, self.experiment_id, self.stage, self.uri = run_id, experiment_id, stage, uri
        self.model_id: str | None = None
        self.journal_id = run_id  # what the run is called in files beside its checkpoints
        self._client, self._folder, self._root = client, folder, root
        self.spool = Spool(folder)
        self.writer = MetricWriter(client, run_id, self.spool, flush_seconds)
        self._latest: dict[str, tuple[int, float, int]] = {}
        self._validation_set: tuple[str, str] | None = None
        self._down_until = 0.0

    @property
    def away(self) -> str:
        """Why MLflow does not know this run yet; "" where it does."""
        return self._client.reason if isinstance(self._client, Away) else ""

    def known_as(self, run_id: str) -> str:
        """MLflow's id of another run, which may have begun while it was away."""
        return offline.known_as(self._client, run_id)

    def params(self, values: Mapping[str, Any]) -> None:
        """Logs params (cut at 6000 characters). A value that differs from what the run already has becomes tag `changed.<key>`."""
        self._send("params", params={key: str(value) for key, value in values.items()})

    def tags(self, values: Mapping[str, Any]) -> None:
        """Sets tags (cut at 8000 characters)."""
        self._send("tags", tags={key: str(value) for key, value in values.items()})

    def metrics(self, values: Mapping[str, float], step: int, timestamp: int | None = None) -> None:
        """Queues metrics; they are sent every `tracking.flush_seconds`. NaN and infinity are counted in `train/nonfinite`.

        timestamp: ms, default now. A point with key, step, value and timestamp of one that the run has is stored once.
        """
        for key, (value, when) in self.writer.log(values, step, timestamp).items():
            self._latest[key] = (int(step), value, when)

    def flush(self) -> bool:
        """Metrics logged so far are at MLflow (True) or safe in the spool (False). Call it before a checkpoint is written."""
        return self.writer.flush()

    def image(self, key: str, array: np.ndarray, step: int) -> None:
        """Logs uint8 pixels (H, W, 3) or (H, W); MLflow shows the images of one key with a slider over steps."""
        if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
            raise ValueError(f"image {key!r} must be uint8 of shape (H, W) or (H, W, 3); it is {array.dtype} {array.shape}")
        from PIL import Image

        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "image.png"
            Image.fromarray(array).save(path)
            self._send("image", file=str(path), key=clean_key(key), step=int(step))

    def audio(self, name: str, wave: np.ndarray, sample_rate: int, step: int) -> str:
        """Logs a wave (N,) in [-1, 1] as `audio/step_<step>/<name>.wav`, which MLflow's page plays; returns that path."""
        import soundfile

        wave = np.clip(np.nan_to_num(np.asarray(wave, np.float32)), -1.0, 1.0)
        folder, file = f"audio/step_{step:08d}", f"{clean_key(name).replace('/', '_')}.wav"
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / file
            soundfile.write(path, wave, sample_rate, subtype="PCM_16")
            self._send("artifact", file=str(path), path=folder)
        return f"{folder}/{file}"

    def artifact(self, path: str | Path, folder: str = "") -> None:
        """Logs a file, or the content of a folder, under `folder` of the run's artifacts."""
        self._send("artifact", file=str(Path(path).resolve()), path=folder)

    def text(self, text: str, path: str) -> None:
        """Logs a text file."""
        self._send("text", text=text, path=path)

    def table(self, rows: Sequence[Mapping[str, Any]], path: str) -> None:
        """Appends rows to a table; `path` ends in .json."""
        if rows:
            self._send("table", rows=[dict(row) for row in rows], path=path)

    def dataset(
        self,
        name: str,
        digest: str,
        path: str,
        context: str,
        profile: Mapping[str, Any] | None = None,
        schema: Mapping[str, tuple[str, tuple[int | None, ...]]] | None = None,
    ) -> None:
        """Names data the run reads: a chip on its page. In context `validation`, checkpoint metrics are linked to it.

        profile: its figures (clips, hours, …); schema: field -> (dtype, shape), None = of any length.
        """
        digest = digest[:36]
        fields = {field: [dtype, [-1 if size is None else size for size in shape]] for field, (dtype, shape) in (schema or {}).items()}
        self._send("dataset", name=name, digest=digest, path=str(path), context=context, profile=dict(profile or {}), schema=fields)
        if context in ("validation", "eval", "evaluation"):
            self._validation_set = (name, digest)

    def checkpoint(
        self, step: int, folder: Path, metrics: Mapping[str, float], final: bool = False, timestamp: int | None = None
    ) -> str | None:
        """Records a checkpoint as MLflow model `ckpt-<step>`, without copying its bytes, with the metrics measured on it.

        timestamp: ms, of the points that the run has of these metrics at this step; by default those of the last `metrics`.

        Returns its model id; None while MLflow does not take it.
        """
        self.writer.flush()
        folder = Path(folder)
        tags = {"path": os.path.relpath(folder.resolve(), main_checkout(self._root)), "step": str(step), "stage": self.stage}
        tags |= {"final": str(final).lower(), "bytes": str(_size(folder))}
        if final:
            tags["md5"] = _md5(folder)
        points, now = [], int(time.time() * 1000) if timestamp is None else timestamp
        for key, value in metrics.items():
            if np.isfinite(value):
                known = self._latest.get(clean_key(key))
                # the point that the run already has is named again, not doubled: same key, step, value, time
                points.append([clean_key(key), float(value), known[2] if known and known[:2] == (step, float(value)) else now])
        model_id = self._send(
            "checkpoint",
            name=f"ckpt-{step:08d}",
            step=int(step),
            tags=tags,
            type=self.stage,
            experiment=self.experiment_id,
            dataset=self._validation_set,
            metrics=points,
        )
        if model_id:
            self.model_id = model_id
        return model_id

    def write_link(self, path: str | Path) -> None:
        """Writes `{"run_id", "model_id", "experiment_id"}`, by which later stages find the run."""
        write_json(Path(path), {"run_id": self.run_id, "model_id": self.model_id, "experiment_id": self.experiment_id})

    def finish(self, status: str) -> None:
        """Sends what waits and sets the end state."""
        self.writer.close()
        self._down_until = 0.0
        self._send("status", status=status, time=int(time.time() * 1000))
        self._deliver()

    def leave(self) -> None:
        """Sends what waits and leaves the run open, for whoever started it to end."""
        self.writer.close()
        self._deliver()

    def _reconnect(self) -> None:
        """A run that began while the server was away shows as soon as the server is back, not at its end."""
        if not self.away or time.monotonic() < self._down_until:
            return
        self._down_until = time.monotonic() + _OUTAGE_SECONDS
        self._deliver()

    def _deliver(self) -> None:
        if not self.spool.waiting() or unreachable(self.uri):
            return
        try:
            client = make_client(self._root) if self.away else self._client
        except TrackingError as error:  # it answers, and does not let us in: the spool stays
            log.warning("%s", error)
            return
        self.spool.deliver(client)
        if self.away and not self.spool.waiting():
            log.warning("MLflow answers: the run of %s is there now", self.stage)
            self._client = client
            self.writer.use(client)
            self._down_until = 0.0

    def _send(self, kind: str, **payload: Any) -> Any:
        row = {"kind": kind, "run": self.run_id, **payload}
        self._reconnect()
        down = self.away or time.monotonic() < self._down_until  # as was said already
        if down or (kind in _LAST_COUNTS and self.spool.waiting()):  # behind what waits: else that would overwrite it one day
            self._keep(row)
            return None
        try:
            if reason := unreachable(self.uri):
                raise ConnectionError(reason)
            return send(self._client, row, self._folder)
        except Exception as error:  # whatever MLflow, the network or an artifact store raises: a run must not end because of it
            if is_refusal(error):
                log.warning("MLflow refuses %s of run %s: %s", kind, self.run_id, error)
                return None
            log.warning("MLflow does not take %s (%s); it waits in %s", kind, error, self.spool.path)
            self._down_until = time.monotonic() + _OUTAGE_SECONDS
            self._keep(row)
            return None

    def _keep(self, row: dict[str, Any]) -> None:
        try:
            if "file" in row:
                row = {**row, "file": self._kept_file(Path(row["file"]))}
            self.spool.add([row])
        except (OSError, TypeError) as error:
            log.warning("%s of run %s is lost: neither MLflow nor the disk takes it (%s)", row["kind"], self.run_id, error)

    def _kept_file(self, path: Path) -> str:
        """A copy for later: the file itself may be gone or changed when its turn comes."""
        kept = self._folder / OUTBOX / uuid.uuid4().hex / path.name
        kept.parent.mkdir(parents=True)
        if path.is_dir():
            shutil.copytree(path, kept)
        else:
            shutil.copyfile(path, kept)
        return kept.relative_to(self._folder).as_posix()


class NullRun:
    """The methods of StageRun, without MLflow: for `--no-tracking`, and for workers other than the chief."""

    run_id = ""
    experiment_id = ""
    model_id: str | None = None
    away = ""

    def known_as(self, run_id: str) -> str:
        return run_id

    def _ignore(self, *arguments: Any, **named: Any) -> None:
        return None

    params = tags = metrics = image = audio = artifact = text = table = dataset = checkpoint = _ignore

    def flush(self) -> bool:
        return True

    def write_link(self, path: str | Path) -> None:
        """The link file is an output of its stage, so it is written, and names no run."""
        write_json(Path(path), {"run_id": None, "model_id": None, "experiment_id": None})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes atomically: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder] if folder.is_file() else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _md5(folder: Path) -> str:
    digest = hashlib.md5()
    for path in _files(folder):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
