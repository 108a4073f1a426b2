"""Sizes of the networks. Defaults are those of XTTS v2; presets (`presets.py`) give smaller ones."""

from typing import Any

from pydantic import Field, model_validator

from myxtts.config.base import Section
from myxtts.config.presets import PRESETS, preset_values


class AudioConfig(Section):
    """Sample rates and the mel that the audio tokenizer works on."""

    input_sample_rate: int = Field(22050, ge=8000, le=48000, description="Hz of the mels that DVAE and conditioning encoder see")
    output_sample_rate: int = Field(24000, ge=8000, le=48000, description="Hz of processed clips and of synthesised speech")
    hop_length: int = Field(256, ge=64, description="samples between two mel frames, at input_sample_rate")
    num_mels: int = Field(80, ge=20, le=160, description="mel bands")
    mel_fmax: float = Field(8000.0, gt=1000, description="Hz of the highest mel band")

    @model_validator(mode="after")
    def _band_below_nyquist(self):
        if self.mel_fmax > self.input_sample_rate / 2:
            raise ValueError(f"mel_fmax {self.mel_fmax} Hz lies above half of input_sample_rate ({self.input_sample_rate / 2} Hz)")
        return self


class DVAEConfig(Section):
    """Audio tokenizer: mel frames <-> discrete codes."""

    num_codes: int = Field(1024, ge=16, description="entries of the codebook")
    code_dim: int = Field(512, ge=8, description="width of a codebook entry")
    hidden_dim: int = Field(512, ge=8, description="width of the first convolution; it doubles with each down-sampling layer")
    num_layers: int = Field(2, ge=1, le=4, description="stride-2 down-sampling layers")
    num_resnet_blocks: int = Field(3, ge=0, description="residual blocks on each side")
    decay: float = Field(0.99, gt=0, lt=1, description="of the codebook's moving average")
    commitment_weight: float = Field(0.25, ge=0, description="weight of the commitment loss")

    @property
    def frames_per_code(self) -> int:
        return 2**self.num_layers


class GPTConfig(Section):
    """Conditioning encoder, Perceiver resampler and the autoregressive transformer."""

    num_layers: int = Field(30, ge=1)
    dim: int = Field(1024, ge=16, description="model width D")
    num_heads: int = Field(16, ge=1)
    max_text_tokens: int = Field(402, ge=8, description="longest text, in tokens")
    max_audio_tokens: int = Field(605, ge=8, description="longest clip, in codes")
    dropout: float = Field(0.1, ge=0, lt=1)
    code_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the codes that training hides from the positions behind them: what a code follows from is then looked for in "
        "the text. Helps a small corpus, whose codes are soon guessed from the codes before",
    )
    conditioning_blocks: int = Field(6, ge=1, description="attention blocks of the conditioning encoder")
    conditioning_heads: int = Field(16, ge=1)
    perceiver_layers: int = Field(2, ge=1)
    perceiver_heads: int = Field(8, ge=1)
    perceiver_head_dim: int = Field(64, ge=8)
    num_latents: int = Field(32, ge=1, description="conditioning latents in front of the text")

    @model_validator(mode="after")
    def _heads_divide_width(self):
        for name in ("num_heads", "conditioning_heads"):
            if self.dim % getattr(self, name):
                raise ValueError(f"dim {self.dim} is not divisible by {name} {getattr(self, name)}")
        return self


