"""The MLflow store: where runs are kept, made ready once, and refused early when it cannot be reached."""

import http.client
import logging
import os
import re
import socket
import sqlite3
import ssl
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from myxtts.config import TrackerAway, TrackingError
from myxtts.tracking.credentials import shown_uri, split_credentials, without_credentials

KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
LOCAL_UI = "http://127.0.0.1:5000"
_LOCK_SECONDS = 120
_EXPERIMENTS_OF_DVC = (".dvc", "tmp", "exps")
# MLflow retries seven times with doubling pauses, minutes in all; a value in the user's environment wins
_CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # its link opens the GenAI view; ours is printed when a run starts
}
_DATABASES = ("postgresql", "mysql", "mssql")
_BAD_ADDRESS = "its address cannot be read: / : @ ? # in a password are written %2F %3A %40 %3F %23"
# how MLflow's client says that there was no answer
_NO_ANSWER = re.compile(r"Max retries exceeded|timed out|Connection (aborted|refused|reset)|error code 50[234]\b")
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def main_checkout(root: str | Path) -> Path:
    """The checkout that `root` belongs to. The workspace of a queued DVC experiment lies inside it, in `.dvc/tmp/exps/`."""
    path = Path(root).resolve()
    parts = path.parts
    for start in range(len(parts) - len(_EXPERIMENTS_OF_DVC)):
        if parts[start : start + len(_EXPERIMENTS_OF_DVC)] == _EXPERIMENTS_OF_DVC:
            return Path(*parts[:start])
    return path


