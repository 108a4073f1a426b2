"""Losses as pure functions.

Each gives sums or per-row values: the caller divides by the number of targets of the whole effective batch, so that a batch may be
split in any way without changing the mathematics.
"""

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


def feature_matching(real: list[list], fake: list[list], rows: int):
    """HiFi-GAN eq. 8 (Kong et al. 2020): mean absolute difference of critic features, per row of the batch, summed over layers -> (B,).

    Features are (B', ...) with B' a multiple of `rows`: a period critic folds its columns into the batch axis, rows outermost.
    """
    total = 0.0
    for real_features, fake_features in zip(real, fake, strict=True):
        for a, b in zip(real_features, fake_features, strict=True):
            difference = ops.abs(ops.stop_gradient(ops.cast(a, "float32")) - ops.cast(b, "float32"))
            total = total + ops.mean(ops.reshape(difference, (rows, -1)), axis=1)
    return total


def cosine_distance(embeddings, others):
    """1 - cosine of vectors of unit length, (B, E), (B, E) -> (B,) in [0, 2]."""
    return 1.0 - ops.sum(embeddings * others, axis=-1)


def additive_margin_logits(embeddings, prototypes, targets, margin: float = 0.2, scale: float = 15.0):
    """AM-softmax (Wang, Cheng, Liu & Liu 2018, "Additive margin softmax for face verification", equation 6).

    embeddings (B, E) of unit length, prototypes (C, E), targets (B,) -> logits (B, C): scale · (cosine - margin for the target). The
    margin is taken off the cosine itself, not added to its angle (ArcFace): as much where the angle is small, and no arc cosine.
    """
    cosine = ops.matmul(embeddings, ops.transpose(ops.normalize(prototypes, axis=-1)))
    hit = ops.one_hot(targets, prototypes.shape[0])
    return scale * (cosine - margin * hit)
