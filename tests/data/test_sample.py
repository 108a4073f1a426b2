"""The embedded sample: honest splits, learnable vocabulary, the same bytes every time."""

import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from myxtts.audio import wave
from myxtts.config import DataError
from myxtts.config.data import SampleConfig, SourceConfig
from myxtts.data import sample
from myxtts.data.manifest import Utterance
from myxtts.data.sources import read_source
from myxtts.text.normalize import normalize, unknown_characters

GRAMMAR = Path(__file__).resolve().parents[2] / "data" / "sample"
SMALL = SampleConfig(sentences=10, held_out=3, voices=("en-us", "fa+f2"))


def words(text: str) -> list[str]:
    return re.findall(r"[\w\u200c']+", text.lower())


@pytest.fixture(scope="module")
def plan():
    return sample.plan_sample(SampleConfig(), GRAMMAR, seed=20)


def test_the_plan_has_the_sizes_asked_for(plan):
    assert len(plan) == 720 and len({line.id for line in plan}) == 720
    assert Counter(line.voice for line in plan) == dict.fromkeys(("en-us", "en-us+f3", "fa", "fa+f2"), 180)
    assert Counter((line.voice, line.split) for line in plan)["fa", "eval"] == 10
    assert Counter(line.language for line in plan) == {"en": 360, "fa": 360}
    uneven = sample.plan_sample(SampleConfig(sentences=11, held_out=3, voices=("en-us", "fa")), GRAMMAR, 0)
    assert Counter((line.voice, line.split) for line in uneven) == {
        ("en-us", "train"): 4,
        ("en-us", "eval"): 2,
        ("fa", "train"): 4,
        ("fa", "eval"): 1,
    }


def test_no_sentence_twice_and_held_out_words_are_taught(plan):
    for language in ("en", "fa"):
        texts = [line.text for line in plan if line.language == language]
        assert len(set(map(str.lower, texts))) == len(texts)
        taught = Counter(w for line in plan if line.language == language and line.split == "train" for w in words(line.text))
        asked = {w for line in plan if line.language == language and line.split == "eval" for w in words(line.text)}
        assert min(taught[word] for word in asked) >= 2
        assert 150 <= len(taught) <= 260


def test_sentences_are_short_clean_and_normalised_without_unknowns(plan):
    lengths = [len(line.text.split()) for line in plan]
    assert min(lengths) >= 2 and max(lengths) <= 11 and np.mean(np.array(lengths) <= 9) > 0.95
    for line in plan:
        assert "<" not in line.text and "|" not in line.text and line.text[-1] in ".?!؟" and line.text[0] == line.text[0].upper()
        assert not unknown_characters(normalize(line.text, line.language), line.language)
    assert all(normalize(line.text, "fa") == line.text for line in plan if line.language == "fa")  # proper Persian already
    assert sum("\u200c" in line.text for line in plan) > 100


def test_the_plan_follows_the_seed(plan):
    assert plan == sample.plan_sample(SampleConfig(), GRAMMAR, seed=20)
    assert {line.text for line in plan} != {line.text for line in sample.plan_sample(SampleConfig(), GRAMMAR, seed=21)}


def test_spoken_sample(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra `sample`")
    (tmp_path / "a" / "wavs").mkdir(parents=True)
    (tmp_path / "a" / "wavs" / "en-us_9999.wav").touch()  # of an earlier, larger sample
    (tmp_path / "a" / "wavs" / "mine.wav").touch()  # not ours to remove
    assert sample.make_sample(SMALL, GRAMMAR, tmp_path / "a", seed=3) == {"train": 7, "eval": 3}
    sample.make_sample(SMALL, GRAMMAR, tmp_path / "b", seed=3)
    files = {path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file()}
    assert len(files) == 12 and all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert {p.name for p in (tmp_path / "a" / "wavs").iterdir()} == {f.name for f in files if f.suffix == ".wav"} | {"mine.wav"}

    rows = list(read_source(SourceConfig(layout="metadata", path="b"), tmp_path))
    assert len(rows) == 10 and all(isinstance(row, Utterance) for row in rows)
    assert {(r.speaker, r.language) for r in rows} == {("en-us", "en"), ("fa+f2", "fa")}
    assert all(r.normalized == normalize(r.text, r.language) for r in rows)
    for row in rows:
        samples, rate = wave.load(tmp_path / row.audio)
        assert rate == 22050 and 0.7 < len(samples) / rate < 5 and 0.1 < np.abs(samples).max() < 1
        assert wave.measure_loudness(samples, rate) > -35


def test_errors_name_the_remedy(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="held_out 6 is more than half of sentences 10"):
        SampleConfig(sentences=10, held_out=6)
    with pytest.raises(DataError, match=r"no grammar .*de\.yaml"):
        sample.plan_sample(SampleConfig(voices=("de",)), GRAMMAR, 0)
    with pytest.raises(DataError, match="unknown language"):
        sample.plan_sample(SampleConfig(voices=("xx",)), GRAMMAR, 0)
    (tmp_path / "en.yaml").write_text("sentences: [a <b>.]\nwords: {c: [d]}\n")
    with pytest.raises(DataError, match="<b> is used"):
        sample.load_grammar(tmp_path, "en")
    (tmp_path / "en.yaml").write_text("sentences: 3\n")
    with pytest.raises(DataError, match="is no grammar"):
        sample.load_grammar(tmp_path, "en")
    with pytest.raises(DataError, match="made 2 different sentences, 3 are wanted"):
        sample.draw_sentences({"sentences": ["a <b>."], "words": {"b": ["c", "d"]}}, 3, random.Random(0))
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    with pytest.raises(DataError, match=r"pip install 'myxtts\[sample\]'"):
        sample.make_sample(SMALL, GRAMMAR, tmp_path, 0)


def test_unknown_voices_are_refused(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra `sample`")
    with pytest.raises(DataError, match="no variant 'zz'"):
        sample.make_sample(SampleConfig(sentences=8, held_out=2, voices=("en-us+zz",)), GRAMMAR, tmp_path, 0)
    with pytest.raises(DataError, match="no voice 'en-xx'"):
        sample.make_sample(SampleConfig(sentences=8, held_out=2, voices=("en-xx",)), GRAMMAR, tmp_path, 0)
