"""The audio tokenizer: shapes, gradients, codebook, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import DVAEConfig, ModelError
from myxtts.models.dvae import DVAE

CONFIG = DVAEConfig(num_codes=24, code_dim=9, hidden_dim=10, num_layers=2, num_resnet_blocks=1)
MELS = 20


@pytest.fixture
def dvae():
    keras.utils.set_random_seed(1)
    return DVAE(CONFIG, MELS)


def mels(batch=3, frames=28, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, frames, MELS)).astype(np.float32)


@pytest.mark.parametrize(("frames", "codes"), [(28, 7), (29, 8), (30, 8), (31, 8), (33, 9)])
def test_shapes_where_every_dimension_differs(dvae, frames, codes):
    out = dvae(mels(3, frames))
    assert out.reconstruction.shape == (3, 4 * codes, MELS)
    assert out.codes.shape == (3, codes)
    assert out.encoded.shape == (3, codes, 9)
    assert out.commitment.shape == (3, codes)
    assert keras.backend.standardize_dtype(out.codes.dtype) == "int32"


def test_three_layers_give_eight_frames_to_a_code():
    config = CONFIG.model_copy(update={"num_layers": 3})
    out = DVAE(config, MELS)(mels(2, 41))
    assert config.frames_per_code == 8
    assert out.reconstruction.shape == (2, 48, MELS)


def test_encode_and_decode_are_the_two_halves_of_call(dvae):
    mel = mels()
    out = dvae(mel)
    np.testing.assert_array_equal(dvae.encode(mel), out.codes)
    np.testing.assert_allclose(dvae.decode(out.codes), out.reconstruction, atol=1e-5)


def test_code_is_the_nearest_entry(dvae):
    encoded = np.random.default_rng(3).normal(size=(2, 5, 9)).astype(np.float32)
    codebook = np.asarray(dvae.codebook)
    expected = np.linalg.norm(encoded[:, :, None] - codebook, axis=-1).argmin(-1)
    np.testing.assert_array_equal(dvae.nearest_codes(encoded), expected)


def test_compiled_equals_eager_and_traces_once(dvae):
    traces = []

    @tf.function(jit_compile=False)
    def compiled(mel):
        traces.append(1)
        return dvae(mel, training=True)

    for seed in range(3):
        compiled(mels(seed=seed))
    np.testing.assert_allclose(compiled(mels()).reconstruction, dvae(mels(), training=True).reconstruction, atol=1e-5)
    assert len(traces) == 1


def test_every_trainable_variable_gets_a_gradient_and_the_codebook_none(dvae):
    mel = mels()
    with tf.GradientTape() as tape:
        out = dvae(mel, training=True)
        loss = tf.reduce_mean((out.reconstruction - mel) ** 2) + tf.reduce_mean(out.commitment)
    variables = dvae.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path
    assert dvae.codebook.path not in [variable.path for variable in variables]
    assert {"codebook", "cluster_size", "cluster_sum"} <= {variable.name for variable in dvae.non_trainable_variables}


def test_reconstruction_alone_trains_the_encoder(dvae):
    """Straight through the quantiser: without the commitment loss the encoder still learns."""
    mel = mels()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((dvae(mel, training=True).reconstruction - mel) ** 2)
    for gradient in tape.gradient(loss, [dvae.to_code.kernel.value, dvae.down[0].kernel.value]):
        assert np.abs(gradient).max() > 0


def test_codebook_statistics_leave_padding_out(dvae):
    random = np.random.default_rng(4)
    encoded = random.normal(size=(2, 5, 9)).astype(np.float32)
    codes = random.integers(0, 24, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], bool)
    counts, sums = dvae.codebook_statistics(np.where(mask[..., None], encoded, np.nan).astype(np.float32), codes, mask)
    expected = np.zeros((24, 9))
    np.add.at(expected, codes[mask], encoded[mask])
    np.testing.assert_allclose(counts, np.bincount(codes[mask], minlength=24))
    np.testing.assert_allclose(sums, expected, atol=1e-6)


def test_moving_average_is_that_of_the_paper():
    """One update of entries that all live, against the formulas written out."""
    dvae, random = DVAE(CONFIG, MELS), np.random.default_rng(5)
    size, total = random.uniform(1, 9, 24), random.normal(size=(24, 9))
    counts, sums = random.uniform(1, 9, 24), random.normal(size=(24, 9))
    dvae.cluster_size.assign(size)
    dvae.cluster_sum.assign(total)
    restarted = dvae.update_codebook(counts.astype("float32"), sums.astype("float32"), np.zeros((4, 9), np.float32), seed=0)
    size, total = 0.99 * size + 0.01 * counts, 0.99 * total + 0.01 * sums
    smoothed = (size + 1e-5) / (size.sum() + 24 * 1e-5) * size.sum()
    assert int(restarted) == 0
    np.testing.assert_allclose(dvae.cluster_size, size, rtol=1e-5)
    np.testing.assert_allclose(dvae.codebook, total / smoothed[:, None], rtol=1e-4, atol=1e-6)


def test_codebook_moves_to_the_data_and_restarts_dead_codes(dvae):
    """Clusters far from the initial codebook: afterwards each has entries of its own, and none lies far from all of them."""
    random = np.random.default_rng(6)
    centres = random.normal(size=(4, 9)).astype(np.float32) * 20 + 50

    @tf.function
    def update(rows, step):
        codes = dvae.nearest_codes(rows[None])
        return dvae.update_codebook(*dvae.codebook_statistics(rows[None], codes, tf.ones_like(codes, bool)), rows, step)

    restarts = []
    for step in range(300):
        rows = centres[random.integers(0, 4, 200)] + random.normal(size=(200, 9)).astype(np.float32) * 0.1
        restarts.append(int(update(rows, tf.constant(step))))
    codebook = np.asarray(dvae.codebook)
    distance = np.linalg.norm(centres[:, None] - codebook[None], axis=-1)
    assert restarts[0] > 12, "the first step starts the codebook on the data"
    assert sum(restarts[-50:]) < sum(restarts[:50])
    assert distance.min(axis=1).max() < 0.3
    assert distance.min(axis=0).max() < 1.0
    assert len(set(dvae.nearest_codes(centres[None])[0].numpy().tolist())) == 4


def test_dead_code_restarts_from_a_given_row_and_a_living_one_stays(dvae):
    dvae.cluster_size.assign([0.01, *[5.0] * 23])
    dvae.cluster_sum.assign(np.full((24, 9), 5.0))
    rows = np.full((3, 9), 7.0, np.float32)
    counts = np.array([0, *[5.0] * 23], np.float32)
    assert int(dvae.update_codebook(counts, np.full((24, 9), 5.0, np.float32), rows, seed=2)) == 1
    np.testing.assert_allclose(dvae.codebook[0], 7.0)
    np.testing.assert_allclose(dvae.codebook[1:], 1.0, atol=0.02)


def test_a_step_without_valid_rows_moves_nothing(dvae):
    before = np.asarray(dvae.codebook)
    dvae.update_codebook(np.zeros(24, np.float32), np.zeros((24, 9), np.float32), np.zeros((2, 9), np.float32), seed=1)
    np.testing.assert_array_equal(dvae.codebook, before)


def test_overfits_one_batch():
    keras.utils.set_random_seed(2)
    dvae = DVAE(DVAEConfig(num_codes=64, code_dim=16, hidden_dim=32, num_layers=2, num_resnet_blocks=1), MELS)
    time = np.arange(32)[None, :, None]
    phase = np.random.default_rng(7).uniform(0, 6, (4, 1, 1))
    mel = np.sin(time / 3 + phase + np.arange(MELS) / 5).astype(np.float32)
    optimizer = keras.optimizers.Adam(3e-3)

    @tf.function
    def step(index):
        with tf.GradientTape() as tape:
            out = dvae(mel, training=True)
            error = tf.reduce_mean((out.reconstruction - mel) ** 2)
            loss = error + 0.25 * tf.reduce_mean(out.commitment)
        optimizer.apply_gradients(zip(tape.gradient(loss, dvae.trainable_variables), dvae.trainable_variables, strict=True))
        counts, sums = dvae.codebook_statistics(out.encoded, out.codes, tf.ones_like(out.codes, bool))
        dvae.update_codebook(counts, sums, tf.reshape(out.encoded, (-1, 16)), index)
        return error

    errors = [float(step(tf.constant(index))) for index in range(250)]
    assert errors[-1] < 0.02 < 0.3 < errors[0]


def test_wrong_number_of_bands_is_an_error(dvae):
    with pytest.raises(ModelError, match="20 bands"):
        dvae.encode(np.zeros((2, 9, 30), np.float32))


def test_stride_two_pads_one_on_each_side():
    """An even length: the first output must see a zero before the first frame, as the reference's convolution does."""
    dvae = DVAE(CONFIG.model_copy(update={"num_layers": 1, "num_resnet_blocks": 0}), MELS)
    mel = mels(1, 6)
    kernel, bias = (np.asarray(variable) for variable in (dvae.down[0].kernel, dvae.down[0].bias))
    padded = np.pad(mel[0], ((1, 1), (0, 0)))
    down = np.stack([np.einsum("km,kmc->c", padded[2 * i : 2 * i + 3], kernel) for i in range(3)]) + bias
    expected = np.maximum(down, 0) @ np.asarray(dvae.to_code.kernel) + np.asarray(dvae.to_code.bias)
    np.testing.assert_allclose(dvae.encode_vectors(mel)[0], expected, atol=1e-5)
