"""A repository that was moved keeps its runs' artifacts within reach."""

import shutil
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.relocate import relocate
from myxtts.tracking.run import stage_run
from myxtts.tracking.store import make_client

CONFIG = XTTSConfig.from_dict({"model": {"preset": "tiny"}})


def run_with_text(project, name: str) -> str:
    with stage_run(CONFIG, "gpt", project, project / "checkpoints" / name) as run:
        run.text(f"hello from {name}", "note.txt")
    return run.run_id


def read(project, run_id: str, place) -> str:
    return Path(make_client(project).download_artifacts(run_id, "note.txt", str(place))).read_text()


@pytest.mark.parametrize("name", ["moved", "moved to a place with spaces"])
def test_a_moved_repository_finds_its_artifacts_again(project, tmp_path, name):
    first = run_with_text(project, "first")
    moved = tmp_path / name
    shutil.move(project, moved)
    with pytest.raises((MlflowException, OSError)):
        read(moved, first, tmp_path)
    assert relocate(moved) >= 2  # the experiment and its run
    assert read(moved, first, tmp_path) == "hello from first"
    second = run_with_text(moved, "second")
    assert read(moved, second, tmp_path) == "hello from second"
    assert not project.exists()
    assert relocate(moved) == 0


def test_a_copy_has_its_own_artifacts_and_the_original_keeps_its(project, tmp_path):
    first = run_with_text(project, "first")
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    assert relocate(copy) >= 2
    shutil.rmtree(project / "mlruns")
    assert read(copy, first, tmp_path) == "hello from first"


def test_artifacts_that_were_always_elsewhere_stay_there(project, tmp_path):
    client = make_client(project)
    elsewhere = tmp_path / "disk" / "mlruns" / "shared"
    elsewhere.mkdir(parents=True)
    experiment = client.create_experiment("shared", artifact_location=elsewhere.as_uri())
    bucket = client.create_experiment("bucket", artifact_location="s3://bucket/mlruns/7")
    relocate(project)
    assert client.get_experiment(experiment).artifact_location == elsewhere.as_uri()
    assert client.get_experiment(bucket).artifact_location == "s3://bucket/mlruns/7"


def test_a_servers_artifacts_are_the_servers(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    with pytest.raises(TrackingError, match="is no SQLite file of this repository"):
        relocate(project)
