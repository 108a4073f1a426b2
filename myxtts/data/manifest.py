r"""Typed rows of a corpus and the files that hold them.

- `data/raw/manifest.csv`: comma CSV with a header, one Utterance a row.
- `metadata_train.csv`, `metadata_eval.csv`, and where speakers are held out `metadata_eval_unseen_speaker.csv`, of a processed corpus:
  `id|transcription|normalized|speaker|language|seconds|corpus`, no header, no quoting, one row a line, as LJSpeech has it; the audio is
  `wavs/<id>.wav` beside it. In a text, a backslash, `|`, newline and carriage return are written `\\`, `\p`, `\n` and `\r`.
- `rejected.csv`: comma CSV with a header, one Rejected a row.
"""

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO

from myxtts.audio.wave import atomic_file, write_atomically
from myxtts.config import DataError

METADATA = {
    "train": "metadata_train.csv",
    "eval": "metadata_eval.csv",
    "eval_unseen_speaker": "metadata_eval_unseen_speaker.csv",  # only where speakers are held out
}
CORPORA = "corpora.json"  # of a processed data set: its corpora
MANIFEST = "manifest.csv"
REJECTED = "rejected.csv"
_MAX_CELL = 1 << 30  # characters; csv's own limit, 131072, would stop the stage at one long line of a corpus


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
    split: str = ""  # one of METADATA, "" where it is open
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
    """Writes manifest.csv, row by row as they come. Raises DataError when the disk is full."""
    with table_file(path, [field.name for field in fields(Utterance)]) as write:
        for row in utterances:
            write(_cells(row, Utterance))


def read_manifest(path: str | os.PathLike) -> list[Utterance]:
    """All rows of `iter_manifest`."""
    return list(iter_manifest(path))


def iter_manifest(path: str | os.PathLike) -> Iterator[Utterance]:
    """The rows of manifest.csv, one by one. Raises DataError when it is missing or not one, with the line."""
    names = [field.name for field in fields(Utterance)]
    for number, cells in iter_table(path, names, "run the raw stage again"):
        yield _utterance(path, number, cells)


def write_metadata(path: str | os.PathLike, utterances: Iterable[Utterance]) -> None:
    """Writes a headerless metadata file of a processed corpus, row by row as they come. Raises DataError when the disk is full."""
    with atomic_file(path) as file:
        for row in utterances:
            file.write(metadata_line(row).encode())


def metadata_line(row: Utterance) -> str:
    """A row of a metadata file, with its newline."""
    cells = (row.id, row.text, row.normalized, row.speaker, row.language, _seconds(row.seconds), row.corpus)
    return "|".join(_escape(cell) for cell in cells) + "\n"


def read_metadata(path: str | os.PathLike) -> list[Utterance]:
    """All rows of `iter_metadata`."""
    return list(iter_metadata(path))


def iter_metadata(path: str | os.PathLike) -> Iterator[Utterance]:
    """The rows of what `write_metadata` wrote; audio is `wavs/<id>.wav`, the split follows from the file's name.

    Raises DataError when the file is missing or a line is not one of ours, with its number.
    """
    split = next((split for split, name in METADATA.items() if name == Path(path).name), "")
    with _reading(path, newline="\n") as file:
        for number, line in enumerate(file, 1):
            cells = [unescape(cell) for cell in line.rstrip("\n").split("|")]
            if cells == [""]:
                continue
            if len(cells) != 7:
                raise DataError(
                    f"{path}, line {number}: expected 7 columns (id|transcription|normalized|speaker|language|seconds|corpus), got "
                    f"{len(cells)}; run the prepare stage again"
                )
            identifier, text, normalized, speaker, language, seconds, corpus = cells
            audio = f"wavs/{identifier}.wav"
            yield _utterance(path, number, [identifier, audio, text, normalized, speaker, language, seconds, split, corpus, "", ""])


def write_rejected(path: str | os.PathLike, rejected: Iterable[Rejected]) -> None:
    """Writes rejected.csv, row by row as they come. Raises DataError when the disk is full."""
    with rejected_file(path) as write:
        for row in rejected:
            write(row)


@contextmanager
def rejected_file(path: str | os.PathLike) -> Iterator[Callable[[Rejected], Any]]:
    """rejected.csv: a function that writes a row of it. The file is there when the block ends well."""
    with table_file(path, [field.name for field in fields(Rejected)]) as write:
        yield lambda row: write(_cells(row, Rejected))


def read_rejected(path: str | os.PathLike) -> list[Rejected]:
    """All rows of `iter_rejected`."""
    return list(iter_rejected(path))


def iter_rejected(path: str | os.PathLike) -> Iterator[Rejected]:
    """The rows of rejected.csv, one by one. Raises DataError when it is missing or not one, with the line."""
    for _, cells in iter_table(path, [field.name for field in fields(Rejected)], "run the stage that wrote it again"):
        yield Rejected(*cells)


