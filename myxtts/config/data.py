"""Configuration of the data: corpora, the embedded sample, preparation, encoding."""

import re
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from myxtts.config.base import Section

LAYOUTS = (
    *("sample", "metadata", "ljspeech", "coqui", "vctk", "libritts", "common_voice", "piper", "jsonl", "folder", "csv"),
    "mix",  # several corpora, each with its layout
)
COLUMNS = ("audio", "text", "normalized", "speaker", "language", "id", "start", "end", "split")
CLEANERS = ("myxtts", "coqui")


class CorpusConfig(Section):
    """One corpus: what its files are like, and by what right they are used."""

    layout: Literal[LAYOUTS] = Field(
        "sample", description="how the corpus is laid out (`myxtts data detect` says); `sample` speaks the embedded one"
    )
    path: str = Field("data/sample", min_length=1, description="folder or archive of the corpus, relative to the project")
    language: str = Field("en", min_length=2, description="language of rows that name none")
    speaker: str = Field("speaker", min_length=1, description="speaker of rows that name none")
    max_clips: int | None = Field(None, ge=1, description="use only so many clips, spread evenly over the corpus")
    columns: dict[Literal[COLUMNS], str] = Field(
        {}, description="layouts csv and jsonl: what the corpus calls audio, text, normalized, speaker, language, id, start, end, split"
    )
    separator: str | None = Field(None, min_length=1, max_length=1, description="layout csv: between the columns; empty = found out")
    follow_links: bool = Field(
        False, description="read through symbolic links that lead out of the corpus too: only for a corpus whose links you made yourself"
    )
    licence: str = Field("", description="of the recordings: said in the card of every model trained on them")
    consent: str = Field("", description="how the speakers agreed to their voices being cloned: said in the model card")

    @field_validator("path")
    @classmethod
    def _posix(cls, value: str) -> str:
        return str(PurePosixPath(value))


class MixedCorpusConfig(CorpusConfig):
    """One corpus of several."""

    path: str = Field(min_length=1, description="folder or archive of the corpus, inside data.source.path")
    layout: Literal[tuple(layout for layout in LAYOUTS if layout not in ("sample", "mix"))]
    weight: float = Field(1.0, gt=0, le=100, description="how often its clips are trained on, compared with those of weight 1")


class SourceConfig(CorpusConfig):
    """Where the corpus is. It is read, never copied or changed."""

    corpora: dict[str, MixedCorpusConfig] = Field({}, description="layout mix: the corpora inside `path`, by name")

    @model_validator(mode="after")
    def _mix_names_its_corpora(self):
        if (self.layout == "mix") != bool(self.corpora):
            raise ValueError("layout mix and corpora belong together: name the corpora inside path, or choose the layout of the one")
        wrong = [name for name in self.corpora if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name)]
        if wrong:
            raise ValueError(f"a corpus is named by letters, digits, _ and -, for its ids begin with it; got {wrong[0]!r}")
        return self


class SampleConfig(Section):
    """Size of the embedded sample."""

    sentences: int = Field(720, ge=8, description="spoken sentences, over all voices")
    held_out: int = Field(40, ge=2, description="of these, sentences kept for evaluation")
    voices: tuple[str, ...] = Field(("en-us", "en-us+f3", "fa", "fa+f2"), min_length=1, description="eSpeak NG voice[+variant]")

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self):
        if self.held_out * 2 > self.sentences:
            raise ValueError(f"held_out {self.held_out} is more than half of sentences {self.sentences}")
        return self


class DataConfig(Section):
    source: SourceConfig = SourceConfig()
    sample: SampleConfig = SampleConfig()
    engine: Literal["local", "ray"] = Field(
        "local", description="where clips are prepared: on this machine's cores, or wherever Ray has room; changes no byte of the result"
    )


