"""Spanish."""

import re

from myxtts.text.languages.record import LATIN, Language, decimals_as_number, months, noun, nouns, roman_value, with_endings, words

_count = words("es")
_WORD = r"[^\W\d_]"


def count(number: int) -> str:
    """num2words says veintiuno mil."""
    return re.sub(r"\buno(?= mil)", "un", _count(number).replace("veintiuno mil", "veintiún mil"))


_FEMININE = {
    r"uno$": "una",
    r"cientos\b": "cientas",
    r"quinientos\b": "quinientas",
    "veintiún mil\\b": "veintiuna mil",
    r"un (?=mil\b)": "una ",
}
counted = with_endings(count, {"m": {r"veintiuno$": "veintiún", r"uno$": "un"}, "f": _FEMININE})


def _century(match: re.Match) -> str | None:
    return f"siglo {count(value)}" if (value := roman_value(match[1])) else None


def one_million(text: str) -> str:
    return text.replace("uno millón", "un millón") if "uno millón" in text else text


_UNITS = ["primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno"]
_TENS = ["décimo", "vigésimo", "trigésimo", "cuadragésimo", "quincuagésimo", "sexagésimo", "septuagésimo", "octogésimo", "nonagésimo"]


def ordinal(number: int) -> str:
    """To the hundredth; beyond it a cardinal is said. num2words has décimoprimero and quadragésimo."""
    if not 0 < number < 100:
        return "centésimo" if number == 100 else count(number)
    tens, unit = divmod(number, 10)
    if tens == 1 and unit in (1, 2):
        return ("undécimo", "duodécimo")[unit - 1]
    return " ".join([*_TENS[tens - 1 : tens or -10], *_UNITS[unit - 1 : unit or -10]])


def feminine(number: int) -> str:
    return re.sub(r"o\b", "a", ordinal(number)) if number <= 100 else count(number)


def before_noun(number: int) -> str:
    """1er, 3er: primer, tercer."""
    return re.sub(r"(primer|tercer)o$", r"\1", ordinal(number))


def plural(said: str) -> str:
    return re.sub(r"(?<=[oa])\b", "s", said)


def of_a_king(number: int) -> str:
    return ordinal(number) if number <= 10 else count(number)


_MASCULINE_AS = (
    "días|problemas|sistemas|programas|temas|planetas|mapas|idiomas|gramas|kilogramas|poemas|dramas|climas|artistas|turistas|atletas"
)
_NO_NOUN = "de|es|ante|entre|desde|sobre|por|que|se|le|me|te|no|lo|como|pero|cuando|donde"
_ALONE = "(?<!\\b[Ee]l )(?<!\\b[Dd]el )(?<!\\b[Aa]l )(?<!\\bnúmero )(?<!\\bnº )"  # the number of something
_NUMBER = r"(?<![\w.,:/+$€£-])(?<![$€£] )(\d{1,6})"
_KINGS = "felipe carlos alfonso fernando luis enrique pío juan pablo benedicto napoleón jaime sancho ramiro guillermo jorge francisco"
# cardinals that change before a noun
_CHANGING = r"(?:(?<=\d[2-9]1)|(?<=\b[2-9]1)|(?<=[2-9]\d\d))"

