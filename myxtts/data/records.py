"""TFRecord schema, both directions. Arrays travel as raw bytes; a record's first axis may vary, the schema fixes the others."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

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

    def decode(self, raw: tf.Tensor) -> tf.Tensor:
        shape = [-1 if size is None else size for size in self.shape]
        value = tf.reshape(tf.io.decode_raw(raw, self.dtype), shape)
        return tf.ensure_shape(value, self.shape)


class Text:
    """A string, stored as UTF-8."""

    def encode(self, value: str) -> bytes:
        return value.encode("utf-8")

    def decode(self, raw: tf.Tensor) -> tf.Tensor:
        return raw


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


def parse(schema: Schema, record: tf.Tensor) -> dict[str, tf.Tensor]:
    """The inverse of `serialize`; runs eagerly and inside `Dataset.map`."""
    raw = tf.io.parse_single_example(record, {name: tf.io.FixedLenFeature([], tf.string) for name in schema})
    return {name: field.decode(raw[name]) for name, field in schema.items()}


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


def read_records(path: Path, schema: Schema) -> Iterator[dict[str, np.ndarray]]:
    """Yields the records of a file as numpy arrays. Raises DataError if the file is not there or cut short."""
    if not path.is_file():
        raise DataError(f"no record file {path}: run the stage that makes it (dvc repro)")
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            yield {name: value.numpy() for name, value in parse(schema, record).items()}
    except tf.errors.DataLossError as error:
        raise DataError(f"{path} is damaged ({error.message}): delete it and run its stage again (dvc repro -f)") from None
