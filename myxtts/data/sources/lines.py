"""Lines of a metadata file, one after the other: no file, and no line, needs more memory than a line may have bytes.

A file is looked at once before it is read (`scan`): whether it is UTF-8, and how many columns its rows have. A file in another encoding
is refused as a whole, with the command that converts it; a line that is damaged, or too long, costs that line.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from myxtts.config import DataError

MAX_LINE_BYTES = 1 << 18  # a sentence has a few hundred; rows of JSON with the times of every word some tens of thousands
_SKIP = 1 << 16
_BOM = b"\xef\xbb\xbf"
ICONV = (
    "iconv -f WINDOWS-1252 -t UTF-8 (or WINDOWS-1256 for Persian and Arabic, WINDOWS-1251 for Russian, WINDOWS-1250 for Czech, Polish and "
    "Hungarian: the one that shows it right)"
)
_FEW = 0.1  # more of the lines that are no UTF-8 than this, and more than are: the file has another encoding


class Line(NamedTuple):
    """A line that is not blank. `reason` says why it cannot be used, if it cannot; `text` is then as much of it as can be shown."""

    number: int
    text: str
    reason: str = ""
    detail: str = ""


@dataclass
class Scan:
    """What a first look at a file saw. `first` is its first line that is not blank; `columns` counts separators, by line, after it."""

    lines: int = 0  # that are not blank
    first: str = ""
    columns: Counter[int] = field(default_factory=Counter)
    whole: bool = True  # whether all of the file was looked at


def scan(path: Path, separator: str = "|", limit: int | None = None) -> Scan:
    """Looks at a file (the first `limit` lines of it). Raises DataError when it cannot be read or is not UTF-8, with the remedy."""
    result, divider = Scan(), separator.encode()
    bad, foreign, first_bad, offset = 0, 0, None, 0
    for number, raw, _ in _raw_lines(path):
        if limit is not None and result.lines >= limit:
            result.whole = False
            break
        if number == 1:
            _check_beginning(path, raw)
        if not raw.isascii():
            error = _undecodable(raw)
            bad, foreign = bad + bool(error), foreign + (not error)
            if error and first_bad is None:
                first_bad = (number, offset + error.start, raw[error.start])
        offset += len(raw)
        if not raw.isspace():
            if result.lines:
                result.columns[raw.count(divider)] += 1
            else:
                result.first = _decoded(raw, number)
            result.lines += 1
    if first_bad and bad > foreign and bad > _FEW * result.lines:
        raise _not_utf8(path, *first_bad)
    return result


def read_lines(path: Path) -> Iterator[Line]:
    """Numbered lines that are not blank. A byte order mark and CRLF are accepted. Raises DataError when the file cannot be read."""
    for number, raw, cut in _raw_lines(path):
        if cut:
            detail = f"more than {MAX_LINE_BYTES} bytes before the line ends; expected a row of a clip: is a quote or a line end missing?"
            yield Line(number, raw[:200].decode("utf-8", "replace"), "line_too_long", detail)
        elif not raw.isspace():
            error = None if raw.isascii() else _undecodable(raw)
            if error:
                detail = f"byte 0x{raw[error.start]:02x} at its offset {error.start} is no UTF-8: write the line anew in UTF-8"
                yield Line(number, raw.decode("utf-8", "replace").strip("\r\n\ufeff"), "bad_encoding", detail)
            else:
                yield Line(number, _decoded(raw, number))


def _decoded(raw: bytes, number: int) -> str:
    text = raw.decode("utf-8", "replace")
    return (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether they are only the beginning of the line."""
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is a folder, a pipe or a device: expected a file")
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                cut = len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n")
                if cut:
                    _skip_line(file)
                yield number, raw, cut
    except FileNotFoundError:
        raise DataError(f"no {path}: this layout expects it; is it another layout? (myxtts data detect)") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; make it a readable file") from None


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(_SKIP)) and not rest.endswith(b"\n"):
        pass


def _undecodable(raw: bytes) -> UnicodeDecodeError | None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # a line that was cut may end within a character
        return None if len(raw) > MAX_LINE_BYTES and error.start > MAX_LINE_BYTES - 4 else error
    return None


def _check_beginning(path: Path, raw: bytes) -> None:
    """Raises DataError for UTF-16 and for line ends of old Macintoshes, which give no lines to speak of."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _not_utf8(path, 1, 0, raw[0], "UTF-16")
    beginning = raw[:1000]
    for order, nul in (("LE", 1), ("BE", 0)):
        if len(beginning) > 8 and beginning[nul::2].count(0) > len(beginning) // 4:
            raise _not_utf8(path, 1, nul, 0, f"UTF-16{order}")
    if raw.count(b"\r") > 1 and b"\r" in raw[:-2] and not raw.endswith(b"\n"):
        raise DataError(f"{path} has lines that end in CR alone; convert it: tr '\\r' '\\n' <{path.name} >converted")


def _not_utf8(path: Path, line: int, offset: int, byte: int, encoding: str = "") -> DataError:
    remedy = f"iconv -f {encoding} -t UTF-8" if encoding else ICONV
    return DataError(f"{path} is not UTF-8: byte 0x{byte:02x} at offset {offset} (line {line}); convert it, for example: {remedy}")
