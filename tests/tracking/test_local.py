"""What is read straight from the tables of a SQLite store is what MLflow's client answers, and what is not known is left to it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from mlflow.entities import Metric

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.local import SCHEMAS, LocalQueries, open_local
from myxtts.tracking.queries import ClientQueries
from myxtts.tracking.run import stage_run
from myxtts.tracking.runs import best, find_runs, open_queries
from myxtts.tracking.store import ensure_store, make_client

CONFIG = XTTSConfig.from_dict({"model": {"preset": "tiny"}})
NAME = CONFIG.tracking.experiment


def train(project: Path, stage: str, number: int, losses: dict[int, float]) -> str:
    """A run with checkpoints; returns its id."""
    config = XTTSConfig.from_dict({"model": {"preset": "tiny"}, "training": {"gpt": {"learning_rate": 1e-4 * (number + 1)}}})
    folder = project / "checkpoints" / stage / str(number)
    with stage_run(config, stage, project, folder) as run:
        for step, loss in losses.items():
            (folder / f"ckpt-{step:08d}").mkdir(parents=True)
            values = {"val/mel_loss": loss, "val/mel_accuracy": 1 / (1 + loss)}
            run.metrics(values, step=step)
            run.checkpoint(step, folder / f"ckpt-{step:08d}", values)
    return run.run_id


@pytest.fixture
def filled(project, client) -> Path:
    """Ties, a run without the metric, a NaN, a deleted run, a deleted checkpoint, a running one, a loss measured twice on a checkpoint."""
    first = train(project, "gpt", 0, {10: 2.0, 20: 1.5})
    train(project, "gpt", 1, {10: 1.5, 20: 1.5})
    deleted = train(project, "gpt", 2, {10: 0.5})
    train(project, "dvae", 3, {})
    train(project, "decoder", 4, {5: 0.25, 10: 0.125})
    client.delete_run(deleted)
    experiment = client.get_run(first).info.experiment_id
    running = client.create_run(experiment, tags={"dvc.stage": "voice"}, run_name="still running").info.run_id
    client.log_batch(running, metrics=[Metric("val/mel_loss", float("nan"), 1000, 3), Metric("speech/similarity", 0.5, 1000, 3)])
    order = [{"field_name": "metrics.val/mel_loss"}]
    models = client.search_logged_models([experiment], filter_string="model_type = 'decoder'", order_by=order)
    client.delete_logged_model(models[0].model_id)
    client.log_metric(models[1].source_run_id, "val/mel_loss", 0.75, step=5, model_id=models[1].model_id)
    other = client.create_experiment("another")
    client.log_metric(client.create_run(other, tags={"dvc.stage": "gpt"}).info.run_id, "val/mel_loss", 0.01)
    return project


def both(project: Path, local: LocalQueries) -> tuple[LocalQueries, ClientQueries]:
    return local, ClientQueries(make_client(project), ensure_store(project, NAME))


def test_the_runs_are_those_of_the_client_in_its_order(filled):
    with open_local(filled / "mlflow.db", NAME) as local:
        ours, theirs = both(filled, local)
        for stage, sort, highest, limit in product(
            (None, "gpt", "voice", "none"), (None, "val/mel_loss", "speech/similarity", "none"), (True, False), (2, 50)
        ):
            asked = (stage, sort, highest, limit)
            assert repr(ours.runs(*asked)) == repr(theirs.runs(*asked)), asked  # as text: NaN is not equal to itself
        assert len(ours.runs(None, None, False, 50)) == 5


def test_the_best_checkpoint_is_that_of_the_client(filled):
    with open_local(filled / "mlflow.db", NAME) as local:
        ours, theirs = both(filled, local)
        for asked in product(("val/mel_loss", "val/mel_accuracy", "none"), ("gpt", "decoder", "dvae"), (True, False)):
            assert ours.best_checkpoint(*asked) == theirs.best_checkpoint(*asked), asked
        assert ours.best_checkpoint("val/mel_loss", "gpt", False).value == 1.5  # 0.5 is of a run that was deleted
        assert ours.best_checkpoint("val/mel_loss", "decoder", False).value == 0.75  # 0.125 was deleted, 0.25 measured anew


def test_the_installed_mlflow_makes_tables_that_are_read(project):
    """When this fails after an update of MLflow, look what changed in its tables and add their version to SCHEMAS."""
    with closing(sqlite3.connect(project / "mlflow.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMAS[0],)]


def test_the_commands_do_not_import_mlflow(filled):
    code = (
        "import sys; from myxtts.cli import main; main(sys.argv[1:])\n"
        "assert not {'mlflow', 'sqlalchemy', 'pandas', 'tensorflow', 'numpy'} & set(sys.modules)"
    )
    (filled / "params.yaml").write_text("model: {preset: tiny}\n")
    for arguments in (["runs"], ["best", "--metric", "val/mel_loss", "--stage", "gpt"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=filled, check=False)
        assert done.returncode == 0, done.stderr
        assert "gpt" in done.stdout


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = 'another'", "DROP TABLE alembic_version", "DELETE FROM experiments WHERE name = 'myxtts'"],
)
def test_other_tables_are_left_to_the_client(filled, change):
    with closing(sqlite3.connect(filled / "mlflow.db")) as connection:
        connection.execute(change)
        connection.commit()
    with open_local(filled / "mlflow.db", NAME) as local:
        assert local is None


def test_an_experiment_that_is_not_there_yet_is_made(project):
    assert find_runs(CONFIG, project) == []  # no experiment yet
    with open_queries(project, NAME) as queries:
        assert isinstance(queries, LocalQueries)


def test_a_damaged_or_deleted_store_is_named_as_the_client_names_it(filled, client):
    client.delete_experiment(client.get_experiment_by_name(NAME).experiment_id)
    with pytest.raises(TrackingError, match="is deleted in the MLflow store; restore it"):
        find_runs(CONFIG, filled)
    (filled / "mlflow.db").write_bytes(b"no database " * 1000)
    with pytest.raises(TrackingError, match="is not a usable SQLite database"):
        best(CONFIG, filled, "val/mel_loss")


def test_a_file_that_fails_in_the_middle_is_named(filled):
    with pytest.raises(TrackingError, match=r"mlflow.db cannot be read \(no such table: runs\)"), open_queries(filled, NAME) as queries:
        with closing(sqlite3.connect(filled / "mlflow.db")) as connection:
            connection.execute("DROP TABLE runs")
            connection.commit()
        queries.runs(None, None, False, 5)
