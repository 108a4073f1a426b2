"""docs/languages.md: its examples run, and its new language is read."""

import re
from pathlib import Path

import pytest

from myxtts.text.languages import LANGUAGES
from myxtts.text.normalize import normalize, unknown_characters

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "languages.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture
def languages():
    before = dict(LANGUAGES)
    yield LANGUAGES
    LANGUAGES.clear()
    LANGUAGES.update(before)


def test_the_examples_run(languages):
    assert len(BLOCKS) == 2 and all("assert normalize" in block or "assert text" in block for block in BLOCKS)
    for block in BLOCKS:
        exec(block, {})
    assert set(languages) - {"sv"} == {*LANGUAGES} - {"sv"} and "sv" in languages


def test_the_new_language_reads_whatever_it_is_given(languages):
    exec(BLOCKS[1], {})
    numbers = ("2026-11-25", "25.11.2026 kl. 10:30", "1990", "3:e 21:a 0,5 1/2 7%", "5,50 €", "12 km/h", "+46 70 123 45 67", "10-12, 2-1")
    for text in (*numbers, "Å ä ö é!"):
        read = normalize(text, "sv")
        assert normalize(read, "sv") == read and not any(map(str.isdigit, read)) and not unknown_characters(read, "sv")


def test_every_language_is_named():
    assert not [record.name for record in LANGUAGES.values() if record.name not in PAGE]
