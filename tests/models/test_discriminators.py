"""The critics: shapes, what a period sees, gradients, and that they tell real from false."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import AudioConfig, DecoderConfig
from myxtts.models.discriminators import Discriminators
from myxtts.models.hifigan import HiFiGAN

CONFIG = DecoderConfig(
    channels=16,
    upsample_rates=(8, 4),
    upsample_kernels=(16, 8),
    resblock_kernels=(3,),
    resblock_dilations=(1, 3),
    discriminator_channels=4,
    discriminator_periods=(2, 3, 5),
    discriminator_scales=2,
)


@pytest.fixture
def critics():
    keras.utils.set_random_seed(1)
    return Discriminators(CONFIG)


def waves(batch=2, samples=1601, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, samples)).astype(np.float32) * 0.3


def test_one_verdict_per_critic_and_its_features(critics):
    verdicts = critics(waves())
    assert len(verdicts) == 3 + 2
    assert [len(features) for _, features in verdicts] == [5, 5, 5, 7, 7]
    for logits, _ in verdicts:
        assert logits.shape[0] == 2 and len(logits.shape) == 2
    assert verdicts[1][1][0].shape == (2 * 3, 178, 4), "columns of period 3 in the batch, a third of their 534 rows"
    assert verdicts[3][1][0].shape == (2, 1601, 16)
    assert verdicts[4][1][0].shape == (2, 801, 16), "the second scale sees half the samples"


def test_a_period_critic_never_looks_across_columns(critics):
    """A change in samples of one phase leaves the verdict on the other phase alone."""
    wave = waves(1, 600)
    changed = wave.copy()
    changed[:, 0::2] += 0.5
    (before, _), (after, _) = critics.periods[0](wave), critics.periods[0](changed)
    half = before.shape[1] // 2  # logits run column by column
    assert np.abs(before - after)[:, :half].max() > 1e-4
    np.testing.assert_allclose(before[:, half:], after[:, half:], atol=1e-6)


def test_rows_are_independent(critics):
    wave = waves()
    for (whole, _), (alone, _) in zip(critics(wave), critics(wave[1:]), strict=True):
        np.testing.assert_allclose(whole[1:], alone, atol=1e-5)


def test_every_trainable_variable_of_critics_and_decoder_gets_a_gradient(critics):
    decoder = HiFiGAN(CONFIG, 6, 5, AudioConfig(), samples_per_code=1024)
    random = np.random.default_rng(2)
    latents, speaker = random.normal(size=(2, 3, 6)).astype(np.float32), random.normal(size=(2, 5)).astype(np.float32)
    real = tf.constant(waves(2, decoder.output_samples(3)))
    variables = [*critics.trainable_variables, *decoder.trainable_variables]

    @tf.function(jit_compile=False)
    def gradients():
        with tf.GradientTape() as tape:
            loss = 0.0
            for (truth, features), (false, imitated) in zip(critics(real), critics(decoder(latents, speaker, training=True)), strict=True):
                loss += tf.reduce_mean((truth - 1) ** 2) + tf.reduce_mean((false - 0.4) ** 2)
                loss += sum(tf.reduce_mean(tf.abs(a - b)) for a, b in zip(features, imitated, strict=True))
        return tape.gradient(loss, variables)

    for variable, gradient in zip(variables, gradients(), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_learn_to_tell_tones_from_noise():
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(4)
    critics = Discriminators(CONFIG.model_copy(update={"discriminator_scales": 1, "discriminator_periods": (2,)}))
    optimizer = keras.optimizers.Adam(1e-3)

    def pair():
        time = np.arange(800)[None] * random.uniform(0.05, 0.2, (4, 1))
        return tf.constant(np.sin(time), tf.float32), tf.constant(random.normal(size=(4, 800)) * 0.7, tf.float32)

    @tf.function
    def step(real, false):
        with tf.GradientTape() as tape:
            loss = sum(
                tf.reduce_mean((a - 1) ** 2) + tf.reduce_mean(b**2) for (a, _), (b, _) in zip(critics(real), critics(false), strict=True)
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, critics.trainable_variables), critics.trainable_variables, strict=True))
        return loss

    losses = [float(step(*pair())) for _ in range(40)]
    assert losses[-1] < 0.3 * losses[0]
