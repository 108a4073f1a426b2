"""Which clips make which batch: plain numpy, a function of lengths, seed and epoch alone.

So every worker knows every batch without talking to the others, and training resumes in the middle of an epoch by a number.

Weights: an epoch has as many examples as there are clips, whatever they weigh, and every epoch takes as many from each bucket. A clip
that is due 2.3 times comes twice or three times, by systematic sampling (Madow 1949): over epochs exactly as often as it is due.
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
    buckets: (N,) bucket of each batch. draws: (N, B, 2) uniform random numbers in [0, 1) for what each example needs.
    """

    examples: np.ndarray
    counts: np.ndarray
    buckets: np.ndarray
    draws: np.ndarray


def times_due(bucket_of: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
    """(examples,) how often each comes in an epoch on average, in proportion to its weight; None = each once.

    Their sum is the number of examples, and a whole number in each bucket, at least 1: for the sake of that a clip may come a little more
    or less often than its weight says, by less than one clip in its bucket.
    """
    if weights is None or np.all(weights == weights[0]):
        return None
    weights = weights.astype(np.float64)
    _, bucket = np.unique(bucket_of, return_inverse=True)
    shares = np.bincount(bucket, weights) / weights.sum() * len(bucket_of)
    whole = np.maximum(1, np.floor(shares)).astype(int)
    while (missing := len(bucket_of) - whole.sum()) != 0:  # the nearest whole numbers with this sum
        change = 1 if missing > 0 else -1
        gain = np.where(whole + change >= 1, change * (shares - whole), -np.inf)
        whole[np.argmax(gain)] += change
    return weights * (whole / np.bincount(bucket, weights))[bucket]


def epoch_order(bucket_of: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool, times: np.ndarray | None = None) -> Order:
    """Every example once, or as often as it is due (`times_due`), in batches of one bucket's width each.

    bucket_of: (examples,) int, wider buckets later. What is left of a bucket goes into the next one's batches, where there is room for it;
    the last batch of all is filled up. Without `shuffle`, bucket by bucket in the order of the examples.
    """
    # RandomState, whose streams numpy has promised never to change: an upgrade must not change the order of a resumed training
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch])))
    drawn = np.arange(len(bucket_of)) if times is None else _draw(bucket_of, times, random)
    bucket_of = bucket_of[drawn]
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
    places = np.array(examples)[turn]
    return Order(drawn[places], np.array(counts)[turn], np.array(buckets)[turn], draws[places])


def _draw(bucket_of: np.ndarray, times: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """(examples,) numbers of one epoch, each `times` often on average and never more than one away from it."""
    drawn = []
    for bucket in np.unique(bucket_of):
        members = random.permutation(np.flatnonzero(bucket_of == bucket))
        ends = np.cumsum(times[members])
        marks = np.floor(ends + random.random_sample()).astype(int)
        marks[-1] = round(ends[-1])  # whole but for rounding
        drawn.append(np.repeat(members, np.diff(marks, prepend=0)))
    return np.concatenate(drawn)


def batches_by_bucket(bucket_of: np.ndarray, batch_size: int, times: np.ndarray | None = None) -> dict[int, int]:
    """How many batches of each bucket `epoch_order` makes; buckets without one are left out."""
    made, left = {}, 0
    present, counts = np.unique(bucket_of, return_counts=True)
    if times is not None:
        counts = [round(times[bucket_of == bucket].sum()) for bucket in present]
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


def padding_share(
    code_lengths: np.ndarray,
    text_lengths: np.ndarray,
    bucket_of: np.ndarray,
    buckets: list[Bucket],
    rows: int,
    times: np.ndarray | None = None,
) -> float:
    """Share of an epoch's cells (codes and text) that hold nothing: short clips in wide batches, and rows that fill up the last ones."""
    used = float(np.sum((code_lengths + text_lengths) * (1 if times is None else times)))
    cells = sum(count * rows * buckets[bucket].cells for bucket, count in batches_by_bucket(bucket_of, rows, times).items())
    return 1 - used / cells
