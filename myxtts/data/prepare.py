"""raw -> processed: every clip checked, trimmed, brought to one loudness and rate; every text normalised; the split drawn.

A row that cannot be used goes to rejected.csv with its reason: those of the raw stage (`myxtts.data.sources`), then

| reason | meaning |
|---|---|
| annotated_text | it holds what is about the words: [laughter], <b>, &amp; |
| empty_text, text_too_long, unknown_characters | the normalised text has nothing to say, too much, or signs its language lacks |
| missing_audio, unreadable_audio, empty_audio, truncated_audio, bad_audio, too_large | the file cannot be had or decoded |
| bad_segment, crashed_decoder | the recording ends before the clip does; decoding it ended the process |
| silent | nothing is heard |

then those of `myxtts.data.screening` and `myxtts.data.splits`. Passes over a table on disk: memory does not grow with the corpus.
What was made of a clip is kept in a cache by the content of its recording: only what is new is done, also after a kill.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import Any

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import PrepareConfig
from myxtts.data import clips
from myxtts.data.bars import bar
from myxtts.data.cache import Cache, hand_out
from myxtts.data.clips import Clip, ClipSettings, Part, Recording
from myxtts.data.engines import apply
from myxtts.data.manifest import MANIFEST, METADATA, REJECTED, Utterance, counted, iter_manifest
from myxtts.data.processed import write_processed
from myxtts.data.raw import no_usable_rows
from myxtts.data.screening import judge, screen
from myxtts.data.sources import is_safe_id
from myxtts.data.splits import Refusal, plan_splits
from myxtts.data.table import Row, Table
from myxtts.data.texts import ForeignLetters, check_text

_PARTS = 32  # clips of one recording that are cut at once
_COMMIT = 2.0  # seconds of work that a kill may cost


def prepare(config: XTTSConfig, root: Path, raw: Path, out: Path, cache: Path | None = None) -> dict[str, Any]:
    """Makes the processed corpus in `out`: metadata_*.csv, wavs/<id>.wav (16-bit, output rate), clips.csv, rejected.csv and more.

    `root` is the project's folder, to which the audio paths of `raw/manifest.csv` are relative; `cache` is a folder that outlives
    `out` (default: `root/cache`). The result is the same for any engine, number of workers and state of the cache.
    Returns clips, hours, seconds by split, hours by language and by speaker, and rejected_by_reason.
    Raises DataError when no clip is left for one of the splits, the manifest is missing, or the disk is full. `prepare.strict` is for
    `check_strict`, to be called when all that explains the rejections is written.
    """
    root, raw, out = Path(root), Path(raw), Path(out)
    ClipSettings.of(config).check_installed()
    folder = cache or root / "cache"
    with Cache(folder, "clips") as kept, Table(folder) as table:
        text_notes = _read(config, table, root, raw, out)
        _process(config, table, root, kept)
        rate_limits = screen(table, config.prepare)
        notes = _place(table, config.prepare)
        text_notes = [*_empty_corpora(config, table), *text_notes]
        summary = write_processed(config, table, raw, out, partial(_hand_out, config, root, kept), rate_limits)
        kept.prune()
    reasons = summary["rejected_by_reason"]
    if not summary["clips"]:
        raise no_usable_rows(reasons, out / REJECTED)
    for note in text_notes:
        print(f"warning: {note}")
    return summary | {"split_notes": list(notes), "text_notes": text_notes}


def check_strict(config: XTTSConfig, summary: dict[str, Any], out: Path) -> None:
    """Raises DataError where `prepare.strict` is set and `prepare`, of which this is the summary, rejected any row.

    The metadata files are removed then: what failed leaves nothing that looks valid.
    """
    reasons = summary["rejected_by_reason"]
    if config.prepare.strict and reasons:
        for name in METADATA.values():
            (out / name).unlink(missing_ok=True)
        raise DataError(
            f"{summary['rejected']} rows were rejected ({counted(reasons)}) and prepare.strict allows none: see {out / REJECTED}; correct "
            "or remove these rows, change the rule that refused them, or let them be left out (prepare.strict: false, no --strict); "
            "dvc repro prepare brings the metadata back"
        )


def _read(config: XTTSConfig, table: Table, root: Path, raw: Path, out: Path) -> list[str]:
    """The manifest into the table, texts checked; returns what the user must know of them."""
    folders, letters = set(), ForeignLetters()
    for row in bar(iter_manifest(raw / MANIFEST), "texts", "row"):
        if not is_safe_id(row.id):
            raise _changed_by_hand(raw)
        folders.add(row.audio.rpartition("/")[0])
        letters.add(row.normalized or row.text, row.language)
        checked, removed = check_text(row, config.prepare)
        facts = {"removed": removed} if removed else {}
        if isinstance(checked, Utterance):
            table.add(checked, facts)
        else:
            table.add(row, facts, checked.reason, checked.detail)
    (twice,) = table.base.execute("SELECT COUNT(*) - COUNT(DISTINCT id) FROM rows").fetchone()
    if twice:
        raise _changed_by_hand(raw)
    _clear(out, {root / folder for folder in folders})
    return letters.notes()


def _changed_by_hand(raw: Path) -> DataError:
    return DataError(f"{raw / MANIFEST} holds an id twice, or one that is no file name: it was changed by hand; run the raw stage again")


def _clear(out: Path, sources: set[Path]) -> None:
    """Removes the result of an earlier run, so that a run that fails leaves no metadata that look valid."""
    wavs = (out / "wavs").resolve()
    if any(folder.resolve().is_relative_to(wavs) for folder in sources):
        raise DataError(f"the corpus lies in {wavs}, where this stage writes: move it elsewhere and set data.source.path")
    for name in (*METADATA.values(), REJECTED):
        (out / name).unlink(missing_ok=True)
    for clip in wavs.glob("*.wav"):
        clip.unlink()


def _process(config: XTTSConfig, table: Table, root: Path, cache: Cache) -> None:
    """Measures and processed clips of all rows that have a text: found in the cache, or made and put there."""
    settings, work = ClipSettings.of(config), _Work(config, table, cache)
    wanted = work.missing(_recordings(table, root), settings)
    if config.data.engine != "local":
        wanted = map(clips.with_content, wanted)
    with work:
        for recording, made in apply(partial(clips.process, settings=settings), wanted, config.data.engine, config.hardware.num_workers):
            for part, clip in zip(recording.parts, made or clips.crashed(recording), strict=True):
                work.record(recording, part, clip)


class _Work:
    """What is done of the clips: into the table, into the cache, onto the screen."""

    def __init__(self, config: XTTSConfig, table: Table, cache: Cache):
        self._prepare, self._table, self._cache = config.prepare, table, cache
        self._bar = bar(None, "clips", "clip", table.count("reason = ''"))
        self._began, self._seconds, self._committed = monotonic(), 0.0, monotonic()
        self._found = 0

    def __enter__(self) -> "_Work":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        print(f"clips worked on: {self._bar.n - self._found}, as they were before: {self._found}")
        self._cache.commit()

    def missing(self, recordings: Iterator[Recording], settings: ClipSettings) -> Iterator[Recording]:
        """The recordings of which the cache lacks clips, with those; what it has is recorded on the way."""
        for recording in recordings:
            refused = clips.unreadable(recording)
            if not refused:
                try:
                    digest = self._cache.digest(Path(recording.path))
                except OSError:
                    refused = clips.unreadable_now(recording)
            if refused:
                for part, clip in zip(recording.parts, refused, strict=True):
                    self.record(recording, part, clip)
                continue
            parts = []
            for part in recording.parts:
                part = replace(part, key=settings.key(digest, part))
                found = self._cache.find(part.key)
                if found:
                    self._found += 1
                    self._note(recording, part, found.facts)
                else:
                    parts.append(part)
            if parts:
                yield replace(recording, parts=tuple(parts))

    def record(self, recording: Recording, part: Part, clip: Clip) -> None:
        if clip.lasting:
            self._cache.keep(part.key, clip.facts, clip.wav)
            self._seconds += clip.facts.get("recorded_seconds", 0.0)
        self._note(recording, part, clip.facts)
        if monotonic() - self._committed > _COMMIT:
            self._cache.commit()
            self._committed = monotonic()
            self._bar.set_postfix_str(f"{self._seconds / (monotonic() - self._began):.0f} x real time", refresh=False)

    def _note(self, recording: Recording, part: Part, facts: dict[str, Any]) -> None:
        reason, detail = judge(facts, self._prepare)
        self._table.note(part.number, part.key, facts, reason, detail.replace(clips.NAME, recording.name))
        self._bar.update()


def _recordings(table: Table, root: Path) -> Iterator[Recording]:
    """The files of the rows that have a text, each with its clips; rows that follow one another and share a file come together."""
    for audio, rows in groupby(table.rows("reason = ''"), key=lambda row: row.utterance.audio):
        for parts in _chunks(rows):
            yield Recording(str(root / audio), audio, parts)


def _chunks(rows: Iterator[Row]) -> Iterator[tuple[Part, ...]]:
    parts: list[Part] = []
    for row in rows:
        parts.append(Part.of(row))
        if len(parts) == _PARTS:
            yield tuple(parts)
            parts = []
    if parts:
        yield tuple(parts)


def _empty_corpora(config: XTTSConfig, table: Table) -> list[str]:
    """Corpora of a mix that give no clip: the others would hide it."""
    used = {name for (name,) in table.base.execute("SELECT DISTINCT corpus FROM rows WHERE reason = ''")}
    return [
        f"corpus {name} gives no clip: are its layout ({corpus.layout}) and language ({corpus.language}) right? "
        f"(data.source.corpora.{name}; rejected.csv has the reason of each row)"
        for name, corpus in config.data.source.corpora.items()
        if name not in used
    ]


def _place(table: Table, settings: PrepareConfig) -> tuple[str, ...]:
    """Every row that is used into a set, or out of all; returns what the user must know of it."""
    if not table.count("reason = ''"):
        return ()
    plan = plan_splits(lambda: (row for _, row in table.split_rows()), settings)
    for number, row in table.split_rows():
        placed = plan.place(row)
        if isinstance(placed, Refusal):
            table.update(number, reason=placed.reason, detail=placed.detail)
        elif placed != row.split:
            table.update(number, split=placed)
    for note in plan.notes:
        print(f"note: {note}")
    return plan.notes


def _hand_out(config: XTTSConfig, root: Path, cache: Cache, row: Row, target: Path) -> None:
    """The processed clip of a row as `target`; made again where another run has removed it meanwhile."""
    try:
        hand_out(cache.file(row.key), target)
    except FileNotFoundError:
        recording = Recording(str(root / row.utterance.audio), row.utterance.audio, (Part.of(row),))
        clip = clips.process([recording], ClipSettings.of(config))[0][0]
        if clip.wav is None:
            raise DataError(f"{row.utterance.audio} was changed while it was prepared: run the stage again") from None
        cache.keep(row.key, clip.facts, clip.wav)
        hand_out(cache.file(row.key), target)
