"""Torch files that are small and ask for much memory or time: refused, before they get either."""

import pickle
import re
import struct
import tracemalloc

import pytest
from torch_files import LEGACY_HEAD, tensor_pickle, write_legacy, write_zip

from myxtts.config import ModelError
from myxtts.models import pickle_machine, torch_file
from myxtts.models.pickle_machine import LIMIT
from myxtts.models.torch_file import read_torch


def test_a_huge_legacy_storage_takes_no_memory(tmp_path):
    path = write_legacy(tmp_path / "a.pth", tensor_pickle((2,), (1,), count=2**45))
    with pytest.raises(ModelError, match="longer than the file"):
        read_torch(path)


def test_a_string_longer_than_the_file_takes_no_memory(tmp_path):
    pickled = b"\x80\x04\x8e" + struct.pack("<Q", 2**50) + b"a."
    with pytest.raises(ModelError, match="damaged"):
        read_torch(write_zip(tmp_path / "a.pth", pickled))
    with pytest.raises(ModelError, match="damaged"):
        read_torch(write_legacy(tmp_path / "b.pth", pickled))


def _nested(levels: int) -> bytes:
    """Opcodes of a tuple that holds the one before it twice, and so on: a few bytes whose repr has 2 ** levels parts."""
    return b")" + b"\x32\x86" * levels


def _text(length: int) -> bytes:
    return b"X" + struct.pack("<I", length) + b"a" * length


def _remembered(value: bytes, index: int) -> bytes:
    """Opcodes that put a value into the memo, not on the stack; `h<index>` brings it back."""
    return value + b"q" + bytes([index]) + b"0"


@pytest.mark.parametrize("key", [_nested(60), b"(" + b"N" * 100 + b"t", b"\x8b" + struct.pack("<I", 5000) + b"\x01" * 5000])
def test_keys_that_take_for_ever_to_hash_are_refused(tmp_path, key):
    with pytest.raises(ModelError, match="key of a dictionary"):
        read_torch(write_zip(tmp_path / "a.pth", b"\x80\x02}" + key + b"K\x01s."))


STORAGE = b"(" + _text(7).replace(b"a" * 7, b"storage") + b"ctorch\nFloatStorage\n"
UNFORMATTED = {
    "key of a storage": STORAGE + _nested(20) + b"NK\x04tQ.",
    "length of a storage": STORAGE + b"X\x01\x00\x00\x000N" + _nested(20) + b"tQ.",
    "long key of a storage": STORAGE + _text(10**6) + b"NK\x04tQ.",
    "numpy type": b"cnumpy\ndtype\n" + _nested(20) + b"\x85R.",
    "long numpy type": b"cnumpy\ndtype\n" + _text(10**6) + b"\x85R.",
    "device": b"ctorch\ndevice\n" + _nested(20) + b"\x85R.",
    "name": b"\x8c\x03TTS" + _text(10**6) + b"\x93.",
    "global": b"cTTS." + b"a" * 10**6 + b"\nA\n.",
}


@pytest.mark.parametrize("container", [write_zip, write_legacy])
@pytest.mark.parametrize("name", sorted(UNFORMATTED))
def test_values_of_the_file_are_not_formatted(tmp_path, container, name):
    with pytest.raises(ModelError) as raised:
        read_torch(container(tmp_path / "a.pth", b"\x80\x04" + UNFORMATTED[name]))
    assert len(str(raised.value)) < 1000


def test_keys_of_a_legacy_file_are_not_formatted(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(LEGACY_HEAD + tensor_pickle((2,), (1,)) + b"\x80\x02](" + _nested(22) + b"e." + bytes(24))
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="does not name those"):
            read_torch(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


COPIES = 60
MULTIPLYING = {
    "doubled devices": b"\x8c\x03cpu" + b"q\x01" + b"0" + b"ctorch\ndevice\nh\x01h\x01\x86Rq\x01" * 4 + b".",
    "encoded again and again": b"(" + b"c_codecs\nencode\nh\x01h\x02\x86R" * COPIES + b"t.",
    "names of remembered parts": b"(" + b"h\x03h\x04\x93" * (200 * COPIES) + b"t.",
    "arrays in the other byte order": b"(" + b"h\x05)Rh\x06b" * COPIES + b"t.",
}
MEMO = [
    _text(10**6),
    b"\x8c\x06latin1",
    b"\x8c\x64TTS." + b"a" * 96,
    b"\x8c\x5f" + b"a" * 95,
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"(K\x01M\x10\x27\x85cnumpy\ndtype\n\x8c\x03>i2\x85R\x89B" + struct.pack("<I", 20000) + bytes(20000) + b"t",
]


@pytest.mark.parametrize("container", [write_zip, write_legacy])
@pytest.mark.parametrize("name", sorted(MULTIPLYING))
def test_small_files_that_make_much_are_refused(tmp_path, monkeypatch, container, name):
    """With a tenth of the budget, so that the test takes none of the memory either."""
    monkeypatch.setattr(pickle_machine, "BUDGET", 10**6)
    memo = b"".join(_remembered(value, index) for index, value in enumerate(MEMO, 1))
    with pytest.raises(ModelError, match=r"makes more than|has a device"):
        read_torch(container(tmp_path / "a.pth", b"\x80\x04" + memo + MULTIPLYING[name]))


def test_an_array_larger_than_any_memory(tmp_path):
    shape = b"\x8a\x05\x00\x00\x00\x00\x01" * 2 + b"\x86"  # (2 ** 32, 2 ** 32)
    state = b"(K\x01" + shape + b"cnumpy\ndtype\n\x8c\x02f8\x85R\x89C\x01at"
    with pytest.raises(ModelError, match="damaged"):
        read_torch(write_zip(tmp_path / "a.pth", b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n)R" + state + b"b."))


def test_no_memory_is_said_and_not_thrown(tmp_path, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(torch_file, "_read_zip", fails)
    with pytest.raises(ModelError, match="needs more memory than there is"):
        read_torch(write_zip(tmp_path / "a.pth", pickle.dumps(["a" * 100])))


def test_a_pickle_that_is_longer_than_any_models(tmp_path):
    for container in (write_zip, write_legacy):
        with pytest.raises(ModelError, match="longer than 8 MiB"):
            read_torch(container(tmp_path / "a.pth", b"\x80\x02" + (_text(LIMIT // 2) + b"0") * 3 + b"N."))


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    """One storage under two names: both of the central directory's entries point to the first."""
    path = write_zip(tmp_path / "a.pth", pickle.dumps(["a" * 100]), {"0": bytes(1000), "1": bytes(1000)})
    content = path.read_bytes()
    entries = [match.start() for match in re.finditer(b"PK\x01\x02", content)]
    first, second = (struct.unpack("<I", content[at + 42 : at + 46])[0] for at in entries[1:])
    assert first < second
    path.write_bytes(content[: entries[2] + 42] + struct.pack("<I", first) + content[entries[2] + 46 :])
    with pytest.raises(ModelError, match="'archive/data/1' overlaps another"):
        read_torch(path)
