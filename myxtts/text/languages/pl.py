"""Polish."""

from myxtts.text.languages.record import LATIN, Language, noun, polish

POLISH = Language(
    code="pl",
    name="Polish",
    char_limit=224,
    letters=LATIN + "ąćęłńóśźż",
    abbreviations={
        "dr": "doktor",
        "np": "na przykład",
        "itd": "i tak dalej",
        "ul": "ulica",
        "m.in": "między innymi",
    },
    num2words="pl",
    point="przecinek",
    plural=polish,
    symbols={
        "&": "i",
        "%": "procent",
        "@": "małpa",
        "+": "plus",
        "=": "równa się",
        "minus": "minus",
        "°": "stopni",
        "#": "numer",
    },
    currencies={
        "$": noun("dolar", "dolarów"),
        "€": noun("euro"),
        "£": noun("funt", "funtów"),
    },
)
