"""Texts and conditioning latents in, codes and their GPT latents out, token by token.

B batch, T text tokens, S codes, D width, L conditioning latents, A audio tokens. A Generation owns prompt, cache and stopping; two
of them do the same sums: `compiled` in TensorFlow, `stepwise` in ONNX Runtime.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt import GPT
from myxtts.models.gpt_onnx import GPTSession
from myxtts.models.xtts import XTTS

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


@dataclass(frozen=True)
class Inputs:
    """Arguments of `begin`, checked: latents (B, L, D) float32, text_ids (B, T) int32, text_mask (B, T), seeds and limits (B,)."""

    model: XTTS
    latents: np.ndarray
    text_ids: np.ndarray
    text_mask: np.ndarray
    settings: SynthesisConfig
    seeds: list[int]
    limits: np.ndarray
    min_codes: int

    @property
    def guided(self) -> bool:
        """Whether each text is said beside no text: classifier-free guidance (Ho & Salimans 2022; of speech codes, Hussain et al. 2025)."""
        return self.settings.guidance_scale != 1

    @property
    def weighed(self) -> bool:
        """Whether it is noted how much likelier its text makes each code: candidates are chosen by it, and only a guided row knows it."""
        return self.guided and self.settings.candidates > 1


def beside_no_text(latents: np.ndarray, text_ids: np.ndarray, text_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """latents (B, L, D), text_ids and text_mask (B, T) -> the same of 2B rows, the second half with [START] and [STOP] alone."""
    ids, mask = np.zeros_like(text_ids), np.zeros_like(text_mask)
    ids[:, 0], mask[:, :2] = text_ids[:, 0], True  # [START]
    ids[:, 1] = np.take_along_axis(text_ids, text_mask.sum(axis=1, keepdims=True) - 1, axis=1)[:, 0]  # [STOP]
    return np.concatenate([latents, latents]), np.concatenate([text_ids, ids]), np.concatenate([text_mask, mask])


class Generation(abc.ABC):
    """Texts being spoken, in codes: `advance` makes some more of them."""

    def __init__(self, inputs: Inputs):
        self.inputs, self.rows, self.limits = inputs, len(inputs.text_ids), inputs.limits
        self.last_step = int(inputs.limits.max()) + 1  # the one after the last code shows whether it would have been the last
        self.uniform = _uniform(inputs.seeds, self.last_step)

    @property
    @abc.abstractmethod
    def finished(self) -> bool:
        """True where no row goes on."""

    @property
    @abc.abstractmethod
    def lengths(self) -> np.ndarray:
        """Codes of each row so far, (B,)."""

    @property
    @abc.abstractmethod
    def stopped(self) -> np.ndarray:
        """Rows that the model ended by itself, (B,) boolean."""

    @property
    @abc.abstractmethod
    def ended(self) -> np.ndarray:
        """Rows that go on no more, (B,) boolean."""

    @property
    def looks(self) -> np.ndarray | None:
        """(steps, B) which text token each code looks at; None where that is not known."""
        return None

    @property
    def evidence(self) -> np.ndarray | None:
        """(steps, B) by how many nats its text made each code likelier (`sampling.text_evidence`), valid up to a row's lengths; None where
        it is not asked for."""
        return None

    @abc.abstractmethod
    def end(self, row: int) -> None:
        """Ends a row where it is; it counts as cut."""

    @abc.abstractmethod
    def advance(self, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Up to `steps` more steps, or all. Returns codes (steps, B) and latents (steps, B, D) of these, valid up to a row's lengths."""

    @property
    def num_latents(self) -> np.ndarray:
        """Latents of each row so far that are to be vocoded, (B,): see Generated."""
        if not self.inputs.settings.coqui_compatible:
            return self.lengths
        # a row cut at its limit has no more than that: the reference would not have looked whether it stops there
        return np.minimum(self.lengths + self.stopped, self.limits)


