"""A corpus of everything that goes wrong: each row that cannot be used has a clear reason, and the good clips come out untouched."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import broken
import pytest
import soundfile
import torture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torture import GOOD, KEPT, KINDS, Kind, Made

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import PrepareConfig
from myxtts.data import clips
from myxtts.data.clips import ClipSettings, Part, Recording
from myxtts.data.manifest import (
    Rejected,
    Utterance,
    read_manifest,
    read_metadata,
    read_rejected,
    write_manifest,
    write_metadata,
    write_rejected,
)
from myxtts.data.table import Table
from myxtts.data.texts import check_text
from myxtts.text.languages import LANGUAGES

PEAK_MIB = 400  # of the whole run; an hour of silence at 8 kHz takes 110 by itself, and five times that to work on
NEEDS_FILE_RIGHTS = ("unreadable_file",)  # root reads everything
TELEMETRY = ".ses"
FILES = {*torture.FILES, *torture.FORMATS, *torture.SAMPLES}


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


KINDS_HERE = tuple(kind for kind in KINDS if not (is_root() and kind.name in NEEDS_FILE_RIGHTS))


@dataclass(frozen=True)
class Outcome:
    """A run: its summary, and what it wrote."""

    root: Path
    summary: dict
    kept: dict[str, Made]
    rejected: dict[str, list[Rejected]]  # by id
    removed: Counter[str]
    before: dict[str, tuple[int, int]]
    after: dict[str, tuple[int, int]]

    def of(self, kind: Kind) -> Made | Rejected:
        """What became of a kind's row."""
        refused = self.rejected.get(kind.identifier, [])
        if kind.id == "?":  # its id is cut or escaped: the row is known by its file
            named = kind.line.format(file=kind.path, text="", name=kind.name).partition("|")[0]
            refused = [row for rows in self.rejected.values() for row in rows if row.audio in (named, named.replace("\0", "\\0"))]
            if not refused:
                return next(made for made in self.kept.values() if made.id == kind.name or made.id.startswith(kind.path[:40]))
        if kind.expect != KEPT and refused:
            return refused[-1]
        return self.kept[kind.identifier] if kind.identifier in self.kept else refused[0]


