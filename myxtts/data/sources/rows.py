"""A row of a corpus -> an Utterance, or why there is none. Audio is looked up, never opened."""

import configparser
import math
import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from myxtts.config import DataError
from myxtts.config.data import CorpusConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.data.sources.identifiers import safe_id, segment_suffix
from myxtts.text.languages import get_language

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
SPLITS = {name: name for name in ("", "train", "eval")} | {"training": "train"}
SPLITS |= dict.fromkeys(("dev", "val", "valid", "validation", "evaluation", "test"), "eval")
FOLLOW = "data.source.follow_links: true (of a mix: that of the corpus)"
_MAX_FOLDERS = 10_000  # whose real place is remembered


class Row(NamedTuple):
    """A row of a metadata file, split into columns but not yet checked; `reason` says what is wrong with it already, if anything.

    cells: of id, audio_file, text, normalized, speaker, language, start, end, duration, split; the audio is looked up by audio_file, or
    else by id.
    """

    file: str
    line: int
    cells: dict[str, str]
    split: str = ""
    reason: str = ""
    detail: str = ""

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}" if self.line else self.file


@dataclass(frozen=True)
class Corpus:
    """A corpus whose folder is known: `name` stands in its utterances, `prefix` before its ids and speakers (in a mix).

    root: the project's folder. look: lines that a first look at a metadata file takes, None = all. unpacked: of an archive, whose links
    never lead out of it.
    """

    name: str
    settings: CorpusConfig
    folder: Path
    root: Path
    prefix: str = ""
    unpacked: bool = False
    look: int | None = None

    def allows(self, real: str) -> bool:
        """Whether the place (without links) that a symbolic link leads to may be read.

        It may inside the corpus and in the project's DVC cache, whose checkouts may be links; with `follow_links`, anywhere.
        """
        return (self.settings.follow_links and not self.unpacked) or f"{real}/".startswith(self._inside)

    @cached_property
    def _inside(self) -> tuple[str, ...]:
        return tuple(os.path.join(os.path.realpath(path), "") for path in (self.folder, *_dvc_caches(self.root)))  # noqa: PTH118

    def file(self, name: str) -> Path:
        """A metadata file, or a folder. Raises DataError when it is a link that leads out of the corpus."""
        path = self.folder / name
        if not self.allows(os.path.realpath(path)):
            raise DataError(f"{path} is a link out of the corpus, to {path.resolve()}: copy it there, or set {FOLLOW}")
        return path


def _dvc_caches(root: Path) -> list[Path]:
    """Where the project's DVC keeps files: `.dvc/cache`, and `cache.dir` of `.dvc/config.local` or else of `.dvc/config`."""
    folder = root / ".dvc"
    settings = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    for name in ("config", "config.local"):
        try:
            # a line that is set in deeper would go on the one before
            lines = map(str.strip, (folder / name).read_text(encoding="utf-8").splitlines())
            settings.read_string("\n".join(lines))
        except (OSError, UnicodeDecodeError, configparser.Error):  # it is for DVC to say what is wrong with it
            continue
    named = (settings.get("cache", "dir", fallback="") or "").strip("\"'")
    # as DVC reads it: from the user's home, or relative to .dvc
    return [folder / "cache", *([folder / os.path.expanduser(named)] if named else [])]  # noqa: PTH111


