"""raw -> processed: every clip checked, trimmed, brought to one loudness and rate; every text normalised; the split drawn.

A row that cannot be used goes to rejected.csv with its reason:

| reason | meaning |
|---|---|
| empty_text, text_too_long, unknown_characters | the normalised text has nothing to say, too much, or signs its language lacks |
| missing_audio, empty_audio, truncated_audio, bad_audio | the clip is not there, holds nothing, was cut, or cannot be decoded |
| silent, too_short, too_long | the clip, trimmed, is not between prepare.min_seconds and prepare.max_seconds of sound |

and those of the raw stage (`myxtts.data.sources`) are carried over.
"""

import hashlib
import multiprocessing
import os
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from myxtts.audio import wave
from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import (
    MANIFEST,
    METADATA,
    REJECTED,
    Rejected,
    Utterance,
    read_manifest,
    read_rejected,
    write_metadata,
    write_rejected,
)
from myxtts.data.raw import no_usable_rows
from myxtts.data.sources import is_safe_id
from myxtts.text.normalize import normalize, unknown_characters

_SILENT_LUFS = -60.0  # speech recorded ever so softly lies above
_ROWS_PER_TASK = 16


@dataclass(frozen=True)
class ClipSettings:
    """What a worker needs to know."""

    prepare: PrepareConfig
    num_workers: int | None
    sample_rate: int
    root: str
    wavs: str


def prepare(config: XTTSConfig, root: Path, raw: Path, out: Path) -> dict[str, Any]:
    """Makes the processed corpus in `out`: metadata_train.csv, metadata_eval.csv, wavs/<id>.wav (16-bit, output rate), rejected.csv.

    `root` is the project's folder, to which the audio paths of `raw/manifest.csv` are relative. The result is the same for
    any number of workers. Clips of an earlier run in `out/wavs` are removed.
    Returns clips, hours, seconds by split, hours by language and by speaker, and rejected_by_reason.
    Raises DataError when no clip is left for one of the splits, the manifest is missing, or the disk is full.
    """
    root, raw, out = Path(root), Path(raw), Path(out)
    rows = read_manifest(raw / MANIFEST)
    if len({row.id for row in rows}) < len(rows) or not all(is_safe_id(row.id) for row in rows):
        raise DataError(f"{raw / MANIFEST} holds an id twice, or one that is no file name: it was changed by hand; run the raw stage again")
    rejected = read_rejected(raw / REJECTED) if (raw / REJECTED).is_file() else []
    _clear(out, root, rows)
    settings = ClipSettings(
        config.prepare, config.hardware.num_workers, config.model.audio.output_sample_rate, str(root), str(out / "wavs")
    )
    checked = [check_text(row, config.prepare) for row in rows]
    results = iter(_process([row for row in checked if isinstance(row, Utterance)], settings))
    kept: list[Utterance] = []
    for row in checked:
        result = next(results) if isinstance(row, Utterance) else row
        (kept if isinstance(result, Utterance) else rejected).append(result)
    write_rejected(out / REJECTED, rejected)
    reasons = dict(sorted(Counter(row.reason for row in rejected).items()))
    if not kept:
        raise no_usable_rows(reasons, out / REJECTED)
    kept = assign_splits(kept, config.prepare.eval_fraction)
    for split, name in METADATA.items():
        write_metadata(out / name, [row for row in kept if row.split == split])
    return _summary(kept, reasons)


def check_text(row: Utterance, settings: PrepareConfig) -> Utterance | Rejected:
    """The row with its text normalised (from the corpus' own normalised column where there is one), or why it is refused."""
    text = normalize(row.normalized or row.text, row.language, settings.cleaners)
    if not any(character.isalpha() for character in text):
        return Rejected(row.id, row.audio, "empty_text", f"nothing to say in {row.text!r}")
    if len(text) > settings.max_text_chars:
        detail = f"{len(text)} characters, expected at most {settings.max_text_chars} (prepare.max_text_chars)"
        return Rejected(row.id, row.audio, "text_too_long", detail)
    unknown = unknown_characters(text, row.language, settings.cleaners)
    if unknown:
        names = " ".join(f"{character!r} (U+{ord(character):04X})" for character in sorted(unknown))
        return Rejected(row.id, row.audio, "unknown_characters", f"not known in language {row.language}: {names}, in {row.text!r}")
    return replace(row, normalized=text)


