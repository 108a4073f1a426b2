"""processed -> mels: the log-mels of every clip, computed once, and the vector that normalises them."""

from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice, tee
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import MelConfig, dvae_mel, log_mel_numpy
from myxtts.config import DataError, XTTSConfig
from myxtts.data.cache import Cache, fingerprint
from myxtts.data.manifest import corpus_weights, iter_split
from myxtts.data.records import mel_schema, write_records

SPLITS = ("train", "eval")
MEL_VERSION = 1  # goes up when the same clip gives another mel


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


def write_mels(
    config: XTTSConfig, processed: Path, out: Path, mel_norm: np.ndarray | None = None, cache: Path | None = None
) -> dict[str, float]:
    """Writes `train.tfrecord`, `eval.tfrecord` and `mel_norm.npy` (M,): each band's standard deviation over the training clips.

    A `mel_norm` (M,) that is given is written in its place: networks that are trained on must go on hearing mels in the units they know.
    `train_weights.npy` (clips,) says how often each is trained on, compared with others (the weight of its corpus).
    `cache`: a folder that outlives `out`, where the mels of clips that do not change are found again (default: beside `processed`).
    Returns frames and hours per split.
    """
    mel_config = dvae_mel(config.model.audio)
    frames_per_second = mel_config.sample_rate / mel_config.hop_length
    totals = _Moments(mel_config.num_mels)
    report: dict[str, float] = {}
    weights, weight_of = array("f"), corpus_weights(processed)
    with Cache(cache or processed.parent / "cache", "mels") as kept:
        for split in SPLITS:
            _compute_missing(processed, split, mel_config, kept)
            frames = 0

            def records(split=split) -> Iterator[dict[str, np.ndarray]]:
                nonlocal frames
                for row in iter_split(processed, split):
                    mel = _kept_mel(processed / row.audio, mel_config, kept)
                    frames += len(mel)
                    if split == "train":
                        totals.add(mel)
                        weights.append(weight_of.get(row.corpus, 1.0))
                    yield {"mel": mel}

            write_records(out / f"{split}.tfrecord", mel_schema(mel_config.num_mels), records())
            report[f"{split}/frames"] = frames
            report[f"{split}/hours"] = frames / frames_per_second / 3600
        kept.prune()
    np.save(out / "train_weights.npy", np.array(weights))
    np.save(out / "mel_norm.npy", totals.std() if mel_norm is None else mel_norm)
    return report


def read_weights(mels: Path) -> np.ndarray | None:
    """`train_weights.npy` (clips,); None where mels were written without."""
    path = mels / "train_weights.npy"
    return np.load(path) if path.is_file() else None


def _compute_missing(processed: Path, split: str, mel_config: MelConfig, cache: Cache) -> None:
    """The mels that are not in the cache yet, into it."""
    first, second = tee(row for row in iter_split(processed, split) if not cache.find(_mel_key(processed / row.audio, mel_config, cache)))
    clips = waves(first, processed, mel_config.sample_rate)
    for number, (row, clip) in enumerate(zip(second, tqdm(clips, desc=f"mels {split}", unit="clip", mininterval=2), strict=True)):
        mel = log_mel_numpy(clip, mel_config).astype(np.float16)
        cache.keep(_mel_key(processed / row.audio, mel_config, cache), {"frames": len(mel)}, mel.tobytes())
        if number % 256 == 0:
            cache.commit()
    cache.commit()


def _mel_key(clip: Path, mel_config: MelConfig, cache: Cache) -> str:
    return fingerprint(MEL_VERSION, cache.digest(clip), asdict(mel_config))


def _kept_mel(clip: Path, mel_config: MelConfig, cache: Cache) -> np.ndarray:
    """(F, M) float16."""
    entry = cache.find(_mel_key(clip, mel_config, cache))
    if entry is None or entry.file is None:
        raise DataError(f"{clip} was changed while its mel was computed: run the stage again")
    return np.frombuffer(entry.file.read_bytes(), np.float16).reshape(-1, mel_config.num_mels)


class _Moments:
    """Running mean and variance of each mel band."""

    def __init__(self, num_mels: int):
        self.count, self.sum, self.square = 0, np.zeros(num_mels), np.zeros(num_mels)

    def add(self, mel: np.ndarray) -> None:
        mel = mel.astype(np.float64)
        self.count += len(mel)
        self.sum += mel.sum(axis=0)
        self.square += np.square(mel).sum(axis=0)

    def std(self) -> np.ndarray:
        mean = self.sum / self.count
        variance = self.square / self.count - mean**2
        # a band that never changes (say, above the band of a telephone recording) must not divide by zero
        return np.sqrt(np.maximum(variance, 1e-2)).astype(np.float32)
