"""Arabic."""

from myxtts.text.languages.record import LATIN, Language, never, noun

ARABIC = Language(
    code="ar",
    name="Arabic",
    char_limit=166,
    letters="ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچگڤ",
    also=LATIN,
    punctuation=".،؛:!؟'-",
    sentence_end=".!؟",
    letter_forms={"ی": "ي", "ک": "ك", "ٱ": "ا", "ہ": "ه", "ھ": "ه"},
    dropped="[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]",
    num2words="ar",
    point="فاصلة",
    decimal_comma=False,
    plural=never,
    symbols={
        "&": "و",
        "%": "بالمئة",
        "@": "آت",
        "+": "زائد",
        "=": "يساوي",
        "minus": "ناقص",
        "°": "درجة",
        "#": "رقم",
    },
    currencies={
        "$": noun("دولار"),
        "€": noun("يورو"),
        "£": noun("جنيه"),
    },
)