def process_clip(row: Utterance, settings: ClipSettings) -> Utterance | Rejected:
    """Writes one processed clip; returns its row with `seconds`, or why there is none. DataError only when it cannot be written."""
    try:
        samples, rate = wave.load(Path(settings.root) / row.audio, settings.sample_rate)
    except wave.AudioError as error:
        return Rejected(row.id, row.audio, error.reason, str(error).replace(str(Path(settings.root) / row.audio), row.audio))
    limits = settings.prepare
    if wave.measure_loudness(samples, rate) < _SILENT_LUFS:
        return Rejected(row.id, row.audio, "silent", f"{len(samples) / rate:.2f} s below {_SILENT_LUFS} LUFS: nothing is heard")
    if limits.trim != "none":
        samples = wave.trim_silence(samples, limits.trim_db)
    seconds = len(samples) / rate
    if seconds < limits.min_seconds:
        detail = f"{seconds:.2f} s of sound, expected at least {limits.min_seconds} (prepare.min_seconds)"
        return Rejected(row.id, row.audio, "too_short", detail)
    if seconds > limits.max_seconds:
        detail = f"{seconds:.2f} s of sound, expected at most {limits.max_seconds} (prepare.max_seconds)"
        return Rejected(row.id, row.audio, "too_long", detail)
    if limits.loudness_lufs is not None:
        samples = wave.normalize_loudness(samples, rate, limits.loudness_lufs)
    wave.save(Path(settings.wavs) / f"{row.id}.wav", samples, rate)
    return replace(row, audio=f"wavs/{row.id}.wav", seconds=round(seconds, 3))


def assign_splits(rows: list[Utterance], eval_fraction: float) -> list[Utterance]:
    """Every row in "train" or "eval": where the corpus says so, else by the SHA-256 of its id.

    A hash depends on nothing but the id, so a row stays where it is when the corpus grows. Where a split would be empty, rows
    that the corpus gave to training are drawn too, or, in a corpus of a few clips, the lowest hashes are evaluated.
    What the corpus gave to evaluation is never trained on.
    Raises DataError when there are fewer than two rows, or none for training.
    """
    if len(rows) < 2:
        raise DataError(f"only {len(rows)} usable clip: expected at least two, one for training and one for evaluation; record more")
    held = {row.id for row in rows if row.split == "eval" or (not row.split and _hash(row.id) < eval_fraction)}
    if not held:
        held = {row.id for row in rows if _hash(row.id) < eval_fraction}
    if not held or (len(held) == len(rows) and not any(row.split == "eval" for row in rows)):
        lowest = sorted(rows, key=lambda row: _hash(row.id))[: max(1, round(eval_fraction * len(rows)))]
        held = {row.id for row in lowest}
    if len(held) == len(rows):  # every other row was drawn too: what the corpus itself gave is enough
        held = {row.id for row in rows if row.split == "eval"}
    if len(held) == len(rows):
        raise DataError("every usable clip is for evaluation: expected some for training; are those of metadata_train.csv rejected?")
    return [replace(row, split="eval" if row.id in held else "train") for row in rows]


def _hash(identifier: str) -> float:
    """An id's place in [0, 1)."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big") / 2**64


def _process(rows: list[Utterance], settings: ClipSettings) -> list[Utterance | Rejected]:
    """Results in the order of the rows."""
    workers = min(settings.num_workers or _cores(), -(-len(rows) // _ROWS_PER_TASK)) if rows else 0
    job = partial(process_clip, settings=settings)
    if workers <= 1:
        return list(tqdm(map(job, rows), "clips", len(rows), unit="clip", mininterval=1))
    # spawned, not forked: the parent may hold the threads of TensorFlow or MLflow
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        return list(tqdm(pool.map(job, rows, chunksize=_ROWS_PER_TASK), "clips", len(rows), unit="clip", mininterval=1))
    except BrokenProcessPool:
        raise DataError(
            f"a worker process was ended from outside, most likely for want of memory: lower hardware.num_workers (now {workers})"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _clear(out: Path, root: Path, rows: list[Utterance]) -> None:
    """Removes the result of an earlier run, so that a run that fails leaves no metadata that look valid."""
    wavs = (out / "wavs").resolve()
    if any(folder.resolve().is_relative_to(wavs) for folder in {(root / row.audio).parent for row in rows}):
        raise DataError(f"the corpus lies in {wavs}, where this stage writes: move it elsewhere and set data.source.path")
    for name in (*METADATA.values(), REJECTED):
        (out / name).unlink(missing_ok=True)
    for clip in wavs.glob("*.wav"):
        clip.unlink()


def _summary(rows: list[Utterance], reasons: dict[str, int]) -> dict[str, Any]:
    hours: dict[str, dict[str, float]] = {name: defaultdict(float) for name in ("split", "language", "speaker")}
    for row in rows:
        for name, sums in hours.items():
            sums[getattr(row, name)] += row.seconds / 3600
    return {
        "clips": len(rows),
        "hours": round(sum(hours["split"].values()), 4),
        "clips_by_split": dict(Counter(row.split for row in rows)),
        **{f"hours_by_{name}": {key: round(sums[key], 4) for key in sorted(sums)} for name, sums in hours.items()},
        "rejected": sum(reasons.values()),
        "rejected_by_reason": reasons,
    }
