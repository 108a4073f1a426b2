"""The loop in TensorFlow, compiled: for a GPU, and for a network whose weights still change.

B batch, T text tokens, S codes, D width, L conditioning latents, A audio tokens. Batch, text and cache are padded to a few sizes, so
that a service traces the loop a handful of times in its life.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from myxtts.models.gpt import GPT, Cache
from myxtts.synthesis.generate import IMPOSSIBLE, Generation, Inputs, beside_no_text, penalised_at_start
from myxtts.synthesis.sampling import SamplingSettings, guide, sample, text_evidence

TEXT_BUCKET = 32  # tokens
CODE_BUCKET = 64  # codes


class State(NamedTuple):
    """Where the loop stands. cache of the GPT, of 2B rows where guided; ids (B,) to be fed next; penalised (B, A) boolean;
    finished, stopped (B,) boolean; lengths (B,) codes so far; step: scalar, audio tokens fed so far."""

    cache: Cache
    ids: tf.Tensor
    penalised: tf.Tensor
    finished: tf.Tensor
    stopped: tf.Tensor
    lengths: tf.Tensor
    step: tf.Tensor


class CompiledGeneration(Generation):
    """A generation by a GPT of Keras."""

    def __init__(self, inputs: Inputs, gpt: GPT):
        super().__init__(inputs)
        self.gpt = gpt
        model, latents, text_ids, text_mask = inputs.model, inputs.latents, inputs.text_ids, inputs.text_mask
        capacity = _round_up(self.last_step, CODE_BUCKET, model.config.gpt.max_audio_tokens)
        batch = 1 << (self.rows - 1).bit_length()  # the next power of two; rows that fill it up are finished from the start
        text = _round_up(text_ids.shape[1], TEXT_BUCKET, model.config.gpt.max_text_tokens)
        parts = tuple(_pad_rows(part, batch) for part in (latents, _pad_columns(text_ids, text), _pad_columns(text_mask, text)))
        parts = beside_no_text(*parts) if inputs.guided else parts
        self.padded_limits, self.min_codes = tf.constant(_pad_rows(self.limits, batch)), tf.constant(inputs.min_codes, tf.int32)
        self.padded_uniform = tf.constant(_pad_rows(_pad_columns(self.uniform, capacity), batch))
        self.sampling = SamplingSettings.of(inputs.settings)
        self._evidence: list[np.ndarray] = []
        # both functions keep one trace for each network: its precision is an argument, or a change of it would change nothing
        self.precision = gpt.compute_dtype
        self.state = State(
            cache=_prefill(gpt, *(tf.constant(part) for part in parts), capacity=capacity, precision=self.precision),
            ids=tf.fill((batch,), model.config.start_audio_token),
            penalised=tf.tile(tf.constant(penalised_at_start(model, inputs.settings)), (batch, 1)),
            finished=tf.constant(np.arange(batch) >= self.rows),
            stopped=tf.zeros((batch,), tf.bool),
            lengths=tf.zeros((batch,), tf.int32),
            step=tf.constant(0),
        )

    @property
    def finished(self) -> bool:
        return bool(self.ended.all()) or int(self.state.step) >= self.last_step

    @property
    def lengths(self) -> np.ndarray:
        return self.state.lengths.numpy()[: self.rows]

    @property
    def stopped(self) -> np.ndarray:
        return self.state.stopped.numpy()[: self.rows]

    @property
    def ended(self) -> np.ndarray:
        return self.state.finished.numpy()[: self.rows]

    @property
    def evidence(self) -> np.ndarray | None:
        return np.concatenate([np.zeros((0, self.rows), np.float32), *self._evidence]) if self.inputs.weighed else None

    def end(self, row: int) -> None:
        ended = tf.one_hot(row, len(self.state.finished), on_value=True, off_value=False)
        self.state = self.state._replace(finished=self.state.finished | ended)

    def advance(self, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        first = int(self.state.step)
        until = self.last_step if steps is None else min(first + steps, self.last_step)
        config = self.inputs.model.config
        codes, latents, evidence, self.state = _advance(
            self.gpt,
            self.state,
            self.padded_uniform,
            self.padded_limits,
            self.min_codes,
            _impossible(config.start_audio_token, config.num_audio_tokens, not self.inputs.settings.coqui_compatible),
            self.sampling,
            tf.constant(until),
            stop=config.stop_audio_token,
            guided=self.inputs.guided,
            weighed=self.inputs.weighed,
            precision=self.precision,
        )
        made = int(self.state.step) - first
        if self.inputs.weighed:
            self._evidence.append(evidence.numpy()[:made, : self.rows])
        return codes.numpy()[:made, : self.rows], latents.numpy()[:made, : self.rows]


def trace_count() -> int:
    """How often the loop has been traced in this process. A timing taken while it grew holds compilation."""
    return _advance.experimental_get_tracing_count()


@tf.function(reduce_retracing=False, autograph=False)
def _prefill(gpt: GPT, latents: tf.Tensor, text_ids: tf.Tensor, text_mask: tf.Tensor, capacity: int, precision: str) -> Cache:
    return gpt.prefill(latents, text_ids, text_mask, capacity)


@tf.function(reduce_retracing=False)
def _advance(
    gpt: GPT,
    state: State,
    uniform: tf.Tensor,
    limits: tf.Tensor,
    min_codes: tf.Tensor,
    never: tf.Tensor,
    settings: SamplingSettings,
    until: tf.Tensor,
    stop: int,
    guided: bool,
    weighed: bool,
    precision: str,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, State]:
    """The loop, from state.step to `until` or until all rows are finished.

    Returns codes (steps, B), latents (steps, B, D), evidence (steps, B) of their texts, zeros where it is not weighed, and State.

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
    evidence = tf.TensorArray(tf.float32, size=until - first, element_shape=(batch,))
    while t < until and not tf.reduce_all(finished):
        heard, latent, cache = step(cache, tf.tile(ids, (2,)) if guided else ids, t)
        logits = guide(heard, settings.guidance_scale) if guided else heard
        logits = tf.cast(logits, tf.float32) + never + tf.where(t < min_codes, too_early, 0.0)
        ids = sample(logits, penalised, settings, tf.gather(uniform, t, axis=1))
        evidence = evidence.write(t - first, text_evidence(heard, ids) if weighed else tf.zeros((batch,)))
        ends = ids == stop
        accepted = ~finished & ~ends & (t < limits)
        stopped |= ~finished & ends
        finished |= ~accepted
        ids = tf.where(accepted, ids, stop)
        penalised |= tf.one_hot(ids, size, on_value=True, off_value=False) & accepted[:, None]
        lengths += tf.cast(accepted, tf.int32)
        codes = codes.write(t - first, ids)
        latents = latents.write(t - first, tf.cast(latent[:batch], tf.float32))
        t += 1
    return codes.stack(), latents.stack(), evidence.stack(), State(cache, ids, penalised, finished, stopped, lengths, t)


def _impossible(token: int, size: int, really: bool = True) -> tf.Tensor:
    """(A,): what is added to logits so that `token` is never drawn; zeros where not `really`."""
    return tf.one_hot(token, size, on_value=IMPOSSIBLE if really else 0.0, off_value=0.0)


def _round_up(size: int, multiple: int, limit: int) -> int:
    return min(-(-size // multiple) * multiple, limit)


def _pad_rows(array: np.ndarray, rows: int) -> np.ndarray:
    """Repeats the first row, for a row of zeros would be a text without tokens: an attention without keys."""
    return np.concatenate([array, np.repeat(array[:1], rows - len(array), axis=0)])


def _pad_columns(array: np.ndarray, columns: int) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, columns - array.shape[1])))
