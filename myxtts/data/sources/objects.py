"""Layouts whose columns have names that differ from corpus to corpus: JSON objects, one a line, and comma CSV.

`data.source.columns` says what a corpus calls them; what it leaves out is found under the usual names.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from myxtts.config import DataError
from myxtts.config.data import CorpusConfig
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
    for file, split in table_files(corpus, (".jsonl", ".json")):
        scan(file, limit=corpus.look)
        for line in read_lines(file):
            yield _json_row(file.name, line, split, corpus.settings)


def read_csv(corpus: Corpus) -> Iterator[Row]:
    for file, split in table_files(corpus, (".csv", ".tsv")):
        scan(file, limit=corpus.look)
        yield from csv_rows(file, split, corpus.settings.separator, lambda header: find_columns(header, corpus.settings))


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


def find_columns(header: list[str], settings: CorpusConfig) -> dict[str, str]:
    """What each column of a row is called in `header`. Raises DataError when one that the configuration names is not there."""
    wanted = {"audio_file" if name == "audio" else name: column for name, column in settings.columns.items()}
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


def _json_row(file: str, line: Line, split: str, settings: CorpusConfig) -> Row:
    number, text, reason, detail = line
    if reason:
        return Row(file, number, {}, split, reason, detail)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(file, number, {}, split, "bad_json", f"{error}; expected one JSON object a line, got {text[:60]!r}")
    if not isinstance(record, dict):
        return Row(file, number, {}, split, "bad_json", f"expected an object {{...}}, got {text[:60]!r}")
    columns = find_columns(list(record), settings.model_copy(update={"columns": _present(settings.columns, record)}))
    cells = {name: _as_text(record[column]) for name, column in columns.items()}
    wrong = [columns[name] for name, value in cells.items() if value is None]
    cells = {name: value or "" for name, value in cells.items()}
    if wrong:
        return Row(file, number, cells, split, "bad_value", f"{wrong[0]} must be a text or a number, got {record[wrong[0]]!r:.80}")
    return Row(file, number, cells, "" if cells.get("split") else split)


def _present(columns: dict[str, str], record: dict[str, Any]) -> dict[str, str]:
    """An object may lack what others have."""
    return {name: column for name, column in columns.items() if column in record}


def _as_text(value: Any) -> str | None:
    if isinstance(value, dict):  # {"path": ..., "bytes": ...}
        value = value.get("path")
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return value.strip() if isinstance(value, str) else str(value)
