"""Comma CSV with named columns, read by pandas as its users read it: a block of records at a time, so a file takes the memory of a block.

Pandas refuses a whole file for one bad row, and reads on to the file's end for a quote that is not closed. So records are told apart
before it sees them: a row of another width, or with an open quote, costs that row.
"""

import csv
import io
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from myxtts.config import DataError
from myxtts.data.sources.lines import MAX_LINE_BYTES, Line, read_lines
from myxtts.data.sources.rows import Row
from myxtts.data.sources.tables import split_quoted

_SEPARATORS = ",;\t|"
_BLOCK = 1000  # records that pandas reads at once
_OPEN_LINES = 20  # that a quoted field may go over


def csv_rows(file: Path, split: str, separator: str | None, find: Callable[[list[str]], dict[str, str]]) -> Iterator[Row]:
    """Rows of a file with a header. separator: None = that of the header. find: header -> what each column of a row is called there.

    Raises DataError when there is no header, or it lacks a column for the audio or the text.
    """
    lines = read_lines(file)
    first = next(lines, None)
    if first is None or first.reason:
        raise DataError(
            f"{file}: expected a header with the names of the columns, got {'an empty file' if first is None else first.detail}"
        )
    separator = separator or max(_SEPARATORS, key=first.text.count)
    header = split_quoted(first.text, separator)
    try:
        columns = find(header)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    for name, enough in (("audio", {"audio_file", "id"}), ("text", {"text", "normalized"})):
        if not enough & set(columns):
            raise DataError(
                f"{file}: no column for the {name} among {', '.join(header)[:300]} (separated by {separator!r}): "
                f"say what it is called, data.source.columns: {{{name}: NAME}}, and data.source.separator where that is wrong"
            )
    places = {name: header.index(column) for name, column in columns.items()}
    block: list[Line] = []
    for record in _records(lines, separator, len(header)):
        block.append(record)
        if len(block) >= _BLOCK:
            yield from _block_rows(file.name, split, block, separator, len(header), places)
            block = []
    yield from _block_rows(file.name, split, block, separator, len(header), places)


def _records(lines: Iterator[Line], separator: str, width: int) -> Iterator[Line]:
    """Records of `width` columns, those of another with the reason. A field in quotes may go over several lines."""
    again: deque[Line] = deque()  # lines that were taken for the rest of a quoted field, and are not
    while (line := again.popleft() if again else next(lines, None)) is not None:
        if line.reason:
            yield line
            continue
        text, taken, columns = line.text, [], _columns(line.text, separator)
        while columns is None and len(taken) < _OPEN_LINES and len(text) < MAX_LINE_BYTES:
            more = again.popleft() if again else next(lines, None)
            if more is None:
                break
            taken.append(more)
            if more.reason:
                break
            text = f"{text}\n{more.text}"
            columns = _columns(text, separator)
        if columns == width and (not taken or _is_strict(text, separator)):
            yield line._replace(text=text)
            continue
        again.extendleft(reversed(taken))
        if columns is None or taken:
            yield line._replace(reason="unclosed_quote", detail="a quote opens here that does not close")
        else:
            yield line._replace(reason="wrong_column_count", detail=f"expected {width} columns, got {columns}")


def _columns(text: str, separator: str) -> int | None:
    """How many columns a record has; None where a quote in it is still open."""
    if '"' not in text:
        return text.count(separator) + 1
    try:
        # what stands behind an open quote, a second row here, becomes a part of the first
        rows = list(csv.reader([*(f"{line}\n" for line in text.split("\n")), "end\n"], delimiter=separator))
    except csv.Error:  # a field longer than the csv module reads
        return 0
    return len(rows[0]) if len(rows) == 2 else None


def _is_strict(text: str, separator: str) -> bool:
    """Whether nothing stands behind a closing quote: else it was the opening one of another row, and theirs is not closed."""
    try:
        return bool(list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)))
    except csv.Error:
        return False


def _block_rows(file: str, split: str, block: list[Line], separator: str, width: int, places: dict[str, int]) -> Iterator[Row]:
    good = [line.text for line in block if not line.reason]
    parsed = _parse(good, separator, width)
    if len(parsed) != len(good) or any(len(cells) != width for cells in parsed):
        parsed = [next(iter(_parse([text], separator, width)), []) for text in good]  # one of them: which shows when each is read by itself
    answers = iter(parsed)
    for number, text, reason, detail in block:
        cells = [] if reason else next(answers)
        if not reason and len(cells) != width:
            reason, detail = "bad_csv", f"pandas reads no row of {width} columns here"
        if reason:
            yield Row(file, number, {"audio_file": text.partition(separator)[0][:200]}, split, reason, detail)
        else:
            named = {name: cells[place].strip() for name, place in places.items()}
            yield Row(file, number, named, "" if named.get("split") else split)


def _parse(records: list[str], separator: str, width: int) -> list[list[str]]:
    """Cells of each record; [] where pandas cannot read them together."""
    import pandas

    if not records:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pandas.errors.ParserWarning)
            table = pandas.read_csv(
                io.StringIO("\n".join(records) + "\n"),
                sep=separator,
                lineterminator="\n",  # a lone carriage return is none
                header=None,
                names=range(width),
                index_col=False,
                dtype=object,  # as text, without the columns of Arrow that pandas would make of it
                keep_default_na=False,  # "NA" and "null" are words
                skip_blank_lines=False,
            )
    except ValueError:  # pandas' own errors are such
        return []
    # a row that is short of columns is filled up with NaN
    return [[cell for cell in row if isinstance(cell, str)] for row in table.to_numpy().tolist()]
