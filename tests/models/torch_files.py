"""Torch files by hand, for tests: any pickle in either container."""

import pickle
import zipfile
from pathlib import Path

LEGACY_HEAD = b"".join(pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))


def write_zip(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in (storages or {"0": bytes(16)}).items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def write_legacy(path: Path, pickled: bytes) -> Path:
    path.write_bytes(LEGACY_HEAD + pickled + pickle.dumps([], protocol=2))
    return path


def tensor_pickle(size: tuple, strides: tuple, offset: int = 0, count: int = 4, kind: str = "FloatStorage", key: str = "0") -> bytes:
    """The pickle of one tensor over storage `key`."""

    def plain(value) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    storage = b"(" + plain("storage") + f"ctorch\n{kind}\n".encode() + plain(key) + plain("cpu") + plain(count) + b"tQ"
    arguments = plain(offset) + plain(size) + plain(strides) + b"\x89" + b"N"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments + b"tR."
