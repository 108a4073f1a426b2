"""Recipes become params.yaml without losing what a user wrote."""

import shutil
from pathlib import Path

import pytest

from myxtts import cli
from myxtts.config import MyXTTSError, XTTSConfig
from myxtts.pipeline.attempts import attempt_folder, fingerprint, is_recorded, mark_finished, md5
from myxtts.pipeline.recipes import use_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "data/sample").mkdir(parents=True)
    (tmp_path / "data/mine").mkdir()
    return tmp_path


def test_a_recipe_replaces_another_recipe_but_keeps_what_a_user_wrote(folder):
    use_recipe(folder, "demo", [])
    assert "already" in use_recipe(folder, "demo", [])
    use_recipe(folder, "smoke", [])
    assert not list(folder.glob("params.yaml.bak-*"))
    (folder / "params.yaml").write_text("seed: 5\n")
    (folder / "params.yaml.bak-3").write_text("older")
    assert "kept as params.yaml.bak-4" in use_recipe(folder, "demo", [])
    assert (folder / "params.yaml.bak-4").read_text() == "seed: 5\n"
    assert (folder / "params.yaml.bak-3").read_text() == "older"


def test_overrides_keep_the_comments(folder):
    use_recipe(folder, "real_speech", ["data.source.path=data/mine", "data.source.max_clips=7"])
    config = XTTSConfig.load(folder / "params.yaml")
    assert (config.data.source.path, config.data.source.max_clips) == ("data/mine", 7)
    assert "# of rows that name none" in (folder / "params.yaml").read_text()


def test_bad_requests_leave_params_alone(folder):
    (folder / "params.yaml").write_text("seed: 5\n")
    for recipe, overrides, said in (
        ("none", [], "expected one of demo, finetune_xtts_v2, gpu_12gb, gpu_24gb, gpu_80gb, real_speech, showcase, smoke"),
        ("real_speech", ["data.source.path=data/nope"], "no corpus at data/nope"),
        ("demo", ["seed=-1"], "greater than or equal to 0"),
        ("finetune_xtts_v2", ["data.source.path=data/mine"], r"start\.model: no bundle folder .*data/xtts_v2"),
    ):
        with pytest.raises(MyXTTSError, match=said):
            use_recipe(folder, recipe, overrides)
    assert (folder / "params.yaml").read_text() == "seed: 5\n"


def test_outside_a_project_the_remedy_is_to_go_there(tmp_path, monkeypatch, capsys):
    """Not a recipe, for there is none."""
    monkeypatch.chdir(tmp_path)
    for command in (["use", "demo"], ["params"], ["registry", "list"]):
        with pytest.raises(SystemExit, match=r"no (recipes/\*\.yaml in|params\.yaml).*: run in the project folder") as refusal:
            cli.main(command)
        assert "myxtts use" not in str(refusal.value).removeprefix("myxtts use:") and "cp " not in str(refusal.value)
    with pytest.raises(SystemExit):
        cli.main(["use", "--help"])
    assert "no recipes/ folder" in " ".join(capsys.readouterr().out.split())


def test_in_a_project_the_recipes_are_named(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match=r"no params\.yaml: .* make it of a recipe \(myxtts use demo\)"):
        cli.main(["params"])
    with pytest.raises(SystemExit):
        cli.main(["use", "--help"])
    assert "here: demo, finetune_xtts_v2, gpu_12gb, gpu_24gb, gpu_80gb, real_speech, showcase, smoke" in " ".join(
        capsys.readouterr().out.split()
    )


def test_an_attempt_is_gone_on_with_until_its_result_is_recorded(tmp_path):
    weights = tmp_path / "w.h5"
    weights.write_bytes(b"weights")
    first = attempt_folder(tmp_path / "f", lambda md5: True)
    (first / "ckpt-00000001").mkdir(parents=True)
    assert attempt_folder(tmp_path / "f", lambda md5: True) == first
    mark_finished(first, weights)
    assert attempt_folder(tmp_path / "f", lambda md5: False) == first
    second = attempt_folder(tmp_path / "f", lambda found: found == md5(weights))
    assert second.name == "2"
    assert (first / "ckpt-00000001").is_dir(), "the finished weights stay until the new ones are there"
    second.mkdir()
    mark_finished(second, weights)
    assert not (first / "ckpt-00000001").exists()


def test_recorded_means_in_dvcs_lock_file(tmp_path):
    assert not is_recorded("abc", "models/gpt", tmp_path, tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {gpt: {outs: [{path: models/gpt, md5: 12ff.dir}]}}")
    listing = tmp_path / ".dvc/cache/files/md5/12/ff.dir"
    listing.parent.mkdir(parents=True)
    listing.write_text('[{"md5": "abc", "relpath": "gpt.weights.h5"}]')
    assert is_recorded("abc", "models/gpt", tmp_path, tmp_path)
    assert not is_recorded("other", "models/gpt", tmp_path, tmp_path)


def test_a_fingerprint_changes_with_any_byte_and_with_parameters(tmp_path):
    file = tmp_path / "data.bin"
    file.write_bytes(bytes(3_000_000))
    before = fingerprint({"a": 1}, [tmp_path])
    assert fingerprint({"a": 2}, [tmp_path]) != before
    file.write_bytes(bytes(1_500_000) + b"x" + bytes(1_499_999))
    assert fingerprint({"a": 1}, [tmp_path]) != before


@pytest.mark.parametrize(("reason", "said"), [((), "interrupted"), (("SIGTERM: saved step 3",), "SIGTERM: saved step 3")])
def test_an_interrupt_says_why_and_ends_with_130(monkeypatch, capsys, reason, said):
    def interrupt(_):
        raise KeyboardInterrupt(*reason)

    monkeypatch.setitem(cli.COMMANDS, "params", interrupt)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["params"])
    assert stopped.value.code == 130 and f"myxtts params: {said}\n" == capsys.readouterr().err
