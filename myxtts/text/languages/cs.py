"""Czech."""

from myxtts.text.languages.record import LATIN, Language, czech, noun

CZECH = Language(
    code="cs",
    name="Czech",
    char_limit=186,
    letters=LATIN + "áčďéěíňóřšťúůýž",
    abbreviations={
        "dr": "doktor",
        "ing": "inženýr",
        "např": "například",
        "atd": "a tak dále",
        "tj": "to je",
    },
    num2words="cs",
    point="celá",
    plural=czech,
    symbols={
        "&": "a",
        "%": "procent",
        "@": "zavináč",
        "+": "plus",
        "=": "rovná se",
        "minus": "minus",
        "°": "stupňů",
        "#": "číslo",
    },
    currencies={
        "$": noun("dolar", "dolarů"),
        "€": noun("euro", "eur"),
        "£": noun("libra", "liber"),
    },
)
