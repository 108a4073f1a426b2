"""The waves of a data set's clips, decoded a few ahead."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from myxtts.audio import wave as wave_io

SPLITS = ("train", "eval")


class HasAudio(Protocol):
    audio: str


def waves(rows: Iterable[HasAudio], folder: Path, sample_rate: int, workers: int = 4) -> Iterator[np.ndarray]:
    """Yields the wave (N,) of each row's `audio` (relative to `folder`) at `sample_rate`, in order.

    Decodes a few ahead in threads: soundfile and soxr release the GIL.
    """

    def load(row: HasAudio) -> np.ndarray:
        return wave_io.load(folder / row.audio, sample_rate)[0]

    pending = iter(rows)
    with ThreadPoolExecutor(workers) as pool:
        queue = [pool.submit(load, row) for row in islice(pending, 4 * workers)]
        while queue:
            done = queue.pop(0)
            queue.extend(pool.submit(load, row) for row in islice(pending, 1))
            yield done.result()
