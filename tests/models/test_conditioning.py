"""The conditioning encoder and the resampler against their formulas in NumPy, quirks included."""

import keras
import numpy as np
import pytest
from scipy.special import erf

from myxtts.config import GPTConfig
from myxtts.models.conditioning import ConditioningBlock, ConditioningEncoder, PerceiverLayer, PerceiverResampler

CONFIG = GPTConfig(
    dim=24,
    num_heads=3,
    conditioning_blocks=2,
    conditioning_heads=4,
    perceiver_layers=2,
    perceiver_heads=2,
    perceiver_head_dim=8,
    num_latents=5,
)


def randomised(layer):
    """Every variable away from its initial value, zeros and ones included."""
    layer.build(None)
    random = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(np.asarray(variable) * 0.5 + random.normal(size=variable.shape) * 0.3)
    return layer


def dense(layer, x):
    y = x @ np.asarray(layer.kernel)
    return y if layer.bias is None else y + np.asarray(layer.bias)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_block_equals_its_formula():
    """Group norm over time, q, k and v within each head, and the residual from the *normalised* input."""
    block = randomised(ConditioningBlock(24, 4))
    x = np.random.default_rng(2).normal(size=(2, 7, 24)) * 3 + 1
    grouped = x.reshape(2, 7, 8, 3) if block.norm.groups == 8 else x.reshape(2, 7, block.norm.groups, -1)
    centred = grouped - grouped.mean((1, 3), keepdims=True)
    norm = (centred / np.sqrt((centred**2).mean((1, 3), keepdims=True) + 1e-5)).reshape(x.shape)
    norm = norm * np.asarray(block.norm.gamma) + np.asarray(block.norm.beta)
    heads = dense(block.qkv, norm).reshape(2, 7, 4, 18)
    out = []
    for head in range(4):
        query, key, value = np.split(heads[:, :, head], 3, axis=-1)
        out.append(softmax(query @ key.transpose(0, 2, 1) / np.sqrt(6)) @ value)
    expected = norm + dense(block.out, np.concatenate(out, axis=-1))
    np.testing.assert_allclose(block(x.astype(np.float32)), expected, atol=1e-4)


def test_a_fresh_block_passes_its_normalised_input_on():
    block = ConditioningBlock(24, 4)
    x = np.random.default_rng(3).normal(size=(2, 7, 24)).astype(np.float32)
    np.testing.assert_allclose(block(x), block.norm(x), atol=1e-6)


def test_perceiver_layer_equals_its_formula():
    """Keys and values over latents and frames; the gate goes through an exact GELU; no norm anywhere."""
    layer = randomised(PerceiverLayer(CONFIG))
    random = np.random.default_rng(4)
    latents, x = random.normal(size=(2, 5, 24)), random.normal(size=(2, 7, 24))
    key, value = np.split(dense(layer.key_value, np.concatenate([latents, x], axis=1)), 2, axis=-1)
    query, out = dense(layer.query, latents), []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        out.append(softmax(query[..., part] @ key[..., part].transpose(0, 2, 1) / np.sqrt(8)) @ value[..., part])
    latents_after = latents + dense(layer.out, np.concatenate(out, axis=-1))
    hidden, gate = np.split(dense(layer.mlp_in, latents_after), 2, axis=-1)
    assert hidden.shape[-1] == int(24 * 4 * 2 / 3)
    expected = latents_after + dense(layer.mlp_out, hidden * gate * 0.5 * (1 + erf(gate / np.sqrt(2))))
    np.testing.assert_allclose(layer(latents.astype(np.float32), x.astype(np.float32)), expected, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 7, 30])
def test_any_number_of_frames_becomes_the_same_number_of_latents(frames):
    resampler = randomised(PerceiverResampler(CONFIG))
    latents = np.asarray(resampler(np.random.default_rng(5).normal(size=(3, frames, 24)).astype(np.float32)))
    assert latents.shape == (3, 5, 24)
    scale = latents / np.asarray(resampler.gamma)
    np.testing.assert_allclose(np.sqrt((scale**2).mean(-1)), 1, rtol=1e-4)


def test_order_of_frames_does_not_matter_but_their_content_does():
    """No positions: the voice, not what it says when, should come through."""
    encoder = randomised(ConditioningEncoder(CONFIG, 20))
    mel = np.random.default_rng(6).normal(size=(1, 9, 20)).astype(np.float32)
    order = keras.random.shuffle(np.arange(9), seed=1)
    np.testing.assert_allclose(np.asarray(encoder(mel))[:, order], encoder(mel[:, np.asarray(order)]), atol=1e-4)
    assert np.abs(encoder(mel) - encoder(mel + np.linspace(0, 2, 20, dtype=np.float32))).max() > 1e-2
