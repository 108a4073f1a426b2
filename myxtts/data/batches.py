"""tf.data: from record files to static-shape batches.

A stream of batches is a pure function of (files, seed, epoch): the same epoch gives the same batches on every machine, and training
resumes in the middle of one by skipping. Every batch has its full number of rows; those that fill up the last one repeat its clips with
length 0: their masks are False, and what takes statistics over a batch (batch normalisation) still sees nothing but real clips.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from myxtts.config import DataError, ModelConfig, XTTSConfig
from myxtts.data.encode import IndexRow, read_index, rows_by_speaker
from myxtts.data.records import latent_schema, mel_schema, parse, token_schema

Batch = dict[str, tf.Tensor]
ROUND = 8  # bucket widths are multiples of this: fewer shapes when the corpus grows


@dataclass(frozen=True)
class Batches:
    """A re-startable stream. `epoch(e, skip)` gives the batches of epoch `e`, the first `skip` left out."""

    make: Callable[[int], tf.data.Dataset]
    per_epoch: int
    num_examples: int
    batch_size: int
    traces: int  # number of different batch shapes

    def epoch(self, number: int, skip: int = 0) -> tf.data.Dataset:
        dataset = self.make(number)
        return (dataset.skip(skip) if skip else dataset).prefetch(4)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.epoch(0))


@dataclass(frozen=True)
class Bucket:
    """Clips of up to `codes` codes; their texts have up to `text` tokens."""

    codes: int
    text: int


def plan_buckets(code_lengths: np.ndarray, text_lengths: np.ndarray, count: int, most: Bucket) -> list[Bucket]:
    """Buckets with about equally many clips each, as wide as their widest member (rounded up, but never above `most`).

    The width of the last bucket bounds every clip. Fewer buckets come back where lengths coincide.
    """
    edges = np.quantile(code_lengths, np.linspace(0, 1, count + 1)[1:], method="higher")
    widths = sorted({min(_round_up(int(edge)), most.codes) for edge in edges})
    buckets, low = [], 0
    for width in widths:
        inside = (code_lengths > low) & (code_lengths <= width)
        text = _round_up(int(text_lengths[inside].max())) if inside.any() else ROUND
        buckets.append(Bucket(width, min(text, most.text)))
        low = width
    return buckets


def gpt_buckets(config: XTTSConfig, index: list[IndexRow]) -> list[Bucket]:
    """The buckets of the GPT's batches for the clips of one split."""
    lengths = np.array([(row.code_length, row.text_length) for row in index])
    limits = config.model.gpt  # which count the start and stop tokens that the model adds
    most = Bucket(limits.max_audio_tokens - 2, limits.max_text_tokens - 2)
    return plan_buckets(lengths[:, 0], lengths[:, 1], config.training.gpt.num_buckets, most)


def _round_up(length: int) -> int:
    return max(ROUND, math.ceil(length / ROUND) * ROUND)


LENGTHS = ("lengths", "text_lengths", "code_lengths")


def _fill_rows(batch: Batch, batch_size: int) -> Batch:
    """Fills the row axis up to `batch_size`: rows repeated from the start, with length 0."""
    filled = {}
    numbers = tf.range(batch_size)
    for name, value in batch.items():
        count = tf.shape(value)[0]
        rows = tf.gather(value, numbers % count)
        filled[name] = tf.where(numbers < count, rows, tf.zeros_like(rows)) if name in LENGTHS else rows
        filled[name].set_shape([batch_size, *value.shape[1:]])
    return filled


def _shuffled(path: Path, schema, epoch: int, seed: int, training: bool, workers: int) -> tf.data.Dataset:
    """Parsed records of a file, each with its record number; shuffled anew each epoch in training."""
    if not path.is_file():
        raise DataError(f"no record file {path}: run the stage that makes it (dvc repro)")
    dataset = tf.data.TFRecordDataset(str(path)).enumerate()
    if training:
        dataset = dataset.shuffle(10_000, seed=_mix(seed, epoch), reshuffle_each_iteration=False)
    return dataset.map(lambda number, record: (number, parse(schema, record)), num_parallel_calls=workers, deterministic=True)


