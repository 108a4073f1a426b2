"""Attention and the transformer block against their formulas, masks by polarity."""

import keras
import numpy as np
import pytest

from myxtts.models.layers import TransformerBlock, attention, causal_mask, merge_heads, sizes_alone, split_heads


def arrays(*shapes):
    random = np.random.default_rng(1)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def test_true_keeps_and_false_hides():
    query, key, value = arrays((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5))
    keep_one = np.zeros((2, 1, 4, 6), bool)
    keep_one[..., 2] = True
    np.testing.assert_allclose(attention(query, key, value, keep_one), np.repeat(value[:, :, 2:3], 4, axis=2), atol=1e-6)


def test_without_a_mask_it_is_the_softmax_of_scaled_products():
    query, key, value = arrays((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5))
    scores = np.exp(query @ key.transpose(0, 1, 3, 2) / np.sqrt(5))
    np.testing.assert_allclose(attention(query, key, value), scores / scores.sum(-1, keepdims=True) @ value, atol=1e-5)
    everything = np.ones((1, 1, 1, 6), bool)
    np.testing.assert_allclose(attention(query, key, value, everything), attention(query, key, value), atol=1e-6)


def test_a_query_that_may_see_nothing_stays_finite():
    query, key, value = arrays((1, 1, 2, 3), (1, 1, 4, 3), (1, 1, 4, 3))
    assert np.isfinite(attention(query, key, value, np.zeros((1, 1, 2, 4), bool))).all()


def test_causal_mask_joins_past_and_keys():
    mask = np.asarray(causal_mask(3, np.array([[True, False, True]])))
    assert mask.shape == (1, 1, 3, 3)
    np.testing.assert_array_equal(mask[0, 0], [[True, False, False], [True, False, False], [True, False, True]])


def test_heads_are_contiguous_parts_of_the_width():
    (x,) = arrays((2, 5, 12))
    heads = np.asarray(split_heads(x, 3))
    assert heads.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(heads[:, 1], x[..., 4:8])
    np.testing.assert_array_equal(merge_heads(heads), x)


def test_block_equals_its_formula():
    block = TransformerBlock(12, 3, dropout=0.0)
    block.build(None)
    random = np.random.default_rng(2)
    for variable in block.trainable_variables:
        variable.assign(np.asarray(variable) + random.normal(size=variable.shape) * 0.2)

    def norm(layer, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * np.asarray(layer.gamma) + np.asarray(layer.beta)

    def dense(layer, x):
        return x @ np.asarray(layer.kernel) + np.asarray(layer.bias)

    (x,) = arrays((2, 5, 12))
    mask = np.tril(np.ones((5, 5), bool))[None, None]
    query, key, value = np.split(dense(block.qkv, norm(block.attention_norm, x)), 3, axis=-1)
    parts = [slice(4 * head, 4 * head + 4) for head in range(3)]
    attended = np.concatenate([attention(*(a[:, None, :, part] for a in (query, key, value)), mask)[:, 0] for part in parts], axis=-1)
    y = x + dense(block.attention_out, attended)
    hidden = dense(block.mlp_in, norm(block.mlp_norm, y))
    gelu = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    np.testing.assert_allclose(block(x, mask), y + dense(block.mlp_out, gelu), atol=1e-4)


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_built_for_its_size_never_gets_memory(fails):
    """Keras gives memory to all that waits for it at the end of any stateless call, and only there."""

    def given_memory(shape, dtype=None):
        raise AssertionError("a network that was built for its size was given memory")

    with keras.StatelessScope(initialize_variables=False):
        waiting = keras.layers.Dense(3)
        waiting.build((None, 2))
    try:
        with sizes_alone():
            counted = keras.layers.Dense(3, kernel_initializer=given_memory)
            counted.build((None, 2))
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert counted.kernel.shape == (2, 3)
    keras.layers.ReLU().stateless_call([], [], np.zeros((1, 2)))
    assert np.asarray(waiting.kernel).shape == (2, 3), "what waited before still gets its own"
