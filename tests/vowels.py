"""Something like speech, for tests: syllables of a buzz through formants, which the detector of speech takes for speech."""

import numpy as np
from scipy.signal import lfilter

FORMANTS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410))  # a, i, o of Peterson & Barney (1952), Hz


def breathed(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """`syllables` with a breath of noise in each: what has no high frequencies is taken for a telephone's."""
    voice = syllables(seconds, rate, seed=seed)
    breath = np.random.default_rng(seed).standard_normal(len(voice)) * np.sin(5 * np.pi * np.arange(len(voice)) / rate) ** 2
    return (voice + 0.01 * breath).astype(np.float32)


def syllables(seconds: float, rate: int, pitch: float = 120.0, seed: int = 0) -> np.ndarray:
    """(N,) at `rate` Hz, peak 0.5: five syllables a second, their pitch gliding; never silent."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    phase = np.cumsum(pitch * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time + seed)) / rate)
    source = np.diff(np.floor(phase), prepend=0) + 0.002 * rng.standard_normal(count)
    wave = np.zeros(count)
    for number, formants in enumerate(FORMANTS):
        voiced = source
        for frequency in formants:
            radius, angle = np.exp(-np.pi * 80 / rate), 2 * np.pi * frequency / rate
            voiced = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], voiced)
        wave += voiced * (np.floor(time * 5).astype(int) % len(FORMANTS) == number)
    wave *= 0.3 + 0.7 * np.abs(np.sin(np.pi * 5 * time))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)
