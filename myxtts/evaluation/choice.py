"""Which sentences are evaluated, and which recording speaks for each voice."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from myxtts.config import DataError
from myxtts.config.stages import EVALUATION_SETS, EvaluateConfig
from myxtts.data.manifest import Utterance, has_split, iter_split, read_split
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize

# evaluation set -> the kind of audio (KINDS) that its spoken sentences are
SPEECH_OF = {"eval": "speech", "eval_unseen_speaker": "speech_unseen_speaker", **{name: f"speech_{name}" for name in EVALUATION_SETS}}
CROSS_LINGUAL = "cross_lingual"  # the only one of EVALUATION_SETS whose sentences were recorded


@dataclass(frozen=True)
class Chosen:
    """A sentence of an evaluation set, and the clip that its voice is taken from. A sentence that nobody recorded has no `audio`."""

    utterance: Utterance
    reference: Utterance

    @property
    def speech(self) -> str:
        """Kind of audio that the spoken sentence is."""
        return SPEECH_OF[self.utterance.split]


def choose_sentences(processed: Path, settings: EvaluateConfig, seed: int, texts: Path | None = None) -> list[Chosen]:
    """Up to `num_sentences` of `eval`, as many of unseen speakers, then up to `sentences_per_set` of each of `settings.sets`.

    processed: a prepared data set. texts: the folder of `<language>.yaml`, each with lists `short`, `long` and `numbers`; a language
    without a file has no sentences of these sets, which is said. Raises DataError where there is no prepared data, or a file is not one.
    """
    held_out = read_split(processed, "eval")
    rows = choose_rows(held_out, settings.num_sentences, seed)
    speakers = {row.speaker for row in held_out if settings.sets} | {row.speaker for row in rows}
    trained_on = [row for row in iter_split(processed, "train") if row.speaker in speakers]
    chosen = [Chosen(row, choose_reference(row, held_out, trained_on)) for row in rows]
    if has_split(processed, "eval_unseen_speaker"):
        unseen = read_split(processed, "eval_unseen_speaker")
        clips = Counter(row.speaker for row in unseen)
        # the voice of an only clip would be taken from the very sentence that it is judged by
        several = [row for row in unseen if clips[row.speaker] > 1] or unseen
        chosen += [Chosen(row, choose_reference(row, unseen, [])) for row in choose_rows(several, settings.num_sentences, seed)]
    for name in settings.sets:
        if name == CROSS_LINGUAL:
            chosen += _cross_lingual(held_out, trained_on, settings.sentences_per_set, seed)
        else:
            chosen += _unrecorded(name, texts, held_out, trained_on, settings.sentences_per_set, seed)
    return chosen


def _cross_lingual(held_out: Sequence[Utterance], trained_on: Sequence[Utterance], count: int, seed: int) -> list[Chosen]:
    """Held-out sentences of speakers of several languages, each with a reference in another one; [] where no speaker has two."""
    every = [*held_out, *trained_on]
    spoken: dict[str, set[str]] = defaultdict(set)
    for row in every:
        spoken[row.speaker].add(row.language)
    rows = choose_rows([row for row in held_out if len(spoken[row.speaker]) > 1], count, seed)
    chosen = []
    for row in rows:
        others = [other for other in held_out if other.language != row.language]
        reference = choose_reference(row, others, [other for other in trained_on if other.language != row.language])
        chosen.append(Chosen(replace(row, id=f"{CROSS_LINGUAL}_{row.id}", split=CROSS_LINGUAL), reference))
    return chosen


def _unrecorded(
    name: str, texts: Path | None, held_out: Sequence[Utterance], trained_on: Sequence[Utterance], count: int, seed: int
) -> list[Chosen]:
    """Texts of a set in each language of the held-out clips, dealt to its speakers in turn."""
    by_language: dict[str, list[Utterance]] = defaultdict(list)
    for row in sorted(held_out, key=lambda row: (row.language, row.speaker, row.id)):
        by_language[row.language].append(row)
    rows = []
    for language, clips in by_language.items():
        speakers = list(dict.fromkeys(row.speaker for row in clips))
        for number, text in enumerate(_texts(texts, language).get(name, ())):
            speaker = speakers[number % len(speakers)]
            normal = normalize(text, language)
            rows.append(Utterance(f"{name}_{language}_{number + 1:02d}", "", text, normal, speaker, language, split=name))
    dealt = choose_rows([replace(row, speaker="") for row in rows], count, seed)  # languages in turn, whoever speaks
    named = {row.id: row for row in rows}
    return [Chosen(named[row.id], choose_reference(named[row.id], held_out, trained_on)) for row in dealt]


def _texts(folder: Path | None, language: str) -> dict[str, list[str]]:
    """The lists of a language's file; {} where it has none."""
    path = folder / f"{get_language(language).code}.yaml" if folder else None
    if path is None or not path.is_file():
        where = f"{folder} has no {path.name}" if path else "no folder of texts was given"
        print(f"evaluate.sets: no texts in {language}, for {where}: write one like en.yaml to have them spoken", flush=True)
        return {}
    try:
        lists = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return {name: [str(text) for text in lists[name]] for name in EVALUATION_SETS if name in lists}
    except (OSError, UnicodeDecodeError, YAMLError, TypeError) as error:
        raise DataError(f"{path} is no file of texts: expected lists named short, long, numbers; {error}") from None


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
