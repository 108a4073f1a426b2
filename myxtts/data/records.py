"""TFRecord schema, both directions. Arrays travel as raw bytes; a record's first axis may vary, the schema fixes the others."""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from myxtts.config import DataError


@dataclass(frozen=True)
class Array:
    """An array stored as raw bytes. `shape` may start with None: that axis is as long as the record says."""

    dtype: str
    shape: tuple[int | None, ...]

    def encode(self, value: Any) -> bytes:
        array = np.asarray(value, dtype=self.dtype)
        if array.ndim != len(self.shape) or any(want not in (None, got) for want, got in zip(self.shape, array.shape, strict=True)):
            raise DataError(f"expected an array of shape {self.shape}, got {array.shape}")
        return np.ascontiguousarray(array).tobytes()

    def decode(self, raw: bytes) -> np.ndarray:
        return np.frombuffer(raw, self.dtype).reshape([-1 if size is None else size for size in self.shape])


class Text:
    """A string, stored as UTF-8."""

    def encode(self, value: str) -> bytes:
        return value.encode("utf-8")

    def decode(self, raw: bytes) -> str:
        return raw.decode("utf-8")


Schema = Mapping[str, Array | Text]


def mel_schema(num_mels: int) -> Schema:
    """Records of `data/mels`: un-normalised log-mels of whole clips."""
    return {"mel": Array("float16", (None, num_mels))}


def token_schema() -> Schema:
    """Records of `data/tokens`. `row` is the clip's row in the index and in the prompt arrays."""
    return {"text_ids": Array("int32", (None,)), "codes": Array("int32", (None,)), "row": Array("int32", ())}


def latent_schema(dim: int) -> Schema:
    """Records of the decoder stage's cache: GPT latents of a whole clip and the path of its wave."""
    return {"latents": Array("float16", (None, dim)), "row": Array("int32", ()), "path": Text()}


def serialize(schema: Schema, values: Mapping[str, Any]) -> bytes:
    """One record. Raises DataError where a value does not fit the schema or is missing."""
    if set(values) != set(schema):
        raise DataError(f"a record must hold {sorted(schema)}, got {sorted(values)}")
    features = {}
    for name, field in schema.items():
        features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[field.encode(values[name])]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def parse(schema: Schema, record: bytes) -> dict[str, Any]:
    """The inverse of `serialize`. Arrays are views of the record's bytes, not to be written to. Raises DataError."""
    try:
        features = tf.train.Example.FromString(record).features.feature
        return {name: field.decode(features[name].bytes_list.value[0]) for name, field in schema.items()}
    except (DecodeError, ValueError, IndexError) as error:
        raise DataError(f"a record is damaged ({error}): delete its file and run the stage that makes it again (dvc repro -f)") from None


def write_records(path: Path, schema: Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes records to `path` atomically and returns how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    count = 0
    try:
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for row in rows:
                writer.write(serialize(schema, row))
                count += 1
        partial.replace(path)
    except (OSError, tf.errors.OpError) as error:
        raise DataError(
            f"{path} could not be written ({error}): free disk space or correct the permissions, then run the stage again"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


class RecordFile:
    """A record file whose records are read in any order, from any thread.

    Opening reads the lengths of all records (12 bytes each) and nothing else. Contents are not compared with TFRecord's checksums:
    that DVC does, by the md5 of the file.
    """

    def __init__(self, path: Path, schema: Schema):
        """Raises DataError if the file is not there or cut short."""
        if not path.is_file():
            raise DataError(f"no record file {path}: run the stage that makes it (dvc repro)")
        self.path, self.schema = path, schema
        self._starts, self._sizes = _record_places(path)
        self._file = path.open("rb")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return parse(self.schema, os.pread(self._file.fileno(), int(self._sizes[number]), int(self._starts[number])))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))


def _record_places(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Where each record's bytes start, and how many there are. A record: length (8), its checksum (4), bytes, their checksum (4)."""
    size, position, places = path.stat().st_size, 0, []
    if size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while position + 12 <= size:
                (length,) = struct.unpack_from("<Q", content, position)
                places.append((position + 12, length))
                position += length + 16
    if position != size:
        raise DataError(f"{path} is cut short or damaged: delete it and run its stage again (dvc repro -f)")
    return tuple(np.array(places, np.int64).reshape(-1, 2).T)


def read_records(path: Path, schema: Schema) -> Iterator[dict[str, Any]]:
    """Yields the records of a file in order. Raises DataError if the file is not there or cut short."""
    return iter(RecordFile(path, schema))


def read_clip_weights(mels: Path) -> np.ndarray | None:
    """`train_weights.npy` (clips,) beside the records of `data/mels`; None where mels were written without."""
    path = mels / "train_weights.npy"
    return np.load(path) if path.is_file() else None
