"""From record files to static-shape batches, as a tf.data stream.

A stream is a pure function of (files, seed, batch number): batch `n` of a training is the same on every machine, and training resumes at
any number without reading what lies before. Every batch has its full number of rows; those that fill up a last one repeat its clips with
length 0: their masks are False, and what takes statistics over a batch (batch normalisation) still sees nothing but real clips.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from myxtts.audio import wave as wave_io
from myxtts.config import DataError, ModelConfig, XTTSConfig
from myxtts.data.encode import IndexRow, read_index, rows_by_speaker
from myxtts.data.order import Order, batches_by_bucket, epoch_order, times_due
from myxtts.data.records import RecordFile, latent_schema, mel_schema, read_clip_weights

Batch = dict[str, tf.Tensor]
Values = dict[str, np.ndarray]
PREFETCH = 4  # batches that wait for the step
LENGTHS = ("lengths", "text_lengths", "code_lengths", "wrong_text_lengths")


@dataclass(frozen=True)
class Flow:
    """How a stream is read; changes no batch. `shard` (index, count): of every batch, this worker builds its share of the rows."""

    workers: int = 1
    prefetch: int = PREFETCH
    shard: tuple[int, int] = (0, 1)


ONE_WORKER = Flow()


@dataclass(frozen=True)
class Examples:
    """What a stream is made of.

    example: (number, draws (2,)) -> one clip's arrays, each padded as its bucket wants. bucket_of: (examples,).
    signature: name -> (dtype, shape without the row axis; None where it depends on the bucket). `place` asks for the rows' numbers.
    units: (examples,) how much of `seconds_per_unit` each clip gives to learn from. padding: share of a batch that holds nothing.
    times: (examples,) how often each clip comes in an epoch (`times_due`); None = once.
    """

    example: Callable[[int, np.ndarray, int], Values]
    bucket_of: np.ndarray
    signature: dict[str, tuple[str, tuple[int | None, ...]]]
    units: np.ndarray
    seconds_per_unit: float
    padding: float = 0.0
    times: np.ndarray | None = None


class Batches:
    """A re-startable stream of batches. Iterating gives one epoch, the next time the next one; `stream` goes on over epochs."""

    def __init__(self, examples: Examples, batch_size: int, seed: int, shuffle: bool, flow: Flow):
        """batch_size: rows of the whole batch, all workers together."""
        if batch_size % flow.shard[1]:
            raise DataError(f"a batch of {batch_size} rows cannot be shared evenly by {flow.shard[1]} workers")
        self.examples, self.batch_size, self.flow = examples, batch_size, flow
        self.num_examples = len(examples.bucket_of)
        made = batches_by_bucket(examples.bucket_of, batch_size, examples.times)
        self.per_epoch, self.traces = sum(made.values()), len(made)  # traces: number of different batch shapes
        self._seed, self._shuffle = seed, shuffle
        self._orders: dict[int, Order] = {}
        self._lock = threading.Lock()
        self._epochs_given = 0

    def __len__(self) -> int:
        return self.per_epoch

    def __iter__(self) -> Iterator[Batch]:
        self._epochs_given += 1
        return iter(self.epoch(self._epochs_given - 1))

    def epoch(self, number: int, skip: int = 0) -> tf.data.Dataset:
        """The batches of one epoch, the first `skip` left out."""
        return self.stream(number * self.per_epoch + skip, (number + 1) * self.per_epoch)

    def stream(self, start: int, stop: int) -> tf.data.Dataset:
        """Batches start, start + 1, … stop - 1, counted from the beginning of the training."""
        names = list(self.examples.signature)
        kinds = [tf.dtypes.as_dtype(kind) for kind, _ in self.examples.signature.values()]
        rows = self.batch_size // self.flow.shard[1]

        def load(number: tf.Tensor) -> Batch:
            values = tf.numpy_function(lambda number: list(self.load(int(number)).values()), [number], kinds, stateful=False)
            for value, (_, shape) in zip(values, self.examples.signature.values(), strict=True):
                value.set_shape((rows, *shape))
            return dict(zip(names, values, strict=True))

        options = tf.data.Options()
        # nothing here is left to tune, and the end of a stream waits for the tuner: its thread can miss the call to stop and sleep on, up
        # to a minute (TensorFlow 2.21: 8 and 20 s seen in one of 25 iterators)
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(start, stop)
        batches = numbers.map(load, num_parallel_calls=self.flow.workers, deterministic=True).prefetch(self.flow.prefetch)
        return batches.with_options(options)

    def load(self, number: int, whole: bool = False) -> Values:
        """Batch `number` of the training; of a sharded stream this worker's rows, or the `whole` batch."""
        order, place = self._find(number)
        index, count = (0, 1) if whole else self.flow.shard
        rows = np.arange(self.batch_size).reshape(count, -1)[index]
        bucket = int(order.buckets[place])
        drawn = zip(order.examples[place, rows], order.draws[place, rows], strict=True)
        clips = [self.examples.example(int(n), draws, bucket) for n, draws in drawn]
        filler = rows >= order.counts[place]
        values = {}
        for name, (kind, _) in self.examples.signature.items():
            if name == "place":
                values[name] = rows.astype(kind)
                continue
            values[name] = np.stack([clip[name] for clip in clips]).astype(kind, copy=False)
            if name in LENGTHS:
                values[name][filler] = 0
        return values

    def seconds(self, number: int) -> float:
        """Audio in batch `number`, fillers left out, in seconds."""
        order, place = self._find(number)
        return float(self.examples.units[order.examples[place, : order.counts[place]]].sum() * self.examples.seconds_per_unit)

    def weighting(self) -> dict[str, str]:
        """What a checkpoint remembers of how often clips come: with other weights its place in the data is another one."""
        times = self.examples.times
        return {"corpus_weights": "equal" if times is None else hashlib.sha256(times.round(6).tobytes()).hexdigest()[:16]}

    def widest(self) -> int:
        """Number of a batch of the first epoch with the widest shapes."""
        return int(np.argmax(self._find(0)[0].buckets))

    def _find(self, number: int) -> tuple[Order, int]:
        epoch, place = divmod(number, self.per_epoch)
        with self._lock:
            if epoch not in self._orders:
                number_of = epoch if self._shuffle else 0
                made = epoch_order(self.examples.bucket_of, self.batch_size, self._seed, number_of, self._shuffle, self.examples.times)
                # batches are loaded a few ahead: never more than two epochs at a time
                self._orders = {n: order for n, order in self._orders.items() if abs(n - epoch) == 1} | {epoch: made}
            return self._orders[epoch], place


