"""The autoregressive loop: text and conditioning latents in, codes and their GPT latents out.

B batch, T text tokens, S codes, D width, L conditioning latents, A audio tokens. One loop owns prompt, cache and stopping. It is
compiled; batch, text and cache are padded to a few sizes, so that a service traces it a handful of times in its life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt import Cache
from myxtts.models.xtts import XTTS
from myxtts.synthesis.sampling import SamplingSettings, sample

TEXT_BUCKET = 32  # tokens
CODE_BUCKET = 64  # codes
IMPOSSIBLE = -1e9  # a logit; finite, because inf - inf is NaN
PLACEHOLDER = 1  # the id by which the reference stands for its prefix


@dataclass(frozen=True)
class Generated:
    """What the loop made, one entry for each row.

    codes: (S_i,) int32, never [STOP] nor, but for `synthesis.coqui_compatible`, [START]. latents: (S_i, D) float32; latents[i][s] is
    the GPT's hidden state that predicted code s: what the reference's second pass gives, and what the decoder is trained on.
    With `coqui_compatible` a row that stopped has one more: the reference vocodes the state that predicted [STOP], too.
    stopped: False = cut at max_codes, the model itself did not end there. num_codes: of the audio tokenizer.
    """

    codes: list[np.ndarray]
    latents: list[np.ndarray]
    stopped: list[bool]
    num_codes: int

    @property
    def sound_codes(self) -> list[np.ndarray]:
        """The codes of each row that the audio tokenizer can decode: without [START]."""
        return [sound_codes(row, self.num_codes) for row in self.codes]


class State(NamedTuple):
    """Where the loop stands. cache of the GPT; ids (B,) to be fed next; penalised (B, A), ids that the repetition penalty acts on;
    finished, stopped (B,) boolean; lengths (B,) codes so far; step: scalar, audio tokens fed so far."""

    cache: Cache
    ids: tf.Tensor
    penalised: tf.Tensor
    finished: tf.Tensor
    stopped: tf.Tensor
    lengths: tf.Tensor
    step: tf.Tensor


class Generation:
    """Texts being spoken, in codes: `advance` makes some more of them. Arguments and errors are those of `generate_codes`."""

    def __init__(
        self,
        model: XTTS,
        latents: np.ndarray,
        text_ids: np.ndarray,
        text_mask: np.ndarray,
        settings: SynthesisConfig,
        seed: int | Sequence[int],
        max_codes: int | Sequence[int],
        min_codes: int = 1,
    ):
        text_ids, text_mask = np.asarray(text_ids, np.int32), np.asarray(text_mask, bool)
        _check(model, latents, text_ids, text_mask)
        self.rows = rows = len(text_ids)
        limits = np.minimum(np.broadcast_to(np.asarray(max_codes, np.int32), rows), longest_generation(model))
        if limits.min() < max(min_codes, 1):
            raise DataError(f"max_codes must be at least min_codes ({min_codes}) and 1; got {limits.min()}: give the text more room")
        capacity = _round_up(int(limits.max()) + 1, CODE_BUCKET, model.config.gpt.max_audio_tokens)
        batch = 1 << (rows - 1).bit_length()  # the next power of two; rows that fill it up are finished from the start
        text = _round_up(text_ids.shape[1], TEXT_BUCKET, model.config.gpt.max_text_tokens)
        latents = np.broadcast_to(np.asarray(latents, np.float32), (rows, *latents.shape[1:]))
        inputs = (_pad_rows(part, batch) for part in (latents, _pad_columns(text_ids, text), _pad_columns(text_mask, text)))
        self.model, self.settings, self.last_step = model, settings, int(limits.max()) + 1
        self.limits, self.min_codes = tf.constant(_pad_rows(limits, batch)), tf.constant(min_codes, tf.int32)
        self.uniform = tf.constant(_pad_rows(_uniform(seed, rows, capacity), batch))
        self.sampling = SamplingSettings.of(settings)
        # both functions keep one trace for each network: its precision is an argument, or a change of it would change nothing
        self.precision = model.gpt.compute_dtype
        self.state = State(
            cache=_prefill(model.gpt, *(tf.constant(part) for part in inputs), capacity=capacity, precision=self.precision),
            ids=tf.fill((batch,), model.config.start_audio_token),
            penalised=tf.tile(penalised_at_start(model, settings), (batch, 1)),
            finished=tf.constant(np.arange(batch) >= rows),
            stopped=tf.zeros((batch,), tf.bool),
            lengths=tf.zeros((batch,), tf.int32),
            step=tf.constant(0),
        )

    @property
    def finished(self) -> bool:
        """True where no row goes on."""
        return bool(tf.reduce_all(self.state.finished)) or int(self.state.step) >= self.last_step

    @property
    def lengths(self) -> np.ndarray:
        """Codes of each row so far, (B,)."""
        return self.state.lengths.numpy()[: self.rows]

    @property
    def stopped(self) -> np.ndarray:
        """Rows that the model ended by itself, (B,) boolean."""
        return self.state.stopped.numpy()[: self.rows]

    @property
    def num_latents(self) -> np.ndarray:
        """Latents of each row so far that are to be vocoded, (B,): see Generated."""
        if not self.settings.coqui_compatible:
            return self.lengths
        # a row cut at its limit has no more than that: the reference would not have looked whether it stops there
        return np.minimum(self.lengths + self.stopped, self.limits.numpy()[: self.rows])

    def advance(self, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Up to `steps` more steps, or all. Returns codes (steps, B) and latents (steps, B, D) of these, valid up to a row's lengths."""
        first = int(self.state.step)
        until = self.last_step if steps is None else min(first + steps, self.last_step)
        config = self.model.config
        codes, latents, self.state = _advance(
            self.model.gpt,
            self.state,
            self.uniform,
            self.limits,
            self.min_codes,
            _impossible(config.start_audio_token, config.num_audio_tokens, not self.settings.coqui_compatible),
            self.sampling,
            tf.constant(until),
            stop=config.stop_audio_token,
            precision=self.precision,
        )
        made = int(self.state.step) - first
        return codes.numpy()[:made, : self.rows], latents.numpy()[:made, : self.rows]


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
    generation = Generation(model, latents, text_ids, text_mask, settings, seed, max_codes, min_codes)
    codes, states = generation.advance()
    return Generated(
        codes=[codes[:length, row] for row, length in enumerate(generation.lengths)],
        latents=[states[:length, row] for row, length in enumerate(generation.num_latents)],
        stopped=[bool(flag) for flag in generation.stopped],
        num_codes=model.config.dvae.num_codes,
    )


