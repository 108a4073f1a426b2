"""Griffin-Lim: mel -> wave -> mel comes close, and the same twice."""

import numpy as np
import pytest

from myxtts.audio.griffin_lim import griffin_lim, mel_to_power
from myxtts.audio.mel import conditioning_mel, dvae_mel, log_mel_numpy, mel_filter
from myxtts.config import AudioConfig, DataError

CONFIG = dvae_mel(AudioConfig())


def speech_like(samples):
    """A gliding harmonic tone in noise, under a slow envelope."""
    time = np.arange(samples) / 22050
    tone = sum(np.sin(2 * np.pi * harmonic * (120 * time + 40 * time**2)) / harmonic for harmonic in range(1, 20))
    noise = np.random.default_rng(1).normal(size=samples) * (0.02 + 0.05 * np.sin(7 * time) ** 2)
    return (0.1 * tone + noise).astype(np.float32)


@pytest.fixture(scope="module")
def mel():
    return log_mel_numpy(speech_like(256 * 60), CONFIG)


def test_power_stands_for_the_mel(mel):
    power = mel_to_power(mel, CONFIG)
    assert power.shape == (61, 513)
    assert power.min() >= 0
    again = np.log(power @ mel_filter(CONFIG))
    assert np.abs(again - mel).mean() < 0.02


@pytest.mark.parametrize("config", [CONFIG, conditioning_mel(AudioConfig())], ids=["dvae", "conditioning"])
def test_round_trip_gives_a_mel_close_to_the_input(config):
    mel = log_mel_numpy(speech_like(256 * 60), config)
    wave = griffin_lim(mel, config, iterations=32)
    assert wave.shape == (256 * 60,)
    assert wave.dtype == np.float32
    error = np.abs(log_mel_numpy(wave, config) - mel).mean()
    noise = np.random.default_rng(3).normal(size=len(wave)).astype(np.float32) * np.std(wave)
    assert error < 0.35
    assert error < 0.3 * np.abs(log_mel_numpy(noise, config) - mel).mean()


def test_more_iterations_come_closer(mel):
    def error(iterations):
        return np.abs(log_mel_numpy(griffin_lim(mel, CONFIG, iterations), CONFIG) - mel).mean()

    assert error(32) < error(1)


def test_seed_decides(mel):
    one, same, other = (griffin_lim(mel, CONFIG, 2, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_errors(mel):
    with pytest.raises(DataError, match="80 bands"):
        griffin_lim(mel.T, CONFIG, 2)
    with pytest.raises(DataError, match="not finite"):
        griffin_lim(np.where(mel > 0, np.nan, mel), CONFIG, 2)


def test_a_mel_louder_than_any_sound_is_refused():
    with pytest.raises(DataError, match="up to 500, louder than any sound"):
        griffin_lim(np.full((20, CONFIG.num_mels), 500.0, np.float32), CONFIG, 2)
