"""Russian."""

from decimal import Decimal

from num2words import num2words

from myxtts.text.languages.record import LATIN, Language, east_slavic, noun


def decimal(whole: str, decimals: str) -> str | None:
    """Tenths, hundredths and thousandths."""
    return num2words(Decimal(f"{whole}.{decimals}"), lang="ru") if len(decimals) <= 3 and int(decimals) else None


RUSSIAN = Language(
    code="ru",
    name="Russian",
    char_limit=182,
    letters="абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    also=LATIN,
    abbreviations={
        "т.е": "то есть",
        "т.д": "так далее",
        "т.п": "тому подобное",
        "ул": "улица",
        "г-н": "господин",
    },
    num2words="ru",
    decimal=decimal,
    point="запятая",
    plural=east_slavic,
    symbols={
        "&": "и",
        "%": "процентов",
        "@": "собака",
        "+": "плюс",
        "=": "равно",
        "minus": "минус",
        "°": "градусов",
        "#": "номер",
        "№": "номер",
    },
    currencies={
        "$": noun("доллар", "долларов"),
        "€": noun("евро"),
        "£": noun("фунт", "фунтов"),
        "₽": noun("рубль", "рублей"),
    },
)
