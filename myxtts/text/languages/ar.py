"""Arabic, as newsreaders say it but for the case endings, which are not written."""

import re
from functools import lru_cache

from myxtts.text.languages.record import LATIN, Calendar, Language, Noun, arabic, decimals_as_number, noun, stands_after

# before masculine nouns; before feminine ones three to ten lose their ending
_UNITS = ("صفر", "واحد", "اثنان", "ثلاثة", "أربعة", "خمسة", "ستة", "سبعة", "ثمانية", "تسعة", "عشرة")
_FEMININE = ("صفر", "واحدة", "اثنتان", "ثلاث", "أربع", "خمس", "ست", "سبع", "ثماني", "تسع", "عشر")
_TENS = ("", "", "عشرون", "ثلاثون", "أربعون", "خمسون", "ستون", "سبعون", "ثمانون", "تسعون")
_HUNDREDS = ("", "مائة", "مائتان", "ثلاثمائة", "أربعمائة", "خمسمائة", "ستمائة", "سبعمائة", "ثمانمائة", "تسعمائة")
_SCALES = (
    (10**9, ("مليار", "ملياران", "مليارات", "مليارا")),
    (10**6, ("مليون", "مليونان", "ملايين", "مليونا")),
    (1000, ("ألف", "ألفان", "آلاف", "ألفا")),
)
_ORDINALS = ("", "الأول", "الثاني", "الثالث", "الرابع", "الخامس", "السادس", "السابع", "الثامن", "التاسع", "العاشر")
_HOURS = ("صفر", "الواحدة", "الثانية", "الثالثة", "الرابعة", "الخامسة", "السادسة", "السابعة", "الثامنة", "التاسعة", "العاشرة")


@lru_cache(maxsize=10_000)
def count(number: int, feminine: bool = False) -> str:
    """num2words has no gender, and construct forms (مئتا) where nothing follows."""
    for scale, (one, two, few, many) in _SCALES:
        if number >= scale:
            times, rest = divmod(number, scale)
            last = times % 100
            after = few if 3 <= last <= 10 else many if last > 10 else one
            form = one if times == 1 else two if times == 2 else f"{count(times)} {after}"
            return f"{form} و{count(rest, feminine)}" if rest else form
    hundreds, rest = divmod(number, 100)
    parts = [_HUNDREDS[hundreds]] if hundreds else []
    if rest or not hundreds:
        parts.append(_below_hundred(rest, feminine))
    return " و".join(parts)


def _below_hundred(number: int, feminine: bool) -> str:
    units = _FEMININE if feminine else _UNITS
    if number <= 10:
        return units[number]
    tens, unit = divmod(number, 10)
    if tens == 1:
        first = {1: "إحدى" if feminine else "أحد", 2: "اثنتا" if feminine else "اثنا"}.get(unit, units[unit])
        return f"{first} {'عشرة' if feminine else 'عشر'}"
    unit_word = ("إحدى" if feminine else "واحد") if unit == 1 else units[unit]
    return f"{unit_word} و{_TENS[tens]}" if unit else _TENS[tens]


def counted(number: int, gender: str) -> str:
    """Before a noun, which says itself that it is one or two; `hour`: the feminine ordinal of a time of day."""
    if gender == "hour":
        return _hour(number)
    return "" if number in (1, 2) else count(number, gender == "f")


def _hour(number: int) -> str:
    if number <= 10:
        return _HOURS[number]
    tens, unit = divmod(number, 10)
    first = "الحادية" if unit == 1 else _HOURS[unit]
    if tens == 1:
        return f"{first} عشرة"
    return f"{first} وال{_TENS[tens]}" if unit else f"ال{_TENS[tens]}"


def oblique(said: str) -> str:
    """After a preposition or another noun: عشرين, ألفين."""
    return re.sub(r"(?<=\w\w)(?:ون|ان)\b", "ين", said)


def day(number: int) -> str:
    """الخامس والعشرين: in a date it follows يوم or في."""
    if number <= 10:
        return _ORDINALS[number]
    tens, unit = divmod(number, 10)
    first = "الحادي" if unit == 1 else _ORDINALS[unit]
    if tens == 1:
        return f"{first} عشر"
    return oblique(f"{first} وال{_TENS[tens]}" if unit else f"ال{_TENS[tens]}")


def year(number: int) -> str:
    return oblique(count(number))


def join_and(text: str) -> str:
    """و is written together with the next word; a full stop before it, of which no word came closely, has its space then."""
    return re.sub(r"(\.?)(?<!\w)و (?=[^\W\d_a-z])", lambda match: f"{'. ' * bool(match[1])}و", text) if "و " in text else text


