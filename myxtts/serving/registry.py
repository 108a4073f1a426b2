"""The model registry: versions, the aliases that point to them, and how a version becomes a folder."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myxtts.config import ModelError, TrackingError, XTTSConfig
from myxtts.serving.bundle import BUNDLE_FILE, check_bundle
from myxtts.serving.pyfunc import log_bundle
from myxtts.tracking.store import locked, main_checkout, make_client, model_url, tracking_uri

CANDIDATE, CHAMPION = "candidate", "champion"
_METRIC, _PREVIOUS = "metrics.", "previous."
_LOAD_SECONDS = 900
_LOAD = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1]); print('loaded')"


def register(bundle: Path, config: XTTSConfig, run_id: str, metrics: Mapping[str, Any], root: Path) -> int:
    """Registers a bundle under `bundle.name`: a new version, with its metrics as tags and the alias `candidate`.

    Returns the version. Raises ModelError for a bundle that is not whole, TrackingError when MLflow does not take it.
    """
    values = check_bundle(bundle)
    client, name = make_client(root), config.bundle.name
    tags = {f"{_METRIC}{key}": f"{value:.6g}" for key, value in {**values["metrics"], **metrics}.items() if isinstance(value, (int, float))}
    tags |= {f"run.{stage}": run for stage, run in values["runs"].items()} | {"feature_fingerprint": values["feature_fingerprint"]}
    with _readable_errors(f"the bundle {bundle} could not be registered as {name}"):
        from mlflow.exceptions import MlflowException

        info = log_bundle(Path(bundle), config, run_id, {"feature_fingerprint": values["feature_fingerprint"]})
        with contextlib.suppress(MlflowException):  # it exists from the second version on
            client.create_registered_model(name, description="XTTS voice-cloning text-to-speech, made by MyXTTS")
        version = client.create_model_version(
            name, source=f"models:/{info.model_id}", run_id=run_id, tags=tags, model_id=info.model_id
        ).version
        client.set_registered_model_alias(name, CANDIDATE, str(version))
    print(f"registered {name} version {version}: {model_url(tracking_uri(root), name, version)}", flush=True)
    return int(version)


def list_versions(name: str, root: Path) -> list[dict[str, Any]]:
    """Newest first: `{"version", "aliases", "created", "run_id", "metrics", "previous"}`. An unknown name has no versions."""
    client = make_client(root)
    with _readable_errors(f"the versions of {name} could not be listed"):
        aliases = _aliases(client, name)
        found = client.search_model_versions(f"name = '{name}'")
    versions = []
    for item in sorted(found, key=lambda item: int(item.version), reverse=True):
        metrics = {key.removeprefix(_METRIC): float(value) for key, value in item.tags.items() if key.startswith(_METRIC)}
        previous = {key.removeprefix(_PREVIOUS): int(value) for key, value in item.tags.items() if key.startswith(_PREVIOUS)}
        mine = sorted(alias for alias, version in aliases.items() if version == str(item.version))
        versions.append(
            {
                "version": int(item.version),
                "aliases": mine,
                "created": item.creation_timestamp,
                "run_id": item.run_id,
                "metrics": metrics,
                "previous": previous,
            }
        )
    return versions


def table(versions: Sequence[Mapping[str, Any]]) -> str:
    """`list_versions` as text: one line for each version, its metrics below it."""
    if not versions:
        return "no version is registered yet: run the pipeline (make demo, or dvc repro)"
    lines = ["version  created           aliases"]
    for item in versions:
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(item["created"] / 1000))
        lines.append(f"{item['version']:>7}  {created}  {', '.join(item['aliases']) or '-'}")
        lines += [f"         {name:<32}{value:.4g}" for name, value in sorted(item["metrics"].items())]
    return "\n".join(lines)


def promote(name: str, version: int | str, alias: str, root: Path) -> str:
    """Moves an alias to a version, once the version has been loaded in a fresh process; returns what was done.

    The version remembers which one had the alias before; of promotions at the same time each remembers the other (those that share a
    SQLite store: a server takes the last, and nobody can ask it to wait). Raises ModelError, and moves nothing, when there is no such
    version or it does not load.
    """
    client = make_client(root)
    version = _existing(client, name, version, root)
    _check_alias(alias)
    if _aliases(client, name).get(alias) == version:
        return f"{name} version {version} is {alias} already"
    _load_once(name, version, root)
    with _readable_errors(f"{name} version {version} could not be promoted"), locked(tracking_uri(root)):
        before = _aliases(client, name).get(alias)  # another may have been promoted while this one was loaded
        if before not in (None, version):
            client.set_model_version_tag(name, version, f"{_PREVIOUS}{alias}", before)
        client.set_registered_model_alias(name, alias, version)
    return f"{name} version {version} is {alias} now" + (f"; before it was version {before}" if before else "")


def rollback(name: str, alias: str, root: Path) -> str:
    """Gives an alias back to the version that had it before. Raises ModelError when none had, or it is gone or does not load."""
    client = make_client(root)
    with _readable_errors(f"{alias} of {name} could not be rolled back"):
        now = _aliases(client, name).get(alias)
        if now is None:
            raise ModelError(f"no version of {name} is {alias}: promote one first (myxtts registry promote VERSION)")
        before = client.get_model_version(name, now).tags.get(f"{_PREVIOUS}{alias}")
        if before is None:
            raise ModelError(f"{name} version {now} is the first {alias}: there is none to go back to; promote another version")
        _existing(client, name, before, root)
        _load_once(name, before, root)
        client.set_registered_model_alias(name, alias, before)
        client.delete_model_version_tag(name, now, f"{_PREVIOUS}{alias}")
    return f"{name} version {before} is {alias} again; version {now} was"


def resolve(source: str | Path, root: Path) -> Path:
    """The local bundle folder behind a folder, or behind `models:/name@alias`, `models:/name/version`, `runs:/…`.

    Raises ModelError when there is none or it is not whole.
    """
    text = str(source)
    if not re.match(r"(models|runs|mlflow-artifacts|s3|gs|https?):/", text):
        check_bundle(Path(text))
        return Path(text)
    make_client(root)
    with _readable_errors(f"{text} could not be fetched; see what there is: myxtts registry list", ModelError):
        import mlflow

        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=text, dst_path=_downloads(text, root)))
    bundle = next((path.parent for path in sorted(folder.rglob(BUNDLE_FILE))), None)
    if bundle is None:
        raise ModelError(f"{text} holds no MyXTTS bundle: expected a version made by `dvc repro bundle`")
    check_bundle(bundle)
    return bundle


def _aliases(client, name: str) -> dict[str, str]:
    """`{alias: version}`; {} for a name that is not registered."""
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _existing(client, name: str, version: int | str, root: Path) -> str:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version(name, str(version))
    except MlflowException as error:
        known = ", ".join(str(item["version"]) for item in list_versions(name, root)) or "none"
        raise ModelError(f"{name} has no version {version!r}; registered are: {known} ({str(error).splitlines()[0]})") from None
    return str(found.version)


def _check_alias(alias: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", alias) or re.fullmatch(r"v\d+|latest", alias, re.IGNORECASE):
        raise ModelError(f"{alias!r} cannot be an alias: expected letters, digits, - and _, and not `latest` or `v1`, which MLflow keeps")


def _load_once(name: str, version: str, root: Path) -> None:
    """Loads a version as a server would: in a fresh process, through MLflow, with the code it carries."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, f"models:/{name}/{version}"],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name} version {version} was not loaded within {_LOAD_SECONDS} s; the alias stays where it is") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(
            f"{name} version {version} does not load, so the alias stays where it is: {reason}; bundle it again (dvc repro bundle)"
        )


def _downloads(source: str, root: Path) -> str | None:
    """None for a store on this machine, whose files are used where they are; else a folder for what comes from the server."""
    if tracking_uri(root).startswith("sqlite"):
        return None
    folder = main_checkout(root) / "mlruns" / "downloads" / re.sub(r"[^\w.@-]+", "_", source)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


@contextlib.contextmanager
def _readable_errors(message: str, kind: type[Exception] = TrackingError):
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise kind(f"{message}: {first_line}") from error
