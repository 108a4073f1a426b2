r"""Typed rows of a corpus and the files that hold them.

- `data/raw/manifest.csv`: comma CSV with a header, one Utterance a row.
- `metadata_train.csv`, `metadata_eval.csv` of a processed corpus: `id|transcription|normalized|speaker|language|seconds|corpus`, no
  header, no quoting, one row a line, as LJSpeech has it; the audio is `wavs/<id>.wav` beside it. In a text, a backslash, `|`,
  newline and carriage return are written `\\`, `\p`, `\n` and `\r`.
- `rejected.csv`: comma CSV with a header, one Rejected a row.
"""

import contextlib
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from myxtts.audio.wave import write_atomically
from myxtts.config import DataError

METADATA = {"train": "metadata_train.csv", "eval": "metadata_eval.csv"}
MANIFEST = "manifest.csv"
REJECTED = "rejected.csv"


@dataclass(frozen=True)
class Utterance:
    """One clip with its text. `id` is unique in its data set and safe as a file name; `audio` is relative to the project.

    start, end: seconds of the recording `audio` that are this clip; None = from its beginning, to its end.
    corpus: the name of the corpus it came from.
    """

    id: str
    audio: str
    text: str
    normalized: str
    speaker: str
    language: str
    seconds: float | None = None
    split: str = ""  # "", "train" or "eval"
    corpus: str = ""
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that is not used: `reason` is one word to count by, `detail` says what was expected and what came."""

    id: str
    audio: str
    reason: str
    detail: str


def write_manifest(path: str | os.PathLike, utterances: Iterable[Utterance]) -> None:
    """Writes manifest.csv. Raises DataError when the disk is full."""
    _write_table(path, Utterance, ([*_cells(row, Utterance)] for row in utterances))


def read_manifest(path: str | os.PathLike) -> list[Utterance]:
    """Reads manifest.csv. Raises DataError when it is missing or not one, with the line."""
    names = [field.name for field in fields(Utterance)]
    rows = []
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        header = next(reader, None)
        if header != names:
            raise DataError(f"{path} is no manifest: expected the header {','.join(names)}, got {header}; run the raw stage again")
        for cells in reader:
            if len(cells) != len(names):
                raise DataError(f"{path}, line {reader.line_num}: expected {len(names)} columns, got {len(cells)}; run the raw stage again")
            rows.append(_utterance(path, reader.line_num, cells))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; expected comma CSV; run the raw stage again") from None
    return rows


class ManifestWriter:
    """manifest.csv and rejected.csv of a folder, written row by row in one pass. A context manager.

    Both take their names at the end, and only where it is reached without an error. `clips` and `reasons` count what was written.
    Raises DataError when the disk is full or the folder is not writable.
    """

    def __init__(self, folder: str | os.PathLike):
        self.clips = 0
        self.reasons: Counter[str] = Counter()
        self._paths = {Utterance: Path(folder) / MANIFEST, Rejected: Path(folder) / REJECTED}
        self._open = contextlib.ExitStack()

    def write(self, row: Utterance | Rejected) -> None:
        kind = type(row)
        if kind is Utterance:
            self.clips += 1
        else:
            self.reasons[row.reason] += 1
        try:
            self._rows[kind](self._cells[kind](row))
        except OSError as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> "ManifestWriter":
        self._rows, self._cells = {}, {Utterance: _manifest_cells, Rejected: lambda row: (row.id, row.audio, row.reason, row.detail)}
        try:
            for kind, path in self._paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = self._open.enter_context(_part(path).open("w", encoding="utf-8", newline=""))
                self._rows[kind] = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
                self._rows[kind]([field.name for field in fields(kind)])
        except OSError as error:
            self._discard()
            raise self._unwritable(error) from None
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._open.close()
            for path in self._paths.values():
                _part(path).replace(path)
        except OSError as error:
            self._discard()
            raise self._unwritable(error) from None

    def _discard(self) -> None:
        with contextlib.suppress(OSError):  # what is left in the buffers of a full disk
            self._open.close()
        for path in self._paths.values():
            with contextlib.suppress(OSError):
                _part(path).unlink()

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"cannot write {self._paths[Utterance].parent}: {error.strerror or error}; "
            "free space on the disk or make the folder writable, then run again"
        )


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _manifest_cells(row: Utterance) -> tuple[str, ...]:
    """What `_cells` gives, without looking the names up for each of millions of rows."""
    seconds, start, end = _seconds(row.seconds), _seconds(row.start), _seconds(row.end)
    return row.id, row.audio, row.text, row.normalized, row.speaker, row.language, seconds, row.split, row.corpus, start, end


def write_metadata(path: str | os.PathLike, utterances: Iterable[Utterance]) -> None:
    """Writes a headerless metadata file of a processed corpus. Raises DataError when the disk is full."""
    lines = []
    for row in utterances:
        cells = (row.id, row.text, row.normalized, row.speaker, row.language, _seconds(row.seconds), row.corpus)
        lines.append("|".join(_escape(cell) for cell in cells) + "\n")
    write_atomically(path, "".join(lines).encode())


def read_metadata(path: str | os.PathLike) -> list[Utterance]:
    """Reads what `write_metadata` wrote; audio is `wavs/<id>.wav`, the split follows from the file's name.

    Raises DataError when the file is missing or a line is not one of ours, with its number.
    """
    split = next((split for split, name in METADATA.items() if name == Path(path).name), "")
    rows = []
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        if not line:
            continue
        cells = [_unescape(cell) for cell in line.split("|")]
        if len(cells) != 7:
            raise DataError(
                f"{path}, line {number}: expected 7 columns (id|transcription|normalized|speaker|language|seconds|corpus), got "
                f"{len(cells)}; run the prepare stage again"
            )
        identifier, text, normalized, speaker, language, seconds, corpus = cells
        audio = f"wavs/{identifier}.wav"
        rows.append(_utterance(path, number, [identifier, audio, text, normalized, speaker, language, seconds, split, corpus, "", ""]))
    return rows


def write_rejected(path: str | os.PathLike, rejected: Iterable[Rejected]) -> None:
    """Writes rejected.csv. Raises DataError when the disk is full."""
    _write_table(path, Rejected, ([*_cells(row, Rejected)] for row in rejected))


def read_rejected(path: str | os.PathLike) -> list[Rejected]:
    """Reads rejected.csv. Raises DataError when it is missing."""
    rows = list(csv.reader(io.StringIO(_read_text(path), newline="")))
    return [Rejected(*cells) for cells in rows[1:]]


def _write_table(path: str | os.PathLike, kind: type, rows: Iterable[list[str]]) -> None:
    buffer = io.StringIO(newline="")
    # everything is quoted: csv leaves a lone carriage return bare otherwise, and then reads two rows
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow([field.name for field in fields(kind)])
    writer.writerows(rows)
    write_atomically(path, buffer.getvalue().encode())


def _cells(row: Utterance | Rejected, kind: type):
    for field in fields(kind):
        value = getattr(row, field.name)
        yield _seconds(value) if field.name in ("seconds", "start", "end") else value


def _utterance(path: str | os.PathLike, line: int, cells: list[str]) -> Utterance:
    *texts, seconds, split, corpus, start, end = cells
    times = (seconds, start, end)
    try:
        seconds, start, end = (float(time) if time else None for time in times)
    except ValueError:
        detail = f"seconds, start and end must be numbers, got {times}"
        raise DataError(f"{path}, line {line}: {detail}; run the stage that wrote it again") from None
    return Utterance(*texts, seconds, split, corpus, start, end)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


_ESCAPES = {"\\": "\\\\", "|": "\\p", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escaped: plain for plain, escaped in _ESCAPES.items()}


def _escape(text: str) -> str:
    return re.sub(r"[\\|\n\r]", lambda match: _ESCAPES[match.group()], text)


def _unescape(text: str) -> str:
    return re.sub(r"\\[\\pnr]", lambda match: _PLAIN[match.group()], text)


def _read_text(path: str | os.PathLike) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"no {path}: run the stage that writes it (dvc repro)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; run the stage that writes it again") from None


def read_split(processed: Path, split: str) -> list[Utterance]:
    """Rows of one split of a processed data set, in file order. Raises DataError if its metadata file is missing."""
    path = processed / f"metadata_{split}.csv"
    if not path.is_file():
        raise DataError(f"no {path.name} in {processed}: expected a prepared data set (metadata_train.csv, metadata_eval.csv, wavs/)")
    return read_metadata(path)


def profile(processed: Path, split: str, kept: Collection[str] | None = None) -> dict[str, Any]:
    """Clips, hours, speakers and languages of a split of a processed data set; {} where it is not on this machine.

    kept: only the clips of these ids.
    """
    if not (processed / f"metadata_{split}.csv").is_file():
        return {}
    rows = [row for row in read_split(processed, split) if kept is None or row.id in kept]
    hours = sum(row.seconds or 0.0 for row in rows) / 3600
    languages = ", ".join(sorted({row.language for row in rows}))
    return {"clips": len(rows), "hours": round(hours, 4), "speakers": len({row.speaker for row in rows}), "languages": languages}
