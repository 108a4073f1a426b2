"""Numbers, ordinals, years, times, amounts and percentages in words.

num2words does the counting; Hindi and Chinese, which it lacks, are counted here.
"""

import re
from decimal import Decimal
from functools import cache

from num2words import num2words

from myxtts.text.languages import ZWNJ, Language

_MAX_DIGITS = 12  # a longer run of digits is a telephone or serial number: read digit by digit
_SCALES = r"(?:\s+(?:thousand|million|billion|trillion|هزار|میلیون|میلیارد)\b)?"
_HINDI_WORDS = (
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस इक्कीस बाईस तेईस चौबीस पच्चीस "
    "छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस "
    "चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ "
    "तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी अस्सी "
    "इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे "
    "अट्ठानवे निन्यानवे"
)
_HINDI = _HINDI_WORDS.split()
_HINDI_SCALES = ((10**11, "खरब"), (10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))
_CHINESE = "零一二三四五六七八九"


def spell_numbers(text: str, language: Language) -> str:
    """Replaces every ASCII digit of a lower-case text by words of the language; signs beside numbers included."""
    text = re.sub(r"\d+(?:-\d+)+", _hyphened, text)
    number = _number_pattern(language)
    text = _dotted(text, number)
    text = _amounts(text, number, language)
    text = _percentages(text, number, language)
    clock = r"(?<![\d:])(\d{1,2}):([0-5]\d)(?![\d:])(?:\s?(?:uhr|heures|o'clock)(?!\w))?"
    text = re.sub(clock, lambda m: _pad(m, _time(int(m[1]), int(m[2]), language), language), text)
    if language.ordinal_suffix:
        text = re.sub(
            rf"(?<![\w.,])(\d{{1,{_MAX_DIGITS}}})(?:{language.ordinal_suffix})(?!\w)",
            lambda m: _pad(m, _clean(num2words(int(m[1]), lang=language.num2words, to="ordinal")), language),
            text,
        )
    if language.code == "en":
        text = _english_years(text, language)
    minus = language.symbols["minus"]
    text = re.sub(r"(?<![\w)])[-−](?=\d)", f" {minus} " if language.spaced else minus, text)
    return re.sub(number, lambda m: _pad(m, _say(m.group(), language), language), text)


def say_integer(digits: str, language: Language) -> str:
    """A run of digits as a number, or digit by digit where it is long or starts with zero."""
    if len(digits) > _MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return (" " if language.spaced else "").join(_cardinal(int(digit), language) for digit in digits)
    return _cardinal(int(digits), language)


def _number_pattern(language: Language) -> str:
    """Digits with the language's signs for thousands and decimals."""
    if language.decimal_comma:
        return r"(?<!\d)\d{1,3}(?:[. \u00a0\u2009\u202f]\d{3})+(?:,\d+)?(?!\d)|\d+(?:[.,]\d+)?"
    return r"(?<!\d)\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"


def _hyphened(match: re.Match) -> str:
    """10-12 is two numbers, 555-1234 a telephone number, read digit by digit."""
    groups = match.group().split("-")
    telephone = len(match.group()) > 7 and len({len(group) for group in groups}) > 1
    return " ".join("".join(groups)) if telephone else " ".join(groups)


def _dotted(text: str, number: str) -> str:
    """1.2.3 is no number but three of them."""

    def spread(match: re.Match) -> str:
        return match.group() if re.fullmatch(number, match.group()) else match.group().replace(".", " ")

    return re.sub(r"\d+(?:\.\d+){2,}", spread, text)


def _say(written: str, language: Language) -> str:
    """A number as written, thousands and decimals in the language's way."""
    if language.decimal_comma:
        if re.fullmatch(r"\d{1,3}(?:[. \u00a0\u2009\u202f]\d{3})+(?:,\d+)?", written):
            written = re.sub(r"[^\d,]", "", written)
        written = written.replace(",", ".")
    else:
        written = written.replace(",", "")
    whole, _, fraction = written.partition(".")
    if not fraction:
        return say_integer(whole, language)
    if language.fractions and len(fraction) <= 3 and len(whole) <= _MAX_DIGITS and int(fraction):
        return _clean(num2words(Decimal(f"{whole}.{fraction}"), lang=language.num2words))
    digits = [_cardinal(int(digit), language) for digit in fraction]
    return (" " if language.spaced else "").join([say_integer(whole, language), language.point, *digits])


