"""Figures may be compared where the evaluation set is the same: any change of it shows."""

import shutil

import pytest

from myxtts.config import DataError
from myxtts.evaluation.yardstick import evaluation_set


def test_the_same_data_count_and_seed_give_the_same_set(processed, tmp_path):
    copy = shutil.copytree(processed, tmp_path / "copy")
    assert evaluation_set(processed, 5, 7) == evaluation_set(copy, 5, 7)
    assert len({evaluation_set(processed, 5, 7), evaluation_set(processed, 4, 7), evaluation_set(processed, 5, 8)}) == 3


def test_another_recording_or_text_is_another_set(processed, tmp_path):
    before = evaluation_set(processed, 100, 7)
    copy = shutil.copytree(processed, tmp_path / "copy")
    clip = next(iter((copy / "metadata_eval.csv").read_text().splitlines())).split("|")[0]
    path = next((copy / "wavs").glob(f"{clip}.*"))
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    assert evaluation_set(copy, 100, 7) != before
    copy = shutil.copytree(processed, tmp_path / "other")
    text = (copy / "metadata_eval.csv").read_text()
    (copy / "metadata_eval.csv").write_text(text.replace("good", "fine") if "good" in text else text.replace("how", "who"))
    assert evaluation_set(copy, 100, 7) != before


def test_without_prepared_data_it_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no metadata_eval\.csv"):
        evaluation_set(tmp_path, 5, 7)
