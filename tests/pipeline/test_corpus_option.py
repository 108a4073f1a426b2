"""`myxtts use … --corpus` and `make corpus`: a folder of any name becomes the corpus of params.yaml, with what its files and texts tell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from myxtts import cli
from myxtts.config import MyXTTSError, XTTSConfig

ROOT = Path(__file__).resolve().parents[2]
PERSIAN = ("این کتاب را بخوانید", "چای داغ است", "به خانه می‌رویم")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(ROOT / "data/scratch", tmp_path / "data/scratch")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def corpus(folder: Path, texts=PERSIAN) -> Path:
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number}.wav").write_bytes(b"")
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


def source() -> dict:
    return XTTSConfig.load("params.yaml").data.source.model_dump()


NAMES = ["data/a #1 set", "data/a: b", "2024", "1e5", "data/[new]", 'data/it\'s "mine"', "data/سلام", "data/do$lar", "data/back\\s"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name(folder, name, capsys):
    corpus(folder / name)
    (folder / "data/a").mkdir(parents=True, exist_ok=True)  # what YAML makes of one of these names
    cli.main(["use", "real_speech", "--corpus", name])
    found = source()
    assert (found["path"], found["layout"], found["language"]) == (name, "folder", "fa")
    said = capsys.readouterr().out
    assert f"corpus {name}: layout folder (3 of 3 recordings have" in said and "none: fa, by the texts (another: --set" in said


def test_what_the_user_says_counts(folder):
    corpus(folder / "data/mine")
    (folder / "data/mine/metadata.csv").write_text("".join(f"data/mine/{n}.wav|{text}\n" for n, text in enumerate(PERSIAN)))
    cli.main(["use", "real_speech", "--corpus", "data/mine", "--layout", "folder", "--set", "data.source.language=ar"])
    assert (source()["layout"], source()["language"]) == ("folder", "ar")
    cli.main(["use", "real_speech", "--corpus", "data/mine", "--layout", "folder"])
    assert source()["language"] == "fa"


def test_where_nothing_tells_the_recipe_counts(folder, capsys):
    corpus(folder / "data/mine", ["Hello there", "Good morning", "Well done"])
    cli.main(["use", "real_speech", "--corpus", "data/mine"])
    assert source()["language"] == "en" and "by the texts" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--corpus", "data/mine", "--layout", "ljspeach"], "no layout 'ljspeach': expected one of"),
        (["--corpus", "data/nope"], "no corpus at data/nope"),
        (["--corpus", "data/empty"], "data/empty: no layout fits"),
        (["--layout", "folder"], "--layout says how to read --corpus"),
    ],
)
def test_what_cannot_be_is_refused_and_params_stay(folder, arguments, said):
    corpus(folder / "data/mine")
    corpus(folder / "data/empty", [])
    (folder / "params.yaml").write_text("seed: 5\n")
    with pytest.raises((SystemExit, MyXTTSError), match=said):
        cli.main(["use", "real_speech", *arguments])
    assert (folder / "params.yaml").read_text() == "seed: 5\n"


@pytest.mark.parametrize("name", ["data/a #1 set", 'data/it\'s "mine"', "data/a: b"])
def test_make_hands_the_name_on_as_it_is(folder, name):
    """`make -n` prints the recipe, which takes the name from the environment; here that recipe runs, without setup and pipeline."""
    corpus(folder / name)
    shutil.copyfile(ROOT / "Makefile", folder / "Makefile")
    command = ["make", "-n", "-o", "setup", "corpus", f"CORPUS={name}", "LAYOUT=folder", "SET=seed=7 data.source.max_clips=2"]
    lines = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines()
    (use,) = [line for line in lines if line.startswith("myxtts use")]
    environment = os.environ | {"CORPUS": name, "LAYOUT": "folder", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", use], cwd=folder, check=True, env=environment)
    found = XTTSConfig.load(folder / "params.yaml")
    assert (found.data.source.path, found.data.source.layout, found.data.source.max_clips, found.seed) == (name, "folder", 2, 7)


def test_names_of_columns_are_known_to_the_look_at_the_corpus(folder, capsys):
    corpus(folder / "data/mine")
    lines = "".join(f"{n}.wav;{text}\n" for n, text in enumerate(PERSIAN))
    (folder / "data/mine/list.csv").write_text(f"فایل;متن\n{lines}", encoding="utf-8")
    columns = "data.source.columns={audio: فایل, text: متن}"
    cli.main(["use", "real_speech", "--corpus", "data/mine", "--layout", "csv", "--set", columns])
    found = source()
    assert (found["layout"], found["language"], found["columns"]) == ("csv", "fa", {"audio": "فایل", "text": "متن"})
    assert "does not seem to fit" not in capsys.readouterr().out
    cli.main(["use", "real_speech", "--corpus", "data/mine", "--layout", "vctk"])
    assert "corpus data/mine: layout vctk, which does not seem to fit" in capsys.readouterr().out


def test_rows_that_name_their_language_need_no_other(folder, capsys):
    corpus(folder / "data/mine")
    rows = "".join(f"{n}.wav|{text}|fa\n" for n, text in enumerate(PERSIAN))
    (folder / "data/mine/metadata.csv").write_text(f"audio_file|text|language\n{rows}", encoding="utf-8")
    cli.main(["data", "detect", "data/mine"])
    said = capsys.readouterr().out
    assert "its rows name their language" in said and "CODE" not in said
    cli.main(["use", "real_speech", "--corpus", "data/mine"])
    assert source()["language"] == "en" and "by the texts" not in capsys.readouterr().out