def _mix(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (2**31)


def crop_frames(config: XTTSConfig) -> int:
    """Frames of a DVAE training crop: a multiple of the frames per code."""
    audio = config.model.audio
    per_code = config.model.dvae.frames_per_code
    frames = config.training.dvae.crop_seconds * audio.input_sample_rate / audio.hop_length
    return max(1, round(frames / per_code)) * per_code


def dvae_batches(config: XTTSConfig, mels: Path, split: str, batch_size: int, workers: int, training: bool) -> Batches:
    """Batches of `mel` (B, F, M) float32 normalised, `lengths` (B,) frames. Random crops in training, the clip's middle otherwise."""
    frames = crop_frames(config)
    mel_norm = np.load(mels / "mel_norm.npy")
    path = mels / f"{split}.tfrecord"
    count = _count_records(path)

    def crop(number: tf.Tensor, record: Batch, epoch: int) -> Batch:
        mel = tf.cast(record["mel"], tf.float32) / mel_norm
        length = tf.shape(mel)[0]
        room = tf.maximum(length - frames, 0)
        seed = tf.stack([tf.constant(_mix(config.seed, epoch), tf.int64), number])
        start = tf.random.stateless_uniform([], seed, 0, room + 1, tf.int32) if training else room // 2
        piece = mel[start : start + frames]
        size = tf.shape(piece)[0]
        # a short clip is held at its last frame, as the encode stage does: 0 would be a loud frame
        piece = tf.gather(piece, tf.minimum(tf.range(frames), size - 1))
        return {"mel": tf.ensure_shape(piece, (frames, len(mel_norm))), "lengths": size}

    def make(epoch: int) -> tf.data.Dataset:
        records = _shuffled(path, mel_schema(len(mel_norm)), epoch, config.seed, training, workers)
        crops = records.map(lambda number, record: crop(number, record, epoch), num_parallel_calls=workers, deterministic=True)
        return crops.batch(batch_size).map(lambda batch: _fill_rows(batch, batch_size))

    return Batches(make, math.ceil(count / batch_size), count, batch_size, 1)


def _count_records(path: Path) -> int:
    if not path.is_file():
        raise DataError(f"no record file {path}: run the stage that makes it (dvc repro)")
    count = sum(1 for _ in tf.data.TFRecordDataset(str(path)))
    if not count:
        raise DataError(f"{path} holds no clip: give the corpus more clips, or raise prepare.eval_fraction if it is the evaluation split")
    return count


class References:
    """Chooses and reads the reference clip of each example: another clip of the same speaker where there is one."""

    def __init__(self, tokens: Path, split: str, index: list[IndexRow], names: tuple[str, ...]):
        self.index = index
        groups = rows_by_speaker(index)
        self.speakers = list(groups)
        self.speaker_of = np.array([self.speakers.index(row.speaker) for row in index], dtype=np.int32)
        self.members = [np.array(rows, dtype=np.int32) for rows in groups.values()]
        self.position = np.zeros(len(index), dtype=np.int32)
        for rows in self.members:
            self.position[rows] = np.arange(len(rows))
        self.arrays = {name: np.load(tokens / f"{split}_{name}.npy", mmap_mode="r") for name in names}

    def choose(self, row: int, draw: float) -> int:
        """Row of the reference for clip `row`; `draw` in [0, 1) picks among the speaker's other clips."""
        rows = self.members[self.speaker_of[row]]
        if len(rows) == 1:
            return int(row)
        offset = 1 + int(draw * (len(rows) - 1))
        return int(rows[(self.position[row] + offset) % len(rows)])

    def read(self, row: np.ndarray, draw: np.ndarray) -> list[np.ndarray]:
        """numpy side of `lookup`: [reference row, one array per name]."""
        reference = self.choose(int(row), float(draw))
        return [np.int32(reference), *(array[reference].astype(np.float32) for array in self.arrays.values())]

    def lookup(self, row: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """In a `map`: (reference row, {name: (F, M)})."""
        reference, *values = tf.numpy_function(self.read, [row, draw], [tf.int32, *[tf.float32] * len(self.arrays)])
        reference.set_shape([])
        for value, array in zip(values, self.arrays.values(), strict=True):
            value.set_shape(array.shape[1:])
        return reference, dict(zip(self.arrays, values, strict=True))


def gpt_batches(config: XTTSConfig, tokens: Path, split: str, batch_size: int, workers: int, training: bool) -> Batches:
    """Batches of text_ids (B, T), text_lengths, codes (B, S), code_lengths, prompt (B, F, M), prompt_span (B, 2), row (B,).

    Ids carry no start or stop tokens; lengths count what is there. `prompt_span` = codes [start, end) of the clip that the prompt
    itself was cut from, (0, 0) where the prompt comes from another clip.
    """
    index = read_index(tokens, split)
    if not index:
        raise DataError(f"no {split} clip in {tokens}: see rejected.csv there")
    buckets = gpt_buckets(config, index)
    edges = np.array([bucket.codes for bucket in buckets])
    references = References(tokens, split, index, ("prompts",))
    own_codes = math.ceil(config.encode.prompt_seconds * config.model.codes_per_second)

    def example(number: tf.Tensor, record: Batch, epoch: int) -> Batch:
        seed = tf.stack([tf.constant(_mix(config.seed, epoch if training else 0), tf.int64), number])
        reference, mels = references.lookup(record["row"], tf.random.stateless_uniform([], seed))
        own = tf.minimum(tf.size(record["codes"]), own_codes)
        span = tf.where(tf.equal(reference, record["row"]), tf.stack([0, own]), tf.constant([0, 0]))
        return {
            "text_ids": record["text_ids"],
            "text_lengths": tf.size(record["text_ids"]),
            "codes": record["codes"],
            "code_lengths": tf.size(record["codes"]),
            "prompt": mels["prompts"],
            "prompt_span": span,
            "row": record["row"],
        }

    def make(epoch: int) -> tf.data.Dataset:
        records = _shuffled(tokens / f"{split}.tfrecord", token_schema(), epoch, config.seed, training, workers)
        examples = records.map(lambda number, record: example(number, record, epoch), num_parallel_calls=workers, deterministic=True)
        return _bucketed(examples, buckets, batch_size)

    counts = np.bincount(np.searchsorted(edges, [row.code_length for row in index]), minlength=len(buckets))
    per_epoch = int(sum(math.ceil(count / batch_size) for count in counts))
    return Batches(make, per_epoch, len(index), batch_size, len(buckets))


def _bucketed(examples: tf.data.Dataset, buckets: list[Bucket], batch_size: int) -> tf.data.Dataset:
    """Groups by code length and pads each group to its bucket's widths: one static shape per bucket."""
    edges = tf.constant([bucket.codes for bucket in buckets], tf.int32)
    texts = tf.constant([bucket.text for bucket in buckets], tf.int64)

    def key(example: Batch) -> tf.Tensor:
        return tf.cast(tf.searchsorted(edges, [example["code_lengths"]])[0], tf.int64)

    def pad(bucket: tf.Tensor, group: tf.data.Dataset) -> tf.data.Dataset:
        shapes = {name: list(spec.shape) for name, spec in examples.element_spec.items()}
        shapes["codes"] = [tf.cast(tf.gather(edges, bucket), tf.int64)]
        shapes["text_ids"] = [tf.gather(texts, bucket)]
        return group.padded_batch(batch_size, shapes).map(lambda batch: _fill_rows(batch, batch_size))

    return examples.group_by_window(key, pad, window_size=batch_size)


def latents_to_samples(model: ModelConfig) -> float:
    """Samples at the output rate that one code stands for."""
    return model.samples_per_code * model.audio.output_sample_rate / model.audio.input_sample_rate


def decoder_batches(
    config: XTTSConfig, latents: Path, tokens: Path, split: str, num_samples: int, batch_size: int, workers: int, training: bool
) -> Batches:
    """Batches of random segments: latents (B, S, D), wave (B, num_samples), speaker_mel (B, F, M), speaker (B,), lengths (B,) codes.

    Clips shorter than a segment are left out; raises DataError if none is long enough.
    """
    segment = config.training.decoder.segment_codes
    index = read_index(tokens, split)
    usable = sum(row.code_length >= segment for row in index)
    if not usable:
        raise DataError(f"no {split} clip has {segment} codes: lower training.decoder.segment_codes, or bring longer clips")
    if usable < len(index):
        print(f"decoder: {len(index) - usable} of {len(index)} {split} clips are shorter than segment_codes {segment} and are left out")
    references = References(tokens, split, index, ("speakers",))
    speaker_of, ratio = tf.constant(references.speaker_of), latents_to_samples(config.model)

    def example(number: tf.Tensor, record: Batch, epoch: int) -> Batch:
        seed = tf.stack([tf.constant(_mix(config.seed, epoch), tf.int64), number])
        draws = tf.random.stateless_uniform([2], seed if training else tf.zeros_like(seed))
        room = tf.cast(tf.shape(record["latents"])[0] - segment + 1, tf.float32)
        start = tf.cast(draws[0] * room, tf.int32)
        wave = _read_wave(record["path"])
        first = tf.cast(tf.cast(start, tf.float32) * ratio, tf.int32)
        piece = wave[first : first + num_samples]
        piece = tf.pad(piece, [[0, num_samples - tf.shape(piece)[0]]])
        _, mels = references.lookup(record["row"], draws[1])
        return {
            "latents": tf.ensure_shape(tf.cast(record["latents"][start : start + segment], tf.float32), (segment, config.model.gpt.dim)),
            "wave": tf.ensure_shape(piece, (num_samples,)),
            "speaker_mel": mels["speakers"],
            "speaker": tf.gather(speaker_of, record["row"]),
            "lengths": tf.constant(segment),
        }

    def make(epoch: int) -> tf.data.Dataset:
        records = _shuffled(latents / f"{split}.tfrecord", latent_schema(config.model.gpt.dim), epoch, config.seed, training, workers)
        long_enough = records.filter(lambda number, record: tf.shape(record["latents"])[0] >= segment)
        examples = long_enough.map(lambda number, record: example(number, record, epoch), num_parallel_calls=workers, deterministic=True)
        return examples.batch(batch_size).map(lambda batch: _fill_rows(batch, batch_size))

    return Batches(make, math.ceil(usable / batch_size), usable, batch_size, 1)


def _read_wave(path: tf.Tensor) -> tf.Tensor:
    """Path -> samples (N,) of that 16-bit wav file."""
    return tf.audio.decode_wav(tf.io.read_file(path), desired_channels=1).audio[:, 0]