def one_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches, each taken while the caller works on the one before it.

    Handing a batch over costs the caller about a millisecond on two cores, even one that is ready: much, for a step of 25.
    """
    stream = iter(batches)
    with ThreadPoolExecutor(1, "one-ahead") as pool:
        pending = pool.submit(next, stream, None)
        while (batch := pending.result()) is not None:
            pending = pool.submit(next, stream, None)
            yield batch


def crop_frames(config: XTTSConfig) -> int:
    """Frames of a DVAE training crop: a multiple of the frames per code."""
    audio = config.model.audio
    per_code = config.model.dvae.frames_per_code
    frames = config.training.dvae.crop_seconds * audio.input_sample_rate / audio.hop_length
    return max(1, round(frames / per_code)) * per_code


def dvae_batches(config: XTTSConfig, mels: Path, split: str, batch_size: int, training: bool, flow: Flow = ONE_WORKER) -> Batches:
    """Batches of `mel` (B, F, M) float32 normalised, `lengths` (B,) frames, `place` (B,) in the whole batch.

    Random crops in training, the clip's middle otherwise.
    """
    frames = crop_frames(config)
    mel_norm = np.load(mels / "mel_norm.npy")
    records = RecordFile(mels / f"{split}.tfrecord", mel_schema(len(mel_norm)))
    if not len(records):
        raise DataError(
            f"{records.path} holds no clip: give the corpus more clips, or raise prepare.eval_fraction if it is the evaluation split"
        )

    def crop(number: int, draws: np.ndarray, bucket: int) -> Values:
        mel = records[number]["mel"]
        room = max(len(mel) - frames, 0)
        start = int(draws[0] * (room + 1)) if training else room // 2
        piece = mel[start : start + frames].astype(np.float32) / mel_norm
        length = len(piece)
        if length < frames:  # held at its last frame, as the encode stage does: 0 would be a loud frame
            piece = np.pad(piece, ((0, frames - length), (0, 0)), mode="edge")
        return {"mel": piece, "lengths": np.int32(length)}

    examples = Examples(
        crop,
        np.zeros(len(records), int),
        {"mel": ("float32", (frames, len(mel_norm))), "lengths": ("int32", ()), "place": ("int32", ())},
        np.full(len(records), frames),
        config.model.audio.hop_length / config.model.audio.input_sample_rate,
        times=times_due(np.zeros(len(records), int), read_clip_weights(mels)) if training else None,
    )
    return Batches(examples, batch_size, config.seed, training, flow)


class References:
    """Chooses and reads the reference clip of each example: another clip of the same speaker where there is one."""

    def __init__(self, tokens: Path, split: str, index: list[IndexRow], name: str):
        groups = rows_by_speaker(index)
        self.speakers = list(groups)
        number = {speaker: position for position, speaker in enumerate(self.speakers)}
        self.speaker_of = np.array([number[row.speaker] for row in index], dtype=np.int32)
        self._members = [np.array(rows, dtype=np.int32) for rows in groups.values()]
        self._position = np.zeros(len(index), dtype=np.int32)
        for rows in self._members:
            self._position[rows] = np.arange(len(rows))
        self._array = np.load(tokens / f"{split}_{name}.npy", mmap_mode="r")
        self.shape = self._array.shape[1:]

    def choose(self, row: int, draw: float) -> int:
        """Row of the reference for clip `row`; `draw` in [0, 1) picks among the speaker's other clips."""
        rows = self._members[self.speaker_of[row]]
        if len(rows) == 1:
            return int(row)
        offset = 1 + int(draw * (len(rows) - 1))
        return int(rows[(self._position[row] + offset) % len(rows)])

    def read(self, row: int) -> np.ndarray:
        """Reference mel (F, M) of a row."""
        return self._array[row].astype(np.float32)


