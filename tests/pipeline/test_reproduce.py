"""Which commit made a version, and with which settings its data is fetched; test_route.py reproduces a real one."""

import configparser
import subprocess

import pytest

from myxtts.config import ModelError, MyXTTSError
from myxtts.pipeline import reproduce as module
from myxtts.pipeline.reproduce import commit_of, reproduce

FIRST, SECOND = "a" * 32, "b" * 32


def lock(md5: str, started_from: str = "c" * 32) -> str:
    return f"""stages:
  bundle:
    deps:
    - {{path: data/start, md5: {started_from}.dir}}
    outs:
    - {{path: models/bundle, md5: {md5}.dir}}
"""


class Repository:
    def __init__(self, root):
        self.root = root
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "t")
        self.git("config", "user.email", "t@example.org")

    def git(self, *arguments: str, check: bool = True) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=check).stdout.strip()

    def commit(self, text: str, message: str = "trained") -> str:
        (self.root / "dvc.lock").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    return Repository(root)


def test_the_commit_that_made_it_first_is_found_on_any_branch(repository):
    first = repository.commit(lock(FIRST))
    repository.commit(lock(SECOND))
    repository.commit(lock(FIRST), "back to it")
    repository.git("checkout", "-q", "-b", "other", first)
    elsewhere = repository.commit(lock("d" * 32))
    repository.git("checkout", "-q", "main")
    assert commit_of(FIRST, repository.root) == first
    assert commit_of("d" * 32, repository.root) == elsewhere
    assert commit_of("e" * 32, repository.root) is None


def test_a_merge_whose_conflict_was_solved_by_training_is_found(repository):
    repository.commit(lock("0" * 32))
    repository.git("checkout", "-q", "-b", "left")
    repository.commit(lock("1" * 32))
    repository.git("checkout", "-q", "main")
    repository.commit(lock("2" * 32))
    repository.git("merge", "left", check=False)
    merge = repository.commit(lock(FIRST), "merged")
    assert len(repository.git("rev-parse", "HEAD^@").split()) == 2
    assert commit_of(FIRST, repository.root) == merge


def test_neither_a_stash_nor_what_training_began_with_counts(repository):
    repository.commit(lock("0" * 32, started_from=SECOND))
    (repository.root / "dvc.lock").write_text(lock(FIRST))
    repository.git("stash", "-q")
    assert commit_of(FIRST, repository.root) is None
    assert commit_of(SECOND, repository.root) is None


def test_outside_git_the_remedy_is_named(tmp_path):
    with pytest.raises(MyXTTSError, match="reproducing needs the project's git clone"):
        commit_of(FIRST, tmp_path)


def test_data_is_fetched_with_todays_cache_and_remotes_and_keys_stay_private(repository, tmp_path, monkeypatch):
    work = tmp_path / "work"
    for root in (repository.root, work):
        (root / ".dvc").mkdir(parents=True)
    (repository.root / ".dvc/config").write_text("[core]\n    remote = s\n['remote \"s\"']\n    url = ../../store\n")
    (repository.root / ".dvc/config.local").write_text("['remote \"s\"']\n    secret_access_key = 50%off\n")
    monkeypatch.setattr(module, "dvc", lambda root, *_, **__: subprocess.CompletedProcess([], 0, stdout=".dvc/cache\n"))
    module._use_settings_of(repository.root, work)
    private = work / ".dvc/config.local"
    assert private.stat().st_mode & 0o777 == 0o600
    found = configparser.ConfigParser(interpolation=None)
    found.read(private)
    assert found["core"]["remote"] == "s"
    assert found["'remote \"s\"'"]["url"] == str(tmp_path / "store")
    assert found["'remote \"s\"'"]["secret_access_key"] == "50%off"
    assert found["cache"]["dir"] == str(repository.root / ".dvc/cache")


def test_what_fails_leaves_no_worktree(repository, tmp_path, monkeypatch):
    (repository.root / ".dvc").mkdir()
    (repository.root / ".dvc/config").write_text("")
    repository.commit(lock(FIRST))
    version = type("Version", (), {"name": "voice", "version": "1", "tags": {"bundle.md5": FIRST}, "run_id": "r"})
    monkeypatch.setattr(module, "find_version", lambda source, root: version)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reproduce("models:/voice/1", repository.root)
    assert not (tmp_path / "project-voice-1").exists() and len(repository.git("worktree", "list").splitlines()) == 1
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelError, match="exists: remove it"):
        reproduce("models:/voice/1", repository.root, tmp_path / "there")
