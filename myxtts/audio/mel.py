"""The only mel spectrogram of the house: several named MelConfigs, one differentiable function, for tensors and for NumPy.

B batch, N samples, F frames, M mel bands, W spectrum bins. Mels are channels-last: (B, F, M).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from myxtts.config import AudioConfig, DataError, SpeakerEncoderConfig

# XTTS's speaker encoder was trained on this short-time Fourier transform of 16 kHz speech; at another rate the numbers stay
SPEAKER_N_FFT, SPEAKER_WIN_LENGTH, SPEAKER_HOP_LENGTH = 512, 400, 160
SPEAKER_PREEMPHASIS = 0.97


@dataclass(frozen=True)
class MelConfig:
    """What a mel is made of. Lengths in samples, frequencies in Hz; band edges on the HTK scale from 0 Hz to `fmax`.

    norm: "slaney" divides each filter by its width in Hz, None leaves peaks at 1.
    log_offset: log(mel + log_floor) instead of log(max(mel, log_floor)).
    """

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int
    num_mels: int
    fmax: float
    window: Literal["hann", "hamming"] = "hann"
    norm: Literal["slaney"] | None = "slaney"
    preemphasis: float = 0.0
    log_floor: float = 1e-5
    log_offset: bool = False


def dvae_mel(audio: AudioConfig) -> MelConfig:
    """The mel that DVAE codes stand for (XTTS v2: 1024-point, hop 256, 80 bands up to 8 kHz, at 22.05 kHz)."""
    width = 4 * audio.hop_length
    return MelConfig(audio.input_sample_rate, width, width, audio.hop_length, audio.num_mels, audio.mel_fmax)


def conditioning_mel(audio: AudioConfig) -> MelConfig:
    """The mel of the reference voice. As in XTTS v2 its window is centred in a spectrum twice as fine as the DVAE's."""
    width = 4 * audio.hop_length
    return MelConfig(audio.input_sample_rate, 2 * width, width, audio.hop_length, audio.num_mels, audio.mel_fmax)


def speaker_mel(config: SpeakerEncoderConfig) -> MelConfig:
    """The speaker encoder's own mel: pre-emphasised, Hamming window, unnormalised filters up to half the sample rate."""
    return MelConfig(
        sample_rate=config.sample_rate,
        n_fft=SPEAKER_N_FFT,
        win_length=SPEAKER_WIN_LENGTH,
        hop_length=SPEAKER_HOP_LENGTH,
        num_mels=config.num_mels,
        fmax=config.sample_rate / 2,
        window="hamming",
        norm=None,
        preemphasis=SPEAKER_PREEMPHASIS,
        log_floor=1e-6,
        log_offset=True,
    )


def log_mel(wave: Any, config: MelConfig) -> Any:
    """Natural log of the mel power spectrogram.

    wave: (B, N) float, mono, at `config.sample_rate`. Returns (B, F, M) float32 with F = 1 + N // hop_length: frames are
    centred on multiples of hop_length, the ends padded by reflection. Differentiable; runs eagerly and compiled.
    Raises DataError where N is too short to be reflected.
    """
    from keras import ops

    return _log_mel(wave, config, ops)


def log_mel_numpy(wave: np.ndarray, config: MelConfig) -> np.ndarray:
    """`log_mel` of one wave (N,), as numpy (F, M) float32. Needs no tensors: importing Keras takes longer than a small corpus' mels."""
    return _log_mel(np.asarray(wave, np.float32)[None], config, _NumPyOps)[0]


