"""What must hold for any text at all, in every language: no crash, one reading, no digit left, nothing lost in silence.

The quick tests draw some dozens of texts a language; the slow one 100,000 (`make test-slow`).
"""

import os
import time
import unicodedata
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myxtts.text.languages import LANGUAGES, Language
from myxtts.text.normalize import normalize, normalize_with_report, split_sentences, unknown_characters

EXAMPLES = int(os.environ.get("MYXTTS_EXAMPLES", "100000"))
FRAGMENTS = (
    *("2026-11-25", "25.11.2026", "11/25/2026", "3/4", "2 1/2", "24/7", "10:30", "9:05 pm", "10:30:15", "14h30"),
    *("10-12", "2-1", "1990-95", "+98 912 345 6789", "(555) 123-4567", "021-88776655", "0912 345 6789", "555-1234"),
    *("06.12.34.56.78", "6037-9912-3456-7890", "$5.50", "5,50 €", "£1", "5 %", "%5", "-5 °C", "12 km/h", "5m²"),
    *("3.5 kg", "1,234,567.89", "1.234.567,89", "1 234", "007", "3.11", "1.2.3", "21st", "1er", "3º", "2ª", "5."),
    *("۲۱ام", "۳مین", "IV", "XIV", "Ⅻ", "½", "3½", "①", "㎞", "x²", "#1", "#tag", "@me", "a@b.com"),
    *("http://a.b/c_d?e=1", "...", "…", "?!", "«", "»", "\"", "'", "’", "(", ")", "[", "—", "–", "-", "--", "_"),
    *("*", "/", "\\", "|", ",", "،", ";", "؛", ":", "¿", "¡", "\u200c", "\u200d", "\u200f", "\u00ad", "¬"),
    *("\ufeff", "\u2060", "ـ", "\u064b", "\u0654", "\u0670", "\u0301", "\ufe0f", "\u0000", "\ud800", "\ue000"),
    *("۱۴۰۴/۰۹/۰۴", "٣٫٥", "۱۲٬۵۰۰", "می ", "نمی ", " ها", " تر", "ه ای", "ه\u0654", "ة", "ﷲ", "﷼", "ﻻ", "İ", "I"),
    *("ß", "ẞ", "ﬁ", "Å", "が", "か\u3099", "क\u093c", "각", "❤\ufe0f", "👩\u200d👩\u200d👧", "🇮🇷", "→", "≤", "∞", "𝐇"),
    *("𝟗", "中", "é", "e\u0301", "ж", " ", "\u000a", "\u0009", "\u00a0", "\u2028", "am", "pm", "km", "v"),
    *("version "),
)  # fmt: skip


@cache
def texts(language: Language) -> st.SearchStrategy[str]:
    """Any characters; the language's letters, digits and signs; and fragments that a rule looks for, glued at random."""
    ranges = "".join(chr(code) for low, high in language.ranges for code in range(low, min(high + 1, low + 60)))
    letters = st.text(language.letters + language.letters.upper() + language.also + ranges + "  " + language.punctuation, max_size=8)
    numbers = st.text("0123456789۱۲٫٬½²٣.,:-–/ %$€+()°'\"", max_size=10)
    calendars = [month for calendar in language.calendars for month in (*calendar.months, *calendar.written)]
    own = [*language.units, *language.currencies, *language.abbreviations, *language.abbreviations_bare, *language.scales, *calendars]
    own += [*language.time_marks, *language.roman, *language.digits_after, *language.score_after, *language.ordinal_after]
    fragments = st.sampled_from([*FRAGMENTS, *own])
    return st.lists(st.one_of(fragments, fragments, numbers, letters, st.text(max_size=6)), max_size=7).map("".join)


def check(text: str, code: str) -> None:
    language = LANGUAGES[code]
    result = normalize(text, code)
    assert normalize(result, code) == result
    assert "  " not in result and result == result.strip() and result == unicodedata.normalize("NFC", result)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co", "Nd") for character in result)
    unknown = unknown_characters(result, code)
    assert all(language.knows(character) for character in set(result) - unknown)
    reported, removed = normalize_with_report(text, code)
    assert reported == result and all(number > 0 for number in removed.values())
    for sentence in split_sentences(text, code):
        assert 0 < len(sentence) <= language.char_limit


@pytest.mark.parametrize("code", LANGUAGES)
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_any_text(code, data):
    check(data.draw(texts(LANGUAGES[code])), code)


MUTE = '"«»“”„()[]{}*_|~^<>\\\x00\x1b\u200e\u200f\u202b\u2066\ufeff\ufe0f\u0640•©'  # no language speaks these


@pytest.mark.parametrize("code", LANGUAGES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_removed_character_is_reported(code, data):
    language = LANGUAGES[code]
    words = (language.letters or "".join(chr(c) for c in range(language.ranges[0][0] + 5, language.ranges[0][0] + 40)))[:20]
    text = data.draw(st.text(words + MUTE + " ,.", max_size=30))
    result, removed = normalize_with_report(text, code)
    # in Persian, a byte order mark beside a letter stands for a half-space, tatweel between spaces for a dash
    mute = [character for character in MUTE if not (language.joiner and character in "\ufeff\u0640") and character not in language.symbols]
    assert {c: text.count(c) for c in mute if c in text} == {c: removed[c] for c in mute if removed[c]}
    assert not set(result) & set(mute)


@pytest.mark.slow
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_hundred_thousand_texts(code):
    """MYXTTS_EXAMPLES sets another number."""

    @settings(deadline=None, max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(text=texts(LANGUAGES[code]))
    def run(text):
        check(text, code)

    run()


@pytest.mark.parametrize("code", ["en", "fa", "de"])
@pytest.mark.parametrize(
    "unit",
    ["1", "1-", "1 ", "1.", "1,", "a.", "a-b.", "(12)", "- ", "'", "1/2 ", "123,", "123.", "1h", "12:30-", "100 ", "می ", "خانه ای ", "5%"],
)
def test_long_texts_take_no_time(code, unit):
    """Nothing is tried again at every digit: 20,000 characters took minutes where it was."""
    start = time.process_time()
    normalize(unit * (20_000 // len(unit)), code)
    assert time.process_time() - start < 20
