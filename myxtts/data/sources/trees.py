"""Layouts of one text file a recording: VCTK, LibriTTS, and any folder of `x.wav` beside `x.txt`.

A folder may hold millions of files in the order of its file system: their names go through a temporary SQLite table, which sorts them on
disk, so the rows come in one order everywhere and take no memory.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from myxtts.config import DataError
from myxtts.data.scratch import open_scratch
from myxtts.data.sources.lines import ICONV, MAX_LINE_BYTES, read_lines
from myxtts.data.sources.rows import AUDIO_SUFFIXES, FOLLOW, SPLITS, Corpus, Row, split_of_name

_LABEL = re.compile(r"\s*(-?\d+(?:[.,]\d+)?)\t(-?\d+(?:[.,]\d+)?)(?:\t(.*))?$")  # a line of Audacity's labels
_NO_SPEAKER = ("wav", "wavs", "audio", "clips")  # names of folders that hold audio, whoever speaks in it
_TEXTS = (".txt", ".lab")
_VCTK_AUDIO = ("wav48_silence_trimmed", "wav48")


class Group(NamedTuple):
    """Files that belong together: `files` by what is left of their names, paths relative to the corpus."""

    key: str
    files: dict[str, str]


def read_folder(corpus: Corpus) -> Iterator[Row]:
    """`x.wav` with `x.txt` or `x.lab`; a file of Audacity's labels (start, end, text with tabs between) gives a row a label.

    The topmost folder is the speaker; where there is one that is called train, it and its like (dev, test) are the splits, and the
    folders in them the speakers.
    """
    splits = _split_folders(corpus.folder)
    for item in _groups(corpus, "", _folder_key):
        if isinstance(item, Row):
            yield item
            continue
        audio = _audio_of(item)
        texts = [item.files[suffix] for suffix in _TEXTS if suffix in item.files]
        if audio is None and texts:
            yield Row(texts[0], 0, {"id": item.key}, "", "missing_audio", f"no {'/'.join(AUDIO_SUFFIXES)} beside it")
        elif not texts:
            yield Row(audio, 0, {"audio_file": audio}, "", "missing_text", "no .txt or .lab of the same name beside it")
        else:
            parts = [part for part in audio.split("/")[:-1] if part.lower() not in _NO_SPEAKER]
            split = splits[parts.pop(0)] if parts and audio.split("/")[0] in splits else ""
            cells = {"audio_file": audio, "id": item.key, "speaker": parts[0] if parts else ""}
            for row in _text_rows(corpus.folder, texts[0], cells):
                yield row._replace(split=split)


def _split_folders(folder: Path) -> dict[str, str]:
    """Folders that are splits by their whole name, if one of them is for training: a person may be called Dev."""
    try:
        found = {path.name: SPLITS[path.name.lower()] for path in folder.iterdir() if path.name.lower() in SPLITS and path.is_dir()}
    except OSError:  # the walk says so
        return {}
    return found if "train" in found.values() else {}


def read_vctk(corpus: Corpus) -> Iterator[Row]:
    """0.92 (`wav48_silence_trimmed/p225/p225_001_mic1.flac`) and 0.80 (`wav48/p225/p225_001.wav`) with `txt/p225/p225_001.txt`.

    The second microphone heard the same sentence, and is read only where the first is not there.
    """
    folders = [name for name in _VCTK_AUDIO if (corpus.folder / name).is_dir()]
    if not folders or not (corpus.folder / "txt").is_dir():
        raise DataError(f"{corpus.folder} is no VCTK: expected {' or '.join(_VCTK_AUDIO)}, and txt, each with a folder for each speaker")
    # the folder of texts is walked together with that of the recordings: their files meet under one key
    for item in _groups(corpus, ("txt", folders[0]), _vctk_key):
        if isinstance(item, Row):
            yield item
            continue
        audio = item.files.get("mic1") or item.files.get("mic2") or item.files.get("")
        text = item.files.get(".txt")
        cells = {"audio_file": audio or "", "id": item.key.partition("/")[2], "speaker": item.key.partition("/")[0]}
        if not audio:
            yield Row(text, 0, cells, "", "missing_audio", f"no recording of it in {folders[0]}")
        elif not text:
            yield Row(audio, 0, cells, "", "missing_text", f"no txt/{item.key}.txt")
        else:
            yield from _text_rows(corpus.folder, text, cells, labels=False)


def read_libritts(corpus: Corpus) -> Iterator[Row]:
    """`train-clean-100/SPEAKER/CHAPTER/x.wav` with `x.normalized.txt` and `x.original.txt`; or one such subset."""
    for item in _groups(corpus, "", _libritts_key):
        if isinstance(item, Row):
            yield item
            continue
        parts = item.key.split("/")
        audio = _audio_of(item)
        subset = parts[-4] if len(parts) > 3 else corpus.folder.name
        cells = {"audio_file": audio or "", "id": parts[-1], "speaker": parts[-3] if len(parts) > 2 else ""}
        texts = {name: item.files[name] for name in (".normalized.txt", ".original.txt") if name in item.files}
        if not audio:
            yield Row(next(iter(item.files.values())), 0, cells, "", "missing_audio", "no recording beside it")
        elif not texts:
            yield Row(audio, 0, cells, "", "missing_text", "no .normalized.txt and no .original.txt beside it")
        else:
            read = {name: _read_text(corpus.folder, path) for name, path in texts.items()}
            bad = next((row for row in read.values() if isinstance(row, Row)), None)
            if bad:
                yield bad._replace(cells=cells)
                continue
            normalized, original = read.get(".normalized.txt", ""), read.get(".original.txt", "")
            yield Row(audio, 0, cells | {"text": original or normalized, "normalized": normalized}, split_of_name(subset))


def _folder_key(path: str) -> tuple[str, str] | None:
    stem, suffix = os.path.splitext(path)  # noqa: PTH122
    return (stem, suffix.lower()) if suffix.lower() in (*AUDIO_SUFFIXES, *_TEXTS) else None


def _libritts_key(path: str) -> tuple[str, str] | None:
    for suffix in (".normalized.txt", ".original.txt", *AUDIO_SUFFIXES):
        if path.lower().endswith(suffix):
            return path[: -len(suffix)], suffix
    return None


def _vctk_key(path: str) -> tuple[str, str] | None:
    """`p225/p225_001` and which of its files this is: mic1, mic2, .txt, or "" for the one recording of version 0.80."""
    stem, suffix = os.path.splitext(path.partition("/")[2])  # noqa: PTH122
    suffix = suffix.lower()
    if path.startswith("txt/"):
        return (stem, ".txt") if suffix == ".txt" else None
    if suffix not in AUDIO_SUFFIXES:
        return None
    return (stem[:-5], stem[-4:]) if stem.endswith(("_mic1", "_mic2")) else (stem, "")


def _audio_of(group: Group) -> str | None:
    return next((group.files[suffix] for suffix in AUDIO_SUFFIXES if suffix in group.files), None)


def _text_rows(corpus: Path, path: str, cells: dict[str, str], labels: bool = True) -> Iterator[Row]:
    """The row of a recording, or of each of its labels."""
    if labels and _has_labels(corpus / path):
        for line in read_lines(corpus / path):
            if line.text.startswith("\\"):  # Audacity's range of frequencies, of the label before
                continue
            match = _LABEL.match(line.text)
            if line.reason or not match:
                yield Row(
                    path, line.number, cells, "", line.reason or "bad_segment", line.detail or "expected start, end and text with tabs"
                )
                continue
            start, end, text = match.groups()
            times = {"start": start.replace(",", "."), "end": end.replace(",", ".")}
            yield Row(path, line.number, cells | times | {"text": (text or "").strip()})
        return
    text = _read_text(corpus, path)
    yield text._replace(cells=cells) if isinstance(text, Row) else Row(path, 0, cells | {"text": text})


def _has_labels(path: Path) -> bool:
    try:
        first = next(read_lines(path), None)
    except DataError:
        return False
    return first is not None and not first.reason and bool(_LABEL.match(first.text))


def _read_text(corpus: Path, path: str) -> str | Row:
    """The text of a file, its lines joined; a row with the reason where it cannot be read."""
    try:
        with (corpus / path).open("rb") as file:
            raw = file.read(MAX_LINE_BYTES + 1)
        if len(raw) > MAX_LINE_BYTES:
            return Row(path, 0, {}, "", "text_too_long", f"more than {MAX_LINE_BYTES} bytes: is it the text of this recording alone?")
        return " ".join(raw.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        remedy = f"convert it, for example: {ICONV}"
        return Row(path, 0, {}, "", "bad_encoding", f"byte 0x{error.object[error.start]:02x} at offset {error.start} is no UTF-8; {remedy}")
    except OSError as error:
        return Row(path, 0, {}, "", "unreadable_text", f"{error.strerror}; make it readable")


def _groups(corpus: Corpus, top: str | tuple[str, ...], key: Callable[[str], tuple[str, str] | None]) -> Iterator[Group | Row]:
    """Files under the folders `top`, those of one key together, by key; before them a row for each folder that cannot be read."""
    database = open_scratch(cache_mb=32)
    try:
        # names are bytes: not all are Unicode
        database.execute("CREATE TABLE files (key BLOB, kind TEXT, path BLOB, PRIMARY KEY (key, kind, path)) WITHOUT ROWID")
        database.execute("CREATE TABLE problems (path BLOB, reason TEXT, detail TEXT)")
        for path in _walk(corpus, (top,) if isinstance(top, str) else top):
            if isinstance(path, Row):
                database.execute("INSERT INTO problems VALUES (?, ?, ?)", (os.fsencode(path.file), path.reason, path.detail))
            elif found := key(path):
                database.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (os.fsencode(found[0]), found[1], os.fsencode(path)))
        for raw, reason, detail in database.execute("SELECT * FROM problems ORDER BY path, reason"):
            yield Row(os.fsdecode(raw), 0, {"audio_file": os.fsdecode(raw)}, "", reason, detail)
        group: Group | None = None
        for raw, kind, path in database.execute("SELECT key, kind, path FROM files ORDER BY key, kind, path"):
            name = os.fsdecode(raw)
            if group is None or group.key != name:
                if group:
                    yield group
                group = Group(name, {})
            group.files.setdefault(kind, os.fsdecode(path))
        if group:
            yield group
    finally:
        database.close()


def _walk(corpus: Corpus, tops: tuple[str, ...]) -> Iterator[str | Row]:
    """Paths of all files, relative to the corpus, in no order. Hidden files and folders are left out.

    A link that leads out of the corpus is not followed (without `follow_links`), and each folder is read once: a loop ends.
    """
    here = str(corpus.folder)
    read: set[tuple[int, int]] = set()
    waiting, links = [top for top in reversed(tops) if corpus.file(top)], []
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop()
        where = f"{here}/{folder}" if folder else here
        subfolders = []
        try:
            status = os.stat(where)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in read:
                continue
            read.add((status.st_dev, status.st_ino))
            with os.scandir(where) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_symlink() and not corpus.allows(os.path.realpath(entry.path)):
                        detail = f"a symbolic link leads out of the corpus: with {FOLLOW} it is read"
                        yield Row(path, 0, {"audio_file": path}, "", "path_outside_corpus", detail)
                    elif (kind := _kind(entry)) == "folder":
                        (links if entry.is_symlink() else subfolders).append(path)
                    elif kind:
                        yield path
        except OSError as error:
            yield Row(folder or ".", 0, {"audio_file": folder}, "", "unreadable_folder", f"{error.strerror}; make it readable")
        # of two ways to one folder the same is taken everywhere: its own before a link to it, and links by name
        waiting += sorted(subfolders, reverse=True)
        links.sort(reverse=True)


def _kind(entry: os.DirEntry) -> str:
    """folder, file, or "" for a pipe or a device, which would be waited for; a link to nowhere is a file that is not there."""
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)) else ""  # noqa: PTH110
    except OSError:  # a link to itself
        return "file"
