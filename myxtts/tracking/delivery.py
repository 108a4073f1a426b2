"""What goes to MLflow, as plain rows: the same row is sent at once, or waits in the spool and is sent later.

A row is a JSON object `{"kind": …, "run": run id, …}`. Files that it names lie in the stage's folder.
"""

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from myxtts.tracking import offline
from myxtts.tracking.store import find_or_make_experiment

NOTE = "mlflow.note.content"
MAX_PARAM, MAX_TAG, MAX_KEY = 6000, 8000, 250
_BATCH = 1000  # metrics in one log_batch
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")


def clean_key(key: str) -> str:
    """A name that MLflow accepts for a metric, param or tag: one bad name would make it refuse the whole batch."""
    key = re.sub(r"[^/\w.\- :]", "_", key)
    return posixpath.normpath(key).lstrip("/.")[:MAX_KEY] or "_"


def is_refusal(error: Exception) -> bool:
    """True when MLflow understood and said no (a deleted run, a bad value), so that sending it again is of no use."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in _REFUSED


def send(client, row: Mapping[str, Any], folder: Path) -> Any:
    """Sends one row; raises whatever MLflow raises. Returns what the kind makes: a checkpoint's model id."""
    if row["kind"] != "create":  # a run that began offline has got another id since
        row = {**row, "run": offline.run_of(client, row["run"])}
    return SENDERS[row["kind"]](client, row, folder)


def reopen(client: Any, run_id: str, process: Mapping[str, str]) -> None:
    """Makes a run RUNNING again, of this `process` (tag), without the marks of how it ended last time."""
    run = client.get_run(run_id)
    client.update_run(run_id, status="RUNNING")
    for key, value in process.items():
        if key in run.data.tags:  # else it is not ours to end
            client.set_tag(run_id, key, value)
    for key in ("error", NOTE):
        if "error" in run.data.tags and key in run.data.tags:
            client.delete_tag(run_id, key)


def _create(client, row, folder) -> None:
    offline.create(client, row, find_or_make_experiment(client, row["experiment"]))


def _reopen(client, row, folder) -> None:
    reopen(client, row["run"], row["process"])


def _metrics(client, row, folder) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(key, value, timestamp, step) for key, value, timestamp, step in row["metrics"]]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(row["run"], metrics=metrics[start : start + _BATCH])


def _tags(client, row, folder) -> None:
    from mlflow.entities import RunTag

    client.log_batch(row["run"], tags=[RunTag(clean_key(key), str(value)[:MAX_TAG]) for key, value in row["tags"].items()])


def _params(client, row, folder) -> None:
    """MLflow forbids to change a param. A resumed run keeps the first value; what it is now goes to a tag."""
    from mlflow.entities import Param, RunTag

    there = client.get_run(row["run"]).data.params
    wanted = {clean_key(key): str(value)[:MAX_PARAM] for key, value in row["params"].items()}
    new = [Param(key, value) for key, value in wanted.items() if key not in there]
    changed = [RunTag(clean_key(f"changed.{key}"), value) for key, value in wanted.items() if there.get(key, value) != value]
    client.log_batch(row["run"], params=new, tags=changed)


def _status(client, row, folder) -> None:
    client.set_terminated(row["run"], row["status"], row.get("time"))


def _artifact(client, row, folder) -> None:
    path = folder / row["file"]
    if path.is_dir():
        client.log_artifacts(row["run"], str(path), row["path"] or None)
    else:
        client.log_artifact(row["run"], str(path), row["path"] or None)


def _image(client, row, folder) -> None:
    from PIL import Image

    with Image.open(folder / row["file"]) as image:
        image.load()
    client.log_image(row["run"], image, key=row["key"], step=row["step"])


def _text(client, row, folder) -> None:
    client.log_text(row["run"], row["text"], row["path"])


def _table(client, row, folder) -> None:
    columns = list(dict.fromkeys(key for line in row["rows"] for key in line))
    client.log_table(row["run"], {key: [line.get(key) for line in row["rows"]] for key in columns}, row["path"])


def _dataset(client, row, folder) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": row["path"]})
    profile, schema = row.get("profile"), _dataset_schema(row.get("schema"))
    dataset = Dataset(row["name"], row["digest"], "local", source, schema, json.dumps(profile) if profile else None)
    client.log_inputs(row["run"], datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", row["context"])])])


def _dataset_schema(fields: Mapping[str, Any] | None) -> str | None:
    """{field: [dtype, shape]} as MLflow writes the schema of arrays."""
    if not fields:
        return None
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    features = Schema([TensorSpec(np.dtype(dtype), tuple(shape) or (1,), name) for name, (dtype, shape) in fields.items()])
    return json.dumps({"mlflow_tensorspec": {"features": features.to_json(), "targets": None}})


def _checkpoint(client, row, folder) -> str:
    """A LoggedModel without bytes (its tags say where they are), an output of the run, its metrics linked to it."""
    import mlflow
    from mlflow.entities import LoggedModelOutput, Metric

    experiment = row["experiment"] or client.get_run(row["run"]).info.experiment_id
    model = mlflow.create_external_model(
        name=row["name"], source_run_id=row["run"], tags=row["tags"], model_type=row["type"], experiment_id=experiment
    )
    client.log_outputs(row["run"], [LoggedModelOutput(model.model_id, row["step"])])
    dataset_name, digest = row["dataset"] or (None, None)
    metrics = [
        Metric(key, value, timestamp, row["step"], model_id=model.model_id, dataset_name=dataset_name, dataset_digest=digest)
        for key, value, timestamp in row["metrics"]
    ]
    client.log_batch(row["run"], metrics=metrics)
    return model.model_id


SENDERS: dict[str, Callable[[Any, Mapping[str, Any], Path], Any]] = {
    "create": _create,
    "reopen": _reopen,
    "metrics": _metrics,
    "tags": _tags,
    "params": _params,
    "status": _status,
    "artifact": _artifact,
    "image": _image,
    "text": _text,
    "table": _table,
    "dataset": _dataset,
    "checkpoint": _checkpoint,
}
