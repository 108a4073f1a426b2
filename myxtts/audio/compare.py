"""How far a copy is from its recording, sample beside sample: spectra at three resolutions, and pitch.

B batch, N samples, F frames, W spectrum bins.
"""

from typing import Any

import numpy as np

from myxtts.audio.mel import magnitudes
from myxtts.audio.wave import resample
from myxtts.config import DataError

# n_fft, hop, window, in samples: those of Yamamoto et al. 2020, table 1
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
SHORTEST = 1 + max(n_fft for n_fft, _, _ in RESOLUTIONS) // 2  # samples, that the ends can be reflected
TINY = 1e-12  # of a squared distance, so that its root has a gradient
PITCH_RATE, PITCH_FRAME, PITCH_HOP = 16000, 1024, 256  # of the tracker: frames of 64 ms hold four periods of the lowest voice
PITCH_HZ = (60.0, 600.0)
PITCH_RESOLUTION = 0.2  # semitones between two candidates: a third of the time of 0.1


def stft_distance(wave: Any, reference: Any, quietest: float = 0.0) -> Any:
    """Multi-resolution STFT loss (Yamamoto et al. 2020, "Parallel WaveGAN", equations 3 to 6): (B, N), (B, N) -> (B,), less is better.

    Spectral convergence plus mean absolute difference of log magnitudes, averaged over RESOLUTIONS. Needs SHORTEST samples.
    Differentiable. quietest: a reference quieter than white noise of this RMS is taken to be as loud in the convergence, which is relative
    to it: a pause would outweigh all else in a batch, and its gradient have no limit. 0 = as in the paper.
    Raises DataError for fewer samples.
    """
    from keras import ops

    if wave.shape[1] < SHORTEST:
        raise DataError(f"an STFT distance needs {SHORTEST} samples; it got {wave.shape[1]}: compare longer waves")
    total = 0.0
    for n_fft, hop_length, win_length in RESOLUTIONS:
        ours, theirs = (magnitudes(w, n_fft, hop_length, win_length) for w in (wave, reference))  # (B, F, W)
        least = quietest**2 * 0.375 * win_length * theirs.shape[1] * theirs.shape[2]  # 0.375: mean square of a Hann window
        apart, whole = (ops.sum(ops.square(values), axis=(1, 2)) for values in (theirs - ours, theirs))
        # a square root has no gradient at zero, where a wave meets its like
        convergence = ops.sqrt(ops.maximum(apart, TINY) / ops.maximum(whole, least))
        total = total + convergence + ops.mean(ops.abs(ops.log(theirs) - ops.log(ours)), axis=(1, 2))
    return total / len(RESOLUTIONS)


def pitch_track(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Wave (N,) at sample_rate Hz -> pitch of each frame of 16 ms in Hz (F,), NaN where nothing is voiced (pYIN, Mauch & Dixon 2014)."""
    from librosa import pyin  # here, for it is slow to import

    wave = resample(np.asarray(wave, np.float32), sample_rate, PITCH_RATE)
    if len(wave) < PITCH_FRAME:
        return np.full(1 + len(wave) // PITCH_HOP, np.nan)
    low, high = PITCH_HZ
    settings = {"frame_length": PITCH_FRAME, "hop_length": PITCH_HOP, "resolution": PITCH_RESOLUTION}
    return pyin(wave, fmin=low, fmax=high, sr=PITCH_RATE, **settings)[0]


def pitch_distance(track: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square difference in cents of two tracks of `pitch_track`, over the frames that are voiced in both; the longer is cut.

    100 = a semitone. Raises DataError where no frame is voiced in both.
    """
    frames = min(len(track), len(reference))
    cents = 1200 * np.log2(track[:frames] / reference[:frames])
    if not np.isfinite(cents).any():
        raise DataError("no frame is voiced in both waves, so their pitch cannot be compared: is one of them silent, whispered or noise?")
    return float(np.sqrt(np.nanmean(np.square(cents))))
