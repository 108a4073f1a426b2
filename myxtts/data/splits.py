"""Which clips are trained on and which are held out, by what they say and by who speaks.

| set | speakers | sentences |
|---|---|---|
| train | trained on | trained on |
| eval | trained on | never trained on, whoever speaks them |
| eval_unseen_speaker | never trained on | never trained on |

Where the corpus has no split, a sentence is held out if the SHA-256 of its letters, as a number in [0, 1), lies below
`prepare.eval_fraction`: every clip of it goes the same way, and stays there when the corpus grows, for the hash depends on nothing else.
Speakers are held out in the same way, or by name. What the corpus itself gave to evaluation stays there, and the speakers that it gave
to `eval_unseen_speaker` are held out. A clip that would teach an evaluated sentence is left out (`text_in_evaluation`), and so is a
held-out speaker's clip of a sentence that others teach (`text_in_training`).
While a corpus keeps its kind of split, no clip goes from training to evaluation or back because others came: it can only be left out.

A speaker all of whose clips chance draws for evaluation is not trained on: these clips are in `eval_unseen_speaker`, and in `eval` again
once the speaker has a clip for training.

Two things are not possible in every corpus, and `SplitPlan.notes` says so: where chance holds out nothing or too much, the sentences of
the lowest hashes are evaluated, and this may change while a corpus is small; where most clips share a few sentences (commands, digits),
the split is drawn by clip, and sentences are on both sides.
"""

import difflib
import hashlib
import unicodedata
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from myxtts.config import DataError
from myxtts.config.data import PrepareConfig

EVALUATION_SETS = ("eval", "eval_unseen_speaker")
_LOWEST = 64  # hashes kept for a corpus where chance holds nothing out: beyond this many expected, chance does
_LARGE_SHARE = 0.25  # one sentence that makes up more of a corpus is not held out for want of others
_FEW_LEFT = 0.1  # where leaving out what evaluation says would leave less of the training clips, they are not left out
_COMPACT = 1 << 20


@dataclass(frozen=True, slots=True)
class SplitRow:
    """What the set of a clip depends on. sentence: `sentence_hash` of its normalised text; split: the corpus' own, "" where open."""

    id: str
    speaker: str
    sentence: int
    split: str = ""
    corpus: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a clip is in no set: `reason` is one word to count by."""

    reason: Literal["text_in_training", "text_in_evaluation"]
    detail: str


@dataclass(frozen=True)
class SplitPlan:
    """What `place` decides by. notes: what a user must know of this split, one sentence each.

    by: "sentence", or "clip" where the corpus has too few sentences: then the sets share them.
    """

    by: Literal["sentence", "clip"]
    held_out: frozenset[str]  # speakers
    notes: tuple[str, ...]
    _drawing: frozenset[str]  # corpora whose training rows are drawn from too
    _drawn: "_Hashes"  # sentences (or ids) that chance holds out
    _given: "_Hashes"  # sentences that a corpus gave to evaluation
    _taught: "_Hashes"  # sentences of held-out speakers that others are trained on
    _untaught: frozenset[str] = frozenset()  # speakers of drawn clips who have none for training

    def place(self, row: SplitRow) -> Literal["train", "eval", "eval_unseen_speaker"] | Refusal:
        """The set of one clip, or why it is in none. `row` must be one of those that the plan was made from."""
        by_sentence = self.by == "sentence"
        evaluated = by_sentence and (row.sentence in self._given or row.sentence in self._drawn)
        if row.speaker in self.held_out:
            if by_sentence and row.sentence in self._taught:
                return Refusal("text_in_training", f"speaker {row.speaker} is held out, but others are trained on with this sentence")
            return "eval_unseen_speaker"
        may_be_drawn = not row.split or row.corpus in self._drawing
        if row.split == "eval" or (may_be_drawn and (row.sentence if by_sentence else _hash(row.id)) in self._drawn):
            return "eval_unseen_speaker" if row.split != "eval" and row.speaker in self._untaught else "eval"
        if evaluated:
            return Refusal("text_in_evaluation", "this sentence is in evaluation with another clip, so it is not trained on")
        return "train"

    def can_evaluate(self, sentence: int) -> bool:
        """Whether a held-out speaker's clip of this sentence can be evaluated."""
        return self.by == "clip" or sentence not in self._taught


