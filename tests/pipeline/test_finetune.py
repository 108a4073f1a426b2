"""Fine-tuning: a Coqui checkpoint that knows English goes in, its GPT is trained on English and Persian, the rest stays as it is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from checkouts import PARAMS, ROOT, Project, checkout
from ruamel.yaml import YAML

from myxtts import cli
from myxtts.config import ConfigError, ModelError, XTTSConfig
from myxtts.models.tensor_files import read_weights
from myxtts.models.xtts import XTTS
from myxtts.pipeline.outside import train_outside
from myxtts.pipeline.recipes import use_recipe
from myxtts.pipeline.stages import STAGES
from myxtts.pipeline.start import open_start
from myxtts.serving.bundle import make_bundle
from myxtts.serving.coqui import export_coqui
from myxtts.text.tokenizer import Tokenizer

START = "data/tiny_xtts"
ENGLISH = (
    "the quick brown fox jumps over the lazy dog.",
    "pack my box with five dozen liquor jugs, please!",
    "hello there, hello the world",
)
ROWS = 160  # room for Persian: the model has 96
CHECKPOINT = {
    "--model": "model.pth",
    "--config": "config.json",
    "--vocab": "vocab.json",
    "--dvae": "dvae.pth",
    "--mel-stats": "mel_stats.pth",
}
FROZEN = ("dvae", "decoder", "speaker_encoder")


def tree(**sections: dict) -> dict:
    """The parameters of the other pipeline tests, with whole sections replaced."""
    return YAML(typ="safe", pure=True).load(PARAMS) | sections


def make_start_model(root: Path) -> Path:
    """Imports a Coqui checkpoint with random weights, a tokenizer of English alone, and mels in units of its own."""
    config = XTTSConfig.from_dict(tree(prepare={"cleaners": "coqui"}))
    work = root / "made_elsewhere"
    model = XTTS(config.model)
    for stage, components in {"dvae": ("dvae",), "gpt": ("gpt",), "decoder": ("decoder", "speaker_encoder")}.items():
        for component in components:
            model.save_component(component, work / "models" / stage)
    np.save(work / "models/dvae/mel_norm.npy", np.linspace(1.5, 2.5, 80, dtype=np.float32))
    Tokenizer.train([(text, "en") for text in ENGLISH], 80).save(work / "models/tokenizer.json")
    checkpoint = work / "checkpoint"
    export_coqui(make_bundle(config, work, {}, work / "bundle"), checkpoint)
    files = [f"{option}={checkpoint / name}" for option, name in CHECKPOINT.items()]
    cli.main(["import-coqui", *files, "--out", str(root / START)])
    return root / START


def finetuning(**start: object) -> dict:
    values = tree(start={"model": START, "frozen": ["dvae", "decoder"], **start}, prepare={"cleaners": "coqui"})
    values["bundle"] = {"name": "tuned", "decoder_gate": False}  # ten steps after random weights copy nothing
    values["model"]["num_text_tokens"] = ROWS
    values["training"]["gpt"] |= {"max_steps": 10, "val_step": 10, "learning_rate": 1e-4}
    values["synthesis"] = {"vocoder": "decoder"}
    return values


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Project:
    """Raw to registered model, from the start model."""
    import io

    text = io.StringIO()
    YAML().dump(finetuning(), text)
    made = checkout(tmp_path_factory.mktemp("tuned"), text.getvalue())
    make_start_model(made.root)
    made.run("dvc", "add", START)
    made.ran = made.repro()
    return made


def report(project: Project, name: str) -> dict:
    return json.loads((project.root / "reports" / f"{name}.json").read_text())


def test_every_stage_runs_once(tuned):
    assert tuned.ran == list(STAGES)
    assert tuned.repro() == []


def test_another_clone_gets_the_start_model(tuned, tmp_path):
    """What git holds says where it is: `git add` takes its .dvc file, and DVC finds that one in a clone."""
    git = ("git", "-C", str(tuned.root))
    tuned.run("dvc", "remote", "add", "-d", "-f", "there", str(tmp_path / "remote"))
    tuned.run(*git, "add", "-A")
    tuned.run(*git, "commit", "-qm", "start model")
    tuned.run("dvc", "push")
    tuned.run("git", "clone", "-q", str(tuned.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    assert not (clone.root / START).exists()
    clone.run("dvc", "pull")
    for path in (tuned.root / START).iterdir():
        assert (clone.root / START / path.name).read_bytes() == path.read_bytes()


def test_frozen_networks_are_the_start_models_to_the_byte_and_the_gpt_is_not(tuned):
    for component in FROZEN:
        given = (tuned.root / START / f"{component}.weights.h5").read_bytes()
        stage = "decoder" if component == "speaker_encoder" else component
        assert (tuned.root / "models" / stage / f"{component}.weights.h5").read_bytes() == given
        assert (tuned.root / "models/bundle" / f"{component}.weights.h5").read_bytes() == given
    before, after = (read_weights(tuned.root / folder / "gpt.weights.h5") for folder in (START, "models/bundle"))
    moved = [np.abs(after[name] - before[name]).max() for name in before if after[name].shape == before[name].shape]
    assert 0 < max(moved) < 0.01, "trained on, from where it was: ten steps of 1e-4 do not lead far"
    assert len(after["text_embedding"]) == ROWS
    base = Tokenizer.load(tuned.root / START / "tokenizer.json")
    assert np.abs(after["text_embedding"][: base.size] - before["text_embedding"][: base.size]).max() < 0.01


def test_mels_are_in_the_start_models_units(tuned):
    for path in ("data/mels", "models/dvae", "models/bundle"):
        np.testing.assert_array_equal(np.load(tuned.root / path / "mel_norm.npy"), np.linspace(1.5, 2.5, 80, dtype=np.float32))


def test_the_vocabulary_has_grown_by_persian(tuned):
    base, tokenizer = (Tokenizer.load(tuned.root / folder / "tokenizer.json") for folder in (START, "models"))
    assert (base.languages, tokenizer.languages) == (("en",), ("en", "fa"))
    assert tokenizer.encode("the quick fox", "en") == base.encode("the quick fox", "en")
    said = report(tuned, "tokenizer")
    assert (said["added_languages"], said["added_tokens"]) == (["fa"], tokenizer.size - base.size)
    assert base.size < tokenizer.size <= ROWS


def test_a_frozen_stage_leaves_no_run_and_no_checkpoint_but_says_where_it_came_from(tuned):
    assert [stage for stage in ("dvae", "gpt", "decoder") if tuned.runs(stage)] == ["gpt"]
    assert [path.name for path in (tuned.root / "checkpoints").iterdir() if path.name in STAGES] == ["gpt"]
    assert report(tuned, "dvae")["frozen"] is True
    assert report(tuned, "gpt")["frozen"] is False
    assert report(tuned, "decoder")["start"]["md5"].keys() == {"decoder.weights.h5", "speaker_encoder.weights.h5"}
    (voice,) = tuned.runs("voice")
    assert voice.data.tags["myxtts.start.model"] == START
    assert voice.data.tags["myxtts.start.dvae"].startswith("frozen")
    assert voice.data.tags["myxtts.start.gpt"].startswith("trained on")
    assert f"{START} (frozen: dvae, decoder)" in tuned.run("myxtts", "made")
    assert "index.html" in tuned.run("dvc", "plots", "show")


def test_the_registered_model_speaks_the_new_language(tuned):
    assert report(tuned, "registered")["uri"] == "models:/tuned/1"
    reference = str(next((tuned.root / "data/processed/wavs").glob("fa_*.wav")))
    tuned.run("myxtts", "say", "سلام دنیا", "--speaker", reference, "--language", "fa", "--model", "models/bundle")
    wave, rate = soundfile.read(tuned.root / "out.wav")
    assert rate == 24000
    assert np.abs(wave).max() > 0


def test_the_bundle_says_whose_weights_it_began_with(tuned):
    given = json.loads((tuned.root / START / "bundle.json").read_text())
    start = json.loads((tuned.root / "models/bundle/bundle.json").read_text())["start"]
    assert (start["name"], start["frozen"], start["imported"]) == ("tiny_xtts", ["dvae", "decoder"], given["imported"])
    for stage in ("dvae", "gpt", "decoder"):
        assert start["md5"].items() >= report(tuned, stage)["start"]["md5"].items()
    assert "Their licence holds for this bundle too" in (tuned.root / "models/bundle/README.md").read_text()


def test_training_outside_dvc_starts_there_too(tuned, tmp_path, monkeypatch):
    """Asked for the gpt alone: the frozen networks come along, so that the result is whole."""
    monkeypatch.chdir(tuned.root)
    values = finetuning(frozen=["decoder", "dvae"])
    values["training"]["gpt"] |= {"max_steps": 1, "val_step": 1}
    values["evaluate"] = {"num_sentences": 1, "num_logged": 1, "num_opinions": 0, "whisper": "never"}
    processed = tuned.root / "data/processed"
    final = train_outside(XTTSConfig.from_dict(values), processed, processed, tmp_path / "out", ("gpt",), track=False)
    assert json.loads((final / "bundle.json").read_text())["start"]["name"] == "tiny_xtts"
    for component in FROZEN:
        assert (final / f"{component}.weights.h5").read_bytes() == (tuned.root / START / f"{component}.weights.h5").read_bytes()


@pytest.fixture(scope="module")
def start_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("start")
    make_start_model(root)
    return root


def test_scratch_is_no_start_and_freezes_nothing():
    assert open_start(XTTSConfig.from_dict(tree()), Path("nowhere")) is None
    with pytest.raises(ConfigError, match=r"frozen: gpt would stay random; set start\.model"):
        XTTSConfig.from_dict(tree(start={"model": "data/scratch", "frozen": ["gpt"]}))


def test_a_dvae_is_not_trained_under_a_gpt_that_keeps_its_old_codes_unless_asked_for_by_name():
    start = {"model": START, "frozen": ["gpt", "decoder"]}
    with pytest.raises(ConfigError, match=r"start: frozen names gpt but not dvae: training would change the dvae's code space"):
        XTTSConfig.from_dict(tree(start=start))
    assert XTTSConfig.from_dict(tree(start=start | {"retrain_dvae_under_frozen_gpt": True})).start.frozen == ("gpt", "decoder")
    for frozen in (["dvae", "gpt"], ["dvae"], ["decoder"], ["dvae", "gpt", "decoder"]):
        XTTSConfig.from_dict(tree(start={"model": START, "frozen": frozen}))


@pytest.fixture
def recipe_root(start_root, tmp_path) -> Path:
    """A project with the recipes, a corpus, and the start model under the name that the recipe has for it."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "data/mine").mkdir(parents=True)
    (tmp_path / "data/xtts_v2").symlink_to(start_root / START)
    return tmp_path


