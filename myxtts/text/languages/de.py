"""German."""

from myxtts.text.languages.record import LATIN, Language, noun

GERMAN = Language(
    code="de",
    name="German",
    char_limit=253,
    letters=LATIN + "äöüß",
    abbreviations={
        "hr": "herr",
        "fr": "frau",
        "dr": "doktor",
        "prof": "professor",
        "str": "straße",
        "nr": "nummer",
        "usw": "und so weiter",
        "z.b": "zum beispiel",
        "d.h": "das heißt",
        "bzw": "beziehungsweise",
        "ca": "circa",
    },
    num2words="de",
    point="komma",
    symbols={
        "&": "und",
        "%": "prozent",
        "@": "at",
        "+": "plus",
        "=": "gleich",
        "minus": "minus",
        "°": "grad",
        "#": "nummer",
    },
    currencies={
        "$": noun("dollar"),
        "€": noun("euro"),
        "£": noun("pfund"),
    },
    time=("{hour} uhr", "{hour} uhr {minute}", "{hour} uhr {minute} {second}"),
    time_marks={"uhr": ""},
)
