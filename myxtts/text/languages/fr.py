"""French."""

from myxtts.text.languages.record import LATIN, Language, french_plural, noun, words

FRENCH = Language(
    code="fr",
    name="French",
    char_limit=273,
    letters=LATIN + "àâæçéèêëîïôœùûüÿ",
    abbreviations={
        "m": "monsieur",
        "mme": "madame",
        "mlle": "mademoiselle",
        "dr": "docteur",
        "st": "saint",
        "ste": "sainte",
    },
    num2words="fr",
    point="virgule",
    ordinals={"er|re|ère|ème|e": words("fr", "ordinal")},
    plural=french_plural,
    symbols={
        "&": "et",
        "%": "pour cent",
        "@": "arobase",
        "+": "plus",
        "=": "égale",
        "minus": "moins",
        "°": "degrés",
        "#": "numéro",
    },
    currencies={
        "$": noun("dollar", "dollars"),
        "€": noun("euro", "euros"),
        "£": noun("livre", "livres"),
    },
    time=("{hour} heures", "{hour} heures {minute}", "{hour} heures {minute} {second}"),
    time_marks={"heures": ""},
)
