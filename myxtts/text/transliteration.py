"""Chinese, Korean and Japanese in Latin letters, as XTTS v2 reads them.

Hangul is spelled here; pinyin and romaji need dictionaries, which the optional packages of `myxtts[languages]` bring.
"""

import threading
from collections import Counter
from functools import cache
from importlib import import_module
from types import ModuleType

from myxtts.config import DataError

_LATIN_OF_INITIALS = ("g", "kk", "n", "d", "tt", "l", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
_LATIN_OF_VOWELS = (
    *("a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui"),
    "i",
)
_LATIN_OF_FINALS = (
    *("", "g", "kk", "gs", "n", "nj", "nh", "d", "l", "lg", "lm", "lb", "ls", "lt", "lp", "lh", "m", "b", "bs", "s", "ss"),
    *("ng", "j", "ch", "k", "t", "p", "h"),
)
_ANALYSING = threading.Lock()  # the analyser of Japanese keeps its last sentence: two threads would mix theirs
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
# consonants between two vowels that could be divided in several ways (g-k, gk-): a hyphen then shows where; one always stands
# before a syllable that begins with its vowel
_SPELLINGS = Counter(final + initial for final in _LATIN_OF_FINALS for initial in _LATIN_OF_INITIALS if initial)
_DOUBTFUL = {consonants for consonants, ways in _SPELLINGS.items() if ways > 1}


def pinyin(text: str) -> str:
    """Chinese -> pinyin with tone digits 1 to 5, nothing between the syllables; the rest stays. DataError without pypinyin."""
    pypinyin = _package("pypinyin", "Chinese")
    return "".join(pypinyin.lazy_pinyin(text, style=pypinyin.Style.TONE3, neutral_tone_with_five=True))


def romanize_hangul(text: str) -> str:
    """Korean -> Revised Romanization of Korean, its transliteration rule (letter by letter, hyphens where it would be doubtful)."""
    latin, previous_final = [], None
    for character in text:
        if not _FIRST_SYLLABLE <= ord(character) <= _LAST_SYLLABLE:
            latin.append(character)
            previous_final = None
            continue
        rest, final = divmod(ord(character) - _FIRST_SYLLABLE, len(_LATIN_OF_FINALS))
        initial, vowel = divmod(rest, len(_LATIN_OF_VOWELS))
        onset = _LATIN_OF_INITIALS[initial]
        hyphen = previous_final is not None and (not onset or previous_final + onset in _DOUBTFUL)
        previous_final = _LATIN_OF_FINALS[final]
        latin.append(f"{'-' * hyphen}{onset}{_LATIN_OF_VOWELS[vowel]}{previous_final}")
    return "".join(latin)


def romaji(text: str) -> str:
    """Japanese -> Hepburn romaji, English spelling for loanwords it knows. DataError without cutlet and its dictionary."""
    with _ANALYSING:
        return _cutlet().romaji(text)


@cache
def _cutlet():
    _package("unidic_lite", "Japanese")
    return _package("cutlet", "Japanese").Cutlet()


def _package(name: str, language: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(f"{language} text in the manner of Coqui needs {name} ({error}): pip install 'myxtts[languages]'") from None
