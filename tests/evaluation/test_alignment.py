"""The head that follows the text is found among others that do not, and goes with the bundle."""

import json

import numpy as np
import pytest

from myxtts.config import ModelError
from myxtts.evaluation.alignment import alignment_head
from myxtts.evaluation.yardstick import followed
from myxtts.models.gpt import GPT
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice


def clip(synthesizer, codes, text, seed=0):
    rng, gpt = np.random.default_rng(seed), synthesizer.config.model.gpt
    voice = Voice(rng.normal(size=(1, gpt.num_latents, gpt.dim)).astype(np.float32), None)
    return rng.integers(1, 60, text), rng.integers(0, synthesizer.config.model.dvae.num_codes, codes), voice


def test_the_head_that_reads_evenly_is_found(synthesizer, monkeypatch):
    shape = synthesizer.config.model.gpt.num_layers, synthesizer.config.model.gpt.num_heads

    def looks(self, latents, text, text_mask, audio, audio_mask):
        rng = np.random.default_rng(audio.shape[1])
        found = rng.integers(0, text.shape[1], (shape[0], 1, shape[1], audio.shape[1]))
        found[0, 0, 0] = text.shape[1] - 1  # rests at the end
        found[-1, 0, 1] = np.linspace(0, text.shape[1] - 1, audio.shape[1]) + rng.integers(-1, 2, audio.shape[1])
        return found

    monkeypatch.setattr(GPT, "looks", looks)
    found = alignment_head(synthesizer, [clip(synthesizer, codes, 20) for codes in (15, 30, 40)])
    assert (found["gpt/alignment_layer"], found["gpt/alignment_head"]) == (shape[0] - 1, 1) == followed(found)
    assert 0.95 < found["gpt/alignment_correlation"] < 1


def test_random_networks_follow_nothing_and_short_clips_tell_nothing(synthesizer):
    found = alignment_head(synthesizer, [clip(synthesizer, codes, 20, codes) for codes in (20, 22, 24)])
    assert -1 < found["gpt/alignment_correlation"] < 0.8 and followed(found) is None
    assert alignment_head(synthesizer, [clip(synthesizer, 5, 20)]) == {} and followed({}) is None


def test_looks_are_where_the_attention_is(synthesizer):
    text, codes, voice = clip(synthesizer, 14, 9)
    given = (voice.latents, text[None], np.ones((1, 9), bool), codes[None], np.ones((1, 14), bool))
    gpt = synthesizer.model.gpt
    looks, shown = np.asarray(gpt.looks(*given)), np.asarray(gpt.alignment(*given))[0].argmax(axis=1)
    assert looks.shape == (synthesizer.config.model.gpt.num_layers, 1, synthesizer.config.model.gpt.num_heads, 14)
    assert any((looks[layer, 0, head] == shown).all() for layer in range(looks.shape[0]) for head in range(looks.shape[2]))


@pytest.mark.parametrize("value", [[0, 99], [0], "0", [0.5, 1]])
def test_a_bundle_that_names_no_head_of_its_gpt_is_refused(synthesizer, tmp_path, value):
    synthesizer.model.save(tmp_path)
    synthesizer.config.dump(tmp_path / "params.yaml")
    synthesizer.tokenizer.save(tmp_path / "tokenizer.json")
    (tmp_path / "bundle.json").write_text(json.dumps({"alignment_head": [0, 1]}))
    assert Synthesizer.load(tmp_path).engine.alignment_head == (0, 1)
    (tmp_path / "bundle.json").write_text(json.dumps({"alignment_head": value}))
    with pytest.raises(ModelError, match=r"expected null or \[layer, head\]"):
        Synthesizer.load(tmp_path)
