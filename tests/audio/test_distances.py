"""What is logged of a copy: zero for the recording itself, more the farther away, and right where the answer is known."""

import numpy as np
import pytest
import tensorflow as tf
from vowels import breathed, syllables

from myxtts.audio.compare import SHORTEST, pitch_distance, pitch_track, stft_distance
from myxtts.config import DataError

RATE = 24000


def test_stft_distance_is_that_of_the_paper():
    """By NumPy, one resolution after another, frames centred by reflection."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(2, 2, 5000)).astype(np.float32)
    expected = np.zeros(2)
    for n_fft, hop, width in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        window = np.zeros(n_fft)
        left = (n_fft - width) // 2
        window[left : left + width] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
        padded = np.pad(waves, ((0, 0), (0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=2)[:, :, ::hop] * window
        copy, real = np.sqrt(np.maximum(np.abs(np.fft.rfft(frames)) ** 2, 1e-7))
        for row in range(2):
            expected[row] += np.linalg.norm(real[row] - copy[row]) / np.linalg.norm(real[row])
            expected[row] += np.abs(np.log(real[row]) - np.log(copy[row])).mean()
    np.testing.assert_allclose(stft_distance(waves[0], waves[1]), expected / 3, rtol=1e-4)


def test_stft_distance_ranks():
    wave = breathed(0.5, RATE)[None]
    noise = np.random.default_rng(1).normal(size=wave.shape).astype(np.float32)
    same, near, far = (float(stft_distance(wave + share * noise, wave)[0]) for share in (0.0, 0.003, 0.1))
    assert same < 1e-6 < near < far
    with pytest.raises(DataError, match=f"needs {SHORTEST} samples; it got 1024"):
        stft_distance(wave[:, :1024], wave[:, :1024])


def test_a_pause_outweighs_nothing_and_every_wave_has_a_gradient():
    """A noise of -60 dB beside itself, where the distance has no slope, and beside digital silence."""
    noise = tf.constant(0.001 * np.random.default_rng(2).normal(size=(1, 4096)), tf.float32)
    waves, references = tf.concat([noise, noise], axis=0), tf.concat([noise, tf.zeros_like(noise)], axis=0)

    @tf.function(autograph=False)
    def slope(waves):
        with tf.GradientTape() as tape:
            tape.watch(waves)
            value = stft_distance(waves, references, quietest=0.01)
        return value, tape.gradient(value, waves)

    value, gradient = slope(waves)
    assert float(value[0]) < 1e-5 and np.abs(gradient[0]).max() == 0
    assert np.isfinite(gradient[1]).all() and np.abs(gradient[1]).max() > 0
    convergence = value - stft_distance(waves, references, quietest=1e9)  # whose convergence is 0
    assert float(convergence[1]) == pytest.approx(0.1, rel=0.1), "a tenth of the quietest"
    assert float(stft_distance(waves, references)[1]) > 30, "as in the paper: measured against the silence"


def test_pitch_is_found_and_its_distance_is_the_interval():
    low, high = (syllables(1.5, RATE, pitch=pitch) for pitch in (120.0, 120.0 * 2 ** (2 / 12)))
    track = pitch_track(low, RATE)
    assert len(track) == 1 + 24000 // 256
    assert np.nanmedian(track) == pytest.approx(120, rel=0.05)
    assert pitch_distance(track, track) == 0
    assert pitch_distance(pitch_track(high, RATE), track) == pytest.approx(200, abs=30)  # two semitones
    assert pitch_distance(track[:-5], track) == 0  # the longer is cut


def test_what_has_no_pitch_is_an_error():
    track = pitch_track(syllables(0.5, RATE), RATE)
    silent = pitch_track(np.zeros(12000, np.float32), RATE)
    assert np.isnan(silent).all() and np.isnan(pitch_track(np.ones(100, np.float32), RATE)).all()
    with pytest.raises(DataError, match="no frame is voiced in both"):
        pitch_distance(silent, track)