def _amounts(text: str, number: str, language: Language) -> str:
    """$5 million, 5,50 €."""
    if not language.currencies:
        return text
    signs = "".join(map(re.escape, language.currencies))

    def spoken(sign: str, written: str, scale: str) -> str:
        one, several = language.currencies[sign]
        cents = re.fullmatch(r"(\d[\d,]*)\.(\d\d)", written)
        if sign in language.subunits and cents and not scale:
            main = f"{_say(cents[1], language)} {one if cents[1] == '1' else several}"
            small = f"{_cardinal(int(cents[2]), language)} {language.subunits[sign][cents[2] != '01']}"
            parts = [main] * (cents[2] == "00" or cents[1].strip("0") != "") + [small] * (cents[2] != "00")
            return f" {language.symbols['&']} ".join(parts)
        join = " " if language.spaced else ""
        return f"{_say(written, language)}{scale}{join}{one if written == '1' and not scale else several}"

    text = re.sub(rf"([{signs}])\s?({number})({_SCALES})", lambda m: _pad(m, spoken(m[1], m[2], m[3]), language), text)
    return re.sub(rf"({number})({_SCALES})\s?([{signs}])", lambda m: _pad(m, spoken(m[3], m[1], m[2]), language), text)


def _percentages(text: str, number: str, language: Language) -> str:
    word, join = language.symbols["%"], " " if language.spaced else ""

    def spoken(written: str) -> str:
        words = _say(written, language)
        return f"{word}{join}{words}" if language.percent_first else f"{words}{join}{word}"

    text = re.sub(rf"%\s?({number})(?!\s?%)", lambda m: _pad(m, spoken(m[1]), language), text)
    return re.sub(rf"({number})\s?%", lambda m: _pad(m, spoken(m[1]), language), text)


def _time(hour: int, minute: int, language: Language) -> str:
    words = _cardinal(minute, language)
    if language.code == "en" and 0 < minute < 10:
        words = f"oh {words}"
    return language.time[minute > 0].format(hour=_cardinal(hour, language), minute=words)


def _english_years(text: str, language: Language) -> str:
    """1994 and 2015 are read in two halves; the 1990s get their plural."""

    def spoken(match: re.Match) -> str:
        words = _clean(num2words(int(match[1]), lang="en", to="year"))
        if match[2]:
            words = f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
        return _pad(match, words, language)

    return re.sub(r"(?<![\w,.])(1[1-9]\d\d|20[1-9]\d)('?s)?(?![\w]|[,.]\d)", spoken, text)


def _pad(match: re.Match, words: str, language: Language) -> str:
    """Words with a space where a letter would touch them."""
    if not language.spaced:
        return words
    text = match.string
    before = text[match.start() - 1] if match.start() else " "
    after = text[match.end()] if match.end() < len(text) else " "
    return f"{' ' * (before.isalnum() or before == ZWNJ)}{words}{' ' * (after.isalnum() or after == ZWNJ)}"


def _clean(words: str) -> str:
    return words.replace(",", "").lower()


@cache
def _count(number: int, code: str) -> str:
    return _clean(num2words(number, lang=code))


def _cardinal(number: int, language: Language) -> str:
    counters = {"hi": _hindi, "zh-cn": _chinese}
    return counters[language.code](number) if language.code in counters else _count(number, language.num2words)


def _hindi(number: int) -> str:
    if number < 100:
        return _HINDI[number]
    scale, name = next((scale, name) for scale, name in _HINDI_SCALES if number >= scale)
    rest = f" {_hindi(number % scale)}" if number % scale else ""
    return f"{_hindi(number // scale)} {name}{rest}"


def _chinese(number: int) -> str:
    if number < 10:
        return _CHINESE[number]
    if number < 20:
        return "十" + (_CHINESE[number % 10] if number % 10 else "")
    scale, name = next((s, n) for s, n in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")) if number >= s)
    rest = number % scale
    if not rest:
        return _chinese(number // scale) + name
    tail = _chinese(rest)
    if scale >= 100 and 10 <= rest < 20:
        tail = "一" + tail  # 一百一十, not 一百十
    gap = "零" if rest < scale // 10 else ""
    return f"{_chinese(number // scale)}{name}{gap}{tail}"