def _nouns(forms: dict[str, str], gender: str) -> dict[str, Noun]:
    """Sign -> singular, dual, plural: with "one", and as the words stand after 11 and after 100."""
    one = "واحدة" if gender == "f" else "واحد"
    result = {}
    for sign, written in forms.items():
        single, two, few = written.split("|")
        many = single if single[-1] in "ةاوى" else f"{single}ا"
        result[sign] = noun(f"{single} {one}", two, few, many, single, gender=gender)
    return result


_FEMININE_PLURALS = (
    "سنوات|ساعات|مرات|دقائق|ثوان|ليال|لغات|سيارات|طائرات|كلمات|صفحات|درجات|فتيات|بنات|نساء|مدن|دول|جامعات|شركات|مباريات|نقاط|غرف"
)
_NO_YEARS = (0, -1)
_MONTHS = ("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر")
_LEVANTINE = (
    "كانون الثاني",
    "شباط",
    "آذار",
    "نيسان",
    "أيار",
    "حزيران",
    "تموز",
    "آب",
    "أيلول",
    "تشرين الأول",
    "تشرين الثاني",
    "كانون الأول",
)
_DOLLAR, _CENT, _EURO = "دولار|دولاران|دولارات", "سنت|سنتان|سنتات", "يورو|يورو|يورو"
_MINUTE, _SECOND, _HOUR = "دقيقة|دقيقتان|دقائق", "ثانية|ثانيتان|ثوان", "ساعة|ساعتان|ساعات"