class PrepareConfig(Section):
    """raw -> processed."""

    cleaners: Literal[CLEANERS] = Field(
        "myxtts",
        description="text normalisation of training and speech: our own, or that of Coqui's XTTS models (what they say wrong included)",
    )
    strict: bool = Field(False, description="fail at the end, with the counts, if any row of the corpus was rejected")
    trim: Literal["vad", "energy", "none"] = Field(
        "vad", description="what is cut from both ends: all before and after speech, all below `trim_db`, or nothing"
    )
    trim_db: float = Field(
        40.0,
        gt=0,
        le=100,
        description="silence that is quieter than this below the peak: cut by trim energy, and by vad where it finds no speech",
    )
    trim_margin: float = Field(0.1, ge=0, le=2, description="seconds that trimming leaves before and after")
    loudness_lufs: float | None = Field(
        -23.0, ge=-40, le=-10, description="integrated loudness that clips are brought to (ITU-R BS.1770); empty = leave as recorded"
    )
    min_seconds: float = Field(0.4, gt=0)
    max_seconds: float = Field(11.6, gt=0, le=60)
    max_text_chars: int = Field(250, ge=1)
    refuse_annotations: bool = Field(
        True, description="texts with [laughter], <b>, {noise} or &amp; in them, which would be read as words; (asides) are read"
    )
    max_clipped_share: float | None = Field(
        0.001, gt=0, le=1, description="samples in flat tops at the recording's ceiling, as a share of all, at most; empty = any"
    )
    min_snr_db: float | None = Field(10.0, ge=-20, le=80, description="speech over the noise between it, at least; empty = any")
    min_bandwidth_hz: float | None = Field(
        4500.0, gt=0, description="highest frequency with speech in it, at least: telephone speech that was resampled has less; empty = any"
    )
    max_rate_deviation: float | None = Field(
        5.0,
        gt=0,
        description="logarithm of the characters per second, in robust standard deviations (0.1 at least) from the language's median, at "
        "most; empty = any",
    )
    max_same_audio: int | None = Field(1, ge=1, description="rows with the very same sound, at most; empty = any number")
    max_same_text: int | None = Field(1, ge=1, description="clips of one speaker with the same text, at most; empty = any number")
    min_clips_per_speaker: int = Field(2, ge=1, description="usable clips: with one, a clip has no other of its speaker as reference")
    max_recognition_error: float | None = Field(
        None,
        gt=0,
        description="phones that a recogniser hears otherwise, as a share, at most (0.5 keeps clear speech, spelt letters have more); "
        "English, needs myxtts[evaluation]; empty = not asked",
    )
    min_speaker_similarity: float | None = Field(
        None,
        gt=-1,
        lt=1,
        description="of a clip's voice to its speaker's other clips, at least (0.6 finds 4 of 5 wrong labels and refuses less than 1 of "
        "100 right ones); needs myxtts[evaluation]; empty = not asked",
    )
    eval_fraction: float = Field(0.05, gt=0, lt=0.5, description="share of sentences for evaluation, where the corpus has no split")
    eval_speakers: tuple[str, ...] = Field((), description="speakers that are never trained on: evaluation set eval_unseen_speaker")
    eval_speaker_fraction: float = Field(0.0, ge=0, lt=0.5, description="share of the speakers that are held out besides")

    @model_validator(mode="before")
    @classmethod
    def _knows_how_to_trim(cls, values):
        """`trim_db: null` was how a bundle said that nothing is trimmed, `trim_db: 40` that it was by energy, with no margin."""
        if isinstance(values, dict) and "trim_db" in values and "trim" not in values:
            trim_db = values["trim_db"]
            kept = {key: value for key, value in values.items() if key != "trim_db"}
            values = kept | ({"trim": "none"} if trim_db is None else {"trim": "energy", "trim_db": trim_db, "trim_margin": 0.0})
        return values

    @model_validator(mode="after")
    def _ordered(self):
        if self.min_seconds >= self.max_seconds:
            raise ValueError(f"min_seconds {self.min_seconds} is not below max_seconds {self.max_seconds}")
        return self


class TokenizerConfig(Section):
    """Training texts -> text tokenizer, up to model.num_text_tokens."""

    units: Literal["letters", "phones"] = Field(
        "letters",
        description="what tokens are made of: letters, or the phones that eSpeak NG reads (extra `sample`): a few hours of speech hold too "
        "few words to teach how a language is spelled",
    )
    balance: float = Field(
        0.5, ge=0, le=1, description="exponent on a language's share of the words learnt from: 1 = as in the corpus, 0 = all alike"
    )


class EncodeConfig(Section):
    """processed -> tokens."""

    prompt_seconds: float = Field(3.0, gt=0.3, le=30, description="length of the reference mel that the GPT is conditioned on")
    shifts: int = Field(
        1,
        ge=1,
        description="frames within a code from which the codes of a training clip are counted: the GPT meets one of so many spellings of "
        "the same clip each time, which a small corpus needs; at most model.dvae.frames_per_code",
    )
    align: bool = Field(
        False,
        description="find out which token of its text is spoken at each code of a training clip, by a small network that learns it from "
        "these clips in a few minutes; for training.gpt.alignment_weight",
    )
