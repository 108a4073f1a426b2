"""Databases for the time of one piece of work: on disk, so that memory does not grow with the corpus; nothing of them is kept."""

import sqlite3
from pathlib import Path


def open_scratch(path: Path | None = None, cache_mb: int = 2) -> sqlite3.Connection:
    """A SQLite connection within one transaction that is never committed.

    path: of a file that the caller removes; by default one of SQLite's own, which is gone when the connection is closed. cache_mb: memory
    for its pages.
    """
    base = sqlite3.connect(path or "", isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", f"cache_size = {-1024 * cache_mb}"):
        base.execute(f"PRAGMA {setting}")
    base.execute("BEGIN")
    return base
