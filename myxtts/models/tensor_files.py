"""The tensors in a file of `models.xtts.save_weights`, each to be read when it is wanted, or left where it lies."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from myxtts.config import ModelError


@dataclass(frozen=True)
class StoredArray:
    """An array that lies in a file from byte `offset` on, row after row. NumPy reads it when it is asked to; a session maps it."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = np.fromfile(self.path, self.dtype, math.prod(self.shape), offset=self.offset).reshape(self.shape)
        return array if dtype is None else array.astype(dtype, copy=False)


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Every tensor of a file of `save_weights`, by name. Raises ModelError where it is missing or damaged."""
    with open_weights(path) as datasets:
        return {name: read_tensor(dataset) for name, dataset in datasets.items()}


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[dict[str, h5py.Dataset]]:
    """The tensors of a file of `save_weights`, by name, each to be read with `read_tensor`. Raises ModelError.

    Errors of what is done with them meanwhile, say a full disk, are not this file's and pass through.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no weight file {path}; train or restore that stage first (dvc repro, or dvc pull)")
    with contextlib.ExitStack() as opened:
        try:
            found = _datasets(opened.enter_context(h5py.File(path, "r")))
        except OSError as error:
            raise _damaged(path, error) from None
        yield found


def read_tensor(dataset: h5py.Dataset) -> np.ndarray:
    """One tensor of `open_weights`. Raises ModelError where the file is damaged there."""
    try:
        return dataset[()]
    except OSError as error:
        raise _damaged(dataset.file.filename, error) from None


def stored_tensor(dataset: h5py.Dataset) -> StoredArray | np.ndarray:
    """One tensor of `open_weights`, left in its file where it lies there in one piece, as `save_weights` writes it."""
    offset = dataset.id.get_offset()
    if offset is None:  # in chunks, or compressed
        return read_tensor(dataset)
    return StoredArray(Path(dataset.file.filename).resolve(), offset, dataset.shape, dataset.dtype)


def _damaged(path: str | Path, error: OSError) -> ModelError:
    return ModelError(f"{path} cannot be read as HDF5 ({error}); it is damaged: restore it (dvc checkout, dvc pull)")


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found
