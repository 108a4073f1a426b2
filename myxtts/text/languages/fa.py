"""Persian."""

from myxtts.text.languages.fa_spelling import spell_persian
from myxtts.text.languages.record import LATIN, ZWNJ, Language, never, noun

PERSIAN = Language(
    code="fa",
    name="Persian",
    char_limit=200,
    letters="ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی" + ZWNJ,
    also=LATIN,
    punctuation=".،؛:!؟'-",
    sentence_end=".!؟",
    letter_forms={
        "هٔ": f"ه{ZWNJ}ی",
        **dict.fromkeys("يىېے", "ی"),
        **dict.fromkeys("كڪ", "ک"),
        **dict.fromkeys("ةہھ", "ه"),
        **dict.fromkeys("إٱ", "ا"),
    },
    dropped="[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]",
    spelling=spell_persian,
    abbreviations={
        "ه.ش": "هجری شمسی",
        "ه.ق": "هجری قمری",
        "ق.م": "قبل از میلاد",
    },
    num2words="fa",
    point="ممیز",
    decimal_comma=False,
    plural=never,
    symbols={
        "&": "و",
        "%": "درصد",
        "@": "ات",
        "+": "به‌علاوه",
        "=": "مساوی",
        "minus": "منفی",
        "°": "درجه",
        "#": "شماره",
    },
    currencies={
        "$": noun("دلار"),
        "€": noun("یورو"),
        "£": noun("پوند"),
        "﷼": noun("ریال"),
    },
    time=("{hour}", "{hour} و {minute} دقیقه", "{hour} و {minute} دقیقه {second}"),
)
