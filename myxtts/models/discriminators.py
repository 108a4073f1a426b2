"""The critics that the decoder is trained against (Kong et al. 2020, "HiFi-GAN", sections 2.3 and B).

B batch, N samples, X positions of a verdict, C channels, p a period.
"""

from typing import Any

import keras
from keras import ops

from myxtts.config import DecoderConfig
from myxtts.models.layers import WeightNormConv1D

SLOPE = 0.1


class _Critic(keras.layers.Layer):
    """A stack of convolutions; each but the last is followed by a leaky rectifier, whose output is a feature."""

    def __init__(self, convolutions: list[WeightNormConv1D], **kwargs):
        super().__init__(**kwargs)
        self.convolutions = convolutions

    def build(self, input_shape=None) -> None:
        for layer in self.convolutions:
            layer.build(None)
        self.built = True

    def features(self, x: Any) -> list[Any]:
        """(B', F, 1) -> the output of every layer, the verdict last."""
        outputs = []
        for layer in self.convolutions[:-1]:
            x = ops.leaky_relu(layer(x), negative_slope=SLOPE)
            outputs.append(x)
        return [*outputs, self.convolutions[-1](x)]


class PeriodCritic(_Critic):
    """Sees every p-th sample: the wave is folded into p columns, and no kernel reaches across two of them."""

    def __init__(self, channels: int, period: int, **kwargs):
        widths = [1, channels, 4 * channels, 16 * channels, 32 * channels, 32 * channels]
        strides = [3, 3, 3, 3, 1]
        layers = [WeightNormConv1D(widths[i], widths[i + 1], 5, stride, name=f"conv_{i}") for i, stride in enumerate(strides)]
        super().__init__([*layers, WeightNormConv1D(widths[-1], 1, 3, name="verdict")], **kwargs)
        self.period = period

    def call(self, wave: Any) -> tuple[Any, list[Any]]:
        """(B, N) -> logits (B, X), features."""
        batch, samples, period = wave.shape[0], wave.shape[1], self.period
        wave = ops.pad(wave, ((0, 0), (0, -samples % period)), mode="reflect")
        rows = wave.shape[1] // period
        x = ops.transpose(ops.reshape(wave, (batch, rows, period)), (0, 2, 1))  # (B, p, N / p)
        # columns go into the batch: a (5, 1) kernel over a picture is a kernel of 5 over each column
        outputs = self.features(ops.reshape(x, (batch * period, rows, 1)))
        return ops.cast(ops.reshape(outputs[-1], (batch, -1)), "float32"), outputs[:-1]


class ScaleCritic(_Critic):
    """Sees the wave at one resolution.

    Weight-normalised throughout; the paper's first scale is spectrally normalised instead, which needs state outside the weights.
    """

    def __init__(self, channels: int, **kwargs):
        wide = 4 * channels
        plan = [  # outputs, kernel, stride, groups
            (wide, 15, 1, 1),
            (wide, 41, 2, 4),
            (2 * wide, 41, 2, 16),
            (4 * wide, 41, 4, 16),
            (8 * wide, 41, 4, 16),
            (8 * wide, 41, 1, 16),
            (8 * wide, 5, 1, 1),
        ]
        layers, inputs = [], 1
        for index, (outputs, kernel, stride, groups) in enumerate(plan):
            layers.append(WeightNormConv1D(inputs, outputs, kernel, stride, groups=groups, name=f"conv_{index}"))
            inputs = outputs
        super().__init__([*layers, WeightNormConv1D(inputs, 1, 3, name="verdict")], **kwargs)

    def call(self, wave: Any) -> tuple[Any, list[Any]]:
        """(B, N) -> logits (B, X), features."""
        outputs = self.features(wave[..., None])
        return ops.cast(outputs[-1][..., 0], "float32"), outputs[:-1]


class Discriminators(keras.Model):
    """All period and scale critics of `config`. Each scale sees half the resolution of the one before."""

    def __init__(self, config: DecoderConfig, name: str = "discriminators"):
        super().__init__(name=name)
        self.config, channels = config, config.discriminator_channels
        self.periods = [PeriodCritic(channels, period, name=f"period_{period}") for period in config.discriminator_periods]
        self.scales = [ScaleCritic(channels, name=f"scale_{scale}") for scale in range(config.discriminator_scales)]
        self.build_weights()

    def build_weights(self) -> None:
        """Creates every variable, without data. Construction has already called it."""
        if not self.built:
            self.build(None)

    def build(self, input_shape=None) -> None:
        for critic in (*self.periods, *self.scales):
            critic.build(None)
        self.built = True

    def call(self, wave: Any) -> list[tuple[Any, list[Any]]]:
        """wave (B, N) -> for each critic, periods first: logits (B, X), high where it sounds real, and its features (B', F, C)."""
        verdicts = [critic(wave) for critic in self.periods]
        for index, critic in enumerate(self.scales):
            if index:
                padded = ops.pad(wave, ((0, 0), (2, 2)))[..., None]
                wave = ops.average_pool(padded, 4, strides=2, padding="valid", data_format="channels_last")[..., 0]
            verdicts.append(critic(wave))
        return verdicts
