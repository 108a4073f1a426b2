"""Archives of corpora: what is whole is read, what is dangerous is refused with the entry, and nothing of it is left."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import layouts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myxtts.config import DataError, XTTSConfig
from myxtts.data.manifest import read_manifest
from myxtts.data.raw import make_raw
from myxtts.data.sources import archives
from myxtts.data.sources.archives import unpack
from myxtts.data.sources.detect import detect


def make_tar(path: Path, *entries: tuple | tarfile.TarInfo) -> Path:
    """entries: (name, content), (name, type, target) or a TarInfo."""
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            content = b""
            if not isinstance(entry, tarfile.TarInfo):
                info = tarfile.TarInfo(entry[0])
                if len(entry) == 3:
                    info.type, info.linkname = entry[1:]
                else:
                    content = entry[1]
                    info.size = len(content)
                entry = info
            tar.addfile(entry, io.BytesIO(content))
    return path


def make_zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def refused(archive: Path, match: str) -> None:
    """Unpacking fails, and leaves nothing in the folder or outside of it."""
    out = archive.parent / "out" / "it"
    before = {*archive.parent.rglob("*"), out.parent}
    with pytest.raises(DataError, match=match):
        unpack(archive, out)
    assert {*archive.parent.rglob("*"), out.parent} == before


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_a_corpus_in_an_archive(tmp_path, kind):
    clips = layouts.clips()
    layouts.coqui(tmp_path / "LJ" / "corpus-1.0", clips)
    archive = tmp_path / f"speech.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("__MACOSX/corpus-1.0/._metadata.csv", b"x")
            for path in sorted((tmp_path / "LJ").rglob("*")):
                file.write(path, path.relative_to(tmp_path / "LJ"))
    else:
        with tarfile.open(archive, {"tgz": "w:gz", "tar": "w"}.get(kind, f"w:{kind[4:]}")) as tar:
            tar.add(tmp_path / "LJ" / "corpus-1.0", "./corpus-1.0")
    assert detect(archive)[0].layout == "coqui" and detect(archive)[0].fits
    config = XTTSConfig.from_dict({"data": {"source": {"layout": "coqui", "path": archive.name}}})
    for _ in range(2):  # over an earlier one
        assert make_raw(config, tmp_path, tmp_path / "data" / "raw")["clips"] == 6
    rows = read_manifest(tmp_path / "data" / "raw" / "manifest.csv")
    assert {row.corpus for row in rows} == {"speech"}
    assert rows[0].audio == f"data/raw/unpacked/speech/corpus-1.0/wavs/{clips[0].id}.wav"
    assert (tmp_path / rows[0].audio).read_bytes() == (tmp_path / "LJ" / "corpus-1.0" / "wavs" / f"{clips[0].id}.wav").read_bytes()


def test_an_archive_in_a_mix_and_a_mix_in_an_archive(tmp_path):
    (tmp_path / "all").mkdir()
    make_tar(tmp_path / "all" / "one.tar", ("a/x.wav", b"x"), ("a/x.txt", b"One"))
    layouts.text(tmp_path / "all" / "two" / "y.lab", "Two")
    layouts.text(tmp_path / "all" / "two" / "y.wav", "")
    corpora = {"one": {"layout": "folder", "path": "one.tar"}, "two": {"layout": "folder", "path": "two"}}
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        tar.add(tmp_path / "all", "all")
    for path in ("all", "all.tar"):
        config = XTTSConfig.from_dict({"data": {"source": {"layout": "mix", "path": path, "corpora": corpora}}})
        assert make_raw(config, tmp_path, tmp_path / "raw")["clips"] == 2
        assert all((tmp_path / row.audio).is_file() for row in read_manifest(tmp_path / "raw" / "manifest.csv"))


@pytest.mark.parametrize("name", ["../out.wav", "/etc/out.wav", "a/../../out.wav", "..", "C:\\out.wav", "..\\out.wav", "\\\\host\\x"])
def test_names_that_leave_the_folder(tmp_path, name):
    refused(make_tar(tmp_path / "it.tar", ("a.wav", b"a"), (name, b"x")), "would lie outside")
    refused(make_zip(tmp_path / "it.zip", ("a.wav", b"a"), (name, b"x")), "would lie outside")


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "sub/../../secret", "sub/..", "", "a/../../../secret"])
def test_links_that_leave_the_folder(tmp_path, target):
    refused(make_tar(tmp_path / "it.tar", ("sub/x", b""), ("link", tarfile.SYMTYPE, target)), "is a link to .*outside of it")
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(make_zip(tmp_path / "it.zip", (link, target.encode())), "is a link to .*outside of it")


def test_links_that_stay_inside_are_links_and_nothing_is_written_through_them(tmp_path):
    entries = [("d/real/x.wav", b"x"), ("d/link", tarfile.SYMTYPE, "real"), ("up", tarfile.SYMTYPE, "d/real/x.wav")]
    folder = unpack(make_tar(tmp_path / "ok.tar", *entries, ("copy.wav", tarfile.LNKTYPE, "d/real/x.wav")), tmp_path / "ok")
    assert (folder / "d" / "link" / "x.wav").read_bytes() == (folder / "copy.wav").read_bytes() == b"x"
    refused(make_tar(tmp_path / "it.tar", *entries, ("d/link/y.wav", b"y")), "goes through 'link', which is no folder")
    refused(make_tar(tmp_path / "it.tar", ("here", tarfile.SYMTYPE, "."), ("out", tarfile.SYMTYPE, "here/..")), "may be outside")
    refused(make_tar(tmp_path / "it.tar", *entries, ("hard", tarfile.LNKTYPE, "up")), "which is no file of the archive before it")
    refused(make_tar(tmp_path / "it.tar", ("hard", tarfile.LNKTYPE, "/etc/passwd")), "would lie outside")
    refused(make_tar(tmp_path / "it.tar", *entries, ("hard", tarfile.LNKTYPE, "d/link/x.wav")), "no file of the archive before it")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes(tmp_path, kind):
    refused(make_tar(tmp_path / "it.tar", ("a.wav", b"a"), ("null", kind, "")), "'null' is a device or pipe")


def test_a_name_twice(tmp_path):
    refused(make_tar(tmp_path / "it.tar", ("a.wav", b"a"), ("./a.wav", b"b")), "holds 'a.wav' twice")
    with pytest.warns(UserWarning, match="Duplicate name"):
        make_zip(tmp_path / "it.zip", ("a.wav", b"a"), ("a.wav", b"b"))
    refused(tmp_path / "it.zip", "holds 'a.wav' twice")
    refused(make_tar(tmp_path / "it.tar", ("a", b"a"), ("a/b.wav", b"b")), "which is no folder")


def test_an_encrypted_zip(tmp_path):
    archive = make_zip(tmp_path / "it.zip", ("a.wav", b"a"))
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(raw)
    refused(archive, "'a.wav' is encrypted")


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_RATIO_FROM", 1 << 20)
    bomb = make_zip(tmp_path / "bomb.zip", ("a.wav", bytes(30 << 20)))
    refused(bomb, "more than 100 times its size")
    archive = make_tar(tmp_path / "it.tar", *((f"{n}.wav", bytes(100)) for n in range(9)))
    monkeypatch.setattr(archives, "MAX_FILES", 8)
    refused(archive, "more than 8 files")
    monkeypatch.setattr(archives, "MAX_FILES", 9)
    monkeypatch.setattr(archives, "MAX_BYTES", 800)
    refused(archive, "unpacks to more than")
    monkeypatch.setattr(archives, "MAX_BYTES", 900)
    monkeypatch.setattr(archives, "_RESERVE", 1 << 60)
    refused(archive, "does not fit on the disk")
    monkeypatch.setattr(archives, "_RESERVE", 0)
    assert len(list(unpack(archive, tmp_path / "fits").iterdir())) == 9
    refused(make_tar(tmp_path / "long.tar", ("x" * 256, b"")), "more than 1024 bytes, or 255 between slashes")
    refused(make_tar(tmp_path / "long.tar", ("/".join(["x" * 200] * 6)[1:], b"")), "more than 1024 bytes")


def test_a_header_as_long_as_a_film_is_not_read_into_memory(tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = b"x", 4 << 30
    (tmp_path / "it.tar.gz").write_bytes(gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10240)))
    refused(tmp_path / "it.tar.gz", "a header of 4294967296 bytes")


def test_damage(tmp_path):
    archive = make_tar(tmp_path / "it.tar", ("a.wav", os.urandom(100_000)), ("b.wav", os.urandom(100_000)))
    whole = gzip.compress(archive.read_bytes())
    (tmp_path / "it.tar.gz").write_bytes(whole[:150_000])
    refused(tmp_path / "it.tar.gz", "is damaged")
    (tmp_path / "it.tar.gz").write_bytes(whole[:1000] + bytes(1000) + whole[2000:])
    refused(tmp_path / "it.tar.gz", "is damaged")
    raw = archive.read_bytes()
    for cut in (100_900, 50_000):  # in the second header, in the first file
        (tmp_path / "cut.tar").write_bytes(raw[:cut])
        refused(tmp_path / "cut.tar", "is damaged")
    (tmp_path / "cut.tar").write_bytes(raw.replace(b"b.wav", b"\1.wav"))
    refused(tmp_path / "cut.tar", "is damaged")
    (tmp_path / "it.zip").write_bytes(b"PK no zip")
    refused(tmp_path / "it.zip", "is damaged")
    (tmp_path / "it.tar.xz").write_bytes(b"")
    refused(tmp_path / "it.tar.xz", "is damaged")


@pytest.mark.parametrize("name", ["it.zip", "it.tar", "it.tgz"])
@given(raw=st.binary(max_size=2000), where=st.integers(0, 3000))
def test_any_bytes_are_unpacked_or_refused(tmp_path_factory, name, raw, where):
    folder = tmp_path_factory.mktemp("any")
    good = make_zip(folder / "good.zip", ("a.wav", b"a" * 99), ("b/c.txt", b"c"))
    if name != "it.zip":
        good = make_tar(folder / "good.tar", ("a.wav", b"a" * 99), ("b/c.txt", b"c"))
    content = good.read_bytes()
    content = content[:where] + raw + content[where + len(raw) :]
    (folder / name).write_bytes(gzip.compress(content) if name == "it.tgz" else content)
    try:
        inside = unpack(folder / name, folder / "out")
    except DataError:
        assert not (folder / "out").exists()
    else:
        assert inside.is_relative_to(folder / "out")
    assert {path.name for path in folder.iterdir()} <= {"good.zip", "good.tar", name, "out"}
