import itertools

import numpy as np
import pytest

from myxtts.data.order import Bucket, batches_by_bucket, epoch_order, padding_share, plan_buckets


def cells(codes, text, buckets) -> int:
    number = np.searchsorted([bucket.codes for bucket in buckets], codes)
    assert all(text[i] <= buckets[n].text for i, n in enumerate(number))
    return sum(buckets[n].cells for n in number)


def test_buckets_hold_every_clip():
    codes, text = np.array([5, 9, 17, 40, 41, 80]), np.array([3, 30, 4, 9, 9, 12])
    assert [bucket.codes for bucket in plan_buckets(codes, text, 3, Bucket(600, 400))][-1] == 80
    assert plan_buckets(np.array([7, 7]), np.array([2, 3]), 4, Bucket(600, 400)) == [Bucket(8, 8)]


@pytest.mark.parametrize("seed", range(4))
def test_no_other_choice_of_edges_pads_less(seed):
    """Against every choice, by brute force."""
    random = np.random.default_rng(seed)
    codes, text = random.integers(1, 90, 40), random.integers(1, 60, 40)
    found = plan_buckets(codes, text, 3, Bucket(600, 400))
    widths = sorted({-(-int(code) // 8) * 8 for code in codes})
    best = np.inf
    for inner in itertools.combinations(widths[:-1], 2):
        edges = [*inner, widths[-1]]
        buckets = [Bucket(edge, -(-int(text[codes <= edge].max()) // 8) * 8) for edge in edges]
        best = min(best, cells(codes, text, buckets))
    assert cells(codes, text, found) == best


def test_a_wider_bucket_has_room_for_every_clip_of_a_narrower_one():
    buckets = plan_buckets(np.array([5, 6, 40, 41, 80, 81]), np.array([50, 3, 4, 9, 9, 12]), 3, Bucket(600, 400))
    assert [bucket.text for bucket in buckets] == [56, 56, 56]


def test_no_bucket_is_wider_than_the_model():
    assert plan_buckets(np.array([81, 82]), np.array([33, 34]), 1, Bucket(83, 35)) == [Bucket(83, 35)]


def test_an_epoch_has_every_example_once_and_batches_of_one_bucket():
    bucket_of = np.array([0, 1, 0, 2, 1, 0, 0, 1, 0])
    order = epoch_order(bucket_of, 2, seed=3, epoch=1, shuffle=True)
    real = [example for row, count in zip(order.examples, order.counts, strict=True) for example in row[:count]]
    assert sorted(real) == list(range(9))
    for row, bucket in zip(order.examples, order.buckets, strict=True):
        assert (bucket_of[row] <= bucket).all()  # fillers too
    assert order.counts.tolist().count(2) == 4  # nine in twos: one batch alone is filled up
    assert len(order.examples) == 5


def test_the_order_depends_on_seed_and_epoch_alone():
    """The literal numbers hold a training of today to its order tomorrow."""
    bucket_of = np.zeros(6, int)
    assert epoch_order(bucket_of, 6, 1, 2, True).examples.tolist() == [[4, 0, 1, 2, 3, 5]]
    others = [epoch_order(bucket_of, 6, *key, True).examples.tolist() for key in ((1, 3), (2, 2))]
    assert [[4, 0, 1, 2, 3, 5]] not in others
    assert epoch_order(bucket_of, 6, 1, 2, False).examples.tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 20])
def test_batches_are_counted_without_making_them(size):
    bucket_of = np.random.default_rng(size).integers(0, 4, 19)
    order = epoch_order(bucket_of, size, 0, 0, True)
    counted = batches_by_bucket(bucket_of, size)
    assert counted == {int(bucket): int((order.buckets == bucket).sum()) for bucket in np.unique(order.buckets)}
    assert sum(counted.values()) == -(-19 // size)  # no more than any order needs


def test_padding_counts_wide_batches_and_filled_rows():
    buckets = [Bucket(8, 8), Bucket(16, 8)]
    codes, text = np.array([8, 8, 8, 10]), np.array([8, 4, 4, 6])
    share = padding_share(codes, text, np.array([0, 0, 0, 1]), buckets, rows=2)
    assert share == pytest.approx(1 - (34 + 22) / (2 * 16 + 2 * 24))
