"""The questions that `myxtts runs` and `myxtts best` put to a store: its runs, and the best checkpoint of a stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

CANDIDATES = 50  # checkpoints that are looked at for one whose run was not deleted


@dataclass(frozen=True)
class Run:
    """One run as MLflow has it. `metrics`: the latest value of each; `seconds`: None while it runs."""

    id: str
    experiment: str
    name: str
    stage: str
    status: str
    started: int  # ms since 1970
    seconds: float | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Checkpoint:
    """A recorded checkpoint with the value of the metric that was asked for; `path` from the main checkout."""

    value: float
    run: Run
    step: int
    path: str


class Queries(Protocol):
    """What can be asked of one experiment."""

    def runs(self, stage: str | None, sort: str | None, highest: bool, limit: int) -> list[Run]:
        """Runs that are not deleted, of one stage or all: the newest first, or by the latest value of metric `sort` (no value: last)."""

    def best_checkpoint(self, metric: str, stage: str, highest: bool) -> Checkpoint | None:
        """The checkpoint with the lowest (or highest) value among those whose run is not deleted."""


class ClientQueries:
    """By MLflow's client: any store."""

    def __init__(self, client: Any, experiment_id: str):
        self._client, self._experiment_id = client, experiment_id

    def runs(self, stage: str | None, sort: str | None, highest: bool, limit: int) -> list[Run]:
        order = ["attributes.start_time DESC"]
        if sort:
            order.insert(0, f"metrics.`{sort}` {'DESC' if highest else 'ASC'}")
        kept = f"tags.`dvc.stage` = '{stage}'" if stage else ""
        return [as_run(item) for item in self._client.search_runs([self._experiment_id], kept, order_by=order, max_results=limit)]

    def best_checkpoint(self, metric: str, stage: str, highest: bool) -> Checkpoint | None:
        models = self._client.search_logged_models(
            [self._experiment_id],
            filter_string=f"model_type = '{stage}'",
            order_by=[{"field_name": f"metrics.{metric}", "ascending": not highest}],
            max_results=CANDIDATES,
        )
        for model in models:
            points = [item for item in model.metrics or () if item.key == metric]
            run = self._client.get_run(model.source_run_id)
            if points and run.info.lifecycle_stage == "active":  # MLflow keeps the models of deleted runs
                latest = max(points, key=lambda point: (point.timestamp, point.step))
                return Checkpoint(latest.value, as_run(run), int(model.tags["step"]), model.tags["path"])
        return None


def as_run(item: Any) -> Run:
    """MLflow's own object as a Run."""
    info, data = item.info, item.data
    seconds = (info.end_time - info.start_time) / 1000 if info.end_time else None
    stage = data.tags.get("dvc.stage", "")
    name = info.run_name or ""
    return Run(info.run_id, info.experiment_id, name, stage, info.status, info.start_time, seconds, data.params, data.metrics)
