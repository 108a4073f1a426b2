"""Layouts whose columns have names that differ from corpus to corpus: JSON objects, one a line, and comma CSV.

`data.source.columns` says what a corpus calls them; what it leaves out is found under the usual names.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from myxtts.config import DataError
from myxtts.data.sources.comma import csv_rows
from myxtts.data.sources.lines import Line, read_lines, scan
from myxtts.data.sources.rows import Corpus, Row, split_of_name

# what rows call it: what corpora call it
USUAL_NAMES = {
    "audio_file": ("audio", "audio_file", "audio_filepath", "audio_path", "path", "file_name", "filename", "file", "wav", "wav_path"),
    "text": ("text", "sentence", "transcription", "transcript", "raw_text"),
    "normalized": ("normalized", "normalized_text", "text_normalized"),
    "speaker": ("speaker", "speaker_name", "speaker_id", "client_id"),
    "language": ("language", "lang", "locale"),
    "id": ("id", "utterance_id", "utt_id"),
    "start": ("start", "offset", "start_time", "begin"),
    "end": ("end", "end_time"),
    "duration": ("duration",),
    "split": ("split",),
}


def read_jsonl(corpus: Corpus) -> Iterator[Row]:
    known: dict[tuple[str, ...], dict[str, str]] = {}
    for file, split in table_files(corpus, (".jsonl", ".json")):
        scan(file, limit=corpus.look)
        for line in read_lines(file):
            yield _json_row(file.name, line, split, corpus.settings.columns, known)


def read_csv(corpus: Corpus) -> Iterator[Row]:
    for file, split in table_files(corpus, (".csv", ".tsv")):
        scan(file, limit=corpus.look)
        yield from csv_rows(file, split, corpus.settings.separator, lambda header: find_columns(header, corpus.settings.columns))


def table_files(corpus: Corpus, suffixes: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Tables of a corpus with their splits: those whose names speak of a split, or metadata.*, or the only one.

    Raises DataError when there is none, or several and nothing tells which.
    """
    try:
        files = sorted(corpus.file(path.name) for path in corpus.folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
    except OSError as error:
        raise DataError(f"cannot read the folder {corpus.folder}: {error.strerror}; make it readable") from None
    kinds = " or ".join(f"*{suffix}" for suffix in suffixes)
    if not files:
        raise DataError(f"{corpus.folder} holds no {kinds}: is it another layout? (myxtts data detect)")
    of_splits = [(path, split_of_name(path.stem)) for path in files if split_of_name(path.stem)]
    named = [(path, "") for path in files if path.stem.lower() in ("metadata", "manifest")]
    found = of_splits or named or [(path, "") for path in files]
    if not of_splits and len(found) > 1:
        names = ", ".join(path.name for path in files[:6])
        raise DataError(f"{corpus.folder} holds several {kinds} ({names}): name the one that lists the clips metadata{suffixes[0]}")
    # training first: where a clip stands in both, it is trained on, as in every layout
    return sorted(found, key=lambda item: item[1] != "train")


def find_columns(header: Sequence[str], columns: dict[str, str]) -> dict[str, str]:
    """What each column of a row is called in `header`. Raises DataError when one that the configuration names is not there."""
    wanted = {"audio_file" if name == "audio" else name: column for name, column in columns.items()}
    lacking = [column for column in wanted.values() if column not in header]
    if lacking:
        raise DataError(f"no column {lacking[0]!r}, which data.source.columns names: there are {', '.join(header)[:300]}")
    lower = {name.strip().lower(): name for name in reversed(header)}
    taken = set(wanted.values())
    for name, usual in USUAL_NAMES.items():
        found = [lower[word] for word in usual if word in lower and lower[word] not in taken]
        if name not in wanted and found:
            wanted[name] = found[0]
            taken.add(found[0])
    return wanted


def _json_row(file: str, line: Line, split: str, names: dict[str, str], known: dict[tuple[str, ...], dict[str, str]]) -> Row:
    """The row of an object. known: columns by the object's keys, for most objects have those of the one before."""
    number, text, reason, detail = line
    if reason:
        return Row(file, number, {}, split, reason, detail)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(file, number, {}, split, "bad_json", f"{error}; expected one JSON object a line, got {text[:60]!r}")
    if not isinstance(record, dict):
        return Row(file, number, {}, split, "bad_json", f"expected an object {{...}}, got {text[:60]!r}")
    keys = tuple(record)
    if keys not in known:
        if len(known) > 100:
            known.clear()
        # an object may lack what others have
        known[keys] = find_columns(keys, {name: column for name, column in names.items() if column in record})
    cells = {}
    for name, column in known[keys].items():
        value = _as_text(record[column])
        if value is None:
            return Row(file, number, cells, split, "bad_value", f"{column} must be a text or a number, got {record[column]!r:.80}")
        cells[name] = value
    return Row(file, number, cells, "" if cells.get("split") else split)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):  # {"path": ..., "bytes": ...}
        value = value.get("path")
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
