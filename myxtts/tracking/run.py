"""The MLflow run of a stage: started, resumed, and always ended with the state it deserves."""

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from myxtts.config import XTTSConfig
from myxtts.tracking.credentials import shown_uri, without_credentials
from myxtts.tracking.delivery import NOTE
from myxtts.tracking.git import common_tags, config_fingerprint, git_diff, installed_packages
from myxtts.tracking.opening import KnownRun, Store
from myxtts.tracking.record import StageRun, write_json
from myxtts.tracking.store import experiment_url, is_http, main_checkout, tracking_uri
from myxtts.tracking.system import system_metrics

RUN_FILE = "run.json"
_PARENT = "mlflow.parentRunId"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived: whoever writes a checkpoint on Ctrl-C writes one now too."""


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
    The run ends FINISHED, FAILED (exception) or KILLED (Ctrl-C, SIGTERM, SIGHUP). A server that does not answer, at the start or later,
    stops nothing: what it does not take goes to the spool. Raises TrackingError when the store cannot be used for another reason.
    """
    root, folder = Path(root), Path(folder)
    store = Store.open(config, root)
    parent = parent or store.project
    folder.mkdir(parents=True, exist_ok=True)
    store.deliver(folder)  # `myxtts train` keeps its checkpoints outside the project's
    with _signals() as shield:
        known = store.unfinished(folder / RUN_FILE)
        tags = {**common_tags(config, root, stage, lineage), **(inputs or {})}
        if parent:
            tags[_PARENT] = parent
        if known is None:
            known = store.create(f"{stage}-{config_fingerprint(config)[:6]}", tags, folder)
            write_json(folder / RUN_FILE, {"run_id": known.id, "experiment_id": known.experiment, "started": known.started})
        else:
            store.reopen(known, folder)
        run = _stage_run(store, known, stage, folder, root, config)
        with _ended(run, shield, adopted=False), system_metrics(run, known.started, config.tracking.system_seconds):
            _describe(run, config, root, tags)
            yield run
        write_json(folder / RUN_FILE, {"run_id": run.journal_id, "experiment_id": run.experiment_id, "finished": True})


@contextlib.contextmanager
def voice_run(
    config: XTTSConfig, root: Path, link: Path | None = None, tags: Mapping[str, Any] | None = None, lineage: bool = True
) -> Iterator[StageRun]:
    """The run that evaluation and bundling share.

    It is the project run under `mlflow run` (which then ends it: it is left RUNNING when all went well), else the run that
    `link` (a file `{"run_id": …}`) names, else the one in which the same failed, else a new one. Raises TrackingError as `stage_run` does.
    """
    root = Path(root)
    store = Store.open(config, root)
    project, linked = store.project, store.linked(link)
    # of the pair of stages that share this run, evaluate is the one that reads data
    all_tags = {**common_tags(config, root, "evaluate", lineage), "dvc.stage": "voice", **(tags or {})}
    if project and linked and linked.id != project:
        all_tags["myxtts.linked_run"] = linked.id
    folder = main_checkout(root) / "checkpoints" / "voice"
    with _signals() as shield:
        unfinished = folder / f"unfinished-{_inputs_mark(all_tags)}.json"
        known = store.known(project) if project else linked or (store.unfinished(unfinished, alive=False) if lineage else None)
        if known is None:
            name = os.environ.get("DVC_EXP_NAME") or f"voice-{config_fingerprint(config)[:6]}"
            known = store.create(name, all_tags, folder)
        else:
            store.reopen(known, folder)
        if link is None:  # an evaluation, which goes on in its run when it is repaired; bundling finds the run by its link
            write_json(unfinished, {"run_id": known.id, "experiment_id": known.experiment, "started": known.started})
        run = _stage_run(store, known, "voice", folder, root, config)
        with _ended(run, shield, adopted=known.id == project), system_metrics(run, known.started, config.tracking.system_seconds):
            _describe(run, config, root, all_tags)
            yield run
        if link is None:
            unfinished.unlink(missing_ok=True)


def _inputs_mark(tags: Mapping[str, Any]) -> str:
    """Of configuration and data: what failed and is started again with the same goes on in its run."""
    kept = {key: value for key, value in tags.items() if key == "config.fingerprint" or key.startswith("dvc.dep.")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def _stage_run(store: Store, known: KnownRun, stage: str, folder: Path, root: Path, config: XTTSConfig) -> StageRun:
    uri, seconds = tracking_uri(root), config.tracking.flush_seconds
    run = StageRun(store.client, uri, known.id, known.experiment, stage, folder, root, seconds)
    run.journal_id = known.journal_id
    return run


def _describe(run: StageRun, config: XTTSConfig, root: Path, tags: Mapping[str, Any]) -> None:
    run.tags(tags)
    run.params(config.flat())
    run.text(installed_packages(), "packages.txt")
    if tags.get("git.dirty") == "true" and (diff := git_diff(root)):
        run.text(diff, "git.diff")
    uri = tracking_uri(root)
    if run.away:
        print(f"MLflow is away: the run of {run.stage} waits in {run.spool.path} (deliver it: myxtts sync). {run.away}", flush=True)
        return
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
                reason = without_credentials(f"{type(error).__name__}: {error}")
                run.tags({"error": reason[:2000], NOTE: f"**Failed:** {reason[:2000]}"})
                run.text(without_credentials("".join(traceback.format_exception(error))), "error.txt")
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
