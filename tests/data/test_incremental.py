"""Prepare does what is new and nothing else, whatever was interrupted; and the result does not depend on how it was made."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.config import DataError, XTTSConfig
from myxtts.data import clips, features
from myxtts.data import prepare as stage
from myxtts.data.features import write_mels
from myxtts.data.manifest import Utterance, read_rejected, write_manifest
from myxtts.data.prepare import check_strict, prepare
from myxtts.data.table import Table

RATE = 16000


def speech(seconds: float, seed: int) -> np.ndarray:
    """Bursts of noise with pauses, of no two seeds alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * rng.standard_normal(len(time)) * (np.sin(2 * np.pi * 2.5 * time) > -0.3) + 1e-4 * rng.standard_normal(len(time))).astype(
        np.float32
    )


def write_corpus(root: Path, numbers) -> list[Utterance]:
    (root / "wavs").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in numbers:
        file = root / "wavs" / f"{number:03}.wav"
        if not file.exists():
            soundfile.write(file, speech(0.8 + 0.01 * number, number), RATE)
            old = time.time() - 60
            os.utime(file, (old, old))
        rows.append(Utterance(f"{number:03}", f"wavs/{number:03}.wav", f"Sentence number {number}.", "", f"s{number % 3}", "en"))
    return rows


def config(**changes) -> XTTSConfig:
    """Settings that let this noise pass for speech."""
    prepare = {
        "trim": "energy",
        "min_snr_db": None,
        "min_bandwidth_hz": None,
        "max_clipped_share": None,
        "eval_fraction": 0.2,
    } | changes.pop("prepare", {})
    return XTTSConfig.from_dict({"prepare": prepare, "hardware": {"num_workers": 1}} | changes)


def run(root: Path, rows: list[Utterance], out: str = "processed", **changes) -> dict:
    write_manifest(root / "raw" / "manifest.csv", rows)
    return prepare(config(**changes), root, root / "raw", root / out, root / "cache")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def processed_clips(monkeypatch) -> list[str]:
    """The names of the recordings that are worked on."""
    names: list[str] = []
    original = clips._clips

    def counted(recording, settings):
        names.append(recording.name)
        return original(recording, settings)

    monkeypatch.setattr(clips, "_clips", counted)
    return names


def test_only_what_is_new_is_done(tmp_path, processed_clips):
    run(tmp_path, write_corpus(tmp_path, range(12)))
    assert len(processed_clips) == 12
    processed_clips.clear()
    summary = run(tmp_path, write_corpus(tmp_path, range(14)))
    assert processed_clips == ["wavs/012.wav", "wavs/013.wav"] and summary["clips"] == 14
    fresh = contents(tmp_path / "processed")
    processed_clips.clear()
    stage.prepare(config(), tmp_path, tmp_path / "raw", tmp_path / "other", tmp_path / "empty cache")
    assert len(processed_clips) == 14 and contents(tmp_path / "other") == fresh


def test_the_content_counts_not_the_name(tmp_path, processed_clips):
    rows = write_corpus(tmp_path, range(12))
    run(tmp_path, rows)
    processed_clips.clear()
    (tmp_path / "wavs" / "003.wav").rename(tmp_path / "wavs" / "moved.wav")
    soundfile.write(tmp_path / "wavs" / "005.wav", speech(0.9, 99), RATE)
    moved = [Utterance("new", "wavs/moved.wav", "Moved.", "", "s0", "en") if row.id == "003" else row for row in rows]
    before = (tmp_path / "processed" / "wavs" / "005.wav").read_bytes()
    run(tmp_path, moved)
    assert processed_clips == ["wavs/005.wav"]
    assert (tmp_path / "processed" / "wavs" / "005.wav").read_bytes() != before
    assert not (tmp_path / "processed" / "wavs" / "003.wav").exists() and (tmp_path / "processed" / "wavs" / "new.wav").exists()


def test_a_threshold_costs_nothing_and_a_setting_that_shapes_the_sound_costs_all(tmp_path, processed_clips):
    rows = write_corpus(tmp_path, range(12))
    run(tmp_path, rows)
    processed_clips.clear()
    summary = run(tmp_path, rows, prepare={"min_seconds": 0.85})
    assert not processed_clips and 0 < summary["rejected_by_reason"]["too_short"] < 12
    run(tmp_path, rows, prepare={"loudness_lufs": -20.0})
    assert len(processed_clips) == 12


