"""Which text token is spoken at which code: a small network that finds it out from pairs of text and mel.

B batch, F frames, M mel bands, S codes, T text tokens, W width.
"""

from typing import Any

import keras
from keras import ops

from myxtts.models.layers import build_layers

WIDTH = 192
PRIOR_WIDTH = 0.2  # of a text: how far from an even reading a path may go at little cost


class Aligner(keras.Model):
    """Tokens and codes as points of one space, near where the one is heard in the other (Badlani et al. 2021, "One TTS alignment to rule
    them all", section 2). Both see their neighbours: two tokens of text, four codes.
    """

    def __init__(self, num_text_tokens: int, num_mels: int, frames_per_code: int, name: str = "aligner"):
        super().__init__(name=name)
        self.num_text_tokens, self.num_mels, self.frames_per_code = num_text_tokens, num_mels, frames_per_code
        self.text_conv = keras.layers.Conv1D(WIDTH, 5, padding="same", activation="relu", name="text_conv")
        self.text_out = keras.layers.Dense(WIDTH // 2, name="text_out")
        self.mel_convs = [keras.layers.Conv1D(WIDTH, 5, padding="same", activation="relu", name=f"mel_conv_{i}") for i in range(2)]
        self.mel_out = keras.layers.Dense(WIDTH // 2, name="mel_out")
        self.build(None)

    def build(self, input_shape=None) -> None:
        self.embedding = self.add_weight(
            name="embedding", shape=(self.num_text_tokens, WIDTH), initializer=keras.initializers.RandomNormal(stddev=1.0)
        )
        build_layers((self.text_conv, WIDTH), (self.text_out, WIDTH), (self.mel_out, WIDTH))
        build_layers(*zip(self.mel_convs, (self.num_mels * self.frames_per_code, WIDTH), strict=True))
        self.built = True

    def call(self, mel: Any, text_ids: Any, text_mask: Any) -> Any:
        """mel (B, F, M) normalised, F a multiple of the frames per code; text_ids (B, T), text_mask (B, T) boolean, True = keep.

        Returns scores (B, S, T) float32, the higher the likelier that the code speaks the token; -1e9 at padding of the text.
        """
        x = ops.reshape(mel, (ops.shape(mel)[0], -1, self.frames_per_code * self.num_mels))  # (B, S, frames · M)
        for conv in self.mel_convs:
            x = conv(x)
        heard = self.mel_out(x)  # (B, S, W/2)
        spoken = self.text_out(self.text_conv(ops.take(self.embedding, text_ids, axis=0)))  # (B, T, W/2)
        both = ops.matmul(heard, ops.transpose(spoken, (0, 2, 1)))
        lengths = ops.sum(ops.square(heard), axis=2)[:, :, None] + ops.sum(ops.square(spoken), axis=2)[:, None]
        return ops.where(ops.cast(text_mask, "bool")[:, None], 2 * both - lengths, -1e9)
