"""Italian."""

from myxtts.text.languages.record import LATIN, Language, noun, words

ITALIAN = Language(
    code="it",
    name="Italian",
    char_limit=213,
    letters=LATIN + "àèéìíîòóùú",
    abbreviations={
        "sig": "signor",
        "sig.ra": "signora",
        "dott": "dottor",
        "ing": "ingegner",
        "avv": "avvocato",
        "ecc": "eccetera",
    },
    num2words="it",
    point="virgola",
    ordinals={"[ºª]": words("it", "ordinal")},
    symbols={
        "&": "e",
        "%": "per cento",
        "@": "chiocciola",
        "+": "più",
        "=": "uguale",
        "minus": "meno",
        "°": "gradi",
        "#": "numero",
    },
    currencies={
        "$": noun("dollaro", "dollari"),
        "€": noun("euro"),
        "£": noun("sterlina", "sterline"),
    },
)
