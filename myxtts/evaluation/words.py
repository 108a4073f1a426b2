"""How far what was heard is from what was written: edit distances, in letters, in words, and in letters that sound alike."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from myxtts.config import DataError
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize

# Persian writes one sound with several letters (from Arabic), and Whisper writes Persian with letters of Urdu as well: the letter that
# stands for all that sound alike. Glottal letters count as alef
_ALIKE = {"ز": "ذضظ", "س": "صث", "ت": "طٹۃة", "غ": "ق", "ه": "حہھۀەۂ", "ا": "آأإٱعءئؤ", "ی": "يےىې", "ک": "ك", "ن": "ں", "د": "ڈ", "ر": "ڑ"}
_BY_SOUND = {"fa": {ord(other): letter for letter, others in _ALIKE.items() for other in others}}
SOUND_LANGUAGES = tuple(_BY_SOUND)
SHORTEST_REPETITION, LONGEST_TAIL = 8, 8  # letters or phones: two syllables or three are said once too often


def letters_of(text: str, language: str, by_sound: bool = False) -> str:
    """A text's letters and digits, spelled out and in one case, its words divided by blanks: no marks, no accents, no joiners.

    by_sound: letters that sound alike become one (languages of SOUND_LANGUAGES; others stay as they are).
    """
    code = get_language(language).code
    folded = unicodedata.normalize("NFKD", normalize(text, code).casefold())
    if by_sound:
        folded = folded.translate(_BY_SOUND.get(code, {}))
    return " ".join("".join(map(_kept, folded)).split())


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Mn", "Cf", "Lm") or character in "'’":  # an apostrophe is no border of a word
        return ""
    return character if category[0] in "LN" else " "


def character_error(text: str, heard: str, language: str, by_sound: bool = False) -> float:
    """Edit distance of the letters, blanks left out (recognisers divide words in their own way), by the number of the text's.

    0 = letter by letter as written; 1 where nothing is heard; above 1 when more is heard than was written. Raises DataError for a
    text without letters.
    """
    return _error(*(letters_of(words, language, by_sound).replace(" ", "") for words in (text, heard)), text)


def word_error(text: str, heard: str, language: str) -> float:
    """Edit distance of the words, by the number of the text's; as `character_error`."""
    return _error(*(letters_of(words, language).split() for words in (text, heard)), text)


def babbles(expected: Sequence[str], heard: Sequence[str]) -> bool:
    """Whether more was said than was written: LONGEST_TAIL units behind the text's last, or a run of SHORTEST_REPETITION said twice.

    Units are letters or phones. A run counts as a repetition where it follows itself at once and does not in the text.
    """
    tail = 0
    for step in reversed(_levenshtein().opcodes(expected, heard)):
        if step.tag != "insert":
            break
        tail += step.dest_end - step.dest_start
    return tail >= LONGEST_TAIL or _longest_repetition(heard) >= max(SHORTEST_REPETITION, _longest_repetition(expected) + 1)


def _longest_repetition(units: Sequence[str]) -> int:
    """Length of the longest run that follows itself at once."""
    for length in range(len(units) // 2, 0, -1):
        same = 0
        for first, second in zip(units, units[length:], strict=False):
            same = same + 1 if first == second else 0
            if same == length:
                return length
    return 0


def _error(expected: Sequence[str], heard: Sequence[str], text: str) -> float:
    if not expected:
        raise DataError(f"an error rate needs a text with words; it got {text!r}: drop this row")
    return _levenshtein().distance(expected, heard) / len(expected)


@cache
def _levenshtein() -> Any:
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:  # comes with jiwer
        raise DataError("error rates expect the package jiwer, which is not installed: pip install 'myxtts[evaluation]'") from None
    return Levenshtein
