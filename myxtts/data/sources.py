"""Corpus layouts -> rows. A corpus is read where it lies; nothing in it is copied or changed.

Layouts (`data.source.layout`); every metadata file is UTF-8 with `|` between the columns and no quoting:

- `metadata`: `id|text[|normalized[|speaker[|language[|seconds]]]]` without header, audio in `wavs/<id>.wav` (or .flac, .ogg,
  .opus, .mp3), in `metadata_train.csv` and `metadata_eval.csv`, or in one `metadata.csv`.
- `ljspeech`: `metadata.csv` with `id|text|normalized`, audio in `wavs/<id>.wav`.
- `coqui`: `metadata_train.csv` and `metadata_eval.csv`, or `metadata.csv`, with a header: `audio_file|text|speaker_name`
  (also `speaker`), optionally `language` and more; `audio_file` is relative to the corpus.

Ids become file names. Every id is therefore made safe: what is no letter, digit, `.`, `_` or `-` (and a leading dot) is written
`=XX`, the hexadecimal of its UTF-8 bytes (`p225/001` -> `p225=2F001`), so that different ids stay different; one longer
than 180 bytes is cut and ends in a hash of the whole.
"""

import hashlib
import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from myxtts.config import DataError
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import METADATA, Rejected, Utterance
from myxtts.text.languages import get_language

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
_MAX_ID_BYTES = 180
_METADATA_COLUMNS = ("id", "text", "normalized", "speaker", "language", "seconds")


@dataclass(frozen=True)
class Row:
    """A line of a metadata file, split into columns but not yet checked."""

    file: str
    line: int
    cells: dict[str, str]
    split: str
    wrong_columns: str = ""  # what is wrong with their number, if it is


def read_source(source: SourceConfig, root: Path) -> tuple[list[Utterance], list[Rejected]]:
    """All rows of a corpus, in the order of its metadata: those that can be used, and those that cannot with the reason.

    `root` is the project's folder: `source.path` is relative to it, and so is each `Utterance.audio`. Audio is looked up,
    not opened. Paths are confined to the corpus: absolute ones and those that leave it by `..` are rejected (a symbolic
    link inside the corpus is its owner's doing and followed). Of a duplicate id the first row stays. With `max_clips`,
    the rows are spread evenly over the (speaker, language) pairs and within each over the corpus.
    Raises DataError when there is no such corpus, its metadata are not UTF-8 or lack a needed column.
    """
    corpus = Path(root) / source.path
    if source.layout not in LAYOUTS:
        raise DataError(f"layout {source.layout!r} has no files to read; expected one of {', '.join(LAYOUTS)}")
    if not corpus.is_dir():
        raise DataError(f"no corpus at {corpus}: set data.source.path to its folder (now {source.path!r})")
    default_language = get_language(source.language).code
    used: list[Utterance] = []
    rejected: list[Rejected] = []
    seen: dict[str, Row] = {}
    for row in LAYOUTS[source.layout](corpus):
        result = _check(row, corpus, Path(root), source.speaker, default_language)
        if isinstance(result, Utterance) and result.id in seen:
            first = seen[result.id]
            detail = f"{row.file}, line {row.line}: the id already stands in {first.file}, line {first.line}"
            result = Rejected(result.id, result.audio, "duplicate_id", detail)
        if isinstance(result, Rejected):
            rejected.append(result)
        else:
            seen[result.id] = row
            used.append(result)
    return _spread(used, source.max_clips), rejected


def safe_id(identifier: str) -> str:
    """An id as a file name: injective, without separators, never hidden, at most 180 bytes. "" stays ""."""
    identifier = unicodedata.normalize("NFC", identifier)
    escaped = re.sub(r"[^\w.\-]", lambda match: "".join(f"={byte:02X}" for byte in match.group().encode()), identifier)
    if escaped.startswith((".", "-")):
        escaped = f"={ord(escaped[0]):02X}{escaped[1:]}"
    encoded = escaped.encode()
    if len(encoded) <= _MAX_ID_BYTES:
        return escaped
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _MAX_ID_BYTES - 17].decode(errors='ignore')}={digest}"


def is_safe_id(identifier: str) -> bool:
    """Whether an id is what `safe_id` makes."""
    return bool(re.fullmatch(r"(?![.\-])[\w.\-=]+", identifier)) and len(identifier.encode()) <= _MAX_ID_BYTES


def _read_metadata_layout(corpus: Path) -> Iterator[Row]:
    for file, split in _metadata_files(corpus):
        yield from _table(file, split, _METADATA_COLUMNS, at_least=2)


def _read_ljspeech(corpus: Path) -> Iterator[Row]:
    yield from _table(corpus / "metadata.csv", "", ("id", "text", "normalized"), at_least=2)


def _read_coqui(corpus: Path) -> Iterator[Row]:
    for file, split in _metadata_files(corpus):
        lines = _lines(file)
        header = _header(lines[0][1].split("|")) if lines else ()
        missing = {"audio_file", "text"} - set(header)
        if missing:
            raise DataError(
                f"{file}: expected a header with audio_file|text|speaker_name, got {lines[0][1][:80] if lines else 'an empty file'!r}; "
                "add the header, or use layout metadata or ljspeech for a file without one"
            )
        for number, line in lines[1:]:
            cells = line.split("|")
            wrong = "" if len(cells) == len(header) else f"expected {len(header)} columns, got {len(cells)}"
            yield Row(file.name, number, dict(zip(header, map(str.strip, cells), strict=False)), split, wrong)


LAYOUTS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "metadata": _read_metadata_layout,
    "ljspeech": _read_ljspeech,
    "coqui": _read_coqui,
}


