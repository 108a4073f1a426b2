"""docs/languages.md: its examples run, and its new language is read."""

import re
from pathlib import Path

import pytest

from myxtts.text.languages import LANGUAGES

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


def test_every_language_is_named():
    assert not [record.name for record in LANGUAGES.values() if record.name not in PAGE]
