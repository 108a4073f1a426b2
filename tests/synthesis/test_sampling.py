"""The next code: each setting alone, their order, and the draw."""

import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.stages import SynthesisConfig
from myxtts.synthesis.sampling import SamplingSettings, draw, keep_top_p, penalise_repetition, sample, sample_numpy

PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}


def settings(**changes):
    return SynthesisConfig(**{**PLAIN, **changes})


def draws(logits, generated=None, count=4000, **changes):
    """Shares of each id over many uniform numbers."""
    logits = np.asarray(logits, np.float32)
    seen = np.zeros(logits.shape, bool) if generated is None else np.asarray(generated)
    uniform = ((np.arange(count) + 0.5) / count).astype(np.float32)
    ids = sample(np.tile(logits, (count, 1)), np.tile(seen, (count, 1)), settings(**changes), tf.constant(uniform)).numpy()
    return np.bincount(ids, minlength=len(logits)) / count


def test_draw_follows_the_softmax():
    logits = np.log([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(draws(logits), [0.1, 0.2, 0.3, 0.4], atol=1e-3)


def test_temperature_sharpens_and_zero_is_greedy():
    logits = np.log([0.2, 0.5, 0.3])
    sharp = np.array([0.2, 0.5, 0.3]) ** 2
    np.testing.assert_allclose(draws(logits, temperature=0.5), sharp / sharp.sum(), atol=1e-3)
    np.testing.assert_array_equal(draws(logits, temperature=0.0), [0, 1, 0])


@pytest.mark.parametrize(("top_k", "allowed"), [(1, {1}), (2, {1, 2}), (0, {0, 1, 2}), (99, {0, 1, 2})])
def test_top_k_keeps_the_most_likely(top_k, allowed):
    shares = draws(np.log([0.2, 0.5, 0.3]), top_k=top_k)
    assert set(np.flatnonzero(shares)) == allowed


@pytest.mark.parametrize(("top_p", "allowed"), [(0.01, {1}), (0.45, {1}), (0.55, {1, 2}), (0.85, {0, 1, 2}), (1.0, {0, 1, 2})])
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p, allowed):
    shares = draws(np.log([0.2, 0.5, 0.3]), top_p=top_p)
    assert set(np.flatnonzero(shares)) == allowed


def test_top_p_counts_after_temperature_and_top_k():
    # of all three, .5 does not reach .6, so two stay; among the two that top-k leaves, .5 / .8 = .625 does, so one stays
    assert np.count_nonzero(draws(np.log([0.2, 0.5, 0.3]), top_p=0.6)) == 2
    assert np.count_nonzero(draws(np.log([0.2, 0.5, 0.3]), top_p=0.6, top_k=2)) == 1
    # a low temperature lifts the first above top_p
    assert np.count_nonzero(draws(np.log([0.2, 0.5, 0.3]), top_p=0.6, temperature=0.5)) == 1


def test_repetition_penalty_lowers_positive_and_negative_logits_of_generated_codes_only():
    logits = tf.constant([[2.0, -2.0, 3.0, -3.0, 0.0]])
    generated = tf.constant([[True, True, False, False, True]])
    np.testing.assert_allclose(penalise_repetition(logits, generated, 2.0), [[1.0, -4.0, 3.0, -3.0, 0.0]])


def test_repetition_penalty_comes_before_greedy_choice():
    assert draws([2.0, 1.5], [True, False], temperature=0.0).argmax() == 0
    assert draws([2.0, 1.5], [True, False], temperature=0.0, repetition_penalty=2.0).argmax() == 1


def test_rows_are_independent():
    logits = np.log([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]]).astype(np.float32)
    ids = sample(logits, np.zeros((2, 3), bool), settings(), tf.constant([0.5, 0.5]))
    np.testing.assert_array_equal(ids, [0, 1])
    assert ids.dtype == tf.int32


def test_draw_never_picks_what_has_no_weight():
    weights = tf.constant([[0.0, 0.25, 0.0, 0.75, 0.0]] * 3)
    np.testing.assert_array_equal(draw(weights, tf.constant([0.0, 0.25, 1 - 2**-24])), [1, 3, 3])


def test_top_p_keeps_the_first_even_when_nothing_is_below_it():
    np.testing.assert_allclose(keep_top_p(tf.constant([[0.7, 0.3]]), 0.0), [[0.7, 0.0]])


def test_settings_as_tensors_trace_once():
    traces = []

    @tf.function
    def step(logits, generated, tensors, uniform):
        traces.append(1)
        return sample(logits, generated, tensors, uniform)

    logits, seen = tf.constant(np.log([[0.2, 0.5, 0.3]]), tf.float32), tf.zeros((1, 3), bool)
    for changes in ({}, {"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.2}):
        chosen = settings(**changes)
        compiled = step(logits, seen, SamplingSettings.of(chosen), tf.constant([0.9]))
        np.testing.assert_array_equal(compiled, sample(logits, seen, chosen, tf.constant([0.9])))
    assert len(traces) == 1


def test_numpy_draws_what_tensorflow_draws():
    random = np.random.default_rng(0)
    for trial in range(60):
        chosen = settings(
            temperature=random.choice([0.0, 0.5, 1.3]),
            top_k=int(random.choice([0, 1, 7, 500])),
            top_p=random.choice([0.1, 0.8, 1.0]),
            repetition_penalty=random.choice([1.0, 5.0]),
        )
        logits = (random.normal(size=(16, 40)) * random.choice([0.1, 3, 20])).astype(np.float32)
        logits[:, 3] = -1e9  # a token that is never drawn
        generated, uniform = random.random((16, 40)) < 0.3, random.random(16, dtype=np.float32)
        ours = sample_numpy(logits, generated, chosen, uniform)
        np.testing.assert_array_equal(ours, sample(logits, generated, chosen, tf.constant(uniform)).numpy(), err_msg=f"{trial} {chosen}")
