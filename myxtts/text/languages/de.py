"""German."""

import re

from myxtts.text.languages.record import LATIN, Language, months, noun, nouns, stands_after, with_endings, words

count = words("de")
_ordinal = words("de", "ordinal")
counted = with_endings(count, {"m": {"^eins$": "ein"}, "f": {"^eins$": "eine"}})


def year(number: int) -> str:
    """1989 neunzehnhundertneunundachtzig; 2026 and 1066 are plain numbers."""
    hundreds, rest = divmod(number, 100)
    if not 11 <= hundreds <= 19:
        return count(number)
    return f"{count(hundreds)}hundert{count(rest) if rest else ''}"


def day(number: int) -> str:
    """As after "am", "den", "vom": fünfundzwanzigsten. `nominative` mends it after "der"."""
    return f"{_ordinal(number)}n"


_MONTHS = "januar februar märz april mai juni juli august september oktober november dezember"
_SHORT = "jan feb - apr - jun jul aug sept okt nov dez"
_THE_DAY = re.compile(rf"\b(der|heute ist der|morgen ist der) (\w+te)n (?=(?:{'|'.join(_MONTHS.split())})\b)")


def nominative(text: str) -> str:
    """der fünfundzwanzigste november, eine million"""
    if "eins milli" in text:
        text = text.replace("eins million ", "eine million ").replace("eins milliarde ", "eine milliarde ")
    return _THE_DAY.sub(r"\1 \2 ", text) if "der " in text else text


# after these an ordinal has the ending -n, after those none
_OBLIQUE = "am im zum vom beim dem den des zur ins ihrem seinem meinem unserem einem einer jedem jeden ab bis seit nach vor"
_DIRECT = "der die das jede ihre seine meine unsere eine"
_NO_MONTH = f"(?!(?i:{'|'.join((*_MONTHS.split(), *_SHORT.split()))})\\b)"
_STOP = rf"\.(?= {_NO_MONTH}[^\W\d_])"
_NUMBER = r"(?<![\w.,:/+-])(\d{1,3})"


def _day_of_month(day_number: int, month: int) -> str | None:
    """25.11."""
    return f"{day(day_number)} {day(month)}" if 0 < day_number < 32 and 0 < month < 13 else None


_LABELS = "Gleis Kapitel Teil Band Nummer Nr. Seite Platz Zimmer Raum Klasse Typ Liga Version Level Stufe Phase Formel"
_NOT_NUMBERED = "".join(rf"(?<!\b{re.escape(word)} )" for word in _LABELS.split())
_FEMININE = re.compile(
    r".*(?:ung|heit|keit|schaft|ion|tät|ik|e)|Frau|Person|Stadt|Hand|Nacht|Zahl|Wahl|Kuh|Maus|Tür|Mutter|Tochter|Schwester|Mark"
)
_MASCULINE = re.compile(r"Junge|Name|Kunde|Kollege|Affe|Löwe|Hase|Käse|Ende|Auge|Gebäude|Gemüse|Interesse|Knie")


def _one(match: re.Match) -> str:
    """1 Hund, 1 Katze: nouns have a capital, and most of those in -e are feminine."""
    return "eine" if _FEMININE.fullmatch(match[1]) and not _MASCULINE.fullmatch(match[1]) else "ein"


def decade(match: re.Match) -> str:
    return f"{year(int(match[1]))}er{match[2]}"


def score(match: re.Match) -> str:
    return f"{count(int(match[1]))} zu {count(int(match[2]))}"


