"""The assembly: sizes of the reference, save and load, strictness."""

import csv
import math
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from myxtts.config import ModelConfig, ModelError, XTTSConfig
from myxtts.models.coqui import tensor_shapes
from myxtts.models.layers import sizes_alone
from myxtts.models.xtts import COMPONENTS, XTTS, build_component, load_weights, parameter_counts, save_weights, tensor_names
from myxtts.training.advice import needs_of

CONFIG = ModelConfig(
    preset="tiny",
    num_text_tokens=64,
    audio={"num_mels": 24},
    dvae={"num_codes": 16, "code_dim": 8, "hidden_dim": 8},
    gpt={"num_layers": 1, "dim": 16, "num_heads": 2, "conditioning_heads": 2},
    decoder={"channels": 16, "resblock_kernels": [3], "resblock_dilations": [1]},
    speaker_encoder={"filters": [4, 4, 4, 4], "num_mels": 16, "embedding_dim": 16},
)
REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "xtts_v2_state_dict.tsv"


@pytest.fixture
def model():
    model = XTTS(CONFIG)
    model.mel_norm = np.linspace(-3, -1, 24)
    return model


def values(model):
    return {name: np.asarray(variable) for name, variable in tensor_names(model).items()}


def test_xtts_v2_has_the_sizes_of_the_reference():
    """Trainable parameters; the decoder's weight-normalised convolutions count gain and direction apart, as its state dict does."""
    counts = parameter_counts(ModelConfig(preset="xtts_v2"))
    assert counts["gpt"] == 441_018_563
    assert counts["dvae"] == 51_567_184
    assert counts["decoder"] + counts["speaker_encoder"] == 25_856_300
    assert counts["total"] == 518_442_047


def test_xtts_v2_has_one_tensor_for_each_of_the_reference():
    """Sorted sizes agree, so that a checkpoint can be imported tensor for tensor."""
    if not REFERENCE.is_file():
        pytest.skip(f"needs the reference's list of tensors, {REFERENCE.name}, beside the repository")
    roots = {"gpt.": "gpt", "[dvae.pth]": "dvae", "hifigan_decoder.w": "decoder", "hifigan_decoder.s": "speaker_encoder"}
    derived = ("discrete_loss", "num_batches_tracked", "torch_spec")
    expected = {name: [] for name in COMPONENTS}
    with REFERENCE.open(encoding="utf-8") as file:
        for key, shape, *_ in csv.reader(file, delimiter="\t"):
            if not any(part in key for part in derived):
                size = math.prod(int(n) for n in shape.strip("()").split(",") if n.strip())
                expected[next(name for root, name in roots.items() if key.startswith(root))].append(size)
    config = ModelConfig(preset="xtts_v2")
    with sizes_alone():
        for name in COMPONENTS:
            sizes = [math.prod(variable.shape) for variable in tensor_names(build_component(name, config)).values()]
            assert sorted(sizes) == sorted(expected[name]), name


def test_counting_allocates_nothing_but_counts_the_same(model, monkeypatch):
    monkeypatch.setattr(keras.Variable, "_deferred_initialize", lambda variable: pytest.fail(f"{variable.path} was given memory"))
    needs_of(XTTSConfig.from_dict({"model": {"preset": "tiny"}}), "decoder")
    tensor_shapes(CONFIG)
    parameter_counts(CONFIG)
    keras.layers.ReLU().stateless_call([], [], np.zeros((1, 2)))  # at whose end Keras gives memory to all that waits for it
    assert parameter_counts(CONFIG) == model.parameter_counts()
    assert model.parameter_counts()["total"] == sum(model.parameter_counts()[name] for name in COMPONENTS)


def test_networks_fit_each_other(model):
    """mel -> codes -> latents -> wave, with the sizes that one ModelConfig gives all."""
    random = np.random.default_rng(1)
    mel = random.normal(size=(2, 21, 24)).astype(np.float32)
    codes = np.asarray(model.dvae.encode(mel))
    assert codes.shape == (2, 6)
    text = np.ones((2, 4), np.int32)
    out = model.gpt(model.gpt.condition(mel), text, text > 0, codes, codes >= 0)
    speaker = model.speaker_encoder(random.normal(size=(2, 30, 16)).astype(np.float32))
    wave = model.decoder(out.audio_latents, speaker)
    assert wave.shape == (2, model.decoder.output_samples(6))
    assert abs(wave.shape[1] - 6 * CONFIG.samples_per_code * 24000 / 22050) < 256


