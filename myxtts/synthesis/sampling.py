"""Choosing the next code. Legend: B batch, A audio tokens (codes, [START], [STOP]), K candidates.

The order is that of the Hugging Face generation loop which XTTS uses: guidance, repetition penalty, temperature, top-k, top-p, draw.
Randomness comes in as one uniform number for each row, so that a row's codes depend on its own seed and on nothing else.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from myxtts.config.stages import SynthesisConfig


class SamplingSettings(NamedTuple):
    """The settings as scalar tensors: a compiled loop takes them as arguments, and a new temperature is no new trace."""

    temperature: tf.Tensor  # 0 = greedy
    top_k: tf.Tensor  # 0 = all
    top_p: tf.Tensor
    repetition_penalty: tf.Tensor
    guidance_scale: tf.Tensor

    @classmethod
    def of(cls, settings: SynthesisConfig) -> "SamplingSettings":
        """The numbers of a configuration, on the device."""
        return cls(
            temperature=tf.constant(settings.temperature, tf.float32),
            top_k=tf.constant(settings.top_k, tf.int32),
            top_p=tf.constant(settings.top_p, tf.float32),
            repetition_penalty=tf.constant(settings.repetition_penalty, tf.float32),
            guidance_scale=tf.constant(settings.guidance_scale, tf.float32),
        )


def guide(logits: tf.Tensor | np.ndarray, scale: tf.Tensor | float) -> tf.Tensor | np.ndarray:
    """Classifier-free guidance (Ho & Salimans 2022).

    logits (2B, A), of rows and then of the same rows without their texts. Returns (B, A): the first, `scale` times as far from the second.
    """
    half = logits.shape[0] // 2
    with_text, without = logits[:half], logits[half:]
    return without + scale * (with_text - without)


def text_evidence(logits: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """By how many nats its text made each code likelier: logits (2B, A) as for `guide`, ids (B,) of the codes drawn -> (B,) float32."""
    likelihood = tf.nn.log_softmax(tf.cast(logits, tf.float32), axis=1)
    with_text, without = tf.split(tf.gather(likelihood, tf.tile(ids, (2,)), axis=1, batch_dims=1), 2)
    return with_text - without


def sample(logits: tf.Tensor, generated: tf.Tensor, settings: SamplingSettings | SynthesisConfig, uniform: tf.Tensor) -> tf.Tensor:
    """One token id for each row: logits and generated as in `candidates`.

    uniform (B,) float in [0, 1), the row's random number for this step, unused when temperature is 0. Returns ids (B,) int32.
    """
    if isinstance(settings, SynthesisConfig):
        settings = SamplingSettings.of(settings)
    probabilities, ids = candidates(logits, generated, settings)
    choice = tf.where(settings.temperature <= 0.0, 0, draw(probabilities, uniform))
    return tf.gather(ids, choice, axis=1, batch_dims=1)


def candidates(logits: tf.Tensor, generated: tf.Tensor, settings: SamplingSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """What a token is drawn from.

    logits (B, A) float; generated (B, A) boolean, True = the repetition penalty acts on this id: a code that the row has produced
    before (a prompt never counts, see `generate.penalised_at_start`). Returns probabilities (B, K), the largest first, zero where
    top-p excludes one, not renormalised; and their ids (B, K) int32. Temperature 0 counts as 1.
    """
    logits = penalise_repetition(tf.cast(logits, tf.float32), generated, settings.repetition_penalty)
    logits = logits / tf.where(settings.temperature <= 0.0, 1.0, settings.temperature)
    size = tf.shape(logits)[1]
    count = tf.where(settings.top_k > 0, tf.minimum(settings.top_k, size), size)
    values, ids = tf.math.top_k(logits, k=count)  # (B, K), the most likely first
    return keep_top_p(tf.nn.softmax(values, axis=-1), settings.top_p), ids


def penalise_repetition(logits: tf.Tensor, generated: tf.Tensor, penalty: tf.Tensor | float) -> tf.Tensor:
    """Makes codes that were generated less likely, whatever the sign of their logit (Keskar et al. 2019, CTRL, section 4.1).

    logits (B, A), generated (B, A) boolean, penalty >= 1. Returns (B, A).
    """
    penalised = tf.where(logits > 0, logits / penalty, logits * penalty)
    return tf.where(generated, penalised, logits)


def keep_top_p(probabilities: tf.Tensor, top_p: tf.Tensor | float) -> tf.Tensor:
    """Zeroes all but the smallest leading set whose probability reaches top_p (Holtzman et al. 2020, nucleus sampling).

    probabilities (B, K) in falling order. Returns (B, K), not renormalised; the first is always kept.
    """
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)
    # the first is kept by its place, not by 0 < top_p, so that no rounding can empty a row
    keep = (before < top_p) | (tf.range(tf.shape(probabilities)[1]) == 0)
    return tf.where(keep, probabilities, 0.0)


def draw(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Inverts the cumulative distribution: weights (B, K) >= 0 of any sum, uniform (B,) in [0, 1) -> indices (B,) int32."""
    cumulative = tf.cumsum(weights, axis=-1)
    threshold = uniform[:, None] * cumulative[:, -1:]
    return tf.argmax(tf.cast(cumulative > threshold, tf.int32), axis=-1, output_type=tf.int32)


def sample_numpy(logits: np.ndarray, generated: np.ndarray, settings: SynthesisConfig, uniform: np.ndarray) -> np.ndarray:
    """`sample` without TensorFlow, whose calls take longer than a step of a small network. Arguments and result as there."""
    logits = np.where(generated, np.where(logits > 0, logits / settings.repetition_penalty, logits * settings.repetition_penalty), logits)
    if settings.temperature <= 0:
        return logits.argmax(axis=1).astype(np.int32)
    count = settings.top_k or logits.shape[1]
    ids = np.argsort(-logits, axis=1, kind="stable")[:, :count]  # (B, K), the most likely first
    values = np.take_along_axis(logits, ids, axis=1) / np.float32(settings.temperature)
    weights = np.exp(values - values[:, :1])
    weights /= weights.sum(axis=1, keepdims=True)
    before = np.cumsum(weights, axis=1) - weights
    weights[:, 1:][before[:, 1:] >= settings.top_p] = 0  # the first is always kept
    cumulative = np.cumsum(weights, axis=1)
    choice = (cumulative > uniform[:, None] * cumulative[:, -1:]).argmax(axis=1)
    return np.take_along_axis(ids, choice[:, None], axis=1)[:, 0].astype(np.int32)


def text_evidence_numpy(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """`text_evidence` without TensorFlow. Arguments and result as there."""
    from scipy.special import log_softmax  # here, for only candidates ask

    with_text, without = np.take_along_axis(log_softmax(logits, axis=1), np.tile(ids, 2)[:, None], axis=1).reshape(2, -1)
    return with_text - without
