"""The d-vector network of Resemblyzer (Wan et al. 2018, "Generalized end-to-end loss for speaker verification"), in Keras.

A judge of voices, no part of XTTS. Its weights (Apache-2.0) come with the package resemblyzer, of which the file alone is used: the code
there needs torch. N samples, F frames, M mel bands, W windows, H hidden width, D numbers of an embedding.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from myxtts.config import DataError
from myxtts.models.torch_file import read_torch

SAMPLE_RATE, N_FFT, HOP_LENGTH, NUM_MELS = 16000, 400, 160, 40
WINDOW, STRIDE = 160, 77  # frames; 1.3 windows a second
COVERAGE = 0.75  # of the last window, with less of it heard it is left out
LAYERS, WIDTH = 3, 256


class VoiceEncoder(keras.Model):
    """Three LSTM layers; the last state through a dense layer and ReLU, scaled to length 1."""

    def __init__(self, name: str = "voice_encoder"):
        super().__init__(name=name)
        self.recurrent = [keras.layers.LSTM(WIDTH, return_sequences=i < LAYERS - 1, name=f"lstm_{i}") for i in range(LAYERS)]
        self.dense = keras.layers.Dense(WIDTH, activation="relu", name="dense")
        for layer, width in zip(self.recurrent, (NUM_MELS, WIDTH, WIDTH), strict=True):
            layer.build((None, WINDOW, width))
        self.dense.build((None, WIDTH))
        self.built = True

    def call(self, mel: Any) -> Any:
        """mel (W, 160, M), powers and not their logarithm -> (W, D)."""
        x = mel
        for layer in self.recurrent:
            x = layer(x)  # (W, 160, H), the last (W, H)
        x = self.dense(x)
        return x / ops.norm(x, axis=1, keepdims=True)


def voice_embedding(wave: np.ndarray) -> np.ndarray:
    """Wave (N,) at 16 kHz -> (D,) float32 of length 1, as `VoiceEncoder.embed_utterance` of resemblyzer 0.1.4 gives it.

    Silences are to be cut and the level to be set before. Raises DataError where the package is not installed, or for an empty wave.
    """
    from librosa.feature import melspectrogram  # here, for it is slow to import

    if not len(wave):
        raise DataError("an embedding needs sound; this wave is empty")
    starts = _starts(len(wave))
    whole = (starts[-1] + WINDOW) * HOP_LENGTH
    wave = np.pad(np.asarray(wave, np.float32), (0, max(0, whole - len(wave))))
    mel = melspectrogram(y=wave, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=NUM_MELS).astype(np.float32).T  # (F, M)
    windows = np.stack([mel[start : start + WINDOW] for start in starts])  # (W, 160, M)
    mean = np.asarray(_encoder()(windows)).mean(axis=0)
    return mean / np.linalg.norm(mean)


def _starts(samples: int) -> list[int]:
    """First frames of the windows."""
    frames = -(-(samples + 1) // HOP_LENGTH)
    starts = list(range(0, max(1, frames - WINDOW + STRIDE + 1), STRIDE))
    heard = (samples - starts[-1] * HOP_LENGTH) / (WINDOW * HOP_LENGTH)
    return starts[:-1] if heard < COVERAGE and len(starts) > 1 else starts


@lru_cache(maxsize=1)
def _encoder() -> VoiceEncoder:
    """The network with its weights, loaded once."""
    package = find_spec("resemblyzer")
    path = Path(package.origin).with_name("pretrained.pt") if package and package.origin else None
    if path is None or not path.is_file():
        raise DataError(
            "voiceprint_similarity expects the file pretrained.pt of the package resemblyzer, which is not installed: "
            "pip install --no-deps resemblyzer==0.1.4 (its dependencies, torch among them, are not needed)"
        )
    state = read_torch(path)["model_state"]
    encoder = VoiceEncoder()
    for number, layer in enumerate(encoder.recurrent):
        # both order the gates as input, forget, cell, output; torch keeps two biases that it adds
        named = {name: np.asarray(state[f"lstm.{name}_l{number}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        layer.set_weights([named["weight_ih"].T, named["weight_hh"].T, named["bias_ih"] + named["bias_hh"]])
    encoder.dense.set_weights([np.asarray(state["linear.weight"]).T, np.asarray(state["linear.bias"])])
    return encoder
