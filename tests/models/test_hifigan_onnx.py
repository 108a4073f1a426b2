"""The decoder's graphs: the same wave as Keras' from weights of every size, for any length and batch, from memory and from a file."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from myxtts.config import AudioConfig, DecoderConfig
from myxtts.models.hifigan import HiFiGAN
from myxtts.models.hifigan_onnx import decoder_graph, whole_decoder_graph
from myxtts.models.onnx_graph import session

# kernels and rates of which no two are the same where that could hide a mistake; a kernel as wide as its rate, too; widths that ONNX
# Runtime computes in blocks of 16 channels, and 8, which it does not on every processor
CONFIG = DecoderConfig(
    channels=64,
    upsample_rates=(8, 5, 2),
    upsample_kernels=(16, 11, 2),
    resblock_kernels=(3, 5, 7),
    resblock_dilations=(1, 3),
)
D, E = 9, 7
CODES = CONFIG.hop_length * 4  # samples of a code
AUDIO = AudioConfig()


def make_decoder(config=CONFIG, audio=AUDIO, samples_per_code=CODES):
    """With weights, gains and biases that are all random, and a wave that uses the range of tanh."""
    decoder = HiFiGAN(config, D, E, audio, samples_per_code)
    random = np.random.default_rng(1)
    for variable in decoder.variables:
        shape = tuple(variable.shape)
        fan_in = max(1, np.prod(shape[:-1]))
        if variable.name == "gain":
            variable.assign(random.uniform(0.3, 0.9, shape))
        elif variable.name == "direction":
            variable.assign(random.normal(size=shape) * 3)
        else:
            variable.assign(random.normal(size=shape) * (0.05 if len(shape) == 1 else fan_in**-0.5))
    return decoder


@pytest.fixture(scope="module")
def decoder():
    return make_decoder()


@pytest.fixture(scope="module")
def run(decoder):
    return session(decoder_graph(decoder), threads=1)


@pytest.fixture(scope="module")
def run_whole(decoder):
    return session(whole_decoder_graph(decoder), threads=1)


def inputs(batch, length, speakers=None):
    random = np.random.default_rng(length)
    return random.normal(size=(batch, length, D)).astype(np.float32), random.normal(size=(speakers or batch, E)).astype(np.float32)


def assert_same(wave, expected):
    expected = np.asarray(expected)
    assert expected.std() > 0.02 and np.abs(expected).mean() < 0.9, "a wave that is flat or clipped would prove nothing"
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, expected, atol=1e-5, rtol=0)  # measured: 4e-7


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 7, 32])
def test_convolutions_give_the_wave_of_keras(decoder, run, batch, frames):
    given, speaker = inputs(batch, frames)
    (wave,) = run.run(None, {"frames": given, "speaker": speaker})
    assert wave.shape == (batch, frames * CONFIG.hop_length)
    assert_same(wave, decoder.from_frames(given, speaker))


def test_one_speaker_serves_a_batch(decoder, run):
    given, speaker = inputs(3, 5, speakers=1)
    (wave,) = run.run(None, {"frames": given, "speaker": speaker})
    assert_same(wave, decoder.from_frames(given, speaker))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("codes", [1, 2, 5, 13, 40])
def test_whole_graph_gives_the_wave_of_keras(decoder, run_whole, batch, codes):
    latents, speaker = inputs(batch, codes)
    (wave,) = run_whole.run(None, {"latents": latents, "speaker": speaker})
    assert wave.shape == (batch, decoder.output_samples(codes))
    assert_same(wave, decoder(latents, speaker))


def test_whole_graph_follows_keras_through_long_sentences():
    """float32 coordinates would be off by 2e-4 of a frame. 147 · 24000 / 22050 = 160 is a whole number but for rounding."""
    config = DecoderConfig(channels=16, upsample_rates=(1,), upsample_kernels=(1,), resblock_kernels=(1,), resblock_dilations=(1,))
    for audio, samples in ((AUDIO, 1), (AUDIO, 4), (AudioConfig(input_sample_rate=16000, output_sample_rate=24000), 3)):
        decoder = make_decoder(config, audio, samples)
        run = session(whole_decoder_graph(decoder), threads=1)
        for codes in (1, 3, 49, 147, 300, 588):
            latents, speaker = inputs(1, codes)
            (wave,) = run.run(None, {"latents": latents, "speaker": speaker})
            assert wave.shape == (1, decoder.output_samples(codes)), (audio, codes)
            np.testing.assert_allclose(wave, decoder(latents, speaker), atol=1e-5, rtol=0)


def test_whole_graph_of_one_sample_rate_interpolates_once():
    decoder = make_decoder(audio=AudioConfig(input_sample_rate=22050, output_sample_rate=22050))
    latents, speaker = inputs(1, 6)
    (wave,) = session(whole_decoder_graph(decoder), threads=1).run(None, {"latents": latents, "speaker": speaker})
    assert wave.shape == (1, 6 * CODES)
    assert_same(wave, decoder(latents, speaker))


@pytest.mark.parametrize(
    "other",
    [{"resblock_kernels": (5,)}, {"upsample_rates": (3, 4, 2), "upsample_kernels": (1, 2, 4)}, {"channels": 40}],
    ids=["one block", "kernels narrower than their rates", "odd widths"],
)
def test_other_shapes(other):
    decoder = make_decoder(CONFIG.model_copy(update=other))
    given, speaker = inputs(1, 6)
    (wave,) = session(decoder_graph(decoder), threads=1).run(None, {"frames": given, "speaker": speaker})
    assert_same(wave, decoder.from_frames(given, speaker))


@pytest.mark.parametrize(("build", "name"), [(decoder_graph, "frames"), (whole_decoder_graph, "latents")])
def test_graph_from_its_file(decoder, tmp_path, build, name):
    path = tmp_path / "decoder.onnx"
    build(decoder).save(path)
    onnx.checker.check_model(path, full_check=True)
    run = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given, speaker = inputs(2, 9)
    (wave,) = run.run(None, {name: given, "speaker": speaker})
    assert_same(wave, (decoder.from_frames if name == "frames" else decoder)(given, speaker))
    described = run.get_modelmeta().custom_metadata_map
    assert [float(scale) for scale in described["scales"].split()] == decoder.scales
    assert (int(described["hop_length"]), int(described["context_frames"])) == (CONFIG.hop_length, decoder.context_frames)


def test_weights_of_another_precision(decoder):
    """The graph of a decoder that computes in bfloat16 computes in float32, of the same weights."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = make_decoder()
    finally:
        keras.config.set_dtype_policy(policy)
    given, speaker = inputs(1, 5)
    (wave,) = session(decoder_graph(half), threads=1).run(None, {"frames": given, "speaker": speaker})
    assert_same(wave, decoder.from_frames(given, speaker))
