"""The map to the reference implementation's state dict: complete in both directions, for every size, and its own inverse."""

import ast
import re

import numpy as np
import pytest
from coqui_state import state_of
from small import small_config

from myxtts.config import ModelConfig, ModelError
from myxtts.models.coqui import LAYOUTS, RECOMPUTED, canonical, check, names, tensor_shapes, their_shape
from myxtts.models.folder import COMPONENTS
from myxtts.models.xtts import XTTS, tensor_names


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


def test_a_state_dict_has_every_tensor_in_its_layout(model):
    state, wanted = state_of(model), names(model.config)
    assert {key.split(".")[0] for key in state} == {"mel_stats", "gpt", "hifigan_decoder", "dvae"}
    for component in COMPONENTS:
        ours = tensor_names(model.component(component))
        for name, (key, layout) in wanted[component].items():
            assert np.array_equal(LAYOUTS[layout].to_ours(state[key]), np.array(ours[name].value)), key
    check(tensor_shapes(model.config), wanted, {key: value.shape for key, value in state.items() if key != "mel_stats"})


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
    found = canonical(old)
    assert found.keys() == state.keys() and all(np.array_equal(found[key], state[key]) for key in state)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"gpt.gpt.ln_f.bias": None}, "1 missing: gpt.gpt.ln_f.bias"),
        ({"gpt.extra.weight": (2,)}, "1 unknown: gpt.extra.weight"),
        ({"gpt.final_norm.bias": (3,)}, r"1 of another shape: gpt.final_norm.bias is \(3,\), expected \(32,\)"),
        ({f"gpt.extra.{n}": () for n in range(20)}, r"20 unknown: gpt.extra.0; .*; and 12 more"),
    ],
)
def test_what_does_not_fit_is_named(model, change, expected):
    shapes = {key: value.shape for key, value in state_of(model).items() if key != "mel_stats"} | change
    shapes = {key: shape for key, shape in shapes.items() if shape is not None}
    with pytest.raises(ModelError, match=expected):
        check(tensor_shapes(model.config), names(model.config), shapes)


def test_a_model_without_audio_tokenizer(model):
    """It says what it lacks."""
    other = XTTS(model.config, ("gpt", "decoder", "speaker_encoder"))
    assert other.components == ("gpt", "decoder", "speaker_encoder")
    assert {key for key in state_of(model) if not key.startswith("dvae.")} == state_of(other).keys()
    assert "dvae" not in other.parameter_counts()
    with pytest.raises(ModelError, match=r"has no dvae.*import the checkpoint again with --dvae"):
        other.dvae.encode(np.zeros((1, 8, 80), np.float32))