def begin(
    model: XTTS,
    latents: np.ndarray,
    text_ids: np.ndarray,
    text_mask: np.ndarray,
    settings: SynthesisConfig,
    seed: int | Sequence[int],
    max_codes: int | Sequence[int],
    min_codes: int = 1,
    gpt: GPT | GPTSession | None = None,
) -> Generation:
    """Begins to speak B texts at once, in codes; the prefix has been read when it returns.

    latents (1 or B, L, D) of `gpt.condition`; text_ids (B, T) integers that carry [START] and [STOP], text_mask (B, T) boolean,
    True = a token. seed and max_codes: one for all rows, or one for each. A row's codes depend on its text, latents, seed and
    limit, not on the rows beside it. max_codes is lowered to what the model was made for (`longest_generation`); min_codes is
    the number of codes before which [STOP] is not allowed. gpt: what computes (`engine.Engine.gpt`); None = the model's own.
    Raises DataError for shapes or limits that do not fit.
    """
    text_ids, text_mask = np.asarray(text_ids, np.int32), np.asarray(text_mask, bool)
    _check(model, latents, text_ids, text_mask)
    rows = len(text_ids)
    limits = np.minimum(np.broadcast_to(np.asarray(max_codes, np.int32), rows), longest_generation(model))
    if limits.min() < max(min_codes, 1):
        raise DataError(f"max_codes must be at least min_codes ({min_codes}) and 1; got {limits.min()}: give the text more room")
    latents = np.broadcast_to(np.asarray(latents, np.float32), (rows, *latents.shape[1:]))
    seeds = [int(value) for value in np.broadcast_to(np.asarray(seed), rows)]
    inputs = Inputs(model, latents, text_ids, text_mask, settings, seeds, limits, min_codes)
    from myxtts.synthesis.compiled import CompiledGeneration
    from myxtts.synthesis.stepwise import StepwiseGeneration

    return StepwiseGeneration(inputs, gpt) if isinstance(gpt, GPTSession) else CompiledGeneration(inputs, gpt or model.gpt)


def generate_codes(*arguments, **named) -> Generated:
    """Speaks B texts to their ends. Arguments and errors are those of `begin`."""
    generation = begin(*arguments, **named)
    codes, states = generation.advance()
    return Generated(
        codes=[codes[:length, row] for row, length in enumerate(generation.lengths)],
        latents=[states[:length, row] for row, length in enumerate(generation.num_latents)],
        stopped=[bool(flag) for flag in generation.stopped],
        num_codes=generation.inputs.model.config.dvae.num_codes,
    )


def sound_codes(codes: np.ndarray, num_codes: int) -> np.ndarray:
    """Codes (S,) without [START] and [STOP], which lie above the `num_codes` of the audio tokenizer and are no sound."""
    return codes[codes < num_codes]


def penalised_at_start(model: XTTS, settings: SynthesisConfig) -> np.ndarray:
    """(1, A) boolean: ids that the repetition penalty acts on before anything was generated. None of them by default.

    The reference feeds its sampler a placeholder (id 1) for each position of the prefix, and [START]: it takes both for repeated.
    """
    ids = [PLACEHOLDER, model.config.start_audio_token] if settings.coqui_compatible else []
    return np.isin(np.arange(model.config.num_audio_tokens), ids)[None]


def longest_generation(model: XTTS) -> int:
    """The most codes a row may have: those of the longest training clip, which carries [START] and [STOP] besides."""
    return model.config.gpt.max_audio_tokens - 2


def _check(model: XTTS, latents: np.ndarray, text_ids: np.ndarray, text_mask: np.ndarray) -> None:
    if text_ids.ndim != 2 or text_mask.shape != text_ids.shape or not len(text_ids):
        raise DataError(f"text_ids and text_mask must both be (batch, tokens); got {text_ids.shape} and {text_mask.shape}")
    longest = model.config.gpt.max_text_tokens
    if text_ids.shape[1] > longest:
        raise DataError(f"a text of {text_ids.shape[1]} tokens exceeds model.gpt.max_text_tokens ({longest}): split it")
    if len(latents.shape) != 3 or latents.shape[0] not in (1, len(text_ids)):
        raise DataError(f"latents must be (1 or {len(text_ids)}, latents, width); got {tuple(latents.shape)}")


def _uniform(seeds: Sequence[int], steps: int) -> np.ndarray:
    """(rows, steps) float32 in [0, 1): each row's own stream, whose beginning does not depend on `steps`."""
    return np.stack([np.random.default_rng(seed).random(steps, dtype=np.float32) for seed in seeds])
