"""Resampling inside a network: against SciPy, and its gradient against the transposed filter."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import resample_poly

from myxtts.audio.resampling import resample_tensor
from myxtts.audio.wave import resample


@pytest.mark.parametrize(("rate", "new_rate"), [(24000, 16000), (22050, 16000), (16000, 24000), (16000, 16000), (48000, 16000)])
@pytest.mark.parametrize("samples", [700, 1471])
def test_it_is_scipys_polyphase_filter(rate, new_rate, samples):
    waves = np.random.default_rng(0).normal(size=(2, samples)).astype(np.float32)
    expected = resample_poly(waves, new_rate, rate, axis=1)
    found = np.asarray(resample_tensor(waves, rate, new_rate))
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_tone_comes_out_as_the_data_path_resamples_it():
    """The encoder's own mels are of waves by soxr: both must say the same of what lies in the band."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(12000) / 24000).astype(np.float32)
    ours, theirs = np.asarray(resample_tensor(wave[None], 24000, 16000))[0], resample(wave, 24000, 16000)
    np.testing.assert_allclose(ours[200:-200], theirs[200:-200], atol=2e-3)


def test_its_gradient_is_right_in_a_compiled_function():
    rng = np.random.default_rng(1)
    wave, seen = (tf.constant(rng.normal(size=shape), tf.float32) for shape in ((1, 90), (1, 60)))

    @tf.function(autograph=False)
    def gradient(wave):
        with tf.GradientTape() as tape:
            tape.watch(wave)
            value = tf.reduce_sum(resample_tensor(wave, 24000, 16000) * seen)
        return tape.gradient(value, wave)

    columns = np.stack([resample_poly(row, 2, 3) for row in np.eye(90)])  # (90, 60): what each sample gives
    np.testing.assert_allclose(gradient(wave)[0], columns @ seen.numpy()[0], atol=1e-4)
