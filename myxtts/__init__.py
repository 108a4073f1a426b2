"""MyXTTS: train, compare, register and speak with XTTS voice-cloning models.

`from myxtts import XTTSConfig, XTTS, XTTSTrainer, Synthesizer`. Each is imported when it is first used: TensorFlow takes seconds.
"""

import os
from importlib import import_module
from typing import Any

# TensorFlow takes GPU memory as it needs it, unless the user said otherwise: it reads this before its first operation
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

_HOMES = {
    "XTTSConfig": "myxtts.config",
    "XTTS": "myxtts.models.xtts",
    "XTTSTrainer": "myxtts.training.trainer",
    "Synthesizer": "myxtts.synthesis.speech",
}
__all__ = ["XTTS", "Synthesizer", "XTTSConfig", "XTTSTrainer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"myxtts has no {name}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
