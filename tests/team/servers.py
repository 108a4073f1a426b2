"""A team's servers on this machine: PostgreSQL, S3 (moto, in memory) and MLflow with basic auth on the two of them."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port

PACKAGES = ("psycopg", "boto3", "dvc_s3", "flask_wtf", "moto")
ADMIN, DATABASE_USER, BUCKET = "chief", "keeper", "team"
_UP_SECONDS = 120  # MLflow makes its tables first
_AUTH_INI = """[mlflow]
default_permission = READ
database_uri = {uri}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@dataclass
class Servers:
    """Addresses, and the secrets that may be found nowhere but here and in the servers' own memory."""

    folder: Path
    database_port: int = 0
    s3_url: str = ""
    mlflow_url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)

    def secret(self, name: str) -> str:
        return self.secrets.setdefault(name, secrets.token_hex(12))

    def database(self, name: str) -> str:
        return f"postgresql://{DATABASE_USER}:{self.secret('database')}@127.0.0.1:{self.database_port}/{name}"

    def aws(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.secret("s3 key"),
            "AWS_SECRET_ACCESS_KEY": self.secret("s3 secret"),
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def login(self, user: str) -> dict[str, str]:
        """What a client sets to be `user`."""
        return {
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": self.secret(user),
        }


def missing() -> str | None:
    """What these servers need and this machine lacks, with the remedy; None when all is there."""
    packages = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        return f"needs {', '.join(packages)}: make team"
    return None if postgres_bin() else "needs PostgreSQL's initdb and pg_ctl: apt-get install postgresql"


def postgres_bin() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps it out of PATH."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """All three servers, empty but for MLflow's administrator."""
    servers = Servers(folder)
    with _postgres(servers), _s3(servers), _mlflow(servers):
        yield servers


@contextlib.contextmanager
def _postgres(servers: Servers) -> Iterator[None]:
    """PostgreSQL refuses to be root: then it runs as the user `postgres`, in a folder of that user's."""
    place, tools, port = Path(tempfile.mkdtemp(prefix="team-pg-")), postgres_bin(), free_port()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(place, user)
    data, password = place / "data", place / "password"
    password.write_text(servers.secret("database"))
    password.chmod(0o600)
    if user:
        shutil.chown(password, user)

    def run(*command: str) -> None:
        done = subprocess.run([tools / command[0], *command[1:]], user=user, cwd=place, stdout=log, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, f"{command}: {(servers.folder / 'postgres.log').read_text()[-3000:]}"

    with (servers.folder / "postgres.log").open("ab") as log:
        run("initdb", "-D", str(data), "-U", DATABASE_USER, "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8")
        password.unlink()
        run("pg_ctl", "-D", str(data), "-w", "-o", f"-p {port} -k {place} -c listen_addresses=127.0.0.1", "start")
        servers.database_port = port
        try:
            _make_databases(servers)
            yield
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
            shutil.rmtree(place)


def _make_databases(servers: Servers) -> None:
    import psycopg

    with psycopg.connect(servers.database("postgres"), autocommit=True) as connection:
        for name in ("mlflow", "mlflow_auth"):
            connection.execute(f"CREATE DATABASE {name}")


@contextlib.contextmanager
def _s3(servers: Servers) -> Iterator[None]:
    import boto3

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _server(servers, "s3", url, [sys.executable, "-m", "moto.server", "-p", str(port)], {}):
        servers.s3_url = url
        keys = servers.aws()
        boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            region_name=keys["AWS_DEFAULT_REGION"],
        ).create_bucket(Bucket=BUCKET)
        yield


@contextlib.contextmanager
def _mlflow(servers: Servers) -> Iterator[None]:
    """As docs/team.md starts it: secrets come by environment and a file, never by the command line, which `ps` shows."""
    port, ini = free_port(), servers.folder / "auth.ini"
    ini.touch(0o600)
    ini.write_text(_AUTH_INI.format(uri=servers.database("mlflow_auth").replace("%", "%%"), admin=ADMIN))
    settings = servers.aws() | {
        "MLFLOW_BACKEND_STORE_URI": servers.database("mlflow"),
        "MLFLOW_S3_ENDPOINT_URL": servers.s3_url,
        "MLFLOW_AUTH_CONFIG_PATH": str(ini),
        "MLFLOW_AUTH_ADMIN_PASSWORD": servers.secret(ADMIN),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": servers.secret("server"),
    }
    command = [
        sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--artifacts-destination", f"s3://{BUCKET}/mlflow", "--allowed-hosts", f"127.0.0.1:{port}",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with _server(servers, "mlflow", f"{url}/health", command, settings):
        servers.mlflow_url = url
        yield


@contextlib.contextmanager
def _server(servers: Servers, name: str, url: str, command: list[str], settings: Mapping[str, str]) -> Iterator[None]:
    """A server process in a session of its own, ended with all its children."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "AWS"))}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", **settings}
    log_file = servers.folder / f"{name}.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=servers.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_for(url, process, log_file)
            yield
        finally:
            _end(process)


def _wait_for(url: str, process: subprocess.Popen, log_file: Path) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert process.poll() is None, f"the server of {url} ended: {log_file.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"the server of {url} does not answer: {log_file.read_text()[-3000:]}"
            time.sleep(0.3)


def _end(process: subprocess.Popen) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def add_members(servers: Servers, members: list[str], guests: list[str]) -> None:
    """Users of MLflow. Members may write every experiment and model, by a role; guests read, by the server's default."""
    from mlflow.server.auth.client import AuthServiceClient

    before = {key: os.environ.get(key) for key in servers.login(ADMIN)}
    os.environ.update(servers.login(ADMIN))
    try:
        client = AuthServiceClient(servers.mlflow_url)
        role = client.create_role("default", "voices")
        for kind in ("experiment", "registered_model"):
            client.add_role_permission(role.id, kind, "*", "EDIT")
        for name in [*members, *guests]:
            client.create_user(name, servers.secret(name))
        for name in members:
            client.assign_role(name, role.id)
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