def latents_to_samples(model: ModelConfig) -> float:
    """Samples at the output rate that one code stands for."""
    return model.samples_per_code * model.audio.output_sample_rate / model.audio.input_sample_rate


def decoder_batches(
    config: XTTSConfig, latents: Path, tokens: Path, split: str, num_samples: int, batch_size: int, training: bool, flow: Flow = ONE_WORKER
) -> Batches:
    """Batches of random segments: latents (B, S, D), wave (B, num_samples), speaker_mel (B, F, M), speaker (B,), lengths (B,) codes.

    Clips shorter than a segment are left out; raises DataError if none is long enough.
    """
    segment = config.training.decoder.segment_codes
    index = read_index(tokens, split)
    records = RecordFile(latents / f"{split}.tfrecord", latent_schema(config.model.gpt.dim))
    rows = np.load(latents / f"{split}_rows.npy")  # of each record
    usable = np.flatnonzero([index[row].code_length >= segment for row in rows])
    if not len(usable):
        raise DataError(f"no {split} clip has {segment} codes: lower training.decoder.segment_codes, or bring longer clips")
    if len(usable) < len(index):
        left_out = len(index) - len(usable)
        print(f"decoder: {left_out} of {len(index)} {split} clips are shorter than segment_codes {segment} and are left out")
    references = References(tokens, split, index, "speakers")
    ratio = latents_to_samples(config.model)

    def example(number: int, draws: np.ndarray, bucket: int) -> Values:
        record = records[usable[number]]
        row = int(record["row"])
        draw = draws if training else np.zeros(2)
        start = int(draw[0] * (len(record["latents"]) - segment + 1))
        wave = wave_io.load_segment(record["path"], int(start * ratio), num_samples)
        return {
            "latents": record["latents"][start : start + segment].astype(np.float32),
            "wave": np.pad(wave, (0, num_samples - len(wave))),
            "speaker_mel": references.read(references.choose(row, draw[1])),
            "speaker": references.speaker_of[row],
            "lengths": np.int32(segment),
        }

    signature = {
        "latents": ("float32", (segment, config.model.gpt.dim)),
        "wave": ("float32", (num_samples,)),
        "speaker_mel": ("float32", references.shape),
        "speaker": ("int32", ()),
        "lengths": ("int32", ()),
    }
    units, bucket_of = np.full(len(usable), segment), np.zeros(len(usable), int)
    times = times_due(bucket_of, np.array([index[rows[number]].weight for number in usable])) if training else None
    examples = Examples(example, bucket_of, signature, units, 1 / config.model.codes_per_second, times=times)
    return Batches(examples, batch_size, config.seed, training, flow)
