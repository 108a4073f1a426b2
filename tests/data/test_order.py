import hashlib
import itertools

import numpy as np
import pytest

from myxtts.data.order import Bucket, batches_by_bucket, epoch_order, padding_share, plan_buckets, times_due


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


def test_orders_without_weights_are_what_they_were_before_there_were_weights():
    """The digest was made then: a training that was begun goes on with the batches it was begun with."""
    digest = hashlib.sha256()
    for size, seed, epoch, shuffle in itertools.product((1, 3, 8, 20), (0, 7), (0, 1, 5), (True, False)):
        bucket_of = np.random.RandomState(size).randint(0, 4, 97)
        order = epoch_order(bucket_of, size, seed, epoch, shuffle, times_due(bucket_of, np.full(97, 2.5)))
        for array, kind in ((order.examples, "<i8"), (order.counts, "<i8"), (order.buckets, "<i8"), (order.draws, "<f8")):
            digest.update(np.ascontiguousarray(array.astype(kind)).tobytes())
    assert digest.hexdigest() == "8ec4670098cb3639aa24e3640588c7f4035783f2d45c40d073b452633d97c5ff"


def weighted(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """bucket_of, weights and times of so many clips of three corpora, long clips in one of them."""
    random = np.random.default_rng(seed)
    weights = np.array([0.3, 1.0, 4.5])[random.integers(0, 3, size)]
    bucket_of = np.where(weights > 4, random.integers(1, 4, size), random.integers(0, 3, size))
    return bucket_of, weights, times_due(bucket_of, weights)


def appearances(bucket_of: np.ndarray, times: np.ndarray, epoch: int, batch_size: int = 4) -> np.ndarray:
    order = epoch_order(bucket_of, batch_size, 5, epoch, True, times)
    real = np.concatenate([row[:count] for row, count in zip(order.examples, order.counts, strict=True)])
    return np.bincount(real, minlength=len(bucket_of))


def test_clips_come_as_often_as_their_corpus_weighs():
    bucket_of, weights, times = weighted(600)
    epochs = np.array([appearances(bucket_of, times, epoch) for epoch in range(400)])
    assert (epochs.sum(axis=1) == 600).all()  # an epoch is as long as ever
    assert (epochs >= np.floor(times)).all() and (epochs <= np.ceil(times)).all()
    np.testing.assert_allclose(epochs.mean(axis=0), times, atol=0.12)  # five standard deviations of a mean of 400 draws
    by_weight = {weight: epochs[:, weights == weight].mean() for weight in (0.3, 1.0, 4.5)}
    assert by_weight[4.5] / by_weight[1.0] == pytest.approx(4.5, rel=0.03) and by_weight[0.3] / by_weight[1.0] == pytest.approx(
        0.3, rel=0.03
    )
    assert len({tuple(row) for row in epochs}) == 400  # not the same ones every time


@pytest.mark.parametrize("seed", range(20))
def test_times_are_whole_numbers_in_each_bucket_and_none_is_left_out(seed):
    bucket_of, weights, times = weighted(30 + seed, seed)
    sums = np.array([times[bucket_of == bucket].sum() for bucket in np.unique(bucket_of)])
    np.testing.assert_allclose(sums, sums.round(), atol=1e-9)
    assert sums.min() > 0.5 and times.sum() == pytest.approx(len(weights))
    shares = np.array([weights[bucket_of == bucket].sum() for bucket in np.unique(bucket_of)]) / weights.sum() * len(weights)
    assert (np.abs(sums - shares) < 1 + 1e-9).all()
    assert times_due(np.array([0, 0, 0, 1]), np.array([9.0, 9.0, 9.0, 0.01]))[3] == 1  # the only clip of its bucket


@pytest.mark.parametrize("size", [1, 3, 7])
def test_batches_of_weighted_clips_are_counted_without_making_them(size):
    bucket_of, _, times = weighted(101, size)
    counted = batches_by_bucket(bucket_of, size, times)
    for epoch in range(5):
        order = epoch_order(bucket_of, size, 0, epoch, True, times)
        assert counted == {int(bucket): int((order.buckets == bucket).sum()) for bucket in np.unique(order.buckets)}
        again = epoch_order(bucket_of, size, 0, epoch, True, times)
        assert np.array_equal(order.examples, again.examples) and np.array_equal(order.draws, again.draws)
        assert all((bucket_of[row] <= bucket).all() for row, bucket in zip(order.examples, order.buckets, strict=True))
    assert sum(counted.values()) == -(-101 // size)


def test_a_clip_that_comes_twice_is_drawn_twice():
    """Two references, two crops."""
    order = epoch_order(np.zeros(4, int), 4, 0, 0, True, times_due(np.zeros(4, int), np.array([3.0, 0.4, 0.3, 0.3])))
    drawn = order.draws[order.examples == 0]
    assert len(drawn) == 3 == len({tuple(pair) for pair in drawn})


def test_padding_counts_a_clip_as_often_as_it_comes():
    buckets, times = [Bucket(8, 8)], times_due(np.zeros(2, int), np.array([3.0, 1.0]))
    assert padding_share(np.array([8, 4]), np.array([8, 4]), np.zeros(2, int), buckets, 2, times) == pytest.approx(1 - (24 + 4) / 32)


def test_which_clips_come_together_is_left_to_chance():
    times = np.full(40, 0.5)
    together = [appearances(np.zeros(40, int), times, epoch) for epoch in range(200)]
    both = np.mean([seen[0] and seen[1] for seen in together])
    assert 0.13 < both < 0.37  # 19 / 39 of a half: neighbours neither exclude nor bring each other
