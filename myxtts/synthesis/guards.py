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
READ_SHARE = 0.5  # of a text that some code must have looked at before it counts as read
LAST_TOKENS = 2  # of a text, at which it ends: its last letter or mark, and [STOP]
DONE_SHARE, BACK_SHARE, BACK_CODES = 0.85, 0.5, 6  # of the text: once read so far, looking back here for so long is a new start
BEFORE_TEXT = 2  # tokens: [START] and [lang]
STEADY = 3  # codes in a row that look at a part of the text have come to it; one may be a glance
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
    the guards. heard_from (B,): the token from which on a row's text is wanted; what was said before is context and is left out. Needs
    looks; 0 = all of it.
    """

    def __init__(
        self,
        generation: Generation,
        guards: GuardsConfig,
        codes_per_second: float,
        text_lengths: Sequence[int],
        heard_from: Sequence[int] | None = None,
    ):
        self.generation, self.guards, self.rate = generation, guards, codes_per_second
        self.text_lengths = text_lengths
        self.heard_from = [0] * generation.rows if heard_from is None else heard_from
        self.interventions: list[list[Intervention]] = [[] for _ in range(generation.rows)]
        self._codes: list[np.ndarray] = []
        self._latents: list[np.ndarray] = []
        self._kept = np.full(generation.rows, np.iinfo(np.int32).max)
        self._found: dict[int, int] = {}  # row -> where what is wanted begins
        self._steps = 0

    @property
    def finished(self) -> bool:
        """True where no row goes on."""
        return self.generation.finished

    def codes(self, row: int) -> np.ndarray:
        """(S,) int32 of a row so far."""
        return self._all_codes(row)[self._first(row) :]

    def latents(self, row: int) -> np.ndarray:
        """(S, D) of a row so far, those to be vocoded."""
        return self._column(self._latents, row)[self._first(row) : min(self.generation.num_latents[row], self._kept[row])]

    def covered(self, row: int) -> float | None:
        """The share of a row's text that was looked at (`coverage`); None where that is not known."""
        looks = self._all_looks(row)
        return None if looks is None else coverage(*self._reading(row, looks))

    def evidence(self, row: int) -> float | None:
        """By how many nats its text made a row's codes likelier, on their average; None where that is not known. Its context included: what
        is said for the second time has less of it than what is new, so that a row without a second saying would seem better."""
        evidence = self.generation.evidence
        if evidence is None:
            return None
        said = evidence[: len(self._all_codes(row)), row]
        return float(said.mean()) if len(said) else 0.0

    def _reading(self, row: int, looks: np.ndarray) -> tuple[np.ndarray, int]:
        """Looks at what is wanted of a row's text, as if it began there, and its tokens; before that has come, those at its context."""
        heard, tokens, first = self.heard_from[row], self.text_lengths[row], self._first(row)
        if not heard:
            return looks, tokens
        if row not in self._found:
            return np.minimum(looks, heard), heard + 1
        return np.maximum(looks[first:] - heard + BEFORE_TEXT, 0), tokens - heard + BEFORE_TEXT

    def _all_codes(self, row: int) -> np.ndarray:
        return self._column(self._codes, row)[: min(self.generation.lengths[row], self._kept[row])]

    def _all_looks(self, row: int) -> np.ndarray | None:
        looks = self.generation.looks
        return None if looks is None else looks[: len(self._all_codes(row)), row]

    def _first(self, row: int) -> int:
        """Where what is wanted begins. Before that has come, it is behind all codes; if it never comes, all of them are wanted."""
        if not self.heard_from[row]:
            return 0
        if row in self._found:  # a cut before it leaves nothing that is wanted
            return min(self._found[row], int(self._kept[row]))
        wanted = self._all_looks(row) >= self.heard_from[row]
        steady = np.flatnonzero(np.convolve(wanted, np.ones(STEADY), "valid") == STEADY) if len(wanted) >= STEADY else []
        if len(steady):
            self._found[row] = int(steady[0])
            return int(steady[0])
        return 0 if self.generation.ended[row] or self.finished else len(wanted)

    def stopped(self, row: int) -> bool:
        """Whether the model ended the row by itself, and no guard did."""
        return bool(self.generation.stopped[row]) and self._kept[row] > self.generation.lengths[row]

    def advance(self, steps: int | None = None) -> None:
        """Up to `steps` more steps, or all."""
        until = None if steps is None else self._steps + steps
        while not self.finished and (until is None or self._steps < until):
            # the guards look at the same places whoever asks for how many steps
            ahead = LOOK_EVERY - self._steps % LOOK_EVERY
            codes, latents = self.generation.advance(ahead if until is None else min(ahead, until - self._steps))
            self._steps += len(codes)
            self._codes.append(codes)
            self._latents.append(latents)
            if self._steps % LOOK_EVERY == 0 or self.finished:
                for row in range(self.generation.rows):
                    self._guard(row)

    def _guard(self, row: int) -> None:
        if self.interventions[row]:
            return
        self._first(row)  # before anything is cut
        codes, looks, limit = self._all_codes(row), self._all_looks(row), self.generation.limits[row]
        found = None
        if self.guards.tail_seconds is not None and looks is not None:
            found = self._read_twice(row, looks)
        if found is None and self.guards.repetition_seconds is not None:
            found = repetition(codes, round(self.guards.repetition_seconds * self.rate), round(LONGEST_PATTERN_SECONDS * self.rate))
        if found is not None:
            self._cut(row, *found)
        elif len(codes) == limit and self.generation.ended[row] and not self.generation.stopped[row]:
            self._note(row, "duration", len(codes), "cut: the text allows no more, and the model did not end by itself")

    def _read_twice(self, row: int, looks: np.ndarray) -> tuple[str, int, str] | None:
        """`read_twice` of what is wanted of a row, or, before that has come, of its context."""
        found = read_twice(*self._reading(row, looks), round(self.guards.tail_seconds * self.rate))
        return found and (found[0], found[1] + self._found.get(row, 0), found[2])

    def _cut(self, row: int, guard: str, length: int, what: str) -> None:
        self._kept[row] = length
        self.generation.end(row)
        self._note(row, guard, length, what)

    def _note(self, row: int, guard: str, length: int, what: str) -> None:
        self.interventions[row].append(Intervention(guard, max(0, length - self._first(row)) / self.rate, what))

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
    if resting > tail and coverage(looks[: len(looks) - resting], tokens) >= READ_SHARE:
        return "tail", len(looks) - resting + tail, f"cut: the text had been read {resting} codes before"
    furthest = np.maximum.accumulate(looks) if len(looks) else looks
    back = (furthest >= DONE_SHARE * tokens) & (looks < BACK_SHARE * tokens)
    if len(back) >= BACK_CODES and back[-BACK_CODES:].all():
        first = int(len(back) - np.flatnonzero(~back[::-1])[0]) if not back.all() else 0
        if coverage(looks[:first], tokens) >= READ_SHARE:  # a glance ahead has read nothing
            return "restart", first, "cut: the text had been read, and was begun anew"
    return None


def coverage(looks: np.ndarray, tokens: int) -> float:
    """The share of a text's tokens, but for [START], [lang] and the end, that some code looked at or passed by without a leap."""
    if tokens <= BEFORE_TEXT + LAST_TOKENS:
        return 1.0
    seen = np.zeros(tokens, bool)
    for before, now in pairwise(looks):
        if 0 <= now - before <= 3:
            seen[before : now + 1] = True
    seen[looks[looks < tokens]] = True
    return float(seen[BEFORE_TEXT : tokens - LAST_TOKENS].mean())
