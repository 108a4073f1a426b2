import os
import shutil
import subprocess
import sys
import time

import pytest
from ports import free_port

from myxtts.config import TrackingError
from myxtts.tracking.store import ensure_store, experiment_url, main_checkout, make_client, model_url, sqlite_path, tracking_uri


def test_a_queued_experiment_uses_the_store_of_the_main_checkout(project):
    workspace = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    workspace.mkdir(parents=True)
    assert main_checkout(workspace) == project
    assert tracking_uri(workspace) == tracking_uri(project) == f"sqlite:///{project / 'mlflow.db'}"
    assert main_checkout(project / ".dvc") == project / ".dvc"


def test_the_path_of_the_store_is_absolute(project, monkeypatch):
    monkeypatch.chdir(project)
    assert sqlite_path(tracking_uri(".")).is_absolute()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/runs.db")
    assert sqlite_path(tracking_uri(".")) == project / "store" / "runs.db"


def test_the_environment_names_the_server(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(project) == "http://127.0.0.1:5000"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_a_file_store_is_refused_with_the_remedy(project, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match="sqlite"):
        tracking_uri(project)


def test_the_experiment_is_made_once_and_marked(project, client):
    first = ensure_store(project, "voices")
    assert ensure_store(project, "voices") == first
    experiment = client.get_experiment(first)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == (project / "mlruns" / "voices").as_uri()


def test_two_projects_in_one_process_keep_apart(project, client, tmp_path, empty_store):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(empty_store, other / "mlflow.db")
    made = ensure_store(other, "of the other")
    assert make_client(other).get_experiment(made).name == "of the other"
    assert client.get_experiment_by_name("of the other") is None
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_an_experiment_made_elsewhere_gets_the_mark(project, client):
    made = client.create_experiment("voices")
    assert ensure_store(project, "voices") == made
    assert client.get_experiment(made).tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_deleted_experiment_names_the_remedy(project, client):
    made = ensure_store(project, "voices")
    client.delete_experiment(made)
    with pytest.raises(TrackingError, match="experiments restore"):
        ensure_store(project, "voices")


def test_a_server_that_is_not_there_is_refused_within_seconds(project, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    start = time.monotonic()
    with pytest.raises(TrackingError, match=f"cannot be reached.*mlflow server --port {port}"):
        ensure_store(project, "voices")
    assert time.monotonic() - start < 60


def test_a_damaged_database_is_refused_and_kept(project):
    (project / "mlflow.db").write_bytes(b"this is no database" * 100)
    start = time.monotonic()
    with pytest.raises(TrackingError, match="move it away"):
        ensure_store(project, "voices")
    assert time.monotonic() - start < 60
    assert (project / "mlflow.db").read_bytes().startswith(b"this is no database")


def test_three_processes_make_a_fresh_store_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code = f"from myxtts.tracking.store import ensure_store; print('id', ensure_store({str(tmp_path)!r}, 'race'))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outcomes = [process.communicate(timeout=900) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outcomes
    assert len({out.split("id ")[1] for out, _ in outcomes}) == 1
    assert make_client(tmp_path).get_experiment_by_name("race") is not None


def test_links_open_the_machine_learning_view():
    assert experiment_url("http://host:5000/", "3", "r1") == "http://host:5000/#/experiments/3/runs/r1?workflowType=machine_learning"
    assert experiment_url("sqlite:////a/mlflow.db", "3").endswith("/#/experiments/3/runs?workflowType=machine_learning")
    assert model_url("http://host:5000", "myxtts", 2) == "http://host:5000/#/models/myxtts/versions/2?workflowType=machine_learning"