RECIPE = ("finetune_xtts_v2", ["data.source.path=data/mine"])


def test_a_recipe_takes_over_the_sizes_that_it_leaves_open(recipe_root):
    """Among them the vocabulary: nothing here says that it should grow."""
    name, overrides = RECIPE
    message = use_recipe(recipe_root, name, overrides)
    config, model = (XTTSConfig.load(recipe_root / path) for path in ("params.yaml", "data/xtts_v2/params.yaml"))
    assert config.model.gpt == model.model.gpt
    assert config.model.num_text_tokens == 96
    assert config.model.preset == "tiny"
    assert open_start(config, recipe_root)
    assert "taken over from data/xtts_v2: model.preset tiny, " in message
    assert "model.num_text_tokens 96" in message and "model.gpt.num_layers 1," in message
    text = (recipe_root / "params.yaml").read_text()
    assert "num_text_tokens: 96" in text and "# stage raw" in text
    assert "already (taken over" in use_recipe(recipe_root, name, overrides)


def test_a_recipe_grows_the_vocabulary_where_it_is_told_to(recipe_root):
    name, overrides = RECIPE
    assert "num_text_tokens" not in use_recipe(recipe_root, name, [*overrides, "model.num_text_tokens=6681"])
    assert XTTSConfig.load(recipe_root / "params.yaml").model.num_text_tokens == 6681
    recipe = recipe_root / "recipes/mine.yaml"
    recipe.write_text((recipe_root / f"recipes/{name}.yaml").read_text().replace("6681 #", "200 #"))
    use_recipe(recipe_root, "mine", overrides)
    assert XTTSConfig.load(recipe_root / "params.yaml").model.num_text_tokens == 200


