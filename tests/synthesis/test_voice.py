"""Voices as files, and between one another."""

import numpy as np
import pytest

from myxtts.config import DataError
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice


@pytest.fixture(scope="module")
def synthesizer(bundle):
    return Synthesizer.load(bundle, whole=True)


def made(synthesizer, seed: int = 1) -> Voice:
    rng = np.random.default_rng(seed)
    parts = (rng.normal(size=(1, *shape)).astype(np.float32) for shape in ((3, 16), (18,)))
    return Voice(*parts, synthesizer.voice_networks)


def test_a_saved_voice_is_the_same_voice(synthesizer, tmp_path):
    voice = made(synthesizer)
    voice.save(tmp_path / "me.voice")
    found = synthesizer.voice(tmp_path / "me.voice")
    np.testing.assert_array_equal(found.latents, voice.latents)
    np.testing.assert_array_equal(found.embedding, voice.embedding)
    assert found.networks == synthesizer.voice_networks
    first = (tmp_path / "me.voice").read_bytes()
    voice.save(tmp_path / "me.voice")
    assert (tmp_path / "me.voice").read_bytes() == first


def test_a_mix_lies_between(synthesizer, tmp_path):
    one, two = made(synthesizer, 1), made(synthesizer, 2)
    mixed = Voice.mix([one, two], [3, 1])
    np.testing.assert_allclose(mixed.latents, 0.75 * one.latents + 0.25 * two.latents, atol=1e-6)
    np.testing.assert_allclose(mixed.embedding, 0.75 * one.embedding + 0.25 * two.embedding, atol=1e-6)
    one.save(tmp_path / "1.voice")
    two.save(tmp_path / "2.voice")
    halfway = synthesizer.voice([tmp_path / "1.voice", tmp_path / "2.voice"])
    np.testing.assert_allclose(halfway.latents, (one.latents + two.latents) / 2, atol=1e-6)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")], [1, float("inf")]])
def test_weights_are_shares(synthesizer, weights):
    with pytest.raises(DataError, match="weight"):
        Voice.mix([made(synthesizer, 1), made(synthesizer, 2)], weights)


def test_a_voice_of_another_model_is_refused(synthesizer, tmp_path):
    voice = made(synthesizer)
    other = Voice(voice.latents, voice.embedding, "another")
    other.save(tmp_path / "other.voice")
    with pytest.raises(DataError, match="made with another model"):
        synthesizer.voice(tmp_path / "other.voice")
    with pytest.raises(DataError, match="different models"):
        Voice.mix([voice, other])


def test_what_is_no_voice_is_named(synthesizer, tmp_path):
    with pytest.raises(DataError, match="there is no voice"):
        Voice.load(tmp_path / "none.voice")
    for content in (b"", b"text", b"PK\x03\x04 cut"):
        (tmp_path / "bad.voice").write_bytes(content)
        with pytest.raises(DataError, match="no voice that was saved"):
            Voice.load(tmp_path / "bad.voice")
    with pytest.raises(DataError, match=r"saved as \*\.voice"):
        made(synthesizer).save(tmp_path / "me.npz")
    voice = made(synthesizer)
    Voice(voice.latents * np.nan, voice.embedding).save(tmp_path / "nan.voice")
    with pytest.raises(DataError, match="damaged"):
        Voice.load(tmp_path / "nan.voice")
    voice.save(tmp_path / "me.voice")
    with pytest.raises(DataError, match="got both"):
        synthesizer.voice([tmp_path / "me.voice", tmp_path / "me.wav"])
