"""The speaker encoder: shape, unit length, what it ignores, gradients, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import ModelConfig, ModelError, SpeakerEncoderConfig
from myxtts.models.speaker_encoder import SpeakerEncoder

CONFIG = SpeakerEncoderConfig(embedding_dim=17, filters=(4, 6, 8, 10), blocks=(1, 2, 1, 1), num_mels=24)


@pytest.fixture
def encoder():
    keras.utils.set_random_seed(1)
    return SpeakerEncoder(CONFIG)


def mels(batch=3, frames=37, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, frames, 24)).astype(np.float32)


@pytest.mark.parametrize("frames", [37, 40, 9])
def test_unit_vectors_of_the_documented_shape(encoder, frames):
    embedding = encoder(mels(3, frames))
    assert embedding.shape == (3, 17)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=-1), 1, atol=1e-5)


def test_loudness_and_a_constant_filter_change_nothing(encoder):
    """A gain adds a constant to a log-mel, a microphone one constant per band."""
    mel = mels()
    microphone = np.random.default_rng(1).normal(size=24).astype(np.float32)
    np.testing.assert_allclose(encoder(mel), encoder(mel + 2 + microphone), atol=1e-4)
    np.testing.assert_allclose(encoder(mel), encoder(mel * 3), atol=1e-4, err_msg="variance is normalised as well")
    assert np.abs(encoder(mel) - encoder(mels(seed=5))).max() > 1e-3


def test_rows_are_independent_in_inference(encoder):
    mel = mels()
    np.testing.assert_allclose(encoder(mel)[1:2], encoder(mel[1:2]), atol=1e-5)


def test_every_trainable_variable_gets_a_gradient_and_training_moves_the_statistics(encoder):
    target = np.random.default_rng(2).normal(size=(3, 17)).astype(np.float32)
    before = [np.asarray(variable) for variable in encoder.non_trainable_variables]

    @tf.function(jit_compile=False)
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(encoder(mels(), training=True) * target)
        return tape.gradient(loss, encoder.trainable_variables)

    for variable, gradient in zip(encoder.trainable_variables, gradients(), strict=True):
        assert gradient is not None, variable.path
        # a bias in front of the softmax over time shifts all scores alike: its gradient is zero by construction
        if "attention_out/bias" not in variable.path:
            assert np.abs(gradient).max() > 0, variable.path
    after = encoder.non_trainable_variables
    assert all(np.abs(np.asarray(new) - old).max() > 0 for old, new in zip(before, after, strict=True))


def test_a_training_step_of_the_tiny_preset_survives():
    """The sizes at which TensorFlow's strided 1×1 convolution corrupted memory in its gradient."""
    encoder = SpeakerEncoder(ModelConfig(preset="tiny").speaker_encoder)
    mel = np.random.default_rng(8).normal(size=(8, 100, 64)).astype(np.float32)

    @tf.function(jit_compile=False)
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(encoder(mel, training=True)[:, 0])
        return tape.gradient(loss, encoder.trainable_variables)

    for _ in range(3):
        assert all(np.isfinite(gradient).all() for gradient in gradients())


def test_learns_to_tell_two_voices_apart():
    keras.utils.set_random_seed(2)
    encoder, random = SpeakerEncoder(CONFIG), np.random.default_rng(3)
    optimizer = keras.optimizers.Adam(3e-3)
    speaker = np.arange(12) % 2

    def clips():
        """Two voices that differ in how fast their spectrum moves."""
        time = np.arange(40)[None, :, None] * np.where(speaker, 0.3, 0.9)[:, None, None]
        noise = random.normal(size=(12, 40, 24)) * 0.3
        return (np.sin(time + random.uniform(0, 6, (12, 1, 1)) + np.arange(24) / 4) + noise).astype(np.float32)

    same = tf.constant((speaker[:, None] == speaker[None]).astype(np.float32) * 2 - 1)

    @tf.function
    def step(mel):
        with tf.GradientTape() as tape:
            embedding = encoder(mel, training=True)
            loss = tf.reduce_mean((tf.matmul(embedding, embedding, transpose_b=True) - same) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, encoder.trainable_variables), encoder.trainable_variables, strict=True))
        return loss

    for _ in range(40):
        step(tf.constant(clips()))
    embedding = np.asarray(encoder(clips()))
    similarity = embedding @ embedding.T
    assert similarity[same.numpy() > 0].mean() > similarity[same.numpy() < 0].mean() + 0.8


def test_wrong_number_of_bands_is_an_error(encoder):
    with pytest.raises(ModelError, match="24 bands"):
        encoder(np.zeros((1, 9, 64), np.float32))
    with pytest.raises(ModelError, match="divisible by 8"):
        SpeakerEncoder(CONFIG.model_copy(update={"num_mels": 20}))
