"""What prepare says of texts: which are refused, in which words, and what is noticed of them all."""

import pytest

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.data.texts import ForeignLetters, check_text


def notes_of(*texts: str, language: str = "en") -> list[str]:
    notes = ForeignLetters()
    for text in texts:
        notes.add(text, language)
    return notes.notes()


def test_texts_of_another_language_are_named():
    (note,) = notes_of("One.", "Two.", "Three.", *(f"Das grüne Haus, {n} Türen, {n + 1} Größen." for n in range(30)))
    assert note.startswith("30 of 33 texts in en have letters that it does not have (") and "data.source.language" in note
    assert set("öüß") <= set(note)


def checked(text: str, normalized: str = "", **settings) -> Utterance | Rejected:
    row = Utterance("a", "a.wav", text, normalized, "ann", "en", None, "", "corpus")
    return check_text(row, PrepareConfig(**settings))[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Well [laughter] yes.", "[laughter]"),
        ("A <b>bold</b> word.", "<b>"),
        ("Bread &amp; butter.", "&amp;"),
        ("One {breath} two.", "{breath}"),
        ("بله [خنده] بله", "[خنده]"),
    ],
)
def test_texts_with_annotations_are_refused(text, found):
    refused = checked(text)
    assert refused.reason == "annotated_text" and f"{found!r} is about the words" in refused.detail and f"in {text!r}" in refused.detail
    assert getattr(checked(text, refuse_annotations=False), "reason", "") != "annotated_text"
    assert checked(text, normalized="well yes").normalized == "well yes"  # what is read is without


@pytest.mark.parametrize("text", ["We saw [1] and 3 < 4 > 2.", "AT&T; Johnson & Johnson;", "I like [...] it.", "Yes (he laughed) yes"])
def test_what_is_no_annotation_is_kept(text):
    assert isinstance(checked(text), Utterance)


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
    refused, nothing = (checked("Hello there", text) for text in ("həˈloʊ", "—"))
    assert "in 'həˈloʊ' of its normalised column" in refused.detail and "nothing to say in '—' of its normalised column" in nothing.detail


def test_unknown_characters_are_named_some_and_counted_all():
    detail = checked("Words абвгдежзий").detail
    assert detail.count("U+04") == 6 and "and 4 more" in detail
