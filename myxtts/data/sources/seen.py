"""The ids that a corpus has used, on disk: five million take no more memory than five thousand."""

from myxtts.data.scratch import open_scratch


class SeenIds:
    """Ids and where each stands first, in a temporary SQLite table that goes with it. A context manager."""

    def __init__(self):
        self._database = open_scratch(cache_mb=32)
        self._database.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")

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
