"""Hindi."""

import re

from myxtts.text.languages.record import LATIN, Calendar, Language, noun, nouns

_NAMES = (
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस इक्कीस बाईस तेईस चौबीस पच्चीस "
    "छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस "
    "चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ "
    "तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी अस्सी "
    "इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे "
    "अट्ठानवे निन्यानवे"
)
_WORDS = _NAMES.split()
_SCALES = ((10**11, "खरब"), (10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))


def count(number: int) -> str:
    """num2words has no Hindi."""
    if number < 100:
        return _WORDS[number]
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    rest = f" {count(number % scale)}" if number % scale else ""
    return f"{count(number // scale)} {name}{rest}"


_ORDINALS = {1: "पहल", 2: "दूसर", 3: "तीसर", 4: "चौथ", 6: "छठ"}


def _ordinal(vowel: str, ending: str):
    return lambda number: f"{_ORDINALS[number]}{vowel}" if number in _ORDINALS else f"{count(number)}{ending}"


masculine, feminine, oblique = _ordinal("ा", "वाँ"), _ordinal("ी", "वीं"), _ordinal("े", "वें")


def year(number: int) -> str:
    """1947 उन्नीस सौ सैंतालीस, 2026 दो हज़ार छब्बीस"""
    hundreds, rest = divmod(number, 100)
    if not 11 <= hundreds <= 19:
        return count(number)
    return f"{count(hundreds)} सौ {count(rest) if rest else ''}".strip()


def clock(match: re.Match) -> str | None:
    """10:30 बजे: साढ़े दस बजे"""
    hour, minute = int(match[1]), int(match[2])
    if not 0 < hour < 24:
        return None
    if minute == 30:
        return f"{({1: 'डेढ़', 2: 'ढाई'}).get(hour, f'साढ़े {count(hour)}')} बजे"
    if minute == 45:
        return f"पौने {count(hour + 1)} बजे"
    return f"सवा {count(hour)} बजे" if minute == 15 else f"{count(hour)} बजकर {count(minute)} मिनट" if minute else f"{count(hour)} बजे"


def mobile(match: re.Match) -> str:
    """9876543210, a mobile telephone's number"""
    return " ".join(count(int(digit)) for digit in match.group())


_MONTHS = ("जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्टूबर", "नवंबर", "दिसंबर")
_OTHER = {"फरवरी": 2, "सितम्बर": 9, "अक्तूबर": 10, "नवम्बर": 11, "दिसम्बर": 12}

