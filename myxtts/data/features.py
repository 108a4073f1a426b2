"""processed -> mels: the log-mels of every clip, computed once, and the vector that normalises them."""

import io
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from myxtts.audio import wave
from myxtts.audio.mel import MelConfig, dvae_mel, log_mel_numpy
from myxtts.config import XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.cache import Cache, Entry, fingerprint
from myxtts.data.engines import cores
from myxtts.data.manifest import Utterance, corpus_weights, iter_split
from myxtts.data.records import mel_schema, serialize, write_serialized
from myxtts.data.waves import SPLITS, in_threads

MEL_VERSION = 2  # goes up when the same clip gives another mel, or its mel is kept in another way
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
    totals = np.zeros((2, mel_config.num_mels))
    frames_of = dict.fromkeys(SPLITS, 0)
    weights, weight_of = array("f"), corpus_weights(processed)
    with Cache(cache or processed.parent / "cache", "mels") as kept:
        for split in SPLITS:

            def records(split=split) -> Iterator[bytes]:
                for row, mel in _mels(processed, split, mel_config, kept, config.hardware.num_workers or cores()):
                    frames_of[split] += mel.frames
                    if split == "train":
                        totals[:] += mel.sums
                        weights.append(weight_of.get(row.corpus, 1.0))
                    yield mel.record

            write_serialized(out / f"{split}.tfrecord", records())
        kept.prune()
    _save(out / "train_weights.npy", np.array(weights))
    _save(out / "mel_norm.npy", _deviation(totals, frames_of["train"]) if mel_norm is None else mel_norm)
    report: dict[str, float] = {}
    for split, frames in frames_of.items():
        report |= {f"{split}/frames": frames, f"{split}/hours": frames / frames_per_second / 3600}
    return report


def _save(path: Path, values: np.ndarray) -> None:
    # by way of memory: NumPy writes the numbers past the file object, and so past its DataError where the disk is full
    content = io.BytesIO()
    np.save(content, values)
    wave.write_atomically(path, content.getvalue())


@dataclass(frozen=True)
class _Mel:
    """A clip's mel as it is kept: `record` for the file; sums (2, M) float64 of each band and of its square; how many frames."""

    record: bytes
    sums: np.ndarray
    frames: int

    @classmethod
    def of(cls, sound: np.ndarray, config: MelConfig) -> "_Mel":
        mel = log_mel_numpy(sound, config).astype(np.float16)
        exact = mel.astype(np.float64)
        sums = np.stack([exact.sum(axis=0), np.square(exact).sum(axis=0)])
        return cls(serialize(mel_schema(config.num_mels), {"mel": mel}), sums, len(mel))

    @classmethod
    def found(cls, entry: Entry, num_mels: int) -> "_Mel":
        content, size = entry.file.read_bytes(), 16 * num_mels
        return cls(content[size:], np.frombuffer(content[:size]).reshape(2, num_mels), entry.facts["frames"])

    def keep(self, cache: Cache, key: str) -> None:
        cache.keep(key, {"frames": self.frames}, self.sums.tobytes() + self.record)


def _mels(processed: Path, split: str, mel_config: MelConfig, cache: Cache, workers: int) -> Iterator[tuple[Utterance, _Mel]]:
    """A split's clips in order, each with its mel; those that are not in the cache yet are computed and put there."""
    settings = fingerprint(MEL_VERSION, asdict(mel_config))

    def make(row: Utterance) -> _Mel:
        return _Mel.of(wave.load(processed / row.audio, mel_config.sample_rate)[0], mel_config)

    rows = iter_split(processed, split)
    with bar(None, f"mels {split}", "clip") as made:
        while some := list(islice(rows, _CLIPS_AT_ONCE)):
            keys = [fingerprint(settings, cache.digest(processed / row.audio)) for row in some]
            entries = [cache.find(key) for key in keys]
            new = in_threads(make, [row for row, entry in zip(some, entries, strict=True) if entry is None], workers)
            for row, key, entry in zip(some, keys, entries, strict=True):
                if entry is None:
                    mel = next(new)
                    mel.keep(cache, key)
                else:
                    mel = _Mel.found(entry, mel_config.num_mels)
                made.update()
                yield row, mel
            cache.commit()


def _deviation(sums: np.ndarray, frames: int) -> np.ndarray:
    """Standard deviation (M,) of each band from the sums (2, M) over all frames."""
    mean, square = sums / frames
    # a band that never changes (say, above the band of a telephone recording) must not divide by zero
    return np.sqrt(np.maximum(square - mean**2, 1e-2)).astype(np.float32)
