"""Korean."""

from myxtts.text.languages.record import Language, never, noun

KOREAN = Language(
    code="ko",
    name="Korean",
    char_limit=95,
    ranges=(
        (0xAC00, 0xD7A3),
        (0x3131, 0x318E),
    ),
    num2words="ko",
    point="점",
    decimal_comma=False,
    plural=never,
    symbols={
        "&": "그리고",
        "%": "퍼센트",
        "@": "골뱅이",
        "+": "더하기",
        "=": "는",
        "minus": "마이너스",
        "°": "도",
        "#": "번호",
    },
    currencies={
        "$": noun("달러"),
        "€": noun("유로"),
        "£": noun("파운드"),
        "₩": noun("원"),
    },
)
