"""A written number in words: whole and decimal numbers, digit by digit where there is no other way, and the noun after it."""

import re

from myxtts.text.languages import ZWNJ, Language
from myxtts.text.languages.record import Noun

MAX_DIGITS = 12  # a longer run of digits is a serial number: read digit by digit


# no group of thousands is sought further than the longest number that is read as one: lists like 123,123,123,... stay cheap
# the other way of writing is understood where it leaves no doubt: 1.234,56 in English, 1,234.56 and 1,234,567 in German, 3,5 in English
_COMMA_DECIMAL = "|".join(
    (
        r"(?<!\d)\d{1,3}(?:\.\d{3}){1,8}(?:,\d+)?(?!\d)",
        r"(?<![\d.,])(?<!\d )\d{1,3}(?: \d{3}){1,3}(?:,\d+)?(?! ?\d)",
        r"(?<!\d)\d{1,3}(?:,\d{3}){1,8}\.\d+(?!\d)",
        r"(?<!\d)\d{1,3}(?:,\d{3}){2,8}(?!\d)",
        r"\d+(?:[.,]\d+)?",
    )
)
_POINT_DECIMAL = "|".join(
    (
        r"(?<!\d)\d{1,3}(?:,\d{3}){1,8}(?:\.\d+)?(?!\d)",
        r"(?<!\d)\d{1,3}(?:\.\d{3}){1,8},\d+(?!\d)",
        r"(?<![\d.])\d{1,3}(?:\.\d{3}){2}(?!\d|\.\d)",
        r"(?<![\d,.])\d+,(?:\d\d?|\d{4,})(?!\d|[.,]\d)",
        r"\d+(?:\.\d+)?",
    )
)


def number_pattern(language: Language) -> str:
    """Digits with signs for thousands and decimals. The pattern holds no group that captures."""
    return f"(?:{_COMMA_DECIMAL if language.decimal_comma else _POINT_DECIMAL})"


def divide(written: str, language: Language) -> tuple[str, str]:
    """A number that fits `number_pattern` -> its whole digits and its decimals ("" for none)."""
    written = written.replace(" ", "")
    signs = re.sub(r"\d", "", written)
    if not signs:
        return written, ""
    if len(set(signs)) == 2:
        point = signs[-1]
    elif len(signs) > 1 or (signs == ("." if language.decimal_comma else ",") and re.fullmatch(r"\d{1,3}\D\d{3}", written)):
        return re.sub(r"\D", "", written), ""
    else:
        point = signs
    whole, _, decimals = written.rpartition(point)
    return re.sub(r"\D", "", whole), decimals


def say(written: str, language: Language, gender: str = "") -> str:
    """A number as written, thousands and decimals in the language's way."""
    whole, decimals = divide(written, language)
    if not decimals:
        return say_integer(whole, language, gender)
    if language.decimal and len(whole) <= MAX_DIGITS and (words := language.decimal(whole, decimals)):
        return words
    return language.space.join([say_integer(whole, language), language.point, say_digits(decimals, language)])


def say_integer(digits: str, language: Language, gender: str = "") -> str:
    """A run of digits as a number, or digit by digit where it is long or starts with zero."""
    if len(digits) > MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return say_digits(digits, language)
    return language.count(int(digits), gender)


def say_digits(digits: str, language: Language) -> str:
    return language.space.join(language.count(int(digit)) for digit in digits)


def count(written: str) -> int | None:
    """What a noun's form is chosen by: the integer, or None for a number with decimals."""
    return int(written[-15:]) if written.isdigit() else None


def with_noun(written: str, noun: Noun, language: Language) -> str:
    """A number and what is counted: "5", kilometre -> five kilometres."""
    whole, decimals = divide(written, language)
    form = noun.form(language.plural(None if decimals else count(whole)))
    return f"{say(written, language, noun.gender)}{language.space}{form}"


def pad(match: re.Match, words: str, language: Language) -> str:
    """Words in the place of a match, with a space where a letter would touch them."""
    if not language.spaced:
        return words
    text = match.string
    before = text[match.start() - 1] if match.start() else " "
    after = text[match.end()] if match.end() < len(text) else " "
    return f"{' ' * (before.isalnum() or before == ZWNJ)}{words}{' ' * (after.isalnum() or after == ZWNJ)}"


def one_of(written: object) -> str:
    """A pattern of any of the strings, the longest first."""
    return "|".join(map(re.escape, sorted(written, key=len, reverse=True)))
