"""A project folder with an MLflow store: the schema is made once for all tests (it takes seconds) and copied."""

import shutil

import pytest

from myxtts.tracking.store import make_client


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        make_client(folder).get_experiment_by_name("any")
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path, empty_store, monkeypatch):
    """A plain folder with an empty store, and an environment that names no other."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("myxtts.tracking.opening._project_run", None)
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(empty_store, root / "mlflow.db")
    return root


@pytest.fixture
def client(project):
    return make_client(project)
