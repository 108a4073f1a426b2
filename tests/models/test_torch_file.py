"""Torch files without torch: what real ones hold comes out, and what a hostile one asks for never happens."""

import importlib
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from torch_files import tensor_pickle, write_legacy, write_zip

from myxtts.config import ModelError
from myxtts.models.pickle_machine import Inert, Name
from myxtts.models.torch_file import LazyTensor, read_torch, write_torch

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return dict(np.load(FIXTURES / "expected.npz"))


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_real_files(name, expected):
    """Written by torch (fixtures/make_torch_files.py): all types, shared storages, views that are not contiguous."""
    tree = read_torch(FIXTURES / name)
    state = tree.pop("model")
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert state[key].dtype == (ml_dtypes.bfloat16 if key.startswith("bfloat16") else value.dtype), key
        np.testing.assert_array_equal(state[key], value, err_msg=key)
    assert np.shares_memory(state["row"], state["whole"])
    array = tree.pop("array")
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))
    assert tree == {
        "step": 12,
        "loss": 0.5,
        "none": None,
        "names": ["a", ("b", True)],
        "size": (2, 3),
        "dtype": Name("torch.float16"),
        "device": "cpu",
        "counts": {"a": {"step": 3}},
        "number": 1.5,
        "bytes": b"\x00\xff",
        "members": [1, 2],
    }


def test_tensors_stay_in_the_file(tmp_path):
    write_torch(tmp_path / "a.pth", {"x": np.zeros(1000, np.float32)})
    x = read_torch(tmp_path / "a.pth")["x"]
    assert not x.flags.writeable
    assert not x.flags.owndata


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    tree = {
        "model": {
            "a": rng.normal(size=(3, 2)).astype(np.float32),
            "b": np.arange(3),
            "c": np.float16(rng.normal(size=(0, 4))),
            "d": np.array(5),
        },
        "transposed": rng.normal(size=(3, 2)).T,
        "bool": np.array([True, False]),
        "list": [1, -(2**40), 2.5, None, True, "ä", []],
        "tuple": (),
        7: {"nested": ({},)},
    }
    write_torch(tmp_path / "a.pth", tree)
    found = read_torch(tmp_path / "a.pth")
    for key, value in tree["model"].items():
        assert found["model"][key].dtype == value.dtype
        assert found["model"][key].shape == value.shape
        np.testing.assert_array_equal(found["model"][key], value)
    np.testing.assert_array_equal(found["transposed"], tree["transposed"])
    assert {key: found[key] for key in ("list", "tuple", 7)} == {key: tree[key] for key in ("list", "tuple", 7)}
    write_torch(tmp_path / "b.pth", tree)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_lazy_tensors_are_read_in_turn(tmp_path):
    read = []

    def values(number: int) -> np.ndarray:
        read.append(number)
        return np.full((2, 3), number, np.float32)

    tree = {str(n): LazyTensor((2, 3), np.dtype("float32"), lambda n=n: values(n)) for n in range(3)}
    write_torch(tmp_path / "a.pth", tree)
    assert read == [0, 1, 2]
    assert read_torch(tmp_path / "a.pth")["2"].tolist() == [[2.0] * 3] * 2
    with pytest.raises(ModelError, match=r"announced as float32 \(2, 4\) is float32 \(2, 3\)"):
        write_torch(tmp_path / "b.pth", {"x": LazyTensor((2, 4), np.dtype("float32"), lambda: values(0))})


@pytest.mark.parametrize("tree", [{"x": object()}, {("a",): 1}, {"x": np.array(["a"])}, {"x": {1, 2}}])
def test_what_cannot_be_written_is_named(tmp_path, tree):
    with pytest.raises(ModelError):
        write_torch(tmp_path / "a.pth", tree)


# -- files by hand -------------------------------------------------------------------------------------------------------------------


