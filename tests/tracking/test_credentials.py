"""Passwords in addresses connect, and are shown nowhere."""

import base64
import os
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from ports import free_port

from myxtts.config import TrackingError
from myxtts.pipeline.project import what_was_made
from myxtts.tracking.credentials import masked_diff, shown_uri, split_credentials, without_credentials
from myxtts.tracking.git import git_diff
from myxtts.tracking.relocate import relocate
from myxtts.tracking.store import ensure_store, experiment_url, make_client, remedy_for, tracking_uri, unreachable

SECRET = "sesame42"


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    """Whatever a test sets is gone after it."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"postgresql://me:{SECRET}@db:5433/mlflow", "postgresql://db:5433/mlflow"),
        (f"postgresql+psycopg2://me:a/b@{SECRET}@db/mlflow", "postgresql+psycopg2://db/mlflow"),
        (f"postgresql:///mlflow?host=db&password={SECRET}&user=me", "postgresql:///mlflow?host=db&password=***&user=me"),
        (f"https://me:{SECRET}@host/base", "https://host/base"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_shown_address_has_no_password(uri, shown):
    assert shown_uri(uri) == shown


def test_a_text_keeps_everything_but_the_passwords():
    text = f"GET https://me:{SECRET}@host/a?x=1&api_token={SECRET} failed, write to me@example.org"
    assert without_credentials(text) == "GET https://host/a?x=1&api_token=*** failed, write to me@example.org"


def test_a_login_is_taken_out_of_an_address_and_decoded():
    assert split_credentials("https://me%40home:p%2Fw@host:5000/base") == ("https://host:5000/base", "me@home", "p/w")
    assert split_credentials("https://host/base") == ("https://host/base", None, None)
    assert split_credentials("https://me@host") == ("https://host", "me", None)


def test_the_address_of_a_server_is_used_everywhere_without_its_login(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:5000")
    assert tracking_uri(project) == "http://127.0.0.1:5000"
    assert SECRET not in experiment_url(tracking_uri(project), "1", "r")


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql+pymysql"])
def test_no_password_in_what_is_said_of_a_server_that_is_away(project, monkeypatch, scheme):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:{SECRET}@127.0.0.1:{port}/x")
    with pytest.raises(TrackingError, match=rf"{scheme.replace('+', '.')}://127.0.0.1:{port}/x cannot be reached") as refused:
        ensure_store(project, "voices")
    assert SECRET not in str(refused.value)


def test_an_unescaped_password_is_not_quoted():
    reason = unreachable(f"postgresql://me:{SECRET}/b@db/mlflow")
    assert "%2F" in reason
    assert SECRET not in reason


def test_relocate_and_the_last_page_of_the_pipeline_show_no_password(project, monkeypatch):
    uri = f"postgresql://me:{SECRET}@db/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match="postgresql://db/mlflow is no SQLite file"):
        relocate(project)
    reports = {
        "registered": '{"uri": "models:/a/1", "name": "a", "version": 1}',
        "evaluate": "{}",
        "prepare": '{"clips": 1, "hours": 1, "rejected": 0}',
        "voice_run": '{"run_id": "r", "model_id": null, "experiment_id": "1"}',
    }
    for name, text in reports.items():
        (project / "reports").mkdir(exist_ok=True)
        (project / "reports" / f"{name}.json").write_text(text)
    monkeypatch.setattr("myxtts.pipeline.project._aliases", lambda *_: "candidate")
    monkeypatch.setattr("myxtts.pipeline.project._started_from", lambda *_: [])
    assert "--backend-store-uri postgresql://db/mlflow\n" in what_was_made(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@host:5000")
    page = what_was_made(project)
    assert "http://host:5000/#/experiments/1/runs/r" in page
    assert "mlflow ui" not in page
    assert SECRET not in page


class Guarded(BaseHTTPRequestHandler):
    """A server that lets nobody in and remembers who knocked."""

    logins: ClassVar[list[str]] = []

    def do_GET(self):
        if self.path == "/health":  # MLflow's asks nobody for it
            self.send_response(200)
            return self.end_headers()
        self.logins.append(base64.b64decode(self.headers.get("Authorization", "Basic ").split()[1]).decode())
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"You are not authenticated.")

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


def test_a_refused_login_is_known_before_anything_is_done(project, monkeypatch):
    """The login in the address reaches the server; what is said of it does not quote it."""
    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}%2F@127.0.0.1:{server.server_port}")
        with pytest.raises(TrackingError, match=r"error code 401.*set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as refused:
            make_client(project)
        server.shutdown()
    assert Guarded.logins == [f"me:{SECRET}/"]
    assert SECRET not in str(refused.value)


def test_a_database_is_tried_once_and_a_missing_driver_is_named(project, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+pg8000://me:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/x")
        start = time.monotonic()
        with pytest.raises(TrackingError, match=r"needs the database driver pg8000.*myxtts\[team\]") as refused:
            make_client(project)
    assert time.monotonic() - start < 120
    assert SECRET not in str(refused.value)


def test_the_remedy_fits_the_refusal():
    failed = "API request to endpoint /api/2.0/mlflow/runs/create failed with error code {} != 200. Response body: '{}'"
    assert "MLFLOW_TRACKING_PASSWORD" in remedy_for(Exception(failed.format(401, "You are not authenticated.")))
    assert "EDIT" in remedy_for(Exception(failed.format(403, "Permission denied")))
    assert "--allowed-hosts" in remedy_for(Exception(failed.format(403, "Invalid Host header - possible DNS rebinding attack detected")))
    assert remedy_for(Exception("Run with id=4014034010 not found")) is None


def test_a_diff_is_logged_without_the_secrets_in_it(tmp_path):
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=tmp_path, check=True, env=os.environ)

    (tmp_path / ".dvc").mkdir()
    config, code = tmp_path / ".dvc" / "config", tmp_path / "code.py"
    config.write_text("['remote \"team\"']\n    url = s3://team/dvc\n")
    code.write_text("")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "start")
    config.write_text(config.read_text() + f"    access_key_id = {SECRET}\n    secret_access_key = {SECRET}\n    region = eu\n")
    code.write_text(f"start_token = 5\nURL = 'https://me:{SECRET}@host/a'\n")
    diff = git_diff(tmp_path)
    assert SECRET not in diff
    assert "+    secret_access_key = ***" in diff
    assert "+    region = eu" in diff
    assert "+start_token = 5" in diff
    assert "+URL = 'https://***@host/a'" in diff
    assert masked_diff("") == ""
