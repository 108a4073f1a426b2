"""Hungarian."""

import re

from myxtts.text.languages.record import LATIN, Language, months, never, noun, nouns, stands_after, with_endings, words

_count = words("hu")
ordinal = words("hu", "ordinal")
_LETTER = "[a-záéíóöőúüű]"
_MONTHS = "január február március április május június július augusztus szeptember október november december"


def count(number: int) -> str:
    """num2words says tizenkettőezer."""
    return re.sub(r"kettő(?=ezer|mill|száz)", "két", _count(number))


counted = with_endings(count, {"n": {"kettő$": "két"}})


def decimal(whole: str, decimals: str) -> str | None:
    """3,5 három egész öt tized: tenths, hundredths and thousandths."""
    digits = decimals.rstrip("0")
    if not 0 < len(digits) <= 3:
        return None
    return f"{counted(int(whole), 'n')} egész {counted(int(digits), 'n')} {('tized', 'század', 'ezred')[len(digits) - 1]}"


def day(number: int) -> str:
    """huszonötödike"""
    if number == 1:
        return "elseje"
    said = ordinal(number)
    return f"{said}{'e' if said.endswith(('edik', 'ödik')) else 'a'}"


def on_the_day(match: re.Match) -> str:
    """25-én, 1-jén"""
    said = day(int(match[1]))
    return f"{said[:-1]}{'én' if said.endswith('e') else 'án'}"


def _clock(match: re.Match) -> str:
    minute = int(match[2])
    return f"{counted(int(match[1]), 'n')} óra{f' {count(minute)}' if minute else ''}{match[3]}"


def join_suffixes(text: str) -> str:
    """öt százalék-os"""
    return re.sub(r"\b(százalék|forint|euró|dollár|fok|kilométer|méter|kiló|gramm|liter)-(?=\w)", r"\1", text) if "-" in text else text


_PARTS = {3: "harmad", 4: "negyed", 5: "ötöd", 6: "hatod", 7: "heted", 8: "nyolcad", 9: "kilenced", 10: "tized"}


def fraction(match: re.Match) -> str | None:
    """3/4 háromnegyed"""
    top, bottom = int(match[1]), int(match[2])
    if (top, bottom) == (1, 2):
        return "fél"
    return f"{counted(top, 'n')}{_PARTS[bottom]}" if 0 < top < bottom and bottom in _PARTS else None


