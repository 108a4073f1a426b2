"""Text as the models of the reference implementation (Coqui XTTS v2) were taught it, its mistakes included.

What `VoiceBpeTokenizer.encode` of coqui-tts 0.28 does before its BPE, in training. Its `Xtts.tts` lower-cases a sentence once
more before that, which changes one letter: a Turkish capital İ comes out as i with a dot above it. We clean as in training.

Where the reference fails with an exception (any number in Hindi, Czech ordinals, numbers too large for num2words) there is
nothing to agree with, and the number is said as `myxtts.text.numbers` says it.
"""

import re
import unicodedata
from collections.abc import Callable

from num2words import num2words

from myxtts.text.coqui_chinese import spell_chinese
from myxtts.text.coqui_tables import COQUI_LANGUAGES, CoquiLanguage
from myxtts.text.languages import get_language
from myxtts.text.numbers import spell_numbers
from myxtts.text.transliteration import pinyin, romaji, romanize_hangul

# what num2words raises for a number, an ordinal or a currency that a language lacks
_UNSPEAKABLE = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
_CURRENCIES = {"£": "GBP", "$": "USD", "€": "EUR"}
_AMOUNT = r"[0-9.,]*[0-9]+"
_TURKISH_CAPITALS = str.maketrans({"İ": "i", "Ö": "ö", "Ü": "ü"})
_TRANSLITERATED: dict[str, Callable[[str], str]] = {"zh-cn": pinyin, "ko": romanize_hangul}
_SCRIPTS = {"ru": "CYRILLIC", "ar": "ARABIC", "hi": "DEVANAGARI"}


def clean(text: str, code: str) -> str:
    """Text in one of COQUI_LANGUAGES (by its code in `languages`) -> what the reference's tokenizer is given.

    Raises DataError where Chinese or Japanese needs a package that is not installed.
    """
    if code == "ja":
        return romaji(text).lower()
    language = COQUI_LANGUAGES[code]
    text = text.replace('"', "")
    if code == "tr":
        text = text.translate(_TURKISH_CAPITALS)
    text = text.lower()
    text = spell_chinese(text) if code == "zh-cn" else _spell_numbers(text, code)
    text = _abbreviations(text, code)
    text = re.sub(r"\s+", " ", _signs(text, language)).strip()
    return _TRANSLITERATED.get(code, str)(text)


def is_legible(character: str, code: str) -> bool:
    """Whether cleaned text of a language may hold the character: its script's letters, punctuation, spaces.

    The reference asks nothing of the kind; a corpus is checked with it, so that an emoji or another script is noticed.
    """
    if code in ("zh-cn", "ko", "ja"):
        if character.isascii() and character.isalnum():
            return True
    elif character.isalpha():
        return unicodedata.name(character, "").startswith(_SCRIPTS.get(code, "LATIN"))
    return character == " " or unicodedata.category(character)[0] in "PM"


def _spell_numbers(text: str, code: str) -> str:
    language = COQUI_LANGUAGES[code]
    # only a comma divides thousands in one form; in the other any sign does ("1 234"), of which full stops alone are taken out
    divider, point = {",": (",", r"\."), ".": (".", ",")}[language.thousands]
    grouped = rf"\b\d{{1,3}}(?:{divider}\d{{3}})*(?:{point}\d+)?\b"
    text = re.sub(grouped, lambda match: match.group().replace(language.thousands, ""), text)
    text = _amounts(text, code, language)
    if code != "tr":  # "2,5" is two numbers there, "2.5" an ordinal and a number
        text = re.sub(r"[0-9]+[.,][0-9]+", lambda match: _say(match, _decimal(match.group()), code), text)
    ordinals = rf"([0-9]+)(?:{language.ordinals})"
    text = re.sub(ordinals, lambda match: _say(match, match[1], code, "ordinal"), text)
    return re.sub("[0-9]+", lambda match: _say(match, match.group(), code), text)


def _amounts(text: str, code: str, language: CoquiLanguage) -> str:
    """Pounds, dollars, euros. The first that num2words cannot say in this language keeps all that follow from being said."""

    def spoken(match: re.Match, currency: str) -> str:
        value = float(re.sub(r"[^\d.]", "", _decimal(match.group())))
        words = num2words(value, to="currency", currency=currency, lang=code)
        return words.rpartition(language.joint)[0] or words if value.is_integer() else words

    for sign, currency in _CURRENCIES.items():
        one, other = rf"{re.escape(sign)}{_AMOUNT}", rf"{_AMOUNT}{re.escape(sign)}"
        try:
            text = re.sub(f"{one}|{other}", lambda match, currency=currency: spoken(match, currency), text)
        except _UNSPEAKABLE:
            return text
    return text


def _decimal(written: str) -> str:
    return written.replace(",", ".")


def _say(match: re.Match, digits: str, code: str, to: str = "cardinal") -> str:
    try:
        return num2words(float(digits) if "." in digits else int(digits), lang=code, to=to)
    except _UNSPEAKABLE:
        return spell_numbers(match.group(), get_language(code))


def _abbreviations(text: str, code: str) -> str:
    end = r"\b" if code == "ru" else r"\."
    for written, spoken in COQUI_LANGUAGES[code].abbreviations.items():
        text = re.sub(rf"\b{written}{end}", spoken, text, flags=re.IGNORECASE)
    return text


def _signs(text: str, language: CoquiLanguage) -> str:
    for sign, word in language.signs.items():
        text = text.replace(sign, f" {word} ")
    return text