def sentence_hash(normalized: str) -> int:
    """64 bits of a sentence: of its letters, marks and digits alone, so that "no, go" and "No go!" are one sentence."""
    return _hash("".join(character for character in normalized.casefold() if unicodedata.category(character)[0] in "LMN"))


def plan_splits(rows: Callable[[], Iterable[SplitRow]], settings: PrepareConfig) -> SplitPlan:
    """Plans the sets of a corpus. `rows` is called up to four times and gives every usable clip each time; order changes nothing.

    Memory: the names of speakers, and eight bytes for each sentence that is evaluated or that a held-out speaker says.
    Raises DataError for fewer than two clips, none left for training, and a speaker of prepare.eval_speakers that no clip has.
    """
    speakers, unseen, notes = Counter(), set(settings.eval_speakers), []
    for row in rows():
        speakers[row.speaker] += 1
        if row.split == "eval_unseen_speaker":  # the corpus' own word
            unseen.add(row.speaker)
    if speakers.total() < 2:
        raise DataError(f"only {speakers.total()} usable clip: expected at least two, one for training and one for evaluation; record more")
    held_out = _held_out(speakers, unseen, settings.eval_speaker_fraction, notes)
    survey = _Survey(settings.eval_fraction, held_out)
    for row in rows():
        survey.add(row)
    survey.refuse_emptiness()
    plan, found = _check(survey.plan("sentence", notes), rows, survey)
    left_out = found.outcomes["text_in_evaluation"]
    if plan.by == "sentence" and found.outcomes["train"] < _FEW_LEFT * (found.outcomes["train"] + left_out):
        notes.append(
            f"{left_out} of {survey.rows} clips say what clips for evaluation say, too many to leave out: the split "
            "goes by clip, and evaluation hears sentences that are trained on"
        )
        plan, found = _check(survey.plan("clip", notes), rows, survey)
    notes += survey.notes_on_speakers(plan, found.trained)
    return found.with_untaught(plan, notes)


def _check(plan: SplitPlan, rows: Callable[[], Iterable[SplitRow]], survey: "_Survey") -> tuple[SplitPlan, "_Found"]:
    """The plan, knowing which sentences of held-out speakers others are trained on, and where the clips of these others go."""
    found, taught = _Found(), _Hashes()
    for row in rows():
        if row.speaker in plan.held_out:
            continue
        placed = plan.place(row)
        found.outcomes[placed.reason if isinstance(placed, Refusal) else placed] += 1
        if placed == "train":
            found.trained.add(row.speaker)
            if row.sentence in survey.unseen:
                taught.add(row.sentence)
        elif placed == "eval" and row.split != "eval":
            found.drawn[row.speaker] += 1
    return replace(plan, _taught=taught), found


@dataclass
class _Found:
    """What a plan does with the clips of speakers that are not held out."""

    outcomes: Counter[str] = field(default_factory=Counter)  # clips of each set, and of each refusal
    trained: set[str] = field(default_factory=set)  # speakers
    drawn: Counter[str] = field(default_factory=Counter)  # clips of each speaker that chance gives to evaluation

    def with_untaught(self, plan: SplitPlan, notes: list[str]) -> SplitPlan:
        """The plan with its notes; drawn clips of speakers without training go to eval_unseen_speaker, where others are left for eval."""
        untaught = frozenset(self.drawn.keys() - self.trained)
        clips = sum(self.drawn[speaker] for speaker in untaught)
        who = f"chance left {len(untaught)} speakers without a clip for training"
        if clips == self.outcomes["eval"] and untaught:
            notes.append(
                f"{who}, and eval has no other clips than theirs ({clips}): its speakers are not trained on, which may change as the "
                "corpus grows; record more of each speaker"
            )
            untaught = frozenset()
        elif untaught:
            notes.append(
                f"{who}: their {clips} clips for evaluation are in eval_unseen_speaker, which may change as the corpus grows; record more "
                "of each speaker, or name them in prepare.eval_speakers to hold them out for good"
            )
        return replace(plan, notes=tuple(notes), _untaught=untaught)


