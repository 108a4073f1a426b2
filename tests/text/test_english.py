"""English as a reader says it: what the record and the rules common to all languages make of it."""

import pytest

from myxtts.text.languages.record import roman_value
from myxtts.text.normalize import normalize, normalize_with_report, unknown_characters

DATES = [
    ("11/25/2026", "november twenty-fifth, twenty twenty-six"),
    ("25/11/2026", "november twenty-fifth, twenty twenty-six"),  # no month has that number
    ("3/4/2026", "march fourth, twenty twenty-six"),  # month first
    ("3.4.2026", "april third, twenty twenty-six"),  # with full stops the day is first
    ("2026-11-25", "november twenty-fifth, twenty twenty-six"),
    ("2026/3/4", "march fourth, twenty twenty-six"),
    ("11/25/26", "november twenty-fifth, twenty-six"),
    ("On 25 November 2026.", "on the twenty-fifth of november twenty twenty-six."),
    ("November 25, 2026", "november twenty-fifth, twenty twenty-six"),
    ("Nov. 25", "november twenty-fifth"),
    ("Nov 25th", "november twenty-fifth"),
    ("the 25th of November", "the twenty-fifth of november"),
    ("4 July", "the fourth of july"),
    ("5 May 1945", "the fifth of may nineteen forty-five"),
    ("5 may go", "five may go"),
    ("13/13/2026", "thirteen thirteen twenty twenty-six"),
    ("11/25", "eleven twenty-five"),
    ("in 1905", "in nineteen oh-five"),
    ("in 2005", "in two thousand and five"),
    ("the '90s and 1880s", "the nineties and eighteen eighties"),
]
TIMES = [
    ("9:05 pm", "nine oh five p m"),
    ("9 PM", "nine p m"),
    ("9:00 a.m.", "nine a m"),
    ("14:00", "fourteen hundred"),
    ("7:00", "seven o'clock"),
    ("10:30:15", "ten thirty and fifteen seconds"),
    ("10:30-12:00", "ten thirty to twelve o'clock"),
    ("at 10:30: go", "at ten thirty: go"),
    ("24:75", "twenty-four seventy-five"),
]
TELEPHONES = [
    ("(555) 123-4567", "five five five one two three four five six seven"),
    ("+1 (555) 123-4567", "plus one five five five one two three four five six seven"),
    ("555-123-4567", "five five five one two three four five six seven"),
    ("0800 123456", "zero eight zero zero one two three four five six"),
    ("(2020) 5 men", "twenty twenty, five men"),
]
QUANTITIES = [
    ("1 km", "one kilometer"),
    ("1.0 km", "one point zero kilometers"),
    ("2 km", "two kilometers"),
    ("0.5 km", "zero point five kilometers"),
    (".5 km", "zero point five kilometers"),
    ("120 km/h", "one hundred and twenty kilometers per hour"),
    ("20°C", "twenty degrees celsius"),
    ("-1 °C", "minus one degree celsius"),
    ("16GB", "sixteen gigabytes"),
    ("5 m²", "five square meters"),
    ("5 m2", "five square meters"),
    ("6 ft.", "six feet."),
    ("Ft. Worth", "fort worth"),
    ("km", "km"),
    ("$5", "five dollars"),
    ("$1", "one dollar"),
    ("$5.50", "five dollars and fifty cents"),
    ("$0.01", "one cent"),
    ("$5 million", "five million dollars"),
    ("$5m", "five million dollars"),
    ("$2.5bn", "two point five billion dollars"),
    ("5 USD", "five us dollars"),
    ("US$5", "five us dollars"),
    ("5%-10%", "five percent to ten percent"),
    ("5-10%", "five to ten percent"),
    ("-5%", "minus five percent"),
]
NUMBERS = [
    ("1/2 and 3/4", "one half and three quarters"),
    ("½", "one half"),
    ("2 1/2", "two and one half"),
    ("24/7", "twenty-four seven"),
    ("10-12", "ten to twelve"),
    ("10 – 12", "ten to twelve"),
    ("2-1", "two one"),
    ("1990-95", "nineteen ninety to ninety-five"),
    ("100-1000", "one hundred to one thousand"),
    ("1-2-3", "one two three"),
    ("version 3.11", "version three point eleven"),
    ("1.2.3", "one dot two dot three"),
    ("192.168.0.1", "one hundred and ninety-two dot one hundred and sixty-eight dot zero dot one"),
    ("1.234,56", "one thousand two hundred and thirty-four point five six"),
    ("3,14", "three point one four"),
    ("code 1234", "code one two three four"),
    ("#5", "number five"),
    ("5-3=2", "five three equals two"),
    ("2×3", "two times three"),
    ("+5", "plus five"),
    ("x²", "x two"),
    ("⑳", "twenty"),
    ("Ⅻ", "xii"),
    ("𝟗", "nine"),
]
ROMAN = [
    ("Louis XIV", "louis the fourteenth"),
    ("World War II", "world war two"),
    ("Chapter IV", "chapter four"),
    ("I am", "i am"),
    ("MIX", "mix"),
    ("chapter mix", "chapter mix"),
    ("Part IIII", "part iiii"),
]
ADDRESSES = [
    ("john.smith@example.com", "john dot smith at example dot com"),
    ("https://www.example.com/a_b?c=1", "www dot example dot com slash a underscore b question mark c equals one"),
    ("example.com.", "example dot com."),
    ("told.me", "told. me"),
    ("#MyTag", "hashtag mytag"),
    ("@me", "at me"),
]
SIGNS = [
    ("dr.5", "doctor five"),
    ("Dr. Smith met Mr. Jones.", "doctor smith met mister jones."),
    ("a_b*c", "a b c"),
    ("x.yes", "x. yes"),
    ("Hi.there", "hi. there"),
    ("𝐇𝐞𝐥𝐥𝐨", "hello"),
]
TABLES = [*DATES, *TIMES, *TELEPHONES, *QUANTITIES, *NUMBERS, *ROMAN, *ADDRESSES, *SIGNS]