class DecoderConfig(Section):
    """HiFi-GAN from GPT latents and a speaker embedding to a waveform, with its discriminators' width."""

    channels: int = Field(512, ge=16, description="width after conv_pre; halves with each up-sampling layer")
    upsample_rates: tuple[int, ...] = Field((8, 8, 2, 2), min_length=1)
    upsample_kernels: tuple[int, ...] = Field((16, 16, 4, 4), min_length=1)
    resblock_kernels: tuple[int, ...] = Field((3, 7, 11), min_length=1)
    resblock_dilations: tuple[int, ...] = Field((1, 3, 5), min_length=1)
    discriminator_channels: int = Field(32, ge=4, description="width of the first discriminator layer")
    discriminator_periods: tuple[int, ...] = Field((2, 3, 5, 7, 11), min_length=1)
    discriminator_scales: int = Field(3, ge=1, le=4)

    @property
    def hop_length(self) -> int:
        product = 1
        for rate in self.upsample_rates:
            product *= rate
        return product

    @model_validator(mode="after")
    def _kernels_match_rates(self):
        if len(self.upsample_kernels) != len(self.upsample_rates):
            raise ValueError(f"{len(self.upsample_kernels)} upsample_kernels for {len(self.upsample_rates)} upsample_rates")
        if self.channels % 2 ** len(self.upsample_rates):
            raise ValueError(f"channels {self.channels} cannot be halved {len(self.upsample_rates)} times")
        for name in ("upsample_rates", "upsample_kernels", "resblock_kernels", "resblock_dilations", "discriminator_periods"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must all be at least 1")
        if any(kernel % 2 == 0 for kernel in self.resblock_kernels):
            raise ValueError(f"resblock_kernels {self.resblock_kernels} must be odd: an even kernel would shift the sound")
        if any((kernel - rate) % 2 for kernel, rate in zip(self.upsample_kernels, self.upsample_rates, strict=True)):
            raise ValueError(f"upsample_kernels {self.upsample_kernels} minus upsample_rates {self.upsample_rates} must be even")
        return self


class SpeakerEncoderConfig(Section):
    """ResNet34-SE with attentive statistics pooling."""

    embedding_dim: int = Field(512, ge=16)
    filters: tuple[int, ...] = Field((32, 64, 128, 256), min_length=4, max_length=4)
    blocks: tuple[int, ...] = Field((3, 4, 6, 3), min_length=4, max_length=4)
    num_mels: int = Field(64, ge=16, multiple_of=8, description="mel bands of the speaker encoder's own mel")
    sample_rate: int = Field(16000, ge=8000)


# values of a model section that shape no weight and no output of a trained model: its name, and what only training asks for
TRAINING_ONLY = frozenset(
    {
        "preset",
        "gpt.dropout",
        "gpt.code_dropout",
        "dvae.decay",
        "dvae.commitment_weight",
        "decoder.discriminator_channels",
        "decoder.discriminator_periods",
        "decoder.discriminator_scales",
    }
)


class ModelConfig(Section):
    """All networks. `preset` fills what the sections leave out."""

    preset: str = Field("xtts_v2", description=f"one of {', '.join(PRESETS)}")
    num_text_tokens: int = Field(6681, ge=64, description="size of the text vocabulary")
    audio: AudioConfig = AudioConfig()
    dvae: DVAEConfig = DVAEConfig()
    gpt: GPTConfig = GPTConfig()
    decoder: DecoderConfig = DecoderConfig()
    speaker_encoder: SpeakerEncoderConfig = SpeakerEncoderConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        merged = dict(values)
        for section, defaults in preset_values(values.get("preset", "xtts_v2")).items():
            given = values.get(section, {})
            if isinstance(given, dict):
                merged[section] = {**defaults, **given}
        return merged

    @property
    def num_audio_tokens(self) -> int:
        """Codes, then [START], then [STOP]."""
        return self.dvae.num_codes + 2

    @property
    def start_audio_token(self) -> int:
        return self.dvae.num_codes

    @property
    def stop_audio_token(self) -> int:
        return self.dvae.num_codes + 1

    @property
    def samples_per_code(self) -> int:
        """Samples at `audio.input_sample_rate` that one code stands for."""
        return self.audio.hop_length * self.dvae.frames_per_code

    @property
    def codes_per_second(self) -> float:
        return self.audio.input_sample_rate / self.samples_per_code
