"""The loop in ONNX Runtime, step by step: for a CPU, where it takes a third of the compiled loop's time or less.

B batch, S codes, D width, A audio tokens. Rows that have ended are taken out of the batch, for each row costs time.
"""

import numpy as np

from myxtts.models.gpt_onnx import GPTSession
from myxtts.synthesis.generate import IMPOSSIBLE, Generation, Inputs, beside_no_text, penalised_at_start
from myxtts.synthesis.sampling import guide, sample_numpy, text_evidence_numpy


class StepwiseGeneration(Generation):
    """A generation by a GPTSession. `rows` of arrays are the texts; those still spoken are `active`, and have a row of the cache each."""

    def __init__(self, inputs: Inputs, session: GPTSession):
        super().__init__(inputs)
        config = inputs.model.config
        self.session, self.step_number = session, 0
        self.active = np.arange(self.rows)
        prefix = inputs.latents, inputs.text_ids, inputs.text_mask
        self.cache = session.prefill(*(beside_no_text(*prefix) if inputs.guided else prefix), self.last_step)
        self.ids = np.full(self.rows, config.start_audio_token, np.int32)
        self.penalised = np.repeat(penalised_at_start(inputs.model, inputs.settings), self.rows, axis=0)
        self._ended = np.zeros(self.rows, bool)
        self._looks: list[np.ndarray] = []
        self._evidence: list[np.ndarray] = []
        self._lengths, self._stopped = np.zeros(self.rows, np.int32), np.zeros(self.rows, bool)
        self.never = np.zeros(config.num_audio_tokens, np.float32)
        if not inputs.settings.coqui_compatible:
            self.never[config.start_audio_token] = IMPOSSIBLE

    @property
    def finished(self) -> bool:
        return bool(self._ended.all()) or self.step_number >= self.last_step

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths.copy()

    @property
    def stopped(self) -> np.ndarray:
        return self._stopped.copy()

    @property
    def ended(self) -> np.ndarray:
        return self._ended.copy()

    @property
    def looks(self) -> np.ndarray | None:
        return None if self.session.watched is None else np.array(self._looks, np.int32).reshape(-1, self.rows)

    @property
    def evidence(self) -> np.ndarray | None:
        return np.array(self._evidence, np.float32).reshape(-1, self.rows) if self.inputs.weighed else None

    def end(self, row: int) -> None:
        self._ended[row] = True

    def advance(self, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        steps = self.last_step if steps is None else steps
        codes: list[np.ndarray] = []
        latents: list[np.ndarray] = []
        while len(codes) < steps and not self.finished:
            self._leave_out_ended()
            made, states = self._step()
            codes.append(made)
            latents.append(states)
        width = self.inputs.model.config.gpt.dim
        return np.array(codes, np.int32).reshape(-1, self.rows), np.array(latents, np.float32).reshape(-1, self.rows, width)

    def _leave_out_ended(self) -> None:
        going = ~self._ended[self.active]
        if not going.all():
            rows = np.tile(going, 2) if self.inputs.guided else going
            self.active, self.cache = self.active[going], self.cache.rows(np.flatnonzero(rows))

    def _feed(self, ids: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """logits (B, A), or (2B, A) where guided, latents (B, D) and looks (B,) of the active rows, after ids (B,)."""
        count = len(ids)
        logits, states = self.session.step(self.cache, np.tile(ids, 2) if self.inputs.guided else ids, number)
        looks = self.session.looks(self.cache)
        return logits, states[:count], None if looks is None else looks[:count]

    def _of_all(self, values: np.ndarray) -> np.ndarray:
        """values of the active rows -> of all rows, zeros of those that have ended."""
        whole = np.zeros((self.rows, *values.shape[1:]), values.dtype)
        whole[self.active] = values
        return whole

    def _step(self) -> tuple[np.ndarray, np.ndarray]:
        """One code for each active row. Returns (B,) and (B, D)."""
        rows, number, stop = self.active, self.step_number, self.inputs.model.config.stop_audio_token
        heard, states, looks = self._feed(self.ids[rows], number)
        if looks is not None:
            self._looks.append(self._of_all(looks))
        guided = self.inputs.guided
        logits = (guide(heard, np.float32(self.inputs.settings.guidance_scale)) if guided else heard) + self.never
        if number < self.inputs.min_codes:
            logits[:, stop] += IMPOSSIBLE
        ids = sample_numpy(logits, self.penalised[rows], self.inputs.settings, self.uniform[rows, number])
        if self.inputs.weighed:
            self._evidence.append(self._of_all(text_evidence_numpy(heard, ids)))
        ends = ids == stop
        accepted = ~ends & (number < self.limits[rows])
        self._stopped[rows] |= ends
        self._ended[rows] |= ~accepted
        self._lengths[rows] += accepted
        self.ids[rows] = np.where(accepted, ids, stop)
        self.penalised[rows[accepted], ids[accepted]] = True
        self.step_number += 1
        made = np.full(self.rows, stop, np.int32)
        made[rows] = self.ids[rows]
        return made, self._of_all(states)