def _log_mel(wave: Any, config: MelConfig, ops: Any) -> Any:
    """ops: keras.ops, or what has the same functions."""
    wave = ops.cast(wave, "float32")
    if len(wave.shape) != 2:
        raise DataError(f"log_mel expects waves of shape (batch, samples); it got {tuple(wave.shape)}; add the batch axis")
    samples, pad = wave.shape[1], config.n_fft // 2
    if samples is not None and samples <= pad:
        raise DataError(
            f"a mel of n_fft {config.n_fft} needs more than {pad} samples ({pad / config.sample_rate:.3f} s); it got {samples}; "
            "drop clips this short (prepare.min_seconds)"
        )
    if config.preemphasis:
        # the sample before the first is its mirror image, as in the padding of the frames
        before = ops.concatenate([wave[:, 1:2], wave[:, :-1]], axis=1)
        wave = wave - config.preemphasis * before
    real, imaginary = ops.stft(
        wave, config.win_length, config.hop_length, config.n_fft, window=_window(config.window, config.win_length), center=True
    )
    power = ops.square(real) + ops.square(imaginary)  # (B, F, W)
    mel = ops.matmul(power, ops.convert_to_tensor(mel_filter(config)))  # (B, F, M)
    if config.log_offset:
        return ops.log(mel + config.log_floor)
    return ops.log(ops.maximum(mel, config.log_floor))


def magnitudes(wave: Any, n_fft: int, hop_length: int, win_length: int, floor: float = 1e-7) -> Any:
    """Magnitude spectrogram by a Hann window: (B, N) -> (B, F, W) float32, W = 1 + n_fft // 2, its power no less than `floor`.

    Frames as those of `log_mel`. Differentiable.
    """
    from keras import ops

    wave, window = ops.cast(wave, "float32"), _window("hann", win_length)
    real, imaginary = ops.stft(wave, win_length, hop_length, n_fft, window=window, center=True)
    return ops.sqrt(ops.maximum(ops.square(real) + ops.square(imaginary), floor))


class _NumPyOps:
    """What `_log_mel` needs of keras.ops, of arrays."""

    square, matmul, log, maximum, concatenate = np.square, np.matmul, np.log, np.maximum, np.concatenate

    @staticmethod
    def cast(values: np.ndarray, dtype: str) -> np.ndarray:
        return np.asarray(values, dtype)

    @staticmethod
    def convert_to_tensor(values: np.ndarray) -> np.ndarray:
        return values

    @staticmethod
    def stft(
        wave: np.ndarray, win_length: int, hop_length: int, n_fft: int, window: np.ndarray, center: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Real and imaginary part, (B, F, W) each; the window stands in the middle of n_fft."""
        left = (n_fft - win_length) // 2
        padded = np.pad(wave, ((0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
        # the part of each frame that the window lets through, at its place among zeros
        pieces = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop_length, left : left + win_length]
        frames = np.zeros((*pieces.shape[:2], n_fft), np.float32)
        frames[..., left : left + win_length] = pieces * window
        spectrum = np.fft.rfft(frames)
        return spectrum.real, spectrum.imag


def fit_frames(mel: np.ndarray, frames: int) -> np.ndarray:
    """A mel (F, M) brought to (frames, M): cut at the end, or repeated from the start when it is shorter.

    Repeated and not padded with zeros, for the conditioning encoder's norm runs over time: padding would change the voice.
    Raises DataError for an empty mel.
    """
    if mel.ndim != 2 or not len(mel):
        raise DataError(f"a reference mel is (frames, bands) with at least one frame; it got {mel.shape}; is the clip empty?")
    repeats = math.ceil(frames / len(mel))
    return np.tile(mel, (repeats, 1))[:frames]


@lru_cache(maxsize=16)
def mel_filter(config: MelConfig) -> np.ndarray:
    """Triangles on the HTK mel scale, mel = 2595 log10(1 + f / 700): (W, M) float32 with W = 1 + n_fft // 2. Read-only."""
    edges = 700 * (10 ** (np.linspace(0, _hertz_to_mel(config.fmax), config.num_mels + 2) / 2595) - 1)  # (M + 2,) Hz
    bins = np.linspace(0, config.sample_rate / 2, 1 + config.n_fft // 2)[:, None]  # (W, 1) Hz
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))  # (W, M)
    if config.norm == "slaney":
        triangles *= 2 / (high - low)
    triangles = triangles.astype(np.float32)
    triangles.flags.writeable = False
    return triangles


def _hertz_to_mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


@lru_cache(maxsize=16)
def _window(name: str, length: int) -> np.ndarray:
    """Periodic window (length,)."""
    phase = 2 * np.pi * np.arange(length) / length
    bias = {"hann": 0.5, "hamming": 0.54}[name]
    return (bias - (1 - bias) * np.cos(phase)).astype(np.float32)
