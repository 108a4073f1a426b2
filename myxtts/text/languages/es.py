"""Spanish."""

from myxtts.text.languages.record import LATIN, Language, noun, words

SPANISH = Language(
    code="es",
    name="Spanish",
    char_limit=239,
    letters=LATIN + "áéíóúüñ",
    punctuation=".,;:!?'-¿¡",
    abbreviations={
        "sr": "señor",
        "sra": "señora",
        "srta": "señorita",
        "dr": "doctor",
        "dra": "doctora",
        "ud": "usted",
        "uds": "ustedes",
        "etc": "etcétera",
    },
    num2words="es",
    point="coma",
    ordinals={"[ºª]": words("es", "ordinal")},
    symbols={
        "&": "y",
        "%": "por ciento",
        "@": "arroba",
        "+": "más",
        "=": "igual a",
        "minus": "menos",
        "°": "grados",
        "#": "número",
    },
    currencies={
        "$": noun("dólar", "dólares"),
        "€": noun("euro", "euros"),
        "£": noun("libra", "libras"),
    },
)
