"""The autoregressive loop: text and conditioning latents in, codes and their GPT latents out.

B batch, T text tokens, S codes, D width, L conditioning latents, A audio tokens. One loop owns prompt, cache and stopping. It is
compiled whole; batch, text and cache are padded to a few sizes, so that a service traces it a handful of times in its life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.xtts import XTTS
from myxtts.synthesis.sampling import SamplingSettings, sample

TEXT_BUCKET = 32  # tokens
CODE_BUCKET = 64  # codes
IMPOSSIBLE = -1e9  # a logit; finite, because inf - inf is NaN


@dataclass(frozen=True)
class Generated:
    """What the loop made, one entry for each row.

    codes: (S_i,) int32, never [START] or [STOP]. latents: (S_i, D) float32; latents[i][s] is the GPT's hidden state
    that predicted code s: what the reference's second pass gives, and what the decoder is trained on.
    stopped: False = cut at max_codes, the model itself did not end there.
    """

    codes: list[np.ndarray]
    latents: list[np.ndarray]
    stopped: list[bool]


def generate_codes(
    model: XTTS,
    latents: np.ndarray,
    text_ids: np.ndarray,
    text_mask: np.ndarray,
    settings: SynthesisConfig,
    seed: int | Sequence[int],
    max_codes: int | Sequence[int],
    min_codes: int = 1,
) -> Generated:
    """Speaks B texts at once, in codes.

    latents (1 or B, L, D) of `gpt.condition`; text_ids (B, T) integers that carry [START] and [STOP], text_mask (B, T) boolean,
    True = a token. seed and max_codes: one for all rows, or one for each. A row's codes depend on its text, latents, seed and
    limit, not on the rows beside it. max_codes is lowered to what the model was made for (`longest_generation`); min_codes is
    the number of codes before which [STOP] is not allowed. Raises DataError for shapes or limits that do not fit.
    """
    text_ids, text_mask = np.asarray(text_ids, np.int32), np.asarray(text_mask, bool)
    _check(model, latents, text_ids, text_mask)
    rows = len(text_ids)
    limits = np.minimum(np.broadcast_to(np.asarray(max_codes, np.int32), rows), longest_generation(model))
    if limits.min() < max(min_codes, 1):
        raise DataError(f"max_codes must be at least min_codes ({min_codes}) and 1; got {limits.min()}: give the text more room")
    capacity = _round_up(int(limits.max()) + 1, CODE_BUCKET, model.config.gpt.max_audio_tokens)
    batch = 1 << (rows - 1).bit_length()  # the next power of two; rows that fill it up are finished from the start
    text = _round_up(text_ids.shape[1], TEXT_BUCKET, model.config.gpt.max_text_tokens)
    codes, states, lengths, stopped = _generate(
        model.gpt,
        tf.constant(_pad_rows(np.broadcast_to(np.asarray(latents, np.float32), (rows, *latents.shape[1:])), batch)),
        tf.constant(_pad_rows(_pad_columns(text_ids, text), batch)),
        tf.constant(_pad_rows(_pad_columns(text_mask, text), batch)),
        tf.constant(_pad_rows(_uniform(seed, rows, capacity), batch)),
        tf.constant(np.arange(batch) >= rows),
        tf.constant(_pad_rows(limits, batch)),
        tf.constant(min_codes, tf.int32),
        SamplingSettings.of(settings),
        capacity=capacity,
        start=model.config.start_audio_token,
        stop=model.config.stop_audio_token,
    )
    codes, states = codes.numpy(), states.numpy()  # (steps, B), (steps, B, D)
    lengths = lengths.numpy()[:rows]
    return Generated(
        codes=[codes[:length, row] for row, length in enumerate(lengths)],
        latents=[states[:length, row] for row, length in enumerate(lengths)],
        stopped=[bool(flag) for flag in stopped.numpy()[:rows]],
    )


def longest_generation(model: XTTS) -> int:
    """The most codes a row may have: those of the longest training clip, which carries [START] and [STOP] besides."""
    return model.config.gpt.max_audio_tokens - 2


def trace_count() -> int:
    """How often the loop has been traced in this process. A timing taken while it grew holds compilation."""
    return _generate.experimental_get_tracing_count()


@tf.function(reduce_retracing=False)
def _generate(
    gpt: Any,
    latents: tf.Tensor,
    text_ids: tf.Tensor,
    text_mask: tf.Tensor,
    uniform: tf.Tensor,
    finished: tf.Tensor,
    limits: tf.Tensor,
    min_codes: tf.Tensor,
    settings: SamplingSettings,
    capacity: int,
    start: int,
    stop: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The loop. Returns codes (steps, B), states (steps, B, D), lengths (B,), stopped (B,).

    Step t feeds audio token t ([START], then the codes) and samples code t. The step after a row's last allowed code is still
    made: it shows whether the model would have stopped there by itself.
    """
    batch, size = text_ids.shape[0], stop + 1
    # the networks hold no Python control flow over tensors: only this loop is for AutoGraph, and so it traces a third faster
    prefill, step = (tf.autograph.experimental.do_not_convert(part) for part in (gpt.prefill, gpt.step))
    cache = prefill(latents, text_ids, text_mask, capacity)
    never = tf.one_hot(start, size, on_value=IMPOSSIBLE, off_value=0.0)
    too_early = tf.one_hot(stop, size, on_value=IMPOSSIBLE, off_value=0.0)
    steps = tf.reduce_max(limits) + 1
    codes = tf.TensorArray(tf.int32, size=steps, element_shape=(batch,))
    states = tf.TensorArray(tf.float32, size=steps, element_shape=(batch, latents.shape[-1]))
    ids = tf.fill((batch,), start)
    generated = tf.zeros((batch, size), tf.bool)
    lengths, stopped = tf.zeros((batch,), tf.int32), tf.zeros((batch,), tf.bool)
    t = tf.constant(0)
    while t < steps and not tf.reduce_all(finished):
        logits, state, cache = step(cache, ids, t)
        logits = tf.cast(logits, tf.float32) + never + tf.where(t < min_codes, too_early, 0.0)
        ids = sample(logits, generated, settings, tf.gather(uniform, t, axis=1))
        ends = ids == stop
        accepted = ~finished & ~ends & (t < limits)
        stopped |= ~finished & ends
        finished |= ~accepted
        ids = tf.where(accepted, ids, stop)
        generated |= tf.one_hot(ids, size, on_value=True, off_value=False) & accepted[:, None]
        lengths += tf.cast(accepted, tf.int32)
        codes = codes.write(t, ids)
        states = states.write(t, tf.cast(state, tf.float32))
        t += 1
    return codes.stack(), states.stack(), lengths, stopped


