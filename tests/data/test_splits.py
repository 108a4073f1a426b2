"""Splits: nothing that is evaluated is trained on, in any corpus; nothing moves as a corpus grows; no set is empty."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import PrepareConfig
from myxtts.data import splits
from myxtts.data.manifest import METADATA, Utterance, read_manifest, write_metadata
from myxtts.data.raw import make_raw
from myxtts.data.splits import Refusal, SplitPlan, SplitRow, plan_splits, sentence_hash

Placed = dict[str, str]


def row(identifier: str, text: str = "t", speaker: str = "s", split: str = "", corpus: str = "") -> SplitRow:
    return SplitRow(identifier, speaker, sentence_hash(text), split, corpus)


def rows(count: int, split: str = "", prefix: str = "id", text: str | None = None) -> list[SplitRow]:
    """Each with a sentence of its own, unless `text` says what all of them say."""
    return [row(f"{prefix}{i}", text or f"{prefix} {i}", split=split) for i in range(count)]


def place(corpus: Sequence[SplitRow], **settings) -> tuple[Placed, SplitPlan]:
    """id -> set, or the reason why it is in none."""
    plan = plan_splits(lambda: iter(corpus), PrepareConfig(**settings))
    placed = {item.id: plan.place(item) for item in corpus}
    return {name: answer.reason if isinstance(answer, Refusal) else answer for name, answer in placed.items()}, plan


def of(placed: Placed, wanted: str) -> set[str]:
    return {name for name, answer in placed.items() if answer == wanted}


def random_corpus(seed: int, size: int = 1500) -> list[SplitRow]:
    """Speakers, sentences and corpora with every kind of split, sentences shared between all of them."""
    rng = random.Random(seed)
    kinds = [("",), ("train",), (*["train"] * 9, "eval"), ("", "train"), (*["", "train"] * 9, "eval")]
    kinds = {f"c{i}": rng.choice(kinds) for i in range(3)}
    speakers = rng.choice([3, 12, 60])
    sentences = rng.choice([size // 10, size // 2, size * 3])
    found = []
    for number in range(size):
        corpus = rng.choice(list(kinds))
        speaker, text = f"s{int(speakers * rng.random() ** 2)}", f"sentence {int(sentences * rng.random() ** rng.choice([1, 3]))}"
        found.append(row(f"{corpus}-{number}", text, speaker, rng.choice(kinds[corpus]), corpus))
    return found


def random_settings(seed: int) -> dict:
    rng = random.Random(seed)
    named = rng.choice([(), (), ("s0",), ("s0", "s1")])
    return {"eval_fraction": rng.choice([0.02, 0.05, 0.2]), "eval_speakers": named, "eval_speaker_fraction": rng.choice([0.0, 0.1, 0.3])}


@pytest.mark.parametrize("seed", range(60))
def test_nothing_evaluated_is_trained_on(seed):
    corpus = random_corpus(seed)
    placed, plan = place(corpus, **random_settings(seed))
    sentences, speakers = defaultdict(set), defaultdict(set)
    for item in corpus:
        sentences[placed[item.id]].add(item.sentence)
        speakers[placed[item.id]].add(item.speaker)
    assert plan.by == "sentence" and sentences["train"] and sentences["eval"]
    assert not sentences["train"] & (sentences["eval"] | sentences["eval_unseen_speaker"])
    assert not (speakers["train"] | speakers["eval"]) & plan.held_out
    assert not speakers["train"] & speakers["eval_unseen_speaker"]
    own = {item.speaker for item in corpus if item.split == "eval"}
    assert speakers["eval"] <= speakers["train"] | own or any("no other clips than theirs" in note for note in plan.notes)
    for item in corpus:  # only what must be is left out
        if placed[item.id] == "text_in_evaluation":
            assert item.sentence in sentences["eval"] | sentences["eval_unseen_speaker"]
        if placed[item.id] == "text_in_training":
            assert item.speaker in plan.held_out and item.sentence in sentences["train"]
        if item.split == "eval":
            assert placed[item.id] in ("eval", "eval_unseen_speaker", "text_in_training")


def test_no_clip_changes_sides_as_the_corpus_grows():
    sides = {"train": "train", "eval": "evaluation", "eval_unseen_speaker": "evaluation"}
    steady = 0
    for seed in range(60):
        corpus, settings = random_corpus(seed), random_settings(seed)
        random.Random(seed).shuffle(corpus)
        (small, first), (large, second) = place(corpus[:1000], **settings), place(corpus, **settings)
        assert place(corpus[::-1], **settings)[0] == large  # the order of rows changes nothing
        if any("may change" in note for note in (*first.notes, *second.notes)):  # it is small, and says so
            continue
        steady += 1
        for name, answer in small.items():
            assert large[name] == answer or large[name] not in sides or answer not in sides
    assert steady > 30


def test_shares_and_stability():
    (small, plan), (large, _) = place(rows(1000), eval_fraction=0.1), place(rows(4000), eval_fraction=0.1)
    assert plan.by == "sentence" and not plan.notes
    assert 330 < len(of(large, "eval")) < 470 and len(of(large, "train")) == 4000 - len(of(large, "eval"))
    assert of(small, "eval") == of(large, "eval") & small.keys()
    assert of(small, "eval") <= of(place(rows(1000), eval_fraction=0.2)[0], "eval")


def test_all_clips_of_a_sentence_go_the_same_way():
    spoken = [row(f"{speaker}{i}", text, speaker) for i in range(200) for speaker, text in (("a", f"Line {i}."), ("b", f"line {i}"))]
    placed, _ = place(spoken, eval_fraction=0.2)
    assert all(placed[f"a{i}"] == placed[f"b{i}"] for i in range(200)) and 40 < len(of(placed, "eval")) < 120


def test_sentences_differ_by_their_letters_alone():
    assert sentence_hash("no, go") == sentence_hash("No go!") != sentence_hash("no dog")
    assert sentence_hash("\u0915\u093f") != sentence_hash("\u0915\u0940")  # Devanagari, vowel signs i and ii
    assert sentence_hash("room 2") != sentence_hash("room 3")


def test_splits_of_the_corpus_are_kept():
    corpus = rows(300, "train", "t") + rows(3, "eval", "e") + rows(200, "", "n")
    placed, _ = place(corpus, eval_fraction=0.2)
    assert {f"t{i}" for i in range(300)} <= of(placed, "train") and {"e0", "e1", "e2"} <= of(placed, "eval")
    assert 20 < len([name for name in of(placed, "eval") if name[0] == "n"]) < 60


def test_a_corpus_that_gave_everything_to_training_is_drawn_from_whatever_others_do():
    alone = [row(f"a{i}", f"a {i}", split="train", corpus="a") for i in range(300)]
    others = [row(f"b{i}", f"b {i}", split=("eval", "train")[i % 2], corpus="b") for i in range(300)]
    (first, _), (second, _) = place(alone, eval_fraction=0.1), place(alone + others, eval_fraction=0.1)
    assert 10 < len(of(first, "eval")) < 60 and of(first, "eval") == {name for name in of(second, "eval") if name[0] == "a"}
    assert {name for name in of(second, "eval") if name[0] == "b"} == {f"b{i}" for i in range(0, 300, 2)}


def test_the_corpus_own_evaluation_wins_over_its_training():
    corpus = [*rows(50, "train", "t"), row("e", "T 7!", split="eval"), row("open", "t 7", split="")]
    placed, plan = place(corpus)
    assert placed["t7"] == placed["open"] == "text_in_evaluation" and placed["e"] == "eval" and placed["t8"] == "train"
    assert "not trained on" in plan.place(corpus[7]).detail


@pytest.mark.parametrize("text", [None, "same"])
@pytest.mark.parametrize("split", ["", "train"])
@pytest.mark.parametrize("count", [2, 3, 10, 200])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.49])
def test_no_set_is_empty(text, split, count, fraction):
    corpus = rows(count, split, text=text)
    placed, plan = place(corpus, eval_fraction=fraction)
    assert of(placed, "eval") and of(placed, "train") and len(placed) == count
    assert plan.by == ("clip" if text else "sentence")
    if fraction == 0.001:
        lowest = min(corpus, key=lambda item: splits._hash(item.id) if text else item.sentence)
        assert of(placed, "eval") == {lowest.id} and "may change" in plan.notes[-1]


def test_a_few_sentences_are_split_by_clip_and_it_is_said():
    commands = [row(f"c{i}", ("stop", "go")[i % 2], f"s{i % 20}") for i in range(2000)]
    placed, plan = place(commands, eval_fraction=0.05, eval_speakers=("s3",))
    assert plan.by == "clip" and "too few sentences" in plan.notes[0]
    assert 60 < len(of(placed, "eval")) < 140 and of(placed, "eval_unseen_speaker") == {f"c{i}" for i in range(3, 2000, 20)}
    smaller, _ = place(commands[:1000], eval_fraction=0.05, eval_speakers=("s3",))
    assert smaller.items() <= placed.items()


def test_one_frequent_sentence_does_not_empty_the_training():
    wake = [row(f"w{i}", "hey you", f"s{i % 9}") for i in range(900)] + rows(100)
    low = min(range(1000), key=lambda number: sentence_hash(f"hey {number}"))  # below every fraction that is tried
    for text in ("hey you", f"hey {low}"):
        corpus = [SplitRow(item.id, item.speaker, sentence_hash(text)) if item.id[0] == "w" else item for item in wake]
        placed, plan = place(corpus, eval_fraction=0.05)
        assert plan.by == "sentence" and all(placed[f"w{i}"] == "train" for i in range(900)) and of(placed, "eval")


def test_splits_of_a_corpus_that_share_all_sentences_go_by_clip():
    corpus = [row(f"{split}{i}", f"word {i % 10}", split=split) for split, count in (("train", 90), ("eval", 10)) for i in range(count)]
    placed, plan = place(corpus)
    assert plan.by == "clip" and "90 of 100 clips" in plan.notes[0]
    assert Counter(placed.values()) == {"train": 90, "eval": 10}


def test_held_out_speakers_with_sentences_that_all_speakers_say():
    """VCTK: everyone reads the same."""
    corpus = [row(f"{speaker}-{i}", f"line {i}", speaker) for speaker in ("p1", "p2", "p3") for i in range(400)]
    placed, plan = place(corpus, eval_fraction=0.1, eval_speakers=("p2",))
    assert plan.held_out == {"p2"}
    for i in range(400):
        evaluated = placed[f"p1-{i}"] == "eval"
        assert placed[f"p3-{i}"] == placed[f"p1-{i}"] and placed[f"p2-{i}"] == ("eval_unseen_speaker" if evaluated else "text_in_training")
    assert 20 < len(of(placed, "eval_unseen_speaker")) < 70
    assert "p2 is held out" in plan.place(next(item for item in corpus if placed[item.id] == "text_in_training")).detail


def test_the_corpus_own_unseen_speakers_are_held_out():
    number = next(i for i in range(50) if sentence_hash(f"id {i}") / 2**64 > 0.2)  # that chance leaves in training
    corpus = [*rows(50, "train"), row("z1", f"id {number}", "zoe", "eval_unseen_speaker"), row("z2", "z", "zoe", "train")]
    placed, plan = place(corpus, eval_fraction=0.2)
    assert plan.held_out == {"zoe"} and of(placed, "eval_unseen_speaker") == {"z1", "z2"} and of(placed, "eval")
    assert placed[f"id{number}"] == "text_in_evaluation"


def test_held_out_speakers_with_sentences_of_their_own_are_evaluated_on_all():
    corpus = [row(f"{speaker}-{i}", f"{speaker} {i}", speaker) for speaker in ("a", "b", "c") for i in range(50)]
    placed, _ = place(corpus, eval_speakers=("b",))
    assert of(placed, "eval_unseen_speaker") == {f"b-{i}" for i in range(50)}


def test_a_share_of_the_speakers_is_held_out_by_their_names():
    corpus = [row(f"s{speaker}-{i}", f"{speaker} {i}", f"s{speaker}") for speaker in range(200) for i in range(3)]
    _, small = place(corpus[:300], eval_speaker_fraction=0.1)
    _, large = place(corpus, eval_speaker_fraction=0.1, eval_speakers=("s7",))
    assert 8 < len(large.held_out) < 36 and "s7" in large.held_out and not large.notes
    assert small.held_out - {"s7"} == {name for name in large.held_out if int(name[1:]) < 100} - {"s7"}
    placed, few = place(corpus[:9], eval_speaker_fraction=0.01)  # s0, s1, s2
    assert len(few.held_out) == 1 and "name speakers in prepare.eval_speakers" in few.notes[0] and of(placed, "eval_unseen_speaker")
    assert not place(rows(30), eval_speaker_fraction=0.3)[1].held_out  # the only one


def test_an_unknown_speaker_is_refused_with_near_names():
    corpus = [row(f"{name}{i}", f"{name} {i}", name) for name in ("p225", "p226", "anna") for i in range(5)]
    with pytest.raises(DataError, match=r"eval_speakers names 'p22', but no usable clip has that speaker; .* p22[56], p22[56]"):
        place(corpus, eval_speakers=("p22",))


def test_what_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="every usable clip is for evaluation"):
        place(rows(5, "eval"))
    with pytest.raises(DataError, match="at least two"):
        place(rows(1))
    with pytest.raises(DataError, match="hold out fewer"):
        place([row("a", "a", "ann"), row("b", "b", "bob"), row("c", "c", "bob")], eval_speakers=("bob",))
    drawn = [item for item in rows(300, prefix="n") if item.sentence / 2**64 < 0.1][:3]  # all three would be evaluated
    placed, _ = place([*rows(5, "eval"), *drawn], eval_fraction=0.1)
    assert of(placed, "eval") == {item.id for item in rows(5)} and of(placed, "train") == {item.id for item in drawn}


def test_notes_say_what_an_evaluation_set_is_not():
    foreign = rows(50, "train") + [row(f"e{i}", f"e {i}", "zoe", "eval") for i in range(5)]
    placed, plan = place(foreign)
    assert of(placed, "eval") == {f"e{i}" for i in range(5)} and "1 speakers of the corpus' own evaluation clips" in plan.notes[0]
    named, plan = place(foreign, eval_speakers=("zoe",), eval_fraction=0.2)
    assert of(named, "eval_unseen_speaker") == {f"e{i}" for i in range(5)} and of(named, "eval") and not plan.notes
    shared = rows(50, "train") + [row("e", "e", split="eval")] + [row(f"z{i}", f"id {i}", "zoe", "train") for i in range(9)]
    placed, plan = place(shared, eval_speakers=("zoe",))
    assert not of(placed, "eval_unseen_speaker") and "none is evaluated" in plan.notes[0]


def test_drawn_clips_of_speakers_without_training_are_of_unseen_speakers():
    corpus = [row(f"s{speaker}-{i}", f"{speaker} {i}", f"s{speaker}") for speaker in range(20) for i in range(2)]
    lows = [speaker for speaker in range(20) if all(sentence_hash(f"{speaker} {i}") / 2**64 < 0.3 for i in range(2))]
    placed, plan = place(corpus, eval_fraction=0.3)
    assert lows and of(placed, "eval_unseen_speaker") == {f"s{speaker}-{i}" for speaker in lows for i in range(2)}
    assert of(placed, "eval") and not plan.held_out
    assert f"chance left {len(lows)} speakers" in plan.notes[-1] and f"their {2 * len(lows)} clips" in plan.notes[-1]
    # a clip to train on brings them back; what the corpus itself gave to eval stays there
    high = next(f"more {i}" for i in range(50) if sentence_hash(f"more {i}") / 2**64 > 0.3)
    more, plan = place([*corpus, *(row(f"m{speaker}", high, f"s{speaker}") for speaker in lows)], eval_fraction=0.3)
    assert (
        not of(more, "eval_unseen_speaker")
        and not plan.notes
        and of(more, "eval") == of(placed, "eval") | of(placed, "eval_unseen_speaker")
    )
    given, plan = place([*corpus, row("g", "given", f"s{lows[0]}", "eval")], eval_fraction=0.3)
    assert given["g"] == "eval" and given[f"s{lows[0]}-0"] == "eval_unseen_speaker" and "1 speakers of the corpus' own" in plan.notes[0]


def test_speakers_of_one_clip_each_leave_eval_as_it_is():
    corpus = [row(f"s{speaker}", f"line {speaker}", f"s{speaker}") for speaker in range(100)]
    placed, plan = place(corpus, eval_fraction=0.2)
    count = len(of(placed, "eval"))
    assert count > 5 and not of(placed, "eval_unseen_speaker") and f"no other clips than theirs ({count})" in plan.notes[0]


def test_a_set_of_hashes_holds_eight_bytes_each(monkeypatch):
    monkeypatch.setattr(splits, "_COMPACT", 64)
    rng = random.Random(0)
    values = [rng.randrange(2**64) for _ in range(500)]
    hashes = splits._Hashes()
    for value in values * 20:
        hashes.add(value)
        assert len(hashes._values) <= 2 * 500
    assert list(hashes) == sorted(values) and len(hashes) == 500 and values[3] in hashes and values[3] + 1 not in hashes
    assert hashes._values.itemsize == 8


def test_a_processed_corpus_is_a_corpus_with_its_three_sets(tmp_path):
    """What `prepare` writes can be given to it, or to a trainer, as a folder."""
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    for number, split in enumerate(METADATA):
        soundfile.write(tmp_path / "corpus" / "wavs" / f"{split}.wav", np.zeros(800), 16000)
        made = Utterance(split, "", f"Text {number}.", f"text {number}.", f"s{number}", "en", 0.05, corpus="mix")
        write_metadata(tmp_path / "corpus" / METADATA[split], [made])
    config = XTTSConfig.from_dict({"data": {"source": {"layout": "metadata", "path": "corpus"}}})
    assert make_raw(config, tmp_path, tmp_path / "raw")["clips"] == 3
    read = {item.id: item for item in read_manifest(tmp_path / "raw" / "manifest.csv")}
    assert {name: item.split for name, item in read.items()} == {split: split for split in METADATA}
