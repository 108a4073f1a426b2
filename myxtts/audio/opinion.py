"""What listeners would say, as networks predict it: mean opinion scores from 1 (bad) to 5 (excellent). N samples."""

from functools import lru_cache
from typing import Any

import numpy as np

from myxtts.audio.wave import resample
from myxtts.config import DataError

SAMPLE_RATE = 16000
SHORTEST_SECONDS = 0.5


def dnsmos(wave: np.ndarray, sample_rate: int) -> float:
    """Wave (N,) -> overall score of DNSMOS P.835 (Reddy et al. 2022), by speechmos (MIT). Takes 0.6 s of a core for a second of sound.

    Raises DataError where speechmos is not installed, or for less than half a second.
    """
    try:
        from speechmos import dnsmos as network
    except ImportError as error:
        raise DataError(f"predicted_mos expects the package speechmos; {error.name} is not installed: pip install 'myxtts[mos]'") from None
    return float(network.run(_ready(wave, sample_rate), SAMPLE_RATE)["ovrl_mos"])


def distillmos(wave: np.ndarray, sample_rate: int) -> float:
    """Wave (N,) -> score of DistillMOS (Stahl & Gamper 2025), by distillmos (MIT), which needs torch and torchaudio.

    Raises DataError where it is not installed, or for less than half a second.
    """
    torch, network = _distillmos()
    with torch.no_grad():
        return float(network(torch.from_numpy(_ready(wave, sample_rate)[None]))[0])


def _ready(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    wave = resample(np.asarray(wave, np.float32), sample_rate, SAMPLE_RATE)
    if len(wave) < SHORTEST_SECONDS * SAMPLE_RATE:
        raise DataError(f"an opinion needs {SHORTEST_SECONDS} s of sound; here are {len(wave) / SAMPLE_RATE:.2f} s: judge longer sentences")
    return np.clip(wave, -1.0, 1.0)


@lru_cache(maxsize=1)
def _distillmos() -> tuple[Any, Any]:
    try:
        import distillmos
        import torch
    except ImportError as error:
        raise DataError(
            f"predicted_naturalness expects the packages distillmos, torch and torchaudio; {error.name} is not installed: "
            "pip install distillmos"
        ) from None
    return torch, distillmos.ConvTransformerSQAModel().eval()
