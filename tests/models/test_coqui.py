"""The map to the reference implementation's state dict: complete in both directions, for every size, and its own inverse."""

import ast
import re

import numpy as np
import pytest
from small import small_config

from myxtts.config import ModelConfig, ModelError
from myxtts.models.coqui import (
    LAYOUTS,
    RECOMPUTED,
    canonical,
    load_component_state,
    load_state,
    names,
    state_of,
    tensor_shapes,
    their_shape,
)
from myxtts.models.xtts import COMPONENTS, XTTS, build_component, tensor_names


@pytest.fixture(scope="module")
def model() -> XTTS:
    return _filled(small_config().model, seed=1)


def _filled(config: ModelConfig, seed: int) -> XTTS:
    """Every tensor random, so that two that are mixed up show."""
    model, rng = XTTS(config), np.random.default_rng(seed)
    for component in COMPONENTS:
        for variable in tensor_names(model.component(component)).values():
            variable.assign(rng.normal(size=variable.shape))
    model.mel_norm = rng.uniform(1, 2, config.audio.num_mels)
    return model


def _tensors(model: XTTS) -> dict[str, np.ndarray]:
    return {f"{c}/{name}": np.array(v.value) for c in COMPONENTS for name, v in tensor_names(model.component(c)).items()}


def test_every_tensor_of_the_state_dict_is_one_of_ours(shared):
    """The 1018 tensors of XTTS v2, as the reference lists them."""
    lines = (shared / "reference" / "xtts_v2_state_dict.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    theirs = {row[0].replace("[dvae.pth] ", "dvae."): ast.literal_eval(row[1]) for row in rows if row[0] != "mel_stats"}
    assert len(theirs) == 1018
    ignored = {key for key in theirs if any(re.fullmatch(pattern, key) for pattern in RECOMPUTED)}
    assert all(key.endswith("num_batches_tracked") or ".torch_spec." in key or ".discrete_loss." in key for key in ignored)
    config = ModelConfig()
    ours, wanted = tensor_shapes(config), names(config)
    mapped = {key: (c, name, layout) for c, named in wanted.items() for name, (key, layout) in named.items()}
    assert len(mapped) == sum(map(len, wanted.values()))  # no key serves two variables
    assert mapped.keys() == theirs.keys() - ignored
    for key, (component, name, layout) in mapped.items():
        assert their_shape(ours[component][name], layout) == theirs[key], key


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "xtts_v2"])
def test_every_variable_of_ours_has_a_name_there(preset):
    config = ModelConfig(preset=preset)
    ours, wanted = tensor_shapes(config), names(config)
    for component in COMPONENTS:
        assert wanted[component].keys() == ours[component].keys()


def test_names_follow_the_layer_counts():
    config = ModelConfig.model_validate(
        {
            "preset": "tiny",
            "gpt": {"num_layers": 3, "conditioning_blocks": 2, "perceiver_layers": 3},
            "dvae": {"num_layers": 3, "num_resnet_blocks": 2},
            "decoder": {"upsample_rates": [4, 2, 2], "upsample_kernels": [8, 4, 4], "resblock_dilations": [1, 3, 5]},
            "speaker_encoder": {"filters": [8, 16, 16, 8], "blocks": [2, 1, 2, 1]},
        }
    )
    ours, wanted = tensor_shapes(config), names(config)
    assert {c: set(wanted[c]) for c in COMPONENTS} == {c: set(ours[c]) for c in COMPONENTS}
    assert wanted["dvae"]["to_mel/kernel"].key == "dvae.decoder.6.weight"
    assert wanted["dvae"]["up_0/kernel"].key == "dvae.decoder.3.0.conv.weight"
    assert wanted["decoder"]["stage_2_block_1/plain_0/gain"].key.endswith("resblocks.5.convs2.0.parametrizations.weight.original0")


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_layouts_are_inverse(layout):
    rank = {"same": 1, "gain": 1, "linear": 2, "pointwise": 2, "pointwise_2d": 2, "convolution": 3, "convolution_2d": 4}[layout]
    ours = np.random.default_rng(0).normal(size=(2, 3, 5, 7)[:rank])
    theirs = LAYOUTS[layout].to_theirs(ours)
    assert np.array_equal(LAYOUTS[layout].to_ours(theirs), ours)
    assert theirs.base is ours or theirs is ours  # a view: shapes are found without memory


