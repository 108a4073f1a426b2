"""TFRecord schema, both directions. Arrays travel as raw bytes; a record's first axis may vary, the schema fixes the others.

A record is a tf.train.Example, written here without TensorFlow, whose import takes longer than preparing a small corpus again.
"""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from myxtts.audio.wave import atomic_file
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
    """Records of `data/tokens`. `row` is the clip's row in the index and in the prompt arrays.

    shifted: codes counted from later frames (encode.shifts), one spelling of `codes`' length after the other. places: which of text_ids
    is spoken at each code (encode.align), empty where that is not known.
    """
    ids = Array("int32", (None,))
    return {"text_ids": ids, "codes": ids, "shifted": ids, "places": ids, "row": Array("int32", ())}


def latent_schema(dim: int) -> Schema:
    """Records of the decoder stage's cache: GPT latents of a whole clip and the path of its wave."""
    return {"latents": Array("float16", (None, dim)), "row": Array("int32", ()), "path": Text()}


def serialize(schema: Schema, values: Mapping[str, Any]) -> bytes:
    """One record. Raises DataError where a value does not fit the schema or is missing."""
    if set(values) != set(schema):
        raise DataError(f"a record must hold {sorted(schema)}, got {sorted(values)}")
    example = _example()()
    for name, field in schema.items():
        example.features.feature[name].bytes_list.value.append(field.encode(values[name]))
    # fields in the order of their names: else in one that another process would not repeat, and DVC would take the data for others
    return example.SerializeToString(deterministic=True)


def parse(schema: Schema, record: bytes) -> dict[str, Any]:
    """The inverse of `serialize`. Arrays are views of the record's bytes, not to be written to. Raises DataError."""
    try:
        features = _example().FromString(record).features.feature
        return {name: field.decode(features[name].bytes_list.value[0]) for name, field in schema.items()}
    except (DecodeError, ValueError, IndexError) as error:
        raise DataError(f"a record is damaged ({error}): delete its file and run the stage that makes it again (dvc repro -f)") from None


@cache
def _example() -> type:
    """tf.train.Example as far as it holds bytes (tensorflow/core/example/feature.proto)."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto

    def message(name: str, field: str, of: str | None, repeated: bool = False) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
        made.field.add(name=field, number=1, label=label, type=kind.TYPE_MESSAGE if of else kind.TYPE_BYTES, type_name=of)
        return made

    message("BytesList", "value", None, repeated=True)
    message("Feature", "bytes_list", ".BytesList")
    entry = message("Features", "feature", ".Features.FeatureEntry", repeated=True).nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=kind.LABEL_OPTIONAL, type=kind.TYPE_STRING)
    entry.field.add(name="value", number=2, label=kind.LABEL_OPTIONAL, type=kind.TYPE_MESSAGE, type_name=".Feature")
    message("Example", "features", ".Features")
    pool = descriptor_pool.DescriptorPool()  # of its own: TensorFlow, where it is imported, has messages of these names in the common one
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


def write_records(path: Path, schema: Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes records to `path` atomically and returns how many there are. Raises DataError (disk full, no permission)."""
    return write_serialized(path, (serialize(schema, row) for row in rows))


def write_serialized(path: Path, records: Iterable[bytes]) -> int:
    """`write_records` of what `serialize` gave."""
    count = 0
    with atomic_file(path) as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(b"".join((length, _checksum(length), record, _checksum(record))))
            count += 1
    return count


def _checksum(content: bytes) -> bytes:
    """TFRecord's: CRC-32C, rotated and moved, for a checksum of checksums would be weak."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


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
