"""Layouts of one line a row: `|` and tab between columns. Each is split as the programs it is made for split it.

| layout | quotes |
|---|---|
| metadata, ljspeech | mean nothing: a `"` is a part of the text |
| coqui, piper, common_voice | a field that is quoted from end to end is what the quotes hold (`""` is one `"`); any other is as it stands |

A file of all seven columns of `metadata` is one of ours: its `\\p`, `\\n`, `\\r` and `\\\\` are `|`, the line ends and a backslash.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from myxtts.config import DataError
from myxtts.data.manifest import METADATA, unescape
from myxtts.data.sources.lines import read_lines, scan
from myxtts.data.sources.rows import Corpus, Row
from myxtts.data.sources.seen import SeenIds

METADATA_COLUMNS = ("id", "text", "normalized", "speaker", "language", "seconds", "corpus")  # all of a processed corpus
LJSPEECH_COLUMNS = ("id", "text", "normalized")
VALIDATED = "validated.tsv"
COMMON_VOICE_SPLITS = {"train.tsv": "train", "dev.tsv": "eval", "test.tsv": "eval"}
_NAMES = {"speaker_name": "speaker", "audio": "audio_file", "file": "audio_file", "transcription": "text"}
_COMMON_VOICE_NAMES = {"path": "audio_file", "sentence": "text", "client_id": "speaker", "locale": "language"}
_CLIENT_DIGITS = 16  # of the 128 of a speaker's hash: enough to tell all speakers of the world apart

Split = Callable[[str, str], list[str]]


def read_metadata_layout(corpus: Corpus) -> Iterator[Row]:
    for file, split in metadata_files(corpus):
        yield from _table(file, split, METADATA_COLUMNS, at_least=2, cut=str.split, look=corpus.look)


def read_ljspeech(corpus: Corpus) -> Iterator[Row]:
    yield from _table(corpus.file("metadata.csv"), "", LJSPEECH_COLUMNS, at_least=2, cut=str.split, look=corpus.look)


def read_piper(corpus: Corpus) -> Iterator[Row]:
    file = corpus.file("metadata.csv")
    counts = scan(file, "|", corpus.look).columns
    # with one `|` there is no speaker
    columns = ("id", "speaker", "text") if counts[2] > counts[1] else ("id", "text")
    yield from _table(file, "", columns, at_least=len(columns), cut=split_quoted, look=corpus.look)


def read_coqui(corpus: Corpus) -> Iterator[Row]:
    for file, split in metadata_files(corpus):
        first = scan(file, "|", corpus.look).first
        header = column_names(split_quoted(first, "|"), _NAMES)
        if {"audio_file", "text"} - set(header):
            raise DataError(
                f"{file}: expected a header with audio_file|text|speaker_name, got {first[:80] if first else 'an empty file'!r}; "
                "add the header, or use layout metadata, ljspeech or piper for a file without one"
            )
        yield from _with_header(file, split, "|", header)


def read_common_voice(corpus: Corpus) -> Iterator[Row]:
    """`train.tsv`, `dev.tsv` and `test.tsv`, then what `validated.tsv` holds besides: more than half of it, in most languages."""
    with SeenIds() as seen:
        for name, split in common_voice_files(corpus.folder).items():
            for row in _common_voice_table(corpus.file(name), split, corpus.look):
                path = row.cells.get("audio_file", "")
                if name != VALIDATED:
                    seen.add(path, row.place)
                elif path in seen:
                    continue
                yield row


def _common_voice_table(file: Path, split: str, look: int | None) -> Iterator[Row]:
    first = scan(file, "\t", look).first
    header = column_names(first.split("\t"), _COMMON_VOICE_NAMES)
    if {"audio_file", "text"} - set(header):
        raise DataError(f"{file}: expected a header with the columns path and sentence, got {first[:80]!r}; is it another layout?")
    for row in _with_header(file, split, "\t", header):
        if row.cells.get("text"):
            row.cells["text"] = row.cells["text"].replace('\\"', '"')  # as their exports write a quote
        row.cells["speaker"] = row.cells.get("speaker", "")[:_CLIENT_DIGITS]
        # the id is the clip's name; an older path lacks its suffix
        yield row


def common_voice_files(corpus: Path) -> dict[str, str]:
    """Tables of a Common Voice folder that are read, with their splits. Raises DataError when there is none."""
    splits = COMMON_VOICE_SPLITS if (corpus / "train.tsv").is_file() else {}
    found = {name: split for name, split in (splits | {VALIDATED: "train" if splits else ""}).items() if (corpus / name).is_file()}
    if found:
        return found
    raise DataError(f"{corpus} holds neither train.tsv nor validated.tsv: expected the folder of one language of Common Voice")


def metadata_files(corpus: Corpus) -> list[tuple[Path, str]]:
    """Metadata files and the split that their rows belong to ("" = not said)."""
    split_files = [(corpus.file(name), split) for split, name in METADATA.items() if (corpus.folder / name).is_file()]
    if split_files:
        return split_files
    if (corpus.folder / "metadata.csv").is_file():
        return [(corpus.file("metadata.csv"), "")]
    raise DataError(
        f"{corpus.folder} holds no metadata: expected {' and '.join(METADATA.values())}, or metadata.csv; "
        "is it another layout? (myxtts data detect)"
    )


def column_names(cells: list[str], names: dict[str, str]) -> tuple[str, ...]:
    """A header's columns, by the names that rows have."""
    return tuple(names.get(cell.strip().lower(), cell.strip().lower()) for cell in cells)


