"""Who speaks: log-mel -> speaker embedding.

B batch, F frames, M mel bands, C channels, E width of the embedding. Images are (B, M, F, C): frequency is the height, as in the
reference, so that its kernels fit unturned.
"""

from typing import Any

import keras
from keras import ops

from myxtts.config import ModelError, SpeakerEncoderConfig
from myxtts.models.layers import build_layers

ATTENTION_WIDTH = 128
SQUEEZE = 8


class SqueezeExcite(keras.layers.Layer):
    """Weighs channels by what the whole image holds (Hu et al. 2018)."""

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.squeezed = channels, max(1, channels // SQUEEZE)
        self.squeeze = keras.layers.Dense(self.squeezed, activation="relu", name="squeeze")
        self.excite = keras.layers.Dense(channels, activation="sigmoid", name="excite")

    def build(self, input_shape=None) -> None:
        build_layers((self.squeeze, self.channels), (self.excite, self.squeezed), rank=2)
        self.built = True

    def call(self, x: Any) -> Any:
        weights = self.excite(self.squeeze(ops.mean(x, axis=(1, 2))))  # (B, C)
        return x * weights[:, None, None, :]


class ResNetBlock(keras.layers.Layer):
    """Two 3×3 convolutions and squeeze-excitation, residual (He et al. 2016)."""

    def __init__(self, inputs: int, channels: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.channels, self.stride = inputs, channels, stride
        self.conv_1 = keras.layers.Conv2D(channels, 3, strides=stride, padding="valid", use_bias=False, name="conv_1")
        self.norm_1 = _batch_norm("norm_1")
        self.conv_2 = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False, name="conv_2")
        self.norm_2 = _batch_norm("norm_2")
        self.squeeze_excite = SqueezeExcite(channels, name="squeeze_excite")
        self.shortcut = self.shortcut_norm = None
        if stride != 1 or inputs != channels:
            self.shortcut = keras.layers.Dense(channels, use_bias=False, name="shortcut")
            self.shortcut_norm = _batch_norm("shortcut_norm")

    def build(self, input_shape=None) -> None:
        channels = self.channels
        build_layers((self.conv_1, self.inputs), (self.norm_1, channels), (self.conv_2, channels), (self.norm_2, channels), rank=4)
        self.squeeze_excite.build(None)
        if self.shortcut is not None:
            build_layers((self.shortcut, self.inputs), (self.shortcut_norm, channels), rank=4)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        # (1, 1) explicitly: "same" with stride 2 pads (0, 1) on even sizes and shifts against the reference
        y = self.conv_1(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
        y = self.norm_1(ops.relu(y), training=training)  # the rectifier comes before the norm: the reference's order
        y = self.squeeze_excite(self.norm_2(self.conv_2(y), training=training))
        if self.shortcut is not None:
            # a 1×1 convolution of this stride, written as slice and product: the gradient of TensorFlow 2.21's own, where the stride
            # exceeds the kernel, writes outside its memory on CPU ("double free or corruption")
            x = self.shortcut(x[:, :: self.stride, :: self.stride])
            x = self.shortcut_norm(x, training=training)
        return ops.relu(x + y)


class SpeakerEncoder(keras.Model):
    """ResNet34 with squeeze-excitation and attentive statistics pooling (Heo et al. 2020, "Clova baseline system", H/ASP)."""

    def __init__(self, config: SpeakerEncoderConfig, name: str = "speaker_encoder"):
        super().__init__(name=name)
        if config.num_mels % 8:
            raise ModelError(f"model.speaker_encoder.num_mels must be divisible by 8 (three layers halve it); it is {config.num_mels}")
        self.config = config
        self.stem = keras.layers.Conv2D(config.filters[0], 3, padding="same", activation="relu", name="stem")
        self.stem_norm = _batch_norm("stem_norm")
        self.blocks, inputs = [], config.filters[0]
        for layer, (channels, count) in enumerate(zip(config.filters, config.blocks, strict=True)):
            for index in range(count):
                stride = 2 if layer and not index else 1
                self.blocks.append(ResNetBlock(inputs, channels, stride, name=f"layer_{layer + 1}_block_{index}"))
                inputs = channels
        self.width = inputs * config.num_mels // 8
        self.attention_in = keras.layers.Dense(ATTENTION_WIDTH, activation="relu", name="attention_in")
        self.attention_norm = _batch_norm("attention_norm")
        self.attention_out = keras.layers.Dense(self.width, name="attention_out")
        self.embed = keras.layers.Dense(config.embedding_dim, name="embed")
        self.build_weights()

    def build_weights(self) -> None:
        """Creates every variable, without data. Construction has already called it."""
        if not self.built:
            self.build(None)

    def build(self, input_shape=None) -> None:
        build_layers((self.stem, 1), (self.stem_norm, self.config.filters[0]), rank=4)
        for block in self.blocks:
            block.build(None)
        build_layers((self.attention_in, self.width), (self.attention_norm, ATTENTION_WIDTH), (self.attention_out, ATTENTION_WIDTH))
        build_layers((self.embed, 2 * self.width), rank=2)
        self.built = True

    def call(self, mel: Any, training: bool = False) -> Any:
        """log_mel(speaker_mel) (B, F, M) -> unit vectors (B, E), float32. `training` decides whose statistics the batch norms use."""
        if mel.shape[-1] != self.config.num_mels:
            raise ModelError(f"this speaker encoder reads mels of {self.config.num_mels} bands, channels last; it got {tuple(mel.shape)}")
        x = ops.transpose(_normalise_over_time(mel), (0, 2, 1))[..., None]  # (B, M, F, 1)
        x = self.stem_norm(self.stem(x), training=training)
        for block in self.blocks:
            x = block(x, training=training)
        # channel before frequency: the order in which the reference flattens them
        x = ops.transpose(x, (0, 2, 3, 1))  # (B, F', C, M / 8)
        x = ops.reshape(x, (-1, x.shape[1] if x.shape[1] is not None else ops.shape(x)[1], self.width))  # (B, F', width)
        scores = self.attention_out(self.attention_norm(self.attention_in(x), training=training))
        weights, x = ops.softmax(ops.cast(scores, "float32"), axis=1), ops.cast(x, "float32")
        mean = ops.sum(x * weights, axis=1)  # (B, width)
        # clamped, for its square root has no gradient at zero
        deviation = ops.sqrt(ops.maximum(ops.sum(ops.square(x) * weights, axis=1) - ops.square(mean), 1e-5))
        embedding = ops.cast(self.embed(ops.concatenate([mean, deviation], axis=-1)), "float32")
        return embedding * ops.rsqrt(ops.maximum(ops.sum(ops.square(embedding), axis=-1, keepdims=True), 1e-24))


def _normalise_over_time(mel: Any) -> Any:
    """Each band of each clip to mean 0 and variance 1, so that loudness and channel drop out (instance norm, no weights)."""
    mean = ops.mean(mel, axis=1, keepdims=True)
    variance = ops.mean(ops.square(mel - mean), axis=1, keepdims=True)
    return (mel - mean) * ops.rsqrt(variance + 1e-5)


def _batch_norm(name: str) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
