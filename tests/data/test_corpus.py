"""Two corpus folders as one data set: each row counts once, and each clip keeps a name of its own."""

import shutil
from pathlib import Path

import pytest
from small import small_config
from small_corpus import write_corpus

from myxtts.config import XTTSConfig
from myxtts.data.corpus import prepare_folders
from myxtts.data.manifest import read_manifest, read_rejected


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = write_corpus(tmp_path / "corpus")
    for split in ("train", "eval"):
        with (folder / f"metadata_{split}.csv").open("a") as file:
            file.write(f"gone-{split}|text|text\n")
    return folder


@pytest.fixture
def config() -> XTTSConfig:
    values = small_config().to_dict()
    values["hardware"]["num_workers"] = 1
    return XTTSConfig.from_dict(values)


def prepared(config: XTTSConfig, train: Path, evaluation: Path, out: Path):
    """The rows of the raw stage that go into the data set, and those that do not."""
    prepare_folders(config, train, evaluation, out / "raw", out / "processed", out / "cache")
    return read_manifest(out / "raw" / "manifest.csv"), read_rejected(out / "raw" / "rejected.csv")


def test_rejected_rows_of_one_folder_given_twice_count_once(tmp_path, corpus, config):
    (tmp_path / "link").symlink_to(corpus)
    rows, rejected = prepared(config, corpus, tmp_path / "link", tmp_path)
    assert len(rows) == 10 and [row.id for row in rejected] == ["gone-train", "gone-eval"]


def test_rows_of_two_folders_count_each_and_clips_of_one_name_are_two(tmp_path, corpus, config):
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    clips = sorted((other / "wavs").iterdir())
    # clip0 is trained on too, and the name that it could be given has another clip
    shutil.copy(clips[0], other / "wavs" / "eval-clip0.wav")
    (other / "metadata_train.csv").unlink()
    (other / "metadata_eval.csv").write_text("clip0|nine ten|nine ten\neval-clip0|ten nine|ten nine\ngone|text|text\n")
    rows, rejected = prepared(config, corpus, other, tmp_path)
    evaluated = {row.id: Path(row.audio).name for row in rows if row.split == "eval"}
    assert evaluated == {"eval-clip0": "clip0.wav", "eval-eval-clip0": "eval-clip0.wav"}
    assert [row.id for row in rejected] == ["gone-train", "gone-eval", "gone"]
