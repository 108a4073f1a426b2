"""Two clients, one MLflow server on PostgreSQL and S3 with users and permissions, one DVC remote: together they make one voice better."""

import base64
import re
import time
from collections.abc import Iterator

import pytest
import soundfile
from servers import ADMIN, BUCKET, Servers

pytestmark = pytest.mark.slow
PROMOTE, ROLLBACK, VERSIONS = ("myxtts", "promote"), ("myxtts", "rollback"), ("myxtts", "registry", "list")


def voices(member) -> list[str]:
    """Ids, as far as the table shows them, of the voice runs that a member sees; the newest first."""
    return [line.split()[0] for line in member.run("myxtts", "runs", "--stage", "voice").splitlines() if "voice" in line.split()[1:2]]


def champion(member) -> int | None:
    lines = [line.split() for line in member.run(*VERSIONS).splitlines() if "champion" in line]
    return int(lines[0][0]) if lines else None


def speak(member, out: str) -> None:
    reference = next((member.root / "data/processed/wavs").glob("en-us_*.wav"))
    member.run("myxtts", "say", "good morning", "--speaker", str(reference), "--model", "models:/route@champion", "--out", out)
    assert soundfile.info(member.root / out).frames > 1000


def refused(member, *command: str, seconds: float = 60) -> str:
    """The one line by which a command ends that may not do what it was asked for."""
    start = time.monotonic()
    said = member.run(*command, check=False)
    assert time.monotonic() - start < seconds, f"{command} took {time.monotonic() - start:.0f} s to say no"
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("myxtts ")]
    assert len(lines) == 1, said
    return lines[0]


def test_what_one_pushed_the_other_pulls_and_has_nothing_to_do(alice, bob):
    assert re.search(r"\d+ files fetched", bob.pulled)
    assert "up to date" in bob.run("dvc", "status")
    assert bob.repro() == []
    assert (bob.root / "models/bundle/params.yaml").read_bytes() == (alice.root / "models/bundle/params.yaml").read_bytes()


def test_both_see_the_runs_and_bob_adds_his_own(servers, alice, bob):
    assert voices(alice) == voices(bob)
    (first,) = voices(bob)
    # MLflow's own command prints the address that it is given: a login in it would be on the screen (docs/team.md)
    runner = type(bob)(bob.root, bob.settings | servers.login("bob"))
    changed = ("-P", "set=training.decoder.max_steps=3")
    output = runner.run("mlflow", "run", ".", "--env-manager", "local", "--experiment-name", "myxtts", *changed)
    bob.said += runner.said
    made = re.search(r"Run \(ID '(\w+)'\) succeeded", output)[1]
    second, again = voices(alice)
    assert (made.startswith(second), again) == (True, first)
    page = alice.root / "compared.html"
    alice.run("myxtts", "compare", first, second, "--out", str(page))
    text = page.read_text(encoding="utf-8")
    assert "training.decoder.max_steps" in text
    assert "data:audio/wav" in text, "the sound is fetched through the server"


def test_a_promotion_by_one_is_the_champion_of_both(alice, bob):
    assert champion(bob) is None
    alice.run(*PROMOTE, "1")
    assert champion(bob) == 1
    speak(bob, "bob.wav")
    bob.run(*PROMOTE, "2")
    assert champion(alice) == 2
    alice.run(*ROLLBACK)
    assert champion(bob) == 1


@pytest.mark.parametrize("command", [("myxtts", "runs"), (*PROMOTE, "1"), VERSIONS, ("dvc", "repro", "-s", "-f", "evaluate")])
def test_a_wrong_password_is_one_line_with_the_remedy(alice, servers, command):
    intruder = type(alice)(alice.root, servers.login("alice") | {"MLFLOW_TRACKING_PASSWORD": "guessed"})
    line = refused(intruder, *command)
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in line
    assert "guessed" not in line
    alice.said += intruder.said


def test_who_may_only_read_reads_and_is_refused_clearly(carol, bob):
    assert voices(carol) == voices(bob)
    assert champion(carol) == 1
    line = refused(carol, "myxtts", "stage", "evaluate")
    assert "Permission denied" in line
    assert "ask the server's administrator" in line
    assert "Permission denied" in refused(carol, *PROMOTE, "2")
    assert champion(carol) == 1


def test_a_host_that_the_server_was_not_told_is_named(alice, servers):
    elsewhere = type(alice)(
        alice.root, servers.login("alice") | {"MLFLOW_TRACKING_URI": servers.mlflow_url.replace("127.0.0.1", "localhost")}
    )
    assert "start the server with --allowed-hosts" in refused(elsewhere, "myxtts", "runs")


def test_the_database_itself_is_a_store_and_its_wrong_password_is_not_tried_for_minutes(alice, servers):
    keeper = type(alice)(alice.root, {"MLFLOW_TRACKING_URI": servers.database("mlflow")})
    assert len(voices(keeper)) == 2
    keeper.settings["MLFLOW_TRACKING_URI"] = servers.database("mlflow").replace(servers.secret("database"), "guessed")
    line = refused(keeper, "myxtts", "runs", seconds=30)
    assert "password authentication failed" in line
    assert "guessed" not in line
    alice.said += keeper.said


def hidden(servers: Servers) -> dict[str, bytes]:
    """Each secret, also as basic auth writes it."""
    found = {name: value.encode() for name, value in servers.secrets.items()}
    users = (ADMIN, "alice", "bob", "carol")
    return found | {f"{user}, encoded": base64.b64encode(f"{user}:{servers.secret(user)}".encode()).rstrip(b"=")[:-1] for user in users}


def everything(servers: Servers, members: list) -> Iterator[tuple[str, bytes]]:
    """(place, bytes) of all that outlives a command: what was printed, files, commits, rows of the database, artifacts, logs."""
    for member in members:
        for said in member.said:
            yield "printed", said.encode()
        yield f"commits of {member.root}", member.run("git", "log", "-p", "--all", "--no-color").encode()
        for path in member.root.rglob("*"):
            # the two files whose business it is, of DVC and of git; neither is ever committed
            if path.is_file() and path.relative_to(member.root).as_posix() not in (".dvc/config.local", ".git/config"):
                yield str(path), path.read_bytes()
    for name in ("mlflow.log", "postgres.log"):
        yield name, (servers.folder / name).read_bytes()
    yield from _rows(servers)
    yield from _objects(servers)


def _rows(servers: Servers) -> Iterator[tuple[str, bytes]]:
    import psycopg
    from psycopg import sql

    with psycopg.connect(servers.database("mlflow")) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            for (row,) in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))):
                yield f"table {table}", row.encode()


def _objects(servers: Servers) -> Iterator[tuple[str, bytes]]:
    import boto3

    keys = servers.aws()
    client = boto3.client(
        "s3", endpoint_url=servers.s3_url, aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"], region_name=keys["AWS_DEFAULT_REGION"],
    )  # fmt: skip
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page["Contents"]:
            yield f"s3 {item['Key']}", client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()


def test_no_secret_is_left_anywhere(servers, alice, bob, carol):
    wanted, places, leaks = hidden(servers), set(), []
    for place, content in everything(servers, [alice, bob, carol]):
        places.add(place)
        leaks += [f"{name}: {place}" for name, value in wanted.items() if value in content]
    assert not leaks
    # that the search would have seen them
    for kind in ("printed", "table params", "table tags", "table model_version_tags"):
        assert kind in places
    for ending in ("git.diff", "/MLmodel", "mlflow.log", "run.json", "reports/evaluate.json"):
        assert any(place.endswith(ending) for place in places), ending
