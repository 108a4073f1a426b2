"""Figures may be compared where the evaluation set is the same: any change of it shows."""

import shutil

import pytest

from myxtts.config import DataError
from myxtts.config.stages import EvaluateConfig
from myxtts.data.manifest import Utterance, write_metadata
from myxtts.evaluation.yardstick import evaluation_set


def test_the_same_data_count_and_seed_give_the_same_set(processed, tmp_path):
    copy = shutil.copytree(processed, tmp_path / "copy")
    assert evaluation_set(processed, EvaluateConfig(num_sentences=5), 7) == evaluation_set(copy, EvaluateConfig(num_sentences=5), 7)
    assert (
        len(
            {
                evaluation_set(processed, EvaluateConfig(num_sentences=5), 7),
                evaluation_set(processed, EvaluateConfig(num_sentences=4), 7),
                evaluation_set(processed, EvaluateConfig(num_sentences=5), 8),
            }
        )
        == 3
    )


def test_another_recording_or_text_is_another_set(processed, tmp_path):
    before = evaluation_set(processed, EvaluateConfig(num_sentences=100), 7)
    copy = shutil.copytree(processed, tmp_path / "copy")
    clip = next(iter((copy / "metadata_eval.csv").read_text().splitlines())).split("|")[0]
    path = next((copy / "wavs").glob(f"{clip}.*"))
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    assert evaluation_set(copy, EvaluateConfig(num_sentences=100), 7) != before
    copy = shutil.copytree(processed, tmp_path / "other")
    text = (copy / "metadata_eval.csv").read_text()
    (copy / "metadata_eval.csv").write_text(text.replace("good", "fine") if "good" in text else text.replace("how", "who"))
    assert evaluation_set(copy, EvaluateConfig(num_sentences=100), 7) != before


def test_the_set_covers_unseen_speakers_and_is_what_it_was_without(tmp_path):
    (tmp_path / "wavs").mkdir()
    for name in ("a", "b", "z", "y"):
        (tmp_path / "wavs" / f"{name}.wav").write_bytes(name.encode())
    write_metadata(tmp_path / "metadata_eval.csv", [Utterance("a", "wavs/a.wav", "Hello.", "hello.", "ann", "en", 1.0)])
    write_metadata(tmp_path / "metadata_train.csv", [Utterance("b", "wavs/b.wav", "You.", "you.", "ann", "en", 1.0)])
    assert evaluation_set(tmp_path, EvaluateConfig(num_sentences=5), 7) == "ccfcb98820ae"  # computed before there were unseen speakers
    unseen = [Utterance(name, f"wavs/{name}.wav", text, text, "zoe", "en", 1.0) for name, text in (("z", "one"), ("y", "two"))]
    write_metadata(tmp_path / "metadata_eval_unseen_speaker.csv", unseen)
    with_unseen = evaluation_set(tmp_path, EvaluateConfig(num_sentences=5), 7)
    (tmp_path / "wavs" / "y.wav").write_bytes(b"other")
    assert len({"ccfcb98820ae", with_unseen, evaluation_set(tmp_path, EvaluateConfig(num_sentences=5), 7)}) == 3


def test_without_prepared_data_it_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no metadata_eval\.csv"):
        evaluation_set(tmp_path, EvaluateConfig(num_sentences=5), 7)