def sound_codes(codes: np.ndarray, num_codes: int) -> np.ndarray:
    """Codes (S,) without [START] and [STOP], which lie above the `num_codes` of the audio tokenizer and are no sound."""
    return codes[codes < num_codes]


def penalised_at_start(model: XTTS, settings: SynthesisConfig) -> tf.Tensor:
    """(1, A) boolean: ids that the repetition penalty acts on before anything was generated. None of them by default.

    The reference feeds its sampler a placeholder (id 1) for each position of the prefix, and [START]: it takes both for repeated.
    """
    ids = [PLACEHOLDER, model.config.start_audio_token] if settings.coqui_compatible else []
    return tf.constant(np.isin(np.arange(model.config.num_audio_tokens), ids)[None])


def longest_generation(model: XTTS) -> int:
    """The most codes a row may have: those of the longest training clip, which carries [START] and [STOP] besides."""
    return model.config.gpt.max_audio_tokens - 2


def trace_count() -> int:
    """How often the loop has been traced in this process. A timing taken while it grew holds compilation."""
    return _advance.experimental_get_tracing_count()


@tf.function(reduce_retracing=False, autograph=False)
def _prefill(gpt: Any, latents: tf.Tensor, text_ids: tf.Tensor, text_mask: tf.Tensor, capacity: int, precision: str) -> Cache:
    return gpt.prefill(latents, text_ids, text_mask, capacity)


@tf.function(reduce_retracing=False)
def _advance(
    gpt: Any,
    state: State,
    uniform: tf.Tensor,
    limits: tf.Tensor,
    min_codes: tf.Tensor,
    never: tf.Tensor,
    settings: SamplingSettings,
    until: tf.Tensor,
    stop: int,
    precision: str,
) -> tuple[tf.Tensor, tf.Tensor, State]:
    """The loop, from state.step to `until` or until all rows are finished. Returns codes (steps, B), latents (steps, B, D), State.

    Step t feeds audio token t ([START], then the codes) and samples code t. The step after a row's last allowed code is still
    made: it shows whether the model would have stopped there by itself.
    """
    batch, size = state.penalised.shape
    # the network holds no Python control flow over tensors: only this loop is for AutoGraph, and so it traces a third faster
    step = tf.autograph.experimental.do_not_convert(gpt.step)
    too_early = _impossible(stop, size)
    cache, ids, penalised, finished, stopped, lengths, t = state
    first = t
    codes = tf.TensorArray(tf.int32, size=until - first, element_shape=(batch,))
    latents = tf.TensorArray(tf.float32, size=until - first, element_shape=(batch, gpt.config.dim))
    while t < until and not tf.reduce_all(finished):
        logits, latent, cache = step(cache, ids, t)
        logits = tf.cast(logits, tf.float32) + never + tf.where(t < min_codes, too_early, 0.0)
        ids = sample(logits, penalised, settings, tf.gather(uniform, t, axis=1))
        ends = ids == stop
        accepted = ~finished & ~ends & (t < limits)
        stopped |= ~finished & ends
        finished |= ~accepted
        ids = tf.where(accepted, ids, stop)
        penalised |= tf.one_hot(ids, size, on_value=True, off_value=False) & accepted[:, None]
        lengths += tf.cast(accepted, tf.int32)
        codes = codes.write(t - first, ids)
        latents = latents.write(t - first, tf.cast(latent, tf.float32))
        t += 1
    return codes.stack(), latents.stack(), State(cache, ids, penalised, finished, stopped, lengths, t)


def _impossible(token: int, size: int, really: bool = True) -> tf.Tensor:
    """(A,): what is added to logits so that `token` is never drawn; zeros where not `really`."""
    return tf.one_hot(token, size, on_value=IMPOSSIBLE if really else 0.0, off_value=0.0)


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