def test_convolution_layout_puts_each_number_in_its_place():
    theirs = np.arange(2 * 3 * 5).reshape(2, 3, 5)  # (out, in, k)
    assert LAYOUTS["convolution"].to_ours(theirs)[4, 2, 1] == theirs[1, 2, 4]  # (k, in, out)
    images = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)  # (out, in, h, w)
    assert LAYOUTS["convolution_2d"].to_ours(images)[4, 6, 2, 1] == images[1, 2, 4, 6]  # (h, w, in, out)


def test_state_goes_out_and_in_again(model):
    state = state_of(model)
    assert {key.split(".")[0] for key in state} == {"mel_stats", "gpt", "hifigan_decoder", "dvae"}
    other = _filled(model.config, seed=2)
    load_state(other, state)
    before, after = _tensors(model), _tensors(other)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.array_equal(other.mel_norm, model.mel_norm)


def test_old_weight_norm_names_and_recomputed_tensors(model):
    state = state_of(model)
    old = {
        key.replace(".parametrizations.weight.original0", ".weight_g").replace(".parametrizations.weight.original1", ".weight_v"): value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    old["gpt.gpt.h.0.attn.masked_bias"] = np.zeros(())
    old["gpt.gpt.h.0.attn.bias"] = np.zeros((1, 1, 4, 4))
    old["hifigan_decoder.speaker_encoder.bn1.num_batches_tracked"] = np.zeros((), np.int64)
    old["dvae.discrete_loss.accumulator"] = np.zeros(3)
    assert canonical(old).keys() == state.keys()
    other = _filled(model.config, seed=3)
    load_state(other, old)
    assert np.array_equal(_tensors(other)["decoder/up_0/gain"], _tensors(model)["decoder/up_0/gain"])


def test_half_precision_becomes_float32(model):
    half = {key: value.astype(np.float16) for key, value in state_of(model).items()}
    other = _filled(model.config, seed=4)
    load_state(other, half)
    kernel = np.array(other.gpt.text_head.kernel.value)
    assert kernel.dtype == np.float32
    assert np.array_equal(kernel, half["gpt.text_head.weight"].T.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: state.pop("gpt.gpt.ln_f.bias"), "1 missing: gpt.gpt.ln_f.bias"),
        (lambda state: state.pop("mel_stats"), "has no mel_stats"),
        (lambda state: state.update({"gpt.extra.weight": np.zeros(2)}), "1 unknown: gpt.extra.weight"),
        (lambda state: state.update({"gpt.final_norm.bias": np.zeros(3)}), r"gpt.final_norm.bias is \(3,\), expected \(32,\)"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_changes(model, change, expected):
    state = state_of(model)
    change(state)
    other = _filled(model.config, seed=5)
    before = _tensors(other)
    with pytest.raises(ModelError, match=expected):
        load_state(other, state)
    after = _tensors(other)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_one_component_alone(model):
    state = state_of(model)
    network = build_component("decoder", model.config)
    load_component_state(network, "decoder", model.config, state)
    assert np.array_equal(np.array(network.after.kernel.value), np.array(model.decoder.after.kernel.value))
    del state["hifigan_decoder.waveform_decoder.conv_post.weight"]
    with pytest.raises(ModelError, match=r"1 missing: hifigan_decoder.waveform_decoder.conv_post.weight"):
        load_component_state(network, "decoder", model.config, state)


def test_a_model_without_audio_tokenizer(model):
    """It takes its part of a whole state, gives it back, and says what it lacks."""
    other = XTTS(model.config, ("gpt", "decoder", "speaker_encoder"))
    state = state_of(model)
    load_state(other, state)
    again = state_of(other)
    assert {key for key in state if not key.startswith("dvae.")} == again.keys()
    assert all(np.array_equal(state[key], again[key]) for key in again)
    assert other.components == ("gpt", "decoder", "speaker_encoder")
    assert "dvae" not in other.parameter_counts()
    with pytest.raises(ModelError, match=r"has no dvae.*import the checkpoint again with --dvae"):
        other.dvae.encode(np.zeros((1, 8, 80), np.float32))
