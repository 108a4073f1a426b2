"""PyTorch's files without PyTorch: `read_torch` gives tensors as memory-mapped NumPy arrays and executes nothing, `write_torch` writes.

Two formats are read: zip archives (PyTorch 1.6 and later), and the plain sequence of pickles before them. Tensors are a view of a
storage: a stretch of numbers in the file, with an offset, a size and strides counted in numbers.
"""

import contextlib
import math
import mmap
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from myxtts.config import ModelError
from myxtts.models.pickle_machine import LIMIT, Machine, Name, Refused, shown

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)  # NumPy alone has no such type
STORAGES = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}
DTYPES = {
    f"torch.{name}"
    for name in ("float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool", "half", "float", "long")
}
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ALIGNMENT = 64  # bytes, as PyTorch aligns storages, so that they can be mapped
REMEDY = (
    "expected a checkpoint of tensors, numbers, strings and plain containers. If you trust where it comes from, load it in the program "
    "that wrote it and save its state dict alone (torch.save(model.state_dict(), path)); if you do not, delete it"
)


@dataclass(frozen=True)
class LazyTensor:
    """For `write_torch`: a tensor that is read when its turn comes, and let go."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def read_torch(path: str | Path) -> Any:
    """What `torch.save` wrote to `path`; tensors as read-only arrays that stay in the file until they are used.

    bfloat16 is that of `ml_dtypes`; all types stay. OrderedDict, defaultdict and Counter become dict, a set the list of its members,
    objects of the reference implementation's classes `Inert`, device names strings. Nothing of the file is executed. Raises
    ModelError where the file is no torch file, is damaged, or asks for anything beyond that.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no file {path}: expected a checkpoint that torch.save wrote")
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("rb"))
            start = file.read(64)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if len(start) == 64 else b""
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error}); correct its permissions or copy it again") from None
        if len(start) < 64:
            raise ModelError(f"{path} holds {len(start)} bytes: it is no checkpoint; download it again")
        try:
            if start.startswith(b"PK"):
                return _read_zip(file, content)
            if start.startswith(b"\x80"):
                return _read_legacy(content)
        except Refused as error:
            raise ModelError(f"{path} was refused: {error}; {REMEDY}") from None
        except ModelError as error:
            raise ModelError(f"{path} cannot be read: {error}; copy or download it again") from None
        except MemoryError:
            raise ModelError(f"{path} needs more memory than there is: free some; if there is enough, the file is damaged") from None
    hint = " (a Git LFS pointer: fetch the file itself)" if start.startswith(b"version https://git-lfs") else ""
    raise ModelError(f"{path} is not a file that torch.save wrote{hint}: it begins with {start[:16]!r}; give the checkpoint itself")