def _held_out(speakers: Counter[str], named: set[str], fraction: float, notes: list[str]) -> frozenset[str]:
    """The speakers that are never trained on: those named, and a share of the others by the hash of their names."""
    if unknown := sorted(named - speakers.keys()):
        near = difflib.get_close_matches(unknown[0], speakers, n=3, cutoff=0.4) or sorted(speakers)[:3]
        raise DataError(
            f"prepare.eval_speakers names {unknown[0]!r}, but no usable clip has that speaker; expected some of the corpus' "
            f"{len(speakers)}: {', '.join(near)}, ..."
        )
    others = sorted(speakers.keys() - named, key=_hash)
    count = sum(_hash(name) < fraction * 2**64 for name in others)
    if fraction and (not count or count > len(others) * (1 + fraction) / 2):
        count = min(max(1, round(fraction * len(others))), len(others) - 1)
        notes.append(
            f"chance held out no speaker of {len(others)}, or almost all: the lowest {max(count, 0)} by hash are, which may change as the "
            "corpus grows; name speakers in prepare.eval_speakers to hold them out for good"
        )
    return frozenset(named.union(others[: max(count, 0)]))


class _Survey:
    """What one pass over the rows shows: who gave what to evaluation, and what chance would hold out."""

    def __init__(self, fraction: float, held_out: frozenset[str]):
        self.fraction, self.held_out = fraction, held_out
        self.rows = self.given = 0  # clips of speakers that are trained on, and how many of them the corpus gave to evaluation
        self.corpora: dict[str, bool] = {}  # whether all its clips were given to training, as in a corpus without a split
        self.draws = {"sentence": _Draw(fraction), "clip": _Draw(fraction)}
        self.given_sentences, self.unseen = _Hashes(), _Hashes()
        self.evaluated_speakers = set()  # by the corpus' own word

    def add(self, row: SplitRow) -> None:
        if row.split in EVALUATION_SETS:
            self.given_sentences.add(row.sentence)
        if row.speaker in self.held_out:
            self.unseen.add(row.sentence)
            return
        self.rows += 1
        self.corpora[row.corpus] = row.split == "train" and self.corpora.get(row.corpus, True)
        if row.split == "eval":
            self.given += 1
            self.evaluated_speakers.add(row.speaker)
            return
        self.draws["sentence"].add(row, row.sentence)
        self.draws["clip"].add(row, _hash(row.id))

    def refuse_emptiness(self) -> None:
        if self.rows < 2:
            raise DataError(
                f"only {self.rows} usable clip of speakers that are trained on: expected at least two, one for training and one for "
                "evaluation; hold out fewer (prepare.eval_speakers, prepare.eval_speaker_fraction)"
            )
        if self.given == self.rows:
            raise DataError("every usable clip is for evaluation: expected some for training; are those of metadata_train.csv rejected?")

    def plan(self, by: Literal["sentence", "clip"], notes: list[str]) -> SplitPlan:
        """Those below the fraction are drawn or, where these are none or almost all, those of the lowest hash."""
        draw, left = self.draws[by], self.rows - self.given
        drawing = frozenset(corpus for corpus, without_split in self.corpora.items() if without_split)
        clips, drawn = draw.below(drawing)
        if clips > left * (1 + self.fraction) / 2 and self.given:  # what the corpus itself gave is enough
            drawing, drawn = frozenset(), _Hashes()
        elif clips > left * (1 + self.fraction) / 2 or not (clips or self.given):
            drawing, drawn = frozenset(self.corpora), _Hashes(draw.lowest(most=max(1, int(max(self.fraction, _LARGE_SHARE) * left))))
            if not drawn and by == "sentence":
                notes.append("too few sentences to hold some out: the split goes by clip, and sentences are on both sides")
                return self.plan("clip", notes)
            notes.append(
                f"chance held out no {by}, or almost all: the lowest {len(drawn)} by hash are, which may change as the corpus grows"
            )
        return SplitPlan(by, self.held_out, (), drawing, drawn, self.given_sentences, _Hashes())

    def notes_on_speakers(self, plan: SplitPlan, trained: set[str]) -> Iterator[str]:
        if foreign := len(self.evaluated_speakers - trained):
            yield (
                f"{foreign} speakers of the corpus' own evaluation clips are not trained on, but the clips are in eval: name the speakers "
                "in prepare.eval_speakers to have them in eval_unseen_speaker"
            )
        if self.held_out and not any(map(plan.can_evaluate, self.unseen)):
            yield "every sentence of the held-out speakers is trained on with others, so none is evaluated: raise prepare.eval_fraction"


