"""The ids that a corpus has used, on disk: five million take no more memory than five thousand."""

import sqlite3


class SeenIds:
    """Ids and where each stands first, in a temporary SQLite table that goes with it. A context manager."""

    def __init__(self):
        # "" is a database in a file of SQLite's own, which is gone when it is closed
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-32768"):
            self._database.execute(f"PRAGMA {statement}")
        self._database.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, identifier: str, place: str) -> str:
        """Takes an id; where it was taken before, the place that has it, else ""."""
        if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (identifier, place)).rowcount:
            return ""
        return self._database.execute("SELECT place FROM seen WHERE id = ?", (identifier,)).fetchone()[0]

    def __contains__(self, identifier: str) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE id = ?", (identifier,)).fetchone() is not None

    def __enter__(self) -> "SeenIds":
        return self

    def __exit__(self, *_) -> None:
        self._database.close()
