"""What a user imports: a Voice from a few seconds of speech, and a Synthesizer that speaks with it.

    synthesizer = Synthesizer.load("models/myxtts")
    voice = synthesizer.voice("me.wav")
    synthesizer.speak("How do you do?", voice, "en").save("out.wav")

L conditioning latents, D width, E speaker embedding, S codes, N samples, F frames, M mel bands.
"""

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from myxtts.audio import formats
from myxtts.audio import wave as wave_io
from myxtts.audio.griffin_lim import griffin_lim
from myxtts.audio.mel import dvae_mel
from myxtts.config import DataError, ModelError, XTTSConfig
from myxtts.config.stages import SynthesisConfig
from myxtts.models.folder import (
    BUNDLE_FILE,
    COMPONENTS,
    PARAMS,
    TOKENIZER,
    bundle_files,
    listed_components,
    read_json,
    refuse_checkpoint,
    weight_file,
)
from myxtts.models.hifigan import interpolate
from myxtts.models.xtts import XTTS, weights_digest
from myxtts.synthesis.engine import Engine, uses_onnxruntime
from myxtts.synthesis.generate import longest_generation, sound_codes
from myxtts.synthesis.guards import Intervention
from myxtts.synthesis.stream import CHUNK_CODES, FIRST_CHUNK_CODES, arriving, faded_chunks, latent_chunks, vocode_chunks
from myxtts.synthesis.takes import Job, Take, guarded, joined, silence, silence_between, speak_jobs, without_noise
from myxtts.synthesis.texts import Piece, breaks_of, cut_text, marked_seconds, without_breaks
from myxtts.synthesis.voice import VOICE_SUFFIX, Voice
from myxtts.text.guess import guess_among
from myxtts.text.languages import get_language
from myxtts.text.tokenizer import Tokenizer, name_characters

ROOM_SHARE = 0.75  # of the longest generation that a sentence at an ordinary pace may fill: slow speakers need the rest
AUTO = "auto"
GUESS_CHARACTERS = 1000  # of a text that arrives, from whose end its language is found


@dataclass(frozen=True)
class Line:
    """A text to be spoken: by which voice, in which language (a code, or "auto"), with which seed."""

    text: str
    voice: Voice
    language: str
    seed: int = 0


@dataclass(frozen=True)
class Sentence:
    """One sentence of a Speech: what was spoken (normalised), where it lies in the waveform (seconds), and from which codes.

    stopped: False = the model did not end the sentence by itself, or went on beyond its text; it was cut. interventions: what the
    guards did. covered: share of the text that the codes looked at, None where that is not known.
    """

    text: str
    start: float
    end: float
    codes: np.ndarray = field(repr=False)
    stopped: bool
    language: str = ""
    interventions: tuple[Intervention, ...] = ()
    covered: float | None = None


