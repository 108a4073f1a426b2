"""How good a recording is: clipping, noise and bandwidth, measured on the recording as it was decoded.

N samples, C channels, F frames, K frequencies. All of it is arithmetic on the samples: no weights, no random numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len, rfft

SNR_CAP_DB, SNR_FLOOR_DB = 80.0, -20.0
PEAK_FLOOR_DBFS = -120.0  # of silence: a number, for it is written into tables
_FRAME_SECONDS = 0.032
_LOWEST_HZ = 60.0  # below it nothing speaks; a constant offset is no noise
_GUARD_SECONDS = 0.05  # beside speech: its echo is no noise
_FEWEST_NOISE_FRAMES = 6  # a pause of 0.1 s
_NOISE_PERCENTILE = 5.0
_DIGITAL_SILENCE = 1e-12  # power of a frame, of full scale: a gate or padding made it, it says nothing of the room
_FLAT_RUN, _QUANTUM = 3, 1 / 32768
_CORNER_QUANTA = 4  # a round peak leaves its highest sample by less than 2 quanta a sample
_BANDWIDTH_DB = 60.0
_SMOOTHING_HZ = 150.0


@dataclass(frozen=True)
class Quality:
    """peak_dbfs: largest sample. clipped_share: of the samples. snr_db: speech over noise. bandwidth_hz: highest frequency with sound
    in it. speech_seconds: sum of the spans. All finite."""

    peak_dbfs: float
    clipped_share: float
    snr_db: float
    bandwidth_hz: float
    speech_seconds: float


def measure_quality(samples: np.ndarray, sample_rate: int, spans: Sequence[tuple[int, int]]) -> Quality:
    """Measures a recording (N, C) or (N,) at sample_rate Hz as it was decoded: before resampling, trimming and levelling.

    spans: where speech is, in samples, as `audio.vad.speech_spans` says; empty where it found none or was not asked: noise is then
    measured in the softest frames. See clipped_share, snr_db and bandwidth_hz for what is measured.
    """
    samples = np.asarray(samples, np.float32)
    samples = samples[:, None] if samples.ndim == 1 else samples
    peak = float(np.abs(samples).max(initial=0.0))
    spectrum, centres = power_spectrum(samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0], sample_rate)
    return Quality(
        peak_dbfs=20 * np.log10(max(peak, 10 ** (PEAK_FLOOR_DBFS / 20))).item(),
        clipped_share=clipped_share(samples),
        snr_db=snr_db(spectrum, centres, sample_rate, spans),
        bandwidth_hz=bandwidth_hz(spectrum, centres, sample_rate, spans),
        speech_seconds=sum(last - first for first, last in spans) / sample_rate,
    )


def clipped_share(samples: np.ndarray) -> float:
    """Samples (N, C) that stand in flat tops at the recording's own ceiling, as a share of all.

    A flat top is a run of 3 or more samples at the largest (or smallest) value of the channel, give or take half a step of 16 bits,
    that is reached or left by more than 4 such steps. A clipped recording that was scaled afterwards is found like one at full scale;
    a single highest sample, and the round top of a sine, are no flat tops. Coding with loss (MP3, Opus) bends flat tops: clipping
    before it is mostly not found.
    """
    if not len(samples):
        return 0.0
    return sum(_flat_samples(sign * channel) for channel in samples.T for sign in (1, -1)) / samples.size


def snr_db(spectrum: np.ndarray, centres: np.ndarray, sample_rate: int, spans: Sequence[tuple[int, int]]) -> float:
    """10 log10((S - N) / N), between -20 and 80. S: mean power of the frames within speech, which hold noise too; N: of the noise.

    N is the median power of the frames that lie 0.05 s or more outside speech; where these last less than 0.1 s, or are digital
    silence, the 5th percentile of all frames (the floor that speech falls to between its sounds: minimum statistics, R. Martin 2001).
    Powers are of what lies above 60 Hz. spectrum (F, K), centres (F,): those of `power_spectrum`.
    """
    lowest = int(np.ceil(_LOWEST_HZ / (sample_rate / 2) * (spectrum.shape[1] - 1)))
    power = spectrum[:, lowest:].sum(axis=1)
    heard = power > _DIGITAL_SILENCE
    speech = _inside(centres, spans, 0) if spans else np.ones(len(power), bool)
    pauses = power[heard & ~_inside(centres, spans, _GUARD_SECONDS * sample_rate)] if spans else power[:0]
    if not (heard & speech).any():
        return SNR_FLOOR_DB
    noise = np.median(pauses) if len(pauses) >= _FEWEST_NOISE_FRAMES else np.percentile(power[heard], _NOISE_PERCENTILE)
    ratio = float(power[heard & speech].mean(dtype=np.float64) / noise) - 1
    return float(np.clip(10 * np.log10(max(ratio, 1e-9)), SNR_FLOOR_DB, SNR_CAP_DB))


def bandwidth_hz(spectrum: np.ndarray, centres: np.ndarray, sample_rate: int, spans: Sequence[tuple[int, int]]) -> float:
    """Highest frequency at which the long-term spectrum of speech is at most 60 dB below its highest point, smoothed over 150 Hz.

    Speech falls to -30 to -50 dB at 8 kHz; what a resampler or a codec leaves above its wall lies below -60 dB. Noise that was there
    before the wall counts as sound. 0 for silence. spectrum (F, K), centres (F,): those of `power_spectrum`.
    """
    inside = _inside(centres, spans, 0)
    mean = (spectrum[inside] if inside.any() else spectrum).mean(axis=0) if len(spectrum) else np.zeros(1)
    step = sample_rate / 2 / max(len(mean) - 1, 1)
    width = max(round(_SMOOTHING_HZ / step), 1)
    smooth = np.convolve(mean, np.full(width, 1 / width), "same")
    loud = np.flatnonzero(smooth > max(smooth.max() * 10 ** (-_BANDWIDTH_DB / 10), 1e-20))
    return float(loud[-1] * step) if len(loud) else 0.0


def power_spectrum(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) -> power of frames of 32 ms under a Hann window, at most half overlapping (F, K), and their middles in samples (F,).

    The sum of a frame over K is the mean square of its samples. K frequencies from 0 to sample_rate / 2. A wave shorter than a frame is
    filled up with zeros.
    """
    size = next_fast_len(round(_FRAME_SECONDS * sample_rate), real=True)
    size += size % 2
    wave = np.pad(wave, (0, max(size - len(wave), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[:: size // 2]
    window = np.hanning(size).astype(np.float32)
    transformed = rfft(frames * window, axis=1)
    spectrum = np.square(transformed.real) + np.square(transformed.imag)
    spectrum[:, 1:-1] *= 2
    return spectrum / (size * np.square(window).sum()), np.arange(len(frames)) * (size // 2) + size // 2


def _inside(centres: np.ndarray, spans: Sequence[tuple[int, int]], reach: float) -> np.ndarray:
    """Which frames (F,) have their middle in a span, or within `reach` samples of one."""
    inside = np.zeros(len(centres), bool)
    for first, last in spans:
        inside |= (centres >= first - reach) & (centres < last + reach)
    return inside


def _flat_samples(channel: np.ndarray) -> int:
    """Samples of one channel (N,) that stand in flat tops at its largest value."""
    top = channel.max()
    if not top > 10 * _QUANTUM:
        return 0
    flat = channel >= top - _QUANTUM / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]])))
    first, last = edges[::2], edges[1::2]
    low = top - _CORNER_QUANTA * _QUANTUM
    outer = np.concatenate([[top], channel, [top]])  # the ends of the recording are no corners
    cornered = (outer[first] < low) | (outer[last + 1] < low)
    lengths = last - first
    return int(lengths[(lengths >= _FLAT_RUN) & cornered].sum())
