"""A tokenizer extended by a language: nothing old changes, the new language is read in few tokens, the file stays a plain one."""

import json
import random
import time
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_coqui_ids import FIXTURE, with_all_languages
from tokenizers import Tokenizer as Plain

from myxtts.config import DataError
from myxtts.data.sample import draw_sentences, load_grammar
from myxtts.text.extension import learn_merges
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize
from myxtts.text.tokenizer import Tokenizer

ARABIC = ["كتب الولد الدرس في البيت", "ذهبت البنت إلى المدرسة", "السلام عليكم ورحمة الله", "كيف حال الولد في المدرسة"]
ENGLISH = ["the river runs to the sea.", "the rain runs over the road!", "it's a quiet morning, isn't it?"]
OLD_ROWS = [(text, "ar") for text in ARABIC] * 3 + [(text, "en") for text in ENGLISH] * 3
SIZE = 400


@pytest.fixture(scope="module")
def persian(repository) -> list[tuple[str, str]]:
    grammar = load_grammar(repository / "data" / "sample", "fa")
    return [(normalize(text, "fa"), "fa") for text in draw_sentences(grammar, 250, random.Random(0))]


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return Tokenizer.train(OLD_ROWS, 160)


@pytest.fixture(scope="module")
def extended(old, persian) -> Tokenizer:
    return old.extend(persian, SIZE)


@pytest.fixture(scope="module")
def published(shared, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.json"
    path.write_text(with_all_languages((shared / "data" / "xtts_vocab.json").read_text(encoding="utf-8")), encoding="utf-8")
    return path


def vocabulary(tokenizer: Tokenizer, folder: Path) -> dict[str, int]:
    tokenizer.save(folder / "tokenizer.json")
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]


def test_ids_lie_in_one_block_above_the_old(old, extended, tmp_path):
    before, after = vocabulary(old, tmp_path), vocabulary(extended, tmp_path)
    assert {token: after[token] for token in before} == before
    new = sorted((index, token) for token, index in after.items() if token not in before)
    assert [index for index, _ in new] == list(range(old.size, extended.size))
    tokens = [token for _, token in new]
    assert tokens[:2] == ["[EXTENSION 1]", "[fa]"]
    characters = [token for token in tokens if len(token) == 1]
    assert {"پ", "چ", "گ", "ی"} <= set(characters) and characters == sorted(characters) == tokens[2 : 2 + len(characters)]
    assert extended.size <= SIZE and extended.languages == ("ar", "en", "fa") and old.languages == ("ar", "en")


def test_old_texts_keep_their_ids_and_new_ones_need_few(old, extended, persian):
    assert all(extended.encode(*row) == old.encode(*row) for row in OLD_ROWS)
    shared_letters = "کتاب من".replace("ک", "ك")
    assert extended.encode(shared_letters, "ar") == old.encode(shared_letters, "ar")
    for text, _ in persian:
        ids = extended.encode(text, "fa")
        assert extended.unknown_id not in ids and extended.decode(ids) == text
        assert len(ids) < len(text)
    assert sum(len(extended.encode(*row)) for row in persian) < 0.6 * sum(len(text) for text, _ in persian)


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ابتثكلمنهويپگچ abcdتابك"))
def test_any_old_text_keeps_its_ids(text):
    old, extended = _pair()
    assert extended.encode(text, "ar") == old.encode(text, "ar")
    assert extended.encode(text, "en") == old.encode(text, "en")


@cache
def _pair() -> tuple[Tokenizer, Tokenizer]:
    old = Tokenizer.train(OLD_ROWS, 160)
    return old, old.extend([("تاب كتاب تابك پاكت گل پاكت گل تاب كتاب " * 3, "fa")], 200)


def test_the_file_does_not_depend_on_row_order_and_comes_back(old, extended, persian, tmp_path):
    shuffled = random.Random(5).sample(persian, len(persian))
    extended.save(tmp_path / "a.json")
    old.extend(shuffled, SIZE).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    loaded = Tokenizer.load(tmp_path / "a.json")
    assert (loaded.size, loaded.languages) == (extended.size, extended.languages)
    for row in (*persian, *OLD_ROWS):
        assert loaded.encode(*row) == extended.encode(*row)
    plain = Plain.from_file(str(tmp_path / "a.json"))
    text = persian[0][0]
    assert plain.encode("[fa]" + text.replace(" ", "[SPACE]")).ids == extended.encode(text, "fa")


def test_pieces_are_the_old_ids_of_a_token(old, extended, tmp_path):
    tokens = {index: token for token, index in vocabulary(extended, tmp_path).items()}
    base = old.size
    for index in range(base, extended.size):
        pieces = extended.pieces(index, base)
        assert all(piece < base and piece != extended.unknown_id for piece in pieces)
        known = [character for character in tokens[index] if character in old._vocabulary]
        assert "".join(tokens[piece] for piece in pieces) == ("" if index < base + 2 else "".join(known))
    assert extended.pieces(extended.unknown_id, base) == [] and extended.decode([base, base + 1]) == ""
    with pytest.raises(DataError, match="no extension begins at id 7; expected one of "):
        extended.pieces(base, 7)
    with pytest.raises(DataError, match="never extended"):
        old.pieces(5, 7)
    with pytest.raises(DataError, match="not in the vocabulary"):
        extended.pieces(extended.size, base)


