"""One evaluated sentence: what was made of it, and what the metrics say of each kind of audio."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myxtts.audio import recognition
from myxtts.config import DataError
from myxtts.config.stages import EvaluateConfig
from myxtts.data.manifest import Utterance
from myxtts.evaluation.metrics import METRICS, Metric
from myxtts.evaluation.sound import Sound

FAILED_ERROR = 0.8  # an error rate from which on a sentence counts as not said at all
OF_THE_VOICE = ("speaker_similarity", "voiceprint_similarity")
OPINIONS = ("predicted_mos", "predicted_naturalness")
BY_WHISPER = ("character_error_rate", "word_error_rate", "sound_error_rate")


@dataclass
class Row:
    """One evaluated sentence. `omitted` says for each metric (or kind of audio) that could not be had, why."""

    utterance: Utterance
    reference: Utterance
    speech: str = "speech"  # the kind of audio that its spoken sentence is
    number: int = 0  # in its set
    sounds: dict[str, Sound] = field(default_factory=dict)
    voice: Sound | None = None  # the reference, where there is no recording of the sentence
    metrics: dict[str, float] = field(default_factory=dict)
    omitted: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    codes: int = 0
    speech_seconds: float = 0.0
    work_seconds: float = 0.0
    files: list[str] = field(default_factory=list)
    heard: dict[str, str] = field(default_factory=dict)  # kind of audio -> words or phones that a recogniser heard in it

    @property
    def recorded(self) -> bool:
        return bool(self.utterance.audio)

    def named(self, kind: str) -> str:
        """The kind of audio that figures are under: recordings of each set are the ceiling of their own set's speech."""
        return kind + self.speech.removeprefix("speech") if kind == "ground_truth" else kind

    @property
    def failed(self) -> bool:
        """Not spoken, not ended by the model itself, or hardly a word of it heard."""
        errors = [self.metrics.get(f"{self.speech}/{name}") for name in ("phone_error_rate", "sound_error_rate", "character_error_rate")]
        heard = next((error for error in errors if error is not None), 0.0)
        return self.speech in self.omitted or not self.stopped or heard >= FAILED_ERROR


def measure(row: Row, settings: EvaluateConfig, voices: Mapping[str, np.ndarray]) -> None:
    """Every metric on every kind of audio of a row, as far as it can judge that.

    voices: of each speaker the embedding (D,) by which it is recognised, without this sentence.
    """
    language, whisper = row.utterance.language, settings.whisper
    for name, metric in METRICS.items():
        if name in OPINIONS and row.number >= settings.num_opinions:
            continue
        if metric.languages and language not in metric.languages:
            row.omitted[name] = f"{name} judges {', '.join(metric.languages)}; this sentence is {language}"
        elif _left_to_phones(name, language, whisper):
            row.omitted[name] = f"{name} takes Whisper, evaluate.whisper: {whisper}; this sentence is {language}"
        else:
            for kind in row.sounds:
                _judge(row, kind, name, metric)
    for kind, sound in row.sounds.items():
        _recognise_voice(row, kind, sound, voices)
        said = sound.__dict__.get("words") or " ".join(sound.__dict__.get("phones", ()))  # what a metric has asked for
        if said:
            row.heard[kind] = said


def _left_to_phones(name: str, language: str, whisper: str) -> bool:
    """Whether Whisper would have to hear this, and is not to."""
    known = recognition.knows(language)
    if name == "hallucination_rate":
        return whisper == "never" and not known
    return name in BY_WHISPER and (whisper == "never" or (whisper == "where_needed" and known))


def _judge(row: Row, kind: str, name: str, metric: Metric) -> None:
    sound, truth = row.sounds[kind], row.sounds.get("ground_truth")
    spoken, named = kind == row.speech, row.named(kind)
    if (spoken and metric.copies_only) or (kind == "ground_truth" and metric.needs == "reference"):
        return
    if metric.needs == "reference" and truth is None and name not in OF_THE_VOICE:
        return  # nobody recorded this sentence
    try:
        if metric.needs == "text":
            value = metric.function(sound, row.utterance.normalized)
        elif metric.needs == "reference":
            value = metric.function(sound, truth or row.voice, aligned=spoken)
        else:
            value = metric.function(sound)
    except DataError as error:
        unfit = metric.needs == "reference" and not _can_judge(metric, truth or row.voice)
        row.omitted[name if unfit else f"{named}/{name}"] = str(error)  # of a sentence that is unfit for it, it says nothing of its kinds
    else:
        row.metrics[f"{named}/{name}"] = float(value)


def _can_judge(metric: Metric, recording: Sound) -> bool:
    """Whether a metric that needs a reference can compare a recording with itself: a word alone is too short for some."""
    try:
        metric.function(recording, recording, aligned=False)
    except DataError:
        return False
    return True


def _recognise_voice(row: Row, kind: str, sound: Sound, voices: Mapping[str, np.ndarray]) -> None:
    """`<kind>/voice_recognised`: 1 where no other speaker is more like it than its own, else 0. Takes two speakers."""
    if len(voices) < 2 or row.utterance.speaker not in voices:
        return
    try:
        likeness = {speaker: float(sound.embedding @ voice) for speaker, voice in voices.items()}
    except DataError:
        return  # speaker_similarity has said why
    row.metrics[f"{row.named(kind)}/voice_recognised"] = float(max(likeness, key=likeness.get) == row.utterance.speaker)


def sample(row: Row, names: list[str]) -> dict[str, Any]:
    """A row of samples.json, the same keys in each: a metric that was not measured is null."""
    return {
        "id": row.utterance.id,
        "text": row.utterance.text,
        "normalized": row.utterance.normalized,
        "heard": row.heard.get(row.speech, ""),
        "heard_ground_truth": row.heard.get("ground_truth", ""),
        "language": row.utterance.language,
        "speaker": row.utterance.speaker,
        "set": row.utterance.split,
        "reference": row.reference.id,
        "stopped": row.stopped,
        "codes": row.codes,
        "speech_seconds": round(row.speech_seconds, 3),
        "work_seconds": round(row.work_seconds, 3),
        **{name: round(row.metrics[name], 4) if name in row.metrics else None for name in names},
        "omitted": row.omitted,
        "files": row.files,
    }
