"""Work done once: what was made of a piece of audio, found again by the content it was made from.

A cache is a folder with `index.sqlite` (key -> facts, JSON) and, where something was made, its bytes in `<kind>/ab/cdef….bin`. Keys are
hashes over content and settings, so an entry is right for ever; deleting the folder costs time, nothing else. Files are handed out
as hard links where the file system allows. One that was changed since, or is gone, does not count: the entry is made again.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myxtts.audio.wave import write_atomically
from myxtts.config import DataError

KEEP_DAYS = 30  # an entry that no run has asked for this long is removed
_WAIT = 60  # seconds for another process' write
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, facts TEXT NOT NULL, size INTEGER, changed INTEGER, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, inode INTEGER NOT NULL,
    digest TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
"""
_MOST_WAITING = 10_000  # rows that are not written yet


@dataclass(frozen=True)
class Entry:
    """What is known under a key: `facts` of JSON types, and the file with what was made, if anything was."""

    facts: dict[str, Any]
    file: Path | None


def fingerprint(*values: Any) -> str:
    """32 hex digits over values of JSON types."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


class Cache:
    """Entries of one kind (`clips`, `mels`) in a cache folder, which several kinds and several processes may share.

    What is to be written waits until `commit`: the index is locked for as long as that takes, not while work is done.
    """

    def __init__(self, folder: Path, kind: str):
        """Raises DataError where the folder cannot be written."""
        self._files = Path(folder) / kind
        self._kind = kind
        self._today = int(time.time() // 86400)
        self._entries: dict[str, tuple] = {}
        self._digests: dict[str, tuple] = {}
        self._used: dict[tuple[str, str], None] = {}  # (table, key)
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(Path(folder) / "index.sqlite", timeout=_WAIT, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"cannot use the cache {folder}: {error}; make it writable, or delete it: it holds nothing that cannot be made again"
            ) from None

    def close(self) -> None:
        with contextlib.suppress(DataError):  # lost is work, no result
            self.commit()
        self._base.close()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, key: str) -> Entry | None:
        """The entry of a key, or None; a use of it is noted."""
        name = self._key(key)
        found = self._entries.get(name) or self._row("SELECT key, facts, size, changed, used FROM entries WHERE key = ?", name)
        if found is None:
            return None
        _, facts, size, changed, used = found
        file = None
        if size is not None:
            file = self.file(key)
            if _stamp(file) != (size, changed):
                return None
        if used != self._today:
            self._wait(self._used, ("entries", name), None)
        return Entry(json.loads(facts), file)

    def keep(self, key: str, facts: dict[str, Any], made: bytes | None) -> Entry:
        """Stores an entry; others find it, and it is there after a kill, from the next `commit` on. Raises DataError (disk full)."""
        file, size, changed = None, None, None
        if made is not None:
            file = self.file(key)
            write_atomically(file, made)
            size, changed = _stamp(file)
        name = self._key(key)
        self._wait(self._entries, name, (name, json.dumps(facts, ensure_ascii=False), size, changed, self._today))
        return Entry(facts, file)

    def commit(self) -> None:
        """Writes what waits. Raises DataError when the disk is full, or another process holds the index for a minute."""
        if not (self._entries or self._digests or self._used):
            return
        with self._failing():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", self._entries.values())
                self._base.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", self._digests.values())
                for table, column in (("entries", "key"), ("files", "path")):
                    names = ((self._today, name) for kind, name in self._used if kind == table)
                    self._base.executemany(f"UPDATE {table} SET used = ? WHERE {column} = ?", names)
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
        for waiting in (self._entries, self._digests, self._used):
            waiting.clear()

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's content; known without reading it while its size, time of change and inode are those of the last reading.

        Raises OSError where the file cannot be read.
        """
        status = path.stat()
        stamp, name = (status.st_size, status.st_mtime_ns, status.st_ino), str(path)
        known = self._digests.get(name) or self._row("SELECT path, size, changed, inode, digest, used FROM files WHERE path = ?", name)
        if known and known[1:4] == stamp:
            if known[5] != self._today:
                self._wait(self._used, ("files", name), None)
            return known[4]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - status.st_mtime_ns > 2_000_000_000:  # one written just now may be written again within the clock's resolution
            self._wait(self._digests, name, (name, *stamp, digest, self._today))
        return digest

    def prune(self) -> int:
        """Removes entries that no run has asked for in KEEP_DAYS; returns how many."""
        self.commit()
        old, kind = self._today - KEEP_DAYS, f"{self._kind}/%"
        with self._failing():
            keys = self._base.execute("SELECT key FROM entries WHERE used < ? AND key LIKE ?", (old, kind)).fetchall()
            if keys:
                self._base.execute("DELETE FROM entries WHERE used < ? AND key LIKE ?", (old, kind))
                self._base.execute("DELETE FROM files WHERE used < ?", (old,))
        for (key,) in keys:
            self.file(key.partition("/")[2]).unlink(missing_ok=True)
        return len(keys)

    def _wait(self, waiting: dict, name: Any, value: Any) -> None:
        waiting[name] = value
        if len(waiting) >= _MOST_WAITING:
            self.commit()

    def _row(self, query: str, name: str) -> tuple | None:
        with self._failing():
            return self._base.execute(query, (name,)).fetchone()

    def _key(self, key: str) -> str:
        return f"{self._kind}/{key}"

    def file(self, key: str) -> Path:
        """Where what was made lies, if it is there; `find` says whether it is, and as it was made."""
        return self._files / key[:2] / f"{key[2:]}.bin"

    @contextlib.contextmanager
    def _failing(self):
        try:
            yield
        except sqlite3.Error as error:
            remedy = "free space on its disk, then run again"
            if "locked" in str(error):
                remedy = f"another run has held it for {_WAIT} s: run again when that has ended"
            raise DataError(f"cannot use the cache {self._files.parent}: {error}; {remedy}") from None


def hand_out(file: Path, target: Path) -> None:
    """`target` becomes a hard link to a cached file, or a copy where that cannot be.

    Raises FileNotFoundError where the file is not there, DataError when the disk is full.
    """
    partial = target.with_name(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, partial)
            partial.replace(target)
    except FileNotFoundError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise DataError(f"cannot write {target}: {error.strerror or error}; free space on the disk, then run again") from None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
