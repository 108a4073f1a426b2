"""French."""

import re

from myxtts.text.languages.record import LATIN, Language, decimals_as_number, french_plural, months, noun, nouns, with_endings, words

count = words("fr")
ordinal = words("fr", "ordinal")
counted = with_endings(count, {"f": {r"\bun$": "une"}})


def feminine(number: int) -> str:
    return "première" if number == 1 else ordinal(number)


def plural(number: int) -> str:
    return f"{ordinal(number)}s"


def day(number: int) -> str:
    return "premier" if number == 1 else count(number)


def elide(text: str) -> str:
    """des millions d'euros"""
    return re.sub(r"\bde (?=euros?\b|onces?\b)", "d'", text) if " de " in text else text


_FEMININE = (
    "(?:personne|fois|heure|minute|seconde|année|semaine|journée|nuit|page|femme|fille|maison|ville|chose|table|partie|équipe|place|tonne|"
    "carte|lettre|chambre|porte|[^\\W\\d_]+(?:tion|sion|té|ée|ette|ance|ence|ture|euse|esse))s?"
)
_KINGS = "louis henri charles philippe napoléon françois jean paul benoît pie albert léopold élisabeth george edouard guillaume clovis"

FRENCH = Language(
    code="fr",
    name="French",
    char_limit=273,
    letters=LATIN + "àâæçéèêëîïôœùûüÿñ",
    joining=elide,
    abbreviations={
        "m": "monsieur",
        "mr": "monsieur",
        "mm": "messieurs",
        "pr": "professeur",
        "co": "compagnie",
        "cie": "compagnie",
        "jr": "junior",
        "ltd": "limitée",
        "p. ex": "par exemple",
        "p.ex": "par exemple",
        "etc": "et cetera",
        "av": "avenue",
        "bd": "boulevard",
        "boul": "boulevard",
        "env": "environ",
        "tél": "téléphone",
        "art": "article",
        "chap": "chapitre",
        "vol": "volume",
        "éd": "édition",
        "pp": "pages",
        "p": "page",
        "cf": "confer",
        "c.-à-d": "c'est-à-dire",
    },
    abbreviations_bare={
        "dr": "docteur",
        "st": "saint",
        "ste": "sainte",
        "mme": "madame",
        "mmes": "mesdames",
        "mlle": "mademoiselle",
        "mlles": "mesdemoiselles",
        "mgr": "monseigneur",
        "n°": "numéro",
        "nº": "numéro",
        "av. j.-c": "avant jésus-christ",
        "apr. j.-c": "après jésus-christ",
        "j.-c": "jésus-christ",
    },
    num2words="fr",
    counted=counted,
    decimal=decimals_as_number(count, "virgule"),
    point="virgule",
    scales={"million": "million de", "millions": "millions de", "milliard": "milliard de", "milliards": "milliards de", "m": "millions de"}
    | {"md": "milliards de", "mds": "milliards de", "mille": "mille"},
    fractions={2: noun("demi", "demis"), 3: noun("tiers"), 4: noun("quart", "quarts")}
    | {bottom: noun(ordinal(bottom), f"{ordinal(bottom)}s") for bottom in range(5, 11)},
    ordinals={
        "ème|e|è": ordinal,
        "er": ordinal,
        "re|ère": feminine,
        "es|èmes": plural,
        "nd": lambda number: "second" if number == 2 else ordinal(number),
    }
    | {"nde": lambda number: "seconde" if number == 2 else ordinal(number)}
    | {"º": ordinal, "ª": feminine},
    readings={
        # initials: Jesus Christ is named in dates alone
        r"(?<!\w)(?<!v\. )(?<!r\. )(?<!ès )(?<!nt )([A-Z])\.-([A-Z])\.(?= ?[A-ZÉ][\w-])": lambda match: f"{match[1]} {match[2]}",
        r"(?<!\w)P\.(?= ?[A-ZÉ][\w-])": lambda match: match[0][0],  # Picasso's initial is no page
        r"(?<![\w.,:/+-])24 ?h(?:eures)?(?:/| sur )24(?!\w)": lambda match: "vingt-quatre heures sur vingt-quatre",
        rf"(?<![\w.,:/+$€£-])(\d{{0,5}}1)(?<!11)(?= {_FEMININE}(?!\w))": lambda match: counted(int(match[1]), "f"),
        r"(?<![\w.,:/+-])(\d{1,2}) h ([0-5]\d)(?!\w|[.,]\d)": lambda match: f"{match[1]}h{match[2]}",
    },
    digits_after=("code", "code postal", "pin"),
    version_after=("version",),
    plural=french_plural,
    range_word="à",
    roman=dict.fromkeys(("chapitre", "tome", "partie", "acte", "volume", "guerre mondiale", *_KINGS.split()), "{cardinal}"),
    roman_before={
        r"e s\.(?!\w)": lambda number: f"{ordinal(number)} siècle",
        r"ème(?!\w)|e(?!\w)": ordinal,
        r"ers?(?!\w)": ordinal,
        r"(?:è?re)(?!\w)": feminine,
    },
    symbols={
        "&": "et",
        "%": "pour cent",
        "@": "arobase",
        "+": "plus",
        "=": "égale",
        "minus": "moins",
        "°": "degrés",
        "#": "numéro",
        "hashtag": "hashtag",
        "×": "fois",
        "÷": "divisé par",
        "§": "paragraphe",
        "№": "numéro",
    },
    address={".": "point", "@": "arobase", "/": "barre oblique", "-": "tiret", "_": "tiret bas", ":": "deux points"}
    | {"?": "point d'interrogation", "=": "égale", "&": "et", "#": "dièse", "%": "pour cent", "+": "plus", "~": "tilde"},
    currencies=nouns(
        {"$": "dollar|dollars", "us$": "dollar|dollars", "usd": "dollar|dollars", "€": "euro|euros", "eur": "euro|euros"}
        | {"chf": "franc suisse|francs suisses", "¥": "yen|yens", "₽": "rouble|roubles", "¢": "cent|cents"},
        "m",
    )
    | nouns({"£": "livre|livres", "gbp": "livre|livres", "₹": "roupie|roupies"}, "f"),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd"), "cent|cents") | dict.fromkeys(("€", "eur", "chf"), "centime|centimes"), "m")
    | nouns({"£": "penny|pence", "gbp": "penny|pence"}, "m"),
    units=nouns(
        {"mm": "millimètre|millimètres", "cm": "centimètre|centimètres", "m": "mètre|mètres", "km": "kilomètre|kilomètres"}
        | {"m²": "mètre carré|mètres carrés", "km²": "kilomètre carré|kilomètres carrés", "m³": "mètre cube|mètres cubes"}
        | {"ha": "hectare|hectares", "km/h": "kilomètre heure|kilomètres heure", "m/s": "mètre par seconde|mètres par seconde"}
        | {"mg": "milligramme|milligrammes", "g": "gramme|grammes", "kg": "kilo|kilos", "ml": "millilitre|millilitres"}
        | {"cl": "centilitre|centilitres", "l": "litre|litres", "°c": "degré celsius|degrés celsius", "°": "degré|degrés"}
        | {"°f": "degré fahrenheit|degrés fahrenheit", "ko": "kilooctet|kilooctets", "mo": "mégaoctet|mégaoctets"}
        | {"go": "gigaoctet|gigaoctets", "to": "téraoctet|téraoctets", "hz": "hertz", "khz": "kilohertz", "mhz": "mégahertz"}
        | {"ghz": "gigahertz", "w": "watt|watts", "kw": "kilowatt|kilowatts", "kwh": "kilowattheure|kilowattheures", "v": "volt|volts"},
        "m",
    )
    | nouns({"h": "heure|heures", "min": "minute|minutes", "s": "seconde|secondes", "t": "tonne|tonnes"}, "f"),
    calendars=months(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv févr - avr - - juil - sept oct nov déc",
    ),
    day_month="{day} {month}",
    day=day,
    time=("{hour} {hours}", "{hour} {hours} {minute}", "{hour} {hours} {minute} et {second} {seconds}"),
    time_sign=":h",
    time_marks={"heures": "", "h": "", "min": ""},
    hour=noun("heure", "heures", gender="f"),
    minute=noun("minute", "minutes", gender="f"),
    second=noun("seconde", "secondes", gender="f"),
    phone_groups={r"\d{9}": (1, 2, 2, 2, 2), r"\d{8}": (2, 2, 2, 2), r"\d{6}": (2, 2, 2), r"\d{4}": (2, 2), r"\d{3}": (3,), r"\d{2}": (2,)},
)
