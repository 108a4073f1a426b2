"""Balanced sampling: a small language gets merges beside a large one, and nothing else changes."""

import random
from collections import Counter

import pytest

from myxtts.text.sampling import balance_words, count_words
from myxtts.text.tokenizer import Tokenizer

_random = random.Random(1)
_WORDS = ["".join(_random.choice("bdgklmnprst") + _random.choice("aeiou") for _ in range(_random.randint(1, 4))) for _ in range(300)]
ENGLISH = [("the " + " ".join(_random.choices(_WORDS, k=9)), "en") for _ in range(2000)]
CZECH = [("příští školní čtvrtek přijde učitelka", "cs"), ("školní čtvrtek přijde", "cs"), ("zvláštnost", "cs")] * 6


def balanced(exponent: float) -> dict[str, float]:
    """Share of all occurrences by language."""
    words = count_words(ENGLISH + CZECH)
    found = balance_words(words, exponent)
    return {language: sum(found[word] for word in counts) / found.total() for language, counts in words.items()}


@pytest.mark.parametrize("exponent", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_shares_are_those_of_the_exponent(exponent):
    totals = {language: counts.total() for language, counts in count_words(ENGLISH + CZECH).items()}
    wanted = totals["cs"] ** exponent / sum(total**exponent for total in totals.values())
    assert balanced(exponent)["cs"] == pytest.approx(wanted, rel=0.03)


def test_as_many_words_as_there_were_in_the_same_order_of_frequency():
    words = count_words(ENGLISH + CZECH)
    found = balance_words(words, 0.5)
    assert found.total() == pytest.approx(sum(counts.total() for counts in words.values()), rel=0.01)
    assert found["čtvrtek"] > found["učitelka"] > 6 and found["the"] > found[_WORDS[0]] > 0


def test_one_language_and_an_exponent_of_one_leave_the_counts_alone():
    english = count_words(ENGLISH)
    assert balance_words(english, 0.37) == english["en"]
    both = count_words(ENGLISH + CZECH)
    assert balance_words(both, 1.0) == both["en"] + both["cs"]


def test_a_word_seen_once_is_not_made_to_look_frequent():
    words = {"en": Counter({"the": 10000}), "cs": Counter({"školní": 4, "jednou": 1})}
    found = balance_words(words, 0.5)
    assert found["školní"] > 100 and found["jednou"] == 1


def test_rounding_is_right_on_average():
    """Seventy words of which each is due 1.4 times or so."""
    words = {"en": Counter({f"w{i}": 2 for i in range(700)}), "cs": Counter({"a": 190})}
    found = balance_words(words, 0.5)
    factor = 1590 * 1400**0.5 / (1400**0.5 + 190**0.5) / 1400
    english = [found[f"w{i}"] for i in range(700)]
    assert set(english) <= {1, 2} and sum(english) / 700 == pytest.approx(2 * factor, rel=0.05)


def test_a_small_language_gets_merges_and_row_order_does_not_matter(tmp_path):
    rows, shuffled = ENGLISH + CZECH, random.Random(0).sample(ENGLISH + CZECH, len(ENGLISH + CZECH))
    text = "příští školní čtvrtek"
    even, as_is = Tokenizer.train(rows, 90, balance=0.5), Tokenizer.train(rows, 90, balance=1.0)
    assert len(even.encode(text, "cs")) < len(as_is.encode(text, "cs"))
    even.save(tmp_path / "a.json")
    Tokenizer.train(iter(shuffled), 90, balance=0.5).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert all(even.unknown_id not in even.encode(text, language) for text, language in rows)


def test_an_extension_is_balanced_among_the_new_languages():
    old = Tokenizer.train([("the river", "en")] * 3, 60)
    new = [*((text, "de") for text, _ in ENGLISH), *CZECH]
    text = "příští školní čtvrtek"
    even, as_is = (old.extend(new, old.size + 60, balance) for balance in (0.2, 1.0))
    assert len(even.encode(text, "cs")) < len(as_is.encode(text, "cs"))
    # characters of words that sampling leaves out are there all the same
    rare = old.extend([*new, *((f"x{c}", "de") for c in "äöüß"), *CZECH], old.size + 80, 0.0)
    assert not any(rare.unknown_characters(c, "de") for c in "äöüß")
