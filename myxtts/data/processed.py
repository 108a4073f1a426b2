"""What `prepare` leaves behind: the processed data set as files.

- `metadata_*.csv` and `wavs/<id>.wav`: the clips of each split (`myxtts.data.manifest`).
- `clips.csv`: every row of the manifest with its measures and what became of it, for reports.
- `rejected.csv`: the rows that are not used, those of the raw stage first.
- `corpora.json`: where the clips came from, by what right they are used, and how often they are trained on.
- `characters.json`: which characters the texts hold, by language, and which were removed from them.
- `limits.json`: the limits of rules that are drawn from the corpus itself: characters per second, by language.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from myxtts.audio.wave import atomic_file
from myxtts.config import XTTSConfig
from myxtts.data.manifest import (
    CORPORA,
    METADATA,
    REJECTED,
    Rejected,
    Utterance,
    iter_rejected,
    metadata_line,
    read_corpora,
    rejected_file,
    table_file,
    write_json,
)
from myxtts.data.table import Row, Table

CLIPS, CHARACTERS, LIMITS = "clips.csv", "characters.json", "limits.json"
MEASURES = (
    *("recorded_seconds", "sample_rate", "channels", "loudness_lufs", "peak_dbfs", "clipped_share", "snr_db", "bandwidth_hz"),
    "characters_per_second",
)
_MOST_NAMES = 200  # of speakers, with hours of their own in the summary: each is a metric
_SHOWN = 10_000  # characters of a text in clips.csv: of a megabyte that was refused, readers of CSV need not take the whole
# of clips.csv. audio: `wavs/<id>.wav` where the clip is used, else the recording, relative to the project, of which start and end
# (seconds, empty = from its beginning, to its end) are the clip. seconds: trimmed; all other measures are of the recording
COLUMNS = ("id", "audio", "corpus", "speaker", "language", "split", "reason", "text", "seconds", *MEASURES, "start", "end")


def write_processed(
    config: XTTSConfig,
    table: Table,
    raw: Path,
    out: Path,
    hand_out: Callable[[Row, Path], None],
    rate_limits: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Writes all files of the data set from the finished table, in the manifest's order; returns its summary.

    hand_out: makes `wavs/<id>.wav` of a row's processed clip. rate_limits: {language: (low, high)} characters per second that the
    rule max_rate_deviation allowed. Raises DataError when the disk is full.
    """
    tally = _Tally()
    with ExitStack() as stack:
        metadata = {split: stack.enter_context(atomic_file(out / METADATA[split])) for split in _splits(table)}
        rejected = stack.enter_context(rejected_file(out / REJECTED))
        listed = stack.enter_context(table_file(out / CLIPS, COLUMNS))
        if (raw / REJECTED).is_file():
            for refused in iter_rejected(raw / REJECTED):
                rejected(refused)
                tally.reasons[refused.reason] += 1
        for row in table.rows():
            utterance = row.utterance
            if row.reason:
                rejected(Rejected(utterance.id, utterance.audio, row.reason, row.detail))
            else:
                utterance = replace(utterance, audio=f"wavs/{utterance.id}.wav", seconds=row.facts["seconds"])
                hand_out(row, out / utterance.audio)
                metadata[utterance.split].write(metadata_line(utterance).encode())
            listed(_cells(row, utterance))
            tally.add(row, utterance)
        # before the metadata have their names: what looks whole is whole
        write_json(out / CORPORA, tally.corpora(read_corpora(raw)))
        write_json(out / CHARACTERS, {"used": _sorted(tally.used), "removed": _sorted(tally.removed)})
        rates = {name: [round(rate, 4) for rate in rate_limits[name]] for name in sorted(rate_limits)}
        write_json(out / LIMITS, {"characters_per_second": rates})
    return tally.summary()


def _splits(table: Table) -> list[str]:
    """Splits that have a file: all, for DVC's stages depend on each, though one may be empty; none where nothing is left to look valid."""
    return list(METADATA) if table.count("reason = ''") else []


def _cells(row: Row, utterance: Utterance) -> list[str]:
    facts = dict(row.facts)
    if facts.get("seconds"):
        facts["characters_per_second"] = round(len(utterance.normalized.replace(" ", "")) / facts["seconds"], 2)
    numbers = ["" if facts.get(name) is None else f"{facts[name]}" for name in ("seconds", *MEASURES)]
    split = "" if row.reason else utterance.split
    text = utterance.text if len(utterance.text) <= _SHOWN else f"{utterance.text[:_SHOWN]}…"
    named = (utterance.id, utterance.audio, utterance.corpus, utterance.speaker, utterance.language, split, row.reason, text)
    return [*named, *numbers, *("" if time is None else f"{time}" for time in (utterance.start, utterance.end))]


class _Tally:
    """Sums over the rows."""

    def __init__(self) -> None:
        self.clips: Counter[str] = Counter()
        self.seconds: dict[str, defaultdict[str, float]] = {name: defaultdict(float) for name in ("split", "language", "speaker", "corpus")}
        self.clips_of_corpus: Counter[str] = Counter()
        self.languages_of_corpus: defaultdict[str, set[str]] = defaultdict(set)
        self.reasons: Counter[str] = Counter()
        self.used: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.removed: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, row: Row, utterance: Utterance) -> None:
        self.removed[utterance.language].update(row.facts.get("removed", {}))
        if row.reason:
            self.reasons[row.reason] += 1
            return
        self.clips[utterance.split] += 1
        self.clips_of_corpus[utterance.corpus] += 1
        self.languages_of_corpus[utterance.corpus].add(utterance.language)
        for name, sums in self.seconds.items():
            sums[getattr(utterance, name)] += utterance.seconds or 0.0
        self.used[utterance.language].update(utterance.normalized)

    def corpora(self, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        names = list(dict.fromkeys([*known, *sorted(self.clips_of_corpus)]))
        sums = {name: {"clips": self.clips_of_corpus[name], "hours": round(self.seconds["corpus"][name] / 3600, 4)} for name in names}
        return {name: {**known.get(name, {}), **sums[name], "languages": sorted(self.languages_of_corpus[name])} for name in names}

    def summary(self) -> dict[str, Any]:
        shown = {name: sums for name, sums in self.seconds.items() if len(sums) <= _MOST_NAMES}
        hours = {name: {key: round(sums[key] / 3600, 4) for key in sorted(sums)} for name, sums in shown.items()}
        return {
            "clips": self.clips.total(),
            "hours": round(sum(self.seconds["split"].values()) / 3600, 4),
            "clips_by_split": dict(self.clips),
            **{f"hours_by_{name}": sums for name, sums in hours.items()},
            "rejected": self.reasons.total(),
            "rejected_by_reason": dict(sorted(self.reasons.items())),
            "removed_characters": {language: counts.total() for language, counts in sorted(self.removed.items()) if counts},
        }


def _sorted(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {language: dict(sorted(counts[language].items())) for language in sorted(counts) if counts[language]}
