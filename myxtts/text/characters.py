"""Unicode put in order: one form of each letter and digit, and account of the characters that are left out."""

import re
import unicodedata
from collections import Counter
from functools import cache

from myxtts.text.languages import ZWNJ, Language

# ligatures, presentation forms, wide forms, letters of mathematics, squared units, Roman numerals, degrees, ‼ ⁇ ⁈ ⁉
_COMPATIBILITY = re.compile(
    "[\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff01-\uff0b\uff0d-\uffee\u3000\U0001d400-\U0001d7ff\u3371-\u33df\u2160-\u217f\u2103\u2109\u212a\u212b\u203c\u2047-\u2049]"
)
_VULGAR = re.compile(r"(\d{0,15})([\u00bc-\u00be\u2150-\u215e])")
_NOT_PLAIN = re.compile("[^ -~]")
_FOREIGN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "n", "ĳ": "ij"}


class _Forms(dict):
    """A table for `str.translate` that works out a character's new form when it is first met."""

    def __init__(self, form):
        super().__init__()
        self._form = form

    def __missing__(self, code: int) -> str:
        self[code] = form = self._form(chr(code))
        return form


def translate(text: str, table: dict[int, str], removed: Counter[str] | None) -> str:
    """`str.translate`, with every character that the table turns into nothing or white space counted in `removed`."""
    if removed is not None:
        note(text, {c for c in set(text) if ord(c) in table and not table[ord(c)].strip() and not c.isspace()}, removed)
    return text.translate(table)


def note(text: str, characters: set[str], removed: Counter[str] | None) -> None:
    """Counts the characters of a text that are about to go."""
    if removed is not None:
        for character in characters:
            if number := text.count(character):
                removed[character] += number


def tidy(text: str, removed: Counter[str] | None = None) -> str:
    """NFC, wide and presentation forms resolved, every digit ASCII, control and format characters gone (but ZWNJ)."""
    if not _NOT_PLAIN.search(text):
        return text
    text = unicodedata.normalize("NFC", text)
    text = _COMPATIBILITY.sub(lambda match: unicodedata.normalize("NFKC", match.group()) if match.group() != "﷼" else "﷼", text)
    text = _VULGAR.sub(_vulgar, text)
    if removed is not None:
        note(text, {c for c in set(text) if not _CHARACTERS[ord(c)].strip() and not c.isspace()}, removed)
    return text.translate(_CHARACTERS)


def fold_foreign_letters(text: str, language: Language, removed: Counter[str] | None = None) -> str:
    """A letter that the language lacks loses its accent (garçon -> garcon in English) if what remains is known."""
    table = _folds(language)
    if removed is not None:
        note(text, {c for c in set(text) if not table[ord(c)]}, removed)
    return text.translate(table)


def _character(character: str) -> str:
    category = unicodedata.category(character)
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return ""  # variation selectors
    if category in ("Nd", "No"):
        value = unicodedata.numeric(character, None)
        return character if value is None or value != int(value) else str(int(value))
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Cs", "Cn", "Co") and character != ZWNJ else character


_CHARACTERS = _Forms(_character)


def _vulgar(match: re.Match) -> str:
    """3½ -> 3.5, ¾ -> 3/4"""
    if not match[1]:
        return unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    value = f"{int(match[1]) + unicodedata.numeric(match[2]):.3f}".rstrip("0")
    return value


@cache
def _folds(language: Language) -> _Forms:
    def fold(character: str) -> str:
        if language.knows(character) or not (character.isalpha() or unicodedata.combining(character)):
            return character
        if unicodedata.combining(character):
            return ""
        bare = "".join(c for c in unicodedata.normalize("NFD", character) if not unicodedata.combining(c))
        bare = "".join(_FOREIGN.get(c, c) for c in bare)
        return bare if bare and all(map(language.knows, bare)) else character

    return _Forms(fold)
