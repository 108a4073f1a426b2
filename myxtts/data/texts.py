"""The texts of a corpus: normalised, and refused where they cannot be spoken."""

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize_with_report, unknown_characters

# a text this many times as long as the limit on what is spoken is not normalised: of a megabyte on one line that would take for ever
_MOST_WRITTEN = 10
_ENOUGH = 20  # texts that say something of their language
# what is about the words and not one of them: [laughter], <b>, {noise}, &amp;
_ANNOTATION = re.compile(r"\[[^\W\d_][^\[\]]{0,40}\]|</?[^\W\d_][^<>]{0,60}>|\{[^{}]{1,40}\}|&#?\w{2,8};")
_SHOWN_CHARACTERS = 6


def check_text(row: Utterance, settings: PrepareConfig) -> tuple[Utterance | Rejected, dict[str, int]]:
    """The row with its text normalised (from the corpus' own normalised column where there is one), or why it is refused.

    With it, how often each character was taken out of the text without being spoken.
    """
    written = row.normalized or row.text
    if len(written) > _MOST_WRITTEN * settings.max_text_chars:
        return _too_long(row, f"{len(written)} characters as it is written", settings), {}
    if settings.refuse_annotations and (found := _ANNOTATION.search(written)):
        detail = (
            f"{found.group()!r} is about the words and would be read as one, in {_shown(row, written)}; write what is spoken alone, or let "
            "such texts pass (prepare.refuse_annotations: false)"
        )
        return Rejected(row.id, row.audio, "annotated_text", detail), {}
    text, removed = normalize_with_report(written, row.language, settings.cleaners)
    return _checked(row, written, text, settings), dict(removed)


class ForeignLetters:
    """How many texts of each language are written with letters that it does not have: a sign that the language is another one.

    Normalisation folds some of them (ü becomes u in English), so they are looked for before it.
    """

    def __init__(self) -> None:
        self._texts: Counter[str] = Counter()
        self._foreign: Counter[str] = Counter()
        self._letters: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, text: str, language: str) -> None:
        record = get_language(language)
        letters = () if text.isascii() else set(unicodedata.normalize("NFKC", text).lower())  # every language knows a to z
        found = [letter for letter in letters if letter.isalpha() and not (record.knows(letter) or letter in record.letter_forms)]
        self._texts[language] += 1
        self._foreign[language] += bool(found)
        self._letters[language].update(found)

    def notes(self) -> list[str]:
        """A sentence for each language of which more than a tenth of 20 or more texts are like that."""
        return [
            f"{count} of {self._texts[language]} texts in {language} have letters that it does not have "
            f"({' '.join(letter for letter, _ in self._letters[language].most_common(8))}): is data.source.language "
            "(of a mix: that of the corpus) right?"
            for language, count in sorted(self._foreign.items())
            if self._texts[language] >= _ENOUGH and 10 * count > self._texts[language]
        ]


def _checked(row: Utterance, written: str, text: str, settings: PrepareConfig) -> Utterance | Rejected:
    if not any(character.isalpha() for character in text):
        detail = f"nothing to say in {_shown(row, written)}; expected words: write what is spoken, or leave the row out"
        return Rejected(row.id, row.audio, "empty_text", detail)
    if len(text) > settings.max_text_chars:
        return _too_long(row, f"{len(text)} characters", settings)
    unknown = unknown_characters(text, row.language, settings.cleaners)
    if unknown:
        names = " ".join(f"{character!r} (U+{ord(character):04X})" for character in sorted(unknown)[:_SHOWN_CHARACTERS])
        names += f" and {len(unknown) - _SHOWN_CHARACTERS} more" if len(unknown) > _SHOWN_CHARACTERS else ""
        remedy = "write them as they are spoken, or correct the language"
        detail = f"not known in language {row.language}: {names}, in {_shown(row, written)}; {remedy}"
        return Rejected(row.id, row.audio, "unknown_characters", detail)
    return replace(row, normalized=text)


def _too_long(row: Utterance, got: str, settings: PrepareConfig) -> Rejected:
    detail = (
        f"{got}, expected at most {settings.max_text_chars} (prepare.max_text_chars): cut the recording and its text, or raise the limit"
    )
    return Rejected(row.id, row.audio, "text_too_long", detail)


def _shown(row: Utterance, written: str) -> str:
    where = " of its normalised column" if row.normalized else ""
    return f"{(written if len(written) <= 200 else f'{written[:200]}…')!r}{where}"
