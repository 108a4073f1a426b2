"""One pass over clips.csv and one over rejected.csv: everything that is counted, in memory that does not grow with the corpus."""

import heapq
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from myxtts.config import DataError
from myxtts.data.manifest import iter_rejected, iter_table
from myxtts.data.processed import COLUMNS
from myxtts.data.report.measures import MEASURES, RATE, Histogram
from myxtts.data.scratch import open_scratch

PLACE = {name: place for place, name in enumerate(COLUMNS)}
EXAMPLES = 3  # of each reason
_MEASURED = [(name, PLACE[name]) for name in MEASURES]
_ID, _SPEAKER, _LANGUAGE, _SPLIT = (PLACE[name] for name in ("id", "speaker", "language", "split"))
_SPEAKERS_IN_MEMORY = 50_000


class SpeakerSums:
    """Clips and seconds by split, speaker and language. Whatever the number of speakers, 50,000 are in memory and the rest in a file.

    The file is one that SQLite makes for itself and that is gone with this object.
    """

    def __init__(self, in_memory: int = _SPEAKERS_IN_MEMORY):
        self._in_memory, self._waiting = in_memory, {}
        self._table = open_scratch()
        key = "split, speaker, language"
        self._table.execute(f"CREATE TABLE sums ({key}, clips, seconds, PRIMARY KEY ({key})) WITHOUT ROWID")

    def add(self, split: str, speaker: str, language: str, seconds: float) -> None:
        item = self._waiting.setdefault((split, speaker, language), [0, 0.0])
        item[0] += 1
        item[1] += seconds
        if len(self._waiting) >= self._in_memory:
            self._put()

    def _put(self) -> None:
        self._table.executemany(
            "INSERT INTO sums VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET clips = clips + excluded.clips, seconds = seconds + excluded.seconds",
            ((*key, *sums) for key, sums in self._waiting.items()),
        )
        self._waiting = {}

    def by(self, column: str) -> list[tuple[str, int, float, int]]:
        """(value, clips, seconds, speakers) for each value of `split` or `language`, most seconds first."""
        self._put()
        select = f"SELECT {column}, SUM(clips), SUM(seconds), COUNT(DISTINCT speaker) FROM sums GROUP BY {column} ORDER BY 3 DESC, 1"
        return self._table.execute(select).fetchall()

    def languages(self, split: str) -> dict[str, int]:
        """{language: clips} of a split, none of them zero."""
        self._put()
        return dict(self._table.execute("SELECT language, SUM(clips) FROM sums WHERE split = ? GROUP BY language ORDER BY 1", (split,)))

    def speakers(self, most: int) -> list[tuple[str, int, float, str]]:
        """(speaker, clips, seconds, languages) of the speakers with most seconds."""
        self._put()
        sums = "SELECT speaker, SUM(clips), SUM(seconds), GROUP_CONCAT(DISTINCT language) FROM sums"
        return self._table.execute(f"{sums} GROUP BY speaker ORDER BY 3 DESC, 1 LIMIT ?", (most,)).fetchall()

    def total(self) -> tuple[int, float, int]:
        """(clips, seconds, speakers) of all."""
        self._put()
        clips, seconds, speakers = self._table.execute("SELECT SUM(clips), SUM(seconds), COUNT(DISTINCT speaker) FROM sums").fetchone()
        return clips or 0, seconds or 0.0, speakers


@dataclass
class ClipCounts:
    """What is counted over clips.csv: kept clips (those of a split) apart from measured clips that were rejected."""

    kept: dict[str, Histogram] = field(default_factory=lambda: {name: Histogram(measure) for name, measure in MEASURES.items()})
    rejected: dict[str, Histogram] = field(default_factory=lambda: {name: Histogram(measure) for name, measure in MEASURES.items()})
    kept_rate: dict[str, Histogram] = field(default_factory=dict)  # by language
    rejected_rate: dict[str, Histogram] = field(default_factory=dict)
    sums: SpeakerSums = field(default_factory=SpeakerSums)
    rows_rejected: int = 0  # measured or not; those of rejected.csv that are not here were refused by the raw stage


@dataclass
class RejectCounts:
    """Rows of rejected.csv by reason, most of all first, and some (id, audio, detail) of each."""

    reasons: dict[str, int]
    examples: dict[str, list[tuple[str, str, str]]]

    @property
    def total(self) -> int:
        return sum(self.reasons.values())


def read_clips(path: Path) -> Iterator[list[str]]:
    """Rows of clips.csv, one after another. Raises DataError where it is missing, or a line is none of ours, with its number."""
    for _, cells in iter_table(path, COLUMNS, "run the prepare stage again (dvc repro -f prepare)"):
        yield cells


def measured(cells: list[str], path: Path) -> dict[str, float]:
    """{measure: value} of a row of clips.csv, without those that it has not. Raises DataError where one is no number."""
    try:
        values = {name: float(cells[place]) for name, place in _MEASURED if cells[place]}
    except ValueError as error:
        raise DataError(f"{path}, clip {cells[_ID]}: {error}; run the prepare stage again (dvc repro -f prepare)") from None
    return {name: value for name, value in values.items() if value == value}  # NaN is no value


def count_clips(path: Path) -> ClipCounts:
    """Reads clips.csv once. Raises DataError where it is missing or broken."""
    counts = ClipCounts()
    for cells in read_clips(path):
        values, language, split = measured(cells, path), cells[_LANGUAGE], cells[_SPLIT]
        histograms, rates = (counts.kept, counts.kept_rate) if split else (counts.rejected, counts.rejected_rate)
        for name, value in values.items():
            histograms[name].add(value)
        if RATE in values:
            if language not in rates:
                rates[language] = Histogram(MEASURES[RATE])
            rates[language].add(values[RATE])
        if split:
            counts.sums.add(split, cells[_SPEAKER], language, values.get("seconds", 0.0))
        else:
            counts.rows_rejected += 1
    return counts


def count_rejected(path: Path) -> RejectCounts:
    """Reads rejected.csv once. The examples of a reason are drawn by a hash, so they are the same again, from all over the corpus."""
    reasons: Counter[str] = Counter()
    drawn: dict[str, list[tuple[int, int, tuple[str, str, str]]]] = {}
    for number, row in enumerate(iter_rejected(path)):
        reasons[row.reason] += 1
        # heapq keeps the smallest at hand: of negative hashes, that is the largest hash, which gives way
        item = (-zlib.crc32(f"{row.id}\n{row.audio}".encode()), -number, (row.id, row.audio, row.detail))
        heap = drawn.setdefault(row.reason, [])
        (heapq.heappush if len(heap) < EXAMPLES else heapq.heappushpop)(heap, item)
    ordered = dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
    return RejectCounts(ordered, {reason: [item[2] for item in sorted(drawn[reason], reverse=True)] for reason in ordered})