class _Draw:
    """Hashes of one unit (sentences, or clips) that chance may hold out."""

    def __init__(self, fraction: float):
        self.fraction, self.bound = fraction, int(fraction * 2**64)
        self.hashes: dict[tuple[str, bool], _Hashes] = defaultdict(_Hashes)  # of (corpus, whether it left the clip's split open)
        self.clips: Counter[tuple[str, bool]] = Counter()
        self.low: dict[int, int] = {}  # the lowest hashes -> their clips
        self.highest_low = 2**64

    def add(self, row: SplitRow, value: int) -> None:
        if value < self.bound:
            key = row.corpus, not row.split
            self.hashes[key].add(value)
            self.clips[key] += 1
        if value < self.highest_low or value in self.low:
            self.low[value] = self.low.get(value, 0) + 1
            if len(self.low) > _LOWEST:
                del self.low[max(self.low)]
                self.highest_low = max(self.low)

    def below(self, drawing: frozenset[str]) -> tuple[int, "_Hashes"]:
        """Clips below the fraction, of those left open and of the corpora `drawing`, and their hashes."""
        keys = [key for key in self.hashes if key[1] or key[0] in drawing]
        drawn = _Hashes()
        for key in keys:
            drawn.update(self.hashes[key])
        return sum(self.clips[key] for key in keys), drawn

    def lowest(self, most: int) -> list[int]:
        """A share of `fraction` of the lowest hashes, of no more than `most` clips together; [] where each of them has more."""
        chosen, clips = [], 0
        for value in sorted(self.low):
            if len(chosen) < max(1, round(self.fraction * len(self.low))) and clips + self.low[value] <= most:
                chosen.append(value)
                clips += self.low[value]
        return chosen


class _Hashes:
    """A set of 64-bit numbers, eight bytes each."""

    def __init__(self, values: Iterable[int] = ()):
        self._values, self._sorted = array("Q", sorted(set(values))), True
        self._compact_at = _COMPACT

    def add(self, value: int) -> None:
        self._values.append(value)
        self._sorted = False
        if len(self._values) >= self._compact_at:
            self._compact()
            self._compact_at = max(_COMPACT, 2 * len(self._values))

    def update(self, other: "_Hashes") -> None:
        self._values.extend(other._values)
        self._sorted = False

    def _compact(self) -> None:
        self._values = array("Q", np.unique(np.frombuffer(self._values, np.uint64)).tobytes()) if self._values else self._values
        self._sorted = True

    def __contains__(self, value: int) -> bool:
        if not self._sorted:
            self._compact()
        place = bisect_left(self._values, value)
        return place < len(self._values) and self._values[place] == value

    def __iter__(self) -> Iterator[int]:
        if not self._sorted:
            self._compact()
        return iter(self._values)

    def __len__(self) -> int:
        if not self._sorted:
            self._compact()
        return len(self._values)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
