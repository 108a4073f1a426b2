"""A wave, and what the metrics hear in it: each worked out once, however many metrics ask.

N samples, F frames, M mel bands, C cepstral coefficients, D numbers of an embedding.
"""

from functools import cached_property

import numpy as np

from myxtts.audio import compare
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.audio.recognition import heard_phones
from myxtts.audio.speaker import levelled_speech, speaker_embedding
from myxtts.audio.transcription import transcribe
from myxtts.audio.wave import resample
from myxtts.config import AudioConfig, DataError
from myxtts.models import voice_encoder

# one mel for all models, whatever their own: distances of different runs stay comparable
COMPARISON_MEL = dvae_mel(AudioConfig())
VOICEPRINT_SECONDS = 0.8  # half a window of its network
NUM_CEPSTRA = 13  # without the zeroth, which is the level


class Sound:
    """wave float32 (N,) in [-1, 1] at sample_rate Hz, and the language that is spoken in it ("" = unknown).

    Its properties raise DataError where they cannot be had: a package is missing, the sound too short.
    """

    def __init__(self, wave: np.ndarray, sample_rate: int, language: str = ""):
        self.wave, self.sample_rate, self.language = np.asarray(wave, np.float32), sample_rate, language

    @property
    def seconds(self) -> float:
        return len(self.wave) / self.sample_rate

    @cached_property
    def phones(self) -> list[str]:
        """What a recogniser of English hears."""
        return heard_phones(self.wave, self.sample_rate).split()

    @cached_property
    def words(self) -> str:
        """What a recogniser of all languages writes."""
        return transcribe(self.wave, self.sample_rate, self.language)

    @cached_property
    def embedding(self) -> np.ndarray:
        """Who speaks, (D,) of length 1."""
        return speaker_embedding(self.wave, self.sample_rate)

    @cached_property
    def voiceprint(self) -> np.ndarray:
        """Who speaks, to another network's mind (Resemblyzer), (D,) of length 1; of sound without the silence at its ends."""
        wave = levelled_speech(self.wave, self.sample_rate)
        if len(wave) < VOICEPRINT_SECONDS * voice_encoder.SAMPLE_RATE:
            seconds = len(wave) / voice_encoder.SAMPLE_RATE
            raise DataError(
                f"voiceprint_similarity needs {VOICEPRINT_SECONDS} s of sound; here are {seconds:.2f} s: judge longer sentences"
            )
        return voice_encoder.voice_embedding(wave)

    @cached_property
    def mel(self) -> np.ndarray:
        """COMPARISON_MEL, (F, M): natural logarithm of the power."""
        return log_mel_numpy(resample(self.wave, self.sample_rate, COMPARISON_MEL.sample_rate), COMPARISON_MEL)

    @cached_property
    def cepstra(self) -> np.ndarray:
        """Mel cepstra (F, C): cosine transform of the logarithm of the mel's magnitude, without the zeroth coefficient."""
        from scipy.fft import dct

        return dct(self.mel / 2, type=2, norm="ortho", axis=1)[:, 1 : NUM_CEPSTRA + 1] * np.sqrt(2 / self.mel.shape[1])

    @cached_property
    def pitch(self) -> np.ndarray:
        """Hz of each frame of 16 ms, NaN where nothing is voiced."""
        return compare.pitch_track(self.wave, self.sample_rate)
