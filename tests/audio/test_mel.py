"""The mel against librosa's, its shapes, its gradient, its errors."""

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from myxtts.audio.mel import MelConfig, conditioning_mel, dvae_mel, fit_frames, log_mel, log_mel_numpy, mel_filter, speaker_mel
from myxtts.config import AudioConfig, DataError, SpeakerEncoderConfig

AUDIO, SPEAKER = AudioConfig(), SpeakerEncoderConfig()


def speech_like(samples: int, batch: int = 1, seed: int = 1) -> np.ndarray:
    """Noise under a slow envelope plus a gliding harmonic tone: every band has energy, and it changes with time."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / 22050
    tone = sum(np.sin(2 * np.pi * harmonic * (120 * time + 40 * time**2)) / harmonic for harmonic in range(1, 20))
    noise = random.normal(size=(batch, samples)) * (0.02 + 0.05 * np.sin(7 * time) ** 2)
    return (0.1 * tone + noise).astype(np.float32)


def librosa_mel(wave: np.ndarray, config: MelConfig) -> np.ndarray:
    return librosa.feature.melspectrogram(
        y=wave,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop_length,
        window=config.window,
        center=True,
        pad_mode="reflect",
        power=2.0,
        n_mels=config.num_mels,
        fmin=0,
        fmax=config.fmax,
        htk=True,
        norm=config.norm,
    ).T


@pytest.mark.parametrize("config", [dvae_mel(AUDIO), conditioning_mel(AUDIO)], ids=["dvae", "conditioning"])
def test_equals_librosa(config):
    wave = speech_like(22050)
    expected = np.log(np.maximum(librosa_mel(wave[0], config), 1e-5))
    np.testing.assert_allclose(log_mel_numpy(wave[0], config), expected, atol=2e-3)


def test_speaker_mel_equals_librosa_with_preemphasis():
    config, wave = speaker_mel(SPEAKER), speech_like(16000)[0]
    emphasised = np.append(wave[0] - 0.97 * wave[1], wave[1:] - 0.97 * wave[:-1]).astype(np.float32)
    np.testing.assert_allclose(log_mel_numpy(wave, config), np.log(librosa_mel(emphasised, config) + 1e-6), atol=2e-3)


def test_named_configs_are_those_of_xtts_v2():
    assert dvae_mel(AUDIO) == MelConfig(22050, 1024, 1024, 256, 80, 8000.0)
    assert conditioning_mel(AUDIO) == MelConfig(22050, 2048, 1024, 256, 80, 8000.0)
    speaker = speaker_mel(SPEAKER)
    assert (speaker.n_fft, speaker.win_length, speaker.hop_length, speaker.num_mels, speaker.fmax) == (512, 400, 160, 64, 8000)


@pytest.mark.parametrize(
    "config", [dvae_mel(AUDIO), conditioning_mel(AUDIO), speaker_mel(SPEAKER)], ids=["dvae", "conditioning", "speaker"]
)
@pytest.mark.parametrize("samples", [1025, 5 * 1024, 22050])
def test_numpy_and_tensors_give_the_same(config, samples):
    wave = speech_like(samples)
    found = log_mel_numpy(wave[0], config)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, log_mel(wave, config)[0], atol=1e-3)


@pytest.mark.parametrize("samples", [6 * 22050, 10 * 1024, 10 * 1024 + 255, 4001])
def test_shape_where_every_dimension_differs(samples):
    mel = log_mel(speech_like(samples, batch=3), dvae_mel(AUDIO))
    assert mel.shape == (3, 1 + samples // 256, 80)


def test_filter_equals_librosas():
    config = dvae_mel(AUDIO)
    expected = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000, htk=True, norm="slaney").T
    np.testing.assert_allclose(mel_filter(config), expected, atol=1e-7)


def test_silence_is_the_floor():
    silent = log_mel_numpy(np.zeros(9000), dvae_mel(AUDIO))
    np.testing.assert_allclose(silent, np.log(1e-5), rtol=1e-6)


def test_compiled_equals_eager_and_has_a_finite_gradient():
    config, wave = dvae_mel(AUDIO), tf.Variable(speech_like(3000, batch=2) * np.array([[1.0], [0.0]], np.float32))

    @tf.function
    def loss_and_gradient():
        with tf.GradientTape() as tape:
            mel = log_mel(wave, config)
            loss = tf.reduce_mean(mel)
        return mel, tape.gradient(loss, wave)

    mel, gradient = loss_and_gradient()
    np.testing.assert_allclose(mel, log_mel(wave, config), atol=1e-4)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() > 0
    assert np.abs(gradient[1]).max() == 0, "digital silence lies on the floor, where the log is clamped"


def test_mixed_precision_waves_are_measured_in_float32():
    wave = keras.ops.cast(speech_like(3000), "float16")
    assert keras.backend.standardize_dtype(log_mel(wave, dvae_mel(AUDIO)).dtype) == "float32"


def test_errors_say_what_was_expected():
    with pytest.raises(DataError, match="more than 1024 samples"):
        log_mel(np.zeros((1, 1024), np.float32), conditioning_mel(AUDIO))
    with pytest.raises(DataError, match="add the batch axis"):
        log_mel(np.zeros(5000, np.float32), dvae_mel(AUDIO))
    with pytest.raises(DataError, match="more than 1024 samples"):
        log_mel_numpy(np.zeros(1024, np.float32), conditioning_mel(AUDIO))


def test_fit_frames_cuts_or_repeats():
    mel = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(fit_frames(mel, 2), mel[:2])
    np.testing.assert_array_equal(fit_frames(mel, 9), np.concatenate([mel, mel, mel[:1]]))
    with pytest.raises(DataError, match="is the clip empty"):
        fit_frames(mel[:0], 5)
