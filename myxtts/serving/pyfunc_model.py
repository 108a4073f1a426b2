"""The MLflow model, as code: MLflow runs this file when it loads a version, with the bundle beside it.

A row `text, language (optional), reference_audio (base64 of a WAV, FLAC, OGG or MP3 file)` becomes a row `audio (base64 WAV), sample_rate,
seconds`. Params: seed, temperature.
"""

import base64
import binascii
import collections
import hashlib
import io
import os
import tempfile
import threading
from pathlib import Path

import mlflow
import pandas as pd
import soundfile
from mlflow.exceptions import MlflowException

from myxtts.config import DataError, MyXTTSError

_VOICES_KEPT = 32


class SpeechModel(mlflow.pyfunc.PythonModel):
    """Speaks with the bundle of its version. One request at a time: the networks are shared."""

    def load_context(self, context):
        """Loads the bundle; ModelError when it is not whole."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from myxtts.serving.bundle import check_bundle
        from myxtts.synthesis.speech import Synthesizer

        folder = Path(context.artifacts["bundle"])
        self.languages = check_bundle(folder, contents=True)["languages"]
        self.synthesizer = Synthesizer.load(folder)
        self._voices = collections.OrderedDict()
        self._lock = threading.Lock()

    def predict(self, context, model_input, params=None):
        """DataFrame in, DataFrame out; a bad row is refused as the caller's error (HTTP 400), with its number and the reason."""
        asked, answers = model_input.to_dict("records"), []
        with self._lock:
            for number, row in enumerate(asked, 1):
                try:
                    answers.append(self._speak(row, params or {}))
                except MyXTTSError as error:
                    raise MlflowException.invalid_parameter_value(f"row {number} of {len(asked)}: {error}") from error
        return pd.DataFrame(answers, columns=["audio", "sample_rate", "seconds"])

    def _speak(self, row, params):
        settings = self.synthesizer.config.synthesis
        if params.get("temperature") is not None:
            settings = type(settings).model_validate(settings.model_dump() | {"temperature": float(params["temperature"])})
        language = row.get("language")
        if not isinstance(language, str) or not language:  # an absent column, or NaN in a row
            language = self.languages[0]
        voice = self._voice(row["reference_audio"])
        speech = self.synthesizer.speak(row["text"], voice, language, seed=int(params.get("seed", 0)), settings=settings)
        buffer = io.BytesIO()
        soundfile.write(buffer, speech.waveform, speech.sample_rate, format="WAV", subtype="PCM_16")
        audio = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {"audio": audio, "sample_rate": int(speech.sample_rate), "seconds": float(speech.seconds)}

    def _voice(self, encoded):
        """A voice is computed once for a recording; the last ones are kept."""
        key = hashlib.sha256(str(encoded).encode()).hexdigest()
        if key in self._voices:
            self._voices.move_to_end(key)
            return self._voices[key]
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise DataError(
                f"reference_audio must be the base64 text of an audio file ({error}): "
                "base64.b64encode(open(path, 'rb').read()).decode() in Python"
            ) from None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "reference_audio"
            path.write_bytes(raw)
            try:
                voice = self.synthesizer.voice([path])
            except DataError as error:  # where it lay on the server is nothing to the caller
                raise DataError(str(error).replace(str(path), path.name)) from None
        self._voices[key] = voice
        if len(self._voices) > _VOICES_KEPT:
            self._voices.popitem(last=False)
        return voice


mlflow.models.set_model(SpeechModel())
