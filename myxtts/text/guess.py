"""Which language texts are in, where their script tells."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

from myxtts.text.languages import get_language

_OF_SCRIPT = {"HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh-cn", "DEVANAGARI": "hi", "CYRILLIC": "ru", "ARABIC": "ar"}
_PERSIAN = frozenset("پچژگ")  # which Arabic lacks
_URDU = frozenset("ٹڈںےہ")  # which Persian lacks; normalisation takes some of them for slips of the keyboard
_FREQUENT = 0.002  # share of letters from which on a letter is no slip


def guess_language(texts: Iterable[str]) -> str | None:
    """The code of the language of texts; None for Latin script, which many share, and where frequent letters are not the language's.

    So Ukrainian is not taken for Russian, nor Urdu for Persian.
    """
    letters = Counter(letter for text in texts for letter in unicodedata.normalize("NFC", text.lower()) if letter.isalpha())
    frequent = {letter: count for letter, count in letters.items() if count >= _FREQUENT * letters.total()}
    scripts = Counter()
    for letter, count in frequent.items():
        scripts[unicodedata.name(letter, "?").split()[0]] += count
    script = max(scripts, key=scripts.get, default="")
    code = _OF_SCRIPT.get(script)
    if script == "CJK" and scripts["HIRAGANA"] + scripts["KATAKANA"]:  # Japanese with more Chinese characters than its own
        code = "ja"
    if script == "ARABIC" and _PERSIAN & frequent.keys():
        code = "fa"
    if code is None:
        return None
    language = get_language(code)
    foreign = [letter for letter in frequent if not (language.knows(letter) or letter in language.letter_forms) or letter in _URDU]
    return None if foreign else code
