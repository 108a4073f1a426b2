"""Italian."""

import re

from myxtts.text.languages.record import LATIN, Language, decimals_as_number, months, noun, nouns, stands_after, with_endings, words

_count = words("it")
ordinal = words("it", "ordinal")


def count(number: int) -> str:
    """num2words forgets the accent of some that end in three, and writes millions and units with an "e"."""
    return re.sub(r"(?<=\w)tre$", "tré", _count(number)).replace("milioni e ", "milioni ").replace("milione e ", "milione ")


counted = with_endings(count, {"m": {r"^uno$": "un"}, "f": {r"^uno$": "una"}})


def feminine(number: int) -> str:
    return f"{ordinal(number)[:-1]}a"


def day(number: int) -> str:
    return "primo" if number == 1 else count(number)


def elide(text: str) -> str:
    """un'ora, un milione"""
    text = text.replace("una ora", "un'ora") if "una ora" in text else text
    return text.replace("uno mili", "un mili") if "uno mili" in text else text


_ALONE = r"(?<![$€£] )(?<!\b[Ii]l )(?<!\b[Dd]el )(?<!\b[Aa]l )(?<!\bnumero )(?<!\bn\. )"  # the number of something
_MONTH = "gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"
_MASCULINE_A = "problema|sistema|programma|tema|poeta|artista|pianeta|clima|turista|atleta"
_KINGS = (
    "vittorio emanuele umberto carlo luigi enrico pio giovanni paolo giovanni paolo benedetto napoleone elisabetta leone gregorio filippo"
)

