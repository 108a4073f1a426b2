"""What is known of a language: one `Language` record. Its fields are data; the code that reads them is the same for all languages.

A field that a record leaves out means that its language reads nothing of the kind: the digits are still read, as plain numbers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from num2words import num2words

ZWNJ = "\u200c"  # zero width non-joiner: a letter of Persian spelling
LATIN = "abcdefghijklmnopqrstuvwxyz"
HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x3007, 0x3007))
_ROMAN = re.compile("M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


# which form of a noun a number takes: 0 for the first; None stands for a number with decimals
def one_or_more(number: int | None) -> int:
    return int(number != 1)


def french_plural(number: int | None) -> int:
    """Zero and one are singular (also Portuguese of Brazil)."""
    return int(number not in (0, 1))


def east_slavic(number: int | None) -> int:
    """1 рубль, 2 рубля, 5 рублей; 1,5 рубля."""
    if number is None:
        return 1
    if number % 10 == 1 and number % 100 != 11:
        return 0
    return 1 if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else 2


def polish(number: int | None) -> int:
    """1 złoty, 2 złote, 5 złotych, 1,5 złotego (the fourth form)."""
    if number is None:
        return 3
    if number == 1:
        return 0
    return 1 if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else 2


def czech(number: int | None) -> int:
    """1 koruna, 2 koruny, 5 korun, 1,5 koruny (the fourth form)."""
    if number is None:
        return 3
    return 0 if number == 1 else 1 if number in (2, 3, 4) else 2


def arabic(number: int | None) -> int:
    """1 دولار واحد, 2 دولاران, 5 دولارات, 15 دولارا, 100 دولار (the fifth form, also with decimals)."""
    if number in (1, 2):
        return number - 1
    if number is None or number % 100 < 3:
        return 4
    return 2 if number % 100 <= 10 else 3


def never(number: int | None) -> int:
    """One form for every number."""
    return 0


@dataclass(frozen=True)
class Noun:
    """A word that is counted: its forms, of which the language's `plural` picks one; its gender where numbers agree with it.

    A form is lower case, as spoken. The last form serves for every index beyond it, so a word that never changes has one form.
    """

    forms: tuple[str, ...]
    gender: str = ""

    def form(self, index: int) -> str:
        return self.forms[min(index, len(self.forms) - 1)]


@dataclass(frozen=True)
class Calendar:
    """Twelve months as they are said within a date; `years` (first, last) tells calendars of one language apart in numeric dates.

    written: other written forms of a month, lower case -> its number. (`months` are always understood.) words: those written forms
    that are common words as well (`may`): a date only before a year, a mark or the end. days: how many a month has at most.
    """

    months: tuple[str, ...]
    years: tuple[int, int] = (1000, 2999)
    written: Mapping[str, int] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    days: tuple[int, ...] = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, eq=False)
class Language:
    """What normalisation and checks need to know of a language. Letters are lower case, words are as spoken.

    Characters
    code, name: the ISO 639-1 code (`zh-cn` for Chinese) and the English name.
    char_limit: the longest sentence spoken at once, in characters.
    letters, ranges: the language's own letters; ranges of code points for scripts with many.
    also: letters of another script that its texts mix in (Latin words in Persian or Russian text): kept in lower case and learnt
        as any other letter. Foreign letters that are in neither are unknown characters.
    punctuation: the marks it keeps; every other form of a mark becomes its own. sentence_end: those that end a sentence.
    spaced: whether words are divided by spaces.
    lower: text in lower case. letter_forms: letter (or letters) of another spelling -> the language's own. dropped: a regular expression's
        character class of what is written and not spoken (vowel signs). joiner: pattern of what texts hold in the place of a zero
        width non-joiner. spelling: a rule of the language's own, text -> text, before anything is spelled out; joining: the same for
        the finished text.
    abbreviations: written form without its full stop -> spoken form. abbreviations_bare: the same, with or without a full stop.

    Numbers
    num2words: language code of the library, or None where `cardinal` counts.
    cardinal: an integer in words, where num2words lacks or mistakes it. counted: the same before a noun of a gender.
    decimal: (whole digits, decimals) -> words, or None to read decimals digit by digit after `point`, the word for the decimal sign.
    decimal_comma: whether 1.234,5 is written, and not 1,234.5. scales: written scale after a number -> spoken (`bn`).
    fractions: denominator -> its noun (`quarter`, `quarters`). slash_decimal: words before which 3/5 is a decimal number (Persian).
    ordinal_after: words after which plain digits are an ordinal (Persian "قرن ۲۱").
    ordinals: pattern of what follows the digits of an ordinal (`th`) -> ordinal in words.
    read_before: pattern of what follows a number and stays -> how the integer before it is read (a year, a counter's own numerals).
    digits_after: words after which a run of digits is read one by one. version_after: words after which 3.11 is two numbers.
    plural: the index of a noun's form for an integer, or for a number with decimals (None).
    range_word: between two numbers that rise (10-12). score_word: between two that do not (2-1). score_after: words after which 1-2
        is a score as well.
    roman: word -> a template with {cardinal} or {ordinal}, or a counter, for a Roman numeral in capitals after that word.
    roman_before: pattern of what follows a Roman numeral of I, V and X in capitals and is part of it (`e` in "XIXe", or a word in a
        lookahead) -> counter.
    readings: pattern of a number or abbreviation in the text as it is written (Latin digits, with its capitals) that this language
        reads in a way of its own -> its words, or None to leave it; before any other rule. A match that ends with a full stop ends no
        sentence.

    Signs
    symbols: the word spoken for a sign (also for "+", "=", "minus" before a number, "#" before a number, "hashtag" before a word).
    address: the words for signs within an e-mail or web address ("." and "@" among them).
    percent: the noun for %, else `symbols`. percent_first: whether it is said before the number.
    currencies: sign or code -> noun, said after the amount; subunits: the same for hundredths, where two decimals are read so.
    amount_of: what stands between a scale and a currency (Spanish "cinco millones de euros"). amount_joint: between an amount and its
        hundredths, with its spaces, where it is not the word for "&".
    units: written unit -> noun, only directly after a number.

    Dates and times
    calendars: the calendars in use; the first one whose years hold the year is taken.
    date_order: `dmy`, `mdy` or `ymd`: how 3/4/2026 is read. A year that is written first is followed by month and day; with full stops
        the day is first. A day above twelve settles it. Two numbers alone (11/25) are no date.
    date: template of a date with {day}, {month}, {year}; day_month: of a day before a month's name ("" where that is no date);
        month_day: of a day after it; month_link: pattern of what may stand between; and_year: of {date} and a {year} after it, where
        the year must change for it.
    day: a day of the month in words, as within a date. year: a year in words; bare_years: whether 1100-2099 alone is a year.
    time: how a full hour is said, an hour with minutes, and one with seconds; {hours}, {minutes} and {seconds} are the nouns below.
    time_late: a full hour after noon, where it differs. time_sign: characters between hours and minutes.
    zero_minute: the word before a minute below ten (nine oh five). time_marks: what is written after a time (`pm`) -> how it is said.
    hour, minute, second: nouns.

    Telephone numbers (after a plus sign or a zero, in brackets, or in groups of unlike lengths)
    phone_groups: pattern of a written group without its leading zeros -> lengths in which it is read as numbers; a group that fits none
        is read digit by digit. phone_plus: the word for the plus sign. phone_pause: between groups.
    """

    code: str
    name: str
    char_limit: int
    letters: str = LATIN
    ranges: tuple[tuple[int, int], ...] = ()
    also: str = ""
    punctuation: str = ".,;:!?'-"
    sentence_end: str = ".!?"
    spaced: bool = True
    lower: Callable[[str], str] = str.lower
    letter_forms: Mapping[str, str] = field(default_factory=dict)
    dropped: str = ""
    joiner: str = ""
    spelling: Callable[[str], str] | None = None
    joining: Callable[[str], str] | None = None
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    abbreviations_bare: Mapping[str, str] = field(default_factory=dict)

    num2words: str | None = None
    cardinal: Callable[[int], str] | None = None
    counted: Callable[[int, str], str] | None = None
    decimal: Callable[[str, str], str | None] | None = None
    point: str = ""
    decimal_comma: bool = True
    scales: Mapping[str, str] = field(default_factory=dict)
    fractions: Mapping[int, Noun] = field(default_factory=dict)
    slash_decimal: tuple[str, ...] = ()
    ordinal_after: tuple[str, ...] = ()
    ordinals: Mapping[str, Callable[[int], str]] = field(default_factory=dict)
    read_before: Mapping[str, Callable[[int], str]] = field(default_factory=dict)
    digits_after: tuple[str, ...] = ()
    version_after: tuple[str, ...] = ()
    plural: Callable[[int | None], int] = one_or_more
    range_word: str = ""
    score_word: str = ""
    score_after: tuple[str, ...] = ()
    roman: Mapping[str, str | Callable[[int], str]] = field(default_factory=dict)
    roman_before: Mapping[str, Callable[[int], str]] = field(default_factory=dict)
    readings: Mapping[str, Callable[[re.Match], str | None]] = field(default_factory=dict)

    symbols: Mapping[str, str] = field(default_factory=dict)
    address: Mapping[str, str] = field(default_factory=dict)
    percent: Noun | None = None
    percent_first: bool = False
    currencies: Mapping[str, Noun] = field(default_factory=dict)
    subunits: Mapping[str, Noun] = field(default_factory=dict)
    amount_of: str = ""
    amount_joint: str | None = None
    units: Mapping[str, Noun] = field(default_factory=dict)

    calendars: tuple[Calendar, ...] = ()
    date_order: str = "dmy"
    date: str = "{day} {month} {year}"
    day_month: str = ""
    month_day: str = ""
    month_link: str = ""
    and_year: str = ""
    day: Callable[[int], str] | None = None
    year: Callable[[int], str] | None = None
    bare_years: bool = False
    time: tuple[str, str, str] = ("{hour}", "{hour} {minute}", "{hour} {minute} {second}")
    time_late: str = ""
    time_sign: str = ":"
    time_marks: Mapping[str, str] = field(default_factory=dict)
    zero_minute: str = ""
    hour: Noun = Noun(("",))
    minute: Noun = Noun(("",))
    second: Noun = Noun(("",))

    phone_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    phone_plus: str = ""
    phone_pause: str = " "

    def knows(self, character: str) -> bool:
        """Whether normalised text of this language may hold the character (a letter, punctuation or a space)."""
        if character == " " or character in self.letters or character in self.also or character in self.punctuation:
            return True
        return any(low <= ord(character) <= high for low, high in self.ranges)

    def count(self, number: int, gender: str = "") -> str:
        """An integer of at most twelve digits in words, agreeing with a noun of the gender."""
        if self.counted and gender:
            return self.counted(number, gender)
        return self.cardinal(number) if self.cardinal else _in_words(number, self.num2words, "cardinal", ())

    @property
    def space(self) -> str:
        return " " if self.spaced else ""


def words(code: str, to: str = "cardinal", **options: Any) -> Callable[[int], str]:
    """A counter by num2words: integer -> lower-case words; options are those of the library for this language (case, gender)."""
    return lambda number: _in_words(number, code, to, tuple(options.items()))


def noun(*forms: str, gender: str = "") -> Noun:
    return Noun(forms, gender)


def nouns(forms: Mapping[str, str], gender: str = "") -> dict[str, Noun]:
    """Written sign -> the forms of a noun, divided by bars, all of one gender."""
    return {written: Noun(tuple(words.split("|")), gender) for written, words in forms.items()}


def months(names: str, short: str = "", **options: Any) -> tuple[Calendar, ...]:
    """The Gregorian calendar: twelve months, and their short forms in the same order ("-" for none), divided by spaces."""
    written = {form: number for number, form in enumerate(short.split(), 1) if form != "-"}
    return (Calendar(tuple(names.split()), written=written, **options),)


def stands_after(before: str, number: str = r"\d", most: int = 4) -> str:
    """A pattern that holds right after a number of at most `most` characters that has one of the words (divided by spaces) before it."""
    behind = (
        rf"(?<=\b[{word[0].upper()}{word[0]}]{re.escape(word[1:])} {number * length})"
        for word in before.split()
        for length in range(1, most + 1)
    )
    return f"(?:{'|'.join(behind)})"


def scale_reader(
    counted: Callable[[int, str], str],
    decimal: Callable[[str, str], str | None],
    plural: Callable[[int | None], int],
    scales: Mapping[str, Noun],
    currency: str,
) -> Callable[[re.Match], str | None]:
    """A reading of 1,5 млн, 2 тыс. руб.: a match of whole digits, decimals or None, the short scale, and a currency (read as `currency`)
    or None."""

    def read(match: re.Match) -> str | None:
        whole, decimals, scale, money = match.groups()
        noun = scales[scale.lower()]
        said = decimal(whole, decimals) if decimals else counted(int(whole), noun.gender)
        form = noun.form(plural(None if decimals else int(whole)))
        return said and " ".join([said, form, *[currency] * bool(money)])

    return read


def decimals_as_number(count: Callable[[int], str], point: str, most: int = 2) -> Callable[[str, str], str | None]:
    """A reader of decimals for `Language.decimal`: up to `most` of them are said as one number after their zeros (3,05 trois virgule
    zéro cinq, 3,14 trois virgule quatorze)."""

    def decimal(whole: str, decimals: str) -> str | None:
        rest = decimals.lstrip("0")
        if len(decimals) > most or not rest:
            return None
        return " ".join([count(int(whole)), point, *[count(0)] * (len(decimals) - len(rest)), count(int(rest))])

    return decimal


def with_endings(count: Callable[[int], str], endings: Mapping[str, Mapping[str, str]]) -> Callable[[int, str], str]:
    """A counter for `Language.counted`: for a gender, pattern of an ending of the number -> the ending it takes before the noun."""
    patterns = {gender: [(re.compile(old), new) for old, new in changes.items()] for gender, changes in endings.items()}

    @lru_cache(maxsize=10_000)
    def counted(number: int, gender: str) -> str:
        said = count(number)
        for pattern, new in patterns.get(gender, ()):
            said = pattern.sub(new, said)
        return said

    return counted


@lru_cache(maxsize=10_000)  # bounded: a corpus of millions of rows has as many numbers
def _in_words(number: int, code: str | None, to: str, options: tuple[tuple[str, Any], ...]) -> str:
    return num2words(number, lang=code, to=to, **dict(options)).replace(",", "").lower()


def roman_value(numeral: str) -> int:
    """XIV -> 14; 0 for what is no Roman numeral in its usual form."""
    if not numeral or not _ROMAN.fullmatch(numeral):
        return 0
    values = [_ROMAN_DIGITS[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
