"""Metadata files that are broken or strange as a whole: read all the same, or refused with what to do. The raw stage alone."""

from dataclasses import dataclass
from pathlib import Path

import broken
import pytest
import torture

from myxtts.config import DataError, XTTSConfig
from myxtts.data.manifest import read_rejected
from myxtts.data.raw import make_raw

HEADER = "audio_file|text|speaker|language\n"
LINES = (
    HEADER + "wavs/good00.wav|Good words, 0.|ann|en\nwavs/good01.wav|Caf\u00e9 words, 1.|ann|en\nwavs/good02.wav|Good words, 2.|ann|en\n"
)


@dataclass(frozen=True)
class Metadata:
    """A metadata.csv. raises: what the error holds; else `rows` rows are used and `reasons` are given for the others."""

    name: str
    content: bytes
    raises: tuple[str, ...] = ()
    rows: int = 3
    reasons: tuple[str, ...] = ()


_BAD_LINE = b"wavs/good03.wav|" + "سلام".encode("windows-1256") + b"|ann|fa\n"
METADATA = (
    Metadata("with_a_mark_of_byte_order", b"\xef\xbb\xbf" + LINES.encode()),
    Metadata("line_ends_of_windows", LINES.replace("\n", "\r\n").encode()),
    Metadata("mixed_line_ends", LINES.replace("\n", "\r\n", 2).encode()),
    Metadata("no_line_end_at_the_end", LINES.rstrip("\n").encode()),
    Metadata("blank_lines_between", LINES.replace("\n", "\n \n\n").encode()),
    Metadata(
        "line_ends_of_old_macintoshes",
        LINES.replace("\n", "\r").encode(),
        ("metadata.csv", "CR"),
    ),
    Metadata("utf_16_with_mark", LINES.encode("utf-16"), ("metadata.csv", "UTF-8", "iconv -f UTF-16")),
    Metadata("utf_16_le_without_mark", LINES.encode("utf-16-le"), ("metadata.csv", "UTF-16LE")),
    Metadata("utf_16_be_without_mark", LINES.encode("utf-16-be"), ("metadata.csv", "UTF-16BE")),
    Metadata("utf_32", LINES.encode("utf-32"), ("metadata.csv", "UTF-8")),
    Metadata("latin_1_as_a_whole", (LINES * 9).replace("words", "wörds").encode("latin-1"), ("metadata.csv", "UTF-8", "iconv")),
    Metadata("one_line_of_windows_1256", LINES.encode() + _BAD_LINE, (), 3, ("bad_encoding",)),
    Metadata("lone_surrogates_as_bytes", LINES.encode() + b"wavs/good03.wav|Words \xed\xa0\x80|ann|en\n", (), 3, ("bad_encoding",)),
    Metadata("empty", b"", ("metadata.csv", "expected a header")),
    Metadata("only_a_mark", b"\xef\xbb\xbf", ("metadata.csv", "expected a header")),
    Metadata("only_a_header", HEADER.encode(), ("no usable clip",)),
    Metadata("no_header", LINES[len(HEADER) :].encode(), ("metadata.csv", "expected a header", "layout")),
    Metadata("a_recording", broken.wav(1), ("metadata.csv",)),
    Metadata("compressed", b"\x1f\x8b\x08\0" + bytes(range(256)), ("metadata.csv", "UTF-8")),
    Metadata("five_megabytes_on_one_line", b"a" * 5_000_000, ("metadata.csv", "expected a header")),
    Metadata("header_twice", (LINES + HEADER).encode(), (), 3, ("missing_audio",)),
)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in METADATA])
def test_metadata_that_are_broken_as_a_whole(tmp_path, kind):
    torture.build(tmp_path, ())
    (tmp_path / "corpus" / "metadata.csv").write_bytes(kind.content)
    if kind.raises:
        with pytest.raises(DataError) as failed:
            read(tmp_path)
        assert all(word in str(failed.value) for word in kind.raises), failed.value
        assert len(str(failed.value)) < 1000
    else:
        assert read(tmp_path)["clips"] == kind.rows
        assert tuple(row.reason for row in read_rejected(tmp_path / "raw" / "rejected.csv")) == kind.reasons


def test_metadata_that_are_a_folder(tmp_path):
    (tmp_path / "corpus" / "metadata.csv").mkdir(parents=True)
    with pytest.raises(DataError, match=r"metadata\.csv"):
        read(tmp_path)


def read(root: Path) -> dict:
    return make_raw(XTTSConfig.from_dict({"data": {"source": {"layout": "coqui", "path": "corpus"}}}), root, root / "raw")
