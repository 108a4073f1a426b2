"""The prepare stage: every kind of bad row ends in rejected.csv, good ones come out trimmed, levelled, split, and always the same."""

import csv
import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from vowels import breathed

from myxtts.audio import wave
from myxtts.config import DataError, XTTSConfig
from myxtts.data import cache
from myxtts.data.manifest import Utterance, read_metadata, read_rejected, write_manifest
from myxtts.data.prepare import prepare
from myxtts.data.raw import make_raw

RATE = 16000


def speech(seconds: float, seed: int = 0, level: float = 0.05) -> np.ndarray:
    return 2 * level * breathed(seconds, RATE, seed)


class Corpus:
    """A corpus of layout coqui in a temporary project."""

    def __init__(self, root: Path):
        self.root = root
        self.rows = ["audio_file|text|speaker|language"]
        (root / "corpus" / "wavs").mkdir(parents=True)

    def add(self, name: str, text: str = "", samples: np.ndarray | None = None, speaker: str = "ann", language: str = "en"):
        text = text or f"Some words, {len(self.rows)}."
        soundfile.write(self.root / "corpus" / "wavs" / name, speech(1.0, len(self.rows)) if samples is None else samples, RATE)
        self.rows.append(f"wavs/{name}|{text}|{speaker}|{language}")
        return self

    def row(self, line: str):
        self.rows.append(line)
        return self

    def run(self, workers: int = 1, out: str = "processed", **settings) -> dict:
        (self.root / "corpus" / "metadata.csv").write_text("\n".join(self.rows) + "\n")
        tree = {"data": {"source": {"layout": "coqui", "path": "corpus"}}, "prepare": settings, "hardware": {"num_workers": workers}}
        config = XTTSConfig.from_dict(tree)
        make_raw(config, self.root, self.root / "raw")
        return prepare(config, self.root, self.root / "raw", self.root / out)

    def kept(self, out: str = "processed") -> dict[str, Utterance]:
        files = [self.root / out / name for name in ("metadata_train.csv", "metadata_eval.csv")]
        return {row.id: row for file in files for row in read_metadata(file)}

    def reasons(self) -> dict[str, str]:
        return {row.id: row.reason for row in read_rejected(self.root / "processed" / "rejected.csv")}


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    """Three good clips; a test adds what it is about."""
    return Corpus(tmp_path).add("a.wav").add("b.wav").add("c.wav")


def check_refused(corpus: Corpus, identifier: str, reason: str, **settings) -> str:
    """Runs; asserts that this row alone is refused, and returns the detail."""
    summary = corpus.run(**settings)
    assert corpus.reasons() == {identifier: reason}
    assert set(corpus.kept()) == {"a", "b", "c"} and summary["rejected_by_reason"] == {reason: 1}
    assert {path.stem for path in (corpus.root / "processed" / "wavs").iterdir()} == {"a", "b", "c"}
    return read_rejected(corpus.root / "processed" / "rejected.csv")[0].detail


def test_good_clips_come_out_trimmed_levelled_and_normalised(corpus):
    quiet = np.zeros(RATE, np.float32)
    corpus.add("d.wav", "Mr. Fox is 5 years.", np.concatenate([quiet, speech(1.5, level=0.02), quiet]), speaker="bob")
    corpus.add("e.wav", speaker="bob")
    summary = corpus.run(loudness_lufs=-20, eval_fraction=0.3)
    row = corpus.kept()["d"]
    assert (row.text, row.normalized, row.speaker) == ("Mr. Fox is 5 years.", "mister fox is five years.", "bob")
    samples, rate = wave.load(corpus.root / "processed" / row.audio)
    assert rate == 24000 and soundfile.info(corpus.root / "processed" / row.audio).subtype == "PCM_16"
    assert 1.5 <= len(samples) / rate < 1.85 and row.seconds == pytest.approx(len(samples) / rate, abs=0.001)
    assert wave.measure_loudness(samples, rate) == pytest.approx(-20, abs=0.1)
    assert summary["clips"] == 5 and summary["rejected"] == 0
    assert summary["hours"] == pytest.approx(sum(r.seconds for r in corpus.kept().values()) / 3600, abs=1e-4)
    assert set(summary["hours_by_speaker"]) == {"ann", "bob"} and set(summary["hours_by_language"]) == {"en"}
    assert summary["clips_by_split"]["train"] + summary["clips_by_split"]["eval"] == 5


def test_clips_are_left_as_recorded(corpus):
    quiet = np.zeros(RATE, np.float32)
    recorded = np.concatenate([quiet, speech(1.5, level=0.02), quiet])
    corpus.add("d.wav", samples=recorded)
    corpus.run(trim="none", loudness_lufs=None)
    samples, rate = wave.load(corpus.root / "processed" / corpus.kept()["d"].audio)
    assert len(samples) / rate == pytest.approx(3.5, abs=0.001)
    assert wave.measure_loudness(samples, rate) == pytest.approx(wave.measure_loudness(recorded, RATE), abs=1)  # not -23


def test_missing_wav(corpus):
    assert "no file wavs/gone.wav" in check_refused(corpus.row("wavs/gone.wav|Words|ann|en"), "gone", "missing_audio")


