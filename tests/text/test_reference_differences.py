"""Where our reading is not that of the reference's cleaners, and why; and that it is theirs where they are right.

The reference's reading is made by `cleaners="coqui"`, which tests/text/test_coqui_cleaners.py holds to recorded output of the reference.
"""

import pytest

from myxtts.text.coqui_tables import COQUI_LANGUAGES
from myxtts.text.normalize import normalize

# language, text, the reference's reading, ours, why ours is right
DIFFERENCES = [
    ("en", "Mrs. Jones", "misess jones", "missus jones", "a misspelling in its table"),
    ("en", "in 1984", "in one thousand, nine hundred and eighty-four", "in nineteen eighty-four", "a year is read in halves"),
    (
        "en",
        "12345",
        "twelve thousand, three hundred and forty-five",
        "twelve thousand three hundred and forty-five",
        "no pause in a number",
    ),
    ("en", "£0.99", "zero pounds sterling, ninety-nine pence", "ninety-nine pence", "nobody says zero pounds"),
    ("en", "37°C", "thirty-seven degree c", "thirty-seven degrees celsius", "units are words, and plural"),
    ("en", "5 km", "five km", "five kilometers", "units are words"),
    ("en", "agent 007", "agent seven", "agent zero zero seven", "leading zeros are said"),
    ("en", "-5", "-five", "minus five", "the sign is said"),
    ("en", "at 10:30", "at ten:thirty", "at ten thirty", "a time is no punctuation"),
    ("en", "1/2", "one/two", "one half", "a fraction"),
    ("en", "1990-2000", "one thousand, nine hundred and ninety-two thousand", "nineteen ninety to two thousand", "a range, not one number"),
    (
        "en",
        "555-1234",
        "five hundred and fifty-five-one thousand, two hundred and thirty-four",
        "five five five one two three four",
        "a telephone",
    ),
    ("en", "MP3", "mpthree", "mp three", "words apart"),
    ("en", "“yes”", "“yes”", "yes", "a quotation mark has no sound"),
    ("en", "#tag", "hash tag", "hashtag tag", "as people say it"),
    ("en", "a * b", "a * b", "a b", "a sign without a word is no letter to learn"),
    ("de", "$5", "fünf Dollar", "fünf dollar", "one case for all words"),
    ("de", "agent 007", "agent sieben", "agent null null sieben", "leading zeros are said"),
    ("ru", "£5", "фунт пять", "пять фунтов", "the amount comes first"),
    ("ru", "-5", "-пять", "минус пять", "the sign is said"),
    ("ru", "B2B", "bдваb", "b два b", "words apart"),
    ("fr", "10:30", "dix:trente", "dix heures trente", "a time"),
    ("es", "-5", "-cinco", "menos cinco", "the sign is said"),
    ("it", "007", "sette", "zero zero sette", "leading zeros are said"),
    ("tr", "2,5", "iki,beş", "iki virgül beş", "a decimal number"),
    ("ar", "كِتاب", "كِتاب", "كتاب", "vowel signs are optional in writing: one spelling for one word"),
]

# abbreviations that we read otherwise on purpose: a misspelling; German Co. is said as it is written;
# Italian titles lose their last vowel before a name
BETTER = {("en", "mrs"), ("de", "co"), ("it", "sig"), ("it", "dr")}
SPELLED = [code for code in COQUI_LANGUAGES if code not in ("ja", "ko", "zh-cn")]  # the reference writes those in Latin letters


@pytest.mark.parametrize(("code", "text", "reference", "ours", "why"), DIFFERENCES)
def test_difference(code, text, reference, ours, why):
    assert normalize(text, code, "coqui") == reference and why
    assert normalize(text, code) == ours != reference


@pytest.mark.parametrize("code", SPELLED)
def test_its_abbreviations_are_read_as_it_reads_them(code):
    texts = {name: f"a {name}. b" for name in COQUI_LANGUAGES[code].abbreviations}
    different = {
        (code, name) for name, text in texts.items() if normalize(text, code) != normalize(text, code, "coqui").replace(". b", " b")
    }
    assert different == {pair for pair in BETTER if pair[0] == code}


@pytest.mark.parametrize("code", SPELLED)
def test_every_sign_it_reads_has_a_word(code):
    assert not [sign for sign in COQUI_LANGUAGES[code].signs if not normalize(f"5 {sign}", code).replace(normalize("5", code), "").strip()]
