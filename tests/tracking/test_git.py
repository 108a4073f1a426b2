import hashlib
import subprocess

import pytest

from myxtts.config import XTTSConfig
from myxtts.tracking.git import common_tags, config_fingerprint, dependency_hashes, git_diff, git_tags, is_dirty, remotes

DVC_YAML = """
stages:
  prepare:
    cmd: x
    deps: [myxtts/data/prepare.py, "${data.source.path}"]
    outs: [data/processed]
  gpt:
    cmd: x
    deps: [myxtts/models/gpt.py, data/tokens/, data/processed/metadata_train.csv]
    outs: [models/gpt]
"""
DVC_LOCK = """
schema: '2.0'
stages:
  prepare:
    outs:
    - {path: data/processed, md5: aaaa.dir}
  encode:
    outs:
    - {path: data/tokens, md5: bbbb.dir}
  gpt:
    outs:
    - {path: models/gpt, md5: cccc.dir}
"""
CONFIG = XTTSConfig.from_dict({"data": {"source": {"layout": "metadata", "path": "data/corpus"}}})


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@example.org")
    git("config", "user.name", "a")
    for name in ("code.py", "dvc.lock", ".gitignore", "params.yaml"):
        (tmp_path / name).write_text("one\n")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "gpt.json").write_text("{}")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    return tmp_path


@pytest.mark.parametrize("setting", ["diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.external=/bin/true"])
def test_keys_are_masked_whatever_the_settings_of_git(repository, setting):
    (repository / ".dvc").mkdir()
    (repository / ".dvc/config").write_text("[core]\n")
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", "config", *setting.split("=")], cwd=repository, check=True)
    (repository / ".dvc/config").write_text("['remote \"s\"']\n    secret_access_key = TOPSECRET\n")
    diff = git_diff(repository)
    assert "secret_access_key" in diff and "TOPSECRET" not in diff


def test_a_remote_with_an_escaped_address_is_named(repository):
    (repository / ".dvc").mkdir()
    (repository / ".dvc/config").write_text("[core]\n    remote = s\n['remote \"s\"']\n    url = https://me:pa%40ss@host/my%20data\n")
    assert remotes(repository) == {"dvc.remote": "https://host/my%20data"}


def test_a_clean_commit_stays_clean_under_what_dvc_writes(repository):
    tags = git_tags(repository)
    assert len(tags["git.commit"]) == 40 and tags["git.dirty"] == "false"
    for name in ("dvc.lock", ".gitignore", "reports/gpt.json"):
        (repository / name).write_text("two\n")
    (repository / "notes.txt").write_text("mine")
    assert not is_dirty(repository)


@pytest.mark.parametrize("name", ["code.py", "params.yaml", "new.py"])
def test_changed_or_new_code_is_dirt(repository, name):
    (repository / name).write_text("two\n")
    assert is_dirty(repository)
    assert ("+two" in git_diff(repository)) == (name != "new.py")


def test_a_plain_folder_and_a_repository_without_commit_have_no_git_tags(tmp_path):
    assert git_tags(tmp_path) == {}
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert git_tags(tmp_path) == {}


def test_dependencies_are_those_that_dvc_versions(tmp_path):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "dvc.lock").write_text(DVC_LOCK)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "corpus.dvc").write_text("outs:\n- {md5: dddd.dir, path: corpus}\n")
    assert dependency_hashes(CONFIG, tmp_path, "gpt") == {"data/tokens": "bbbb", "data/processed": "aaaa"}
    assert dependency_hashes(CONFIG, tmp_path, "prepare") == {"data/corpus": "dddd"}
    assert dependency_hashes(CONFIG, tmp_path, "unknown") == {}
    tags = common_tags(CONFIG, tmp_path, "gpt")
    assert tags["dvc.dep.data/tokens"] == "bbbb"
    assert tags["dvc.lock.md5"] == hashlib.md5(DVC_LOCK.encode()).hexdigest()


def test_the_fingerprint_follows_what_shapes_a_result_only():
    plain = config_fingerprint(XTTSConfig())
    assert plain == config_fingerprint(XTTSConfig.from_dict({"tracking": {"flush_seconds": 9}, "hardware": {"num_workers": 3}}))
    assert plain != config_fingerprint(XTTSConfig.from_dict({"seed": 21}))


def test_the_experiment_of_dvc_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "brave-newt")
    assert common_tags(CONFIG, tmp_path, "gpt")["dvc.exp_name"] == "brave-newt"
