"""Persian decimals and ordinals. num2words counts; its 30th (سیم) and its 0.05 (نیم) are mistakes."""

from functools import lru_cache

from myxtts.text.languages.record import ZWNJ, words

cardinal = words("fa")
_PLACES = ("", "دهم", "صدم", "هزارم")


@lru_cache(maxsize=10_000)
def ordinal(number: int) -> str:
    """سوم، بیست و یکم، سی‌ام"""
    said = cardinal(number)
    if said.endswith("سه"):
        return f"{said[:-2]}سوم"
    return f"{said}{ZWNJ}ام" if said.endswith("سی") else f"{said}م"


@lru_cache(maxsize=10_000)
def preceding_ordinal(number: int) -> str:
    """Before its noun: اولین، سومین، سی‌امین"""
    return "اولین" if number == 1 else f"{ordinal(number)}ین"


def decimal(whole: str, decimals: str) -> str | None:
    """3.5 سه و نیم, 2.25 دو و بیست و پنج صدم, 0.3 سه دهم, 25.000 بیست و پنج هزار; finer ones are read digit by digit after ممیز."""
    if decimals == "000" and whole.strip("0"):
        return cardinal(int(f"{whole}000"))
    digits = decimals.rstrip("0")
    if not 0 < len(digits) <= 3:
        return None
    part = "نیم" if digits == "5" else f"{cardinal(int(digits))} {_PLACES[len(digits)]}"
    return f"{cardinal(int(whole))} و {part}" if int(whole) else part
