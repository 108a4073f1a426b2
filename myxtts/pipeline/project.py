"""The pipeline as a whole: `dvc repro` for `mlflow run` and `make demo`, and what it made."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from myxtts.config import MyXTTSError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.recipes import recipe_text
from myxtts.pipeline.start import open_start


def ensure_dvc(root: Path) -> None:
    """Makes DVC work in this folder, with git or without: `dvc init` where there is no `.dvc`, `core.no_scm` where there is no git."""
    in_git = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=root, capture_output=True, text=True, check=False)
    top = Path(in_git.stdout.strip()).resolve() if in_git.returncode == 0 else None
    if not (root / ".dvc" / "config").is_file():
        dvc(root, "init", "-q", *([] if top == root.resolve() else ["--subdir"] if top else ["--no-scm"]))
    elif top is None:
        dvc(root, "config", "--local", "core.no_scm", "true")


def dvc(root: Path, *arguments: str, captured: bool = False, check: bool = True) -> subprocess.CompletedProcess:
    """Runs DVC with this interpreter's `python` first on PATH: the stages call it. captured: what it prints comes back instead.

    Raises MyXTTSError with DVC's exit code, unless `check` is False.
    """
    folder = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": folder + os.pathsep + os.environ.get("PATH", "")}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=captured, text=True, errors="replace", check=False)
    if check and done.returncode:
        reason = done.stderr.strip() if captured else "the reason stands above"
        raise MyXTTSError(f"dvc {' '.join(arguments)} ended with exit code {done.returncode}; {reason}")
    return done


def run_pipeline(root: Path, overrides: list[str], target: str | None = None) -> None:
    """`dvc repro`, or `dvc exp run -S …` with overrides. Under `mlflow run` the project's run then points to the voice run."""
    open_start(XTTSConfig.load(root / "params.yaml", overrides), root)  # refuse bad values before any work
    ensure_dvc(root)
    targets = [target] if target else []
    if overrides and _has_commit(root):
        dvc(root, "exp", "run", *[part for override in overrides for part in ("-S", f"++{override}")], *targets)
    else:
        # DVC experiments need git; without it the overrides go where an experiment would leave them too: into params.yaml
        params = root / "params.yaml"
        params.write_text(recipe_text(params, overrides), encoding="utf-8")
        dvc(root, "repro", *targets)
    _tag_project_run(root)


def _has_commit(root: Path) -> bool:
    return subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], cwd=root, capture_output=True, check=False).returncode == 0


def _tag_project_run(root: Path) -> None:
    """An `mlflow run` that found everything up to date says so, and which run made the model."""
    run_id, paths = os.environ.get("MLFLOW_RUN_ID"), Paths(root)
    if not run_id or not paths.link("voice").is_file():
        return
    import hashlib

    from myxtts.tracking.opening import resolved_link
    from myxtts.tracking.store import make_client

    made_by = resolved_link(paths.link("voice"), root)["run_id"]
    client = make_client(root)
    if (root / "dvc.lock").is_file():
        client.set_tag(run_id, "dvc.lock.md5", hashlib.md5((root / "dvc.lock").read_bytes()).hexdigest())
    if made_by != run_id:
        client.set_tag(run_id, "myxtts.up_to_date", "true")
        client.set_tag(run_id, "myxtts.made_by_run", made_by)
        client.set_tag(run_id, "mlflow.runName", "up-to-date")


def what_was_made(root: Path) -> str:
    """The end of `make demo`: the model, its figures, and how to open everything."""
    from myxtts.tracking.credentials import shown_uri
    from myxtts.tracking.opening import resolved_link
    from myxtts.tracking.store import experiment_url, is_http, tracking_uri

    paths = Paths(root)
    registered = _read(paths.reports / "registered.json")
    metrics, prepared = _read(paths.report("evaluate")), _read(paths.report("prepare"))
    link, uri = resolved_link(paths.link("voice"), root), tracking_uri(root)
    lines = [
        "",
        "What was made",
        f"  registered model  {registered['uri']}   ({_aliases(registered, root)})",
        f"  from              {prepared['clips']} clips, {prepared['hours']:.2f} h",
        f"  rejected          {prepared['rejected']} clips (data/processed/rejected.csv says why)",
        f"  data report       {paths.data_page}",
        f"  bundle            {paths.bundle}",
    ]
    lines += _started_from(paths)
    lines += [f"  spoken sentences  {path}" for path in sorted((paths.evaluation / "audio").glob("*speech*.wav"))[:4]]
    lines.append("Figures (reports/evaluate.json)")
    lines += [f"  {name:<47} {metrics[name]:.4g}" for name in sorted(metrics) if isinstance(metrics[name], int | float)]
    page = "(no page: its run waits to be delivered, myxtts sync, or is in another store, MLFLOW_TRACKING_URI)"
    if link["experiment_id"]:
        page = experiment_url(uri, link["experiment_id"], link["run_id"])
    start = [] if is_http(uri) else [f"  .venv/bin/mlflow ui --backend-store-uri {shown_uri(uri)}"]  # a server is up already
    lines += ["How to open it", *start, f"  then  {page}" if start else f"  {page}"]
    return "\n".join([*lines, *_speak(paths)])


def _speak(paths: Paths) -> list[str]:
    """The command that says a held-out sentence in the voice and language of its recording; none where no recording was kept."""
    samples = paths.evaluation / "samples.json"
    for sample in _read(samples) if samples.is_file() else []:
        if reference := next((name for name in sample["files"] if name.endswith("_ground_truth.wav")), None):
            speaker = os.path.relpath(paths.evaluation / reference, paths.root)
            command = ["myxtts", "say", sample["text"], "--speaker", speaker, "--language", sample["language"], "--out", "out.wav"]
            return ["Speak", f"  .venv/bin/{shlex.join(command)}"]
    return []


def _started_from(paths: Paths) -> list[str]:
    """A line that names the start model, where there was one."""
    reports = {stage: _read(paths.report(stage)) for stage in TRAINED_STAGES}
    models = {report["start"]["model"] for report in reports.values() if "start" in report}
    frozen = ", ".join(stage for stage, report in reports.items() if report.get("frozen"))
    return [f"  started from      {model} (frozen: {frozen or 'nothing'})" for model in sorted(models)]


def _aliases(registered: dict[str, Any], root: Path) -> str:
    """What the registry says today: an earlier model may be back in the workspace while an alias points to a later one."""
    from myxtts.serving.registry import list_versions

    found = [f"{alias} is version {item['version']}" for item in list_versions(registered["name"], root) for alias in item["aliases"]]
    return ", ".join(found) or "no alias"


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MyXTTSError(f"no {path}: run the pipeline first (make demo, or dvc repro)") from None
