import ast
from pathlib import Path

import pytest
from pydantic import BaseModel

from myxtts.config import ConfigError, XTTSConfig
from myxtts.config.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_survives_a_round_trip(recipe, tmp_path):
    config = XTTSConfig.load(recipe)
    config.dump(tmp_path / "again.yaml")
    assert XTTSConfig.load(tmp_path / "again.yaml") == config


def test_preset_fills_what_a_section_leaves_out():
    config = XTTSConfig.from_dict({"model": {"preset": "tiny", "gpt": {"num_layers": 2}}})
    assert config.model.gpt.num_layers == 2
    assert config.model.gpt.dim == XTTSConfig.from_dict({"model": {"preset": "tiny"}}).model.gpt.dim < 1024
    assert XTTSConfig().model.gpt.dim == 1024


def test_yaml_1_2_as_dvc_reads_it(tmp_path):
    """PyYAML would read the language code `no` as False and 1e-4 as a string."""
    config = XTTSConfig.load(write(tmp_path, "data: {source: {language: no}}\ntraining: {gpt: {learning_rate: 1e-4}}\n"))
    assert config.data.source.language == "no"
    assert config.training.gpt.learning_rate == 1e-4


def test_unknown_key_names_path_and_nearest_valid_key(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.gpt\.learnin_rate: unknown key; did you mean 'learning_rate'\?"):
        XTTSConfig.load(write(tmp_path, "training: {gpt: {learnin_rate: 1}}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: -1", r"seed: got -1; .*greater than or equal to 0"),
        ("model: {preset: huge}", r"unknown preset 'huge'; expected one of tiny, small, base, xtts_v2"),
        ("model: {gpt: {dim: 100}}", r"model\.gpt: dim 100 is not divisible by num_heads 16"),
        ("data: {source: {layout: vcdk}}", r"data\.source\.layout: got 'vcdk'; .*'sample'"),
        ("prepare: {min_seconds: 5, max_seconds: 2}", r"min_seconds 5.0 is not below max_seconds 2.0"),
        ("model: {audio: {mel_fmax: 12000}}", r"mel_fmax 12000.0 Hz lies above half"),
        ("synthesis: {coqui_compatible: true, guidance_scale: 2}", r"synthesis: coqui_compatible has no guidance.*got 2"),
        ("training: {gpt: {coqui_compatible: true, text_dropout: 0.1}}", r"training\.gpt: coqui_compatible has no clips without a text"),
        ("[1, 2]", r"must hold sections"),
        ("a: [", r"not valid YAML"),
    ],
)
def test_bad_values_are_refused_with_path_value_and_what_is_allowed(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        XTTSConfig.load(write(tmp_path, text))


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"run in the project folder, which has params\.yaml and recipes/$"):
        XTTSConfig.load(tmp_path / "params.yaml")


def test_frozen():
    with pytest.raises(ValueError, match="frozen"):
        XTTSConfig().seed = 3


def test_overrides_are_read_as_yaml(tmp_path):
    path = write(tmp_path, "seed: 1\n")
    config = XTTSConfig.load(path, ["training.gpt.learning_rate=3e-5", "data.sample.voices=[fa]", "training.gpt.grad_clip_norm=null"])
    assert config.training.gpt.learning_rate == 3e-5
    assert config.data.sample.voices == ("fa",)
    assert config.training.gpt.grad_clip_norm is None
    for wrong in ("seed", "seed.x=1"):
        with pytest.raises(ConfigError, match="override"):
            XTTSConfig.load(path, [wrong])


def test_derived_numbers_are_those_of_xtts_v2():
    model = XTTSConfig().model
    assert model.samples_per_code == 1024
    assert model.codes_per_second == pytest.approx(21.533, abs=1e-3)
    assert (model.num_audio_tokens, model.start_audio_token, model.stop_audio_token) == (1026, 1024, 1025)
    assert model.decoder.hop_length == 256


def test_schema_file_has_not_drifted():
    """`myxtts schema --out docs/params.schema.json` writes it."""
    assert (ROOT / "docs" / "params.schema.json").read_text(encoding="utf-8") == json_schema()


def _fields(model: type[BaseModel], seen: set) -> set[str]:
    names = set()
    if model in seen:
        return names
    seen.add(model)
    for name, field in model.model_fields.items():
        names.add(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= _fields(field.annotation, seen)
    return names


def test_every_field_is_read_by_some_code():
    """A parameter that nothing reads changes nothing: the fault of an earlier project with 45 such fields."""
    read = set()
    for path in (ROOT / "myxtts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
    unread = _fields(XTTSConfig, set()) - read - {"preset"}  # read where presets fill the sections
    assert not unread
