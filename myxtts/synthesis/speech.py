"""What a user imports: a Voice from a few seconds of speech, and a Synthesizer that speaks with it.

    synthesizer = Synthesizer.load("models/myxtts")
    voice = synthesizer.voice("me.wav")
    synthesizer.speak("How do you do?", voice, "en").save("out.wav")

L conditioning latents, D width, E speaker embedding, S codes, N samples, F frames, M mel bands.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from myxtts.audio import wave as wave_io
from myxtts.audio.griffin_lim import griffin_lim
from myxtts.audio.mel import dvae_mel
from myxtts.config import DataError, ModelError, XTTSConfig
from myxtts.config.stages import SynthesisConfig
from myxtts.models.folder import BUNDLE_FILE, COMPONENTS, PARAMS, TOKENIZER, bundle_files, listed_components, read_json, refuse_checkpoint
from myxtts.models.xtts import XTTS, weights_digest
from myxtts.synthesis.engine import Engine
from myxtts.synthesis.generate import Generated, begin, generate_codes, longest_generation, sound_codes
from myxtts.synthesis.stream import CHUNK_CODES, faded_chunks, latent_chunks, vocode_chunks
from myxtts.synthesis.voice import VOICE_SUFFIX, Voice
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize, split_sentences
from myxtts.text.tokenizer import Tokenizer, name_characters

PAUSE_SECONDS = 0.25  # between sentences
SENTENCES_AT_ONCE = 8
# a text as long as its language's character limit takes about so long to say (250 letters of English, 82 of Chinese)
SECONDS_OF_CHAR_LIMIT = 17.0
GUARD_FACTOR, GUARD_SECONDS = 3.0, 2.0
ROOM_SHARE = 0.75  # of the longest generation that a sentence at an ordinary pace may fill: slow speakers need the rest
_CLAUSE_END = re.compile(r"[,;:،؛](?= )|[，、；：]")


@dataclass(frozen=True)
class Sentence:
    """One sentence of a Speech: what was spoken (normalised), where it lies in the waveform (seconds), and from which codes.

    stopped: False = the model did not end the sentence by itself; it was cut where the text's length allows no more.
    """

    text: str
    start: float
    end: float
    codes: np.ndarray = field(repr=False)
    stopped: bool


@dataclass(frozen=True)
class Speech:
    """waveform (N,) float32 in [-1, 1] at sample_rate Hz, its sentences, and the seconds of work: text, generate, vocode, total."""

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
    def real_time_factor(self) -> float:
        """Seconds of work for a second of speech; the first call with a new length of text holds compilation."""
        return self.timings["total"] / self.seconds if self.seconds else float("inf")

    def save(self, path: str | Path) -> None:
        """Writes a 16-bit PCM wav. Raises DataError if the disk is full or the path cannot be written."""
        wave_io.save(path, self.waveform, self.sample_rate)


class Synthesizer:
    """Model, tokenizer and configuration, ready to speak."""

    def __init__(self, config: XTTSConfig, model: XTTS, tokenizer: Tokenizer):
        if tokenizer.size > config.model.num_text_tokens:
            raise ModelError(
                f"the tokenizer holds {tokenizer.size} tokens, the model embeds {config.model.num_text_tokens}: "
                "they are not of one training; take both from one bundle"
            )
        self.config, self.model, self.tokenizer = config, model, tokenizer
        self.engine = Engine(model)

    @classmethod
    def load(cls, folder: str | Path) -> "Synthesizer":
        """Reads a bundle (`models.folder.bundle_files`). Raises ModelError naming what is missing or does not fit.

        A bundle that was imported without its audio tokenizer says so in its bundle.json; it speaks by its decoder alone.
        """
        folder = Path(folder)
        refuse_checkpoint(folder)
        described = folder / BUNDLE_FILE
        # a folder of weights alone speaks too
        components = listed_components(read_json(described), described) if described.is_file() else COMPONENTS
        missing = [name for name in bundle_files(components) if not (folder / name).is_file()]
        if missing:
            state = "lacks " + ", ".join(missing) if folder.is_dir() else "does not exist"
            raise ModelError(
                f"expected a model bundle ({', '.join(bundle_files())}) in {folder}; it {state}: make one (dvc repro bundle) or "
                "copy the whole folder"
            )
        config = XTTSConfig.load(folder / PARAMS)
        return cls(config, XTTS.load(folder, config.model, components), Tokenizer.load(folder / TOKENIZER))

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
        """Speaks a text of any length: normalised, cut into sentences, spoken in batches, joined with short pauses.

        The same text, voice, settings and seed give the same speech, and a sentence the same codes whatever stands around it.
        settings: those of the bundle where None. Raises DataError for an empty text, a language the tokenizer was not trained
        on, or characters it does not know.
        """
        settings = settings or self.config.synthesis
        if settings.vocoder == "griffin_lim":
            self.model.component("dvae")  # a model without one says so now and not after generating
        began = time.perf_counter()
        sentences = self.prepare_text(text, language)
        texted = time.perf_counter()
        parts = [sentences[i : i + SENTENCES_AT_ONCE] for i in range(0, len(sentences), SENTENCES_AT_ONCE)]
        batches = [self._generate(part, voice, language, seed, settings) for part in parts]
        generated = time.perf_counter()
        waves = [wave for batch in batches for wave in self._vocode(batch, voice, settings, seed)]
        ended = time.perf_counter()
        timings = {"text": texted - began, "generate": generated - texted, "vocode": ended - generated, "total": ended - began}
        codes = [row for batch in batches for row in batch.codes]
        stopped = [row for batch in batches for row in batch.stopped]
        return self._join(sentences, waves, codes, stopped, timings)

    def stream(
        self,
        text: str,
        voice: Voice,
        language: str,
        seed: int = 0,
        settings: SynthesisConfig | None = None,
        chunk_codes: int = CHUNK_CODES,
    ) -> Iterator[np.ndarray]:
        """Yields what `speak` says as pieces of wave (N,), from `chunk_codes` codes each, while the codes are still being generated.

        Together they are the waveform of `speak`; with `synthesis.coqui_compatible` as long as it, and cross-faded where pieces meet.
        Needs `synthesis.vocoder: decoder`: a piece is a whole sentence with Griffin-Lim, which has no chunks. Raises as `speak`
        does, when its first piece is asked for.
        """
        settings = settings or self.config.synthesis
        pause = np.zeros(round(PAUSE_SECONDS * self.sample_rate), np.float32)
        for number, sentence in enumerate(self.prepare_text(text, language)):
            if number:
                yield pause
            if settings.vocoder != "decoder":
                yield from self._vocode(self._generate([sentence], voice, language, seed, settings), voice, settings, seed)
                continue
            generation = begin(
                self.model, **self._inputs([sentence], voice, language), settings=settings, seed=seed, gpt=self.engine.gpt(settings)
            )
            chunks = latent_chunks(generation, chunk_codes)
            if settings.coqui_compatible:
                yield from faded_chunks(lambda latents: self.vocode_latents(latents, voice), chunks)
            else:
                yield from vocode_chunks(self.model.decoder, chunks, voice.embedding)

    def prepare_text(self, text: str, language: str) -> list[str]:
        """Normalised sentences, each short enough for the model. Raises DataError as `speak` does."""
        code = self.language_code(language)
        # split as written, for a capital tells an initial from a last word, and a line break ends a heading
        sentences = [normalize(sentence, code, self.config.prepare.cleaners) for sentence in split_sentences(text, code)]
        sentences = [sentence for sentence in sentences if any(map(str.isalnum, sentence))]
        if not sentences:
            raise DataError(f"there is nothing to speak in {text!r}: expected a text with words")
        if unknown := self.tokenizer.unknown_characters("".join(sentences), code):
            named = name_characters(unknown)
            raise DataError(f"the tokenizer of this model does not know {named}: remove or replace them, or train with such texts")
        return [piece for sentence in sentences for piece in self._divide(sentence, code)]

    def language_code(self, language: str) -> str:
        """The code under which the tokenizer knows a language ("en-us" -> "en"). Raises DataError naming those it knows."""
        try:
            code = get_language(language).code
        except DataError:
            code = ""
        if code not in self.tokenizer.languages:
            known = ", ".join(self.tokenizer.languages)
            raise DataError(f"this model speaks {known}; it was not trained on {language!r}: choose one of them, or train it")
        return code

    def max_codes(self, sentence: str, language: str) -> int:
        """The guard against babble without end: three times what the sentence takes at an ordinary pace, and two seconds more."""
        seconds = GUARD_SECONDS + GUARD_FACTOR * _ordinary_seconds(sentence, language)
        return min(int(np.ceil(seconds * self.config.model.codes_per_second)), longest_generation(self.model))

    def vocode_codes(self, codes: np.ndarray, iterations: int, seed: int = 0) -> np.ndarray:
        """codes (S,) -> wave (N,) float32 in [-1, 1] at `sample_rate`: audio tokenizer, then `iterations` of Griffin-Lim."""
        audio = self.config.model.audio
        codes = sound_codes(codes, self.config.model.dvae.num_codes)  # `coqui_compatible` may draw [START]
        mel = np.asarray(self.model.dvae.decode(codes[None]))[0] * self.model.mel_norm  # (F, M)
        low = griffin_lim(mel, dvae_mel(audio), iterations, seed)
        return _below_full_scale(wave_io.resample(low, audio.input_sample_rate, self.sample_rate))

    def vocode_latents(self, latents: np.ndarray, voice: Voice) -> np.ndarray:
        """The GPT's latents (S, D) of the codes -> wave (N,) float32 in [-1, 1] at `sample_rate`, by the decoder."""
        return _below_full_scale(np.asarray(self.model.decoder(latents[None], voice.embedding))[0])

    def text_ids(self, sentence: str, language: str) -> list[int]:
        """A normalised sentence as the GPT reads it: [START], [lang], the text, [STOP]."""
        return [self.tokenizer.start_id, *self.tokenizer.encode(sentence, language), self.tokenizer.stop_id]

    def _divide(self, sentence: str, language: str) -> list[str]:
        """Halves a sentence, and its halves, until each fits the text and audio lengths that the model was made for."""
        room = ROOM_SHARE * longest_generation(self.model) / self.config.model.codes_per_second
        fits = len(self.text_ids(sentence, language)) <= self.config.model.gpt.max_text_tokens
        if len(sentence) < 2 or (fits and _ordinary_seconds(sentence, language) <= room):
            return [sentence]
        cut = _middle(sentence)
        halves = (half.strip() for half in (sentence[:cut], sentence[cut:]))
        return [piece for half in halves if half for piece in self._divide(half, language)]

    def _generate(self, sentences: list[str], voice: Voice, language: str, seed: int, settings: SynthesisConfig) -> Generated:
        return generate_codes(
            self.model, **self._inputs(sentences, voice, language), settings=settings, seed=seed, gpt=self.engine.gpt(settings)
        )

    def _inputs(self, sentences: list[str], voice: Voice, language: str) -> dict[str, np.ndarray | list[int]]:
        """What the loop is given for these sentences."""
        rows = [self.text_ids(sentence, language) for sentence in sentences]
        text_ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
        text_mask = np.zeros(text_ids.shape, bool)
        for row, ids in enumerate(rows):
            text_ids[row, : len(ids)], text_mask[row, : len(ids)] = ids, True
        limits = [self.max_codes(sentence, language) for sentence in sentences]
        return {"latents": voice.latents, "text_ids": text_ids, "text_mask": text_mask, "max_codes": limits}

    def _vocode(self, batch: Generated, voice: Voice, settings: SynthesisConfig, seed: int) -> list[np.ndarray]:
        if settings.vocoder == "decoder":
            return [self.vocode_latents(latents, voice) for latents in batch.latents]
        return [self.vocode_codes(codes, settings.griffin_lim_iterations, seed) for codes in batch.codes]

    def _join(
        self, texts: list[str], waves: list[np.ndarray], codes: list[np.ndarray], stopped: list[bool], timings: dict[str, float]
    ) -> Speech:
        pause = np.zeros(round(PAUSE_SECONDS * self.sample_rate), np.float32)
        pieces, sentences, position = [], [], 0
        for text, wave, row, flag in zip(texts, waves, codes, stopped, strict=True):
            if pieces:
                pieces.append(pause)
                position += len(pause)
            end = position + len(wave)
            sentences.append(Sentence(text, position / self.sample_rate, end / self.sample_rate, row, flag))
            pieces.append(wave)
            position = end
        return Speech(np.concatenate(pieces), self.sample_rate, tuple(sentences), timings)


def _ordinary_seconds(sentence: str, language: str) -> float:
    return SECONDS_OF_CHAR_LIMIT * len(sentence) / get_language(language).char_limit


def _middle(sentence: str) -> int:
    """Where to halve it: after a clause mark in its middle half, else at a space, else anywhere; the nearest to the middle."""
    middle, length = len(sentence) // 2, len(sentence)
    clauses = [match.end() for match in _CLAUSE_END.finditer(sentence) if length / 4 <= match.end() <= length * 3 / 4]
    spaces = [index for index, character in enumerate(sentence) if character == " "]
    return min(clauses or spaces or [middle], key=lambda index: abs(index - middle))


def _below_full_scale(wave: np.ndarray) -> np.ndarray:
    """Scaled down as a whole where it would clip."""
    return (wave / max(1.0, float(np.abs(wave).max(initial=0.0)))).astype(np.float32)
