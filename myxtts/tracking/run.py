"""The MLflow run of a stage: started, resumed, and always ended with the state it deserves."""

import contextlib
import getpass
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.credentials import shown_uri
from myxtts.tracking.delivery import MAX_TAG, clean_key
from myxtts.tracking.git import common_tags, config_fingerprint, git_diff, installed_packages
from myxtts.tracking.record import StageRun, write_json
from myxtts.tracking.spool import Spool, deliver_spools
from myxtts.tracking.stale import PROCESS, close_stale, process_tag
from myxtts.tracking.store import (
    ensure_store,
    experiment_url,
    first_line,
    is_http,
    main_checkout,
    make_client,
    remedy_for,
    tracking_uri,
)
from myxtts.tracking.system import system_metrics

log = logging.getLogger("myxtts.tracking")
RUN_FILE = "run.json"
_PARENT, _NOTE, _NAME = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"
_project_run: str | None = None


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived: whoever writes a checkpoint on Ctrl-C writes one now too."""


def project_run() -> str | None:
    """The run that `mlflow run` made for this process, taken out of the environment, where it would catch every new run."""
    global _project_run
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    _project_run = os.environ.pop("MLFLOW_RUN_ID", None) or _project_run
    return _project_run


@contextlib.contextmanager
def stage_run(
    config: XTTSConfig,
    stage: str,
    root: Path,
    folder: Path,
    parent: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    lineage: bool = True,
) -> Iterator[StageRun]:
    """The run of one training stage.

    `folder` (the stage's checkpoints) holds `run.json`: an interrupted or failed run named there goes on, with the same id.
    `parent`: the run to nest under; by default the one of `mlflow run`. `inputs`: further tags.
    `lineage` False: the data is none of the project's, so no `dvc.*` hashes.
    The run ends FINISHED, FAILED (exception) or KILLED (Ctrl-C, SIGTERM, SIGHUP). Raises TrackingError when the store
    cannot be used at the start; later failures of it go to the spool.
    """
    root, folder = Path(root), Path(folder)
    client, experiment_id, project = _open_store(config, root)
    parent = parent or project
    folder.mkdir(parents=True, exist_ok=True)
    Spool(folder).deliver(client)  # `myxtts train` keeps its checkpoints outside the project's
    with _signals() as shield:
        run_id = _unfinished(client, folder / RUN_FILE)
        tags = {**common_tags(config, root, stage, lineage), **(inputs or {})}
        if parent:
            tags[_PARENT] = parent
        if run_id is None:
            run_id = _create(client, experiment_id, f"{stage}-{config_fingerprint(config)[:6]}", tags)
            write_json(folder / RUN_FILE, {"run_id": run_id, "experiment_id": experiment_id})
        else:
            experiment_id = _reopen(client, run_id)
        run = StageRun(client, tracking_uri(root), run_id, experiment_id, stage, folder, root, config.tracking.flush_seconds)
        with _ended(run, shield, adopted=False), _watched(run, client, config):
            _describe(run, config, root, tags)
            yield run


@contextlib.contextmanager
def voice_run(
    config: XTTSConfig, root: Path, link: Path | None = None, tags: Mapping[str, Any] | None = None, lineage: bool = True
) -> Iterator[StageRun]:
    """The run that evaluation and bundling share.

    It is the project run under `mlflow run` (which then ends it: it is left RUNNING when all went well), else the run that
    `link` (a file `{"run_id": …}`) names, else a new one. Raises TrackingError as `stage_run` does.
    """
    root = Path(root)
    client, experiment_id, project = _open_store(config, root)
    linked = _linked(client, link)
    # of the pair of stages that share this run, evaluate is the one that reads data
    all_tags = {**common_tags(config, root, "evaluate", lineage), "dvc.stage": "voice", **(tags or {})}
    if project and linked and linked != project:
        all_tags["myxtts.linked_run"] = linked
    with _signals() as shield:
        run_id = project or linked
        if run_id is None:
            name = os.environ.get("DVC_EXP_NAME") or f"voice-{config_fingerprint(config)[:6]}"
            run_id = _create(client, experiment_id, name, all_tags)
        else:
            experiment_id = _reopen(client, run_id)
        folder = main_checkout(root) / "checkpoints" / "voice"
        run = StageRun(client, tracking_uri(root), run_id, experiment_id, "voice", folder, root, config.tracking.flush_seconds)
        with _ended(run, shield, adopted=run_id == project), _watched(run, client, config):
            _describe(run, config, root, all_tags)
            yield run


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


def _open_store(config: XTTSConfig, root: Path):
    from mlflow.exceptions import MlflowException

    project = project_run()
    experiment_id = ensure_store(root, config.tracking.experiment)
    client = make_client(root)
    if project:
        found = _get_run(client, project)
        if found is None:
            log.warning("MLFLOW_RUN_ID names run %s, which %s does not hold; it is ignored", project, shown_uri(tracking_uri(root)))
            project = None
        else:
            experiment_id = found.info.experiment_id  # a child shows under its parent only in the same experiment
    deliver_spools(root, client)  # the end of a run may be among it
    try:
        close_stale(client, experiment_id, project)
    except MlflowException as error:
        log.warning("runs that were left RUNNING could not be looked for: %s", error)
    return client, experiment_id, project


def _get_run(client, run_id: str):
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        remedy = remedy_for(error) or "try again, or see the server's log"
        raise TrackingError(f"the MLflow store cannot read run {run_id}: {first_line(error)}; {remedy}") from error
    return run if run.info.lifecycle_stage == "active" else None


def _unfinished(client, file: Path) -> str | None:
    try:
        run_id = json.loads(file.read_text(encoding="utf-8"))["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    run = _get_run(client, str(run_id))
    return run.info.run_id if run is not None and run.info.status != "FINISHED" else None


def _linked(client, link: Path | None) -> str | None:
    if link is None or not Path(link).exists():
        return None
    run_id = read_link(link)["run_id"]
    if not run_id:  # written without tracking
        return None
    run = _get_run(client, run_id)
    if run is None:
        log.warning("%s names run %s, which this MLflow store does not hold; a new run is made", link, run_id)
    return run_id if run is not None else None


def _create(client, experiment_id: str, name: str, tags: Mapping[str, Any]) -> str:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(KeyError, OSError):  # a container may know no name for its user
        tags = {"mlflow.user": getpass.getuser(), **tags}
    tags = {"mlflow.source.name": Path(sys.argv[0]).name or "python", "mlflow.source.type": "LOCAL", **process_tag(), **tags}
    kept = {clean_key(key): str(value)[:MAX_TAG] for key, value in tags.items()}
    try:
        return client.create_run(experiment_id, tags=kept, run_name=name).info.run_id
    except MlflowException as error:
        remedy = remedy_for(error) or "see its log, or set MLFLOW_TRACKING_URI"
        raise TrackingError(f"the MLflow store does not take a new run: {first_line(error)}; {remedy}") from error


def _reopen(client, run_id: str) -> str:
    """RUNNING again, without the marks of how it ended last time; returns its experiment's id."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
        client.update_run(run_id, status="RUNNING")
        if PROCESS in run.data.tags:  # else it is not ours to end
            client.set_tag(run_id, PROCESS, process_tag()[PROCESS])
        for key in ("error", _NOTE):
            if "error" in run.data.tags and key in run.data.tags:
                client.delete_tag(run_id, key)
    except MlflowException as error:
        raise TrackingError(
            f"the MLflow store cannot reopen run {run_id}: {first_line(error)}; {remedy_for(error) or 'see its log'}"
        ) from error
    return run.info.experiment_id


def _watched(run: StageRun, client, config: XTTSConfig):
    started = client.get_run(run.run_id).info.start_time
    return system_metrics(run, started, config.tracking.system_seconds)


def _describe(run: StageRun, config: XTTSConfig, root: Path, tags: Mapping[str, Any]) -> None:
    run.tags(tags)
    run.params(config.flat())
    run.text(installed_packages(), "packages.txt")
    if tags.get("git.dirty") == "true" and (diff := git_diff(root)):
        run.text(diff, "git.diff")
    uri = tracking_uri(root)
    hint = "" if is_http(uri) else f"  (start the page with: mlflow ui --backend-store-uri {shown_uri(uri)})"
    print(f"MLflow run of {run.stage}: {experiment_url(uri, run.experiment_id, run.run_id)}{hint}", flush=True)


@contextlib.contextmanager
def _ended(run: StageRun, shield, adopted: bool) -> Iterator[None]:
    """Gives the run its end state, whatever happens inside."""
    try:
        yield
    except KeyboardInterrupt as error:
        with shield():
            run.tags({"error": f"{type(error).__name__}: {error}".rstrip(": ")})
            run.finish("KILLED")
        raise
    except BaseException as error:
        with shield():
            if isinstance(error, (SystemExit, GeneratorExit)) and not getattr(error, "code", None):
                _end_well(run, adopted)
            else:
                reason = f"{type(error).__name__}: {error}"
                run.tags({"error": reason[:2000], _NOTE: f"**Failed:** {reason[:2000]}"})
                run.text("".join(traceback.format_exception(error)), "error.txt")
                run.finish("FAILED")
        raise
    with shield():
        _end_well(run, adopted)


def _end_well(run: StageRun, adopted: bool) -> None:
    if adopted:
        run.leave()
    else:
        run.finish("FINISHED")


@contextlib.contextmanager
def _signals():
    """SIGTERM and SIGHUP raise Terminated inside; yields `shield()`, in which no signal disturbs the ending of the run.

    Outside the main thread, where Python takes no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield contextlib.nullcontext
        return

    def stop(number, frame):
        for kind in installed:
            signal.signal(kind, _already_stopping)
        raise Terminated(signal.Signals(number).name)

    stoppers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # nohup: a hang-up that is ignored stays ignored
    installed = [kind for kind in stoppers if signal.getsignal(kind) != signal.SIG_IGN]
    before = {kind: signal.signal(kind, stop) for kind in installed}
    try:
        yield lambda: _shielded([*installed, signal.SIGINT])
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _shielded(kinds: list[int]):
    before = {kind: signal.signal(kind, _already_stopping) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler if handler is not None else signal.SIG_DFL)


def _already_stopping(number, frame) -> None:
    print("stopping: the MLflow run is being ended, a moment", file=sys.stderr, flush=True)
