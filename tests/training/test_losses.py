import numpy as np
import pytest

from myxtts.training import losses


def test_cross_entropy_equals_numpy_and_is_masked_by_position():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(2, 3, 5)).astype("float32"), rng.integers(0, 5, (2, 3))
    log_softmax = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_softmax, targets[..., None], -1)[..., 0]
    values = losses.cross_entropy(logits, targets)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    mask = np.array([[True, False, True], [False, False, False]])
    assert float(losses.masked_sum(values, mask)) == pytest.approx(expected[0, 0] + expected[0, 2], rel=1e-5)


def test_masked_sum_ignores_nan_where_masked():
    assert float(losses.masked_sum(np.array([1.0, np.nan], "float32"), np.array([True, False]))) == 1.0


def test_sequence_mask_is_true_inside():
    np.testing.assert_array_equal(losses.sequence_mask(np.array([0, 2]), 3), [[False] * 3, [True, True, False]])


def test_least_squares_is_zero_only_at_its_target():
    assert float(losses.least_squares([np.ones((1, 4), "float32")], 1.0)[0]) == 0
    assert float(losses.least_squares([np.zeros((1, 4), "float32"), np.ones((1, 2), "float32")], 1.0)[0]) == 1


def test_feature_matching_is_per_row():
    a = [[np.zeros((2, 3, 4), "float32")]]
    b = [[np.stack([np.zeros((3, 4)), np.full((3, 4), 2.0)]).astype("float32")]]
    np.testing.assert_allclose(losses.feature_matching(a, b, rows=2), [0, 2])
    folded = [[np.concatenate(item).reshape(6, 4) for item in features] for features in (a[0], b[0])]
    np.testing.assert_allclose(losses.feature_matching([folded[0]], [folded[1]], rows=2), [0, 2])


def test_margin_lowers_only_the_target_logit():
    embeddings, prototypes = np.eye(3, dtype="float32")[:2], np.eye(3, dtype="float32") * 5
    logits = np.asarray(losses.additive_margin_logits(embeddings, prototypes, np.array([0, 2]), margin=0.2, scale=10.0))
    np.testing.assert_allclose(logits, [[8, 0, 0], [0, 10, -2]], atol=1e-5)


def test_cosine_distance_is_zero_for_one_direction_and_two_for_the_opposite():
    a, b = np.array([[0.6, 0.8], [1, 0], [1, 0]], "float32"), np.array([[0.6, 0.8], [0, 1], [-1, 0]], "float32")
    np.testing.assert_allclose(losses.cosine_distance(a, b), [0, 1, 2], atol=1e-6)
