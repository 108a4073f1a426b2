"""What prepare says of texts: which are refused, in which words, and what is noticed of them all."""

from dataclasses import replace

import pytest

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Utterance
from myxtts.data.texts import TextNotes, check_text


def notes_of(*texts: str, language: str = "en") -> list[str]:
    notes = TextNotes()
    for text in texts:
        notes.add(text, language)
    return notes.notes()


def test_texts_of_another_language_are_named():
    (note,) = notes_of("One.", "Two.", "Three.", *(f"Das grüne Haus, {n} Türen, {n + 1} Größen." for n in range(30)))
    assert note.startswith("30 of 33 texts in en have letters that it does not have (") and "data.source.language" in note
    assert set("öüß") <= set(note)


@pytest.mark.parametrize("text", ["Well [laughter] yes.", "A <b>bold</b> word.", "Bread &amp; butter.", "One {breath} two."])
def test_texts_with_annotations_are_named(text):
    (note,) = notes_of("One.", "Two.", text)
    assert note.startswith("1 of 3 texts hold what may be about the words rather than spoken (") and "leave these rows out" in note


@pytest.mark.parametrize("text", ["We saw [1] and 3 < 4 > 2.", "AT&T; Johnson & Johnson;", "I ❤ [...] it."])
def test_what_is_no_annotation_is_not_named(text):
    assert notes_of(text) == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fa", "اين كتاب را ببينيد ۀ إ"),  # typed on an Arabic keyboard
        ("ar", "هذا کتاب صديقی"),
        ("ko", "ＴＶ 소리"),
        ("en", "The ﬁsh"),
        ("pt", "A 1ª e o 2º"),
    ],
)
def test_other_forms_of_a_languages_letters_are_not_foreign(language, text):
    assert notes_of(*[text] * 30, language=language) == []


def test_a_message_shows_the_text_that_was_judged():
    row = Utterance("a", "a.wav", "Hello there", "həˈloʊ", "ann", "en", None, "", "corpus")
    (refused, _), (nothing, _) = (check_text(replace(row, normalized=text), PrepareConfig()) for text in ("həˈloʊ", "—"))
    assert "in 'həˈloʊ' of its normalised column" in refused.detail and "nothing to say in '—' of its normalised column" in nothing.detail
