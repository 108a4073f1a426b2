"""Dutch."""

import re

from myxtts.text.languages.record import LATIN, Language, decimals_as_number, months, noun, nouns, words

_count = words("nl")
_ordinal = words("nl", "ordinal")


def count(number: int) -> str:
    """A space after thousands and no accents within a word, as the official spelling has it (num2words: duizendéén); 1984 and 1500
    are counted in hundreds."""
    hundreds, rest = divmod(number, 100)
    if 11 <= hundreds <= 19:
        return f"{_count(hundreds)}honderd{count(rest) if rest else ''}"
    said = re.sub(r"duizend(?=\w)", "duizend ", _count(number))
    return re.sub(r"(?<=\w)éé", "ee", said) if number > 1 else said


def ordinal(number: int) -> str:
    return re.sub(r"duizend(?=\w\w\w)", "duizend ", _ordinal(number))


DUTCH = Language(
    code="nl",
    name="Dutch",
    char_limit=251,
    letters=LATIN + "áàâäçéèêëíïñóöúüû",
    letter_forms={"ĳ": "ij"},
    abbreviations={
        "dhr": "de heer",
        "mevr": "mevrouw",
        "mw": "mevrouw",
        "jhr": "jonkheer",
        "dr": "dokter",
        "drs": "doctorandus",
        "ir": "ingenieur",
        "ing": "ingenieur",
        "mr": "meester",
        "prof": "professor",
        "st": "sint",
        "enz": "enzovoort",
        "etc": "et cetera",
        "bijv": "bijvoorbeeld",
        "bv": "bijvoorbeeld",
        "d.w.z": "dat wil zeggen",
        "m.a.w": "met andere woorden",
        "o.a": "onder andere",
        "i.p.v": "in plaats van",
        "t.o.v": "ten opzichte van",
        "a.u.b": "alstublieft",
        "z.s.m": "zo snel mogelijk",
        "n.a.v": "naar aanleiding van",
        "m.b.t": "met betrekking tot",
        "v.chr": "voor christus",
        "n.chr": "na christus",
        "v. chr": "voor christus",
        "n. chr": "na christus",
        "blz": "bladzijde",
        "nr": "nummer",
        "tel": "telefoon",
        "ca": "circa",
        "incl": "inclusief",
        "excl": "exclusief",
        "max": "maximaal",
        "evt": "eventueel",
        "resp": "respectievelijk",
        "str": "straat",
        "vgl": "vergelijk",
        "afb": "afbeelding",
        "hfst": "hoofdstuk",
    },
    abbreviations_bare={"mln": "miljoen", "mld": "miljard", "mrd": "miljard"},
    cardinal=count,
    decimal=decimals_as_number(count, "komma"),
    point="komma",
    scales={"miljoen": "miljoen", "miljard": "miljard", "duizend": "duizend"},
    fractions={2: noun("half"), 3: noun("derde"), 4: noun("kwart")} | {bottom: noun(ordinal(bottom)) for bottom in range(5, 11)},
    ordinals={"ste|de|e": ordinal},
    readings={r"(?<![\w.,:/+-])(\d{1,2})\.([0-5]\d)(?= ?(?:uur|u)\b)": lambda match: f"{match[1]}:{match[2]}"},
    digits_after=("code", "pincode", "pin"),
    version_after=("versie",),
    range_word="tot",
    roman=dict.fromkeys(("hoofdstuk", "deel", "akte"), "{cardinal}")
    | dict.fromkeys(("willem", "lodewijk", "karel", "filips", "hendrik", "elizabeth", "johannes paulus"), "de {ordinal}"),
    symbols={
        "&": "en",
        "%": "procent",
        "@": "apenstaartje",
        "+": "plus",
        "=": "is gelijk aan",
        "minus": "min",
        "°": "graden",
        "#": "nummer",
        "hashtag": "hashtag",
        "×": "keer",
        "÷": "gedeeld door",
        "§": "paragraaf",
    },
    address={".": "punt", "@": "apenstaartje", "/": "schuine streep", "-": "streepje", "_": "liggend streepje", ":": "dubbele punt"}
    | {"?": "vraagteken", "=": "is", "&": "en", "#": "hekje", "%": "procent", "+": "plus", "~": "tilde"},
    currencies=nouns(
        {"$": "dollar", "us$": "dollar", "usd": "dollar", "€": "euro", "eur": "euro", "£": "pond", "gbp": "pond", "¥": "yen"}
        | {"chf": "zwitserse frank", "₽": "roebel", "₹": "roepie", "¢": "cent"},
    ),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "cent") | dict.fromkeys(("£", "gbp"), "penny|pence")),
    units=nouns(
        {"mm": "millimeter", "cm": "centimeter", "m": "meter", "km": "kilometer", "m²": "vierkante meter", "km²": "vierkante kilometer"}
        | {"m³": "kubieke meter", "ha": "hectare", "km/h": "kilometer per uur", "km/u": "kilometer per uur", "m/s": "meter per seconde"}
        | {"mg": "milligram", "g": "gram", "gr": "gram", "kg": "kilo", "ml": "milliliter", "cl": "centiliter", "l": "liter", "t": "ton"}
        | {"°c": "graad celsius|graden celsius", "°f": "graad fahrenheit|graden fahrenheit", "°": "graad|graden", "kb": "kilobyte"}
        | {"mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz"}
        | {"w": "watt", "kw": "kilowatt", "kwh": "kilowattuur", "v": "volt", "s": "seconde|seconden", "sec": "seconde|seconden"}
        | {"min": "minuut|minuten", "min.": "minuut|minuten", "u": "uur", "pk": "paardenkracht"},
    ),
    calendars=months(
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mrt apr - jun jul aug sept okt nov dec",
    ),
    day_month="{day} {month}",
    time=("{hour} uur", "{hour} uur {minute}", "{hour} uur {minute} en {second} {seconds}"),
    time_marks={"uur": "", "u": ""},
    second=noun("seconde", "seconden"),
)
