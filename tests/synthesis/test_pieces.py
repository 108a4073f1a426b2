"""A text as pieces: where it is cut, and how long the silences between them are."""

import pytest

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.synthesis.texts import BREAK_SECONDS, CLAUSE_SHARE, cut_text

SETTINGS = SynthesisConfig(pause_seconds=0.25, paragraph_pause_seconds=0.6)


def cut(text, language="en", longest=1000):
    return [(piece.text, piece.pause) for piece in cut_text(text, language, "myxtts", SETTINGS, lambda piece: len(piece.text) <= longest)]


def test_sentences_lines_and_clauses_have_their_own_pauses():
    assert cut("Good morning. How are you?\nFine!") == [("good morning.", 0.25), ("how are you?", 0.6), ("fine!", 0.25)]
    halves = cut("we like cold water, and we like warm bread.", longest=30)
    assert halves == [("we like cold water,", pytest.approx(CLAUSE_SHARE * 0.25)), ("and we like warm bread.", 0.25)]


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [("[break]", BREAK_SECONDS), ("[break 0.5s]", 0.5), ("[BREAK 300 ms]", 0.3), ("[break .2s][break 1s]", 1.2), ("[break 30s]", 30)],
)
def test_a_break_mark_is_a_silence_in_place_of_the_pause(mark, seconds):
    (one, silence), (two, _) = cut(f"One thing, {mark} another.")
    assert (one, two) == ("one thing,", "another.")
    assert silence == pytest.approx(seconds)


@pytest.mark.parametrize("mark", ["[break 5 minutes]", "[break -1s]", "[break 0]", "[Break 1000s]", "[break: 1s]", f"[break {10**30}s]"])
def test_what_is_meant_for_a_break_mark_and_is_none_is_refused(mark):
    with pytest.raises(DataError, match=r"is no break: expected \[break\] \(1 s\), \[break 0.5s\].* at most 30 s") as refused:
        cut(f"Take a {mark} now.")
    assert mark in str(refused.value)


def test_a_mark_at_the_end_is_heard_at_the_end():
    (piece,) = cut_text("Hello. [break 1s] [break 500ms]", "en", "myxtts", SETTINGS, lambda piece: True)
    assert (piece.closing, piece.pause) == (1.5, 1.5)
    first, second = cut_text("Hello. [break 1s] Fine!", "en", "myxtts", SETTINGS, lambda piece: True)
    assert (first.pause, first.closing, second.closing) == (1.0, 0.0, 0.0)


def test_a_breaking_text_is_text():
    assert len(cut("Take a [breaking] news break now.")) == 1
    assert cut("[break 1s] Hello.") == [("hello.", 0.25)]
    assert cut("[break]") == [] == cut("...\n—")


def test_a_mark_at_the_beginning_is_a_silence_before_it():
    first, second = cut_text("[break 1s] [break 500ms] Hello. Fine!", "en", "myxtts", SETTINGS, lambda piece: True)
    assert (first.before, first.pause, second.before) == (1.5, 0.25, None)


def test_in_persian_too():
    assert cut("سلام. [break 400ms] حال شما چطور است؟", "fa") == [("سلام.", 0.4), ("حال شما چطور است؟", 0.25)]
