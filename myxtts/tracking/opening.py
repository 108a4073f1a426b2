"""The start of a run: the MLflow store is opened, and a run found, made or opened again; all of it also while the server is away."""

import contextlib
import getpass
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from myxtts.config import TrackerAway, TrackingError, XTTSConfig
from myxtts.tracking import offline
from myxtts.tracking.credentials import shown_uri
from myxtts.tracking.delivery import MAX_TAG, clean_key, reopen
from myxtts.tracking.offline import Away, NotDelivered
from myxtts.tracking.spool import Spool, deliver_spools
from myxtts.tracking.stale import PROCESS, close_stale, is_gone, process_tag
from myxtts.tracking.store import first_line, kind_of, make_client, open_store, remedy_for, tracking_uri

log = logging.getLogger("myxtts.tracking")
_project_run: str | None = None


def project_run() -> str | None:
    """The run that `mlflow run` made for this process, taken out of the environment, where it would catch every new run."""
    global _project_run
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    _project_run = os.environ.pop("MLFLOW_RUN_ID", None) or _project_run
    return _project_run


@dataclass(frozen=True)
class KnownRun:
    """A run that goes on. started: ms since 1970. journal_id: what it was first called here, which an offline run keeps in its files."""

    id: str
    experiment: str
    started: int
    finished: bool = False
    journal_id: str = ""
    process: str = ""  # tag of the process that is at it


@dataclass
class Store:
    """The MLflow store as a stage finds it. project: the run of `mlflow run`. While a server is away `client` is an `Away`."""

    client: Any
    experiment_id: str
    experiment: str
    project: str | None

    @classmethod
    def open(cls, config: XTTSConfig, root: Path) -> "Store":
        """Opens it, delivers what waits and closes stale runs. Raises TrackingError where it cannot be used, though it answers."""
        from mlflow.exceptions import MlflowException

        name = config.tracking.experiment
        try:
            store = cls(*open_store(root, name), name, project_run())
            store._find_project_run(root)
            if not store.away:
                deliver_spools(root, store.client)  # the end of a run may be among it
                close_stale(store.client, store.experiment_id, store.project)
        except TrackerAway as error:  # the stage says so
            return cls(Away(str(error)), "", name, project_run())
        except MlflowException as error:
            log.warning("runs that were left RUNNING could not be looked for: %s", first_line(error))
        return store

    @property
    def away(self) -> bool:
        return isinstance(self.client, Away)

    def _find_project_run(self, root: Path) -> None:
        if not self.project:
            return
        found = self.known(self.project)
        if found is None:
            log.warning("MLFLOW_RUN_ID names run %s, which %s does not hold; it is ignored", self.project, shown_uri(tracking_uri(root)))
            self.project = None
        else:
            self.experiment_id = found.experiment  # a child shows under its parent only in the same experiment

    def deliver(self, folder: Path) -> None:
        """Sends what waits in a folder."""
        if not self.away:
            Spool(folder).deliver(self.client)

    def known(self, run_id: str) -> KnownRun | None:
        """A run by MLflow's id or ours; None where it is gone. While the server is away it is taken to be there."""
        from mlflow.exceptions import MlflowException

        if self.away:
            return KnownRun(run_id, "", int(time.time() * 1000), journal_id=run_id)
        try:
            run = self.client.get_run(offline.run_of(self.client, run_id))
        except NotDelivered:
            return None
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            self._lose(error, f"cannot read run {run_id}")
            return self.known(run_id)
        if run.info.lifecycle_stage != "active":
            return None
        info = run.info
        process = run.data.tags.get(PROCESS, "") if info.status == "RUNNING" else ""
        return KnownRun(info.run_id, info.experiment_id, info.start_time, info.status == "FINISHED", run_id, process)

    def unfinished(self, file: Path, alive: bool = True) -> KnownRun | None:
        """The run that `run.json` names, unless it ended well. alive False: nor one that a process is still at, as nothing locks it."""
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            run = None if self.away and values.get("finished") else self.known(str(values["run_id"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if run is None or run.finished or (run.process and not alive and not is_gone(run.process)):
            return None
        return replace(run, started=values.get("started") or run.started) if self.away else run

    def linked(self, link: Path | None) -> KnownRun | None:
        """The run that a link file names."""
        if link is None or not Path(link).exists():
            return None
        run_id = read_link(link)["run_id"]
        if not run_id:  # written without tracking
            return None
        run = self.known(run_id)
        if run is None:
            log.warning("%s names run %s, which this MLflow store does not hold; a new run is made", link, run_id)
        return run

    def create(self, name: str, tags: Mapping[str, Any], folder: Path) -> KnownRun:
        """A new run; while the server is away, one that waits in the spool of `folder`."""
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(KeyError, OSError):  # a container may know no name for its user
            tags = {"mlflow.user": getpass.getuser(), **tags}
        tags = {"mlflow.source.name": Path(sys.argv[0]).name or "python", "mlflow.source.type": "LOCAL", **process_tag(), **tags}
        kept = {clean_key(key): str(value)[:MAX_TAG] for key, value in tags.items()}
        if self.away:
            run_id, row = offline.new_run(name, self.experiment, kept)
            Spool(folder).add([row])
            return KnownRun(run_id, "", row["time"], journal_id=run_id)
        try:
            info = self.client.create_run(self.experiment_id, tags=kept, run_name=name).info
        except MlflowException as error:
            self._lose(error, "does not take a new run")
            return self.create(name, tags, folder)
        return KnownRun(info.run_id, info.experiment_id, info.start_time, journal_id=info.run_id)

    def reopen(self, run: KnownRun, folder: Path) -> None:
        """RUNNING again, without the marks of how it ended last time."""
        from mlflow.exceptions import MlflowException

        if self.away:
            Spool(folder).add([{"kind": "reopen", "run": run.id, "process": process_tag()}])
            return
        try:
            reopen(self.client, run.id, process_tag())
        except MlflowException as error:
            self._lose(error, f"cannot reopen run {run.id}")
            self.reopen(run, folder)

    def _lose(self, error: Exception, what: str) -> None:
        """From now on the server is away, if that is what the error says. Raises TrackingError if it says anything else."""
        remedy = remedy_for(error) or "see its log, or set MLFLOW_TRACKING_URI"
        message = f"the MLflow store {what}: {first_line(error)}; {remedy}"
        if kind_of(error) is not TrackerAway:
            raise TrackingError(message) from error
        log.warning("%s", message)
        self.client = Away(message)


def read_link(path: str | Path) -> dict[str, Any]:
    """What `StageRun.write_link` wrote. Raises TrackingError naming the stage to run when there is none."""
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {key: values[key] for key in ("run_id", "model_id", "experiment_id")}
    except FileNotFoundError:
        raise TrackingError(f"no link file {path}: run the stage that writes it (dvc repro), or fetch it (dvc pull)") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TrackingError(f"{path} is not a link file ({error!r}); delete it and run its stage again (dvc repro)") from None


def resolved_link(path: str | Path, root: Path) -> dict[str, Any]:
    """`read_link`, with MLflow's ids for a run that began while it was away, if this store has it."""
    link = read_link(path)
    if not link["run_id"] or not offline.is_offline(link["run_id"]):
        return link
    run = Store(make_client(root), "", "", None).known(link["run_id"])
    return link if run is None else link | {"run_id": run.id, "experiment_id": run.experiment}