def test_an_extension_is_extended(old, extended, persian):
    czech = [("příliš žluťoučký kůň úpěl", "cs"), ("kůň žluťoučký příliš", "cs")] * 2
    twice = extended.extend([*czech, *persian], 500)
    assert twice.languages == ("ar", "cs", "en", "fa")
    for row in (*OLD_ROWS, *persian):
        assert twice.encode(*row) == extended.encode(*row)
    assert all(extended.unknown_id not in twice.encode(*row) for row in czech)
    for before in (old.size, extended.size):
        pieces = [twice.pieces(index, before) for index in range(extended.size, twice.size)]
        assert any(pieces) and all(index < before for row in pieces for index in row)


def test_languages_that_plain_readers_of_the_file_read_otherwise_are_named(old, extended, persian, tmp_path):
    """Persian words may be Arabic ones, never English ones; words of the language named differ, those of the others do not."""
    assert old.languages_of_two_readings == () and extended.languages_of_two_readings == ("ar",)
    extended.save(tmp_path / "tokenizer.json")
    plain = Plain.from_file(str(tmp_path / "tokenizer.json"))
    words = {word for text, _ in (*persian, *OLD_ROWS) for word in text.split()}
    for code, differs in (("ar", True), ("en", False)):
        known = [word for word in words if all(map(get_language(code).knows, word))]
        assert any(plain.encode(f"[{code}]{word}").ids != extended.encode(word, code) for word in known) is differs
    twice = extended.extend([("not on a train", "de")] * 3, 500)
    assert twice.languages_of_two_readings == ("ar", "en", "fa")  # Persian text may hold English words


def test_too_small_a_bound_and_no_new_language_are_refused(old, persian):
    with pytest.raises(DataError, match=r"num_text_tokens to at least (\d+)") as error:
        old.extend(persian, old.size + 5)
    needed = int(str(error.value).split("at least ")[1].split()[0])
    assert old.extend(persian, needed).size == needed
    with pytest.raises(DataError, match="at least"):
        old.extend(persian, needed - 1)
    with pytest.raises(DataError, match="no row is in a new language: the tokenizer knows ar, en"):
        old.extend([(ARABIC[0], "ar")], 1000)


def test_merges_are_those_of_counting_anew_each_time():
    rng = random.Random(1)
    words = Counter(tuple(rng.choice("aabcd") for _ in range(rng.randrange(1, 9))) for _ in range(150))
    known = {"ab", "ca"}
    assert learn_merges(words, known, 12) == _naive(words, known, 12)
    assert len(learn_merges(words, known, 10**6)) == len(_naive(words, known, 10**6)) > 30
    assert learn_merges({("a", "b"): 1}, set(), 5) == [] and learn_merges({("a", "b"): 2}, set(), 5) == [("a", "b")]


def _naive(words, known, budget):
    texts = [(list(word), count) for word, count in words.items()]
    merges = []
    while len({"".join(pair) for pair in merges}) < budget:
        counts = Counter()
        for tokens, count in texts:
            for left, right in pairwise(tokens):
                counts[left, right] += count * (left + right not in known)
        pair, count = min(counts.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
        if count < 2:
            break
        merges += [pair] * (pair not in merges)
        for tokens, _ in texts:
            position = 0
            while position < len(tokens) - 1:
                if (tokens[position], tokens[position + 1]) == pair:
                    tokens[position : position + 2] = ["".join(pair)]
                position += 1
    return merges


def test_thousands_of_merges_over_many_words_take_seconds():
    rng = random.Random(2)
    words = {tuple(rng.choice("abcdefghijklmnop") for _ in range(rng.randrange(3, 8))): rng.randrange(1, 50) for _ in range(20000)}
    began = time.process_time()
    assert len(learn_merges(words, set(), 500)) >= 500
    assert time.process_time() - began < 15


def test_the_published_vocabulary_with_persian(published, persian):
    old = Tokenizer.load(published)
    extended = old.extend(persian, old.size + 300)
    rows = [row for row in json.loads(FIXTURE.read_text(encoding="utf-8"))["rows"] if row["ids"]]
    assert {row["language"] for row in rows} == set(old.languages) and len(old.languages) == 17
    for row in rows:
        assert extended.encode(row["cleaned"], row["language"]) == row["ids"]
    assert any(old.unknown_id in old.encode(text, "ar") for text, _ in persian)
    for text, _ in persian:
        ids = extended.encode(text, "fa")
        assert extended.unknown_id not in ids and len(ids) < len(text) and extended.decode(ids) == text
    assert all(extended.pieces(index, old.size) for index in range(extended.size - 50, extended.size))
