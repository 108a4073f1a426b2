"""The model registry: how a bundle becomes a version, what versions there are, and how a version becomes a folder."""

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myxtts.config import ModelError, TrackingError, XTTSConfig
from myxtts.models.folder import BUNDLE_FILE
from myxtts.serving.bundle import check_bundle, folder_md5
from myxtts.serving.card import data_rights, licence_of, version_card
from myxtts.serving.pyfunc import log_bundle
from myxtts.tracking.git import dependency_hashes, git_tags, remotes
from myxtts.tracking.offline import known_as
from myxtts.tracking.runs import aligned
from myxtts.tracking.store import first_line, main_checkout, make_client, model_url, remedy_for, tracking_uri

CANDIDATE = "candidate"
METRIC, EVALUATION_SET, MACHINE = "metrics.", "evaluation_set", "machine"  # tags of a version
BUNDLE_MD5 = "bundle.md5"
MAX_DESCRIPTION = 5000  # characters; MLflow's database takes no more


def register(bundle: Path, config: XTTSConfig, run_id: str, metrics: Mapping[str, Any], root: Path) -> int:
    """Registers a bundle under `bundle.name`: a new version with the alias `candidate`.

    Its tags hold its metrics, what they were measured on, its languages, the licence of weights it began with, licence and consent of
    its corpora, commit and data; its description is its card. Returns the version. Raises ModelError for a bundle that is not whole,
    TrackingError when MLflow does not take it.
    """
    values = check_bundle(bundle)
    client, name = make_client(root), config.bundle.name
    origin = _origin(bundle, values, config, root)
    runs = {f"run.{stage}": known_as(client, run) for stage, run in values["runs"].items()}
    tags = _metric_tags(values["metrics"], metrics) | runs | origin
    with readable_errors(f"the bundle {bundle} could not be registered as {name}"):
        from mlflow.exceptions import MlflowException

        info = log_bundle(Path(bundle), config, run_id, {"feature_fingerprint": values["feature_fingerprint"]})
        with contextlib.suppress(MlflowException):  # it exists from the second version on
            client.create_registered_model(name, description="XTTS voice-cloning text-to-speech, made by MyXTTS")
        description = version_card(values, origin)[:MAX_DESCRIPTION]
        source = f"models:/{info.model_id}"
        version = client.create_model_version(
            name, source=source, run_id=run_id, tags=tags, description=description, model_id=info.model_id
        ).version
        client.set_registered_model_alias(name, CANDIDATE, str(version))
    print(f"registered {name} version {version}: {model_url(tracking_uri(root), name, version)}", flush=True)
    return int(version)


def _metric_tags(*sources: Mapping[str, Any]) -> dict[str, str]:
    """Numbers, with six digits, and what they were measured on and with."""
    every = {key: value for source in sources for key, value in source.items()}
    tags = {f"{METRIC}{key}": f"{value:.6g}" for key, value in every.items() if isinstance(value, int | float)}
    return tags | {key: str(every[key]) for key in (EVALUATION_SET, MACHINE) if every.get(key)}


def _origin(bundle: Path, values: Mapping[str, Any], config: XTTSConfig, root: Path) -> dict[str, str]:
    """What the version was made of: by it the version is found again in git and DVC."""
    data = dependency_hashes(config, root, "evaluate") | dependency_hashes(config, root, "raw")
    return {
        "feature_fingerprint": values["feature_fingerprint"],
        "languages": ", ".join(values["languages"]),
        "licence": licence_of(values),
        **data_rights(values),
        BUNDLE_MD5: folder_md5(Path(bundle)),
        **git_tags(root),
        **remotes(root),
        **{f"dvc.{path}": md5 for path, md5 in data.items() if path.startswith("data/")},
    }


def list_versions(name: str, root: Path) -> list[dict[str, Any]]:
    """Newest first: `{"version", "aliases", "created", "run_id", "metrics"}`. An unknown name has no versions."""
    client = make_client(root)
    with readable_errors(f"the versions of {name} could not be listed"):
        aliases = aliases_of(client, name)
        found = client.search_model_versions(f"name = '{name}'")
    versions = []
    for item in sorted(found, key=lambda item: int(item.version), reverse=True):
        metrics = {key.removeprefix(METRIC): float(value) for key, value in item.tags.items() if key.startswith(METRIC)}
        mine = sorted(alias for alias, version in aliases.items() if version == str(item.version))
        versions.append(
            {
                "version": int(item.version),
                "aliases": mine,
                "created": item.creation_timestamp,
                "run_id": item.run_id,
                "metrics": metrics,
            }
        )
    return versions


