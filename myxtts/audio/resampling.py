"""Another sample rate inside a network: differentiable, where `wave.resample` takes finished waves.

B batch, N samples, J taps of a phase, P phases.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

HALF_ZEROS = 10  # zero crossings of the sinc on each side
BETA = 5.0  # of the Kaiser window: 57 dB of attenuation


def resample_tensor(wave: Any, rate: int, new_rate: int) -> Any:
    """wave (B, N) at `rate` Hz -> (B, ceil(N · new_rate / rate)) float32 at `new_rate` Hz; N must be known.

    A windowed sinc below the lower of both Nyquist frequencies, in its polyphase form (Crochiere & Rabiner 1983), as one strided
    convolution; the same filter and delay as scipy.signal.resample_poly. Beyond its ends the wave is taken for zero.
    """
    from keras import ops

    wave = ops.cast(wave, "float32")
    if rate == new_rate:
        return wave
    divisor = math.gcd(rate, new_rate)
    up, down = new_rate // divisor, rate // divisor
    bank, first = _phases(up, down)  # (J, P)
    samples = wave.shape[1]
    wanted = -(-samples * up // down)
    blocks = -(-wanted // up)  # each of `up` new samples, from `down` old ones
    after = max(0, (blocks - 1) * down + len(bank) - (samples - first))
    padded = ops.pad(wave, ((0, 0), (-first, after)))[..., None]
    phases = ops.conv(padded, ops.convert_to_tensor(bank[:, None]), strides=down, padding="valid", data_format="channels_last")
    return ops.reshape(phases[:, :blocks], (-1, blocks * up))[:, :wanted]


@lru_cache(maxsize=8)
def _phases(up: int, down: int) -> tuple[np.ndarray, int]:
    """(J, P) float32: new sample q · up + p is the sum over j of old sample (q · down + first + j) times bank[j, p]; and `first`, <= 0."""
    from scipy.signal import firwin  # a second to import

    half = HALF_ZEROS * max(up, down)
    taps = up * firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", BETA))
    first, last = math.ceil(-half / up), ((up - 1) * down + half) // up
    places = half + np.arange(up)[None, :] * down - np.arange(first, last + 1)[:, None] * up
    inside = (places >= 0) & (places <= 2 * half)
    return np.where(inside, taps[np.clip(places, 0, 2 * half)], 0).astype(np.float32), first
