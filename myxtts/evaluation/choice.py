"""Which held-out sentences are evaluated, and which recording speaks for each voice."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.data.manifest import Utterance, has_split, iter_split, read_split

# evaluation set -> the kind of audio (KINDS) that its spoken sentences are
SPEECH_OF = {"eval": "speech", "eval_unseen_speaker": "speech_unseen_speaker"}


@dataclass(frozen=True)
class Chosen:
    """A sentence of an evaluation set, and the clip that its voice is taken from."""

    utterance: Utterance
    reference: Utterance

    @property
    def speech(self) -> str:
        """Kind of audio that the spoken sentence is."""
        return SPEECH_OF[self.utterance.split]


def choose_sentences(processed: Path, count: int, seed: int) -> list[Chosen]:
    """Up to `count` sentences of each evaluation set that a processed data set has, those of `eval` first.

    Raises DataError where there is no prepared data.
    """
    held_out = read_split(processed, "eval")
    rows = choose_rows(held_out, count, seed)
    speakers = {row.speaker for row in rows}
    trained_on = [row for row in iter_split(processed, "train") if row.speaker in speakers]
    chosen = [Chosen(row, choose_reference(row, held_out, trained_on)) for row in rows]
    if has_split(processed, "eval_unseen_speaker"):
        unseen = read_split(processed, "eval_unseen_speaker")
        clips = Counter(row.speaker for row in unseen)
        # the voice of an only clip would be taken from the very sentence that it is judged by
        several = [row for row in unseen if clips[row.speaker] > 1] or unseen
        chosen += [Chosen(row, choose_reference(row, unseen, [])) for row in choose_rows(several, count, seed)]
    return chosen


def choose_rows(rows: Sequence[Utterance], count: int, seed: int) -> list[Utterance]:
    """`count` rows, dealt in turn from each (language, speaker), each group in an order that the seed decides."""
    groups: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        groups[row.language, row.speaker].append(row)
    for key, group in groups.items():
        random.Random(f"{seed} {key}").shuffle(group)
    speakers: dict[str, int] = defaultdict(int)
    turns = {}
    for language, speaker in sorted(groups):  # first one speaker of every language, then a second one, ...
        turns[speakers[language], language] = groups[language, speaker]
        speakers[language] += 1
    queues = [turns[key] for key in sorted(turns)]
    dealt = [queue[turn] for turn in range(max(map(len, queues), default=0)) for queue in queues if turn < len(queue)]
    return dealt[:count]


def choose_reference(utterance: Utterance, held_out: Sequence[Utterance], trained_on: Sequence[Utterance]) -> Utterance:
    """The longest other clip of the same speaker: of the same language if there is one, held out rather than trained on.

    Never the clip itself, unless it is the speaker's only one.
    """
    unseen = {row.id for row in held_out}
    others = [row for row in (*held_out, *trained_on) if row.speaker == utterance.speaker and row.id != utterance.id]
    if not others:
        return utterance
    return max(others, key=lambda row: (row.language == utterance.language, row.id in unseen, row.seconds or 0.0, row.id))
