"""Hungarian."""

from myxtts.text.languages.record import LATIN, Language, never, noun

HUNGARIAN = Language(
    code="hu",
    name="Hungarian",
    char_limit=224,
    letters=LATIN + "áéíóöőúüű",
    abbreviations={
        "dr": "doktor",
        "pl": "például",
        "stb": "satöbbi",
        "kb": "körülbelül",
        "u": "utca",
    },
    num2words="hu",
    point="egész",
    plural=never,
    symbols={
        "&": "és",
        "%": "százalék",
        "@": "kukac",
        "+": "plusz",
        "=": "egyenlő",
        "minus": "mínusz",
        "°": "fok",
        "#": "szám",
    },
    currencies={
        "$": noun("dollár"),
        "€": noun("euró"),
        "£": noun("font"),
    },
)