def _check(model: XTTS, latents: np.ndarray, text_ids: np.ndarray, text_mask: np.ndarray) -> None:
    if text_ids.ndim != 2 or text_mask.shape != text_ids.shape or not len(text_ids):
        raise DataError(f"text_ids and text_mask must both be (batch, tokens); got {text_ids.shape} and {text_mask.shape}")
    longest = model.config.gpt.max_text_tokens
    if text_ids.shape[1] > longest:
        raise DataError(f"a text of {text_ids.shape[1]} tokens exceeds model.gpt.max_text_tokens ({longest}): split it")
    if len(latents.shape) != 3 or latents.shape[0] not in (1, len(text_ids)):
        raise DataError(f"latents must be (1 or {len(text_ids)}, latents, width); got {tuple(latents.shape)}")


def _uniform(seed: int | Sequence[int], rows: int, steps: int) -> np.ndarray:
    """(rows, steps) float32 in [0, 1): each row's own stream, whose beginning does not depend on `steps`."""
    seeds = [int(value) for value in np.broadcast_to(np.asarray(seed), rows)]
    return np.stack([np.random.default_rng(value).random(steps, dtype=np.float32) for value in seeds])


def _round_up(size: int, multiple: int, limit: int) -> int:
    return min(-(-size // multiple) * multiple, limit)


def _pad_rows(array: np.ndarray, rows: int) -> np.ndarray:
    """Repeats the first row, for a row of zeros would be a text without tokens: an attention without keys."""
    return np.concatenate([array, np.repeat(array[:1], rows - len(array), axis=0)])


def _pad_columns(array: np.ndarray, columns: int) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, columns - array.shape[1])))
