"""Runs of words out of clips: what is cut out is what is spoken there."""

import json
import math

import numpy as np
import pytest

from myxtts.config import ConfigError, XTTSConfig
from myxtts.data.encode import read_index
from myxtts.data.fragments import Fragment, cut, whole_clip, without_text
from myxtts.data.gpt_batches import gpt_batches
from myxtts.data.records import read_records, token_schema, write_records

SPACE = 2
# [lang] a b _ c _ d e: three words; code 10·n + … are spoken by token n
RECORD = {
    "text_ids": np.array([9, 11, 12, SPACE, 13, SPACE, 14, 15], np.int32),
    "codes": np.array([0, 1, 10, 11, 20, 30, 40, 41, 50, 60, 70, 71], np.int32),
    "shifted": np.arange(100, 112, dtype=np.int32),
    "places": np.array([0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7], np.int32),
}
PARTS = {  # of words: the texts and codes of all runs that are not the whole
    (0, 1): ([9, 11, 12], [0, 1, 10, 11, 20], [0, 0, 1, 1, 2]),
    (1, 2): ([9, 13], [40, 41], [1, 1]),
    (2, 3): ([9, 14, 15], [60, 70, 71], [1, 2, 2]),
    (0, 2): ([9, 11, 12, SPACE, 13], [0, 1, 10, 11, 20, 30, 40, 41], [0, 0, 1, 1, 2, 3, 4, 4]),
    (1, 3): ([9, 13, SPACE, 14, 15], [40, 41, 50, 60, 70, 71], [1, 1, 2, 3, 4, 4]),
}


def test_fragments_are_the_words_and_the_codes_that_speak_them():
    parts = cut([RECORD], SPACE, count=100, seed=0)
    made = [part.of(RECORD, 0) for part in parts]
    for text, codes, places in PARTS.values():
        (one,) = [m for m in made if m["text_ids"].tolist() == text]
        assert one["codes"].tolist() == codes and one["places"].tolist() == places
    assert len(parts) == len(PARTS), "each once, and never the whole clip"
    assert [(part.tokens, part.codes) for part in parts] == [(len(m["text_ids"]), len(m["codes"])) for m in made]


def test_another_spelling_is_cut_at_the_same_places_and_the_whole_clip_is_the_clip():
    (part,) = [part for part in cut([RECORD], SPACE, 100, 0) if part.tokens == 2]
    assert part.of(RECORD, 1)["codes"].tolist() == [106, 107]
    whole = whole_clip(0, 8, 12).of(RECORD, 0)
    assert all(whole[name].tolist() == RECORD[name].tolist() for name in whole)


def test_clips_of_one_word_or_without_places_are_not_cut():
    word = {**RECORD, "text_ids": RECORD["text_ids"][:3], "places": np.minimum(RECORD["places"], 2)}
    assert not cut([word, {**RECORD, "places": np.zeros(0, np.int32)}], SPACE, 5, 0)
    assert len(cut([RECORD], SPACE, 1, 0)) == 1 and cut([RECORD] * 9, SPACE, 2, 0) == cut([RECORD] * 9, SPACE, 2, 0)


