"""GPT latents + speaker embedding -> waveform.

B batch, S codes, D width of a latent, E width of a speaker embedding, F frames of the decoder, C channels, N samples.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from myxtts.config import AudioConfig, DecoderConfig, ModelError
from myxtts.models.layers import WeightNorm, WeightNormConv1D, WeightNormConv1DTranspose, build_layers

SLOPE = 0.1
FINAL_SLOPE = 0.01


class OffsetFree(keras.initializers.GlorotUniform):
    """Glorot's uniform kernel (taps, channels, C) less the mean of each filter's taps: a constant input gives 0.

    A mel does not weigh 0 Hz, so what the last convolution made of the mean of its inputs, many times their variation before a training,
    would grow with the wave to an offset that drives tanh into saturation.
    """

    def __call__(self, shape, dtype=None):
        kernel = super().__call__(shape, dtype)
        return kernel - ops.mean(kernel, axis=0, keepdims=True)


class ResidualBlock(keras.layers.Layer):
    """For each dilation: x + conv(lrelu(dilated conv(lrelu(x)))) (Kong et al. 2020, appendix A.1, type 1)."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.dilated = [WeightNormConv1D(channels, channels, kernel, dilation=d, name=f"dilated_{i}") for i, d in enumerate(dilations)]
        self.plain = [WeightNormConv1D(channels, channels, kernel, name=f"plain_{i}") for i in range(len(dilations))]

    def build(self, input_shape=None) -> None:
        for layer in (*self.dilated, *self.plain):
            layer.build(None)
        self.built = True

    def call(self, x: Any) -> Any:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(_leaky(dilated(_leaky(x))))
        return x


