"""What computes: TensorFlow, or ONNX Runtime with its own copy of the networks.

S codes, D width, F frames of the decoder, E speaker embedding, N samples.
"""

import os

import tensorflow as tf

from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt import GPT
from myxtts.models.gpt_onnx import GPTSession
from myxtts.models.xtts import XTTS


class Engine:
    """The networks of a model that speech needs at every step, as `synthesis.engine` and `synthesis.weights` ask for them.

    A session of ONNX Runtime is made when it is first needed, and holds a copy of the weights as they were then.
    """

    def __init__(self, model: XTTS):
        self.model = model
        self._sessions: dict[str, GPTSession] = {}

    def gpt(self, settings: SynthesisConfig) -> GPT | GPTSession:
        """What `generate.begin` generates codes with."""
        if not uses_onnxruntime(settings):
            return self.model.gpt
        if settings.weights not in self._sessions:
            self._sessions[settings.weights] = GPTSession(self.model.gpt, settings.weights, cores())
        return self._sessions[settings.weights]


def uses_onnxruntime(settings: SynthesisConfig) -> bool:
    """Whether ONNX Runtime computes: where it is asked for, or nothing is and TensorFlow has no GPU."""
    if settings.engine == "auto":
        return settings.weights == "int8" or (settings.weights == "float32" and not tf.config.list_physical_devices("GPU"))
    return settings.engine == "onnxruntime"


def cores() -> int:
    """Cores that this process may use: as many threads does an operator of ONNX Runtime get."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
