"""Layouts whose columns have names that differ from corpus to corpus: JSON objects, one a line, and comma CSV.

`data.source.columns` says what a corpus calls them; what it leaves out is found under the usual names, and what it
names under no other.
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
# what a row cannot be without where the configuration names it, and the reason of one that lacks it; others may be empty
_NEEDED = {"audio_file": "missing_audio", "text": "empty_text", "id": "empty_id"}
_SHOWN = 20  # names of columns in an error


def read_jsonl(corpus: Corpus) -> Iterator[Row]:
    """One object a line. Raises DataError at the end of a file none of whose objects has a column that the configuration names."""
    columns = _by_row_names(corpus.settings.columns)
    known: dict[tuple[str, ...], dict[str, str]] = {}
    for file, split in table_files(corpus, (".jsonl", ".json")):
        _refuse_array(file, scan(file, limit=corpus.look).first)
        never, there = set(columns.values()), {}
        for line in read_lines(file):
            record = _json_object(file.name, line, split)
            if isinstance(record, Row):
                yield record
                continue
            if never:
                never -= record.keys()
                there |= dict.fromkeys(list(record)[:_SHOWN])
            yield _json_row(file.name, line.number, record, split, columns, known)
        if never and there:
            names = ", ".join(list(there)[:_SHOWN])[:300]
            raise DataError(f"{file}: no object has {min(never)!r}, which data.source.columns names: there are {names}")


def _refuse_array(file: Path, first: str) -> None:
    start = first.split(maxsplit=1)[:1]
    if start and (start[0] == "[" or start[0].startswith("[{")):
        raise DataError(f"{file} is one JSON array; expected one object a line: jq -c '.[]' {file.name} > lines.jsonl, and take it away")


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
    if of_splits and named:
        raise DataError(
            f"{corpus.folder} holds {named[0][0].name} and {', '.join(path.name for path, _ in of_splits)}: which lists the clips? Name it "
            f"train{suffixes[0]}, or move it or the others elsewhere"
        )
    if len(found) < len(files) and corpus.look is None:
        print(f"note: not read, for others name the splits: {', '.join(path.name for path in files if path not in dict(found))}")
    # training first: where a clip stands in both, it is trained on, as in every layout
    return sorted(found, key=lambda item: item[1] != "train")


def find_columns(header: Sequence[str], columns: dict[str, str]) -> dict[str, str]:
    """What each column of a row is called in `header`. Raises DataError when one that the configuration names is not there."""
    wanted = _by_row_names(columns)
    lacking = [column for column in wanted.values() if column not in header]
    if lacking:
        raise DataError(f"no column {lacking[0]!r}, which data.source.columns names: there are {', '.join(header)[:300]}")
    return _with_usual(header, wanted)


def _by_row_names(columns: dict[str, str]) -> dict[str, str]:
    return {"audio_file" if name == "audio" else name: column for name, column in columns.items()}


def _with_usual(header: Sequence[str], wanted: dict[str, str]) -> dict[str, str]:
    """The columns that are there: those `wanted`, and for what is not wanted those of the usual names."""
    lower = {name.strip().lower(): name for name in reversed(header)}
    found = {name: column for name, column in wanted.items() if column in header}
    taken = set(wanted.values())
    for name, usual in USUAL_NAMES.items():
        named = [lower[word] for word in usual if word in lower and lower[word] not in taken]
        if name not in wanted and named:
            found[name] = named[0]
            taken.add(named[0])
    return found


def _json_object(file: str, line: Line, split: str) -> dict[str, Any] | Row:
    """The object of a line, or a row with the reason why there is none."""
    number, text, reason, detail = line
    if reason:
        return Row(file, number, {}, split, reason, detail)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(file, number, {}, split, "bad_json", f"{error}; expected one JSON object a line, got {text[:60]!r}")
    if not isinstance(record, dict):
        return Row(file, number, {}, split, "bad_json", f"expected an object {{...}}, got {text[:60]!r}")
    return record


def _json_row(
    file: str, number: int, record: dict[str, Any], split: str, columns: dict[str, str], known: dict[tuple[str, ...], dict[str, str]]
) -> Row:
    """The row of an object. known: columns by the object's keys, for most objects have those of the one before.

    What the configuration names is never looked for under another name: an object that lacks it lacks it.
    """
    keys = tuple(record)
    if keys not in known:
        if len(known) > 100:
            known.clear()
        known[keys] = _with_usual(keys, columns)
    found, cells = known[keys], {}
    for name, column in found.items():
        value = _as_text(record[column])
        if value is None:
            return Row(file, number, cells, split, "bad_value", f"{column} must be a text or a number, got {record[column]!r:.80}")
        cells[name] = value
    split = "" if cells.get("split") else split
    for name, reason in _NEEDED.items():
        if name in columns and name not in found:
            there = ", ".join(keys[:_SHOWN])[:300]
            return Row(file, number, cells, split, reason, f"no {columns[name]!r}, which data.source.columns names: there are {there}")
    return Row(file, number, cells, split)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):  # {"path": ..., "bytes": ...}
        value = value.get("path")
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