@pytest.fixture
def aligned(tokens, tmp_path):
    """The clips of `tokens`, each of words of two tokens, with places."""
    for path in tokens.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "text.json").write_text(json.dumps({"start_id": 1, "stop_id": 0, "space_id": SPACE}))
    records = []
    for record in read_records(tokens / "train.tfrecord", token_schema()):
        ids, count = record["text_ids"].copy(), len(record["codes"])
        ids[3::3] = SPACE
        records.append({**record, "text_ids": ids, "places": np.arange(count) * len(ids) // count})
    write_records(tmp_path / "train.tfrecord", token_schema(), records)
    return tmp_path


def changed(config, **gpt):
    tree = config.to_dict()
    tree["training"]["gpt"] |= gpt
    tree["encode"]["align"] = True
    return XTTSConfig.from_dict(tree)


def test_training_has_clips_and_fragments_and_validation_clips(aligned, config):
    asked, rows = changed(config, fragments=3), read_index(aligned, "train")
    whole, parts = gpt_batches(config, aligned, "train", 2, True), gpt_batches(asked, aligned, "train", 2, True)
    assert whole.num_examples == len(rows) < parts.num_examples <= 4 * len(rows)
    assert gpt_batches(asked, aligned, "train", 2, False).num_examples == len(rows)
    records = list(read_records(aligned / "train.tfrecord", token_schema()))
    shorter = 0
    for number in range(len(parts)):
        batch = parts.load(number)
        for row, count, length, codes, places in zip(
            *(batch[name] for name in ("row", "text_lengths", "code_lengths", "codes", "places")), strict=True
        ):
            if not length:  # filler
                continue
            clip = records[row]["codes"]
            assert any(np.array_equal(clip[start : start + length], codes[:length]) for start in range(len(clip) - length + 1))
            assert places[:length].max() == count - 1 and (places[length:] == -1).all()
            shorter += length < len(clip)
    assert shorter


def test_the_prompt_of_a_fragment_covers_those_of_its_codes_that_it_was_cut_from(aligned, config, monkeypatch):
    """A clip of which there is no other by its speaker is its own prompt: its codes up to there are not learnt."""
    rows = read_index(aligned, "train")
    alone = next(n for n, row in enumerate(rows) if [other.speaker for other in rows].count(row.speaker) == 1)
    own, length = math.ceil(config.encode.prompt_seconds * config.model.codes_per_second), rows[alone].code_length
    assert length > own + 1
    parts = [Fragment(alone, 1, 2, first, last) for first, last in ((0, length), (own - 2, own + 1), (own, length), (0, 2))]
    monkeypatch.setattr("myxtts.data.gpt_batches.cut", lambda *_: parts)
    batches = gpt_batches(changed(config, fragments=4), aligned, "train", 1, True)
    spans = {tuple(batch["prompt_span"][0].tolist()) for batch in map(batches.load, range(len(batches))) if batch["row"][0] == alone}
    assert spans == {(0, own), (0, 2), (0, 0)}


def test_a_share_of_the_training_examples_comes_without_text(aligned, config):
    always, sometimes, rows = changed(config, fragments=3), changed(config, fragments=3, text_dropout=0.3), 2
    whole, some = (gpt_batches(asked, aligned, "train", rows, True) for asked in (always, sometimes))
    left_out = kept = 0
    for number in range(8 * len(some)):
        full, batch = whole.load(number), some.load(number)
        np.testing.assert_array_equal(batch["codes"], full["codes"])
        silent = (batch["text_lengths"] == 0) & (batch["code_lengths"] > 0)
        assert not batch["text_ids"][silent].any()
        for places, count in zip(batch["places"][silent], batch["code_lengths"][silent], strict=True):
            assert not places[:count].any() and (places[count:] == -1).all()
        heard = batch["text_lengths"] > 0
        for name in ("text_ids", "text_lengths", "places"):
            np.testing.assert_array_equal(batch[name][heard], full[name][heard])
        left_out, kept = left_out + silent.sum(), kept + (batch["text_lengths"] > 0).sum()
    assert 0.2 < left_out / (left_out + kept) < 0.4
    record = {**RECORD, "places": np.full(12, -1, np.int32)}  # of a clip that could not be aligned
    assert not without_text(whole_clip(0, 8, 12).of(record, 0))["places"].any()
    validation = gpt_batches(sometimes, aligned, "train", 1, False)
    assert all(validation.load(number)["text_lengths"].all() for number in range(len(validation)))


def test_fragments_without_alignment_are_refused(config):
    tree = config.to_dict()
    tree["training"]["gpt"]["fragments"] = 2
    with pytest.raises(ConfigError, match=r"set encode\.align: true"):
        XTTSConfig.from_dict(tree)