@pytest.mark.parametrize(("text", "expected"), TABLES)
def test_reading(text, expected):
    result = normalize(text, "en")
    assert result == expected and normalize(result, "en") == result
    assert not unknown_characters(result, "en")


def test_roman_numerals():
    assert [roman_value(numeral) for numeral in ("I", "IV", "IX", "XIV", "XL", "MCMXCIV")] == [1, 4, 9, 14, 40, 1994]
    assert [roman_value(numeral) for numeral in ("", "IIII", "VX", "IC")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("Yes, we can. café", {}),
        ('"Yes"', {'"': 2}),
        ("'yes' o'clock", {"'": 2}),
        ("(a) [b]", {"(": 1, ")": 1, "[": 1, "]": 1}),
        ("a*b_c", {"*": 1, "_": 1}),
        ("e\u0301 x\u0301", {"\u0301": 1}),
        ("a\x00b\u200b\ufe0f", {"\x00": 1, "\u200b": 1, "\ufe0f": 1}),
        ("... so", {".": 3}),
        ("5-3 well-known -x-", {"-": 2}),
        ("¿que?", {"¿": 1}),
        ("$5 & 10%, 1,234.5", {}),
        ("a\u00a0b\tc\n", {}),
        ("∮", {}),  # is left in place, and unknown
        ("I ❤️ it", {"❤": 1, "\ufe0f": 1}),
    ],
)
def test_what_is_removed_is_told(text, removed):
    result, report = normalize_with_report(text, "en")
    assert dict(report) == removed and result == normalize(text, "en")


def test_the_report_of_the_reference_cleaners():
    assert normalize_with_report('"Hi" — 5€', "en", "coqui") == ("hi — five euro", {'"': 2})