def test_what_is_set_to_something_else_is_refused_and_not_replaced(recipe_root):
    name, overrides = RECIPE
    with pytest.raises(ConfigError, match=r"model\.gpt\.num_layers: 2 in params\.yaml, 1 in the model"):
        use_recipe(recipe_root, name, [*overrides, "model.gpt.num_layers=2"])
    recipe = recipe_root / f"recipes/{name}.yaml"
    recipe.write_text(recipe.read_text().replace("  gpt: {}", "  gpt: {num_layers: 3}"))
    with pytest.raises(ConfigError, match=r"model\.gpt\.num_layers: 3 in params\.yaml"):
        use_recipe(recipe_root, name, overrides)
    assert not (recipe_root / "params.yaml").exists()


def changed(section: str, key: str, value: object) -> dict:
    values = finetuning()
    target = values["model"] if section == "model" else values["model"][section]
    target[key] = value
    return values


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        (finetuning(model="data/tiny_xtss"), ModelError, r"start\.model: no bundle folder .*tiny_xtss"),
        (changed("gpt", "num_layers", 2), ConfigError, r"model\.gpt\.num_layers: 2 in params\.yaml, 1 in the model"),
        (changed("model", "num_text_tokens", 90), ConfigError, r"is 90 in params\.yaml and 96 in the model .* at least 96"),
        (finetuning(frozen=["dvae", "gpt"]), ConfigError, r"is 160 .* a frozen gpt stays as it is, so set it to 96"),
        (finetuning() | {"prepare": {}}, ConfigError, r"prepare\.cleaners: 'myxtts' in params\.yaml, 'coqui' in the model"),
    ],
)
def test_a_start_model_that_does_not_fit_is_refused(start_root, values, error, said):
    with pytest.raises(error, match=said):
        open_start(XTTSConfig.from_dict(values), start_root)


