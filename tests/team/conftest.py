"""A team on servers of its own: alice trains and pushes, bob clones and pulls, carol may only read."""

from pathlib import Path

import pytest
from checkouts import PARAMS, Project, checkout
from servers import BUCKET, Servers, add_members, missing, running


class Member(Project):
    """Somebody's checkout; everything that its commands print is kept."""

    def __init__(self, root: Path, settings: dict[str, str]):
        super().__init__(root, settings)
        self.said: list[str] = []

    def run(self, *command: str, check: bool = True) -> str:
        self.said.append(super().run(*command, check=check))
        return self.said[-1]


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Servers:
    if reason := missing():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("servers")) as made:
        add_members(made, ["alice", "bob"], ["carol"])
        yield made


@pytest.fixture(scope="session")
def alice(servers, tmp_path_factory) -> Member:
    """Trained on the team's servers, with a change that is not committed; data, models and commits are pushed.

    Her login comes by environment, her S3 keys from `.dvc/config.local`, and her git remote's address has a token in it.
    """
    place = tmp_path_factory.mktemp("alice")
    checkout(place / "project", PARAMS)
    member = Member(place / "project", servers.login("alice"))
    keys = servers.aws()
    member.run("git", "init", "-q", "--bare", str(place / "origin.git"))
    member.run("git", "remote", "add", "origin", f"https://alice:{servers.secret('git token')}@git.example.org/voices.git")
    member.run("git", "remote", "set-url", "--push", "origin", str(place / "origin.git"))
    member.run("dvc", "remote", "add", "-d", "team", f"s3://{BUCKET}/dvc")
    member.run("dvc", "remote", "modify", "team", "endpointurl", servers.s3_url)
    member.run("dvc", "remote", "modify", "--local", "team", "access_key_id", keys["AWS_ACCESS_KEY_ID"])
    member.run("dvc", "remote", "modify", "--local", "team", "secret_access_key", keys["AWS_SECRET_ACCESS_KEY"])
    member.run("git", "commit", "-qam", "The team's remote")
    member.change("tracking: {}", "tracking: {flush_seconds: 2.0}")
    assert "bundle" in member.repro()
    member.run("git", "add", "-A")
    member.run("git", "commit", "-qm", "Trained")
    member.run("dvc", "push", "-q")
    member.run("git", "push", "-q", "origin", "HEAD:refs/heads/main")
    return member


@pytest.fixture(scope="session")
def bob(servers, alice) -> Member:
    """A clone of what alice pushed. His login stands in the server's address, his S3 keys in the environment."""
    root = alice.root.parents[1] / "bob"
    alice.run("git", "clone", "-q", "-b", "main", str(alice.root.parent / "origin.git"), str(root))
    address = servers.mlflow_url.replace("://", f"://bob:{servers.secret('bob')}@")
    member = Member(root, servers.aws() | {"MLFLOW_TRACKING_URI": address})
    member.pulled = member.run("dvc", "pull")
    return member


@pytest.fixture(scope="session")
def carol(servers, alice, bob, tmp_path_factory) -> Member:
    """Reads with bob's files. Her login stands in MLflow's own file, as those of git stand in `.netrc`."""
    home = tmp_path_factory.mktemp("carol")
    (home / ".mlflow").mkdir()
    (home / ".mlflow/credentials").write_text(
        f"[mlflow]\nmlflow_tracking_username = carol\nmlflow_tracking_password = {servers.secret('carol')}\n"
    )
    return Member(bob.root, {"HOME": str(home), "MLFLOW_TRACKING_URI": servers.mlflow_url})
