"""Turkish."""

from myxtts.text.languages.record import LATIN, Language, never, noun


def lower(text: str) -> str:
    """I is the capital of ı, İ of i."""
    return text.replace("İ", "i").replace("I", "ı").lower()


TURKISH = Language(
    code="tr",
    name="Turkish",
    char_limit=226,
    letters=LATIN + "çğıöşüâîû",
    abbreviations={
        "dr": "doktor",
        "prof": "profesör",
        "vb": "ve benzeri",
        "vs": "vesaire",
        "sn": "sayın",
    },
    lower=lower,
    num2words="tr",
    point="virgül",
    plural=never,
    symbols={
        "&": "ve",
        "%": "yüzde",
        "@": "et",
        "+": "artı",
        "=": "eşittir",
        "minus": "eksi",
        "°": "derece",
        "#": "numara",
    },
    percent_first=True,
    currencies={
        "$": noun("dolar"),
        "€": noun("avro"),
        "£": noun("sterlin"),
        "₺": noun("lira"),
    },
)
