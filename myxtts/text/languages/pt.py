"""Portuguese."""

from myxtts.text.languages.record import LATIN, Language, noun, words

PORTUGUESE = Language(
    code="pt",
    name="Portuguese",
    char_limit=203,
    letters=LATIN + "áâãàçéêíóôõúü",
    abbreviations={
        "sr": "senhor",
        "sra": "senhora",
        "dr": "doutor",
        "dra": "doutora",
        "etc": "etcétera",
    },
    num2words="pt",
    point="vírgula",
    ordinals={"[ºª]": words("pt", "ordinal")},
    symbols={
        "&": "e",
        "%": "por cento",
        "@": "arroba",
        "+": "mais",
        "=": "igual a",
        "minus": "menos",
        "°": "graus",
        "#": "número",
    },
    currencies={
        "$": noun("dólar", "dólares"),
        "€": noun("euro", "euros"),
        "£": noun("libra", "libras"),
    },
)
