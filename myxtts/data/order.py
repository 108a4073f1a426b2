"""Which clips make which batch: plain numpy, a function of lengths, seed and epoch alone.

So every worker knows every batch without talking to the others, and training resumes in the middle of an epoch by a number.
"""

import math
from dataclasses import dataclass

import numpy as np

ROUND = 8  # bucket widths are multiples of this: fewer shapes when the corpus grows


@dataclass(frozen=True)
class Bucket:
    """Clips of up to `codes` codes; their texts have up to `text` tokens."""

    codes: int
    text: int

    @property
    def cells(self) -> int:
        return self.codes + self.text


@dataclass(frozen=True)
class Order:
    """The N batches of one epoch.

    examples: (N, B) example numbers. Behind the first `counts[n]` of a row come repetitions, which fill the batch up.
    buckets: (N,) bucket of each batch. draws: (examples, 2) uniform random numbers in [0, 1) for what each example needs.
    """

    examples: np.ndarray
    counts: np.ndarray
    buckets: np.ndarray
    draws: np.ndarray


def epoch_order(bucket_of: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool) -> Order:
    """Every example once, in batches of one bucket's width each.

    bucket_of: (examples,) int, wider buckets later. What is left of a bucket goes into the next one's batches, where there is room for it;
    the last batch of all is filled up. Without `shuffle`, bucket by bucket in the order of the examples.
    """
    # RandomState, whose streams numpy has promised never to change: an upgrade must not change the order of a resumed training
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch])))
    draws = random.random_sample((len(bucket_of), 2))
    numbers = random.permutation(len(bucket_of)) if shuffle else np.arange(len(bucket_of))
    examples, counts, buckets = [], [], []
    left, present = np.array([], int), np.unique(bucket_of)
    for bucket in present:
        members = np.concatenate([left, numbers[bucket_of[numbers] == bucket]])
        end = len(members) if bucket == present[-1] else len(members) // batch_size * batch_size
        for start in range(0, end, batch_size):
            part = members[start : min(end, start + batch_size)]
            examples.append(np.resize(part, batch_size))  # repeats from its start
            counts.append(len(part))
            buckets.append(bucket)
        left = members[end:]
    turn = random.permutation(len(examples)) if shuffle else np.arange(len(examples))
    return Order(np.array(examples)[turn], np.array(counts)[turn], np.array(buckets)[turn], draws)


def batches_by_bucket(bucket_of: np.ndarray, batch_size: int) -> dict[int, int]:
    """How many batches of each bucket `epoch_order` makes; buckets without one are left out."""
    made, left = {}, 0
    present, counts = np.unique(bucket_of, return_counts=True)
    for bucket, count in zip(present, counts, strict=True):
        whole, left = divmod(int(count) + left, batch_size)
        if whole:
            made[int(bucket)] = whole
    if left:
        made[int(present[-1])] = made.get(int(present[-1]), 0) + 1
    return made


def plan_buckets(code_lengths: np.ndarray, text_lengths: np.ndarray, count: int, most: Bucket) -> list[Bucket]:
    """The `count` buckets that leave the least padding, over codes and text together. Fewer come back where lengths coincide.

    Widths are rounded up to ROUND but never above `most`; a wider bucket has room for every clip of a narrower one, text included.
    Dynamic programming over the distinct widths, at most a few hundred.
    """
    rounded = np.minimum(np.ceil(np.maximum(code_lengths, 1) / ROUND).astype(int) * ROUND, most.codes)
    widths, width_of = np.unique(rounded, return_inverse=True)
    clips = np.bincount(width_of)
    texts = np.maximum.accumulate([text_lengths[width_of == number].max() for number in range(len(widths))])

    def cost(first: int, last: int) -> float:
        """Cells of the clips of widths first..last in one bucket."""
        return clips[first : last + 1].sum() * (widths[last] + _text_width(texts[last], most))

    # best[k][j]: (cells, first width of the last bucket) of widths 0..j in k + 1 buckets
    best = [[(cost(0, j), 0) for j in range(len(widths))]]
    for k in range(1, min(count, len(widths))):
        row = [best[-1][j] if j < k else min((best[-1][i - 1][0] + cost(i, j), i) for i in range(k, j + 1)) for j in range(len(widths))]
        best.append(row)
    buckets, last = [], len(widths) - 1
    for k in reversed(range(len(best))):
        first = best[k][last][1] if k else 0
        buckets.append(Bucket(int(widths[last]), _text_width(texts[last], most)))
        last = first - 1
    return buckets[::-1]


def _text_width(longest: int, most: Bucket) -> int:
    return int(min(max(ROUND, math.ceil(longest / ROUND) * ROUND), most.text))


def padding_share(code_lengths: np.ndarray, text_lengths: np.ndarray, bucket_of: np.ndarray, buckets: list[Bucket], rows: int) -> float:
    """Share of an epoch's cells (codes and text) that hold nothing: short clips in wide batches, and rows that fill up the last ones."""
    used = float(code_lengths.sum() + text_lengths.sum())
    cells = sum(count * rows * buckets[bucket].cells for bucket, count in batches_by_bucket(bucket_of, rows).items())
    return 1 - used / cells
