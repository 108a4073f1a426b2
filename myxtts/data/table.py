"""The working table of `prepare`: one row for each row of the manifest, on disk, so that memory does not grow with the corpus.

SQLite in a temporary file. Values that no query looks at stay in `facts`, as JSON.
"""

import json
import math
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from myxtts.config import DataError
from myxtts.data.manifest import Utterance
from myxtts.data.scratch import open_scratch
from myxtts.data.splits import SplitRow, sentence_hash

_PREFIX = "rows-"
_PAGE = 2000  # rows that are read at once
_HALF = 1 << 63  # SQLite's integers have a sign, hashes of sentences have none
_UTTERANCE = ", ".join(f'"{field.name}"' for field in fields(Utterance))
_CREATE = f"""
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, {_UTTERANCE}, sentence INTEGER,
    reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    key TEXT NOT NULL DEFAULT '', facts TEXT NOT NULL DEFAULT '{{}}', sound TEXT NOT NULL DEFAULT '', rate REAL
)
"""


@dataclass
class Row:
    """A row at work. reason, detail: why it is not used ("" while it is); facts: what was measured; key: of its processed clip."""

    number: int
    utterance: Utterance
    reason: str
    detail: str
    key: str
    facts: dict[str, Any]


class Table:
    """A context manager; the file is removed at its end. Raises DataError when the disk is full."""

    def __init__(self, folder: Path | None = None):
        """folder: where the temporary file lies (default: the system's folder for such, which may be in memory).

        What a kill left behind there is removed after two days.
        """
        for left in Path(folder).glob(f"{_PREFIX}*") if folder else ():
            if time.time() - left.stat().st_mtime > 2 * 86400:
                shutil.rmtree(left, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
        self.base = open_scratch(Path(self._folder.name) / "rows.sqlite")
        # SQLite's own are missing from some builds
        self.base.create_function("EXP", 1, math.exp, deterministic=True)
        self.base.create_function("LN", 1, lambda value: math.log(value) if value else None, deterministic=True)
        self.base.execute(_CREATE)

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.base.close()
        self._folder.cleanup()

    def add(self, utterance: Utterance, facts: Mapping[str, Any], reason: str = "", detail: str = "") -> None:
        """The next row, in the manifest's order."""
        sentence = sentence_hash(utterance.normalized) - _HALF
        values = (*astuple(utterance), sentence, reason, detail, _json(facts))
        self.run(f"INSERT INTO rows ({_UTTERANCE}, sentence, reason, detail, facts) VALUES ({', '.join('?' * len(values))})", values)

    def note(self, number: int, key: str, facts: Mapping[str, Any], reason: str, detail: str) -> None:
        """What became of a row's clip. `rate` is the logarithm of its characters (but spaces) per second."""
        self.run(
            "UPDATE rows SET key = ?, facts = JSON_PATCH(facts, ?), reason = ?, detail = ?, sound = ?, "
            "rate = LN(LENGTH(REPLACE(normalized, ' ', '')) / ?) WHERE number = ?",
            (key, _json(facts), reason, detail, facts.get("sound", ""), facts.get("seconds") or None, number),
        )

    def update(self, number: int, **values: Any) -> None:
        """Sets columns of one row."""
        names = ", ".join(f'"{name}" = ?' for name in values)
        self.run(f"UPDATE rows SET {names} WHERE number = ?", (*values.values(), number))

    def rows(self, where: str = "1") -> Iterator[Row]:
        """The rows for which an SQL condition holds, in the manifest's order; they may be changed meanwhile."""
        for number, reason, detail, key, facts, *values in self._pages(f"reason, detail, key, facts, {_UTTERANCE}", where):
            yield Row(number, Utterance(*values), reason, detail, key, json.loads(facts))

    def split_rows(self) -> Iterator[tuple[int, SplitRow]]:
        """(number, what its set depends on) of the rows that are used; they may be changed meanwhile."""
        for number, identifier, speaker, sentence, split, corpus in self._pages("id, speaker, sentence, split, corpus", "reason = ''"):
            yield number, SplitRow(identifier, speaker, sentence + _HALF, split, corpus)

    def count(self, where: str = "1") -> int:
        return self.base.execute(f"SELECT COUNT(*) FROM rows WHERE {where}").fetchone()[0]

    def run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        try:
            return self.base.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise DataError(f"cannot write the table of rows in {self._folder.name}: {error}; free space there") from None

    def _pages(self, columns: str, where: str) -> Iterator[tuple]:
        last = 0
        query = f"SELECT number, {columns} FROM rows WHERE number > ? AND ({where}) ORDER BY number LIMIT {_PAGE}"
        while page := self.base.execute(query, (last,)).fetchall():
            yield from page
            last = page[-1][0]


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)
