"""What a request for speech may hold."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from myxtts.config.stages import SynthesisConfig

# settings of synthesis that a request may choose for itself, as far as there are such
OPTIONS = ("temperature", "top_k", "top_p", "repetition_penalty", "guidance_scale", "speed", "pause_seconds", "vocoder")
# narrower than a model's owner may choose: a request must not ask for hours of silence
_BOUNDS = {"speed": Field(ge=0.25, le=4), "pause_seconds": Field(ge=0, le=5)}
_SPACE = "\n\r\t"


def _without_control(text: str) -> str:
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in _SPACE:
            raise ValueError(f"it holds the control character U+{ord(character):04X}: remove it")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_without_control)]
Language = Annotated[str, Field(min_length=1, max_length=20)]
VoiceName = Annotated[str, Field(min_length=1, max_length=100)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    language: Language | None = Field(None, description="code; left out: the server's, or where the text tells")
    seed: int = Field(0, ge=0, lt=2**31, description="the same request with the same seed gives the same speech")

    def options(self) -> dict[str, Any]:
        """Settings of synthesis that were asked for."""
        return {name: value for name in OPTIONS if (value := getattr(self, name, None)) is not None}


def _option(name: str) -> tuple[Any, Any]:
    """A field of SynthesisConfig as one that may be left out."""
    known = SynthesisConfig.model_fields[name]
    rules = [*known.metadata, *([_BOUNDS[name]] if name in _BOUNDS else [])]
    kind = Annotated[known.annotation, *rules] if rules else known.annotation
    return kind | None, Field(None, description=known.description)


_Options = create_model(
    "_Options", __base__=_Request, __module__=__name__, **{name: _option(name) for name in OPTIONS if name in SynthesisConfig.model_fields}
)


class SpeechRequest(_Options):
    """`POST /v1/speech`."""

    text: Text
    voice: VoiceName
    format: Literal["wav", "pcm", "flac", "mp3", "opus"] = Field("wav", description="pcm: 16 bits, little-endian, mono")
    stream: bool = Field(False, description="the sound as it is made; wav or pcm")


class VoiceId(BaseModel):
    """A voice as OpenAI names those that were uploaded."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: VoiceName


class OpenAISpeechRequest(_Options):
    """`POST /v1/audio/speech`, as OpenAI's clients ask; `language`, `seed` and the options are ours."""

    model: Annotated[str, Field(max_length=200)] = Field("", description="any: the server has one model")
    input: Text
    voice: VoiceName | VoiceId
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = "mp3"
    stream_format: Literal["audio", "sse"] | None = Field(None, description="the sound as it is made; wav or pcm")
    instructions: Literal[""] | None = Field(None, description="this kind of model follows none")

    @property
    def voice_name(self) -> str:
        """Name of the voice, however it was given."""
        return self.voice if isinstance(self.voice, str) else self.voice.id