def split_of_name(name: str) -> str:
    """The split that the name of a file or folder speaks of: `train-clean-100`, `dev_manifest.json`; "" where it says nothing."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS and word]
    # cv-valid-train.csv: the clips there were validated by listeners
    said = [word for word in words if word not in ("valid", "val")] or words
    return SPLITS[said[0]] if said else ""


class Checker:
    """Checks the rows of one corpus. folders: where its audio lies, "" for the corpus itself."""

    def __init__(self, corpus: Corpus, folders: tuple[str, ...]):
        self._corpus = corpus
        self._speaker = corpus.settings.speaker
        self._languages: dict[str, str | DataError] = {"": get_language(corpus.settings.language).code}
        self._finder = AudioFinder(corpus, folders)
        self._absolute = {f"{path.as_posix()}/" for path in (corpus.folder.absolute(), corpus.folder.resolve())}
        written = os.path.relpath(corpus.folder, corpus.root).replace(os.sep, "/")
        self._here = "" if written == "." else f"{written}/"

    def check(self, row: Row) -> Utterance | Rejected:
        """The utterance of a row, or why there is none."""
        cells = row.cells
        written = cells.get("audio_file") or cells.get("id") or ""
        try:
            if row.reason:
                raise _Refused(row.reason, row.detail)
            start, end = _segment(cells)
            identifier = self._identifier(cells, written, segment_suffix(start, end))
            self._check_texts(cells, written, identifier)
            audio = self._audio(written)
            return Utterance(
                identifier,
                self._here + audio,
                cells.get("text") or cells["normalized"],
                cells.get("normalized") or "",
                self._corpus.prefix + (cells.get("speaker") or self._speaker),
                self._language(cells.get("language") or ""),
                None,
                row.split or _split(cells.get("split") or ""),
                self._corpus.name,
                start,
                end,
            )
        except _Refused as refused:
            detail = f"{row.place}: {refused.detail}" if refused.detail else row.place
            written = _shown(written)
            return Rejected(self._identifier(cells, written, ""), written, refused.reason, _shown(detail))

    def _identifier(self, cells: dict[str, str], written: str, suffix: str) -> str:
        """The id, or the audio path without its suffix and a leading `wavs/`; of a segment, its times behind it."""
        name = cells.get("id") or written
        if "\\" in name or name.startswith("./"):
            name = name.replace("\\", "/").removeprefix("./")
        if "audio_file" in cells and not cells.get("id"):
            name = name.removeprefix("wavs/")
        ending = name.rpartition(".")
        if f".{ending[2].lower()}" in AUDIO_SUFFIXES:
            name = ending[0]
        return safe_id(self._corpus.prefix + name, suffix) if name else ""

    def _check_texts(self, cells: dict[str, str], written: str, identifier: str) -> None:
        if not identifier:
            raise _Refused("empty_id", "no id and no audio file; expected one of them: complete the row or remove it")
        text, normalized = cells.get("text"), cells.get("normalized")
        if not text and not normalized:
            raise _Refused("empty_text", "no text; expected what is spoken: write it, or remove the row")
        for value in (written, text, normalized, cells.get("speaker")):
            if value and not value.isascii() and _has_surrogates(value):
                raise _Refused("bad_encoding", f"{_shown(value)!r} holds characters that are no Unicode: write it anew in UTF-8")
            if value and value is not written and "\0" in value:
                raise _Refused("bad_encoding", "a NUL byte in the text; expected UTF-8: the file is damaged, or in another encoding")

    def _audio(self, written: str) -> str:
        relative = _normalized(written)
        for folder in self._absolute if relative.startswith("/") else ():
            relative = relative.removeprefix(folder)
        if relative.startswith(("/", "../")) or relative == ".." or (relative[1:2] == ":" and relative[0].isalpha()):
            raise _Refused("path_outside_corpus", f"{written!r} is not inside the corpus; expected a path relative to it")
        return self._finder.find(relative)

    def _language(self, code: str) -> str:
        if code not in self._languages:
            if len(self._languages) > 1000:  # a column of something else
                self._languages = {"": self._languages[""]}
            try:
                self._languages[code] = get_language(code).code
            except DataError as error:
                self._languages[code] = error
        known = self._languages[code]
        if isinstance(known, DataError):
            raise _Refused("unknown_language", str(known))
        return known


class AudioFinder:
    """Finds the audio of rows inside a corpus, with one system call a row where the corpus is of one kind of file.

    Where several files fit a row, that which lies as the row before had its own is taken, else the first by `folders` and suffixes.
    """

    def __init__(self, corpus: Corpus, folders: tuple[str, ...]):
        self._corpus = str(corpus.folder)
        self._allows = corpus.allows
        places = [f"{folder}/" if folder else "" for folder in folders]
        # for names without a suffix of audio, and with one
        self._places = [
            [(place, suffix) for place in places for suffix in suffixes] for suffixes in ((*AUDIO_SUFFIXES, ""), ("", *AUDIO_SUFFIXES))
        ]
        # where the row before had its audio is looked first: a corpus is of one kind
        self._usual = [candidates[0] for candidates in self._places]
        self._real: dict[str, bool] = {}

    def find(self, relative: str) -> str:
        """Path of the file relative to the corpus. Raises _Refused where there is none, or it may not be read."""
        has_suffix = relative[relative.rfind(".") :].lower() in AUDIO_SUFFIXES
        reason = ("missing_audio", f"no file {_shown(relative)} in the corpus; correct the name, or put the file there")
        for name, place in self._names(relative, has_suffix):
            try:
                if self._is_file(f"{self._corpus}/{name}"):
                    self._usual[has_suffix] = place
                    return name
            except PermissionError as error:
                reason = ("unreadable_audio", f"{name}: {error.strerror}; make its folder readable")
            except (OSError, ValueError):  # a name too long, or with a NUL: no such file
                continue
        raise _Refused(*reason)

    def _names(self, relative: str, has_suffix: bool) -> Iterator[tuple[str, tuple[str, str]]]:
        """Names that the file may have, the likeliest first, each with its folder and added suffix.

        Last those of a suffix in capitals, and of a name that is composed otherwise, as archives that were made on a Mac have it.
        """
        for folder, added in (self._usual[has_suffix], *self._places[has_suffix]):
            yield f"{folder}{relative}{added}", (folder, added)
        forms = [relative] if relative.isascii() else [unicodedata.normalize(form, relative) for form in ("NFC", "NFD")]
        for form in forms:
            stem, dot, suffix = form.rpartition(".") if has_suffix else (form, "", "")
            for place in self._places[has_suffix]:
                folder, added = place
                if form != relative:
                    yield f"{folder}{form}{added}", place
                yield f"{folder}{stem}{dot}{suffix.upper()}{added.upper()}", place

    def _is_file(self, path: str) -> bool:
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            allowed = self._is_inside(path[: path.rindex("/")])
        elif stat.S_ISLNK(mode) and stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            allowed = self._allows(os.path.realpath(path))
        else:
            return False
        if not allowed:
            detail = f"a symbolic link leads out of the corpus, to {os.path.realpath(path)}"
            raise _Refused("path_outside_corpus", f"{detail}; it is read with {FOLLOW}")
        return True

    def _is_inside(self, folder: str) -> bool:
        if folder not in self._real:
            if len(self._real) >= _MAX_FOLDERS:
                self._real.clear()
            self._real[folder] = self._allows(os.path.realpath(folder))
        return self._real[folder]


class _Refused(Exception):
    def __init__(self, reason: str, detail: str):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def _normalized(written: str) -> str:
    """A path with forward slashes and without detours."""
    if "\\" in written:
        written = written.replace("\\", "/")
    if "./" in written or "//" in written or written.endswith(("/", ".")):
        written = posixpath.normpath(written)
    return written


def _segment(cells: dict[str, str]) -> tuple[float | None, float | None]:
    """Start and end of a row in seconds; None where it is a whole recording. A duration counts from the start that is given."""
    names = [name for name in ("start", "end", "duration") if cells.get(name)]
    if not names or names == ["duration"]:
        return None, None
    try:
        times = {name: float(cells[name]) for name in names}
    except ValueError:
        times = {}
    given = ", ".join(f"{name} {cells[name][:40]}" for name in names)
    if not times or not all(map(math.isfinite, times.values())):
        raise _Refused("bad_segment", f"expected seconds as numbers, got {given}")
    start = times.get("start", 0.0)
    end = times.get("end", start + times["duration"] if "duration" in times else None)
    if start < 0 or (end is not None and end <= start):
        raise _Refused("bad_segment", f"expected 0 <= start < end, got {given}")
    return start, end


def _split(written: str) -> str:
    if written.strip().lower() not in SPLITS:
        raise _Refused("unknown_split", f"expected train, eval, dev, test or nothing, got {written[:40]!r}")
    return SPLITS[written.strip().lower()]


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _shown(text: str) -> str:
    """A text that can be written to a file."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