def test_wav_that_vanished_after_the_raw_stage(corpus):
    corpus.add("d.wav").run()
    (corpus.root / "corpus" / "wavs" / "d.wav").unlink()
    config = XTTSConfig.from_dict({"hardware": {"num_workers": 1}})
    prepare(config, corpus.root, corpus.root / "raw", corpus.root / "processed")
    assert corpus.reasons() == {"d": "missing_audio"}
    assert not (corpus.root / "processed" / "wavs" / "d.wav").exists()  # that of the first run is gone


def test_empty_audio(corpus):
    corpus.add("d.wav")
    (corpus.root / "corpus" / "wavs" / "d.wav").write_bytes(b"")
    assert "0 bytes" in check_refused(corpus, "d", "empty_audio")


def test_truncated_audio(corpus):
    file = corpus.add("d.wav").root / "corpus" / "wavs" / "d.wav"
    file.write_bytes(file.read_bytes()[:9000])
    assert "announced" in check_refused(corpus, "d", "truncated_audio")


def test_audio_that_is_none(corpus):
    (corpus.add("d.wav").root / "corpus" / "wavs" / "d.wav").write_text("hello")
    check_refused(corpus, "d", "bad_audio")


def test_wrong_column_count(corpus):
    assert "expected 4 columns, got 2" in check_refused(corpus.row("wavs/d.wav|Words"), "d", "wrong_column_count")


def test_metadata_that_is_not_utf8(corpus):
    corpus.run()
    (corpus.root / "corpus" / "metadata.csv").write_bytes(b"audio_file|text\nwavs/a.wav|caf\xe9\n")
    config = XTTSConfig.from_dict({"data": {"source": {"layout": "coqui", "path": "corpus"}}})
    with pytest.raises(DataError, match=r"metadata\.csv is not UTF-8: byte 0xe9 at offset 30"):
        make_raw(config, corpus.root, corpus.root / "raw")


def test_duplicate_id(corpus):
    assert "line 2" in check_refused(corpus.row("wavs/a.wav|Again|ann|en"), "a", "duplicate_id")
    assert corpus.kept()["a"].text == "Some words, 1."


def test_unknown_characters(corpus):
    assert "U+4E16" in check_refused(corpus.add("d.wav", "The 世 sign"), "d", "unknown_characters")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.wav"])
def test_path_outside_the_corpus(corpus, path):
    corpus.row(f"{path}|Words|ann|en").run()
    assert list(corpus.reasons().values()) == ["path_outside_corpus"] and set(corpus.kept()) == {"a", "b", "c"}


def test_text_without_words_and_too_much_text(corpus):
    check_refused(corpus.add("d.wav", "?!..."), "d", "empty_text")
    corpus.rows[-1] = f"wavs/d.wav|{'word ' * 60}|ann|en"
    check_refused(corpus, "d", "text_too_long")
    assert corpus.run(max_text_chars=400)["clips"] == 4


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE), "silent"),
        (speech(1.0, level=3e-5), "silent"),
        (speech(1.0, level=5e-4), "silent"),
        (speech(0.2), "too_short"),
        (speech(12.5), "too_long"),
        (np.concatenate([np.zeros(RATE), speech(0.12), np.zeros(RATE)]), "too_short"),
    ],
)
def test_silent_short_and_long(corpus, samples, reason):
    check_refused(corpus.add("d.wav", samples=samples), "d", reason)


def test_zero_usable_rows(tmp_path):
    corpus = Corpus(tmp_path).add("a.wav", samples=np.zeros(RATE)).add("b.wav", "世")
    with pytest.raises(DataError, match="no usable clip in the corpus: 1 silent, 1 unknown_characters"):
        corpus.run()
    assert corpus.reasons() == {"a": "silent", "b": "unknown_characters"}
    assert not (tmp_path / "processed" / "metadata_train.csv").exists()


def test_full_disk(corpus, monkeypatch):
    """The third clip meets a full disk: a clean error, and no half of it left."""
    corpus.run()

    def no_link(source, target) -> None:
        raise OSError(errno.EXDEV, "another disk")

    def full(source, target) -> None:
        if len(list((corpus.root / "processed" / "wavs").glob("*.wav"))) >= 2:
            Path(target).write_bytes(b"half of")
            raise OSError(errno.ENOSPC, "No space left on device")
        original(source, target)

    original = cache.shutil.copyfile
    monkeypatch.setattr(cache.os, "link", no_link)
    monkeypatch.setattr(cache.shutil, "copyfile", full)
    with pytest.raises(DataError, match="No space left on device; free space"):
        corpus.run()
    assert [path.name for path in sorted((corpus.root / "processed" / "wavs").iterdir())] == ["a.wav", "b.wav"]
    assert not (corpus.root / "processed" / "metadata_train.csv").exists()  # nothing that looks like a finished corpus


def test_full_disk_in_a_worker_process(tmp_path):
    corpus = Corpus(tmp_path)
    for index in range(20):
        corpus.add(f"{index}.wav")
    (tmp_path / "processed").mkdir()
    (tmp_path / "processed" / "wavs").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot write"):
        corpus.run(workers=2)


