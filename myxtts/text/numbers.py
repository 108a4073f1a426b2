"""Numbers in words: everything in a text that has digits, in the order in which it must be recognised."""

import re
from functools import cache

from num2words import num2words

from myxtts.text.contacts import spell_telephones
from myxtts.text.counting import number_pattern, one_of, pad, say, say_digits, say_integer
from myxtts.text.dates import spell_dates, spell_times
from myxtts.text.languages import Language
from myxtts.text.languages.record import roman_value
from myxtts.text.quantities import spell_quantities

__all__ = ["say_integer", "spell_numbers", "spell_roman"]

_DIGIT = re.compile("[0-9]")
_LONG = re.compile(r"\d{31,}")  # no number that a pattern should try at every digit
_HYPHENED = re.compile(r"\d+(?:-\d+){2,}")
_DOTTED = re.compile(r"\d+(?:\.\d+){2,}")
_FRACTION = re.compile(r"(?<![\w/.,])(?:(\d{1,3}) )?(\d{1,3})/(\d{1,4})(?![\w/]|[.,]\d)")
_COUNTED = re.compile(r"#(?=\d)")
_BARE_POINT = re.compile(r"(?<![\w.,])(?=\.\d)")
_MINUS = re.compile(r"(?<![\w)/.,%-])-(?=[^\w\s]?\d)")
_COLON = re.compile(r"(?<=\d):(?=\d)")
_GENERATION = re.compile(r"(?<![A-Za-z0-9_.,:/+-])([2-6])G(?![A-Za-z0-9_])")  # of mobile networks; 5 g are grams
_YEARS = re.compile(r"(?<![\w,.])(1[1-9]\d\d|20[1-9]\d)('?s)?(?![\w]|[,.]\d)")


def spell_numbers(text: str, language: Language) -> str:
    """Replaces every ASCII digit of a lower-case text by words of the language; signs beside numbers included.

    Dates, times and telephone numbers come first, for their signs mean something else elsewhere; then ranges, fractions, money,
    percentages and measures; then what is left.
    """
    if not _DIGIT.search(text):
        return text
    text = _LONG.sub(lambda match: pad(match, say_digits(match.group(), language), language), text)
    if language.digits_after:
        text = _serial(language).sub(lambda match: f"{match[1]}{say_digits(match[2], language)}", text)
    if not language.decimal_comma:
        text = _BARE_POINT.sub("0", text)
    text = spell_dates(text, language)
    text = spell_times(text, language)
    text = spell_telephones(text, language)
    text = _separated(text, language)
    text = _fractions(text, language)
    text = spell_quantities(text, language)
    for pattern, words in (*_suffixed(language), *_followed(language)):
        text = pattern.sub(lambda match, words=words: pad(match, words(int(match[1])), language), text)
    if language.ordinal_after:
        ordinal = next(iter(language.ordinals.values()))
        text = _ordinal(language).sub(lambda match: f"{match[1]}{ordinal(int(match[2]))}", text)
    if language.bare_years:
        text = _YEARS.sub(lambda match: _year(match, language), text)
    return _number(language).sub(lambda match: pad(match, say(match.group(), language), language), text)


def _separated(text: str, language: Language) -> str:
    """Signs before and between numbers: #5, lists, versions, ranges, scores, minus."""
    if "#" in text and "#" in language.symbols:
        text = _COUNTED.sub(f"{language.space}{language.symbols['#']}{language.space}", text)
    text = _dotted(text, language)
    if ":" in text:
        text = _COLON.sub(f" {language.score_word} " if language.spaced else language.score_word or " ", text)
    if "-" in text:
        text = _HYPHENED.sub(lambda match: match.group().replace("-", " "), text)
        text = _ranges(language).sub(lambda match: _range(match, language), text)
        text = _MINUS.sub(f"{language.space}{language.symbols['minus']}{language.space}", text)
    return text


@cache
def _number(language: Language) -> re.Pattern:
    return re.compile(number_pattern(language))


@cache
def _suffixed(language: Language) -> list:
    """Ordinals: digits with their ending."""
    return [(re.compile(rf"(?<![\w.,])(\d{{1,12}})(?:{suffix})(?!\w)"), words) for suffix, words in language.ordinals.items()]


@cache
def _followed(language: Language) -> list:
    return [(re.compile(rf"(?<![\w.,])(\d{{1,12}})(?={after})"), words) for after, words in language.read_before.items()]


@cache
def _ordinal(language: Language) -> re.Pattern:
    return re.compile(rf"(?<!\w)((?:{one_of(language.ordinal_after)}) )(\d{{1,3}})(?!\w|[.,]\d)")


@cache
def _serial(language: Language) -> re.Pattern:
    return re.compile(rf"(?<!\w)((?:{one_of(language.digits_after)})[^\w\n]{{1,3}})(\d{{4,}})(?!\d|[.,]\d)")


@cache
def _ranges(language: Language) -> re.Pattern:
    number = number_pattern(language)
    letters = r"\w" if language.spaced else "a-z0-9_"  # 风力3-4级
    before = rf"(?P<context>(?<!\w)(?:{one_of(language.score_after)})(?: \w+){{0,2}} )?" if language.score_after else "(?P<context>)"
    return re.compile(rf"{before}(?<![{letters}.,/:-])(?P<low>{number})(?P<sign>\s?%)?\s?-\s?(?P<high>{number})(?!-|:)")


