"""Portuguese, of Brazil: 16 is dezesseis and 10**9 um bilhão (in Portugal dezasseis and mil milhões)."""

import re

from myxtts.text.languages.record import (
    LATIN,
    Language,
    decimals_as_number,
    french_plural,
    months,
    noun,
    nouns,
    with_endings,
    words,
)

count = words("pt_BR")
ordinal = words("pt_BR", "ordinal")
_FEMININE = {r"\bum$": "uma", r"\bdois$": "duas", r"\bdois(?= mil\b)": "duas", r"\bum(?= mil\b)": "uma", r"entos\b": "entas"}
_FEMININE |= {"quinhentos": "quinhentas"}
counted = with_endings(count, {"f": _FEMININE})
_WORD = r"[^\W\d_]"


def feminine(number: int) -> str:
    return re.sub(r"o\b", "a", ordinal(number))


def day(number: int) -> str:
    return "primeiro" if number == 1 else count(number)


def plural(said: str) -> str:
    return re.sub(r"(?<=[oa])\b", "s", said)


def of_a_king(number: int) -> str:
    return ordinal(number) if number <= 10 else count(number)


_MASCULINE_AS = (
    "dias|problemas|sistemas|programas|temas|planetas|mapas|idiomas|gramas|quilogramas|poemas|climas|artistas|turistas|atletas|telegramas"
)
_ALONE = "(?<!\\b[Oo] )(?<!\\b[DdNn]o )(?<!\\bao )(?<!\\bnúmero )(?<!\\bnº )"  # the number of something
_NUMBER = r"(?<![\w.,:/+$€£-])(?<![$€£] )(\d{1,6})"
_KINGS = "pedro joão paulo carlos afonso filipe felipe luís henrique pio bento napoleão manuel sancho maria elizabeth isabel"