def test_result_does_not_depend_on_workers(tmp_path):
    corpus = Corpus(tmp_path)
    for index in range(36):
        corpus.add(f"clip{index:02}.wav", samples=speech(0.3 if index % 9 == 0 else 0.6, index))
    one, two = corpus.run(workers=1, out="one"), corpus.run(workers=2, out="two")
    assert one == two and one["clips"] == 32
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 32 + 8
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    ids = [row.id for row in read_metadata(tmp_path / "one" / "metadata_train.csv")]
    assert ids == sorted(ids)


def test_workers_load_no_heavy_library():
    check = "import sys, myxtts.data.prepare; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'mlflow', 'librosa')))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_ids_with_slashes_become_files(corpus):
    (corpus.root / "corpus" / "wavs" / "p1").mkdir()
    corpus.add("p1/x.wav").run()
    assert corpus.kept()["p1=2Fx"].seconds and (corpus.root / "processed" / "wavs" / "p1=2Fx.wav").is_file()


def test_a_corpus_in_the_output_folder_is_refused(corpus):
    with pytest.raises(DataError, match="move it elsewhere"):
        corpus.run(out="corpus")
    assert (corpus.root / "corpus" / "wavs" / "a.wav").is_file()


def test_a_manifest_changed_by_hand_cannot_write_elsewhere(corpus):
    corpus.run()
    row = Utterance("../../evil", "corpus/wavs/a.wav", "Words", "", "ann", "en")
    write_manifest(corpus.root / "raw" / "manifest.csv", [row])
    with pytest.raises(DataError, match="changed by hand"):
        prepare(XTTSConfig(), corpus.root, corpus.root / "raw", corpus.root / "processed")


def test_every_character_that_was_taken_out_is_counted(corpus):
    corpus.add("d.wav", "He said \u201cyes\u201d, *loud*.").add("e.wav", "It is \u201cyes\u201d again.").add("f.wav", "\u201c世\u201d")
    summary = corpus.run()
    characters = json.loads((corpus.root / "processed" / "characters.json").read_text())
    assert characters["removed"] == {"en": {"*": 2, "\u201c": 3, "\u201d": 3}} and summary["removed_characters"] == {"en": 8}
    assert characters["used"]["en"]["y"] == 2 and "\u201c" not in characters["used"]["en"] and "世" not in characters["used"]["en"]
    assert sum(characters["used"]["en"].values()) == sum(len(row.normalized) for row in corpus.kept().values())


def test_the_limits_that_refused_a_rate_are_left_behind(corpus):
    for number in range(21):
        corpus.add(f"usual{number}.wav")
    corpus.add("hurried.wav", "far too many words for so short a clip " * 5)
    assert corpus.run(max_rate_deviation=4.0)["rejected_by_reason"] == {"odd_rate": 1}
    limits = json.loads((corpus.root / "processed" / "limits.json").read_text())["characters_per_second"]
    assert list(limits) == ["en"]
    with (corpus.root / "processed" / "clips.csv").open(newline="") as file:
        rates = {row["reason"]: float(row["characters_per_second"]) for row in csv.DictReader(file)}
    assert limits["en"][0] < rates[""] < limits["en"][1] < rates["odd_rate"]
    detail = read_rejected(corpus.root / "processed" / "rejected.csv")[0].detail
    assert "expected {:.1f} to {:.1f} in this language".format(*limits["en"]) in detail


def test_what_is_known_of_each_clip_stands_in_one_table(corpus):
    corpus.add("d.wav", "Two channels.", np.stack([speech(1.0), speech(1.0)], axis=1)).add("e.wav", samples=np.zeros(RATE)).row(
        "wavs/gone.wav|Gone|ann|en"
    )
    corpus.run()
    with (corpus.root / "processed" / "clips.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["a", "b", "c", "d", "e"]  # what the raw stage refused is no row of the manifest
    good, stereo, silent = rows["a"], rows["d"], rows["e"]
    assert good["split"] in ("train", "eval") and good["reason"] == "" and good["audio"] == "wavs/a.wav" and good["corpus"] == "corpus"
    assert (good["sample_rate"], good["channels"], stereo["channels"]) == ("16000", "1", "2")
    assert float(good["recorded_seconds"]) == 1.0 and float(good["bandwidth_hz"]) > 7000 and float(good["snr_db"]) > 10
    letters = len("some words one.".replace(" ", "")) + 1  # "some words, one."
    assert float(good["characters_per_second"]) == pytest.approx(letters / float(good["seconds"]), abs=0.01)
    assert (silent["split"], silent["reason"], silent["audio"], silent["snr_db"]) == ("", "silent", "corpus/wavs/e.wav", "")


def test_what_is_noticed_of_the_texts_is_said(corpus, capsys):
    for number in range(20):
        corpus.add(f"{number}.wav", f"Das grüne Haus, {number} Türen.")
    (note,) = corpus.run(max_rate_deviation=None)["text_notes"]
    assert "20 of 23 texts" in note and f"warning: {note}" in capsys.readouterr().out