def _range(match: re.Match, language: Language) -> str:
    """10-12 is from one to the other, 2-1 a score, 1990-95 two years."""
    low, high = match["low"], match["high"]
    sizes = [float(re.sub(r"\D", "", number)) for number in (low, high)]
    years = low.isdigit() and high.isdigit() and len(low) == 4 and len(high) == 2 and int(high) > int(low[2:])
    rising = (sizes[0] < sizes[1] or years) and not match["context"]
    word = language.range_word if rising else language.score_word if max(sizes) < 1000 else ""
    between = f"{language.space}{word}{language.space}" if word else " "
    high = high.lstrip("0") if years else high
    return f"{match['context'] or ''}{low}{match['sign'] or ''}{between}{high}"


def _dotted(text: str, language: Language) -> str:
    """1.2.3 is no number but three of them; nor is 3.11 after "version"."""
    dot = language.address.get(".", "")
    between = f" {dot} " if dot else " "

    def spread(match: re.Match) -> str:
        return match.group() if _number(language).fullmatch(match.group()) else match.group().replace(".", between)

    text = _DOTTED.sub(spread, text)
    if language.version_after and "." in text:
        point = f"{language.space}{language.point}{language.space}"
        text = _version(language).sub(lambda m: f"{m[1]}{m[2]}{point}{say_integer(m[3], language)}", text)
    return text


@cache
def _version(language: Language) -> re.Pattern:
    return re.compile(rf"(?<!\w)((?:{one_of(language.version_after)})\s?)(\d{{1,3}})\.(\d{{1,3}})(?!\w|\.\w)")


def _fractions(text: str, language: Language) -> str:
    """3/4 is three quarters, 2 1/2 two and a half; 24/7 two numbers. In Persian 3/5 may be a decimal number."""
    if "/" not in text:
        return text

    def spoken(match: re.Match) -> str:
        whole, top, bottom = match.groups()
        proper = 0 < int(top) < int(bottom) and int(bottom) in language.fractions
        measured = language.slash_decimal and not whole and len(bottom) < 4
        if measured and (_slash(language).match(match.string, match.end()) or (not proper and top != bottom and bottom[-1] != "0")):
            return f"{top}.{bottom}"
        if not proper:
            return match.group()
        noun = language.fractions[int(bottom)]
        words = f"{language.count(int(top), noun.gender)}{language.space}{noun.form(language.plural(int(top)))}"
        if whole:
            words = language.space.join([say_integer(whole, language), language.symbols["&"], words])
        return pad(match, words, language)

    return _FRACTION.sub(spoken, text)


@cache
def _slash(language: Language) -> re.Pattern:
    return re.compile(rf"\s?(?:{one_of(language.slash_decimal)})(?!\w)")


def _year(match: re.Match, language: Language) -> str:
    """1994 and 2015 are read in two halves; the 1990s get their plural."""
    words = language.year(int(match[1])) if language.year else num2words(int(match[1]), lang=language.num2words, to="year")
    if match[2]:
        words = f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
    return pad(match, words, language)


def spell_roman(text: str, language: Language) -> str:
    """Roman numerals in capitals beside a word that takes one, as the language's `roman` says; the text still has its capitals."""

    def spoken(match: re.Match) -> str:
        value = roman_value(match[2])
        if not value:
            return match.group()
        reading = language.roman[match[1].lower()]
        if callable(reading):
            words = reading(value)
        else:
            words = reading.format(cardinal=language.count(value), ordinal=next(iter(language.ordinals.values()), language.count)(value))
        return f"{match[1]} {words}{match[3] if not match[4] or not match[4].islower() else ''}"

    for pattern, words in _roman_before(language):
        text = pattern.sub(lambda match, words=words: words(value) if (value := roman_value(match[1])) else match.group(), text)
    return _roman(language).sub(spoken, text) if language.roman else text


def spell_readings(text: str, language: Language) -> str:
    """Numbers and abbreviations that the language reads in a way of its own; the text still has its capitals."""
    text = _GENERATION.sub(lambda match: pad(match, f"{language.count(int(match[1]))}{language.space}g", language), text)
    for pattern, words in reading_patterns(language):

        def spoken(match: re.Match, words=words) -> str:
            said = words(match)
            return match.group() if said is None else pad(match, said, language)

        text = pattern.sub(spoken, text)
    return text


@cache
def reading_patterns(language: Language) -> list:
    return [(re.compile(pattern), words) for pattern, words in language.readings.items()]


@cache
def _roman_before(language: Language) -> list:
    return [(re.compile(rf"(?<!\w)([IVX]+)(?:{after})"), words) for after, words in language.roman_before.items()]


@cache
def _roman(language: Language) -> re.Pattern:
    """With the full stop of an ordinal (Karl IV. war), told by a small letter after it."""
    return re.compile(rf"(?<!\w)((?i:{one_of(language.roman)})) ([IVXLCM]+)(?!\w)(\.?)(?=(?:\s([^\W\d_]))?)")