_NO_NOUN = r"és\b|vagy\b|meg\b|az?\b|[kmcdg]?[mgl]\b|ha\b|[Ff]t\b|db\b|fő\b|volt\b|van\b|lesz\b"
_NUMBER = r"(?<![\w.,:/+-])(\d{1,9})"
HUNGARIAN = Language(
    code="hu",
    name="Hungarian",
    char_limit=224,
    letters=LATIN + "áäéíóöőúüű",
    joining=join_suffixes,
    abbreviations={
        "dr": "doktor",
        "prof": "professzor",
        "ifj": "ifjabb",
        "id": "idősebb",
        "özv": "özvegy",
        "b": "bácsi",
        "nőv": "nővér",
        "szt": "szent",
        "pl": "például",
        "stb": "satöbbi",
        "kb": "körülbelül",
        "ún": "úgynevezett",
        "ill": "illetve",
        "vö": "vesd össze",
        "ti": "tudniillik",
        "azaz": "azaz",
        "u": "utca",
        "krt": "körút",
        "em": "emelet",
        "hsz": "házszám",
        "tel": "telefon",
        "sz": "szám",
        "old": "oldal",
        "fej": "fejezet",
        "bek": "bekezdés",
        "min": "minimum",
        "max": "maximum",
        "i. e": "időszámításunk előtt",
        "i.e": "időszámításunk előtt",
        "i. sz": "időszámításunk szerint",
        "kr. e": "krisztus előtt",
        "kr. u": "krisztus után",
    },
    abbreviations_bare={"mrd": "milliárd"},
    cardinal=count,
    counted=counted,
    decimal=decimal,
    point="egész",
    scales={"millió": "millió", "milliárd": "milliárd", "ezer": "ezer", "m": "millió"},
    ordinals={"-?(?:adik|edik|odik|ödik|dik|ik)": ordinal},
    readings={
        r"(?<![\w.,:/+-])(\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)": fraction,
        r"(?<![\w.,:/+-])(\d{4})\. ?(\d{1,2})\. ?(\d{1,2})(?!\d)\.?": lambda match: ".".join(match.groups()),
        rf"(?<![\w.,:/+-])(\d{{4}})\.(?= (?i:{'|'.join(_MONTHS.split())}))": lambda match: count(int(match[1])),
        r"(?<![\w.,:/+-])(\d{1,2})-j?[eéá]n(?!\w)": on_the_day,
        r"(?<![\w.,:/+-])(\d{1,2})-i(?!\w)": lambda match: f"{day(int(match[1]))}i",
        _NUMBER + stands_after(_MONTHS, most=2) + rf"\.(?= {_LETTER})": lambda match: day(int(match[1])),
        rf"(?<![\w.,:/+-])(\d{{1,2}})[:.]([0-5]\d)-({_LETTER}+)": _clock,
        r"(?<![\w.,:/+-])(\d{1,2})\.([0-5]\d)(?= óra)": lambda match: f"{match[1]}:{match[2]}",
        rf"(?<![\w.,:/+-])(\d{{1,4}})\.(?= (?!(?:{'|'.join(_MONTHS.split())})){_LETTER})": lambda match: ordinal(int(match[1])),
        rf"{_NUMBER}-(?!(?:ad|ed|od|öd|d)?ik)({_LETTER}{{1,5}})(?!\w)": lambda match: count(int(match[1])) + match[2],
        rf"{_NUMBER}(?<=2)(?= (?!{_NO_NOUN}){_LETTER}{{2}})": lambda match: counted(int(match[1]), "n"),
    },
    digits_after=("kód", "pin", "irányítószám"),
    version_after=("verzió",),
    plural=never,
    roman=dict.fromkeys(("fejezet", "kötet"), "{cardinal}"),
    roman_before={r"\.(?= [^\W\d_])": ordinal},
    symbols={
        "&": "és",
        "%": "százalék",
        "@": "kukac",
        "+": "plusz",
        "=": "egyenlő",
        "minus": "mínusz",
        "°": "fok",
        "#": "szám",
        "hashtag": "hashtag",
        "×": "szor",
        "÷": "osztva",
        "§": "paragrafus",
    },
    percent=noun("százalék", gender="n"),
    address={".": "pont", "@": "kukac", "/": "per", "-": "kötőjel", "_": "aláhúzás", ":": "kettőspont", "?": "kérdőjel"}
    | {"=": "egyenlő", "&": "és", "#": "kettőskereszt", "%": "százalék", "+": "plusz", "~": "tilde"},
    currencies=nouns(
        {"$": "dollár", "us$": "dollár", "usd": "dollár", "€": "euró", "eur": "euró", "£": "font", "gbp": "font", "ft": "forint"}
        | {"huf": "forint", "chf": "svájci frank", "¥": "jen", "₽": "rubel", "₹": "rúpia", "¢": "cent"},
        "n",
    ),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "cent") | dict.fromkeys(("£", "gbp"), "penny"), "n"),
    amount_joint=" ",
    units=nouns(
        {"mm": "milliméter", "cm": "centiméter", "m": "méter", "km": "kilométer", "m²": "négyzetméter", "nm": "négyzetméter"}
        | {"km²": "négyzetkilométer", "m³": "köbméter", "ha": "hektár", "km/h": "kilométer per óra", "km/ó": "kilométer per óra"}
        | {"m/s": "méter per másodperc", "mg": "milligramm", "g": "gramm", "dkg": "deka", "kg": "kiló", "t": "tonna", "ml": "milliliter"}
        | {"dl": "deci", "l": "liter", "°c": "celsius-fok", "°f": "fahrenheit-fok", "°": "fok", "kb": "kilobájt", "mb": "megabájt"}
        | {"gb": "gigabájt", "tb": "terabájt", "hz": "hertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "watt", "kw": "kilowatt"}
        | {"kwh": "kilowattóra", "v": "volt", "óra": "óra", "perc": "perc", "mp": "másodperc", "fő": "fő", "db": "darab"},
        "n",
    ),
    calendars=months(_MONTHS, "jan febr márc ápr máj jún júl aug szept okt nov dec"),
    date_order="ymd",
    date="{year} {month} {day}",
    month_day="{month} {day}",
    day=day,
    time=("{hour} óra", "{hour} óra {minute}", "{hour} óra {minute} perc {second}"),
    time_marks={"óra": ""},
    hour=noun("óra", gender="n"),
)