@pytest.mark.parametrize("place", ["models/bundle", "models/gpt/part", "models", "data/raw", "data", "."])
def test_a_start_model_among_what_the_pipeline_writes_is_refused(start_root, place):
    """It would be gone, or another, when the pipeline runs again."""
    with pytest.raises(ConfigError, match=r"start\.model is .*, which the pipeline writes.*copy the bundle to data/"):
        open_start(XTTSConfig.from_dict(finetuning(model=place)), start_root)
    with pytest.raises(ConfigError, match="which the pipeline writes"):
        open_start(XTTSConfig.from_dict(finetuning(model=str(start_root / place))), start_root)


def test_what_shapes_no_weight_may_differ(start_root):
    values = changed("gpt", "dropout", 0.3)
    values["model"]["dvae"]["decay"] = 0.9
    assert open_start(XTTSConfig.from_dict(values), start_root).model == START


def test_a_start_model_without_its_audio_tokenizer_is_refused(tmp_path):
    """A whole bundle, but an import without --dvae."""
    folder = make_start_model(tmp_path)
    (folder / "dvae.weights.h5").unlink()
    values = json.loads((folder / "bundle.json").read_text())
    values["components"].remove("dvae")
    del values["files"]["dvae.weights.h5"]
    (folder / "bundle.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"no audio tokenizer \(dvae\.weights\.h5\).* import it again with --dvae"):
        open_start(XTTSConfig.from_dict(finetuning()), tmp_path)
