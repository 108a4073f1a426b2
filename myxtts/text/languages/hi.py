"""Hindi."""

from myxtts.text.languages.record import LATIN, Language, noun

_NAMES = (
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस इक्कीस बाईस तेईस चौबीस पच्चीस "
    "छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस "
    "चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ "
    "तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी अस्सी "
    "इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे "
    "अट्ठानवे निन्यानवे"
)
_WORDS = _NAMES.split()
_SCALES = ((10**11, "खरब"), (10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))


def count(number: int) -> str:
    """num2words has no Hindi."""
    if number < 100:
        return _WORDS[number]
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    rest = f" {count(number % scale)}" if number % scale else ""
    return f"{count(number // scale)} {name}{rest}"


HINDI = Language(
    code="hi",
    name="Hindi",
    char_limit=150,
    letters="",
    ranges=(
        (0x0900, 0x0963),
        (0x0970, 0x097F),
    ),
    also=LATIN,
    punctuation="।.,;:!?'-",
    sentence_end="।.!?",
    cardinal=count,
    point="दशमलव",
    decimal_comma=False,
    symbols={
        "&": "और",
        "%": "प्रतिशत",
        "@": "ऐट",
        "+": "जमा",
        "=": "बराबर",
        "minus": "ऋण",
        "°": "डिग्री",
        "#": "नंबर",
    },
    currencies={
        "$": noun("डॉलर"),
        "€": noun("यूरो"),
        "£": noun("पाउंड"),
        "₹": noun("रुपया", "रुपये"),
    },
)