HINDI = Language(
    code="hi",
    name="Hindi",
    char_limit=150,
    letters="",
    ranges=(
        (0x0900, 0x0963),
        (0x0970, 0x097F),
    ),
    also=LATIN,
    punctuation="।.,;:!?'-",
    sentence_end="।.!?",
    abbreviations={
        "डॉ": "डॉक्टर",
        "डा": "डॉक्टर",
        "प्रो": "प्रोफ़ेसर",
        "श्री": "श्री",
        "कु": "कुमारी",
        "पं": "पंडित",
        "स्व": "स्वर्गीय",
        "रु": "रुपये",
        "कि.मी": "किलोमीटर",
        "कि.ग्रा": "किलोग्राम",
        "ई.पू": "ईसा पूर्व",
        "मि": "मिनट",
        "सं": "संख्या",
        "पृ": "पृष्ठ",
        "नं": "नंबर",
        "mr": "मिस्टर",
        "dr": "डॉक्टर",
    },
    cardinal=count,
    point="दशमलव",
    decimal_comma=False,
    scales={"हज़ार": "हज़ार", "हजार": "हज़ार", "लाख": "लाख", "लाख करोड़": "लाख करोड़", "करोड़": "करोड़", "अरब": "अरब", "खरब": "खरब"},
    fractions={2: noun("बटा दो"), 3: noun("बटा तीन"), 4: noun("बटा चार"), 5: noun("बटा पाँच")}
    | {bottom: noun(f"बटा {count(bottom)}") for bottom in range(6, 11)},
    ordinals={
        "वाँ|वां|वा|ला|रा|था|ठा|st|nd|rd|th": masculine,
        "वीं|वी|ली|री|थी|ठी": feminine,
        "वें|वे|ले|रे|थे|ठे": oblique,
    },
    readings={
        # एम.ए.: syllables, each with its stop
        r"(?<![\u0900-\u097f.])(?!कि\.|मि\.|से\.|ई\.पू)(?:[\u0904-\u0939][\u0900-\u0903\u093a-\u094f]{0,2}म?\.){2,}": (
            lambda match: match.group().replace(".", " ").strip()
        ),
        r"(?<![\d.,])(\d{1,2}(?:,\d{2})+,\d{3})(?!\d|,\d)": lambda match: match[1].replace(",", ""),
        r"(?<![\w.,:/+-])(\d{1,2}):([0-5]\d) ?बजे": clock,
        r"(?<![\w.,:/+-])[6-9]\d{9}(?!\w|[.,]\d)": mobile,
    },
    phone_plus="प्लस",
    digits_after=("पिन", "पिन कोड", "कोड"),
    version_after=("संस्करण",),
    range_word="से",
    symbols={
        "&": "और",
        "%": "प्रतिशत",
        "@": "ऐट",
        "+": "जमा",
        "=": "बराबर",
        "minus": "माइनस",
        "°": "डिग्री",
        "#": "नंबर",
        "hashtag": "हैशटैग",
        "×": "गुणा",
        "÷": "भाग",
    },
    address={".": "डॉट", "@": "ऐट", "/": "स्लैश", "-": "डैश", "_": "अंडरस्कोर", ":": "कोलन", "?": "प्रश्नचिह्न"}
    | {"=": "बराबर", "&": "और", "#": "हैश", "%": "प्रतिशत", "+": "प्लस", "~": "टिल्ड"},
    currencies=nouns(
        dict.fromkeys(("₹", "rs.", "rs", "inr", "रु."), "रुपया|रुपये")
        | {"$": "डॉलर", "us$": "डॉलर", "usd": "डॉलर", "€": "यूरो", "eur": "यूरो", "£": "पाउंड", "gbp": "पाउंड", "¥": "येन", "₽": "रूबल"}
    ),
    subunits=nouns(
        dict.fromkeys(("₹", "rs.", "rs", "inr", "रु."), "पैसा|पैसे")
        | dict.fromkeys(("$", "us$", "usd", "€", "eur"), "सेंट")
        | dict.fromkeys(("£", "gbp"), "पेंस")
    ),
    amount_joint=" ",
    units=nouns(
        {"mm": "मिलीमीटर", "cm": "सेंटीमीटर", "m": "मीटर", "km": "किलोमीटर", "मी": "मीटर", "किमी": "किलोमीटर", "सेमी": "सेंटीमीटर"}
        | {
            "कि.मी.": "किलोमीटर",
            "मि.मी.": "मिलीमीटर",
            "से.मी.": "सेंटीमीटर",
            "m²": "वर्ग मीटर",
            "km²": "वर्ग किलोमीटर",
            "m³": "घन मीटर",
            "km/h": "किलोमीटर प्रति घंटा",
        }
        | {"किमी/घंटा": "किलोमीटर प्रति घंटा", "m/s": "मीटर प्रति सेकंड", "mg": "मिलीग्राम", "g": "ग्राम", "kg": "किलोग्राम"}
        | {"किग्रा": "किलोग्राम", "ml": "मिलीलीटर", "l": "लीटर", "°c": "डिग्री सेल्सियस", "°f": "डिग्री फ़ारेनहाइट", "°": "डिग्री"}
        | {"kb": "किलोबाइट", "mb": "मेगाबाइट", "gb": "गीगाबाइट", "tb": "टेराबाइट", "hz": "हर्ट्ज़", "mhz": "मेगाहर्ट्ज़"}
        | {"ghz": "गीगाहर्ट्ज़", "w": "वाट", "kw": "किलोवाट", "v": "वोल्ट"}
    ),
    calendars=(Calendar(_MONTHS, written=_OTHER),),
    day_month="{day} {month}",
    year=year,
    bare_years=True,
    time=("{hour} बजे", "{hour} बजकर {minute} मिनट", "{hour} बजकर {minute} मिनट {second} सेकंड"),
    time_marks={"बजे": "", "am": "ए एम", "pm": "पी एम"},
)
