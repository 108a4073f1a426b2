"""Pieces of text, each with its voice, are spoken together: generated in batches of similar lengths, guarded, vocoded, and the best kept.

B rows of a batch, S codes, D width, N samples.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from myxtts.audio.mel import log_mel_numpy, speaker_mel
from myxtts.audio.vad import speech_spans
from myxtts.audio.wave import resample
from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt import GPT
from myxtts.models.gpt_onnx import GPTSession
from myxtts.synthesis.generate import begin, longest_generation
from myxtts.synthesis.guards import Guarded, Intervention, longest_codes
from myxtts.synthesis.texts import Piece
from myxtts.synthesis.voice import Voice

if TYPE_CHECKING:
    from myxtts.synthesis.speech import Synthesizer

log = logging.getLogger("myxtts.synthesis")
SEED_STEP = 1_000_003  # between the candidates of one sentence
NOISE_SECONDS, NOISE_MARGIN = 0.4, 0.15  # after the last speech: more than the first is cut, the second is left
SHORT_SECONDS = 1.5  # at an ordinary pace: no text is short that lasts longer, in a language that writes words together
USUAL_PACE = 1.5  # by so much faster or slower than the ordinary pace costs a candidate nothing
# in a candidate's score, of a nat for each code: candidates of one sentence differ by 0.1 nat or so, which makes up for no cut
EVIDENCE_WEIGHT = 2.0


@dataclass(frozen=True)
class Job:
    """A piece of text to be spoken by a voice, with a seed."""

    piece: Piece
    voice: Voice
    seed: int


@dataclass
class Take:
    """A job once spoken: codes (S,), latents (S, D), wave (N,), whether the model ended it by itself, what the guards did to it.

    covered: share of the text that the codes looked at; evidence: by how many nats a code the text made them likelier; None where that is
    not known. score: higher is better, see `_score`.
    """

    job: Job
    codes: np.ndarray
    latents: np.ndarray = field(repr=False)
    stopped: bool
    interventions: list[Intervention]
    covered: float | None
    evidence: float | None = None
    wave: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    score: float = 0.0


def guarded(synthesizer: "Synthesizer", jobs: Sequence[Job], settings: SynthesisConfig) -> Guarded:
    """Begins to speak jobs together. Raises DataError as `begin`."""
    gpt = synthesizer.engine.gpt(settings)
    if settings.guidance_scale != 1 and not synthesizer.config.training.gpt.text_dropout:
        _warn_of_guidance()
    rows = [synthesizer.text_ids(job.piece.text, job.piece.language) for job in jobs]
    room = synthesizer.config.model.gpt.max_text_tokens // 2
    twice = [len(ids) <= room and _said_twice(job.piece, settings, gpt) for job, ids in zip(jobs, rows, strict=True)]
    heard_from = [0] * len(jobs)
    for row in np.flatnonzero(twice):
        heard_from[row] = len(rows[row]) - 1  # where its [STOP] was, it begins again
        rows[row] = synthesizer.text_ids(f"{jobs[row].piece.text} {jobs[row].piece.text}", jobs[row].piece.language)
    text_ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
    text_mask = np.zeros(text_ids.shape, bool)
    for row, ids in enumerate(rows):
        text_ids[row, : len(ids)], text_mask[row, : len(ids)] = ids, True
    generation = begin(
        synthesizer.model,
        np.concatenate([job.voice.latents for job in jobs]),
        text_ids,
        text_mask,
        settings,
        seed=[job.seed for job in jobs],
        max_codes=[max_codes(synthesizer, job.piece, settings, 1 + again) for job, again in zip(jobs, twice, strict=True)],
        gpt=gpt,
    )
    return Guarded(generation, settings.guards, synthesizer.config.model.codes_per_second, [len(ids) for ids in rows], heard_from)


@cache
def _warn_of_guidance() -> None:
    """Once, not for each sentence or scale."""
    log.warning(
        "synthesis.guidance_scale is not 1, but this model never met a clip without its text (training.gpt.text_dropout is 0): what it "
        "takes for speech without one is a guess; set guidance_scale: 1 unless you hear that it helps"
    )


def _said_twice(piece: Piece, settings: SynthesisConfig, gpt: GPT | GPTSession) -> bool:
    """Whether a piece is so short that it is said twice in one breath, of which the second is kept: with something before it, it is
    said better. Only where it is known which code says what."""
    short = len(piece.text.split()) <= settings.short_words and piece.ordinary_seconds <= SHORT_SECONDS
    return short and isinstance(gpt, GPTSession) and gpt.watched is not None


def max_codes(synthesizer: "Synthesizer", piece: Piece, settings: SynthesisConfig, times: int = 1) -> int:
    """The most codes that a piece may become, said so many times."""
    rate, longest = synthesizer.config.model.codes_per_second, longest_generation(synthesizer.model)
    return longest_codes(times * piece.ordinary_seconds, settings.guards.duration_factor, rate, longest)


def speak_jobs(synthesizer: "Synthesizer", jobs: Sequence[Job], settings: SynthesisConfig) -> tuple[list[Take], dict[str, float]]:
    """The best take of each job, and the seconds that generating and vocoding took.

    Jobs of similar lengths share a batch, so that few rows wait for others. What is said does not depend on it.
    """
    seconds = {"generate": 0.0, "vocode": 0.0}
    order = sorted(range(len(jobs)), key=lambda index: -len(jobs[index].piece.text))
    versions = [
        (index, Job(jobs[index].piece, jobs[index].voice, jobs[index].seed + SEED_STEP * number))
        for index in order
        for number in range(settings.candidates)
    ]
    best: dict[int, Take] = {}
    for first in range(0, len(versions), settings.batch_size):
        batch = versions[first : first + settings.batch_size]
        began = time.perf_counter()
        takes = _generate(synthesizer, [job for _, job in batch], settings)
        generated = time.perf_counter()
        for (index, _), take in zip(batch, takes, strict=True):
            _finish(synthesizer, take, settings)
            if index not in best or take.score > best[index].score:
                best[index] = take
        seconds["generate"] += generated - began
        seconds["vocode"] += time.perf_counter() - generated
    return [best[index] for index in range(len(jobs))], seconds


def _generate(synthesizer: "Synthesizer", jobs: Sequence[Job], settings: SynthesisConfig) -> list[Take]:
    speaking = guarded(synthesizer, jobs, settings)
    speaking.advance()
    takes = []
    for row, job in enumerate(jobs):
        noted = [replace(item, seconds=item.seconds / settings.speed) for item in speaking.interventions[row]]
        known = speaking.covered(row), speaking.evidence(row)
        takes.append(Take(job, speaking.codes(row), speaking.latents(row), speaking.stopped(row), noted, *known))
    return takes


def _finish(synthesizer: "Synthesizer", take: Take, settings: SynthesisConfig) -> None:
    """Vocodes a take, trims it, and scores it where there are others to choose from."""
    if settings.vocoder == "decoder":
        wave = synthesizer.vocode_latents(take.latents, take.job.voice, settings)
    else:
        wave = synthesizer.vocode_codes(take.codes, settings.griffin_lim_iterations, take.job.seed, settings.speed)
    take.wave = wave
    if settings.guards.trim_noise and (kept := without_noise(wave, synthesizer.sample_rate)) < len(wave):
        cut = f"cut: {(len(wave) - kept) / synthesizer.sample_rate:.2f} s after the last speech"
        take.interventions.append(Intervention("noise", kept / synthesizer.sample_rate, cut))
        take.wave = wave[:kept]
    if settings.candidates > 1:
        take.score = _score(synthesizer, take, settings)
    take.latents = take.latents[:0].copy()  # of a book they would be gigabytes


def without_noise(wave: np.ndarray, sample_rate: int) -> int:
    """How many samples of a wave (N,) are left without what follows its last speech; all where little does, or no speech is found."""
    spans = speech_spans(wave, sample_rate) if len(wave) > NOISE_SECONDS * sample_rate else []
    if not spans or len(wave) - spans[-1][1] <= NOISE_SECONDS * sample_rate:
        return len(wave)
    return spans[-1][1] + round(NOISE_MARGIN * sample_rate)


def _score(synthesizer: "Synthesizer", take: Take, settings: SynthesisConfig) -> float:
    """How good a take seems, by what can be measured without knowing the right one; higher is better.

    How much likelier the text made its codes (where guided: EVIDENCE_WEIGHT), likeness to the voice (cosine, by the model's own speaker
    encoder), the share of the text that was looked at, less what its duration is off an ordinary pace (beyond a usual factor, in natural
    logarithms), less 1 where it did not end by itself and 0.5 for each intervention.
    """
    ratio = len(take.codes) / synthesizer.config.model.codes_per_second / take.job.piece.ordinary_seconds
    off_pace = max(0.0, abs(np.log(max(ratio, 1e-3))) - np.log(USUAL_PACE))
    covered = 1.0 if take.covered is None else take.covered
    faults = (0 if take.stopped else 1) + 0.5 * len(take.interventions)
    return EVIDENCE_WEIGHT * (take.evidence or 0.0) + _likeness(synthesizer, take) + covered - off_pace - faults


def _likeness(synthesizer: "Synthesizer", take: Take) -> float:
    config = speaker_mel(synthesizer.config.model.speaker_encoder)
    low = resample(take.wave, synthesizer.sample_rate, config.sample_rate)
    if len(low) < config.sample_rate // 4 or not np.any(low):
        return 0.0
    embedding = np.asarray(synthesizer.model.speaker_encoder(log_mel_numpy(low, config)[None]))[0]
    voice = take.job.voice.embedding[0]
    return float(embedding @ voice / max(np.linalg.norm(embedding) * np.linalg.norm(voice), 1e-9))


def silence(seconds: float, sample_rate: int) -> np.ndarray:
    """So many seconds of zeros."""
    return np.zeros(round(seconds * sample_rate), np.float32)


def silence_between(last: Piece | None, piece: Piece) -> float:
    """Seconds of silence before a piece, after another one or at the beginning."""
    if piece.before is not None:
        return piece.before + (last.closing if last else 0.0)  # two marks that meet where parts of a text do
    return last.pause if last else 0.0


def joined(takes: Sequence[Take], sample_rate: int) -> Iterator[tuple[np.ndarray, float, float]]:
    """The waves of takes with the silences between them, each with the seconds where its speech begins and ends."""
    position = 0
    for number, take in enumerate(takes):
        pause = silence(silence_between(takes[number - 1].job.piece if number else None, take.job.piece), sample_rate)
        closing = silence(take.job.piece.closing, sample_rate)  # of a text's last piece alone
        start = position + len(pause)
        position = start + len(take.wave)
        yield np.concatenate([pause, take.wave, closing]), start / sample_rate, position / sample_rate
