"""Files of rows: what is written is read back, whatever the text holds; damage is named with its line."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myxtts.config import DataError
from myxtts.data import manifest
from myxtts.data.manifest import Rejected, Utterance

NASTY = ["a|b", "line\nbreak", "cr\rhere", 'quote "x", comma', "back\\slash \\n \\p", "سلام، می‌روم", " spaced ", "", "\u2028", "'=1+1"]


def row(index: int = 0, text: str = "text", seconds: float | None = 1.25, split: str = "") -> Utterance:
    return Utterance(f"id{index}", f"wavs/id{index}.wav", text, text.upper(), f"speaker {index}", "en", seconds, split)


def test_manifest_round_trip(tmp_path):
    rows = [row(i, text, None if i % 2 else 0.5 * i, ["", "train", "eval"][i % 3]) for i, text in enumerate(NASTY)]
    manifest.write_manifest(tmp_path / "manifest.csv", rows)
    assert manifest.read_manifest(tmp_path / "manifest.csv") == rows
    with (tmp_path / "manifest.csv").open(newline="") as file:  # any CSV reader understands it
        assert next(csv.DictReader(file))["text"] == NASTY[0]


def test_metadata_round_trip_one_line_each(tmp_path):
    rows = [row(i, text, 0.5 + i, "eval") for i, text in enumerate(NASTY)]
    manifest.write_metadata(tmp_path / "metadata_eval.csv", rows)
    assert manifest.read_metadata(tmp_path / "metadata_eval.csv") == rows
    lines = (tmp_path / "metadata_eval.csv").read_text().removesuffix("\n").split("\n")
    assert len(lines) == len(rows) and all(line.count("|") == 6 for line in lines)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_text_survives(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("any")
    rows = [row(i, text, 1.0, "train") for i, text in enumerate(texts)]
    manifest.write_manifest(folder / "m.csv", rows)
    manifest.write_metadata(folder / "metadata_train.csv", rows)
    assert manifest.read_manifest(folder / "m.csv") == rows == manifest.read_metadata(folder / "metadata_train.csv")


def test_plain_metadata_is_plain(tmp_path):
    manifest.write_metadata(tmp_path / "metadata_train.csv", [Utterance("a", "x", 'Say "hi".', "say hi.", "ann", "en", 2.0)])
    assert (tmp_path / "metadata_train.csv").read_text() == 'a|Say "hi".|say hi.|ann|en|2.000|\n'
    assert manifest.read_metadata(tmp_path / "metadata_train.csv")[0].split == "train"


def test_rejected_round_trip(tmp_path):
    rows = [Rejected("a", "wavs/a.wav", "missing_audio", 'a, "b"\nc'), Rejected("", "", "empty_id", "")]
    manifest.write_rejected(tmp_path / "rejected.csv", rows)
    assert manifest.read_rejected(tmp_path / "rejected.csv") == rows
    assert (tmp_path / "rejected.csv").read_text().startswith('"id","audio","reason","detail"\n')


def test_damage_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no .*manifest\.csv"):
        manifest.read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "manifest.csv").write_text("id,audio\n")
    with pytest.raises(DataError, match="expected the header"):
        manifest.read_manifest(tmp_path / "manifest.csv")
    manifest.write_manifest(tmp_path / "manifest.csv", [row()])
    with (tmp_path / "manifest.csv").open("a") as file:
        file.write('"b","c"\n')
    with pytest.raises(DataError, match="line 3: expected 11 columns, got 2"):
        manifest.read_manifest(tmp_path / "manifest.csv")
    (tmp_path / "metadata_train.csv").write_text("a|b|c|d|en|1.0|x\na|b|c|d|en|soon|x\n")
    with pytest.raises(DataError, match="line 2: seconds"):
        manifest.read_metadata(tmp_path / "metadata_train.csv")
    (tmp_path / "metadata_train.csv").write_text("a|b\n")
    with pytest.raises(DataError, match="line 1: expected 7 columns"):
        manifest.read_metadata(tmp_path / "metadata_train.csv")
    (tmp_path / "metadata_train.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot read"):
        manifest.read_metadata(tmp_path / "metadata_train.csv")


def test_corpora_and_optional_splits(tmp_path):
    assert manifest.read_corpora(tmp_path) == {} and not manifest.has_split(tmp_path, "eval_unseen_speaker")
    (tmp_path / "corpora.json").write_text('{"a": {"weight": 2.0}}')
    assert manifest.read_corpora(tmp_path) == {"a": {"weight": 2.0}}
    (tmp_path / "corpora.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"corpora\.json is damaged .*: run the prepare stage again"):
        manifest.read_corpora(tmp_path)
    row = Utterance("a", "wavs/a.wav", "x", "x", "zoe", "en", 1.0, "eval_unseen_speaker")
    manifest.write_metadata(tmp_path / "metadata_eval_unseen_speaker.csv", [row])
    assert manifest.has_split(tmp_path, "eval_unseen_speaker") and manifest.read_split(tmp_path, "eval_unseen_speaker") == [row]
    manifest.write_metadata(tmp_path / "metadata_eval_unseen_speaker.csv", [])
    assert not manifest.has_split(tmp_path, "eval_unseen_speaker")
