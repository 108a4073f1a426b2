"""The decoder: lengths, interpolation, weight norm against NumPy, speaker, gradients with the discriminators."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import AudioConfig, DecoderConfig, ModelError
from myxtts.models.hifigan import HiFiGAN, interpolate
from myxtts.models.layers import WeightNorm, WeightNormConv1D, WeightNormConv1DTranspose
from myxtts.models.precision import all_layers
from myxtts.models.xtts import load_weights, save_weights

CONFIG = DecoderConfig(
    channels=16,
    upsample_rates=(8, 4, 2, 4),
    upsample_kernels=(16, 8, 4, 8),
    resblock_kernels=(3, 5),
    resblock_dilations=(1, 3),
    discriminator_channels=4,
    discriminator_periods=(2, 3),
    discriminator_scales=2,
)
D, E = 9, 7


@pytest.fixture
def decoder():
    keras.utils.set_random_seed(1)
    return HiFiGAN(CONFIG, latent_dim=D, speaker_dim=E, audio=AudioConfig(), samples_per_code=1024)


def inputs(batch=2, codes=5, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(batch, codes, D)).astype(np.float32), random.normal(size=(batch, E)).astype(np.float32)


def test_length_is_that_of_the_reference(decoder):
    """13 codes -> 52 -> 56 frames -> 14336 samples (measured there)."""
    assert decoder.output_samples(13) == 14336
    wave = decoder(*inputs(2, 13))
    assert wave.shape == (2, 14336)
    assert np.abs(wave).max() <= 1


def test_a_decoder_begins_without_an_offset(decoder):
    """A constant before the last convolution is nothing after it. With Glorot's kernel the means were 4 to 20 times the deviations."""
    np.testing.assert_allclose(decoder.after(np.ones((1, 20, decoder.widths[-1]), np.float32))[0, 3:-3], 0, atol=1e-6)
    wave = np.asarray(decoder(*inputs(4, 13)))[:, 100:-100]  # the ends see zeros
    assert np.abs(wave.mean(axis=1)).max() < 0.3 * wave.std(axis=1).min()


def test_one_rate_needs_one_interpolation():
    audio = AudioConfig(input_sample_rate=22050, output_sample_rate=22050)
    decoder = HiFiGAN(CONFIG, D, E, audio, samples_per_code=512)
    assert decoder.output_samples(6) == 6 * 512
    assert decoder(*inputs(1, 6)).shape == (1, 6 * 512)


def test_interpolation_of_a_line_stays_on_the_line():
    """Coordinates follow from the scale: (i + 1/2) / scale - 1/2, clamped at both ends."""
    line = np.arange(52, dtype=np.float32)[None, :, None]
    scale = 24000 / 22050
    out = np.asarray(interpolate(line, scale))[0, :, 0]
    assert len(out) == 56
    np.testing.assert_allclose(out, np.clip((np.arange(56) + 0.5) / scale - 0.5, 0, 51), atol=1e-4)


@pytest.mark.parametrize("groups_together", [1, 16])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (1, 3, 1), (2, 1, 1), (4, 1, 2)])
def test_convolution_equals_its_formula(stride, dilation, groups, groups_together, monkeypatch):
    monkeypatch.setattr("myxtts.models.layers.GROUP_WIDTH", groups_together)
    layer, random = WeightNormConv1D(4, 6, 5, stride, dilation, groups), np.random.default_rng(1)
    layer.build(None)
    layer.gain.assign(random.uniform(0.5, 2, 6))
    layer.bias.assign(random.normal(size=6))
    x = random.normal(size=(2, 19, 4)).astype(np.float32)
    v = np.asarray(layer.direction)  # (5, 4 / groups, 6)
    weight = v * np.asarray(layer.gain) / np.linalg.norm(v.reshape(-1, 6), axis=0)
    padding = 2 * dilation
    padded = np.pad(x, ((0, 0), (padding, padding), (0, 0)))
    length = (19 + 2 * padding - 4 * dilation - 1) // stride + 1
    expected = np.zeros((2, length, 6))
    for i in range(length):
        window = padded[:, i * stride : i * stride + 4 * dilation + 1 : dilation]  # (2, 5, 4)
        for group in range(groups):
            ins, outs = slice(group * 4 // groups, (group + 1) * 4 // groups), slice(group * 6 // groups, (group + 1) * 6 // groups)
            expected[:, i, outs] = np.einsum("bki,kio->bo", window[..., ins], weight[..., outs])
    np.testing.assert_allclose(layer(x), expected + np.asarray(layer.bias), atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(16, 8), (4, 2), (8, 4)])
def test_transposed_convolution_equals_its_formula(kernel, stride):
    """Every input is spread over `kernel` outputs from stride · i on, then (kernel - stride) / 2 is cut from each end (PyTorch's)."""
    layer, random = WeightNormConv1DTranspose(3, 5, kernel, stride), np.random.default_rng(2)
    layer.build(None)
    layer.gain.assign(random.uniform(0.5, 2, 3))
    x = random.normal(size=(2, 6, 3)).astype(np.float32)
    v = np.asarray(layer.direction)  # (kernel, 5, 3)
    weight = v * np.asarray(layer.gain) / np.linalg.norm(v.reshape(-1, 3), axis=0)
    spread = np.zeros((2, 5 * stride + kernel, 5))
    for i in range(6):
        spread[:, i * stride : i * stride + kernel] += np.einsum("bi,koi->bko", x[:, i], weight)
    cut = (kernel - stride) // 2
    np.testing.assert_allclose(layer(x), spread[:, cut : cut + 6 * stride], atol=1e-5)