def _read_zip(file: BinaryIO, content: mmap.mmap) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        raise ModelError(f"its zip archive is damaged or cut short ({error})") from None
    roots = [name.removesuffix("/data.pkl") for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(roots) != 1:
        raise Refused("it is a zip archive without the one data.pkl of a torch file")
    root = roots[0]
    order = entries.get(f"{root}/byteorder")
    if order is not None and bytes(_entry(content, order)[:8]) != b"little":
        raise Refused("it was written on a machine with the other byte order")

    _refuse_overlaps(content, entries.values())

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        entry = entries.get(f"{root}/data/{key}")
        if entry is None:
            raise ModelError(f"its storage {key} is missing")
        held = _entry(content, entry)
        if count * dtype.itemsize > len(held):
            raise ModelError(f"its storage {key} holds {len(held)} bytes, expected {count * dtype.itemsize}")
        return _numbers(held, dtype, count)

    pickled = _entry(content, entries[f"{root}/data.pkl"])
    if len(pickled) > LIMIT:
        raise Refused(f"its pickle is longer than {LIMIT >> 20} MiB")
    return Machine(_Part(pickled), CALLS, NAMES, _Storages(storage)).load()


def _entry(content: mmap.mmap, entry: zipfile.ZipInfo) -> memoryview:
    """The bytes of an archive's entry, in place."""
    start, end = _span(content, entry)
    return memoryview(content)[start:end]


def _span(content: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of an archive's entry begin and end."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise Refused(f"its entry {entry.filename!r} is compressed or encrypted, which torch.save does not do")
    header = content[entry.header_offset : entry.header_offset + 30]
    if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
        raise ModelError(f"its entry {entry.filename!r} has no header")
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    if start + entry.file_size > len(content):
        raise ModelError(f"its entry {entry.filename!r} ends beyond the file")
    return start, start + entry.file_size


def _refuse_overlaps(content: mmap.mmap, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Each entry has its own bytes, so that all storages together hold no more than the file."""
    reached = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < reached:
            raise Refused(f"its entry {shown(entry.filename)} overlaps another")
        reached = _span(content, entry)[1]


class _Part:
    """A stretch of bytes as the file that `pickletools` reads; reads past its end come short, whatever their size.

    Nothing in a pickle is longer than LIMIT, so a longer read is cut there: the file around it may be as long as a disk.
    """

    def __init__(self, content: memoryview, position: int = 0):
        self.content, self.position = content, position

    def read(self, count: int) -> bytes:
        taken = bytes(self.content[self.position : self.position + min(count, LIMIT + 1)])
        self.position += len(taken)
        return taken

    def readline(self) -> bytes:
        start, window, longest = self.position, 256, min(LIMIT, len(self.content) - self.position)
        while (end := bytes(self.content[start : start + window]).find(b"\n")) < 0 and window < longest:
            window *= 2
        return self.read(end + 1 if end >= 0 else window)

    def tell(self) -> int:
        return self.position


def _read_legacy(content: mmap.mmap) -> Any:
    """Magic number, protocol, system, object, list of storage keys, then each storage: its length (int64) and its numbers."""
    part = _Part(memoryview(content))
    kinds: dict[str, tuple[np.dtype, int]] = {}

    def unknown_yet(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if count * dtype.itemsize > len(content):
            raise ModelError(f"its storage {key} is longer than the file")
        kinds[key] = dtype, count
        return np.broadcast_to(_numbers(bytes(dtype.itemsize), dtype, 1), (count,))  # the right length, and no memory

    machine = Machine(part, CALLS, NAMES, _Storages(unknown_yet))
    if machine.load() != LEGACY_MAGIC or machine.load() != LEGACY_PROTOCOL:
        raise Refused("it is a pickle, but not one that torch.save wrote")
    system = machine.load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("it was written on a machine with the other byte order")
    start = part.tell()
    machine.load()  # once for what storages there are; they come behind the object, and its tensors need them
    keys = machine.load()
    if not isinstance(keys, list) or not all(map(_is_storage_key, keys)) or len(keys) != len(kinds) or set(keys) != kinds.keys():
        raise ModelError("its list of storages does not name those that its tensors use")
    storages, position = {}, part.tell()
    for key in keys:
        dtype, count = kinds[key]
        length, position = int.from_bytes(content[position : position + 8], "little"), position + 8
        end = position + length * dtype.itemsize
        if end > len(content) or length < count:
            raise ModelError(f"its storage {key} is cut short")
        storages[key] = _numbers(memoryview(content)[position:end], dtype, count)
        position = end
    return Machine(_Part(memoryview(content), start), CALLS, NAMES, _Storages(lambda key, _dtype, _count: storages[key])).load()


class _Storages:
    """Persistent identifiers of a pickle -> numbers (N,); each storage is made once, so that tensors share it."""

    def __init__(self, find: Callable[[str, np.dtype, int], np.ndarray]):
        self.find = find
        self.known: dict[str, tuple[tuple, np.ndarray]] = {}

    def __call__(self, identifier: Any) -> "_Storage":
        if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
            raise Refused(f"it refers to {type(identifier).__name__} data that is no storage")
        _, kind, key, _location, count, *view = identifier
        if not isinstance(kind, Name) or kind.full not in STORAGES:
            raise Refused("it has a storage of a type that is no number")
        if not _is_storage_key(key) or not _is_count(count):
            raise Refused(f"it has a storage by the key {shown(key)} of {shown(count)} numbers")
        given = (kind.full, count)
        if key not in self.known:
            self.known[key] = given, self.find(key, STORAGES[kind.full], count)
        elif self.known[key][0] != given:
            raise Refused(f"it calls storage {key} once {self.known[key][0]} and once {given}")
        numbers = self.known[key][1]
        if view and view[0] is not None:  # of the old format: a part of a storage under a key of its own
            _, offset, count = view[0]
            if not _is_count(offset) or not _is_count(count) or offset + count > len(numbers):
                raise Refused(f"it has a view of storage {key} that reaches beyond it")
            numbers = numbers[offset : offset + count]
        return _Storage(numbers)


@dataclass(frozen=True)
class _Storage:
    numbers: np.ndarray


def _numbers(content: bytes | memoryview, dtype: np.dtype, count: int) -> np.ndarray:
    return np.frombuffer(content, dtype, count) if count else np.empty(0, dtype)


def _is_storage_key(key: Any) -> bool:
    return isinstance(key, str) and re.fullmatch(r"\w{1,40}", key) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48  # more than any file holds, and far from overflow


def _tensor(storage: Any, offset: Any, size: Any, strides: Any, *_: Any) -> np.ndarray:
    """torch._utils._rebuild_tensor_v2. What follows are gradients and hooks, which a state dict does not have."""
    sane = isinstance(storage, _Storage) and _is_count(offset) and isinstance(size, tuple) and isinstance(strides, tuple)
    if not sane or len(size) != len(strides) or len(size) > 32 or not all(map(_is_count, (*size, *strides))):
        raise Refused("it has a tensor whose storage, size or strides are none")
    numbers = storage.numbers
    if math.prod(size) == 0:
        return np.empty(size, numbers.dtype)
    last = offset + sum((length - 1) * stride for length, stride in zip(size, strides, strict=True))
    if last >= len(numbers):
        raise Refused(f"it has a tensor {size} that reaches beyond its storage of {len(numbers)} numbers")
    if math.prod(size) > len(numbers):
        raise Refused(f"it has a tensor {size} that repeats a storage of {len(numbers)} numbers; save it with .clone()")
    step = numbers.strides[0]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, [stride * step for stride in strides], writeable=False)


def _parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise Refused("it has a parameter that is no tensor")
    return data


def _size(size: Any) -> tuple:
    if not isinstance(size, tuple):
        raise Refused("it has a torch.Size that is no tuple")
    return size


def _device(kind: Any, index: Any = None) -> str:
    """torch.device: its name, `cuda:1`."""
    if not isinstance(kind, str) or not re.fullmatch(r"\w{1,20}(:\d{1,4})?", kind) or not (index is None or _is_count(index)):
        raise Refused(f"it has a device {shown(kind)} of number {shown(index)}")
    return kind if index is None else f"{kind}:{index}"


CALLS = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "torch.device": _device,
}
NAMES = {*STORAGES, *DTYPES}


def write_torch(path: str | Path, tree: Any) -> None:
    """Writes what torch.save would, of dicts (keys: strings, whole numbers), lists, tuples, strings, numbers, None and tensors.

    Tensors are arrays or LazyTensors. `torch.load(path, weights_only=True)` reads it. The same tree gives the same bytes. Raises
    ModelError for anything else.
    """
    writer = _Writer()
    writer.put(tree)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0))
            begins = archive.fp.tell() + 30 + len(entry.filename) + 4
            padding = -begins % ALIGNMENT
            entry.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
            archive.writestr(entry, content)

        add("data.pkl", b"\x80\x02" + b"".join(writer.parts) + pickle.STOP)
        add("byteorder", b"little")
        for index, tensor in enumerate(writer.tensors):
            values = np.asarray(tensor.read() if isinstance(tensor, LazyTensor) else tensor, order="C")
            if (values.shape, values.dtype) != (tuple(tensor.shape), tensor.dtype):
                raise ModelError(f"a tensor announced as {tensor.dtype} {tensor.shape} is {values.dtype} {values.shape}")
            add(f"data/{index}", values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        add("version", b"3\n")


class _Writer:
    """The pickle of a tree in protocol 2, and the tensors it refers to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.tensors: list[np.ndarray | LazyTensor] = []

    def put(self, value: Any) -> None:
        if isinstance(value, (np.ndarray, LazyTensor)):
            self._put_tensor(value)
        elif isinstance(value, Mapping):
            self.parts.append(pickle.EMPTY_DICT + pickle.MARK)
            for key, item in value.items():
                if not isinstance(key, (str, int)):
                    raise ModelError(f"a torch file's keys are strings or whole numbers; got {key!r}")
                self.put(key)
                self.put(item)
            self.parts.append(pickle.SETITEMS)
        elif isinstance(value, (list, tuple)):
            # not the opcode LIST, which PyTorch's own restricted reader does not know
            opening, closing = (pickle.EMPTY_LIST, pickle.APPENDS) if isinstance(value, list) else (b"", pickle.TUPLE)
            self.parts.append(opening + pickle.MARK)
            for item in value:
                self.put(item)
            self.parts.append(closing)
        elif value is None or isinstance(value, (bool, str, int, float)):
            self.parts.append(_opcodes(value))
        else:
            raise ModelError(f"a torch file holds tensors, numbers, strings and plain containers; got a {type(value).__name__}")

    def _put_tensor(self, tensor: np.ndarray | LazyTensor) -> None:
        kinds = {dtype: name for name, dtype in STORAGES.items()}
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        if dtype not in kinds:
            raise ModelError(f"a torch file cannot hold numbers of type {tensor.dtype}; convert them to float32")
        shape = tuple(map(int, tensor.shape))
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        self.parts.append(_global("torch._utils", "_rebuild_tensor_v2") + pickle.MARK + pickle.MARK)
        self.put("storage")
        self.parts.append(_global(*kinds[dtype].rsplit(".", 1)))
        for value in (str(len(self.tensors)), "cpu", math.prod(shape)):
            self.put(value)
        self.parts.append(pickle.TUPLE + pickle.BINPERSID)
        for value in (0, shape, strides, False):
            self.put(value)
        self.parts.append(_global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.TUPLE + pickle.REDUCE)
        self.tensors.append(tensor)


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _opcodes(value: Any) -> bytes:
    """A plain value in protocol 2, without the frame and the memo that a pickle of its own would have."""
    if isinstance(value, str):
        encoded = value.encode("utf-8", "surrogatepass")
        return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded
    return pickle.dumps(value, protocol=2)[2:-1]