GERMAN = Language(
    code="de",
    name="German",
    char_limit=253,
    letters=LATIN + "äöüßéèàê",
    joining=nominative,
    abbreviations={
        "hr": "herr",
        "hrn": "herrn",
        "fr": "frau",
        "frl": "fräulein",
        "dr": "doktor",
        "prof": "professor",
        "dipl": "diplom",
        "ing": "ingenieur",
        "st": "sankt",
        "str": "straße",
        "nr": "nummer",
        "nrn": "nummern",
        "tel": "telefon",
        "etc": "et cetera",
        "usw": "und so weiter",
        "u. a": "unter anderem",
        "u.a": "unter anderem",
        "z. b": "zum beispiel",
        "z.b": "zum beispiel",
        "d. h": "das heißt",
        "d.h": "das heißt",
        "i. d. r": "in der regel",
        "i.d.r": "in der regel",
        "o. ä": "oder ähnliches",
        "o.ä": "oder ähnliches",
        "s. o": "siehe oben",
        "s.o": "siehe oben",
        "s. u": "siehe unten",
        "s.u": "siehe unten",
        "v. chr": "vor christus",
        "v.chr": "vor christus",
        "n. chr": "nach christus",
        "n.chr": "nach christus",
        "bzw": "beziehungsweise",
        "ca": "circa",
        "evtl": "eventuell",
        "ggf": "gegebenenfalls",
        "inkl": "inklusive",
        "max": "maximal",
        "mind": "mindestens",
        "sog": "sogenannte",
        "vgl": "vergleiche",
        "geb": "geboren",
        "gest": "gestorben",
        "abs": "absatz",
        "art": "artikel",
        "bd": "band",
        "kap": "kapitel",
        "abb": "abbildung",
        "tab": "tabelle",
        "ff": "fortfolgende",
        "co": "co",
        "jr": "junior",
        "jh": "jahrhundert",
        "jhd": "jahrhundert",
        "std": "stunden",
    },
    abbreviations_bare={"mio": "millionen", "mrd": "milliarden", "tsd": "tausend"},
    num2words="de",
    counted=counted,
    point="komma",
    scales={"million": "million", "millionen": "millionen", "milliarde": "milliarde", "milliarden": "milliarden", "tausend": "tausend"},
    fractions={2: noun("halb", gender="m"), 3: noun("drittel", gender="m"), 4: noun("viertel", gender="m")}
    | {bottom: noun(f"{_ordinal(bottom)}l", gender="m") for bottom in (*range(5, 11), 12, 20, 100)},
    ordinals={"te|ste|st|nd|rd|th|º|ª": _ordinal, "ten|sten": day, "ter": lambda number: f"{_ordinal(number)}r"},
    roman_before={r"\.(?= (?:Weltkrieg|Jahrhundert))": lambda number: f"{number}."},
    readings={
        rf"(?<![\w.,:/+-])(?<=[Vv]om )(\d{{1,2}})\. ?[-–] ?(\d{{1,2}})\.(?= (?:{'|'.join(_MONTHS.title().split())})(?!\w))": (
            lambda match: f"{day(int(match[1]))} bis {day(int(match[2]))}"
        ),
        r"(?<![\w.,:/+-])(\d{1,2})\.([0-5]\d)(?= ?Uhr\b)": lambda match: f"{match[1]}:{match[2]}",
        r"(?<!\w)(\w{1,40})str\.(?= \d)": lambda match: f"{match[1]}straße",
        r"(?<![\w.,:/+-])1 (Mio|Mrd)\.?(?!\w)": lambda match: "eine million" if match[1] == "Mio" else "eine milliarde",
        rf"(?<![\w.,:/+$€£-])(?<![$€£] ){_NOT_NUMBERED}1(?= ([A-ZÄÖÜ][a-zäöüß]+))": _one,
        r"(?<![\w.,:/+-])(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})(?!\w)": lambda match: ".".join(match.groups()),
        r"(?<![\w.,:/+-])(\d{1,2})\. ?(\d{1,2})\.(?! ?\d)": lambda match: _day_of_month(int(match[1]), int(match[2])),
        _NUMBER + stands_after(_OBLIQUE, most=3) + _STOP: lambda match: day(int(match[1])),
        _NUMBER + stands_after(_DIRECT, most=3) + _STOP: lambda match: _ordinal(int(match[1])),
        r"(?<![\w.,:/+-])(\d{2}|1\d{3}|20\d{2})er(n?)(?!\w)": decade,
        r"(?<![\w.,:/+-])(\d{1,2})\.(?= (?:Bundesliga|Liga|FC|FSV|FFC|Weltkrieg|Halbzeit|Auflage|Stock|Etage|Obergeschoss)(?!\w))": (
            lambda match: _ordinal(int(match[1]))
        ),
        r"(?<!\w)S\. ?(?=\d)": lambda match: "Seite ",
        r"(?<![\w.,:/+-])(\d{1,3}):(\d)(?![\d:]|,\d)": score,
    },
    digits_after=("pin", "plz", "code", "postleitzahl"),
    version_after=("version",),
    range_word="bis",
    roman=dict.fromkeys(("kapitel", "teil", "band", "akt", "artikel"), "{cardinal}")
    | dict.fromkeys(
        ("ludwig", "friedrich", "wilhelm", "heinrich", "karl", "otto", "elisabeth", "johannes paul", "benedikt"), "der {ordinal}"
    ),
    symbols={
        "&": "und",
        "%": "prozent",
        "@": "at",
        "+": "plus",
        "=": "gleich",
        "minus": "minus",
        "°": "grad",
        "#": "nummer",
        "hashtag": "hashtag",
        "×": "mal",
        "÷": "geteilt durch",
        "§": "paragraf",
    },
    percent=noun("prozent", gender="m"),
    address={".": "punkt", "@": "at", "/": "schrägstrich", "-": "bindestrich", "_": "unterstrich", ":": "doppelpunkt"}
    | {"?": "fragezeichen", "=": "gleich", "&": "und", "#": "raute", "%": "prozent", "+": "plus", "~": "tilde"},
    currencies=nouns(
        {"$": "dollar", "us$": "us-dollar", "usd": "us-dollar", "€": "euro", "eur": "euro", "£": "pfund", "gbp": "pfund"}
        | {"chf": "franken", "fr.": "franken", "¥": "yen", "₽": "rubel", "¢": "cent"},
        "m",
    )
    | nouns({"₹": "rupie|rupien"}, "f"),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "cent") | dict.fromkeys(("£", "gbp"), "penny|pence"), "m"),
    units=nouns(
        {"mm": "millimeter", "cm": "zentimeter", "m": "meter", "km": "kilometer", "m²": "quadratmeter", "qm": "quadratmeter"}
        | {"km²": "quadratkilometer", "m³": "kubikmeter", "ha": "hektar", "km/h": "stundenkilometer", "m/s": "meter pro sekunde"}
        | {"mg": "milligramm", "g": "gramm", "kg": "kilogramm", "ml": "milliliter", "l": "liter", "°c": "grad celsius"}
        | {"°f": "grad fahrenheit", "°": "grad", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte"}
        | {"hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "watt", "kw": "kilowatt", "v": "volt"}
        | {"ps": "p s", "zt": "zentner"},
        "m",
    )
    | nouns(
        {
            "h": "stunde|stunden",
            "std": "stunde|stunden",
            "min": "minute|minuten",
            "min.": "minute|minuten",
            "std.": "stunde|stunden",
            "sek.": "sekunde|sekunden",
            "s": "sekunde|sekunden",
            "sek": "sekunde|sekunden",
        }
        | {"t": "tonne|tonnen", "kwh": "kilowattstunde|kilowattstunden"},
        "f",
    ),
    calendars=months(_MONTHS, _SHORT),
    day_month="{day} {month}",
    day=day,
    year=year,
    bare_years=True,
    time=("{hour} uhr", "{hour} uhr {minute}", "{hour} uhr {minute} und {second} {seconds}"),
    time_sign=":",
    time_marks={"uhr": "", "h": ""},
    hour=noun("uhr", gender="m"),
    second=noun("sekunde", "sekunden", gender="f"),
)
