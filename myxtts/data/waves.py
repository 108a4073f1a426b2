"""The waves of a data set's clips, and what is made of each, a few ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from myxtts.audio import wave as wave_io

SPLITS = ("train", "eval")
Item, Result = TypeVar("Item"), TypeVar("Result")


class HasAudio(Protocol):
    audio: str


def waves(rows: Iterable[HasAudio], folder: Path, sample_rate: int, workers: int = 4) -> Iterator[np.ndarray]:
    """Yields the wave (N,) of each row's `audio` (relative to `folder`) at `sample_rate`, in order."""
    return in_threads(lambda row: wave_io.load(folder / row.audio, sample_rate)[0], rows, workers)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yields function(item) in the items' order, worked on a few ahead: for work that releases the GIL (soundfile, soxr, NumPy)."""
    pending = iter(items)
    # threads of NumPy's matrix product below these would wait for one another more than they work: half the speed
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        queue = deque(pool.submit(function, item) for item in islice(pending, 4 * workers))
        while queue:
            done = queue.popleft()
            queue.extend(pool.submit(function, item) for item in islice(pending, 1))
            yield done.result()