class _Runs:
    """What `pickle.loads` would call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _hostile(marker: Path) -> dict[str, bytes]:
    command = f"touch {marker}"
    quoted = repr(str(marker)).encode()
    sets_state = b"\x80\x02cTTS.config\nA\n)\x81"  # an inert object
    return {
        "os.system": pickle.dumps(_Runs(os.system, command), protocol=2),
        "os.system, protocol 4": pickle.dumps(_Runs(os.system, command), protocol=4),
        "eval": pickle.dumps(_Runs(eval, f"open({str(marker)!r}, 'w')"), protocol=2),
        "exec": pickle.dumps(_Runs(exec, f"open({str(marker)!r}, 'w')"), protocol=4),
        "open": pickle.dumps(_Runs(open, str(marker), "w"), protocol=2),
        "import": pickle.dumps(_Runs(importlib.import_module, "this"), protocol=2),
        "getattr": b"\x80\x02c__builtin__\ngetattr\n(c__builtin__\ndict\nX\x03\x00\x00\x00gettR.",
        "copyreg": b"\x80\x02ccopyreg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
        "inst": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "nested attribute": b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93\x8c" + bytes([len(command)]) + command.encode() + b"\x85R.",
        "nested in a torch name": b"\x80\x02ctorch._utils\nos.system\n(X\x01\x00\x00\x00atR.",
        "builtins of numpy": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n(" + b"S'1'\n}tR.",
        "extension code": b"\x80\x02\x82\x01.",
        "persistent id as text": b"Pabc\n.",
        "newobj_ex": b"\x80\x04cTTS.config\nA\n)}\x92.",
        "calls a tensor": tensor_pickle((2,), (1,))[:-1] + b")R.",
        "calls an inert object": sets_state + b")R.",
        "calls a factory": b"\x80\x02c__builtin__\nlist\n)R.",
        "calls a string": b"\x80\x02X\x09\x00\x00\x00os.systemX\x01\x00\x00\x00a\x85R.",
        "state of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01}X\x0c\x00\x00\x00__defaults__)stb.",
        "state of a class": b"\x80\x02cTTS.config\nA\n}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb.",
        "state of a list": b"\x80\x02]}b.",
        "items of an inert object": sets_state + b"X\x01\x00\x00\x00aK\x01s.",
        "appends to an inert object": sets_state + b"K\x01a.",
        "object array": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R.",
        "number of a wrong size": b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87RC\x01atR.",
        "array of a wrong size": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(K\x64tcnumpy\ndtype\n"
        b"X\x02\x00\x00\x00f8\x89\x88\x87R\x89C\x01atb.",
        "codec": b"\x80\x02c_codecs\nencode\n(X\x04\x00\x00\x00aaaaX\x03\x00\x00\x00ziptR.",
        "factory that is none": b"\x80\x02ccollections\ndefaultdict\ncos\nsystem\n\x85R.",
        "storage of a function": b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ.",
        "eval of a long text": b"\x80\x02cbuiltins\neval\n(X" + struct.pack("<I", len(quoted)) + quoted + b"tR.",
    }


@pytest.mark.parametrize("container", [write_zip, write_legacy])
@pytest.mark.parametrize("name", sorted(_hostile(Path("marker"))))
def test_hostile_pickles_are_refused_and_do_nothing(tmp_path, container, name):
    marker = tmp_path / "marker"
    path = container(tmp_path / "a.pth", _hostile(marker)[name])
    with pytest.raises(ModelError) as raised:
        read_torch(path)
    assert str(path) in str(raised.value)
    assert not marker.exists()


def test_the_refusal_names_the_function_and_the_remedy(tmp_path):
    path = write_zip(tmp_path / "a.pth", pickle.dumps(_Runs(os.system, "true"), protocol=2))
    with pytest.raises(ModelError, match=r"was refused: it asks for (posix|nt)\.system.*torch\.save\(model\.state_dict"):
        read_torch(path)


def test_classes_of_the_reference_are_inert(tmp_path):
    """NEWOBJ and REDUCE build nothing, and the state is kept as it stands."""
    name = b"cTTS.tts.models.xtts\nXttsArgs\n"
    path = write_zip(tmp_path / "a.pth", b"\x80\x02(" + name + b")\x81}X\x01\x00\x00\x00aK\x05sb" + name + b"K\x07\x85Rt.")
    first, second = read_torch(path)
    assert first == Inert("TTS.tts.models.xtts.XttsArgs", (), {"a": 5})
    assert second == Inert("TTS.tts.models.xtts.XttsArgs", (7,))


def _numbers() -> dict[str, bytes]:
    return {"0": np.arange(4, dtype="<f4").tobytes()}


def test_tensors_by_hand(tmp_path):
    path = write_zip(tmp_path / "a.pth", tensor_pickle((2, 2), (1, 2)), _numbers())
    assert read_torch(path).tolist() == [[0.0, 2.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": (5,), "strides": (1,)}, "reaches beyond its storage"),
        ({"size": (2,), "strides": (1,), "offset": 3}, "reaches beyond its storage"),
        ({"size": (2,), "strides": (1,), "offset": -1}, "are none"),
        ({"size": (2,), "strides": (-1,)}, "are none"),
        ({"size": (-2,), "strides": (1,)}, "are none"),
        ({"size": (2, 2), "strides": (1,)}, "are none"),
        ({"size": (2.5,), "strides": (1,)}, "are none"),
        ({"size": (2,), "strides": (2**63,)}, "are none"),
        ({"size": (2**40, 2**40), "strides": (0, 0)}, "repeats a storage"),
        ({"size": (2**47, 2**47, 2**47), "strides": (1, 1, 1)}, "reaches beyond"),
        ({"size": (0, 2**47, 2**47), "strides": (1, 1, 1)}, "damaged"),
        ({"size": (1,) * 40, "strides": (1,) * 40}, "are none"),
        ({"size": (2,), "strides": (1,), "count": 2**62}, "of 4611686018427387904 numbers"),
        ({"size": (2,), "strides": (1,), "count": 5}, "holds 16 bytes, expected 20"),
        ({"size": (2,), "strides": (1,), "count": -1}, "of -1 numbers"),
        ({"size": (2,), "strides": (1,), "kind": "QInt8Storage"}, "torch.QInt8Storage"),
        ({"size": (2,), "strides": (1,), "key": "1"}, "storage 1 is missing"),
        ({"size": (2,), "strides": (1,), "key": "../../etc/passwd"}, "key '../../etc/passwd'"),
    ],
)
def test_tensors_that_do_not_fit_their_storage(tmp_path, change, expected):
    path = write_zip(tmp_path / "a.pth", tensor_pickle(**change), _numbers())
    with pytest.raises(ModelError, match=expected):
        read_torch(path)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_files_cut_short(tmp_path, name):
    content = (FIXTURES / name).read_bytes()
    for length in (0, 10, 63, 64, 100, 300, len(content) // 2, len(content) - 1, len(content) - 30):
        path = tmp_path / "cut.pth"
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=str(path)):
            read_torch(path)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_files_with_wrong_bytes_give_an_error_or_a_tree(tmp_path, name):
    """Whatever one byte says, nothing but ModelError comes out."""
    content, rng = bytearray((FIXTURES / name).read_bytes()), np.random.default_rng(0)
    path, refused = tmp_path / "a.pth", 0
    for _ in range(300):
        position = int(rng.integers(0, min(len(content), 2500)))
        changed = content.copy()
        changed[position] = int(rng.integers(0, 256))
        path.write_bytes(changed)
        try:
            read_torch(path)
        except ModelError:
            refused += 1
    assert refused > 50


def test_archives_that_are_no_torch_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../data.pkl", pickle.dumps(1))
        archive.writestr("hello.txt", "hello" * 20)
    with pytest.raises(ModelError, match=r"without the one data\.pkl"):
        read_torch(tmp_path / "a.zip")
    write_zip(tmp_path / "b.pth", pickle.dumps(["a" * 100]), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="compressed"):
        read_torch(tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(ModelError, match="byte order"):
        read_torch(tmp_path / "c.pth")


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(ModelError, match="no file"):
        read_torch(tmp_path / "none.pth")
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64)
    with pytest.raises(ModelError, match="Git LFS pointer"):
        read_torch(tmp_path / "pointer.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"a": "b" * 100}, protocol=2))
    with pytest.raises(ModelError, match="not one that torch"):
        read_torch(tmp_path / "pickle.pth")


def test_ordered_dict_and_plain_pickles_read_as_they_are(tmp_path):
    value = {"a": [1, 2.5, (None, True)], 3: "x", "o": {"b": -1}}
    for protocol in (2, 3, 4, 5):
        path = write_zip(tmp_path / "a.pth", pickle.dumps(value, protocol=protocol))
        assert read_torch(path) == value
    assert read_torch(write_zip(tmp_path / "a.pth", pickle.dumps(OrderedDict(value), protocol=2))) == value
