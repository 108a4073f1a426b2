"""The audio tokenizer: mel frames <-> discrete codes (van den Oord et al. 2017, "Neural Discrete Representation Learning").

B batch, F frames, M mel bands, S codes, C width of a code, K codebook entries, R rows of encoded vectors.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from myxtts.config import DVAEConfig, ModelError
from myxtts.models.layers import build_layers

LAPLACE = 1e-5
DEAD_SHARE = 0.1


class DVAEOutput(NamedTuple):
    """reconstruction (B, S·frames_per_code, M), codes (B, S) int32, encoded (B, S, C), commitment (B, S)."""

    reconstruction: Any
    codes: Any
    encoded: Any
    commitment: Any


class ResidualBlock(keras.layers.Layer):
    """x + conv1(relu(conv3(relu(conv3(x))))), without a final activation."""

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.conv_1 = keras.layers.Conv1D(width, 3, padding="same", activation="relu", name="conv_1")
        self.conv_2 = keras.layers.Conv1D(width, 3, padding="same", activation="relu", name="conv_2")
        self.conv_3 = keras.layers.Dense(width, name="conv_3")  # a convolution of kernel 1

    def build(self, input_shape=None) -> None:
        build_layers((self.conv_1, self.width), (self.conv_2, self.width), (self.conv_3, self.width))
        self.built = True

    def call(self, x: Any) -> Any:
        return x + self.conv_3(self.conv_2(self.conv_1(x)))


class DVAE(keras.Model):
    """Discrete autoencoder of normalised mels, `config.frames_per_code` frames to a code.

    Its codebook is no trainable weight: `update_codebook` moves it by moving averages.
    """

    def __init__(self, config: DVAEConfig, num_mels: int, name: str = "dvae"):
        super().__init__(name=name)
        self.config, self.num_mels = config, num_mels
        widths = [config.hidden_dim * 2**layer for layer in range(config.num_layers)]
        self.down = [
            keras.layers.Conv1D(width, 3, strides=2, padding="valid", activation="relu", name=f"down_{i}") for i, width in enumerate(widths)
        ]
        blocks = range(config.num_resnet_blocks)
        self.encoder_blocks = [ResidualBlock(widths[-1], name=f"encoder_block_{i}") for i in blocks]
        self.to_code = keras.layers.Dense(config.code_dim, name="to_code")
        self.from_code = keras.layers.Dense(widths[-1], name="from_code")
        self.decoder_blocks = [ResidualBlock(widths[-1], name=f"decoder_block_{i}") for i in blocks]
        self.up = [
            keras.layers.Conv1D(width, 3, padding="same", activation="relu", name=f"up_{i}") for i, width in enumerate(reversed(widths))
        ]
        self.to_mel = keras.layers.Dense(num_mels, name="to_mel")
        self.widths = widths
        self.build_weights()

    def build_weights(self) -> None:
        """Creates every variable, without data. Construction has already called it."""
        if not self.built:
            self.build(None)

    def build(self, input_shape=None) -> None:
        widths, config = self.widths, self.config
        build_layers(*zip(self.down, [self.num_mels, *widths[:-1]], strict=True))
        for block in [*self.encoder_blocks, *self.decoder_blocks]:
            block.build(None)
        build_layers((self.to_code, widths[-1]), (self.from_code, config.code_dim), (self.to_mel, widths[0]))
        build_layers(*zip(self.up, [widths[-1], *reversed(widths[1:])], strict=True))

        def buffer(name: str, shape: tuple[int, ...], initializer: Any) -> Any:
            # float32 under every precision policy: moving averages of decay 0.99 would stand still in half precision
            return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False, dtype="float32", autocast=False)

        self.codebook = buffer("codebook", (config.num_codes, config.code_dim), keras.initializers.RandomNormal(stddev=1.0))
        self.cluster_size = buffer("cluster_size", (config.num_codes,), "zeros")
        self.cluster_sum = buffer("cluster_sum", (config.num_codes, config.code_dim), "zeros")
        self.built = True

    def call(self, mel: Any, training: bool = False) -> DVAEOutput:
        """mel (B, F, M), normalised. The gradient passes the quantiser straight through. Returns DVAEOutput."""
        encoded = self.encode_vectors(mel)
        codes = self.nearest_codes(encoded)
        quantised = ops.take(self.codebook, codes, axis=0)  # (B, S, C)
        commitment = ops.mean(ops.square(ops.stop_gradient(quantised) - encoded), axis=-1)  # (B, S)
        straight_through = encoded + ops.stop_gradient(quantised - encoded)
        return DVAEOutput(self.decode_vectors(straight_through), codes, encoded, commitment)

    def encode(self, mel: Any) -> Any:
        """mel (B, F, M), normalised -> codes (B, S) int32; F is halved, rounded up, once per down-sampling layer."""
        return self.nearest_codes(self.encode_vectors(mel))

    def decode(self, codes: Any) -> Any:
        """codes (B, S) -> normalised mel (B, S·frames_per_code, M)."""
        return self.decode_vectors(ops.take(self.codebook, codes, axis=0))

    def encode_vectors(self, mel: Any) -> Any:
        """mel (B, F, M) -> (B, S, C) float32, before quantisation."""
        if mel.shape[-1] != self.num_mels:
            raise ModelError(f"this DVAE reads mels of {self.num_mels} bands, channels last; it got shape {tuple(mel.shape)}")
        x = mel
        for layer in self.down:
            # (1, 1) explicitly: "same" with stride 2 pads (0, 1) on even lengths and shifts against the reference by a frame
            x = layer(ops.pad(x, ((0, 0), (1, 1), (0, 0))))
        for block in self.encoder_blocks:
            x = block(x)
        return ops.cast(self.to_code(x), "float32")

    def decode_vectors(self, vectors: Any) -> Any:
        """(B, S, C) -> normalised mel (B, S·frames_per_code, M)."""
        x = self.from_code(vectors)
        for block in self.decoder_blocks:
            x = block(x)
        for layer in self.up:
            x = layer(ops.repeat(x, 2, axis=1))
        return ops.cast(self.to_mel(x), "float32")

    def nearest_codes(self, encoded: Any) -> Any:
        """(B, S, C) -> index of the nearest codebook entry, (B, S) int32."""
        codebook = ops.convert_to_tensor(self.codebook)
        # |x|² is the same for every entry, so it is left out of |x - e|²
        distance = ops.sum(ops.square(codebook), axis=-1) - 2 * ops.matmul(encoded, ops.transpose(codebook))  # (B, S, K)
        return ops.cast(ops.argmin(distance, axis=-1), "int32")

    def codebook_statistics(self, encoded: Any, codes: Any, mask: Any) -> tuple[Any, Any]:
        """What `update_codebook` needs of one micro-batch; sums over replicas and micro-batches add up.

        encoded (B, S, C), codes (B, S), mask (B, S) boolean, True = keep. Returns counts (K,) and sums (K, C), without gradient.
        """
        keep = ops.reshape(ops.cast(mask, "float32"), (-1,))  # (B·S,)
        rows = ops.reshape(ops.stop_gradient(encoded), (-1, self.config.code_dim))  # (B·S, C)
        codes, entries = ops.reshape(codes, (-1,)), self.config.num_codes
        counts = ops.segment_sum(keep, codes, num_segments=entries)
        # where and not a product: padding may hold NaN
        sums = ops.segment_sum(ops.where(keep[:, None] > 0, rows, 0.0), codes, num_segments=entries)
        return counts, sums

    def update_codebook(self, counts: Any, sums: Any, encoded_rows: Any, seed: Any) -> Any:
        """Moves entries to the mean of what they stand for (moving averages, van den Oord et al. 2017, appendix A.1).

        counts (K,) and sums (K, C) of one optimizer step, summed over its micro-batches and replicas; encoded_rows (R, C), valid
        rows that dead entries restart from; seed: int or scalar int tensor, another one each step. An entry is dead when its
        moving count is below a tenth of its fair share of a step (and below 1). It restarts with twice that, which gives it
        some 70 steps to be used: long enough for a rare sound, short enough to follow an encoder that still moves fast. The first
        call so starts the whole codebook on the data. Returns how many restarted.
        """
        config, decay = self.config, self.config.decay
        size = decay * ops.convert_to_tensor(self.cluster_size) + (1 - decay) * counts
        total = decay * ops.convert_to_tensor(self.cluster_sum) + (1 - decay) * sums
        fair_share = ops.sum(counts) / config.num_codes
        dead = size < ops.minimum(1.0, DEAD_SHARE * fair_share)  # (K,)
        restart = ops.take(encoded_rows, _spread_rows(config.num_codes, encoded_rows, seed), axis=0)  # (K, C)
        grace = 2 * DEAD_SHARE * fair_share
        size = ops.where(dead, grace, size)
        total = ops.where(dead[:, None], grace * restart, total)
        everything = ops.sum(size)
        # Laplace smoothing keeps the division finite where an entry has hardly been used
        smoothed = (size + LAPLACE) / (everything + config.num_codes * LAPLACE) * everything
        moved = ops.where(dead[:, None], restart, total / ops.maximum(smoothed, 1e-12)[:, None])
        # a step in which every row was masked moves nothing
        moved = ops.where(everything > 0, moved, ops.convert_to_tensor(self.codebook))
        self.cluster_size.assign(size)
        self.cluster_sum.assign(total)
        self.codebook.assign(moved)
        return ops.sum(ops.cast(dead, "int32"))


def _spread_rows(count: int, rows: Any, seed: Any) -> Any:
    """`count` row indices (count,), spread over all rows, others for each seed.

    Integer arithmetic and no random generator, so that every replica picks the same rows from a seed that is a tensor.
    """
    prime = 65521
    offset = ops.cast(ops.mod(ops.cast(seed, "int32"), 16381), "int32") * 104729 % prime
    return (ops.arange(count, dtype="int32") * 7919 % prime + offset) % prime % ops.shape(rows)[0]
