"""Archives of corpora: unpacked so that nothing of them ever lies outside the folder made for them, nor fills the disk.

An archive is somebody else's work. Refused as a whole, with the entry that is at fault: absolute names, `..`, names twice, devices, links
that lead out of it or through another link, entries that are encrypted, and more bytes, files or longer names than a corpus has.
The tarfile module's own filters are not relied on: they have had holes, and say nothing of sizes.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from myxtts.config import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_BYTES = 1 << 40
MAX_FILES = 5_000_000
MAX_RATIO = 100  # unpacked to packed; speech is 1 to 4, text 3 to 10
_RATIO_FROM = 1 << 26  # bytes; a little text may be packed ever so well
_MAX_NAME, _MAX_PART = 1024, 255  # bytes of a path and of a name in it
_MAX_HEADER = 1 << 16  # bytes of a tar entry's extended header, which is read into memory
_RESERVE = 1 << 28  # bytes that stay free on the disk
_CHUNK = 1 << 20
_LEFT_OUT = ("__MACOSX", ".DS_Store")
# what the modules raise over damage, besides an OSError without a number
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, ArithmeticError),
)


class Entry(NamedTuple):
    """An entry of an archive. kind: file, folder, link (symbolic; `target` as it is written), copy (`target` is another entry) or a word
    for what it is else. open: its bytes; call it before the next entry is asked for."""

    name: str
    kind: str
    target: str = ""
    open: Callable[[], IO[bytes]] | None = None


def is_archive(path: Path) -> bool:
    """Whether a path is a file named like an archive that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def archive_stem(path: Path) -> str:
    """`corpus` of `corpus.tar.gz`."""
    return next(
        (path.name[: -len(suffix)] for suffix in sorted(SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(suffix)), path.name
    )


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks an archive into `folder`, which must not be there yet; returns the folder of the corpus in it.

    That is `folder`, or while there is but one folder in it, this one. Nothing is left behind when it fails.
    Raises DataError when the archive is damaged, refused (see above) or does not fit on the disk.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        budget = _Budget(archive, part)
        with naming_damage(archive):
            for entry in read_entries(archive):
                _place(entry, part, budget)
        part.rename(folder)
    except OSError as error:
        raise DataError(
            f"cannot unpack {archive} into {folder}: {error.strerror or error}; free space or make the folder writable"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return top_folder(folder)


def top_folder(folder: Path) -> Path:
    """The folder, or the only folder in it, and so on."""
    for _ in range(8):
        inside = list(folder.iterdir())
        if len(inside) != 1 or inside[0].is_symlink() or not inside[0].is_dir():
            break
        folder = inside[0]
    return folder


def read_entries(archive: Path) -> Iterator[Entry]:
    """Entries in the order of the archive, but those that are a computer's own. Raises DataError when it is damaged or encrypted."""
    read = _zip_entries if archive.name.lower().endswith(".zip") else _tar_entries
    with naming_damage(archive):
        for entry in read(archive):
            if not any(part in _LEFT_OUT or part.startswith("._") for part in entry.name.split("/")):
                yield entry


@contextlib.contextmanager
def naming_damage(archive: Path) -> Iterator[None]:
    """The many errors that reading a damaged archive raises, as one DataError."""
    wanted = "expected zip, tar, tar.gz, tar.bz2 or tar.xz; get it again"
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"no archive {archive}: set data.source.path") from None
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{archive} is damaged ({error or type(error).__name__}): {wanted}") from None
    except OSError as error:
        if error.errno is not None:  # gzip and bz2 call damage so, without a number
            raise
        raise DataError(f"{archive} is damaged ({error}): {wanted}") from None


def check_name(archive: Path, name: str) -> str:
    """A path that stays inside, with forward slashes; "" is the folder itself. Raises DataError for any other."""
    path = name.replace("\\", "/").rstrip("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or (path[1:2] == ":" and path[:1].isalpha()) or "\0" in path:
        raise refused(archive, f"{name[:200]!r} would lie outside the folder that it is unpacked to")
    raw = [os.fsencode(part) for part in parts]
    if any(len(part) > _MAX_PART for part in raw) or sum(map(len, raw)) + len(raw) > _MAX_NAME:
        raise refused(archive, f"a name has more than {_MAX_NAME} bytes, or {_MAX_PART} between slashes: {name[:80]!r}")
    return "/".join(parts)


def refused(archive: Path, why: str) -> DataError:
    return DataError(f"{archive} is not unpacked: {why}. If you trust it, unpack it yourself and set data.source.path to the folder")


class _Budget:
    """What an archive may still take up."""

    def __init__(self, archive: Path, folder: Path):
        self.archive = archive
        self._packed = archive.stat().st_size
        self._free = shutil.disk_usage(folder).free
        self._bytes = self._files = 0

    def count_file(self) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            raise refused(self.archive, f"it holds more than {MAX_FILES} files")

    def count_bytes(self, number: int) -> None:
        self._bytes += number
        if self._bytes > MAX_BYTES:
            raise refused(self.archive, f"it unpacks to more than {MAX_BYTES >> 30} GiB")
        if self._bytes > _RATIO_FROM and self._bytes > MAX_RATIO * self._packed:
            raise refused(self.archive, f"it unpacks to more than {MAX_RATIO} times its size, as archives do that are made to fill a disk")
        if self._bytes > self._free - _RESERVE:
            free = f"{self._free >> 20} MiB were free, of which {_RESERVE >> 20} stay so"
            raise DataError(f"{self.archive} does not fit on the disk: {free}; free some space")


def _place(entry: Entry, folder: Path, budget: _Budget) -> None:
    """Writes one entry. What leads to it must be real folders, so no name goes through a link."""
    archive = budget.archive
    name = check_name(archive, entry.name)
    if not name:
        return
    budget.count_file()
    _make_folders(archive, folder, name if entry.kind == "folder" else name.rpartition("/")[0])
    path = folder / name
    if entry.kind == "folder":
        return
    if entry.kind not in ("file", "link", "copy"):
        raise refused(archive, f"{entry.name!r} is a {entry.kind}")
    try:
        if entry.kind == "link":
            path.symlink_to(_check_target(archive, name, entry.target))
        elif entry.kind == "copy":
            source = folder / check_name(archive, entry.target)
            if not source.is_file() or source.is_symlink() or any(parent.is_symlink() for parent in _parents(source, folder)):
                raise refused(archive, f"{entry.name!r} is a link to {entry.target!r}, which is no file of the archive before it")
            path.hardlink_to(source)
        else:
            with entry.open() as read, path.open("xb") as write:
                while chunk := read.read(_CHUNK):
                    budget.count_bytes(len(chunk))
                    write.write(chunk)
    except FileExistsError:
        raise refused(archive, f"it holds {name!r} twice") from None


def _make_folders(archive: Path, folder: Path, name: str) -> None:
    for part in PurePosixPath(name).parts:
        folder = folder / part
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            continue
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise refused(archive, f"{name!r} goes through {part!r}, which is no folder")


def _parents(path: Path, folder: Path) -> list[Path]:
    return [parent for parent in path.parents if parent != folder and parent.is_relative_to(folder)]


def _check_target(archive: Path, name: str, target: str) -> str:
    """The target of a symbolic link, if it stays inside: its `..` come first (behind a name, that might be a link, they mean anything)."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if target.startswith("/") or not parts or ".." in parts[up:] or up > name.count("/") or "\0" in target:
        raise refused(archive, f"{name!r} is a link to {target[:200]!r}, which is or may be outside of it")
    return target


def _zip_entries(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            if info.flag_bits & 1:
                raise refused(archive, f"{info.filename!r} is encrypted")
            kind = "folder" if info.is_dir() else "file"
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "link" if stat.S_ISLNK(mode) else "device or pipe"
            target = ""
            if kind == "link":
                with file.open(info) as read:
                    target = os.fsdecode(read.read(_MAX_NAME))
            yield Entry(info.filename, kind, target, lambda info=info: file.open(info))


class _TarInfo(tarfile.TarInfo):
    """Refuses an extended header that is longer than any name, for it would be read into memory, and headers that are damaged, where
    the module would take the archive to end."""

    @classmethod
    def frombuf(cls, *arguments):
        try:
            entry = super().frombuf(*arguments)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:
            raise tarfile.ReadError(str(error)) from None
        if entry.type in (b"x", b"g", b"X", b"L", b"K") and entry.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry


_OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_KINDS = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, "file"),
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "copy",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with archive.open("rb") as file:
        magic = file.read(2)
    with _OPENERS.get(magic, open)(archive, "rb") as raw:
        with tarfile.open(fileobj=raw, mode="r|", tarinfo=_TarInfo) as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # it would keep them all
                kind = "sparse file" if info.sparse is not None else _KINDS.get(info.type, "device or pipe")
                yield Entry(info.name, kind, info.linkname, lambda info=info: tar.extractfile(info))
        rest = 0  # the checksum of what was packed stands at the very end
        while more := len(raw.read(_CHUNK)):
            rest += more
            if rest > _RATIO_FROM:
                raise refused(archive, f"more than {_RATIO_FROM >> 20} MiB follow its last entry")