SPANISH = Language(
    code="es",
    name="Spanish",
    char_limit=239,
    letters=LATIN + "áéíóúüñç",
    punctuation=".,;:!?'-¿¡",
    joining=one_million,
    abbreviations={
        "sr": "señor",
        "sra": "señora",
        "srta": "señorita",
        "sres": "señores",
        "dr": "doctor",
        "dra": "doctora",
        "d": "don",
        "dña": "doña",
        "prof": "profesor",
        "ing": "ingeniero",
        "lic": "licenciado",
        "gral": "general",
        "st": "santo",
        "sto": "santo",
        "sta": "santa",
        "ud": "usted",
        "uds": "ustedes",
        "vd": "usted",
        "etc": "etcétera",
        "p. ej": "por ejemplo",
        "p.ej": "por ejemplo",
        "ej": "ejemplo",
        "co": "compañía",
        "cía": "compañía",
        "jr": "junior",
        "ltd": "limitada",
        "ltda": "limitada",
        "av": "avenida",
        "avda": "avenida",
        "pág": "página",
        "pp": "páginas",
        "págs": "páginas",
        "núm": "número",
        "tel": "teléfono",
        "aprox": "aproximadamente",
        "art": "artículo",
        "cap": "capítulo",
        "vol": "volumen",
        "dpto": "departamento",
        "depto": "departamento",
    },
    abbreviations_bare={
        "ee. uu": "estados unidos",
        "ee.uu": "estados unidos",
        "a. c": "antes de cristo",
        "a.c": "antes de cristo",
        "d. c": "después de cristo",
        "d.c": "después de cristo",
        "nº": "número",
        "dª": "doña",
        "mª": "maría",
        "n.º": "número",
    },
    cardinal=count,
    counted=counted,
    decimal=decimals_as_number(count, "coma"),
    point="coma",
    scales={"millón": "millón de", "millones": "millones de", "mil millones": "mil millones de", "billones": "billones de", "mil": "mil"},
    fractions={2: noun("medio", "medios", gender="m"), 3: noun("tercio", "tercios", gender="m")}
    | {bottom: noun(ordinal(bottom), f"{ordinal(bottom)}s", gender="m") for bottom in range(4, 11)},
    ordinals={
        r"\.?ª|a": feminine,
        "as": lambda number: plural(feminine(number)),
        "os": lambda number: plural(ordinal(number)),
        rf"\.?er|\.?º(?= (?!de\b|del|en\b|que|por|con\b|fue|es\b){_WORD}{{2}})": before_noun,
        r"\.?º|o": ordinal,
    },
    readings={
        r"(?<!\w)[Ss]\. ?([IVX]+)(?!\w)": _century,
        r"(?<![\w.,])(\d{1,3})\.er(?!\w)": lambda match: before_noun(int(match[1])),
        # 21 personas, 200 casas; 21 años, 1 libro
        rf"{_NUMBER}{_CHANGING}(?= (?!{_MASCULINE_AS}){_WORD}+as\b)": lambda match: counted(int(match[1]), "f"),
        rf"{_NUMBER}{_CHANGING}(?= (?:{_MASCULINE_AS}|{_WORD}+[oe]s)\b)(?! millones [$€£])": lambda match: counted(int(match[1]), "m"),
        rf"{_ALONE}{_NUMBER}(?<!\d\d)(?<=1)(?= (?!(?:{_NO_NOUN})\b){_WORD}+[oer]\b)": lambda match: counted(int(match[1]), "m"),
        rf"{_ALONE}{_NUMBER}(?<!\d\d)(?<=1)(?= (?!a\b|para\b|hasta\b|contra\b|y\b|era\b){_WORD}+(?:a|ión|dad)\b)": lambda m: counted(
            int(m[1]), "f"
        ),
    },
    digits_after=("código", "código postal", "pin"),
    version_after=("versión",),
    range_word="a",
    roman=dict.fromkeys(("siglo", "capítulo", "tomo", "parte", "volumen", "tema", "acto", "guerra mundial"), "{cardinal}")
    | dict.fromkeys(_KINGS.split(), of_a_king)
    | {"isabel": feminine},
    symbols={
        "&": "y",
        "%": "por ciento",
        "@": "arroba",
        "+": "más",
        "=": "igual a",
        "minus": "menos",
        "°": "grados",
        "#": "número",
        "hashtag": "hashtag",
        "×": "por",
        "÷": "entre",
        "§": "sección",
    },
    address={".": "punto", "@": "arroba", "/": "barra", "-": "guion", "_": "guion bajo", ":": "dos puntos", "?": "interrogación"}
    | {"=": "igual", "&": "y", "#": "almohadilla", "%": "por ciento", "+": "más", "~": "virgulilla"},
    currencies=nouns(
        {"$": "dólar|dólares", "us$": "dólar|dólares", "usd": "dólar|dólares", "€": "euro|euros", "eur": "euro|euros"}
        | {"mxn": "peso|pesos", "¥": "yen|yenes", "¢": "centavo|centavos", "₽": "rublo|rublos", "chf": "franco suizo|francos suizos"},
        "m",
    )
    | nouns({"£": "libra|libras", "gbp": "libra|libras", "₹": "rupia|rupias"}, "f"),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd"), "centavo|centavos") | dict.fromkeys(("€", "eur"), "céntimo|céntimos"), "m")
    | nouns({"£": "penique|peniques", "gbp": "penique|peniques"}, "m"),
    amount_joint=" con ",
    units=nouns(
        {"mm": "milímetro|milímetros", "cm": "centímetro|centímetros", "m": "metro|metros", "km": "kilómetro|kilómetros"}
        | {"m²": "metro cuadrado|metros cuadrados", "km²": "kilómetro cuadrado|kilómetros cuadrados", "m³": "metro cúbico|metros cúbicos"}
        | {"km/h": "kilómetro por hora|kilómetros por hora", "m/s": "metro por segundo|metros por segundo"}
        | {"mg": "miligramo|miligramos", "g": "gramo|gramos", "kg": "kilo|kilos", "ml": "mililitro|mililitros", "l": "litro|litros"}
        | {"ha": "hectárea|hectáreas", "°c": "grado celsius|grados celsius", "ºc": "grado celsius|grados celsius"}
        | {"°f": "grado fahrenheit|grados fahrenheit", "°": "grado|grados", "kb": "kilobyte|kilobytes", "mb": "megabyte|megabytes"}
        | {"gb": "gigabyte|gigabytes", "tb": "terabyte|terabytes", "hz": "hercio|hercios", "khz": "kilohercio|kilohercios"}
        | {"mhz": "megahercio|megahercios", "ghz": "gigahercio|gigahercios", "w": "vatio|vatios", "kw": "kilovatio|kilovatios"}
        | {"kwh": "kilovatio hora|kilovatios hora", "v": "voltio|voltios", "s": "segundo|segundos", "min": "minuto|minutos"},
        "m",
    )
    | nouns({"h": "hora|horas", "t": "tonelada|toneladas"}, "f"),
    calendars=months(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr - jun jul ago sept oct nov dic",
        words=("mar",),
    ),
    date="{day} de {month} de {year}",
    day_month="{day} de {month}",
    and_year="{date} de {year}",
    month_link="de ",
    time=("{hour}", "{hour} y {minute}", "{hour} y {minute} y {second} {seconds}"),
    time_late="{hour} {hours}",
    time_marks={
        "h": "",
        "hrs": "",
        "a. m.": "a m",
        "p. m.": "p m",
        "a.m.": "a m",
        "p.m.": "p m",
        "a.m": "a m",
        "p.m": "p m",
        "am": "a m",
        "pm": "p m",
    },
    hour=noun("hora", "horas", gender="f"),
    second=noun("segundo", "segundos", gender="m"),
)
