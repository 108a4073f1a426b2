"""The spool: rows that MLflow could not take, kept in `<folder>/spool.jsonl` until it can."""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from myxtts.tracking.delivery import SENDERS, is_refusal, send
from myxtts.tracking.offline import NotDelivered
from myxtts.tracking.store import main_checkout

log = logging.getLogger("myxtts.tracking")
OUTBOX = "outbox"


class Unreadable(Exception):
    """A line that is no row: half of one, for the process was killed while it wrote."""


# what no later attempt will send: such a line, a file that is gone, a run that its spool cannot make any more
_NEVER = (Unreadable, FileNotFoundError, NotDelivered)


class Spool:
    """Rows (see `delivery`) waiting in a folder. Safe for several threads and processes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "spool.jsonl"
        self._sending = folder / "spool.sending.jsonl"
        self._sent = folder / "spool.sending.sent"  # how many rows of it have arrived
        self.refused = folder / "spool.refused.jsonl"

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends rows and has them on the disk before it returns. Raises OSError when the disk does not take them."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if not text:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "spool.lock"), self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def waiting(self) -> bool:
        return self.path.exists() or self._sending.exists()

    def deliver(self, client) -> int:
        """Sends what waits; returns how many rows arrived. Stops at the first failure and keeps the rest.

        Rows that MLflow refuses for good (a deleted run) go to `spool.refused.jsonl`. A point sent twice is stored once.
        """
        if not self.waiting():
            return 0
        try:
            with FileLock(self.folder / "spool.sending.lock", timeout=0):
                delivered = self._deliver_file(client) if self._sending.exists() else 0
                if not self._sending.exists() and self._take():
                    delivered += self._deliver_file(client)
        except Timeout:
            return 0  # another process is at it
        return delivered

    def _take(self) -> bool:
        with FileLock(self.folder / "spool.lock"):
            if not self.path.exists():
                return False
            self.path.replace(self._sending)
            return True

    def _deliver_file(self, client) -> int:
        lines, delivered = self._sending.read_text(encoding="utf-8").splitlines(), 0
        for number in range(self._arrived(), len(lines)):
            try:
                row = _row(lines[number])
                send(client, row, self.folder)
                delivered += 1
            except Exception as error:  # MLflow's, the network's, the disk's: none may stop the run that is starting
                if not (isinstance(error, _NEVER) or is_refusal(error)):
                    log.warning("MLflow took %d of %d spooled rows of %s: %s", number, len(lines), self.folder, error)
                    return delivered
                self._refuse(lines[number], error)
                row = {}
            self._sent.write_text(str(number + 1))  # at once: whatever ends this process, the next one goes on behind this row
            if str(row.get("file", "")).startswith(f"{OUTBOX}/"):
                shutil.rmtree((self.folder / row["file"]).parent, ignore_errors=True)
        self._sending.unlink()
        self._sent.unlink(missing_ok=True)
        return delivered

    def _arrived(self) -> int:
        try:
            return int(self._sent.read_text())
        except (OSError, ValueError):
            return 0

    def _refuse(self, line: str, reason: object) -> None:
        log.warning("MLflow can never take this row of %s (%s): %.200s", self.path, reason, line)
        with self.refused.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if row["kind"] not in SENDERS or not isinstance(row["run"], str):
            raise ValueError(f"unknown kind {row['kind']!r}")
        return row
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True)
class Synced:
    """Rows that arrived, folders where some still wait, and rows that MLflow will never take (with the file that keeps them)."""

    delivered: int
    waiting: tuple[Path, ...]
    refused: tuple[Path, ...]

    def describe(self) -> str:
        lines = [
            f"{self.delivered} rows delivered" if self.delivered else "nothing was waiting" if not self.waiting else "nothing was taken"
        ]
        lines += [
            f"still waiting in {folder}: MLflow did not take all (its log says why); run `myxtts sync` again" for folder in self.waiting
        ]
        lines += [f"refused for good, say because their run was deleted: {path}" for path in self.refused]
        return "\n".join(lines)


def sync(root: Path, client, others: Iterable[Path] = ()) -> Synced:
    """Delivers every spool under `checkpoints/` of the main checkout, and under `others`."""
    places = [main_checkout(root) / "checkpoints", *others]
    spools = [Spool(folder) for folder in sorted({path.parent for place in places for path in place.glob("**/spool*.jsonl")})]
    delivered = sum(spool.deliver(client) for spool in spools)
    return Synced(
        delivered,
        tuple(spool.folder for spool in spools if spool.waiting()),
        tuple(spool.refused for spool in spools if spool.refused.is_file()),
    )


def deliver_spools(root: Path, client) -> int:
    """`sync` at the start of a stage; returns how many rows arrived."""
    delivered = sync(root, client).delivered
    if delivered:
        log.warning("delivered %d rows to MLflow that had waited for it", delivered)
    return delivered
