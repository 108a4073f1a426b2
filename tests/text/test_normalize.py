"""Text as spoken: one table of examples for each language, and what must hold for any text at all."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.config import DataError
from myxtts.text.languages import LANGUAGES, get_language
from myxtts.text.normalize import normalize, normalize_with_report, split_sentences, unknown_characters
from myxtts.text.numbers import say_integer

ENGLISH = [
    ("  Hello\n\tWORLD  ", "hello world"),
    ("He paid $5.50, then $1 and £2.01.", "he paid five dollars and fifty cents, then one dollar and two pounds and one penny."),
    ("3 € left", "three euros left"),
    ("$5 million", "five million dollars"),
    ("1,234,567 people", "one million two hundred and thirty-four thousand five hundred and sixty-seven people"),
    ("3.14 and 3½", "three point one four and three point five"),
    ("the 21st of May 1994, the 1990s", "the twenty-first of may nineteen ninety-four, the nineteen nineties"),
    ("at 10:30, 9:05 and 7:00", "at ten thirty, nine oh five and seven o'clock"),
    ("5% off", "five percent off"),
    ("-5 degrees, well-known", "minus five degrees, well-known"),
    ("pages 10-12; call 555-1234", "pages ten to twelve; call five five five one two three four"),
    ("agent 007", "agent zero zero seven"),
    ("mp3 B2B", "mp three b two b"),
    ("Dr. Smith & Mrs. Jones, e.g. at home etc.", "doctor smith and missus jones, for example at home et cetera."),
    ("“It’s”—he said…", "it's, he said..."),
    ("Really?! Yes!!! (Or not.)", "really? yes! or not."),
    ("Wait , what ?Yes", "wait, what? yes"),
    ("café Łódź", "cafe lodz"),
    ("ﬁne ＡＢＣ １２", "fine abc twelve"),
    ("dogs' 'quoted' o'clock", "dogs quoted o'clock"),
    ("soft\u00adhyphen \ufeffbom \u200ejoined\u200cup", "softhyphen bom joinedup"),
    ("99999999999999", "nine " * 13 + "nine"),
    ("", ""),
    ("...", ""),
]
PERSIAN = [
    ("كتاب علي", "کتاب علی"),
    ("۱۲۵۰۰ تومان، ٢٣ روز", "دوازده هزار و پانصد تومان، بیست و سه روز"),
    ("۳٫۵ متر و ۱٬۲۵۰ نفر", "سه و نیم متر و هزار و دویست و پنجاه نفر"),
    ("۵٪ یا ٪۵ یا 5 درصد", "پنج درصد یا پنج درصد یا پنج درصد"),
    ("$5 و ۱۰ €", "پنج دلار و ده یورو"),
    ("ساعت ۱۰:۳۰", "ساعت ده و سی دقیقه"),
    ("روز ۲۱ام", "روز بیست و یکم"),
    ("کِتابٌ مُهِمّ", "کتاب مهم"),
    ("می‌روم", "می‌روم"),
    ("می روم و نمی دانم", "می‌روم و نمی‌دانم"),
    ("می‌‌رود ‌و‌ رفت", "می‌رود و رفت"),
    ("خانه ها و کتاب های من", "خانه‌ها و کتاب‌های من"),
    ("خانهٔ ما، خانه ی شما", "خانه‌ی ما، خانه‌ی شما"),
    ("«سلام», خوبی? بله; ...", "سلام، خوبی؟ بله."),
    ("ســـلام", "سلام"),
    ("۲۰۰۰تومان", "دو هزار تومان"),
    ("ﺳﻼم", "سلام"),
]
OTHERS = [
    ("de", "Um 10:30 Uhr 1.234,50 €", "um zehn uhr dreißig eintausendzweihundertvierunddreißig euro und fünfzig cent"),
    ("de", "d.h. 3,5 % mehr", "das heißt drei komma fünf prozent mehr"),
    ("es", "¿Cuántos? 3 años.", "¿cuántos? tres años."),
    ("fr", "L’été, le 1er mai : 3,5 €", "l'été, le premier mai: trois virgule cinq euros"),
    ("it", "Perché 21?", "perché ventuno?"),
    ("pt", "São 2 maçãs", "são duas maçãs"),
    ("pl", "Żółw ma 5 lat", "żółw ma pięć lat"),
    ("tr", "IŞIK İyi %5", "ışık iyi yüzde beş"),
    ("ru", "Ещё 25 дней, т.е. скоро", "ещё двадцать пять дней, то есть скоро"),
    ("nl", "Dat is 21 jaar", "dat is eenentwintig jaar"),
    ("cs", "Žluťoučký kůň 5", "žluťoučký kůň pět"),
    ("hu", "Őrült 5 űr", "őrült öt űr"),
    ("ar", "كِتابٌ جديد, هل؟ 25", "كتاب جديد، هل؟ خمسة وعشرون"),
    ("zh", "我有2005个苹果,价格3.5元。50%!", "我有两千零五个苹果，价格三点五元。百分之五十！"),
    ("ja", "彼は2,000円払った。", "彼は二千円払った。"),
    ("ko", "그는 25 살이다.", "그는 스물다섯 살이다."),
    ("hi", "मेरे पास 1,234 रुपये हैं।", "मेरे पास एक हज़ार दो सौ चौंतीस रुपये हैं।"),
]


@pytest.mark.parametrize(
    ("language", "text", "expected"), [("en", *pair) for pair in ENGLISH] + [("fa", *pair) for pair in PERSIAN] + OTHERS
)
def test_examples(language, text, expected):
    import unicodedata

    result = normalize(text, language)
    assert result == unicodedata.normalize("NFC", expected)
    assert not unknown_characters(result, language)


@pytest.mark.parametrize("code", LANGUAGES)
@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=40))
def test_any_text(code, text):
    result = normalize(text, code)
    assert normalize(result, code) == result
    assert "  " not in result and result == result.strip() and not re.search(r"[0-9\n|]", result)
    assert isinstance(unknown_characters(result, code), set)
    split_sentences(text, code)


@pytest.mark.parametrize("code", LANGUAGES)
@settings(deadline=None, max_examples=60)
@given(text=st.text("0123456789۱۲٫٬½².,:;%$€-+/ ()…—\"'", max_size=25))
def test_any_number_is_spelled_out(code, text):
    result = normalize(text, code)
    assert not unknown_characters(result, code) and not any(c.isdigit() for c in result)
    assert normalize(result, code) == result


def test_lone_surrogates_and_controls_do_not_crash():
    assert normalize("a\ud800\x00\x1bb", "en") == "a b"


@pytest.mark.parametrize("code", LANGUAGES)
def test_numbers_up_to_twelve_digits(code):
    language, seen = get_language(code), {}
    for number in [*range(121), 200, 999, 1000, 1001, 10_000, 10**5, 10**6 + 1, 10**9, 10**12 - 1]:
        words = say_integer(str(number), language)
        assert words not in seen, f"{number} and {seen[words]} are both {words!r}"
        seen[words] = number


def test_counting_where_num2words_cannot():
    chinese, hindi = get_language("zh"), get_language("hi")
    for number, words in ((10, "十"), (110, "一百一十"), (1005, "一千零五"), (10_010, "一万零一十"), (250_000_000, "两亿五千万")):
        assert say_integer(str(number), chinese) == words
    assert say_integer("150000", hindi) == "एक लाख पचास हज़ार"


def test_unknown_characters_are_left_and_named():
    text = normalize("I 中文 and ж ∮", "en")
    assert unknown_characters(text, "en") == {"中", "文", "ж", "∮"}
    assert unknown_characters(normalize("سلام привет", "fa"), "fa") == set("привет")


@pytest.mark.parametrize(
    ("text", "code", "expected", "taken"),
    [
        ("Well done 👍🏽!", "en", "well done!", "👍🏽"),
        ("😀 Hello 👩\u200d👩\u200d👧 there→", "en", "hello there", "😀👩👩👧→\u200d\u200d"),
        ("سلام 🌹 دوست من 🇮🇷", "fa", "سلام دوست من", "🌹🇮🇷"),
        ("你好😀世界", "zh-cn", "你好世界", "😀"),
        ("Tap 1️⃣ now", "en", "tap one now", "\ufe0f\u20e3"),
        ("Wow‼️ Yes ⁉", "en", "wow! yes?", "\ufe0f"),
        ("سلام‼️", "fa", "سلام!", "\ufe0f"),
    ],
)
def test_emoji_are_taken_out_and_told(text, code, expected, taken):
    spoken, removed = normalize_with_report(text, code)
    assert spoken == expected and removed == Counter(taken)


def test_language_codes():
    assert get_language("zh").code == "zh-cn" and get_language("EN_us").code == "en" and get_language("zh-tw").code == "zh-cn"
    assert len(LANGUAGES) == 18 and all(key == record.code for key, record in LANGUAGES.items())
    for bad in ("xx", "", None):
        with pytest.raises(DataError, match="expected one of en, es"):
            get_language(bad)


def test_sentences():
    text = 'Dr. Smith came. He said "No!" J. Smith left at 3.5 p.m. sharp. I did. So did I. Ok... Yes?\nNew line'
    assert split_sentences(text, "en") == [
        "Dr. Smith came.",
        'He said "No!"',
        "J. Smith left at 3.5 p.m.",
        "sharp.",
        "I did.",
        "So did I.",
        "Ok...",
        "Yes?",
        "New line",
    ]
    assert split_sentences("سلام. خوبی؟ من خوبم!", "fa") == ["سلام.", "خوبی؟", "من خوبم!"]
    assert split_sentences("你好。我很好！真的吗？是", "zh") == ["你好。", "我很好！", "真的吗？", "是"]
    assert split_sentences("Yes. !!", "en") == ["Yes. !!"]
    assert split_sentences("  \n ", "en") == []


@settings(deadline=None, max_examples=60)
@given(st.text("ab ,.!؟。\n", max_size=900), st.sampled_from(["en", "fa", "zh", "ja"]))
def test_sentences_lose_nothing_and_fit(text, code):
    sentences = split_sentences(text, code)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(0 < len(sentence) <= get_language(code).char_limit for sentence in sentences)


def test_long_sentences_are_cut_at_clauses():
    text = "one two three four five six seven eight nine ten, " * 6
    pieces = split_sentences(text, "en")
    assert len(pieces) == 2 and pieces[0].endswith("ten,") and len(pieces[0]) > 200