def tracking_uri(root: str | Path) -> str:
    """`MLFLOW_TRACKING_URI` if set (a relative SQLite path is taken from the main checkout), else SQLite in the main checkout.

    A server's address comes without the user and password in it: `make_client` hands those to MLflow. A database's is whole; show it
    by `shown_uri` only. Raises TrackingError for a file store, which MLflow 3 no longer writes.
    """
    main = main_checkout(root)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return f"sqlite:///{main / 'mlflow.db'}"
    scheme = urlsplit(uri).scheme
    if scheme in ("", "file"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI is {shown_uri(uri)!r}, a file store, which MLflow 3 no longer writes; unset it (runs then go to "
            f"{main / 'mlflow.db'}), or give sqlite:///path/to/mlflow.db or the address of a server"
        )
    if scheme == "sqlite" and not (path := sqlite_path(uri)).is_absolute():
        return f"sqlite:///{main / path}"
    return split_credentials(uri)[0] if is_http(uri) else uri


def sqlite_path(uri: str) -> Path:
    """The file of a `sqlite:///` URI."""
    return Path(re.sub(r"^sqlite(\+\w+)?:///", "", uri))


def is_http(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def unreachable(uri: str, timeout: float = 2.0) -> str | None:
    """Why nothing answers at `uri` (a server's, or a database server's), or None when something does, or when it is a file."""
    try:
        parts = urlsplit(uri)
        default_port = _PORTS.get(parts.scheme.partition("+")[0])
        if default_port is None or not parts.hostname:
            return None
        address = (parts.hostname, parts.port or default_port)
    except ValueError:  # its text quotes the password
        return _BAD_ADDRESS
    try:
        socket.create_connection(address, timeout=timeout).close()
        return _silent(uri, timeout) if is_http(uri) else None
    except OSError as error:
        return str(error) or type(error).__name__


def _silent(uri: str, timeout: float) -> str | None:
    """Why a server that takes connections answers nothing: it hangs, or a proxy before it says that it is gone. None when it answers."""
    request = urllib.request.Request(f"{split_credentials(uri)[0].rstrip('/')}/health")
    try:
        urllib.request.urlopen(request, timeout=2.5 * timeout).close()
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code in (502, 503, 504) else None
    except urllib.error.URLError as error:  # of certificates MLflow's own client has its settings
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except http.client.HTTPException as error:
        return f"no HTTP answer: {type(error).__name__}"
    return None


def make_client(root: str | Path):
    """An `MlflowClient` of the store of `root`, with short retries.

    Raises TrackingError, within seconds, when a server does not answer, does not know this user, or has a database that cannot be used.
    """
    for key, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(key, value)
    uri = tracking_uri(root)
    if reason := unreachable(uri):
        port = re.search(r":(\d+)(/|$)", uri)
        start = f"start it (mlflow server --port {port[1] if port else 80})" if is_http(uri) else "start it"
        kind = TrackingError if reason == _BAD_ADDRESS else TrackerAway  # waiting would not better it
        raise kind(
            f"the MLflow server {shown_uri(uri)} cannot be reached ({reason}); {start}, correct MLFLOW_TRACKING_URI, or unset it to "
            f"keep runs in {main_checkout(root) / 'mlflow.db'}"
        )
    if is_http(uri):
        _hand_over_login()
    elif uri.startswith(_DATABASES):
        _try_database(uri)
    import mlflow  # imported late: it takes seconds

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    named = os.environ.get("MLFLOW_TRACKING_URI")
    with locked(uri):
        mlflow.set_tracking_uri(uri)
        # MLflow writes it into the environment, where it would pass for the user's wish and catch other projects
        if named is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = named
        return _guarded(uri, lambda: _greeted(mlflow.MlflowClient(uri)) if is_http(uri) else mlflow.MlflowClient(uri))


def _hand_over_login() -> None:
    """User and password of `http://user:password@host` go to MLflow's own variables: an address is shown and logged, these are not."""
    _, user, password = split_credentials(os.environ.get("MLFLOW_TRACKING_URI", "").strip())
    for name, value in (("MLFLOW_TRACKING_USERNAME", user), ("MLFLOW_TRACKING_PASSWORD", password)):
        if value is not None:
            os.environ[name] = value


def _greeted(client):
    """Asks a server for anything: a wrong password shows now, with one remedy for every command, not in the middle of one."""
    client.search_experiments(max_results=1)
    return client


def _try_database(uri: str) -> None:
    """Connects once: MLflow would retry a wrong password for minutes. Raises TrackingError."""
    import sqlalchemy

    engine = None
    try:
        engine = sqlalchemy.create_engine(uri)
        engine.connect().close()
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"{shown_uri(uri)} needs the database driver {error.name}, which is not installed: install it, or for PostgreSQL write "
            "postgresql://… and pip install 'myxtts[team]'"
        ) from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = without_credentials(str(getattr(error, "orig", error)).strip().splitlines()[0][:300])
        raise TrackingError(
            f"the database {shown_uri(uri)} cannot be used ({reason}); correct user, password and database in MLFLOW_TRACKING_URI"
        ) from None
    finally:
        if engine is not None:
            engine.dispose()


def ensure_store(root: str | Path, experiment: str) -> str:
    """`open_store`, of which only the experiment's id is wanted."""
    return open_store(root, experiment)[1]


def open_store(root: str | Path, experiment: str) -> tuple[Any, str]:
    """Makes the store and the experiment if need be; returns an `MlflowClient` and the experiment's id.

    Several processes may call it at once. Raises TrackingError, within seconds, when the store cannot be used.
    """
    client = make_client(root)
    uri = tracking_uri(root)
    artifacts = None  # the server decides
    if uri.startswith("sqlite"):
        artifacts = (main_checkout(root) / "mlruns" / re.sub(r"[^\w.-]+", "_", experiment)).as_uri()
    with locked(uri):
        return client, _guarded(uri, lambda: find_or_make_experiment(client, experiment, artifacts))


@contextmanager
def locked(uri: str):
    """Holds the lock of a SQLite store: two processes that make the schema at once both fail. Raises TrackingError."""
    if not uri.startswith("sqlite"):
        yield
        return
    from filelock import FileLock, Timeout

    database = sqlite_path(uri)
    lock = FileLock(f"{database}.lock", timeout=_LOCK_SECONDS)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise TrackingError(
            f"{database}.lock has been held for {_LOCK_SECONDS} s by another process; end it, or set MLFLOW_TRACKING_URI"
        ) from None
    except OSError as error:
        raise TrackingError(
            f"the MLflow database {database} cannot be written ({error}); free the disk or correct the permissions of its "
            "folder, or set MLFLOW_TRACKING_URI"
        ) from None
    try:
        _check_database(database)
        yield
    finally:
        lock.release()


def _check_database(database: Path) -> None:
    """MLflow would retry a damaged file for hours. Raises TrackingError."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=20)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(
            f"{database} is not a usable SQLite database ({error}); move it away (a new one is made then), or set MLFLOW_TRACKING_URI"
        ) from None


def _guarded(uri: str, action):
    from mlflow.exceptions import MlflowException

    try:
        return action()
    except MlflowException as error:
        remedy = remedy_for(error) or "see the message, or set MLFLOW_TRACKING_URI to another store"
        if "out-of-date database schema" in str(error):
            remedy = f"back it up, then run: mlflow db upgrade {shown_uri(uri)}" + ("" if uri == shown_uri(uri) else " (with its password)")
        raise kind_of(error)(f"the MLflow store {shown_uri(uri)} cannot be used: {first_line(error)}; {remedy}") from error


def kind_of(error: Exception) -> type[TrackingError]:
    """TrackerAway where MLflow's client had no answer, TrackingError where it had one."""
    return TrackerAway if _NO_ANSWER.search(str(error)) else TrackingError


def first_line(error: Exception) -> str:
    """What MLflow says, without the passwords of addresses."""
    return without_credentials((str(error).splitlines() or [type(error).__name__])[0][:500])


def remedy_for(error: Exception) -> str | None:
    """What to do about a server that refuses this client (401, 403); None for other errors."""
    text = str(error)
    if "Invalid Host header" in text:
        return "start the server with --allowed-hosts naming the host of MLFLOW_TRACKING_URI"
    if re.search(r"error code 401\b|not authenticated", text):
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to what the server's administrator gave you"
    if re.search(r"error code 403\b|Permission denied|PERMISSION_DENIED", text):
        user = os.environ.get("MLFLOW_TRACKING_USERNAME")
        return f"ask the server's administrator to let {user or 'your MLflow user'} write here (EDIT), or set MLFLOW_TRACKING_USERNAME"
    return None


def find_or_make_experiment(client, name: str, artifacts: str | None = None) -> str:
    """The id of an experiment. artifacts: where a new one keeps its files; None = the server decides. Raises TrackingError."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifacts, tags={KIND_TAG: KIND})
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another client of the same server was first
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} is deleted in the MLflow store; restore it (mlflow experiments restore "
            f"--experiment-id {found.experiment_id}) or set tracking.experiment to another name"
        )
    if found.tags.get(KIND_TAG) != KIND:
        client.set_experiment_tag(found.experiment_id, KIND_TAG, KIND)
    return found.experiment_id


def experiment_url(uri: str, experiment_id: str, run_id: str | None = None) -> str:
    """The page of an experiment or run, in the machine-learning view (MLflow opens its GenAI view otherwise)."""
    page = f"/runs/{quote(run_id)}" if run_id else "/runs"
    return f"{_ui(uri)}/#/experiments/{quote(experiment_id)}{page}?workflowType=machine_learning"


def model_url(uri: str, name: str, version: str | int | None = None) -> str:
    """The page of a registered model, or of one version of it."""
    page = f"/versions/{version}" if version is not None else ""
    return f"{_ui(uri)}/#/models/{quote(name)}{page}?workflowType=machine_learning"


def _ui(uri: str) -> str:
    return uri.rstrip("/") if is_http(uri) else LOCAL_UI