def test_a_processed_clip_that_was_changed_by_hand_is_made_again(tmp_path):
    rows = write_corpus(tmp_path, range(8))
    run(tmp_path, rows)
    before = contents(tmp_path / "processed")
    with (tmp_path / "processed" / "wavs" / "002.wav").open("r+b") as file:  # in place: the cache holds the same file
        file.seek(2000)
        file.write(b"\0" * 5000)
    run(tmp_path, rows)
    assert contents(tmp_path / "processed") == before


def test_mels_are_computed_once(tmp_path, monkeypatch):
    computed = []
    original = features.log_mel_numpy
    monkeypatch.setattr(features, "log_mel_numpy", lambda wave, mel: computed.append(1) or original(wave, mel))
    run(tmp_path, write_corpus(tmp_path, range(12)))
    write_mels(config(), tmp_path / "processed", tmp_path / "mels", cache=tmp_path / "cache")
    assert len(computed) == 12
    first = contents(tmp_path / "mels")
    write_mels(config(), tmp_path / "processed", tmp_path / "mels2", cache=tmp_path / "cache")
    assert len(computed) == 12 and contents(tmp_path / "mels2") == first
    run(tmp_path, write_corpus(tmp_path, range(13)))
    write_mels(config(), tmp_path / "processed", tmp_path / "mels", cache=tmp_path / "cache")
    assert len(computed) == 13


@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_the_result_does_not_depend_on_who_does_the_work(tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="needs the extra cluster")
    rows = write_corpus(tmp_path, range(40))
    (tmp_path / "wavs" / "007.wav").write_bytes(b"no sound")
    (tmp_path / "wavs" / "008.wav").write_bytes(b"")
    (tmp_path / "wavs" / "009.wav").unlink()
    summary = run(tmp_path, rows, "one")
    changes = {"hardware": {"num_workers": 2}, "data": {"engine": "ray" if engine == "ray" else "local"}}
    other = prepare(config(**changes), tmp_path, tmp_path / "raw", tmp_path / "two", tmp_path / "another cache")
    assert other == summary and summary["clips"] == 37
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert {row.reason for row in read_rejected(tmp_path / "two" / "rejected.csv")} == {"bad_audio", "empty_audio", "missing_audio"}


