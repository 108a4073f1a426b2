"""Guards against babble: what a model says beyond its text is cut while it is being generated, and every cut is reported.

B rows, S codes, T text tokens. A guard only ever shortens; it acts on what it sees in the codes, in where they look in the text, or in
how long they last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from myxtts.config.stages import GuardsConfig
from myxtts.synthesis.generate import Generation

DURATION_SECONDS = 2.0  # a sentence may last so much longer than its guard's share: the shortest ones need it
REPEATS = 3  # so often must a pattern follow itself to be a repetition
LONGEST_PATTERN_SECONDS = 0.75
SAME_SHARE = 0.9  # of the codes of a repetition that equal those before
LAST_TOKENS = 2  # of a text, at which it ends: its last letter or mark, and [STOP]
DONE_SHARE, BACK_SHARE, BACK_CODES = 0.85, 0.5, 6  # of the text: once read so far, looking back here for so long is a new start
LOOK_EVERY = 8  # codes: how often the guards look


@dataclass(frozen=True)
class Intervention:
    """What a guard did. guard: `duration`, `repetition`, `tail`, `restart` or `noise`; seconds: where in the sentence; what: in words."""

    guard: str
    seconds: float
    what: str

    def __str__(self) -> str:
        return f"{self.guard} at {self.seconds:.2f} s: {self.what}"


class Guarded:
    """A generation under its guards. Codes and latents so far, (S_i,) and (S_i, D) of each row, without what was cut.

    text_lengths (B,): tokens of each row's text. Where the generation knows where codes look in the text (`Generation.looks`), so do
    the guards.
    """

    def __init__(self, generation: Generation, guards: GuardsConfig, codes_per_second: float, text_lengths: Sequence[int]):
        self.generation, self.guards, self.rate = generation, guards, codes_per_second
        self.text_lengths = text_lengths
        self.interventions: list[list[Intervention]] = [[] for _ in range(generation.rows)]
        self._codes: list[np.ndarray] = []
        self._latents: list[np.ndarray] = []
        self._kept = np.full(generation.rows, np.iinfo(np.int32).max)

    @property
    def finished(self) -> bool:
        """True where no row goes on."""
        return self.generation.finished

    def codes(self, row: int) -> np.ndarray:
        """(S,) int32 of a row so far."""
        return self._column(self._codes, row)[: min(self.generation.lengths[row], self._kept[row])]

    def latents(self, row: int) -> np.ndarray:
        """(S, D) of a row so far, those to be vocoded."""
        return self._column(self._latents, row)[: min(self.generation.num_latents[row], self._kept[row])]

    def looks(self, row: int) -> np.ndarray | None:
        """(S,) which text token each code of a row looked at; None where that is not known."""
        looks = self.generation.looks
        return None if looks is None else looks[: len(self.codes(row)), row]

    def stopped(self, row: int) -> bool:
        """Whether the model ended the row by itself, and no guard did."""
        return bool(self.generation.stopped[row]) and self._kept[row] > self.generation.lengths[row]

    def advance(self, steps: int | None = None) -> None:
        """Up to `steps` more steps, or all."""
        made = 0
        while not self.finished and (steps is None or made < steps):
            codes, latents = self.generation.advance(LOOK_EVERY if steps is None else min(LOOK_EVERY, steps - made))
            made += len(codes)
            self._codes.append(codes)
            self._latents.append(latents)
            for row in range(self.generation.rows):
                self._guard(row)

    def _guard(self, row: int) -> None:
        if self.interventions[row]:
            return
        codes, looks, limit = self.codes(row), self.looks(row), self.generation.limits[row]
        found = None
        if self.guards.tail_seconds is not None and looks is not None:
            found = read_twice(looks, self.text_lengths[row], round(self.guards.tail_seconds * self.rate))
        if found is None and self.guards.repetition_seconds is not None:
            found = repetition(codes, round(self.guards.repetition_seconds * self.rate), round(LONGEST_PATTERN_SECONDS * self.rate))
        if found is not None:
            self._cut(row, *found)
        elif len(codes) == limit and self.generation.ended[row] and not self.generation.stopped[row]:
            self._note(row, "duration", len(codes), "cut: the text allows no more, and the model did not end by itself")

    def _cut(self, row: int, guard: str, length: int, what: str) -> None:
        self._kept[row] = length
        self.generation.end(row)
        self._note(row, guard, length, what)

    def _note(self, row: int, guard: str, length: int, what: str) -> None:
        self.interventions[row].append(Intervention(guard, length / self.rate, what))

    @staticmethod
    def _column(parts: list[np.ndarray], row: int) -> np.ndarray:
        return np.concatenate([part[:, row] for part in parts]) if parts else np.zeros(0, np.int32)


def longest_codes(ordinary_seconds: float, factor: float | None, codes_per_second: float, longest: int) -> int:
    """How many codes a text may have that takes `ordinary_seconds` at an ordinary pace: the guard against babble without end."""
    if factor is None:
        return longest
    return min(int(np.ceil((DURATION_SECONDS + factor * ordinary_seconds) * codes_per_second)), longest)


def repetition(codes: np.ndarray, least: int, longest_pattern: int) -> tuple[str, int, str] | None:
    """Whether codes (S,) end in a pattern that follows itself, for `least` codes or more and REPEATS times.

    Returns (guard, codes to keep: up to the end of the first time, in words), or None.
    """
    for period in range(1, longest_pattern + 1):
        span = max(least, REPEATS * period)  # that equals what stands `period` before it
        if len(codes) < span + period:
            return None  # nor would a longer pattern find room
        if np.mean(codes[-span:] == codes[-span - period : -period]) >= SAME_SHARE:
            return "repetition", len(codes) - span, f"cut: {period} codes repeat themselves {span // period} times"
    return None


def read_twice(looks: np.ndarray, tokens: int, tail: int) -> tuple[str, int, str] | None:
    """Whether codes, of which each looks at a token of its text (S,), go on after the text was read.

    They do where they have rested at its end for more than `tail` codes, or turn back for BACK_CODES once DONE_SHARE of it was read.
    Returns (guard, codes to keep, in words), or None.
    """
    if tokens <= LAST_TOKENS:
        return None
    last = np.flatnonzero(looks < tokens - LAST_TOKENS)
    resting = len(looks) - (last[-1] + 1 if len(last) else 0)
    if resting > tail and coverage(looks[: len(looks) - resting], tokens) >= BACK_SHARE:
        return "tail", len(looks) - resting + tail, f"cut: the text had been read {resting} codes before"
    furthest = np.maximum.accumulate(looks) if len(looks) else looks
    back = (furthest >= DONE_SHARE * tokens) & (looks < BACK_SHARE * tokens)
    if len(back) >= BACK_CODES and back[-BACK_CODES:].all():
        first = len(back) - np.flatnonzero(~back[::-1])[0] if not back.all() else 0
        return "restart", int(first), "cut: the text had been read, and was begun anew"
    return None


def coverage(looks: np.ndarray, tokens: int) -> float:
    """The share of a text's tokens, but for [START], [lang] and the end, that some code looked at or passed by without a leap."""
    if tokens <= 2 + LAST_TOKENS:
        return 1.0
    seen = np.zeros(tokens, bool)
    for before, now in pairwise(looks):
        if 0 <= now - before <= 3:
            seen[before : now + 1] = True
    seen[looks] = True
    return float(seen[2 : tokens - LAST_TOKENS].mean())