ITALIAN = Language(
    code="it",
    name="Italian",
    char_limit=213,
    letters=LATIN + "àèéìíîòóùú",
    joining=elide,
    abbreviations={
        "sig": "signor",
        "sigg": "signori",
        "dott": "dottor",
        "dr": "dottor",
        "prof": "professor",
        "ing": "ingegner",
        "avv": "avvocato",
        "arch": "architetto",
        "geom": "geometra",
        "rag": "ragionier",
        "on": "onorevole",
        "st": "santo",
        "ecc": "eccetera",
        "co": "compagnia",
        "jr": "junior",
        "ltd": "limitata",
        "pag": "pagina",
        "pp": "pagine",
        "pagg": "pagine",
        "cap": "capitolo",
        "vol": "volume",
        "art": "articolo",
        "tel": "telefono",
        "es": "esempio",
        "ad es": "ad esempio",
        "p. es": "per esempio",
        "p.es": "per esempio",
        "n": "numero",
        "a. c": "avanti cristo",
        "a.c": "avanti cristo",
        "d. c": "dopo cristo",
        "d.c": "dopo cristo",
    },
    abbreviations_bare={
        "sig.ra": "signora",
        "sig.na": "signorina",
        "dott.ssa": "dottoressa",
        "prof.ssa": "professoressa",
        "sigg.ri": "signori",
        "nº": "numero",
        "n°": "numero",
        "mln": "milioni",
        "mld": "miliardi",
    },
    cardinal=count,
    counted=counted,
    decimal=decimals_as_number(count, "virgola"),
    point="virgola",
    scales={"milione": "milione di", "milioni": "milioni di", "miliardo": "miliardo di", "miliardi": "miliardi di", "mila": "mila"},
    fractions={2: noun("mezzo", "mezzi", gender="m")}
    | {bottom: noun(ordinal(bottom), f"{ordinal(bottom)[:-1]}i", gender="m") for bottom in range(3, 11)},
    ordinals={
        r"º(?!\s?[cf](?!\w))|°(?= (?!e\b|o\b|di\b|a\b|al|in\b|con\b|nord|sud|est|ovest|c\b|f\b)[^\W\d_]{3})|o": ordinal,
        "ª|a": feminine,
        "i": lambda n: f"{ordinal(n)[:-1]}i",
        "e": lambda n: f"{ordinal(n)[:-1]}e",
    },
    readings={
        r"(?<![\w.,:/+-])(\d{1,2})\.([0-5]\d)" + stands_after("alle dalle ore", r"[\d.]", 5) + r"(?!\d|[.,]\d)": (
            lambda match: f"{match[1]}:{match[2]}"
        ),
        rf"{_ALONE}(?<![\w.,:/+$€£-])1(?= (?!{_MASCULINE_A}|mili)(?:[^\W\d_]{{2,}}(?:a|ione|ità))\b)": lambda match: "una",
        rf"{_ALONE}(?<![\w.,:/+$€£-])1(?= (?!{_MONTH}|mili)(?:s[bcdfgklmnpqrtv]|z|gn|ps)[^\W\d_]*[oe]\b)": lambda match: "uno",
        rf"{_ALONE}(?<![\w.,:/+$€£-])1(?= (?!{_MONTH}|mili)(?:[^\W\d_]{{2,}}[oebcdfgklmnprst]|{_MASCULINE_A})\b)": lambda match: "un",
    },
    digits_after=("codice", "pin", "cap"),
    version_after=("versione",),
    range_word="a",
    roman=dict.fromkeys(("secolo", *_KINGS.split()), "{ordinal}")
    | dict.fromkeys(("capitolo", "tomo", "volume", "parte", "canto"), "{ordinal}"),
    roman_before={r"(?= (?:secolo|capitolo|canto)(?!\w))": ordinal, r"(?= (?:guerra|legislatura|edizione|repubblica)(?!\w))": feminine},
    symbols={
        "&": "e",
        "%": "per cento",
        "@": "chiocciola",
        "+": "più",
        "=": "uguale",
        "minus": "meno",
        "°": "gradi",
        "#": "numero",
        "hashtag": "hashtag",
        "×": "per",
        "÷": "diviso",
        "§": "paragrafo",
    },
    address={".": "punto", "@": "chiocciola", "/": "barra", "-": "trattino", "_": "trattino basso", ":": "due punti"}
    | {"?": "punto interrogativo", "=": "uguale", "&": "e", "#": "cancelletto", "%": "per cento", "+": "più", "~": "tilde"},
    currencies=nouns(
        {"$": "dollaro|dollari", "us$": "dollaro|dollari", "usd": "dollaro|dollari", "€": "euro", "eur": "euro", "¥": "yen"}
        | {"chf": "franco svizzero|franchi svizzeri", "₽": "rublo|rubli", "¢": "centesimo|centesimi"},
        "m",
    )
    | nouns({"£": "sterlina|sterline", "gbp": "sterlina|sterline", "₹": "rupia|rupie"}, "f"),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "centesimo|centesimi") | {"£": "penny|pence", "gbp": "penny|pence"}, "m"),
    units=nouns(
        {"mm": "millimetro|millimetri", "cm": "centimetro|centimetri", "m": "metro|metri", "km": "chilometro|chilometri"}
        | {"m²": "metro quadrato|metri quadrati", "mq": "metro quadrato|metri quadrati", "km²": "chilometro quadrato|chilometri quadrati"}
        | {"m³": "metro cubo|metri cubi", "ha": "ettaro|ettari", "km/h": "chilometro orario|chilometri orari"}
        | {"m/s": "metro al secondo|metri al secondo", "mg": "milligrammo|milligrammi", "g": "grammo|grammi", "kg": "chilo|chili"}
        | {"ml": "millilitro|millilitri", "cl": "centilitro|centilitri", "l": "litro|litri", "°c": "grado celsius|gradi celsius"}
        | {"°f": "grado fahrenheit|gradi fahrenheit", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte"}
        | {"hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "watt", "kw": "chilowatt"}
        | {"kwh": "chilowattora", "v": "volt", "s": "secondo|secondi", "min": "minuto|minuti"},
        "m",
    )
    | nouns({"h": "ora|ore", "t": "tonnellata|tonnellate"}, "f"),
    calendars=months(
        _MONTH.replace("|", " "),
        "gen feb mar apr mag giu lug ago set ott nov dic",
        words=("mar",),
    ),
    day_month="{day} {month}",
    day=day,
    time=("{hour}", "{hour} e {minute}", "{hour} e {minute} e {second} {seconds}"),
    time_marks={"h": ""},
    hour=noun("ora", "ore", gender="f"),
    second=noun("secondo", "secondi", gender="m"),
)