def test_after_a_kill_only_the_rest_is_done(tmp_path, processed_clips):
    """A real process, killed while it works; each clip takes it a tenth of a second."""
    rows = write_corpus(tmp_path, range(30))
    write_manifest(tmp_path / "raw" / "manifest.csv", rows)
    (tmp_path / "params.json").write_text(json.dumps(config().to_dict()))
    script = f"""
import sys, time, json
from pathlib import Path
from myxtts.config import XTTSConfig
from myxtts.data import clips, prepare
prepare._COMMIT = 0.0
original = clips._clips
def slow(recording, settings):
    time.sleep(0.1)
    print("clip", flush=True)
    return original(recording, settings)
clips._clips = slow
root = Path({str(tmp_path)!r})
settings = XTTSConfig.from_dict(json.loads((root / "params.json").read_text()))
prepare.prepare(settings, root, root / "raw", root / "processed", root / "cache")
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for _ in range(10):
            assert process.stdout.readline() == "clip\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "processed" / "metadata_train.csv").exists()
    summary = run(tmp_path, rows)
    assert summary["clips"] == 30 and 15 <= len(processed_clips) <= 22  # the one under way, at least, is done again


def test_segments_of_a_long_recording_are_cut(tmp_path):
    for suffix in ("wav", "flac", "ogg"):
        soundfile.write(tmp_path / f"long.{suffix}", speech(20.0, 1), RATE)
    rows = [
        Utterance(f"{suffix}{n}", f"long.{suffix}", f"Part {n} of {suffix}.", "", "s", "en", start=2.0 * n, end=2.0 * n + 1.5)
        for suffix in ("wav", "flac", "ogg")
        for n in range(5)
    ]
    rows.append(Utterance("late", "long.wav", "Too late.", "", "s", "en", start=19.0, end=25.0))
    rows.append(Utterance("never", "long.wav", "Never.", "", "s", "en", start=30.0, end=31.0))
    summary = run(tmp_path, rows, prepare={"trim": "none", "loudness_lufs": None, "max_same_audio": None})
    assert summary["clips"] == 15 and summary["rejected_by_reason"] == {"bad_segment": 2}
    whole, rate = soundfile.read(tmp_path / "processed" / "wavs" / "wav3.wav")
    assert len(whole) == pytest.approx(1.5 * rate, abs=2)
    from myxtts.audio.wave import resample

    expected = resample(speech(20.0, 1)[6 * RATE : int(7.5 * RATE)], RATE, rate)
    assert np.corrcoef(whole[:-10], expected[: len(whole) - 10])[0, 1] > 0.999
    flac, _ = soundfile.read(tmp_path / "processed" / "wavs" / "flac3.wav")
    assert np.abs(flac - whole).max() < 1e-3


def test_twins_that_cannot_be_decoded_are_each_called_by_their_name(tmp_path):
    """Whatever the state of the cache: what is kept is kept by content, and two files may have the same."""
    rows = write_corpus(tmp_path, range(12))
    for name in ("003", "007"):
        (tmp_path / "wavs" / f"{name}.wav").write_bytes(b"no sound at all")
    run(tmp_path, rows, "cold")
    run(tmp_path, rows, "warm")
    refused = read_rejected(tmp_path / "warm" / "rejected.csv")
    assert [row.detail.partition(" cannot")[0] for row in refused] == ["wavs/003.wav", "wavs/007.wav"]
    assert contents(tmp_path / "cold") == contents(tmp_path / "warm")


def test_what_passes_is_not_remembered(tmp_path, monkeypatch):
    """A lack of memory, and a disk that was away in the middle."""
    rows = write_corpus(tmp_path, range(12))

    def without_memory(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(clips, "_clip", without_memory)
        with pytest.raises(DataError, match="12 too_large"):
            run(tmp_path, rows)
    original = clips.wave.read_bytes

    def away(path):
        if str(path).endswith("004.wav"):
            raise clips.wave.AudioError(f"no audio file {path}", "missing_audio")
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr(clips.wave, "read_bytes", away)
        assert run(tmp_path, rows)["rejected_by_reason"] == {"missing_audio": 1}
    assert run(tmp_path, rows)["rejected"] == 0


def test_a_longer_clip_may_be_allowed_without_work(tmp_path, processed_clips):
    rows = write_corpus(tmp_path, range(12))
    assert run(tmp_path, rows, prepare={"max_seconds": 0.85})["rejected_by_reason"]["too_long"] > 3
    processed_clips.clear()
    assert run(tmp_path, rows, prepare={"max_seconds": 5.0})["rejected"] == 0 and not processed_clips


def test_a_file_that_ends_the_process_costs_itself_alone(tmp_path, monkeypatch):
    def dead(function, items, engine, workers):
        for item in items:
            yield item, None if item.name.endswith("004.wav") else function([item])[0]

    monkeypatch.setattr(stage, "apply", dead)
    rows = write_corpus(tmp_path, range(8))
    assert run(tmp_path, rows)["rejected_by_reason"] == {"crashed_decoder": 1}
    monkeypatch.undo()
    assert run(tmp_path, rows)["rejected"] == 0  # it was not remembered


def test_strict_fails_with_the_counts_and_leaves_the_list(tmp_path):
    rows = write_corpus(tmp_path, range(8))
    strict = config(prepare={"strict": True})
    check_strict(strict, run(tmp_path, rows), tmp_path / "processed")
    (tmp_path / "wavs" / "003.wav").unlink()
    summary = run(tmp_path, rows)
    with pytest.raises(DataError, match=r"1 rows were rejected \(1 missing_audio\) and prepare.strict allows none"):
        check_strict(strict, summary, tmp_path / "processed")
    assert not (tmp_path / "processed" / "metadata_train.csv").exists()
    assert [row.id for row in read_rejected(tmp_path / "processed" / "rejected.csv")] == ["003"]


def test_the_table_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    run(tmp_path, write_corpus(tmp_path, range(8)))
    assert not list((tmp_path / "tmp").iterdir())
    with pytest.raises(ZeroDivisionError), Table():
        _ = 1 / 0
    assert not list((tmp_path / "tmp").iterdir())