class HiFiGAN(keras.Model):
    """HiFi-GAN generator (Kong et al. 2020) as XTTS v2 uses it: from latents, conditioned on the speaker at every up-sampling.

    Latents come once in `samples_per_code` samples at the input rate. They are interpolated to the frames of the decoder at the
    input rate, then to the output rate, so that the wave comes out at `audio.output_sample_rate`.
    """

    def __init__(
        self, config: DecoderConfig, latent_dim: int, speaker_dim: int, audio: AudioConfig, samples_per_code: int, name: str = "decoder"
    ):
        super().__init__(name=name)
        self.config, self.latent_dim, self.speaker_dim = config, latent_dim, speaker_dim
        # two interpolations and not one: the reference's order, whose roundings decide the length
        self.scales = [samples_per_code / config.hop_length]
        if audio.output_sample_rate != audio.input_sample_rate:
            self.scales.append(audio.output_sample_rate / audio.input_sample_rate)
        widths = [config.channels // 2**stage for stage in range(len(config.upsample_rates) + 1)]
        self.widths = widths
        # the reference leaves weight norm off the first and the last convolution and off the speaker's projections
        self.before = keras.layers.Conv1D(widths[0], 7, padding="same", name="before")
        self.speaker = keras.layers.Dense(widths[0], name="speaker")
        self.up, self.stage_speakers, self.stages = [], [], []
        for stage, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernels, strict=True)):
            width = widths[stage + 1]
            self.up.append(WeightNormConv1DTranspose(widths[stage], width, kernel, rate, name=f"up_{stage}"))
            self.stage_speakers.append(keras.layers.Dense(width, name=f"stage_speaker_{stage}"))
            self.stages.append(
                [
                    ResidualBlock(width, size, config.resblock_dilations, name=f"stage_{stage}_block_{index}")
                    for index, size in enumerate(config.resblock_kernels)
                ]
            )
        self.after = keras.layers.Conv1D(1, 7, padding="same", use_bias=False, kernel_initializer=OffsetFree(), name="after")
        self.build_weights()

    def build_weights(self) -> None:
        """Creates every variable, without data. Construction has already called it."""
        if not self.built:
            self.build(None)

    def build(self, input_shape=None) -> None:
        build_layers((self.before, self.latent_dim), (self.after, self.widths[-1]))
        build_layers((self.speaker, self.speaker_dim), *((layer, self.speaker_dim) for layer in self.stage_speakers), rank=2)
        for up, blocks in zip(self.up, self.stages, strict=True):
            for layer in (up, *blocks):
                layer.build(None)
        self.built = True

    def call(self, latents: Any, speaker: Any, training: bool = False) -> Any:
        """latents (B, S, D), speaker (B, E) -> wave (B, N) in [-1, 1] with N = output_samples(S). `training` changes nothing."""
        if latents.shape[-1] != self.latent_dim or speaker.shape[-1] != self.speaker_dim:
            raise ModelError(
                f"this decoder expects latents (B, S, {self.latent_dim}) and speaker embeddings (B, {self.speaker_dim}); "
                f"it got {tuple(latents.shape)} and {tuple(speaker.shape)}"
            )
        return self.from_frames(self.frames(latents), speaker)

    def frames(self, latents: Any, speed: float = 1.0) -> Any:
        """latents (B, S, D) interpolated to the decoder's frames: (B, F, D) with F = output_samples(S, speed) / hop_length.

        speed: 2 = twice as fast, at the same pitch: as the reference does it, by one more interpolation before the others.
        """
        for scale in self._scales(speed):
            latents = interpolate(latents, scale)
        return latents

    def _scales(self, speed: float) -> list[float]:
        return self.scales if speed == 1 else [1 / speed, *self.scales]

    def from_frames(self, frames: Any, speaker: Any) -> Any:
        """Frames (B, F, D) of `frames`, speaker (B, E) -> wave (B, F · hop_length) in [-1, 1].

        Of a part of the frames it gives that part of the wave, but for the samples of `context_frames` at an end that was cut.
        """
        x = self.before(frames) + self.speaker(speaker)[:, None]  # (B, F, C)
        for up, stage_speaker, blocks in zip(self.up, self.stage_speakers, self.stages, strict=True):
            x = up(_leaky(x)) + stage_speaker(speaker)[:, None]
            x = sum(block(x) for block in blocks) / len(blocks)
        # another slope than everywhere else: the reference calls its default here, and its weights depend on it
        x = self.after(ops.leaky_relu(x, negative_slope=FINAL_SLOPE))  # (B, N, 1)
        return ops.cast(ops.tanh(x[..., 0]), "float32")

    @property
    def _weight_norms(self) -> list[WeightNorm]:
        blocks = [block for stage in self.stages for block in stage]
        return [*self.up, *(layer for block in blocks for layer in (*block.dilated, *block.plain))]

    def fold(self) -> None:
        """Normalises every weight once instead of at every call: for a decoder that is to speak. What is saved stays the same.

        Loading weights unfolds; whoever changes them otherwise must `unfold` first.
        """
        for layer in self._weight_norms:
            layer.fold()

    def unfold(self) -> None:
        """As it is trained: the weight norms are computed at every call."""
        for layer in self._weight_norms:
            layer.unfold()

    def output_samples(self, num_codes: int, speed: float = 1.0) -> int:
        """Samples at the output rate that `num_codes` latents become."""
        frames = num_codes
        for scale in self._scales(speed):
            frames = _scaled(frames, scale)
        return frames * self.config.hop_length

    def settled_frames(self, num_codes: int, speed: float = 1.0) -> int:
        """How many of the first frames of `num_codes` latents no later latent changes."""
        settled = length = num_codes
        for scale in self._scales(speed):
            length = _scaled(length, scale)
            # frame i lies between cells floor(p) and floor(p) + 1 of p = (i + 1/2) / scale - 1/2: the second must be there
            settled = max(0, min(math.ceil((settled - 0.5) * scale - 0.5), length))
        return settled

    @property
    def context_frames(self) -> int:
        """How many frames before and after a frame its samples depend on, at most: the reach of all convolutions together."""
        config = self.config
        block = max(sum((kernel - 1) // 2 * (dilation + 1) for dilation in config.resblock_dilations) for kernel in config.resblock_kernels)
        reach = 3  # of the last convolution, in samples of its rate
        for rate, kernel in zip(reversed(config.upsample_rates), reversed(config.upsample_kernels), strict=True):
            reach = math.ceil((reach + block + kernel - 1) / rate)
        return reach + 3


def interpolate(x: Any, scale: float) -> Any:
    """Linear interpolation over time: (B, S, C) -> (B, floor(S · scale), C), of one sample or more one at least.

    Samples sit in the middle of their cells (not at the corners), and a coordinate follows from `scale` itself, not from the
    ratio of the rounded lengths: this is what the reference does, and the other way is off by more than one frame.
    """
    length = x.shape[1]
    out = _scaled(length, scale)
    position = np.maximum((np.arange(out) + 0.5) / scale - 0.5, 0.0)
    left = np.minimum(position.astype(np.int32), length - 1)
    right = np.minimum(left + 1, length - 1)
    weight = ops.cast(ops.convert_to_tensor((position - left).astype(np.float32)[:, None]), x.dtype)
    return ops.take(x, left, axis=1) * (1 - weight) + ops.take(x, right, axis=1) * weight


def _scaled(length: int, scale: float) -> int:
    """Samples that `length` of them become; one at least of what is not empty: a code spoken four times as fast is still heard."""
    return max(min(length, 1), math.floor(length * scale))


def _leaky(x: Any) -> Any:
    return ops.leaky_relu(x, negative_slope=SLOPE)
