"""The working table of `prepare`: one row for each row of the manifest, on disk, so that memory does not grow with the corpus.

SQLite in a temporary file. Values that only one pass needs stay in `facts`, as JSON.
"""

import json
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from myxtts.config import DataError
from myxtts.data.manifest import Utterance

_PAGE = 2000  # rows that are read at once
_NAMES = [field.name for field in fields(Utterance)]


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
        """folder: where the temporary file lies (default: the system's)."""
        self._folder = tempfile.TemporaryDirectory(prefix="myxtts-", dir=folder)
        self.base = sqlite3.connect(Path(self._folder.name) / "rows.sqlite", isolation_level=None)
        # SQLite's own are missing from some builds
        self.base.create_function("EXP", 1, math.exp, deterministic=True)
        self.base.create_function("LN", 1, lambda value: math.log(value) if value else None, deterministic=True)
        self.base.execute("PRAGMA journal_mode = OFF")
        self.base.execute("PRAGMA synchronous = OFF")
        self.base.execute("PRAGMA temp_store = FILE")
        columns = ", ".join(f'"{name}"' for name in _NAMES)
        self.base.execute(
            f"CREATE TABLE rows (number INTEGER PRIMARY KEY, {columns}, reason TEXT DEFAULT '', detail TEXT DEFAULT '', "
            "key TEXT DEFAULT '', facts TEXT DEFAULT '{}', sound TEXT, rate REAL)"
        )
        self.base.execute("BEGIN")

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.base.close()
        self._folder.cleanup()

    def add(self, utterance: Utterance, facts: Mapping[str, Any], reason: str = "", detail: str = "") -> None:
        """The next row, in the manifest's order."""
        marks = ", ".join("?" * (len(_NAMES) + 3))
        names = ", ".join(f'"{name}"' for name in (*_NAMES, "reason", "detail", "facts"))
        self.run(
            f"INSERT INTO rows ({names}) VALUES ({marks})", (*astuple(utterance), reason, detail, json.dumps(facts, ensure_ascii=False))
        )

    def rows(self, where: str = "1") -> Iterator[Row]:
        """The rows for which an SQL condition holds, in the manifest's order; they may be changed meanwhile."""
        last = 0
        columns = ", ".join(f'"{name}"' for name in _NAMES)
        of_page = f"number > ? AND ({where}) ORDER BY number LIMIT {_PAGE}"
        query = f"SELECT number, reason, detail, key, facts, {columns} FROM rows WHERE {of_page}"
        while page := self.base.execute(query, (last,)).fetchall():
            for number, reason, detail, key, facts, *values in page:
                yield Row(number, Utterance(*values), reason, detail, key, json.loads(facts))
            last = page[-1][0]

    def note(self, number: int, key: str, facts: Mapping[str, Any], reason: str, detail: str) -> None:
        """What became of a row's clip. `rate` is the logarithm of its characters (but spaces) per second."""
        seconds = facts.get("seconds") or None
        self.run(
            "UPDATE rows SET key = ?, facts = JSON_PATCH(facts, ?), reason = ?, detail = ?, sound = ?, "
            "rate = LN(LENGTH(REPLACE(normalized, ' ', '')) / ?) WHERE number = ?",
            (key, json.dumps(facts, ensure_ascii=False), reason, detail, facts.get("sound", ""), seconds, number),
        )

    def update(self, number: int, **values: Any) -> None:
        """Sets columns of one row."""
        names = ", ".join(f'"{name}" = ?' for name in values)
        self.run(f"UPDATE rows SET {names} WHERE number = ?", (*values.values(), number))

    def count(self, where: str = "1") -> int:
        return self.base.execute(f"SELECT COUNT(*) FROM rows WHERE {where}").fetchone()[0]

    def run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        try:
            return self.base.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise DataError(
                f"cannot write the table of rows in {self._folder.name}: {error}; free space there, or set TMPDIR to a larger disk"
            ) from None
