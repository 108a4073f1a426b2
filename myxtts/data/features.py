"""processed -> mels: the log-mels of every clip, computed once, and the vector that normalises them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.config import XTTSConfig
from myxtts.data.manifest import read_split
from myxtts.data.records import mel_schema, write_records

SPLITS = ("train", "eval")


class HasAudio(Protocol):
    audio: str


def waves(rows: Sequence[HasAudio], folder: Path, sample_rate: int, workers: int = 4) -> Iterator[np.ndarray]:
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


def write_mels(config: XTTSConfig, processed: Path, out: Path, mel_norm: np.ndarray | None = None) -> dict[str, float]:
    """Writes `train.tfrecord`, `eval.tfrecord` and `mel_norm.npy` (M,): each band's standard deviation over the training clips.

    A `mel_norm` (M,) that is given is written in its place: networks that are trained on must go on hearing mels in the units they know.
    Returns frames and hours per split.
    """
    mel_config = dvae_mel(config.model.audio)
    frames_per_second = mel_config.sample_rate / mel_config.hop_length
    totals = _Moments(mel_config.num_mels)
    report: dict[str, float] = {}
    for split in SPLITS:
        rows = read_split(processed, split)
        frames = 0

        def records(rows=rows, split=split) -> Iterator[dict[str, np.ndarray]]:
            nonlocal frames
            clips = waves(rows, processed, mel_config.sample_rate)
            for clip in tqdm(clips, total=len(rows), desc=f"mels {split}", unit="clip", mininterval=2):
                mel = log_mel_numpy(clip, mel_config)
                frames += len(mel)
                if split == "train":
                    totals.add(mel)
                yield {"mel": mel}

        write_records(out / f"{split}.tfrecord", mel_schema(mel_config.num_mels), records())
        report[f"{split}/frames"] = frames
        report[f"{split}/hours"] = frames / frames_per_second / 3600
    np.save(out / "mel_norm.npy", totals.std() if mel_norm is None else mel_norm)
    return report


class _Moments:
    """Running mean and variance of each mel band."""

    def __init__(self, num_mels: int):
        self.count, self.sum, self.square = 0, np.zeros(num_mels), np.zeros(num_mels)

    def add(self, mel: np.ndarray) -> None:
        self.count += len(mel)
        self.sum += mel.sum(axis=0, dtype=np.float64)
        self.square += np.square(mel, dtype=np.float64).sum(axis=0)

    def std(self) -> np.ndarray:
        mean = self.sum / self.count
        variance = self.square / self.count - mean**2
        # a band that never changes (say, above the band of a telephone recording) must not divide by zero
        return np.sqrt(np.maximum(variance, 1e-2)).astype(np.float32)
