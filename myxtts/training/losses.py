"""Losses as pure functions. Each returns sums over its own targets, so that a batch may be split in any way without changing the mathematics:
the caller divides by the number of targets of the whole effective batch."""

import keras
from keras import ops


def masked_sum(values, mask):
    """Sum of `values` (...) where `mask` (...) is True."""
    return ops.sum(ops.where(mask, values, ops.zeros_like(values)))


def count(mask):
    """Number of True entries, float32."""
    return ops.sum(ops.cast(mask, "float32"))


def cross_entropy(logits, targets):
    """logits (B, S, V), targets (B, S) -> (B, S), in nats, computed in float32 whatever the policy."""
    return keras.losses.sparse_categorical_crossentropy(targets, ops.cast(logits, "float32"), from_logits=True)


def sequence_mask(lengths, size: int):
    """lengths (B,) -> (B, size), True inside."""
    return ops.arange(size)[None, :] < ops.cast(lengths, "int32")[:, None]


def least_squares(logits: list, target: float):
    """LSGAN (Mao et al. 2017): per-row mean of (logit - target)^2, summed over the critics. logits: list of (B, X) -> (B,)."""
    return sum(ops.mean(ops.square(ops.cast(item, "float32") - target), axis=-1) for item in logits)


def feature_matching(real: list[list], fake: list[list]):
    """HiFi-GAN eq. 8 (Kong et al. 2020): per-row mean absolute difference of critic features, summed over layers -> (B,)."""
    total = 0.0
    for real_features, fake_features in zip(real, fake, strict=True):
        for a, b in zip(real_features, fake_features, strict=True):
            axes = tuple(range(1, len(a.shape)))
            total = total + ops.mean(ops.abs(ops.stop_gradient(ops.cast(a, "float32")) - ops.cast(b, "float32")), axis=axes)
    return total


def additive_margin_logits(embeddings, prototypes, targets, margin: float = 0.2, scale: float = 15.0):
    """AM-softmax (Wang et al. 2018). embeddings (B, E) of unit length, prototypes (C, E), targets (B,) -> logits (B, C)."""
    cosine = ops.matmul(embeddings, ops.transpose(ops.normalize(prototypes, axis=-1)))
    hit = ops.one_hot(targets, prototypes.shape[0])
    return scale * (cosine - margin * hit)
