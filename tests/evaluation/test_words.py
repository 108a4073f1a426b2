"""Error rates by letters and words, in languages whose recogniser has a spelling of its own, and babble."""

import pytest

from myxtts.config import DataError
from myxtts.evaluation.words import babbles, character_error, letters_of, word_error

pytest.importorskip("rapidfuzz", reason="needs the extra: pip install 'myxtts[evaluation]'")


def test_letters_have_no_marks_case_accents_or_digits():
    assert letters_of("It\u2019s 12 o'clock, café!", "en") == "its twelve oclock cafe"
    assert letters_of("می\u200cروم، ۱۲ کتابِ خوب.", "fa") == "میروم دوازده کتاب خوب"


def test_what_sounds_alike_counts_as_one_letter_in_persian_alone():
    assert letters_of("ذره صبح آقا", "fa", by_sound=True) == letters_of("زره سبه اغا", "fa", by_sound=True)
    assert letters_of("ذره", "fa") != letters_of("زره", "fa")
    assert letters_of("cat", "en", by_sound=True) == "cat"


def test_errors_count_edits_by_the_length_of_the_text():
    assert character_error("a cat sat", "a hat sat", "en") == pytest.approx(1 / 7)
    assert word_error("a cat sat", "a hat sat", "en") == pytest.approx(1 / 3)
    assert character_error("ten men", "10 men.", "en") == 0.0, "digits are spelled out"
    assert character_error("a cat", "", "en") == 1.0
    assert character_error("a cat", "a cat and a dog", "en") > 1.0
    assert character_error("some thing", "something", "en") == 0.0, "recognisers divide words in their own way"
    assert character_error("ضعیف", "زعیف", "fa") == 0.25 and character_error("ضعیف", "زعیف", "fa", by_sound=True) == 0.0


def test_a_text_without_words_is_refused():
    for error in (character_error, word_error):
        with pytest.raises(DataError, match="needs a text with words"):
            error("?!", "yes", "en")


def test_babble_is_a_tail_or_a_repetition_and_not_a_slip():
    text = "goodmorningtoyou"
    assert not babbles(text, text) and not babbles(text, "goodmooningtoyo") and not babbles(text, text + "andso")
    assert babbles(text, text + "andsomething"), "a tail"
    assert babbles(text, "goodmorninggoodmorningtoyou"), "said twice"
    assert not babbles("helloworldhelloworld", "helloworldhelloworld"), "the text says it twice"
    assert not babbles(text, "") and not babbles(text, "goodm")
