"""What computes: TensorFlow, or ONNX Runtime with its own copy of the networks."""

from pathlib import Path

import tensorflow as tf

from myxtts.config import ModelError
from myxtts.config.stages import SynthesisConfig
from myxtts.data.engines import cores
from myxtts.models.gpt import GPT
from myxtts.models.gpt_onnx import GPTSession
from myxtts.models.hifigan import HiFiGAN
from myxtts.models.precision import with_weights_in
from myxtts.models.tensor_files import open_weights, stored_tensor
from myxtts.models.xtts import XTTS, build_component
from myxtts.synthesis.vocoders import DecoderSession, HalfDecoder


class Engine:
    """The networks of a model that speech needs at every step, as `synthesis.engine` and `synthesis.weights` ask for them.

    A session of ONNX Runtime is made when it is first needed, and holds a copy of the weights as they were then. alignment_head:
    (layer, head) of the GPT whose attention follows the text; None = not known. weights: the file of the GPT's, from which a session is
    made where the model was loaded without the GPT's blocks, so that they are in memory once.
    """

    def __init__(self, model: XTTS, alignment_head: tuple[int, int] | None = None, weights: Path | None = None):
        self.model, self.alignment_head, self.weights = model, alignment_head, weights
        self._sessions: dict[tuple, GPTSession] = {}
        self._halved: GPT | None = None
        self._decoder: DecoderSession | None = None
        self._half: HalfDecoder | None = None

    def prepare(self, settings: SynthesisConfig) -> None:
        """Makes the sessions that `settings` need, so that the first sentence does not wait for it."""
        self.gpt(settings)
        if settings.vocoder == "decoder" and isinstance(decoder := self.decoder(settings), HalfDecoder):
            decoder.compile()

    def gpt(self, settings: SynthesisConfig) -> GPT | GPTSession:
        """What `generate.begin` generates codes with."""
        if not (self.model.gpt.blocks or uses_onnxruntime(settings)):
            raise ModelError(
                f"this model was loaded for ONNX Runtime alone, weights {settings.weights} need TensorFlow: Synthesizer.load(…, whole=True)"
            )
        if settings.weights == "bfloat16":
            self._halved = self._halved or with_weights_in(lambda: build_component("gpt", self.model.config), self.model.gpt, "bfloat16")
            return self._halved
        if not uses_onnxruntime(settings):
            return self.model.gpt
        key = (settings.weights, self.alignment_head)
        if key not in self._sessions:
            self._sessions[key] = self._session(settings.weights)
        return self._sessions[key]

    def _session(self, weights: str) -> GPTSession:
        gpt = self.model.gpt
        if gpt.blocks:
            return GPTSession(gpt, weights, cores(), self.alignment_head)
        with open_weights(self.weights) as datasets:
            return GPTSession(gpt, weights, cores(), self.alignment_head, lambda name: stored_tensor(datasets[name]))

    def decoder(self, settings: SynthesisConfig) -> HiFiGAN | DecoderSession | HalfDecoder:
        """What turns latents into waves."""
        plain: HiFiGAN | DecoderSession = self.model.decoder
        if uses_onnxruntime(settings):
            plain = self._decoder = self._decoder or DecoderSession(self.model.decoder, cores())
        if settings.decoder_precision == "float32":
            return plain
        self._half = self._half or HalfDecoder(self.model.decoder, self.model.config, plain)
        return self._half


def uses_onnxruntime(settings: SynthesisConfig) -> bool:
    """Whether ONNX Runtime computes: where it is asked for, or nothing is and TensorFlow has no GPU."""
    if settings.engine == "auto":
        return settings.weights == "int8" or (settings.weights == "float32" and not tf.config.list_physical_devices("GPU"))
    return settings.engine == "onnxruntime"
