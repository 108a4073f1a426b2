"""Dutch."""

from myxtts.text.languages.record import LATIN, Language, noun, words

DUTCH = Language(
    code="nl",
    name="Dutch",
    char_limit=251,
    letters=LATIN + "áàâäéèêëíïóöúüĳ",
    abbreviations={
        "dhr": "de heer",
        "mevr": "mevrouw",
        "dr": "dokter",
        "enz": "enzovoort",
        "bijv": "bijvoorbeeld",
    },
    num2words="nl",
    point="komma",
    ordinals={"ste|de|e": words("nl", "ordinal")},
    symbols={
        "&": "en",
        "%": "procent",
        "@": "apenstaartje",
        "+": "plus",
        "=": "is gelijk aan",
        "minus": "min",
        "°": "graden",
        "#": "nummer",
    },
    currencies={
        "$": noun("dollar"),
        "€": noun("euro"),
        "£": noun("pond"),
    },
)