def read(root: Path, summary: dict, before: dict, out: str = "processed") -> Outcome:
    processed = root / out
    with (processed / "clips.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["id"]: row for row in csv.DictReader(file)}
    kept = {}
    for name in ("metadata_train.csv", "metadata_eval.csv"):
        for row in read_metadata(processed / name):
            samples, rate = soundfile.read(processed / row.audio, dtype="float32")
            assert rate == 24000 and samples.ndim == 1
            kept[row.id] = Made(samples, row.text, row.normalized, row.speaker, listed[row.id], row.id)
    rejected: dict[str, list[Rejected]] = {}
    for row in read_rejected(processed / "rejected.csv"):
        rejected.setdefault(row.id, []).append(row)
    removed = Counter(json.loads((processed / "characters.json").read_text(encoding="utf-8"))["removed"].get("en", {}))
    return Outcome(root, summary, kept, rejected, removed, before, files_of(root))


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, but what a run may write: (size, time of change)."""
    found = {}
    for folder, _, names in os.walk(root):
        if not Path(folder).relative_to(root).parts[:1] or not Path(folder).relative_to(root).parts[0].startswith("processed"):
            found |= {os.path.join(folder, name): os.lstat(os.path.join(folder, name)) for name in names}  # noqa: PTH118
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    """The run over all kinds, in a process of its own whose memory is looked at, with temporary files in a folder of their own."""
    root = tmp_path_factory.mktemp("torture")
    torture.build(root, KINDS_HERE)
    (root / "tmp").mkdir()
    before = files_of(root)
    environment = os.environ | {"TMPDIR": str(root / "tmp"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-X", "faulthandler", torture.__file__, str(root)]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return read(root, json.loads(done.stdout.splitlines()[-1]), before)


@pytest.fixture(scope="module")
def only_good(tmp_path_factory) -> Outcome:
    """The run over the good clips alone."""
    root = tmp_path_factory.mktemp("good")
    torture.build(root, ())
    return read(root, torture.run(root), {})


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
def test_every_kind_ends_as_it_should(outcome, kind):
    if kind not in KINDS_HERE:
        pytest.skip("root reads every file: test_a_file_without_rights gives its rights up")
    found = outcome.of(kind)
    if isinstance(found, Made):
        assert KEPT in kind.reasons, "it was kept"
        assert found.row["reason"] == "" and len(found.samples) > 0.4 * 24000
        assert kind.holds is None or kind.holds(found), (found.normalized, found.row, len(found.samples))
    else:
        assert found.reason in kind.reasons, found.detail
        assert all(word in found.detail for word in kind.says), found.detail


def test_there_are_enough_kinds_and_each_has_one_name():
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names)) >= 100
    assert sum(KEPT not in kind.reasons for kind in KINDS) >= 80


def test_no_row_is_lost(outcome):
    """One row for each kind, and for each good clip; a line break within a row makes two of it."""
    broken_lines = sum("\n" in kind.line for kind in KINDS_HERE)
    assert len(outcome.kept) + sum(map(len, outcome.rejected.values())) == len(KINDS_HERE) + GOOD + broken_lines
    assert outcome.summary["clips"] == len(outcome.kept)
    reasons = Counter(row.reason for rows in outcome.rejected.values() for row in rows)
    assert outcome.summary["rejected_by_reason"] == dict(reasons) and outcome.summary["rejected"] == reasons.total()


def test_good_clips_come_out_as_if_nothing_were_broken(outcome, only_good):
    assert set(only_good.kept) == {f"good{number:02}" for number in range(GOOD)} and not only_good.rejected
    for name, alone in only_good.kept.items():
        among = outcome.kept[name]
        assert (among.text, among.normalized, among.speaker) == (alone.text, alone.normalized, alone.speaker)
        paths = [run.root / "processed" / "wavs" / f"{name}.wav" for run in (outcome, only_good)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
        without_split = [{key: value for key, value in made.row.items() if key != "split"} for made in (among, alone)]
        assert without_split[0] == without_split[1]


def test_every_detail_says_what_came_and_what_to_do(outcome):
    remedies = ("expected", "correct", "(prepare.", "convert", "copy", "record it again", "leave it out", "export", "the id already stands")
    vague = []
    for rows in outcome.rejected.values():
        for row in rows:
            assert len(row.detail) >= 12 and not row.detail.startswith("Traceback") and "BytesIO" not in row.detail, row
            # paths as the manifest has them, but where a link leads
            assert row.reason == "path_outside_corpus" or str(outcome.root) not in row.detail, row
            if not any(remedy in row.detail for remedy in remedies) and "metadata.csv, line" not in row.detail:
                vague.append(row)
    assert not vague


def test_details_of_the_raw_stage_name_a_remedy(outcome):
    rows = [row for rows in outcome.rejected.values() for row in rows if "metadata.csv, line" in row.detail]
    assert not [row.detail for row in rows if not any(word in row.detail for word in (";", "expected", "already stands"))]


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS if kind.removed])
def test_removed_characters_are_counted(outcome, kind):
    assert set(kind.removed) <= set(outcome.removed)


def test_memory_stays_bounded(outcome):
    assert outcome.summary["peak_mib"] < PEAK_MIB


def test_nothing_is_written_elsewhere(outcome):
    """The corpus is as it was, no temporary file is left, and nothing lies beside."""
    assert {path: stamp for path, stamp in outcome.after.items() if Path(path).name != TELEMETRY} == outcome.before
    assert not {path.name for path in (outcome.root / "tmp").iterdir()} - {TELEMETRY}
    assert {path.name for path in outcome.root.glob("processed*")} == {"processed", "processed.raw", "processed.cache"}
    wavs = outcome.root / "processed" / "wavs"
    assert {path.stem for path in wavs.iterdir()} == set(outcome.kept) and all(path.is_file() for path in wavs.iterdir())


def test_the_runtime_of_networks_reports_to_nobody(outcome):
    """onnxruntime 1.32 begins a session of its maker's telemetry when it is imported: a file in the folder for temporary ones."""
    assert not (outcome.root / "tmp" / TELEMETRY).exists()


def test_two_workers_make_the_same(outcome):
    summary = torture.run(outcome.root, "processed_two", workers=2)
    assert summary == {key: value for key, value in outcome.summary.items() if key != "peak_mib"}
    one, two = outcome.root / "processed", outcome.root / "processed_two"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert [file for file in files if (one / file).read_bytes() != (two / file).read_bytes()] == []


def test_strict_fails_and_says_how_many(outcome):
    torture.build(root := outcome.root / "processed_strict", (KINDS[0], KINDS[1], KINDS[3]))
    with pytest.raises(DataError, match=r"3 rows were rejected \(3 truncated_audio\)") as failed:
        torture.run(root, strict=True)
    assert "rejected.csv" in str(failed.value) and "prepare.strict" in str(failed.value)
    assert not list((root / "processed").glob("metadata_*.csv")) and (root / "processed" / "rejected.csv").is_file()


def test_mels_of_what_is_left(outcome, tmp_path):
    import numpy as np

    from myxtts.data.features import write_mels

    report = write_mels(XTTSConfig(), outcome.root / "processed", tmp_path / "mels")
    assert report["train/frames"] > 100 and np.isfinite(np.load(tmp_path / "mels" / "mel_norm.npy")).all()


@pytest.mark.skipif(not is_root(), reason="a user's own run has this kind in the corpus")
def test_a_file_without_rights(tmp_path):
    """Root reads everything; its effective user is another one while the file is opened."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        broken.unreadable(path := Path(folder) / "clip.wav", 1)
        recording = Recording(str(path), "clip.wav", (part(1),))
        os.seteuid(65534)
        try:
            (clip,) = clips.process([recording], shaping())[0]
        finally:
            os.seteuid(0)
    assert clip.facts["reason"] == "unreadable_audio" and clips.NAME in clip.facts["detail"] and "chmod" in clip.facts["detail"]


def part(number: int, start: float | None = None, end: float | None = None) -> Part:
    return Part(number, "", start, end, "words", "en")


def shaping() -> ClipSettings:
    return ClipSettings.of(XTTSConfig())


def test_a_file_that_vanishes_before_it_is_sent_to_another_machine(tmp_path):
    recording = Recording(str(tmp_path / "clip.wav"), "clip.wav", (part(1),))
    (clip,) = clips.process([clips.with_content(recording)], shaping())[0]
    assert clip.facts["reason"] == "missing_audio" and clip.facts["detail"].startswith(f"no audio file {clips.NAME}")


def test_a_recording_for_which_memory_is_lacking(monkeypatch):
    def lacking(*arguments):
        raise MemoryError

    monkeypatch.setattr(clips.wave, "decode", lacking)
    (clip,) = clips.process([Recording("clip.wav", "clip.wav", (part(1),), b"RIFF")], shaping())[0]
    assert clip.facts["reason"] == "too_large" and "hardware.num_workers" in clip.facts["detail"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        *((float("nan"), 1.0), (0.0, float("nan")), (0.0, float("inf")), (float("inf"), None), (0.0, 1e308), (1e308, None)),
        *((-1.0, 1.0), (-1e-9, None), (1.0, 0.5), (0.5, 0.5), (5.0, 6.0), (1.2, None), (0.0, -1.0)),
    ],
)
def test_times_of_segments_that_are_none(start, end):
    recording = Recording("clip.wav", "clip.wav", (part(1, start, end),), broken.wav(1))
    (clip,) = clips.process([recording], shaping())[0]
    assert clip.facts["reason"] == "bad_segment" and clips.NAME in clip.facts["detail"] and "correct" in clip.facts["detail"]


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS if kind in FILES])
def test_segments_of_every_file_are_clips_or_refused(kind):
    """The same files, cut into segments: what is there is a clip, and nothing raises."""
    parts = tuple(part(number, start, end) for number, (start, end) in enumerate(((0.0, 0.6), (0.5, 1.1), (0.9, 4000.0))))
    made = clips.process([Recording(kind.path, kind.path, parts, kind.audio(7))], shaping())[0]
    assert len(made) == 3
    assert all(clip.wav or clip.facts["reason"] or clip.facts["seconds"] > 11.6 for clip in made)
    assert made[2].wav is None


@pytest.mark.parametrize("examples", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_recordings_neither_raise_nor_crash_nor_swell(tmp_path, examples):
    """Any bytes give clips or a reason; native faults of the decoders would end the process that tries them."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = Path(__file__).with_name("fuzz_audio.py")
    command = [sys.executable, "-X", "faulthandler", str(script), str(examples), str(tmp_path / "last")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    took = json.loads(done.stdout.splitlines()[-1])
    assert took["reasons"]["kept"] > examples / 20 and len(took["reasons"]) >= 4  # the search reaches good and bad ones
    assert took["slowest"] < 20 and took["peak_mib"] < PEAK_MIB


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=60), language=st.sampled_from(sorted(LANGUAGES)), others=st.lists(st.text(max_size=20), min_size=3, max_size=3)
)
def test_text_of_any_kind_is_a_row_or_refused(tmp_path, text, language, others):
    """Through every file that a row passes, also with halves of pairs."""
    write_manifest(tmp_path / "manifest.csv", [Utterance("id", others[0], text, "", others[1], language, corpus=others[2])])
    (row,) = read_manifest(tmp_path / "manifest.csv")
    assert row.text == text.encode("utf-8", "backslashreplace").decode()
    checked, removed = check_text(row, PrepareConfig())
    with Table(tmp_path) as table:
        if isinstance(checked, Rejected):
            table.add(row, {}, checked.reason, checked.detail)
            write_rejected(tmp_path / "rejected.csv", [checked])
            assert read_rejected(tmp_path / "rejected.csv") == [checked] and checked.detail
        else:
            table.add(checked, {"removed": dict(removed)})
            write_metadata(tmp_path / "metadata_train.csv", [checked])
            (read_again,) = read_metadata(tmp_path / "metadata_train.csv")
            assert (read_again.text, read_again.normalized, read_again.speaker) == (row.text, checked.normalized, row.speaker)
        assert [found.utterance.text for found in table.rows()] == [row.text]