def test_gain_starts_at_the_length_of_the_direction():
    layer = WeightNormConv1D(4, 6, 5)
    layer.build(None)
    np.testing.assert_allclose(layer.gain, np.linalg.norm(np.asarray(layer.direction).reshape(-1, 6), axis=0), rtol=1e-5)


def test_speaker_and_latents_both_shape_the_wave(decoder):
    latents, speaker = inputs()
    wave = decoder(latents, speaker)
    assert np.abs(wave - decoder(latents, speaker + 1)).max() > 1e-4
    assert np.abs(wave - decoder(latents + 1, speaker)).max() > 1e-4
    np.testing.assert_allclose(decoder(latents[1:], speaker[1:]), wave[1:], atol=1e-6)


def test_every_trainable_variable_gets_a_gradient_in_a_compiled_step(decoder):
    latents, speaker = inputs()
    traces = []

    @tf.function(jit_compile=False)
    def gradients(latents, speaker):
        traces.append(1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((decoder(latents, speaker, training=True) - 0.3) ** 2)
        return tape.gradient(loss, decoder.trainable_variables)

    for _ in range(2):
        result = gradients(tf.constant(latents), tf.constant(speaker))
    assert len(traces) == 1
    for variable, gradient in zip(decoder.trainable_variables, result, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_wrong_widths_are_an_error(decoder):
    latents, speaker = inputs()
    with pytest.raises(ModelError, match=r"\(B, S, 9\)"):
        decoder(latents[..., :4], speaker)
    with pytest.raises(ModelError, match=r"\(B, 7\)"):
        decoder(latents, speaker[:, :3])


@pytest.mark.parametrize("codes", [1, 2, 5, 13, 40])
def test_settled_frames_are_those_that_no_later_latent_changes(decoder, codes):
    random = np.random.default_rng(3)
    latents = random.normal(size=(1, codes + 30, D)).astype(np.float32)
    other = np.concatenate([latents[:, :codes], random.normal(size=(1, 30, D)).astype(np.float32)], axis=1)
    settled = decoder.settled_frames(codes)
    found = [np.asarray(decoder.frames(part))[0] for part in (latents[:, :codes], latents, other)]
    np.testing.assert_array_equal(found[0][:settled], found[1][:settled])
    assert np.abs(found[1][settled] - found[2][settled]).max() > 0, "one more would not be settled"


def test_samples_depend_on_no_frame_beyond_the_context(decoder):
    random = np.random.default_rng(4)
    frames = random.normal(size=(1, 100, D)).astype(np.float32)
    other = frames.copy()
    other[0, 50] += 1
    speaker = random.normal(size=(1, E)).astype(np.float32)
    waves = [np.asarray(decoder.from_frames(part, speaker))[0].reshape(100, -1) for part in (frames, other)]
    touched = np.flatnonzero(np.abs(waves[0] - waves[1]).max(axis=1) > 0)
    assert 50 - decoder.context_frames <= touched.min() and touched.max() <= 50 + decoder.context_frames
    assert touched.max() - 50 >= decoder.context_frames - 2, "the context is no larger than it must be"


def test_folded_it_says_the_same_and_saves_the_same(decoder, tmp_path):
    random = np.random.default_rng(5)
    for variable in decoder.variables:
        if variable.path.endswith("gain"):
            variable.assign(random.uniform(0.3, 2, variable.shape))
    latents, speaker = inputs()
    wave, saved = np.asarray(decoder(latents, speaker)), save_weights(decoder, tmp_path / "a.h5").read_bytes()
    decoder.fold()
    computed = [layer for layer in all_layers(decoder) if isinstance(layer, WeightNorm) and layer.folded is None]
    assert not computed
    np.testing.assert_allclose(decoder(latents, speaker), wave, atol=1e-6)
    assert save_weights(decoder, tmp_path / "b.h5").read_bytes() == saved


def test_folded_weights_are_kept_and_loading_forgets_them(decoder, tmp_path):
    latents, speaker = inputs()
    wave = np.asarray(decoder(latents, speaker))
    saved = save_weights(decoder, tmp_path / "a.h5")
    decoder.fold()
    decoder.up[0].gain.assign(2 * decoder.up[0].gain)
    np.testing.assert_allclose(decoder(latents, speaker), wave, atol=1e-6)  # nothing is normalised again
    decoder.unfold()
    louder = np.asarray(decoder(latents, speaker))
    assert np.abs(louder - wave).max() > 1e-4
    decoder.fold()
    load_weights(decoder, saved)
    np.testing.assert_allclose(decoder(latents, speaker), wave, atol=1e-6)