ARABIC = Language(
    code="ar",
    name="Arabic",
    char_limit=166,
    letters="ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچگڤ",
    also=LATIN,
    punctuation=".،؛:!؟'-",
    sentence_end=".!؟",
    letter_forms={"ی": "ي", "ک": "ك", "ٱ": "ا", "ہ": "ه", "ھ": "ه"},
    dropped="[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]",
    joining=join_and,
    abbreviations={
        "أ.د": "أستاذ دكتور",
        "د": "دكتور",
        "أ": "أستاذ",
        "م": "مهندس",
        "ص": "صفحة",
        "ج": "جزء",
        "ق.م": "قبل الميلاد",
        "ش": "شارع",
    },
    abbreviations_bare={"إلخ": "إلى آخره", "كم/س": "كيلومتر في الساعة"},
    cardinal=count,
    counted=counted,
    decimal=decimals_as_number(count, "فاصلة"),
    point="فاصلة",
    decimal_comma=False,
    scales={"مليون": "مليون", "ملايين": "ملايين", "مليار": "مليار", "مليارات": "مليارات", "ألف": "ألف", "آلاف": "آلاف"},
    fractions={2: Noun(("نصف", "نصفان", "أنصاف"), "m"), 3: Noun(("ثلث", "ثلثان", "أثلاث"), "m"), 4: Noun(("ربع", "ربعان", "أرباع"), "m")}
    | {5: Noun(("خمس", "خمسان", "أخماس"), "m"), 6: Noun(("سدس", "سدسان", "أسداس"), "m"), 8: Noun(("ثمن", "ثمنان", "أثمان"), "m")}
    | {10: Noun(("عشر", "عشران", "أعشار"), "m")},
    readings={
        r"(?<=\d) ?هـ(?!\w)": lambda match: " هجرية",
        r"(?<=\b1[5-9]\d\d|\b20\d\d) ?م(?!\w)": lambda match: " ميلادية",
        r"(?<![\w.,:/+-])(\d{1,2})" + stands_after("القرن", most=2) + r"(?!\w|[.,]\d)": lambda match: day(int(match[1])),
        rf"(?:(?<![\w.,:/+-])|(?<=\bو))(\d{{1,3}})(?= (?:[^\W\d_]{{2,}}ة|{_FEMININE_PLURALS})(?!\w))": lambda match: count(
            int(match[1]), True
        ),
        r"(?<![\w.,:/+-])([12]\d{3})" + stands_after("عام سنة العام لعام وعام بعام عامي") + r"(?!\w|[.,:/]\d)": lambda match: year(
            int(match[1])
        ),
    },
    digits_after=("الرمز", "رمز", "الكود"),
    version_after=("الإصدار", "إصدار"),
    plural=arabic,
    range_word="إلى",
    symbols={
        "&": "و",
        "%": "بالمائة",
        "@": "آت",
        "+": "زائد",
        "=": "يساوي",
        "minus": "ناقص",
        "°": "درجة",
        "#": "رقم",
        "hashtag": "وسم",
        "×": "في",
        "÷": "على",
    },
    percent=noun("بالمائة"),
    address={".": "نقطة", "@": "آت", "/": "شرطة مائلة", "-": "شرطة", "_": "شرطة سفلية", ":": "نقطتان", "?": "علامة استفهام"}
    | {"=": "يساوي", "&": "و", "#": "شباك", "%": "بالمائة", "+": "زائد", "~": "مدة"},
    currencies=_nouns(dict.fromkeys(("$", "usd", "us$"), _DOLLAR) | dict.fromkeys(("€", "eur"), _EURO), "m")
    | _nouns(dict.fromkeys(("£", "gbp"), "جنيه|جنيهان|جنيهات") | {"﷼": "ريال|ريالان|ريالات", "sar": "ريال|ريالان|ريالات"}, "m")
    | _nouns({"aed": "درهم|درهمان|دراهم", "egp": "جنيه|جنيهان|جنيهات", "¥": "ين|ينان|ينات", "₽": "روبل|روبلان|روبلات"}, "m")
    | _nouns({"₹": "روبية|روبيتان|روبيات", "₺": "ليرة|ليرتان|ليرات"}, "f"),
    subunits=_nouns(dict.fromkeys(("$", "usd", "us$", "€", "eur"), _CENT) | dict.fromkeys(("£", "gbp"), "بنس|بنسان|بنسات"), "m"),
    amount_joint=" و",
    units=_nouns(
        {"مم": "مليمتر|مليمتران|مليمترات", "سم": "سنتيمتر|سنتيمتران|سنتيمترات", "م": "متر|متران|أمتار", "كم": "كيلومتر|كيلومتران|كيلومترات"}
        | {"كغ": "كيلوغرام|كيلوغرامان|كيلوغرامات", "كجم": "كيلوغرام|كيلوغرامان|كيلوغرامات", "غ": "غرام|غرامان|غرامات"}
        | {"ملغ": "مليغرام|مليغرامان|مليغرامات", "مل": "مليلتر|مليلتران|مليلترات", "ل": "لتر|لتران|لترات"}
        | {"km": "كيلومتر|كيلومتران|كيلومترات", "m": "متر|متران|أمتار", "cm": "سنتيمتر|سنتيمتران|سنتيمترات"}
        | {"mm": "مليمتر|مليمتران|مليمترات", "kg": "كيلوغرام|كيلوغرامان|كيلوغرامات", "g": "غرام|غرامان|غرامات"}
        | {"ml": "مليلتر|مليلتران|مليلترات", "l": "لتر|لتران|لترات", "mb": "ميغابايت|ميغابايت|ميغابايت", "gb": "غيغابايت|غيغابايت|غيغابايت"}
        | {"ghz": "غيغاهرتز|غيغاهرتز|غيغاهرتز", "hz": "هرتز|هرتز|هرتز", "w": "واط|واطان|واطات", "kw": "كيلوواط|كيلوواطان|كيلوواطات"},
        "m",
    )
    | {"م²": noun("متر مربع واحد", "متران مربعان", "أمتار مربعة", "مترا مربعا", "متر مربع", gender="m")}
    | {"كم²": noun("كيلومتر مربع واحد", "كيلومتران مربعان", "كيلومترات مربعة", "كيلومترا مربعا", "كيلومتر مربع", gender="m")}
    | {
        sign: noun(
            "كيلومتر واحد في الساعة", "كيلومتران في الساعة", "كيلومترات في الساعة", "كيلومترا في الساعة", "كيلومتر في الساعة", gender="m"
        )
        for sign in ("كم/س", "كم/ساعة", "km/h")
    }
    | {
        "°c": noun("درجة مئوية واحدة", "درجتان مئويتان", "درجات مئوية", "درجة مئوية", gender="f"),
        "°م": noun("درجة مئوية واحدة", "درجتان مئويتان", "درجات مئوية", "درجة مئوية", gender="f"),
    }
    | _nouns({"°": "درجة|درجتان|درجات", "د": _MINUTE, "min": _MINUTE, "ث": _SECOND, "h": _HOUR}, "f"),
    calendars=(
        Calendar(_MONTHS, written={"ابريل": 4, "اغسطس": 8, "اكتوبر": 10, "إبريل": 4}),
        Calendar(_LEVANTINE, _NO_YEARS, words=("آب",)),
    ),
    date="{day} من {month} عام {year}",
    day_month="{day} من {month}",
    month_link="من ",
    and_year="{date} عام {year}",
    day=day,
    year=year,
    time=("{hour}", "{hour} و{minute} {minutes}", "{hour} و{minute} {minutes} و{second} {seconds}"),
    time_marks={"ص": "صباحا", "م": "مساء", "am": "صباحا", "pm": "مساء"},
    hour=noun("ساعة", gender="hour"),
    minute=_nouns({"": _MINUTE}, "f")[""],
    second=_nouns({"": _SECOND}, "f")[""],
)
