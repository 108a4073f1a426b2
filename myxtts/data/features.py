"""processed -> mels: the log-mels of every clip, computed once, and the vector that normalises them."""

import io
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from myxtts.audio.mel import MelConfig, dvae_mel, log_mel_numpy
from myxtts.audio.wave import write_atomically
from myxtts.config import XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.cache import Cache, fingerprint
from myxtts.data.manifest import Utterance, corpus_weights, iter_split
from myxtts.data.records import mel_schema, write_records
from myxtts.data.waves import SPLITS, waves

MEL_VERSION = 1  # goes up when the same clip gives another mel
_CLIPS_AT_ONCE = 256


def write_mels(
    config: XTTSConfig, processed: Path, out: Path, mel_norm: np.ndarray | None = None, cache: Path | None = None
) -> dict[str, float]:
    """Writes `train.tfrecord`, `eval.tfrecord` and `mel_norm.npy` (M,): each band's standard deviation over the training clips.

    A `mel_norm` (M,) that is given is written in its place: networks that are trained on must go on hearing mels in the units they know.
    `train_weights.npy` (clips,) says how often each is trained on, compared with others (the weight of its corpus).
    `cache`: a folder that outlives `out`, where the mels of clips that do not change are found again (default: beside `processed`).
    Returns frames and hours per split. Raises DataError when the disk is full.
    """
    mel_config = dvae_mel(config.model.audio)
    frames_per_second = mel_config.sample_rate / mel_config.hop_length
    totals = _Moments(mel_config.num_mels)
    report: dict[str, float] = {}
    weights, weight_of = array("f"), corpus_weights(processed)
    with Cache(cache or processed.parent / "cache", "mels") as kept:
        for split in SPLITS:
            frames = 0

            def records(split=split) -> Iterator[dict[str, np.ndarray]]:
                nonlocal frames
                for row, mel in _mels(processed, split, mel_config, kept):
                    frames += len(mel)
                    if split == "train":
                        totals.add(mel)
                        weights.append(weight_of.get(row.corpus, 1.0))
                    yield {"mel": mel}

            write_records(out / f"{split}.tfrecord", mel_schema(mel_config.num_mels), records())
            report[f"{split}/frames"] = frames
            report[f"{split}/hours"] = frames / frames_per_second / 3600
        kept.prune()
    _save(out / "train_weights.npy", np.array(weights))
    _save(out / "mel_norm.npy", totals.std() if mel_norm is None else mel_norm)
    return report


def _save(path: Path, values: np.ndarray) -> None:
    # by way of memory: NumPy writes the numbers past the file object, and so past its DataError where the disk is full
    content = io.BytesIO()
    np.save(content, values)
    write_atomically(path, content.getvalue())


def _mels(processed: Path, split: str, mel_config: MelConfig, cache: Cache) -> Iterator[tuple[Utterance, np.ndarray]]:
    """A split's clips in order, each with its mel (F, M) float16; those that are not in the cache yet are computed and put there."""
    settings = fingerprint(MEL_VERSION, asdict(mel_config))
    rows = iter_split(processed, split)
    with bar(None, f"mels {split}", "clip") as made:
        while some := list(islice(rows, _CLIPS_AT_ONCE)):
            keys = [fingerprint(settings, cache.digest(processed / row.audio)) for row in some]
            entries = [cache.find(key) for key in keys]
            missing = [row for row, entry in zip(some, entries, strict=True) if entry is None]
            clips = waves(missing, processed, mel_config.sample_rate)
            for row, key, entry in zip(some, keys, entries, strict=True):
                if entry is None:
                    mel = log_mel_numpy(next(clips), mel_config).astype(np.float16)
                    cache.keep(key, {}, mel.tobytes())
                else:
                    mel = np.frombuffer(entry.file.read_bytes(), np.float16).reshape(-1, mel_config.num_mels)
                made.update()
                yield row, mel
            cache.commit()


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
