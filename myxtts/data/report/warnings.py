"""What a person should know before training on a corpus: each finding with the threshold it passes and what to do."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myxtts.data.report.counts import ClipCounts, RejectCounts
from myxtts.data.report.measures import number

LEAST_MINUTES = 10  # of a language
MOST_OF_ONE_SPEAKER = 0.8
RARE = 5  # a character that is seen less often is not learnt
MOST_REJECTED = 0.1
LEAST_BANDWIDTH_HZ = 7000
LEAST_EVALUATION_CLIPS = 20
_NAMED = 12  # characters, languages or corpora in one sentence


@dataclass(frozen=True)
class Finding:
    """found: what is so, with the threshold; remedy: what to do."""

    found: str
    remedy: str


def find_warnings(
    counts: ClipCounts,
    rejects: RejectCounts,
    corpora: Mapping[str, Mapping[str, Any]],
    characters: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> list[Finding]:
    """All that is wrong, what weighs most first."""
    return [
        *_rights(corpora),
        *_amounts(counts),
        *_evaluation(counts),
        *_quality(counts, rejects),
        *_characters(characters),
    ]


def _rights(corpora: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    found = []
    for what, key in (("licence", "licence"), ("consent of the speakers", "consent")):
        names = [name for name, corpus in corpora.items() if not corpus.get(key)]
        if names:
            where = f"corpus {_listed(names)}" if len(names) == 1 else f"corpora {_listed(names)}"
            found.append(
                Finding(
                    f"The {what} of {where} is not stated.",
                    f"Set {key} in data.source (or of the corpus in data.source.corpora); the model card says it.",
                )
            )
    return found


def _amounts(counts: ClipCounts) -> list[Finding]:
    found = []
    total = counts.sums.total()[1]
    short = [(language, seconds) for language, _, seconds, _ in counts.sums.by("language") if seconds < LEAST_MINUTES * 60]
    if short:
        named = _listed(f"{language} {seconds / 60:.1f}" for language, seconds in short)
        found.append(
            Finding(
                f"Less than {LEAST_MINUTES} minutes of speech in a language: {named}.",
                "Add recordings, or start from a model that speaks the language (start.model).",
            )
        )
    speakers = counts.sums.total()[2]
    for speaker, _, seconds, _ in counts.sums.speakers(1):
        if speakers > 1 and seconds > MOST_OF_ONE_SPEAKER * total:
            found.append(
                Finding(
                    f"Speaker {speaker} has {seconds / total:.0%} of all speech, more than {MOST_OF_ONE_SPEAKER:.0%}.",
                    "Other voices will sound like this one: add recordings of the others, or give their corpus more weight.",
                )
            )
    return found


def _evaluation(counts: ClipCounts) -> list[Finding]:
    """Of each evaluation set that there is, the languages that have too few clips in it, none among them."""
    found = []
    trained = counts.sums.languages("train")
    for split, *_ in counts.sums.by("split"):
        if split == "train":
            continue
        clips = counts.sums.languages(split)
        # speakers are held out, not languages: one without any in that set is no fault
        asked = trained | clips if split == "eval" else clips
        few = [f"{language} {clips.get(language, 0)}" for language in sorted(asked) if clips.get(language, 0) < LEAST_EVALUATION_CLIPS]
        if few:
            unseen = ", or hold out more speakers (prepare.eval_speakers, prepare.eval_speaker_fraction)"
            found.append(
                Finding(
                    f"Evaluation set {'eval_seen' if split == 'eval' else split} has fewer than {LEAST_EVALUATION_CLIPS} clips of a "
                    f"language: {_listed(few)}.",
                    f"Figures measured on it differ by chance: raise prepare.eval_fraction{unseen if split != 'eval' else ''}.",
                )
            )
    return found


def _quality(counts: ClipCounts, rejects: RejectCounts) -> list[Finding]:
    found = []
    rows = counts.sums.total()[0] + rejects.total
    if rejects.total > MOST_REJECTED * rows:
        reason, often = next(iter(rejects.reasons.items()))
        found.append(
            Finding(
                f"{rejects.total:,} of {rows:,} rows ({rejects.total / rows:.1%}) are rejected, more than {MOST_REJECTED:.0%}; "
                f"most of them ({often:,}) as {reason}.",
                "Listen to the examples below: mend the corpus, or change the rule in params.yaml, prepare.",
            )
        )
    bandwidth = counts.kept["bandwidth_hz"]
    if bandwidth.total and bandwidth.quantile(0.5) < LEAST_BANDWIDTH_HZ:
        found.append(
            Finding(
                f"The median bandwidth is {number(bandwidth.quantile(0.5))} Hz, less than {LEAST_BANDWIDTH_HZ:,}: the recordings are dull.",
                "A model learns to sound like them: take recordings of 16 kHz or more that were never a telephone call or a low-rate MP3.",
            )
        )
    return found


def _characters(characters: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[Finding]:
    found = []
    for language, used in sorted(characters["used"].items()):
        rare = sorted((character for character, count in used.items() if count < RARE), key=lambda item: (used[item], item))
        if rare:
            found.append(
                Finding(
                    f"Language {language}: {len(rare)} of {len(used)} characters are seen fewer than {RARE} times: {_isolated(rare)}.",
                    "What they sound like is not learnt from so few: add sentences that hold them, or write them otherwise.",
                )
            )
    for language, removed in sorted(characters["removed"].items()):
        letters = sorted(item for item in removed if unicodedata.category(item[:1] or " ") in ("Ll", "Lu", "Lt", "Lo"))
        if letters:
            found.append(
                Finding(
                    f"Language {language}: letters that it does not have are removed from its texts: {_isolated(letters)}.",
                    "What was said is then not in the text: check the language of these rows, or spell them otherwise.",
                )
            )
    return found


def shown_character(character: str) -> str:
    """A character as it can be seen: a mark on a circle, a space or a sign without shape by its code."""
    category = unicodedata.category(character[0]) if character else ""
    if category in ("Mn", "Mc", "Me"):
        return f"\u25cc{character}"
    if character == " ":
        return "space"
    return f"U+{ord(character[0]):04X}" if category[:1] in ("C", "Z") else character


def _isolated(characters) -> str:
    """Characters in a row, each apart: letters that are written from the right do not turn the row around."""
    return _listed(f"\u2068{shown_character(character)}\u2069" for character in characters)


def _listed(names) -> str:
    names = list(names)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