def table(versions: Sequence[Mapping[str, Any]], metrics: Sequence[str] = (), every: bool = False) -> str:
    """`list_versions` as text: a line for each version, with the figures of `metrics`; with `every` all its figures below it."""
    if not versions:
        return "no version is registered yet: run the pipeline (make demo, or dvc repro)"
    columns = [] if every else [name for name in metrics if any(name in item["metrics"] for item in versions)]
    rows = [["version", "created", "aliases", *columns]]
    for item in versions:
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(item["created"] / 1000))
        figures = [f"{item['metrics'][name]:.4g}" if name in item["metrics"] else "-" for name in columns]
        rows.append([str(item["version"]), created, ", ".join(item["aliases"]) or "-", *figures])
    head, *printed = aligned(rows)
    lines = [head]
    for row, item in zip(printed, versions, strict=True):
        lines.append(row)
        if every:
            lines += [f"    {name:<32}{value:.4g}" for name, value in sorted(item["metrics"].items())]
    return "\n".join(lines)


def resolve(source: str | Path, root: Path) -> Path:
    """The local bundle folder behind a folder, or behind `models:/name@alias`, `models:/name/version`, `runs:/…`.

    Raises ModelError when there is none or it is not whole.
    """
    text = str(source)
    if not re.match(r"(models|runs|mlflow-artifacts|s3|gs|https?):/", text):
        check_bundle(Path(text))
        return Path(text)
    make_client(root)
    with readable_errors(f"{text} could not be fetched; see what there is: myxtts registry list", ModelError):
        import mlflow

        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=text, dst_path=_downloads(text, root)))
    bundle = next((path.parent for path in sorted(folder.rglob(BUNDLE_FILE))), None)
    if bundle is None:
        raise ModelError(f"{text} holds no MyXTTS bundle: expected a version made by `dvc repro bundle`")
    check_bundle(bundle)
    return bundle


def aliases_of(client, name: str) -> dict[str, str]:
    """`{alias: version}`; {} for a name that is not registered."""
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def find_version(source: str, root: Path) -> Any:
    """MLflow's ModelVersion behind `models:/name/version` or `models:/name@alias`. Raises ModelError where there is none."""
    found = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|@([\w-]+))", source)
    if not found:
        raise ModelError(f"{source!r} names no version: expected models:/NAME/NUMBER or models:/NAME@ALIAS (see: myxtts registry list)")
    name, number, alias = found.groups()
    client = make_client(root)
    with readable_errors(f"{source} could not be looked up"):
        if alias:
            number = aliases_of(client, name).get(alias)
            if number is None:
                raise ModelError(f"no version of {name} is {alias}: promote one (myxtts promote VERSION), or name a number")
        return client.get_model_version(name, existing_version(client, name, number, root))


def version_number(text: str) -> str:
    """`3` of `3`, and of `models:/name/3`, as the pipeline prints it."""
    return re.sub(r"^models:/[^/@]+/(?=\d+$)", "", text)


def existing_version(client, name: str, version: int | str, root: Path) -> str:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version(name, str(version))
    except MlflowException as error:
        known = ", ".join(str(item["version"]) for item in list_versions(name, root)) or "none"
        raise ModelError(f"{name} has no version {version!r}; registered are: {known} ({str(error).splitlines()[0]})") from None
    return str(found.version)


def _downloads(source: str, root: Path) -> str | None:
    """None for a store on this machine, whose files are used where they are; else a folder for what comes from the server."""
    if tracking_uri(root).startswith("sqlite"):
        return None
    folder = main_checkout(root) / "mlruns" / "downloads" / re.sub(r"[^\w.@-]+", "_", source)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


@contextlib.contextmanager
def readable_errors(message: str, kind: type[Exception] = TrackingError):
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        remedy = remedy_for(error)
        raise kind(f"{message}: {first_line(error)}" + (f"; {remedy}" if remedy else "")) from error
