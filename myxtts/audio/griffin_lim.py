"""Mel -> wave without a trained vocoder.

F frames, M mel bands, W spectrum bins, N samples.
"""

from functools import lru_cache

import numpy as np

from myxtts.audio.mel import MelConfig, mel_filter
from myxtts.config import DataError

REFINEMENTS = 24


def griffin_lim(log_mel: np.ndarray, config: MelConfig, iterations: int, seed: int = 0) -> np.ndarray:
    """A wave whose mel comes close to `log_mel` (Griffin & Lim 1984; the fast variant of Perraudin et al. 2013).

    log_mel: (F, M), not normalised, as `log_mel` returns it. Returns (N,) float32 with N = (F - 1) * hop_length, at
    `config.sample_rate`, not scaled or clipped. The same arguments give the same wave. Raises DataError for a wrong shape or
    values that are not finite.
    """
    import librosa  # here, for it is slow to import and training never needs it

    mel = np.asarray(log_mel, np.float32)
    if mel.ndim != 2 or mel.shape[1] != config.num_mels or len(mel) < 2:
        raise DataError(f"griffin_lim expects a mel of shape (2 or more frames, {config.num_mels} bands); it got {mel.shape}")
    if not np.isfinite(mel).all():
        raise DataError("griffin_lim got a mel with values that are not finite: the model behind it has diverged; load another")
    with np.errstate(over="ignore"):
        power = mel_to_power(mel, config)
    if not np.isfinite(power).all():
        raise DataError(f"griffin_lim got a mel of up to {mel.max():.0f}, louder than any sound: the model behind it has diverged")
    wave = librosa.griffinlim(
        np.sqrt(power).T,
        n_iter=iterations,
        hop_length=config.hop_length,
        win_length=config.win_length,
        n_fft=config.n_fft,
        window=config.window,
        center=True,
        pad_mode="reflect",
        momentum=0.99,
        init="random",
        random_state=seed,
    )
    if config.preemphasis:
        from scipy.signal import lfilter

        wave = lfilter([1.0], [1.0, -config.preemphasis], wave)
    return np.ascontiguousarray(wave, np.float32)


def mel_to_power(log_mel: np.ndarray, config: MelConfig) -> np.ndarray:
    """The non-negative power spectrogram (F, W) that the mel (F, M) stands for, float32.

    Multiplicative updates of the Kullback-Leibler divergence (Lee & Seung 2001), from the pseudo-inverse of the filter. That
    divergence weighs relative errors, so that quiet bands come out as well as loud ones; least squares would lose them.
    """
    floor = config.log_floor if config.log_offset else 0.0
    mel = np.maximum(np.exp(log_mel.astype(np.float32)) - floor, 1e-10)  # (F, M)
    weights = mel_filter(config)  # (W, M)
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)  # bins above fmax: zeros, they fall silent
    # the pseudo-inverse leaves negative bins, and a bin at zero could never rise again under multiplication
    power = np.maximum(mel @ _pseudo_inverse(config), 1e-3 * (mel @ share.T))  # (F, W)
    for _ in range(REFINEMENTS):
        power *= (mel / np.maximum(power @ weights, 1e-12)) @ share.T
    return power


@lru_cache(maxsize=4)
def _pseudo_inverse(config: MelConfig) -> np.ndarray:
    return np.linalg.pinv(mel_filter(config)).astype(np.float32)  # (M, W)