PORTUGUESE = Language(
    code="pt",
    name="Portuguese",
    char_limit=203,
    letters=LATIN + "áâãàçéêíóôõúü",
    abbreviations={
        "sr": "senhor",
        "sra": "senhora",
        "srs": "senhores",
        "srta": "senhorita",
        "dr": "doutor",
        "dra": "doutora",
        "d": "dom",
        "prof": "professor",
        "profa": "professora",
        "eng": "engenheiro",
        "st": "santo",
        "sto": "santo",
        "sta": "santa",
        "etc": "etcétera",
        "p. ex": "por exemplo",
        "p.ex": "por exemplo",
        "ex": "exemplo",
        "co": "companhia",
        "cia": "companhia",
        "jr": "júnior",
        "ltd": "limitada",
        "ltda": "limitada",
        "av": "avenida",
        "pág": "página",
        "pp": "páginas",
        "págs": "páginas",
        "núm": "número",
        "tel": "telefone",
        "art": "artigo",
        "cap": "capítulo",
        "vol": "volume",
        "aprox": "aproximadamente",
        "a. c": "antes de cristo",
        "a.c": "antes de cristo",
        "d. c": "depois de cristo",
        "d.c": "depois de cristo",
    },
    abbreviations_bare={"nº": "número", "n.º": "número", "n°": "número", "mi": "milhões", "bi": "bilhões"},
    cardinal=count,
    counted=counted,
    decimal=decimals_as_number(count, "vírgula"),
    point="vírgula",
    scales={
        "milhão": "milhão de",
        "milhões": "milhões de",
        "bilhão": "bilhão de",
        "bilhões": "bilhões de",
        "trilhões": "trilhões de",
        "mil": "mil",
    },
    fractions={2: noun("meio", "meios"), 3: noun("terço", "terços")} | {b: noun(ordinal(b), f"{ordinal(b)}s") for b in range(4, 11)},
    ordinals={
        r"\.?º|o": ordinal,
        r"\.?ª|a": feminine,
        "os": lambda number: plural(ordinal(number)),
        "as": lambda number: plural(feminine(number)),
    },
    readings={
        # 2 maçãs, 21 pessoas, 200 casas; 1 casa
        rf"{_NUMBER}(?= (?!{_MASCULINE_AS}|\w+lhões)(?:{_WORD}+(?:as|ãs|ões|dades|vezes)|mulheres|mães|flores)\b)": lambda m: counted(
            int(m[1]), "f"
        ),
        rf"{_ALONE}{_NUMBER}(?<!\d\d)(?<=1)(?= (?!a\b|para\b|contra\b|era\b)(?:{_WORD}{{2,}}a|{_WORD}+ção|{_WORD}+dade|vez)\b)": lambda m: (
            "uma"
        ),
    },
    digits_after=("código", "cep", "pin"),
    version_after=("versão",),
    plural=french_plural,
    range_word="a",
    roman=dict.fromkeys(("século", "capítulo", "tomo", "parte", "volume", "ato", "guerra mundial"), "{cardinal}")
    | dict.fromkeys(_KINGS.split(), of_a_king),
    symbols={
        "&": "e",
        "%": "por cento",
        "@": "arroba",
        "+": "mais",
        "=": "igual a",
        "minus": "menos",
        "°": "graus",
        "#": "número",
        "hashtag": "hashtag",
        "×": "vezes",
        "÷": "dividido por",
        "§": "parágrafo",
    },
    address={".": "ponto", "@": "arroba", "/": "barra", "-": "hífen", "_": "sublinhado", ":": "dois pontos", "?": "interrogação"}
    | {"=": "igual", "&": "e", "#": "cerquilha", "%": "por cento", "+": "mais", "~": "til"},
    currencies=nouns(
        {"$": "dólar|dólares", "us$": "dólar|dólares", "usd": "dólar|dólares", "€": "euro|euros", "eur": "euro|euros"}
        | {"r$": "real|reais", "brl": "real|reais", "¥": "iene|ienes", "₽": "rublo|rublos", "¢": "centavo|centavos"},
        "m",
    )
    | nouns({"£": "libra|libras", "gbp": "libra|libras", "₹": "rupia|rupias"}, "f"),
    subunits=nouns(
        dict.fromkeys(("$", "us$", "usd", "r$", "brl"), "centavo|centavos") | dict.fromkeys(("€", "eur"), "cêntimo|cêntimos"), "m"
    )
    | nouns({"£": "pêni|pence", "gbp": "pêni|pence"}, "m"),
    units=nouns(
        {"mm": "milímetro|milímetros", "cm": "centímetro|centímetros", "m": "metro|metros", "km": "quilômetro|quilômetros"}
        | {"m²": "metro quadrado|metros quadrados", "km²": "quilômetro quadrado|quilômetros quadrados", "m³": "metro cúbico|metros cúbicos"}
        | {"ha": "hectare|hectares", "km/h": "quilômetro por hora|quilômetros por hora", "m/s": "metro por segundo|metros por segundo"}
        | {"mg": "miligrama|miligramas", "g": "grama|gramas", "kg": "quilo|quilos", "ml": "mililitro|mililitros", "l": "litro|litros"}
        | {
            "°c": "grau celsius|graus celsius",
            "ºc": "grau celsius|graus celsius",
            "°f": "grau fahrenheit|graus fahrenheit",
            "°": "grau|graus",
        }
        | {"kb": "quilobyte|quilobytes", "mb": "megabyte|megabytes", "gb": "gigabyte|gigabytes", "tb": "terabyte|terabytes"}
        | {"hz": "hertz", "khz": "quilohertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "watt|watts", "kw": "quilowatt|quilowatts"}
        | {"kwh": "quilowatt-hora|quilowatts-hora", "v": "volt|volts", "s": "segundo|segundos", "min": "minuto|minutos"},
        "m",
    )
    | nouns({"h": "hora|horas", "t": "tonelada|toneladas"}, "f"),
    calendars=months(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan fev mar abr - jun jul ago set out nov dez",
        words=("mar",),
    ),
    date="{day} de {month} de {year}",
    day_month="{day} de {month}",
    and_year="{date} de {year}",
    month_link="de ",
    day=day,
    time=("{hour} {hours}", "{hour} e {minute}", "{hour} e {minute} e {second} {seconds}"),
    time_sign=":h",
    time_marks={"h": "", "min": "", "hs": ""},
    hour=noun("hora", "horas", gender="f"),
    second=noun("segundo", "segundos", gender="m"),
)
