"""What turns frames into waves besides the decoder itself: ONNX Runtime, and TensorFlow in half precision.

B batch, F frames, D width, E speaker embedding, N samples. Both speak like `HiFiGAN`, whose other methods they pass on.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from myxtts.config import ModelConfig
from myxtts.models.hifigan import HiFiGAN
from myxtts.models.hifigan_onnx import decoder_graph
from myxtts.models.onnx_graph import session
from myxtts.models.precision import set_precision, take_over
from myxtts.models.xtts import build_component

WINDOWS = (256, 128, 64)  # frames that are vocoded at once in half precision: each is traced once


class DecoderSession:
    """The decoder's convolutions in ONNX Runtime, with their own copy of the weights as they were."""

    def __init__(self, decoder: HiFiGAN, threads: int):
        self.decoder, self.session = decoder, session(decoder_graph(decoder), threads)

    def from_frames(self, frames: Any, speaker: np.ndarray) -> np.ndarray:
        """As `HiFiGAN.from_frames`: frames (B, F, D), speaker (1 or B, E) -> wave (B, N)."""
        given = {"frames": np.asarray(frames, np.float32), "speaker": np.asarray(speaker, np.float32)}
        return self.session.run(["wave"], given)[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.decoder, name)


class HalfDecoder:
    """A copy of the decoder that computes in bfloat16, three times as fast where the processor has instructions for it.

    Frames are vocoded in windows of a few lengths, for each length is compiled anew; a window reaches as far beyond its part as the
    decoder's convolutions do, so the parts are those of the whole. What is shorter than the shortest window is left to `short`.
    """

    def __init__(self, decoder: HiFiGAN, config: ModelConfig, short: DecoderSession | HiFiGAN):
        copy = build_component("decoder", config)
        take_over(copy, decoder)
        set_precision(copy, "bfloat16")
        copy.fold()
        self.decoder, self.short = decoder, short
        self._run = tf.function(lambda frames, speaker: copy.from_frames(frames, speaker), autograph=False)

    def compile(self) -> None:
        """Traces all windows, which takes seconds, before somebody waits for it."""
        for size in WINDOWS:
            self._run(tf.zeros((1, size, self.decoder.latent_dim)), tf.zeros((1, self.decoder.speaker_dim)))

    def from_frames(self, frames: Any, speaker: np.ndarray) -> np.ndarray:
        """As `HiFiGAN.from_frames`: frames (1, F, D), speaker (1, E) -> wave (1, N)."""
        frames, context = np.asarray(frames, np.float32), self.decoder.context_frames
        length = frames.shape[1]
        size = next((size for size in WINDOWS if 2 * context < size <= length), 0)
        if not size:
            return np.asarray(self.short.from_frames(frames, speaker))
        hop, done, parts = self.decoder.config.hop_length, 0, []
        while done < length:
            first = min(max(0, done - context), length - size)
            end = length if first + size == length else first + size - context
            wave = self._run(tf.constant(frames[:, first : first + size]), tf.constant(speaker, tf.float32)).numpy()
            parts.append(wave[:, (done - first) * hop : (end - first) * hop])
            done = end
        return np.concatenate(parts, axis=1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.decoder, name)