def split_quoted(line: str, separator: str) -> list[str]:
    """Columns of a line. Where its quotes are not those of a CSV file, they are a part of the text."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error:  # a quote that does not close, or text behind one: somebody speaks in it
            pass
    return line.split(separator)


def _table(file: Path, split: str, columns: tuple[str, ...], at_least: int, cut: Split, look: int | None) -> Iterator[Row]:
    """Rows of a file without header. The number of columns is that of most rows; a row with another one is marked wrong."""
    seen = scan(file, "|", look)
    counts = seen.columns.copy()
    if _is_header(seen.first):  # a header though none is expected: it names the columns
        yield from _with_header(file, split, "|", column_names(cut(seen.first, "|"), _NAMES), cut)
        return
    counts[seen.first.count("|")] += 1
    allowed = {count + 1: times for count, times in counts.items() if at_least <= count + 1 <= len(columns)}
    expected = max(allowed, key=lambda count: (allowed[count], count)) if allowed else at_least
    wanted = f"expected {expected} columns ({'|'.join(columns[:expected])})"
    ours = columns == METADATA_COLUMNS and expected == len(columns)  # nobody else writes all seven
    yield from _rows(file, split, "|", columns, expected, wanted, cut, unescape if ours else str)


def _is_header(line: str) -> bool:
    first, *others = (cell.strip().lower() for cell in line.split("|"))
    return first in ("id", "audio_file") or (first in _NAMES and bool({"text", "transcription", "normalized"} & set(others)))


def _with_header(file: Path, split: str, separator: str, header: tuple[str, ...], cut: Split = split_quoted) -> Iterator[Row]:
    rows = _rows(file, split, separator, header, len(header), f"expected {len(header)} columns", cut)
    next(rows, None)  # the header
    return rows


def _rows(
    file: Path,
    split: str,
    separator: str,
    columns: tuple[str, ...],
    expected: int,
    wanted: str,
    cut: Split,
    plain: Callable[[str], str] = str,
) -> Iterator[Row]:
    """plain: what a cell holds, of what is written."""
    name = file.name
    for number, line, reason, detail in read_lines(file):
        if reason:
            yield Row(name, number, {columns[0]: line.partition(separator)[0].strip()}, split, reason, detail)
            continue
        cells = cut(line, separator)
        if len(cells) != expected:
            reason, detail = "wrong_column_count", f"{wanted}, got {len(cells)}"
        yield Row(name, number, dict(zip(columns, (plain(cell.strip()) for cell in cells), strict=False)), split, reason, detail)