@dataclass(frozen=True)
class Speech:
    """waveform (N,) float32 in [-1, 1] at sample_rate Hz, its sentences, and the seconds of work: text, generate, vocode, total.

    Of texts that were spoken together, each has the share of the work that its codes have of all.
    """

    waveform: np.ndarray = field(repr=False)
    sample_rate: int
    sentences: tuple[Sentence, ...]
    timings: dict[str, float]

    @property
    def seconds(self) -> float:
        """Duration of the waveform."""
        return len(self.waveform) / self.sample_rate

    @property
    def codes(self) -> list[np.ndarray]:
        """Codes (S,) of each sentence."""
        return [sentence.codes for sentence in self.sentences]

    @property
    def stopped(self) -> bool:
        """True where the model ended every sentence by itself."""
        return all(sentence.stopped for sentence in self.sentences)

    @property
    def interventions(self) -> list[str]:
        """What the guards did, in words, each with the sentence's number."""
        return [f"sentence {number}: {item}" for number, sentence in enumerate(self.sentences, 1) for item in sentence.interventions]

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of speech; the first call with a new length of text holds compilation."""
        return self.timings["total"] / self.seconds if self.seconds else float("inf")

    def save(self, path: str | Path) -> None:
        """Writes a file of the format that its name asks for (.wav, .flac, .mp3, .opus). Raises DataError for another, or where the disk is
        full or the path cannot be written."""
        formats.save(path, self.waveform, self.sample_rate)


class Synthesizer:
    """Model, tokenizer and configuration, ready to speak."""

    def __init__(
        self,
        config: XTTSConfig,
        model: XTTS,
        tokenizer: Tokenizer,
        alignment_head: tuple[int, int] | None = None,
        weights: Path | None = None,
    ):
        """alignment_head, weights: as for Engine."""
        if tokenizer.size > config.model.num_text_tokens:
            raise ModelError(
                f"the tokenizer holds {tokenizer.size} tokens, the model embeds {config.model.num_text_tokens}: "
                "they are not of one training; take both from one bundle"
            )
        self.config, self.model, self.tokenizer = config, model, tokenizer
        self.engine = Engine(model, alignment_head, weights)

    @classmethod
    def load(cls, folder: str | Path, changes: Sequence[str] = (), whole: bool = False) -> "Synthesizer":
        """Reads a bundle (`models.folder.bundle_files`), a folder or `models:/name@alias`, `models:/name/version` of the registry that
        this working folder belongs to. Raises ModelError naming what is missing or does not fit.

        A bundle that was imported without its audio tokenizer says so in its bundle.json; it speaks by its decoder alone.
        changes: settings of synthesis in place of the bundle's, as `name=value` ("weights=int8", "guards.tail_seconds=0.5").
        whole: with the GPT's blocks in TensorFlow, which takes twice the memory, though ONNX Runtime speaks: for evaluating a model, for
        changing its weights, and for settings of `speak` that ask for another engine than these.
        """
        if re.match(r"(models|runs|mlflow-artifacts|s3|gs|https?):/", str(folder)):
            from myxtts.serving.registry import resolve  # upwards, because it is asked for by a name that only the registry knows

            folder = resolve(folder, Path.cwd())
        folder = Path(folder)
        refuse_checkpoint(folder)
        described = folder / BUNDLE_FILE
        # a folder of weights alone speaks too
        values = read_json(described) if described.is_file() else {}
        components = listed_components(values, described) if values else COMPONENTS
        missing = [name for name in bundle_files(components) if not (folder / name).is_file()]
        if missing:
            state = "lacks " + ", ".join(missing) if folder.is_dir() else "does not exist"
            raise ModelError(
                f"expected a model bundle ({', '.join(bundle_files())}) in {folder}; it {state}: make one (dvc repro bundle) or "
                "copy the whole folder"
            )
        config = XTTSConfig.load(folder / PARAMS, [f"synthesis.{change}" for change in changes])
        model = XTTS.load(folder, config.model, components, blocks=whole or not uses_onnxruntime(config.synthesis)).fold()
        head = _head(values.get("alignment_head"), config, described)
        return cls(config, model, Tokenizer.load(folder / TOKENIZER), head, folder / weight_file("gpt"))

    @property
    def sample_rate(self) -> int:
        """Hz of what it speaks."""
        return self.config.model.audio.output_sample_rate

    @cached_property
    def voice_networks(self) -> str:
        """Names the networks that make a voice, by their weights."""
        gpt = self.model.gpt
        parts = (gpt.conditioning_encoder, gpt.perceiver, self.model.speaker_encoder)
        return hashlib.sha256("".join(weights_digest(part) for part in parts).encode()).hexdigest()[:16]

    def voice(self, paths: str | Path | Sequence[str | Path], weights: Sequence[float] | None = None) -> Voice:
        """A voice from recordings (see Voice.from_audio), or from files that Voice.save wrote, of which several are mixed.

        weights: the share of each saved voice, see Voice.mix. Raises DataError where a saved voice is another model's, or where
        both kinds are given.
        """
        paths = [paths] if isinstance(paths, str | Path) else list(paths)
        saved = [Voice.load(path) for path in paths if Path(path).suffix == VOICE_SUFFIX]
        if not saved and weights is None:
            return Voice.from_audio(paths, self)
        if 0 < len(saved) < len(paths):
            raise DataError("expected recordings or saved voices; got both: save a voice of the recordings first (myxtts voice)")
        voice = Voice.mix(saved, weights)
        self.check_voice(voice)
        return voice

    def check_voice(self, voice: Voice) -> None:
        """Raises DataError where a voice is not of this model: it would speak, and be nobody."""
        if voice.networks and voice.networks != self.voice_networks:
            raise DataError("the voice was made with another model, whose networks say it otherwise: make it again from its recordings")

    def speak(self, text: str, voice: Voice, language: str, seed: int = 0, settings: SynthesisConfig | None = None) -> Speech:
        """Speaks a text of any length: normalised, cut into sentences, spoken in batches, joined with pauses.

        language: a code, or "auto". `[break]`, `[break 0.5s]` and `[break 300ms]` in the text are silences. The same text, voice,
        settings and seed give the same speech, and a sentence the same codes whatever stands around it. settings: those of the bundle
        where None. Raises DataError for an empty text, a language the tokenizer was not trained on, or characters it does not know.
        """
        return self.speak_all([Line(text, voice, language, seed)], settings)[0]

    def speak_all(self, lines: Sequence[Line], settings: SynthesisConfig | None = None) -> list[Speech]:
        """Speaks several texts, each with its voice, together: what `speak` gives for each, in less time. Raises as `speak` does."""
        settings = settings or self.config.synthesis
        for line in lines:
            _check_is_voice(line.voice)
        if settings.vocoder == "griffin_lim":
            self.model.component("dvae")  # a model without one says so now and not after generating
        began = time.perf_counter()
        jobs = [[Job(piece, line.voice, line.seed) for piece in self.pieces(line.text, line.language, settings)] for line in lines]
        text_seconds = time.perf_counter() - began
        takes, seconds = speak_jobs(self, [job for part in jobs for job in part], settings)
        waiting, total = iter(takes), sum(len(take.codes) for take in takes)
        speeches = []
        for part in jobs:
            mine = [next(waiting) for _ in part]
            share = sum(len(take.codes) for take in mine) / max(total, 1)
            timings = {name: value * share for name, value in ({"text": text_seconds} | seconds).items()}
            speeches.append(self._join(mine, timings | {"total": sum(timings.values())}))
        return speeches

    def stream(
        self,
        text: str | Iterable[str],
        voice: Voice,
        language: str,
        seed: int = 0,
        settings: SynthesisConfig | None = None,
        chunk_codes: int = CHUNK_CODES,
        first_chunk_codes: int = FIRST_CHUNK_CODES,
    ) -> Iterator[np.ndarray]:
        """Yields what `speak` says as pieces of wave (N,), from `chunk_codes` codes each, while the codes are still being generated.

        text: whole, or in parts as they come, of which a sentence is spoken once the next one has begun or its line has ended.
        Together the pieces are the waveform of `speak`, but for what a guard cuts after it was sent (a repetition; noise, but from a
        sentence's last piece); with `synthesis.coqui_compatible` they are cross-faded where they meet, and no noise is cut.
        One version of each sentence is spoken, whatever `synthesis.candidates` says. With Griffin-Lim, which has no chunks, a piece is
        a whole sentence. Raises as `speak` does, when its first piece is asked for.
        """
        _check_is_voice(voice)
        settings = (settings or self.config.synthesis).model_copy(update={"candidates": 1})
        parts = [text] if isinstance(text, str) else arriving(text, self._split_language(language))
        last, marks, heard = None, "", ""
        for part in parts:
            if not isinstance(text, str) and not any(map(str.isalnum, without_breaks(part))):
                marks += breaks_of(part)
                continue  # a line of dashes, among others that hold words
            heard = (heard + part)[-GUESS_CHARACTERS:]
            # of a text that arrives, what came before tells more than a sentence alone
            code = self.language_code(language, part if isinstance(text, str) else heard)
            for piece in self.pieces(marks + part, code, settings):
                if pause := silence_between(last, piece):
                    yield silence(pause, self.sample_rate)
                yield from self._stream_piece(Job(piece, voice, seed), settings, chunk_codes, first_chunk_codes)
                last = piece
            marks = ""
        if not last:
            raise DataError("there is nothing to speak in what came: expected a text with words")
        if closing := last.closing + marked_seconds(marks):
            yield silence(closing, self.sample_rate)

    def _stream_piece(self, job: Job, settings: SynthesisConfig, chunk_codes: int, first_codes: int) -> Iterator[np.ndarray]:
        if settings.vocoder != "decoder":
            yield speak_jobs(self, [job], settings)[0][0].wave
            return
        speaking = guarded(self, [job], settings)
        if settings.coqui_compatible:
            chunks = latent_chunks(speaking, chunk_codes)
            yield from faded_chunks(lambda latents: self.vocode_latents(latents, job.voice, settings), chunks)
            return
        chunks = latent_chunks(speaking, chunk_codes, min(first_codes, chunk_codes))
        for piece in vocode_chunks(self.engine.decoder(settings), chunks, job.voice.embedding, settings.speed):
            last = speaking.finished  # of what has ended, all that is left comes in one piece
            yield piece[: without_noise(piece, self.sample_rate)] if last and settings.guards.trim_noise else piece

    def prepare_text(self, text: str, language: str) -> list[str]:
        """Normalised sentences, each short enough for the model. Raises DataError as `speak` does."""
        return [piece.text for piece in self.pieces(text, language)]

    def pieces(self, text: str, language: str, settings: SynthesisConfig | None = None) -> list[Piece]:
        """What is spoken at once, each with the silence after it. Raises DataError as `speak` does."""
        code = self.language_code(language, text)
        pieces = cut_text(text, code, self.config.prepare.cleaners, settings or self.config.synthesis, self._fits)
        if not pieces:
            raise DataError(f"there is nothing to speak in {text!r}: expected a text with words")
        if unknown := self.tokenizer.unknown_characters("".join(piece.text for piece in pieces), code):
            first = next(piece.text for piece in pieces if self.tokenizer.unknown_characters(piece.text, code))
            raise DataError(
                f"the tokenizer of this model does not know {name_characters(unknown)}, first in {first!r} (as it is read: numbers and "
                "abbreviations in words): remove or replace them, or train with such texts"
            )
        return pieces

    def language_code(self, language: str, text: str = "") -> str:
        """The code under which the tokenizer knows a language ("en-us" -> "en"); "auto": that of the text.

        Raises DataError naming those it knows, or where the text does not tell.
        """
        if language == AUTO:
            return guess_among(without_breaks(text), self.tokenizer.languages)
        try:
            code = get_language(language).code
        except DataError:
            code = ""
        if code not in self.tokenizer.languages:
            known = ", ".join(self.tokenizer.languages)
            raise DataError(f"this model speaks {known}; it was not trained on {language!r}: choose one of them, or train it")
        return code

    def _split_language(self, language: str) -> str:
        """Whose rules find the ends of sentences in a text that is still arriving."""
        return self.tokenizer.languages[0] if language == AUTO else self.language_code(language)

    def _fits(self, piece: Piece) -> bool:
        """Whether a piece keeps to the text and audio lengths that the model was made for."""
        room = ROOM_SHARE * longest_generation(self.model) / self.config.model.codes_per_second
        fits = len(self.text_ids(piece.text, piece.language)) <= self.config.model.gpt.max_text_tokens
        return fits and piece.ordinary_seconds <= room

    def vocode_codes(self, codes: np.ndarray, iterations: int, seed: int = 0, speed: float = 1.0) -> np.ndarray:
        """codes (S,) -> wave (N,) float32 in [-1, 1] at `sample_rate`, empty of no codes: audio tokenizer, `iterations` of Griffin-Lim."""
        audio = self.config.model.audio
        codes = sound_codes(codes, self.config.model.dvae.num_codes)  # `coqui_compatible` may draw [START]
        if not len(codes):
            return np.zeros(0, np.float32)
        mel = np.asarray(self.model.dvae.decode(codes[None]))[0] * self.model.mel_norm  # (F, M)
        if speed != 1:
            mel = np.asarray(interpolate(mel[None], max(1 / speed, 2 / len(mel))))[0]  # Griffin-Lim needs two frames
        low = griffin_lim(mel, dvae_mel(audio), iterations, seed)
        return _below_full_scale(wave_io.resample(low, audio.input_sample_rate, self.sample_rate))

    def vocode_latents(self, latents: np.ndarray, voice: Voice, settings: SynthesisConfig | None = None) -> np.ndarray:
        """The GPT's latents (S, D) of the codes -> wave (N,) float32 in [-1, 1] at `sample_rate`, by the decoder."""
        settings = settings or self.config.synthesis
        if not len(latents):
            return np.zeros(0, np.float32)
        decoder = self.engine.decoder(settings)
        frames = decoder.frames(latents[None], settings.speed)
        return _below_full_scale(np.asarray(decoder.from_frames(frames, voice.embedding))[0])

    def text_ids(self, sentence: str, language: str) -> list[int]:
        """A normalised sentence as the GPT reads it: [START], [lang], the text, [STOP]."""
        return [self.tokenizer.start_id, *self.tokenizer.encode(sentence, language), self.tokenizer.stop_id]

    def _join(self, takes: list[Take], timings: dict[str, float]) -> Speech:
        waves, sentences = [], []
        for take, (wave, start, end) in zip(takes, joined(takes, self.sample_rate), strict=True):
            waves.append(wave)
            piece = take.job.piece
            told = (take.codes, bool(take.stopped), piece.language, tuple(take.interventions), take.covered)
            sentences.append(Sentence(piece.text, start, end, *told))
        return Speech(np.concatenate(waves), self.sample_rate, tuple(sentences), timings)


def _head(value: object, config: XTTSConfig, source: Path) -> tuple[int, int] | None:
    """The head of bundle.json that follows the text. Raises ModelError where it is none of this GPT's."""
    if value is None:
        return None
    sizes = config.model.gpt.num_layers, config.model.gpt.num_heads
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(n, int) and 0 <= n < size for n, size in zip(value, sizes, strict=True))
    ):
        return tuple(value)
    raise ModelError(f"{source}: alignment_head is {value!r}, expected null or [layer, head] of this GPT's {sizes}: make the bundle again")


def _check_is_voice(voice: object) -> None:
    if not isinstance(voice, Voice):
        raise DataError(f"expected a Voice, got {voice!r}: make one of a recording by synthesizer.voice(path)")


def _below_full_scale(wave: np.ndarray) -> np.ndarray:
    """Scaled down as a whole where it would clip."""
    return (wave / max(1.0, float(np.abs(wave).max(initial=0.0)))).astype(np.float32)
