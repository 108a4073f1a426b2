"""What every table of readings asks of a language: as expected, read once and for all, with nothing left that it does not know."""

import unicodedata

from myxtts.text.normalize import normalize, unknown_characters

Table = list[tuple[str, str]]


def cases(tables: dict[str, Table]) -> list[tuple[str, str, str]]:
    """(language, text, expected) of the tables by language."""
    return [(code, *row) for code, rows in tables.items() for row in rows]


def check_reading(code: str, text: str, expected: str) -> None:
    result = normalize(text, code)
    assert result == unicodedata.normalize("NFC", expected)
    assert normalize(result, code) == result and not unknown_characters(result, code)


def check_there_are_many(tables: dict[str, Table]) -> None:
    assert all(len(rows) >= 20 for rows in tables.values())