class ManifestWriter:
    """manifest.csv and rejected.csv of a folder, written row by row in one pass. A context manager.

    Both take their names at the end, and only where it is reached without an error. `clips` and `reasons` count what was written.
    Raises DataError when the disk is full or the folder is not writable.
    """

    def __init__(self, folder: str | os.PathLike):
        self.clips = 0
        self.reasons: Counter[str] = Counter()
        self._folder, self._files = Path(folder), ExitStack()

    def write(self, row: Utterance | Rejected) -> None:
        if isinstance(row, Utterance):
            self.clips += 1
            self._manifest(_cells(row, Utterance))
        else:
            self.reasons[row.reason] += 1
            self._rejected(row)

    def __enter__(self) -> "ManifestWriter":
        with ExitStack() as files:
            self._manifest = files.enter_context(table_file(self._folder / MANIFEST, [field.name for field in fields(Utterance)]))
            self._rejected = files.enter_context(rejected_file(self._folder / REJECTED))
            self._files = files.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)


@contextmanager
def table_file(path: str | os.PathLike, names: Sequence[str]) -> Iterator[Callable[[Iterable[str]], Any]]:
    """A comma CSV with a header of `names`: a function that writes a row of cells. The file is there when the block ends well."""
    # half of a pair, as in a file name that is not UTF-8, is written as an escape: it must not stop the stage
    with atomic_file(path) as file, io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="") as text:
        # everything is quoted: csv leaves a lone carriage return bare otherwise, and then reads two rows
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        yield writer.writerow
        text.flush()


def iter_table(path: str | os.PathLike, names: Sequence[str], remedy: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a comma CSV with the header `names`. Raises DataError when it is missing, damaged or another one."""
    csv.field_size_limit(_MAX_CELL)
    with _reading(path, newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            if header != list(names):
                raise DataError(f"{path} is not what it should be: expected the header {','.join(names)}, got {header}; {remedy}")
            for cells in reader:
                if len(cells) != len(names):
                    raise DataError(f"{path}, line {reader.line_num}: expected {len(names)} columns, got {len(cells)}; {remedy}")
                yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}; expected comma CSV; {remedy}") from None


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


def unescape(text: str) -> str:
    """A cell of a metadata file of ours as it was before it was written."""
    return re.sub(r"\\[\\pnr]", lambda match: _PLAIN[match.group()], text)


@contextmanager
def _reading(path: str | os.PathLike, newline: str) -> Iterator[TextIO]:
    try:
        with Path(path).open(encoding="utf-8", newline=newline) as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"no {path}: run the stage that writes it (dvc repro)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; run the stage that writes it again") from None


def iter_split(processed: Path, split: str) -> Iterator[Utterance]:
    """Rows of one split of a processed data set, one by one, in file order. Raises DataError if its metadata file is missing."""
    path = processed / METADATA[split]
    if not path.is_file():
        raise DataError(f"no {path.name} in {processed}: expected a prepared data set (metadata_train.csv, metadata_eval.csv, wavs/)")
    return iter_metadata(path)


def read_split(processed: Path, split: str) -> list[Utterance]:
    """All rows of `iter_split`."""
    return list(iter_split(processed, split))


def has_split(processed: Path, split: str) -> bool:
    """Whether a processed data set has clips of a split that not every one has."""
    path = processed / METADATA[split]
    return path.is_file() and path.stat().st_size > 0


def read_corpora(processed: Path) -> dict[str, dict[str, Any]]:
    """The corpora of a processed data set by name: licence, consent, weight, clips, hours, ...; {} where nobody wrote them down.

    Raises DataError where the file is damaged.
    """
    path = processed / CORPORA
    if not path.is_file():
        return {}
    with _reading(path, newline="\n") as file:
        try:
            return dict(json.load(file))
        except ValueError as error:
            raise DataError(f"{path} is damaged ({error}): run the prepare stage again") from None


def write_json(path: str | os.PathLike, values: Any) -> None:
    """Writes JSON that a person can read, whole or not at all. Raises DataError when the disk is full."""
    write_atomically(path, (json.dumps(values, indent=1, ensure_ascii=False, default=float) + "\n").encode())


def counted(reasons: Mapping[str, int]) -> str:
    """For a message: "3 noisy, 2 too_short"."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())


def corpus_weights(processed: Path) -> dict[str, float]:
    """How often the clips of each corpus are trained on, compared with those of weight 1; a corpus that is not named has 1."""
    return {name: float(values.get("weight", 1.0)) for name, values in read_corpora(processed).items()}


def profile(processed: Path, split: str, kept: Collection[str] | None = None) -> dict[str, Any]:
    """Clips, hours, speakers and languages of a split of a processed data set; {} where it is not on this machine.

    kept: only the clips of these ids.
    """
    if not (processed / METADATA[split]).is_file():
        return {}
    clips, seconds, speakers, languages = 0, 0.0, set(), set()
    for row in iter_split(processed, split):
        if kept is None or row.id in kept:
            clips += 1
            seconds += row.seconds or 0.0
            speakers.add(row.speaker)
            languages.add(row.language)
    return {"clips": clips, "hours": round(seconds / 3600, 4), "speakers": len(speakers), "languages": ", ".join(sorted(languages))}
