"""Reference voice -> conditioning latents.

B batch, F frames, M mel bands, L latents, D width, H heads, d = width of a head.
"""

from typing import Any

import keras
from keras import ops

from myxtts.config import GPTConfig
from myxtts.models.layers import attention, build_layers, merge_heads, run_again, split_heads


class ConditioningBlock(keras.layers.Layer):
    """Self-attention over all frames, without positions and without a mask."""

    def __init__(self, dim: int, num_heads: int, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.num_heads = dim, num_heads
        # its statistics run over time, so zero padding of a short reference would change the result: repeat it (fit_frames)
        self.norm = keras.layers.GroupNormalization(_num_groups(dim), axis=-1, epsilon=1e-5, name="norm")
        self.qkv = keras.layers.Dense(3 * dim, name="qkv")
        # zero, so that a fresh block passes its normalised input on (as the reference does)
        self.out = keras.layers.Dense(dim, kernel_initializer="zeros", name="out")

    def build(self, input_shape=None) -> None:
        build_layers((self.norm, self.dim), (self.qkv, self.dim), (self.out, self.dim))
        self.built = True

    def call(self, x: Any) -> Any:
        """(B, F, D) -> (B, F, D)."""
        x = self.norm(x)
        # heads are split before q, k and v: columns run [q0 k0 v0 | q1 k1 v1 | …], the order of the reference's weights
        heads = split_heads(self.qkv(x), self.num_heads)  # (B, H, F, 3·d)
        query, key, value = ops.split(heads, 3, axis=-1)
        # the residual is the normalised x, not x: a quirk of XTTS that its weights depend on
        return x + self.out(merge_heads(attention(query, key, value)))


class ConditioningEncoder(keras.layers.Layer):
    """Mel (B, F, M) -> (B, F, D), after Tortoise's conditioning encoder (Betker 2023)."""

    def __init__(self, config: GPTConfig, num_mels: int, **kwargs):
        super().__init__(**kwargs)
        self.num_mels = num_mels
        self.into = keras.layers.Dense(config.dim, name="into")
        self.blocks = [
            ConditioningBlock(config.dim, config.conditioning_heads, name=f"block_{i}") for i in range(config.conditioning_blocks)
        ]

    def build(self, input_shape=None) -> None:
        build_layers((self.into, self.num_mels))
        for block in self.blocks:
            block.build(None)
        self.built = True

    def call(self, mel: Any, rematerialise: str = "none") -> Any:
        x = self.into(mel)
        for block in self.blocks:
            # a block is little more than its attention: where that is computed twice, the rest is too
            x = run_again(block, rematerialise != "none")(x)
        return x


class PerceiverLayer(keras.layers.Layer):
    """Cross-attention of the latents, then a gated feed-forward network; both residual, neither normalised."""

    def __init__(self, config: GPTConfig, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.num_heads = config.dim, config.perceiver_heads
        self.inner = config.perceiver_heads * config.perceiver_head_dim
        self.hidden = int(config.dim * 4 * 2 / 3)
        self.query = keras.layers.Dense(self.inner, use_bias=False, name="query")
        self.key_value = keras.layers.Dense(2 * self.inner, use_bias=False, name="key_value")
        self.out = keras.layers.Dense(config.dim, use_bias=False, name="out")
        self.mlp_in = keras.layers.Dense(2 * self.hidden, name="mlp_in")
        self.mlp_out = keras.layers.Dense(config.dim, name="mlp_out")

    def build(self, input_shape=None) -> None:
        build_layers(
            (self.query, self.dim),
            (self.key_value, self.dim),
            (self.out, self.inner),
            (self.mlp_in, self.dim),
            (self.mlp_out, self.hidden),
        )
        self.built = True

    def call(self, latents: Any, x: Any) -> Any:
        """latents (B, L, D), x (B, F, D) -> latents (B, L, D)."""
        # the latents attend to themselves as well as to the frames
        key, value = ops.split(self.key_value(ops.concatenate([latents, x], axis=1)), 2, axis=-1)
        query, key, value = (split_heads(part, self.num_heads) for part in (self.query(latents), key, value))
        latents = latents + self.out(merge_heads(attention(query, key, value)))
        hidden, gate = ops.split(self.mlp_in(latents), 2, axis=-1)
        return latents + self.mlp_out(hidden * ops.gelu(gate, approximate=False))


class PerceiverResampler(keras.layers.Layer):
    """Any number of frames (B, F, D) -> L latents (B, L, D) (Alayrac et al. 2022, "Flamingo", section 3.1)."""

    def __init__(self, config: GPTConfig, **kwargs):
        super().__init__(**kwargs)
        self.num_latents, self.dim = config.num_latents, config.dim
        self.layers = [PerceiverLayer(config, name=f"layer_{i}") for i in range(config.perceiver_layers)]

    def build(self, input_shape=None) -> None:
        self.latents = self.add_weight(
            name="latents", shape=(self.num_latents, self.dim), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )
        self.gamma = self.add_weight(name="gamma", shape=(self.dim,), initializer="ones")
        for layer in self.layers:
            layer.build(None)
        self.built = True

    def call(self, x: Any) -> Any:
        latents = ops.cast(ops.convert_to_tensor(self.latents), x.dtype)
        latents = ops.broadcast_to(latents[None], (ops.shape(x)[0], self.num_latents, self.dim))
        for layer in self.layers:
            latents = layer(latents, x)
        wide = ops.cast(latents, "float32")
        # root mean square norm: x / |x| · sqrt(D) · gamma; the square is clamped, not the root, for its gradient at zero
        scale = ops.rsqrt(ops.maximum(ops.sum(ops.square(wide), axis=-1, keepdims=True), 1e-24)) * self.dim**0.5
        return ops.cast(wide * scale * ops.cast(self.gamma, "float32"), x.dtype)


def _num_groups(dim: int) -> int:
    groups = 8 if dim <= 16 else 16 if dim <= 64 else 32
    while dim % groups:
        groups //= 2
    return groups