def test_saved_and_loaded_is_the_same(model, tmp_path):
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*(f"{name}.weights.h5" for name in COMPONENTS), "mel_norm.npy"])
    again = XTTS.load(tmp_path, CONFIG)
    np.testing.assert_array_equal(again.mel_norm, model.mel_norm)
    for name in COMPONENTS:
        before, after = values(model.component(name)), values(again.component(name))
        assert before.keys() == after.keys()
        for tensor in before:
            np.testing.assert_array_equal(before[tensor], after[tensor], err_msg=tensor)


def test_codebook_and_running_statistics_are_saved(model):
    assert {"codebook", "cluster_size", "cluster_sum"} <= tensor_names(model.dvae).keys()
    assert "stem_norm/moving_variance" in tensor_names(model.speaker_encoder)


def test_the_same_weights_give_the_same_bytes(model, tmp_path):
    one, other = (save_weights(model.gpt, tmp_path / name / "gpt.weights.h5") for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()


def edited(model, path, edit):
    save_weights(model, path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def test_a_missing_tensor_is_named(model, tmp_path):
    path = edited(model.dvae, tmp_path / "dvae.weights.h5", lambda file: file.__delitem__("to_mel/bias"))
    with pytest.raises(ModelError, match="1 missing: to_mel/bias"):
        load_weights(model.dvae, path)


def test_an_extra_tensor_is_named(model, tmp_path):
    path = edited(model.dvae, tmp_path / "dvae.weights.h5", lambda file: file.create_dataset("spare/kernel", data=[1.0]))
    with pytest.raises(ModelError, match="1 unknown: spare/kernel"):
        load_weights(model.dvae, path)


def test_a_misshapen_tensor_is_named_and_nothing_is_changed(model, tmp_path):
    other = ModelConfig(**{**CONFIG.model_dump(), "dvae": {**CONFIG.dvae.model_dump(), "num_codes": 32}})
    path = save_weights(build_component("dvae", other), tmp_path / "dvae.weights.h5")
    np.save(tmp_path / "mel_norm.npy", np.full(24, 2.0, np.float32))
    before, norm = values(model.dvae), model.mel_norm
    with pytest.raises(ModelError, match=r"codebook is \(32, 8\), expected \(16, 8\)"):
        model.load_component("dvae", tmp_path)
    assert path.is_file()
    for name, value in values(model.dvae).items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(model.mel_norm, norm)


def test_a_missing_and_a_damaged_file_are_errors(model, tmp_path):
    with pytest.raises(ModelError, match="no weight file"):
        model.load_component("gpt", tmp_path)
    (tmp_path / "gpt.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(ModelError, match="cannot be read as HDF5"):
        model.load_component("gpt", tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_other(model, tmp_path, monkeypatch):
    path = model.save_component("dvae", tmp_path)
    before = path.read_bytes()

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(h5py.Group, "create_dataset", broken)
    with pytest.raises(OSError, match="disk full"):
        model.save_component("dvae", tmp_path)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "mel_norm.npy"}


def test_mel_norm_is_checked(model, tmp_path):
    with pytest.raises(ModelError, match="24 mel bands"):
        model.mel_norm = np.ones(23)
    with pytest.raises(ModelError, match="nowhere zero"):
        model.mel_norm = np.zeros(24)
    model.save(tmp_path)
    (tmp_path / "mel_norm.npy").unlink()
    with pytest.raises(ModelError, match="without its mel normalisation"):
        XTTS.load(tmp_path, CONFIG)


def test_unknown_component_is_an_error(model, tmp_path):
    with pytest.raises(ModelError, match="expected one of dvae, gpt, decoder, speaker_encoder"):
        model.save_component("vocoder", tmp_path)
