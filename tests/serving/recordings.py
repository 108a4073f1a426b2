"""A voice as a request brings it."""

import base64
import io

import numpy as np
import soundfile


def recording(seconds: float = 1.0, format: str = "WAV") -> str:
    """base64 of an audio file of so many seconds at 24 kHz, always the same."""
    rng = np.random.default_rng(0)
    wave = 0.2 * np.sin(np.arange(int(24000 * seconds)) * 0.05) * (1 + 0.3 * rng.standard_normal(int(24000 * seconds)))
    buffer = io.BytesIO()
    soundfile.write(buffer, wave.astype(np.float32), 24000, format=format)
    return base64.b64encode(buffer.getvalue()).decode()
