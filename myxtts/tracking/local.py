"""The questions of `myxtts runs` and `myxtts best` answered from the tables of a SQLite store: importing MLflow takes two seconds.

The answers are those of MLflow's client (tests/tracking/test_local.py compares them). A schema that was not compared is left to it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from myxtts.config import TrackingError
from myxtts.tracking.queries import Checkpoint, Run

SCHEMAS = ("dc11669786a5",)  # versions of MLflow's tables that are read here: that of MLflow 3.17
RUN = "runs.run_uuid, runs.experiment_id, runs.name, runs.status, runs.start_time, runs.end_time"
RUNS = f"""
SELECT {RUN} FROM runs LEFT JOIN latest_metrics AS sorted ON sorted.run_uuid = runs.run_uuid AND sorted.key = :sort
WHERE runs.experiment_id = :experiment AND runs.lifecycle_stage = 'active'
  AND (:stage IS NULL OR (SELECT value FROM tags WHERE tags.run_uuid = runs.run_uuid AND tags.key = 'dvc.stage') = :stage)
ORDER BY CASE WHEN sorted.is_nan THEN 1 WHEN sorted.value IS NULL THEN 2 ELSE 0 END, sorted.value {{direction}},
  runs.start_time DESC, runs.run_uuid
LIMIT :limit
"""
BEST = f"""
WITH measured AS (
  SELECT model_id, metric_value AS value,
    row_number() OVER (PARTITION BY model_id ORDER BY metric_timestamp_ms DESC, metric_step DESC, run_id) AS place
  FROM logged_model_metrics WHERE metric_name = :metric AND metric_value IS NOT NULL
)
SELECT models.model_id, measured.value, {RUN}
FROM measured JOIN logged_models AS models USING (model_id) JOIN runs ON runs.run_uuid = models.source_run_id
WHERE measured.place = 1 AND models.experiment_id = :experiment AND models.model_type = :stage
  AND models.lifecycle_stage != 'deleted' AND runs.lifecycle_stage = 'active'
ORDER BY measured.value {{direction}}, models.creation_timestamp_ms DESC, models.model_id
LIMIT 1
"""


@contextmanager
def open_local(database: Path, experiment: str) -> Iterator["LocalQueries | None"]:
    """Queries on the file, or None where MLflow's client is to be asked.

    That is: no such file, one that cannot be opened, another schema, or an experiment that is not there, is deleted or stands there twice;
    the client makes what is missing and says what is wrong. Raises TrackingError where the file fails in the middle.
    """
    connection = _connect(database)
    if connection is None:
        yield None
        return
    with closing(connection):
        experiments = _experiments(connection, experiment)
        try:
            yield LocalQueries(connection, experiments[0]) if len(experiments) == 1 else None
        except sqlite3.Error as error:
            raise TrackingError(f"{database} cannot be read ({error}); try again, or look whether its disk is full or failing") from error


def _connect(database: Path) -> sqlite3.Connection | None:
    try:
        return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=20)  # rw: makes no file, ends a broken write
    except sqlite3.Error:
        return None


def _experiments(connection: sqlite3.Connection, name: str) -> list[int]:
    """Ids of the experiments of that name; none where the file's schema is not one of SCHEMAS."""
    try:
        schemas = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
        if len(schemas) != 1 or schemas[0] not in SCHEMAS:
            return []
        known = connection.execute("SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", (name,)).fetchall()
    except sqlite3.Error:
        return []
    return [number for number, stage in known] if all(stage == "active" for _, stage in known) else []


class LocalQueries:
    """As `myxtts.tracking.queries.Queries` says."""

    def __init__(self, connection: sqlite3.Connection, experiment_id: int):
        self._connection, self._experiment_id = connection, experiment_id

    def runs(self, stage: str | None, sort: str | None, highest: bool, limit: int) -> list[Run]:
        values = {"experiment": self._experiment_id, "stage": stage, "sort": sort, "limit": limit}
        return [self._run(row) for row in self._connection.execute(_directed(RUNS, highest), values).fetchall()]

    def best_checkpoint(self, metric: str, stage: str, highest: bool) -> Checkpoint | None:
        values = {"experiment": self._experiment_id, "stage": stage, "metric": metric}
        found = self._connection.execute(_directed(BEST, highest), values).fetchone()
        if found is None:
            return None
        model_id, value, *run = found
        tags = dict(self._connection.execute("SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?", (model_id,)))
        return Checkpoint(value, self._run(run), int(tags["step"]), tags["path"])

    def _run(self, row: tuple | list) -> Run:
        run_id, experiment, name, status, started, ended = row
        params = dict(self._connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)))
        tags = dict(self._connection.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)))
        latest = self._connection.execute("SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ?", (run_id,))
        metrics = {key: float("nan") if is_nan else value for key, value, is_nan in latest}
        seconds = (ended - started) / 1000 if ended else None
        name = name or tags.get("mlflow.runName", "")
        return Run(run_id, str(experiment), name, tags.get("dvc.stage", ""), status, started, seconds, params, metrics)


def _directed(query: str, highest: bool) -> str:
    return query.format(direction="DESC" if highest else "ASC")