def _metadata_files(corpus: Path) -> list[tuple[Path, str]]:
    """Metadata files and the split that their rows belong to ("" = not said)."""
    split_files = [(corpus / name, split) for split, name in METADATA.items() if (corpus / name).is_file()]
    if split_files:
        return split_files
    if (corpus / "metadata.csv").is_file():
        return [(corpus / "metadata.csv", "")]
    raise DataError(f"{corpus} holds no metadata: expected {' and '.join(METADATA.values())}, or metadata.csv; is it another layout?")


def _table(file: Path, split: str, columns: tuple[str, ...], at_least: int) -> Iterator[Row]:
    """Rows of a file without header. The number of columns is that of most rows; a row with another one is marked wrong."""
    lines = [(number, line.split("|")) for number, line in _lines(file)]
    if lines and lines[0][1][0].strip().lower() in ("id", "audio_file"):  # a header though none is expected: it names the columns
        columns = _header(lines[0][1])
        lines, at_least = lines[1:], len(columns)
    allowed = Counter(len(cells) for _, cells in lines if at_least <= len(cells) <= len(columns))
    expected = max(allowed, key=lambda count: (allowed[count], count)) if allowed else at_least
    for number, cells in lines:
        wrong = "" if len(cells) == expected else f"expected {expected} columns ({'|'.join(columns[:expected])}), got {len(cells)}"
        yield Row(file.name, number, dict(zip(columns, map(str.strip, cells), strict=False)), split, wrong)


def _header(cells: list[str]) -> tuple[str, ...]:
    names = {"speaker_name": "speaker", "audio": "audio_file", "file": "audio_file", "transcription": "text"}
    return tuple(names.get(cell.strip().lower(), cell.strip().lower()) for cell in cells)


def _lines(file: Path) -> list[tuple[int, str]]:
    """Numbered lines that are not blank. A byte order mark and CRLF are accepted. Raises DataError when it is not UTF-8."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"no {file}: this layout expects it; is it another layout?") from None
    except OSError as error:
        raise DataError(f"cannot read {file}: {error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        encoding = "UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise DataError(
            f"{file} is not UTF-8: byte 0x{raw[offset]:02x} at offset {offset} (line {raw[:offset].count(10) + 1}); "
            f"convert it, for example: iconv -f {encoding} -t UTF-8"
        ) from None
    lines = enumerate((line.rstrip("\r") for line in text.split("\n")), 1)
    return [(number, line) for number, line in lines if line.strip()]


def _check(row: Row, corpus: Path, root: Path, speaker: str, language: str) -> Utterance | Rejected:
    """The utterance of a row, or why there is none."""
    place = f"{row.file}, line {row.line}"
    written = row.cells.get("audio_file") or row.cells.get("id") or ""
    identifier = safe_id(_identifier(row.cells, written))
    if row.wrong_columns:
        return Rejected(identifier, written, "wrong_column_count", f"{place}: {row.wrong_columns}")
    if not identifier:
        return Rejected("", "", "empty_id", f"{place}: no id and no audio file")
    if not row.cells.get("text") and not row.cells.get("normalized"):
        return Rejected(identifier, written, "empty_text", place)
    relative = posixpath.normpath(written.replace("\\", "/"))
    if relative.startswith(("/", "../")) or relative == ".." or PureWindowsPath(written).drive:
        detail = f"{place}: {written!r} is not inside the corpus; expected a path relative to it"
        return Rejected(identifier, written, "path_outside_corpus", detail)
    audio = _find_audio(corpus, relative, by_id="audio_file" not in row.cells)
    if audio is None:
        return Rejected(identifier, written, "missing_audio", f"{place}: no such file in the corpus")
    code = row.cells.get("language") or language
    try:
        code = get_language(code).code
    except DataError as error:
        return Rejected(identifier, written, "unknown_language", f"{place}: {error}")
    return Utterance(
        id=identifier,
        audio=Path(os.path.relpath(audio, root)).as_posix(),
        text=row.cells.get("text") or row.cells["normalized"],
        normalized=row.cells.get("normalized", ""),
        speaker=row.cells.get("speaker") or speaker,
        language=code,
        split=row.split,
    )


def _identifier(cells: dict[str, str], written: str) -> str:
    """The id, or the audio path without its suffix and a leading `wavs/`."""
    name = written.replace("\\", "/").removeprefix("./")
    if "audio_file" in cells:
        name = name.removeprefix("wavs/")
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in AUDIO_SUFFIXES else name


def _find_audio(corpus: Path, relative: str, by_id: bool) -> Path | None:
    """The audio file of a row; where rows carry ids it lies in `wavs/`, with one of the known suffixes."""
    candidates = [corpus / relative]
    if by_id:
        stem = corpus / "wavs" / relative
        candidates = [stem.with_name(stem.name + suffix) for suffix in AUDIO_SUFFIXES] + [stem, *candidates]
    for candidate in candidates:
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):  # a name too long, or with a NUL: no such file
            continue
    return None


def _spread(rows: list[Utterance], max_clips: int | None) -> list[Utterance]:
    """`max_clips` of the rows, as many of each (speaker, language) as of any other while they last; order is kept."""
    if max_clips is None or len(rows) <= max_clips:
        return rows
    groups = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.speaker, row.language].append(index)
    chosen: list[int] = []
    for position, group in enumerate(sorted(groups.values(), key=len)):
        share = (max_clips - len(chosen)) // (len(groups) - position)
        take = min(share, len(group))
        chosen += [group[i * len(group) // take] for i in range(take)]
    return [rows[index] for index in sorted(chosen)]
