"""Checkpoints of the reference implementation in and out: the same numbers, whole bundles, and refusals by name."""

import json
import os
import re
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from small import small_config

from myxtts import cli
from myxtts.audio import wave as wave_io
from myxtts.config import ConfigError, ModelConfig, ModelError, XTTSConfig
from myxtts.models.coqui import names, state_of
from myxtts.models.torch_file import read_torch, write_torch
from myxtts.models.xtts import COMPONENTS, XTTS, tensor_names
from myxtts.serving.bundle import check_bundle
from myxtts.serving.coqui import UNUSED_TOKEN, export_coqui, import_coqui
from myxtts.serving.coqui_config import OURS, from_params, to_params, unrepresented
from myxtts.synthesis.speech import Synthesizer
from myxtts.text.tokenizer import Tokenizer

TEXTS = [
    ("good morning to all of you, the sun is warm today", "en"),
    ("the quick brown fox jumps over the lazy dog, all of the morning", "en"),
    ("سلام به همه، امروز هوا آفتابی و گرم است و همه به باغ می‌روند", "fa"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=100)


@pytest.fixture(scope="module")
def config(tokenizer) -> XTTSConfig:
    tree = small_config().to_dict()
    tree["model"] |= {"num_text_tokens": tokenizer.size}
    tree["model"]["gpt"] |= {"max_audio_tokens": 24}
    tree["encode"] |= {"prompt_seconds": 1.0}
    tree["prepare"] |= {"cleaners": "coqui", "trim_db": None, "loudness_lufs": None}
    tree["synthesis"] |= {"vocoder": "decoder", "coqui_compatible": True, "reference_seconds": 3.0}
    return XTTSConfig.from_dict(tree | {"bundle": {"name": "imported"}})


@pytest.fixture(scope="module")
def model(config) -> XTTS:
    model, rng = XTTS(config.model), np.random.default_rng(1)
    for component in COMPONENTS:
        for name, variable in tensor_names(model.component(component)).items():
            scale = 1.0 if variable.ndim < 2 and not name.endswith("bias") else 0.05
            variable.assign(
                np.abs(rng.normal(size=variable.shape)) * scale if "variance" in name else rng.normal(size=variable.shape) * scale
            )
    model.mel_norm = rng.uniform(-6, -5, config.model.audio.num_mels)
    return model


@pytest.fixture(scope="module")
def state(model) -> dict[str, np.ndarray]:
    return state_of(model)


class Checkpoint:
    """The files of a checkpoint in a folder; a test changes them before they are written."""

    def __init__(self, folder: Path, state: dict[str, np.ndarray], config: XTTSConfig, tokenizer: Tokenizer):
        self.folder, self.out = folder, folder / "made" / "imported"
        self.state = {key: value for key, value in state.items() if not key.startswith("dvae.")}
        self.dvae = {key.removeprefix("dvae."): value for key, value in state.items() if key.startswith("dvae.")}
        self.mel_stats = None
        self.config = from_params(config, tokenizer)[0]
        self.tokenizer = tokenizer

    def write(self) -> dict[str, Path | None]:
        write_torch(self.folder / "model.pth", {"model": self.state, "step": 3})
        self.tokenizer.save(self.folder / "vocab.json")
        (self.folder / "config.json").write_text(json.dumps(self.config))
        for name, tree in (("dvae.pth", self.dvae), ("mel_stats.pth", self.mel_stats)):
            if tree is not None:
                write_torch(self.folder / name, tree)
        given = {"model": "model.pth", "config": "config.json", "vocab": "vocab.json"}
        given |= {"dvae": "dvae.pth" if self.dvae is not None else None, "mel_stats": None if self.mel_stats is None else "mel_stats.pth"}
        return {name: self.folder / file if file else None for name, file in given.items()}

    def run(self) -> dict:
        return import_coqui(**self.write(), out=self.out)

    def load(self) -> XTTS:
        return Synthesizer.load(self.out).model


@pytest.fixture
def checkpoint(tmp_path, state, config, tokenizer) -> Checkpoint:
    return Checkpoint(tmp_path, state, config, tokenizer)


def assert_same(model: XTTS, expected: dict[str, np.ndarray], precision: type = np.float32) -> None:
    found = state_of(model)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value.astype(precision).astype(np.float32), err_msg=key)


def test_a_released_checkpoint_becomes_a_whole_bundle(checkpoint, state, config, model):
    summary = checkpoint.run()
    values = check_bundle(checkpoint.out, contents=True)
    assert_same(checkpoint.load(), state)
    assert XTTSConfig.load(checkpoint.out / "params.yaml").model.gpt == config.model.gpt
    assert summary["parameters"] == model.parameter_counts()["total"]
    assert summary["components"] == values["components"] == list(COMPONENTS)
    assert summary["languages"] == values["languages"] == ["en", "fa"]
    assert summary["notes"] == []
    assert values["name"] == "imported"
    assert set(values["imported"]["md5"]) == {"model.pth", "config.json", "vocab.json", "dvae.pth"}
    card = (checkpoint.out / "README.md").read_text()
    assert "from a checkpoint of Coqui TTS" in card and values["imported"]["md5"]["model.pth"] in card and "trained by" not in card
    assert (checkpoint.out / "tokenizer.json").read_bytes() == (checkpoint.folder / "vocab.json").read_bytes()
    assert [path.name for path in checkpoint.out.parent.iterdir()] == ["imported"], "no temporary folder is left"


def test_weight_files_are_those_that_the_model_saves(checkpoint, model, tmp_path):
    checkpoint.run()
    model.save(tmp_path / "saved")
    for component in COMPONENTS:
        name = f"{component}.weights.h5"
        assert (checkpoint.out / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


def test_inference_values_come_from_config_json(checkpoint):
    changes = {"temperature": 0.6, "top_k": 40, "top_p": 0.8, "repetition_penalty": 5.0, "gpt_cond_len": 30, "gpt_cond_chunk_len": 4}
    checkpoint.config |= changes | {"max_ref_len": 10, "sound_norm_refs": True}
    notes = checkpoint.run()["notes"]
    params = XTTSConfig.load(checkpoint.out / "params.yaml")
    speech = params.synthesis
    assert (speech.temperature, speech.top_k, speech.top_p, speech.repetition_penalty) == (0.6, 40, 0.8, 5.0)
    assert (speech.reference_seconds, params.encode.prompt_seconds, speech.vocoder, speech.coqui_compatible) == (30, 4, "decoder", True)
    assert (params.prepare.cleaners, params.prepare.trim_db, params.prepare.loudness_lufs) == ("coqui", None, None)
    assert "sound_norm_refs" in notes[0] and "max_ref_len is 10" in notes[1]


def test_a_trainer_checkpoint(checkpoint, state):
    """Everything under xtts., the audio tokenizer inside, buffers of its mels, the optimizer's state beside the model."""
    inside = {f"dvae.{key}": value for key, value in checkpoint.dvae.items()} | {"dvae.discrete_loss.accumulator": np.zeros((2, 3))}
    checkpoint.state = {f"xtts.{key}": value for key, value in checkpoint.state.items()} | inside
    checkpoint.state["torch_mel_spectrogram_style_encoder.mel_stft.spectrogram.window"] = np.ones(4)
    checkpoint.state["torch_mel_spectrogram_dvae.mel_norms"] = np.ones(4)
    checkpoint.dvae = None
    assert checkpoint.run()["components"] == list(COMPONENTS)
    assert_same(checkpoint.load(), state)


def test_old_names_leftovers_of_version_1_and_half_precision(checkpoint, state):
    def old(key: str) -> str:
        key = key.replace(".parametrizations.weight.original0", ".weight_g")
        return key.replace(".parametrizations.weight.original1", ".weight_v")

    checkpoint.state = {old(key): value.astype(np.float16) for key, value in checkpoint.state.items()}
    checkpoint.dvae = {key: value.astype(np.float16) for key, value in checkpoint.dvae.items()}
    checkpoint.state |= {
        "gpt.gpt.h.0.attn.bias": np.zeros((1, 1, 4, 4), np.uint8),
        "gpt.gpt.h.0.attn.masked_bias": np.zeros((), np.float32),
        "gpt.gpt.wte.weight": np.ones((2, 2), np.float32),
        "gpt.gpt.wpe.weight": np.zeros((2, 2), np.float32),
        "gpt.gpt_inference.transformer.h.0.ln_1.weight": np.ones(2, np.float32),
        "hifigan_decoder.speaker_encoder.torch_spec.1.mel_scale.fb": np.ones((2, 2), np.float32),
        "hifigan_decoder.speaker_encoder.bn1.num_batches_tracked": np.zeros((), np.int64),
    }
    checkpoint.run()
    assert_same(checkpoint.load(), state, np.float16)


def test_bfloat16(checkpoint, state):
    checkpoint.state = {key: value.astype(ml_dtypes.bfloat16) for key, value in checkpoint.state.items()}
    checkpoint.dvae = {key: value.astype(ml_dtypes.bfloat16) for key, value in checkpoint.dvae.items()}
    checkpoint.run()
    assert_same(checkpoint.load(), state, ml_dtypes.bfloat16)


def test_a_bare_state_dict_with_mel_stats_from_their_file(checkpoint, state):
    checkpoint.mel_stats = checkpoint.state.pop("mel_stats") + 1
    paths = checkpoint.write()
    write_torch(paths["model"], checkpoint.state)
    import_coqui(**paths, out=checkpoint.out)
    assert_same(checkpoint.load(), state | {"mel_stats": checkpoint.mel_stats})


def test_mel_stats_that_were_never_given_are_noted(checkpoint):
    checkpoint.state["mel_stats"] = np.ones(80, np.float32)
    assert "mel_stats are all 1" in checkpoint.run()["notes"][0]


def test_without_an_audio_tokenizer_it_speaks(checkpoint, tmp_path):
    checkpoint.dvae = None
    summary = checkpoint.run()
    assert summary["components"] == ["gpt", "decoder", "speaker_encoder"]
    assert "import again with --dvae" in summary["notes"][0]
    assert not (checkpoint.out / "dvae.weights.h5").exists()
    check_bundle(checkpoint.out, contents=True)
    synthesizer = Synthesizer.load(checkpoint.out)
    wave = np.random.default_rng(0).normal(size=24000) * 0.1
    wave_io.save(tmp_path / "me.wav", wave.astype(np.float32), 24000)
    voice = synthesizer.voice(tmp_path / "me.wav")
    assert len(synthesizer.speak("good morning", voice, "en").waveform)
    tree = synthesizer.config.to_dict()
    settings = XTTSConfig.from_dict(tree | {"synthesis": tree["synthesis"] | {"vocoder": "griffin_lim"}}).synthesis
    with pytest.raises(ModelError, match=r"has no dvae.*--dvae"):
        synthesizer.speak("good morning", voice, "en", settings=settings)
    (checkpoint.out / "gpt.weights.h5").unlink()
    with pytest.raises(ModelError, match=r"lacks gpt\.weights\.h5"):
        Synthesizer.load(checkpoint.out)


def _drop(key: str):
    return lambda checkpoint: checkpoint.state.pop(key)


def _set(key: str, value: np.ndarray):
    return lambda checkpoint: checkpoint.state.update({key: value})


def _argument(**changes):
    return lambda checkpoint: checkpoint.config["model_args"].update(changes)


REFUSALS = {
    "missing": (_drop("gpt.gpt.ln_f.bias"), "1 missing: gpt.gpt.ln_f.bias"),
    "unknown": (_set("gpt.more.weight", np.ones(2, np.float32)), "1 unknown: gpt.more.weight"),
    "of another shape": (_set("gpt.final_norm.bias", np.ones(3, np.float32)), r"gpt.final_norm.bias is \(3,\), expected \(32,\)"),
    "part of the audio tokenizer": (lambda c: c.dvae.pop("codebook.embed"), "1 missing: dvae.codebook.embed"),
    "NaN": (_set("gpt.final_norm.bias", np.full(32, np.nan, np.float32)), "gpt.final_norm.bias holds NaN"),
    "whole numbers": (_set("gpt.final_norm.bias", np.ones(32, np.int8)), "holds int8 numbers"),
    "no mel_stats": (_drop("mel_stats"), "has no tensor mel_stats"),
    "zero mel_stats": (_set("mel_stats", np.zeros(80, np.float32)), "other than 0"),
    "positions of GPT-2": (_set("gpt.gpt.wpe.weight", np.ones((2, 2), np.float32)), "wpe.weight is not zero"),
    "version 1": (_argument(gpt_use_perceiver_resampler=False), "(?s)gpt_use_perceiver_resampler is False, expected True.*version 1"),
    "stride": (_argument(gpt_code_stride_len=512), "gpt_code_stride_len is 512, expected 1024"),
    "hop": (_argument(output_hop_length=300), "output_hop_length is 300, expected 256"),
    "stop code": (_argument(gpt_stop_audio_token=99), "gpt_stop_audio_token is 99, expected 33"),
    "text start": (_argument(gpt_start_text_token=255), "gpt_start_text_token is 255, expected"),
    "speaker in each layer": (_argument(cond_d_vector_in_each_upsampling_layer=False), "cond_d_vector_in_each_upsampling_layer is False"),
    "rates": (lambda c: c.config["audio"].update(sample_rate=16000), "audio.sample_rate is 16000"),
    "another model": (lambda c: c.config.update(model="vits"), "describes a model 'vits'"),
    "no model_args": (lambda c: c.config.pop("model_args"), "no section model_args"),
    "nonsense": (lambda c: c.config.update(top_p=7), "top_p"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_what_cannot_be_imported_is_named_and_leaves_nothing(checkpoint, name):
    change, expected = REFUSALS[name]
    change(checkpoint)
    with pytest.raises((ModelError, ConfigError), match=expected):
        checkpoint.run()
    assert not list(checkpoint.out.parent.iterdir())


def test_a_vocabulary_that_is_too_large(checkpoint):
    checkpoint.tokenizer = checkpoint.tokenizer.extend([("hallo welt wie geht es dir heute morgen", "de")] * 3, 140)
    with pytest.raises(ModelError, match=r"vocab\.json holds \d+ tokens, the checkpoint embeds"):
        checkpoint.run()


def test_an_existing_folder_is_left_alone(checkpoint):
    checkpoint.out.mkdir(parents=True)
    (checkpoint.out / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists: remove it, or name another"):
        checkpoint.run()
    assert (checkpoint.out / "mine.txt").read_text() == "mine"


def test_files_that_hold_something_else(checkpoint):
    paths = checkpoint.write()
    write_torch(paths["model"], {"model": [1, 2], "note": "x" * 100})
    with pytest.raises(ModelError, match="holds no state dict"):
        import_coqui(**paths, out=checkpoint.out)
    paths = checkpoint.write()
    write_torch(paths["model"].with_name("stats.pth"), {"a": "x" * 100})
    with pytest.raises(ModelError, match="holds no tensor"):
        import_coqui(**paths | {"mel_stats": paths["model"].with_name("stats.pth")}, out=checkpoint.out)
    paths["config"].write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        import_coqui(**paths, out=checkpoint.out)


def test_out_and_in_again_is_the_same(checkpoint, config, tmp_path):
    checkpoint.run()
    summary = export_coqui(checkpoint.out, tmp_path / "exported")
    assert "cannot load this model" in summary["notes"][0] and "decoder.channels is 32, there 512" in summary["notes"][0]
    assert len(summary["notes"]) == 2 and "refuses texts in fa" in summary["notes"][1]
    exported = tmp_path / "exported"
    assert {path.name for path in exported.iterdir()} == {"model.pth", "config.json", "vocab.json", "dvae.pth", "mel_stats.pth"}
    assert (exported / "vocab.json").read_bytes() == (checkpoint.folder / "vocab.json").read_bytes()
    again = tmp_path / "again" / "imported"
    files = {name: exported / f"{name}.pth" for name in ("model", "dvae", "mel_stats")}
    import_coqui(**files, config=exported / "config.json", vocab=exported / "vocab.json", out=again)
    for name in ("params.yaml", "mel_norm.npy", "tokenizer.json", *(f"{component}.weights.h5" for component in COMPONENTS)):
        assert (again / name).read_bytes() == (checkpoint.out / name).read_bytes(), name
    state = read_torch(exported / "model.pth")["model"]
    fixed = {key for key in state if "torch_spec" in key or key.endswith("num_batches_tracked")}
    wanted = {key for component, named in names(config.model).items() if component != "dvae" for key, _ in named.values()}
    assert state.keys() - fixed == wanted | {"mel_stats"}
    with pytest.raises(ModelError, match="exists"):
        export_coqui(checkpoint.out, exported)


def test_rows_without_a_token_go_out_as_one_that_no_text_contains(checkpoint, tmp_path):
    rows = checkpoint.tokenizer.size + 5
    for key in ("gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias"):
        value = checkpoint.state[key]
        checkpoint.state[key] = np.concatenate([value, value[:5]])
    checkpoint.run()
    export_coqui(checkpoint.out, tmp_path / "exported")
    tokenizer = Tokenizer.load(tmp_path / "exported" / "vocab.json")
    assert tokenizer.size == rows
    for text, language in TEXTS:
        assert tokenizer.encode(text, language) == checkpoint.tokenizer.encode(text, language)
    assert json.loads((tmp_path / "exported" / "vocab.json").read_text())["model"]["vocab"][UNUSED_TOKEN] == rows - 1


def test_without_an_audio_tokenizer_none_goes_out(checkpoint, tmp_path):
    checkpoint.dvae = None
    checkpoint.run()
    assert export_coqui(checkpoint.out, tmp_path / "exported")["components"] == ["gpt", "decoder", "speaker_encoder"]
    assert not (tmp_path / "exported" / "dvae.pth").exists()


LIKE_THEIRS = {
    "prepare": {"cleaners": "coqui", "trim_db": None, "loudness_lufs": None},
    "synthesis": {"vocoder": "decoder", "coqui_compatible": True, "reference_seconds": 30},
    "encode": {"prompt_seconds": 4},
    "bundle": {"name": "x"},
}


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    return Tokenizer.train(TEXTS[:2], vocab_size=70)


def test_xtts_v2_needs_no_section_of_ours(english):
    """The preset, and other sizes of the GPT, are what the reference's model_args say."""
    model = {"preset": "xtts_v2", "num_text_tokens": 70, "gpt": {"num_layers": 12, "dim": 512, "num_heads": 8}}
    config = XTTSConfig.from_dict({"model": model, **LIKE_THEIRS})
    assert unrepresented(ModelConfig()) == unrepresented(config.model) == []
    values, notes = from_params(config, english)
    assert OURS not in values and notes == []
    assert values["model_args"]["gpt_layers"] == 12 and values["model_args"]["gpt_code_stride_len"] == 1024
    again, notes = to_params(json.loads(json.dumps(values)), 70, english, "x", "config.json")
    assert again == config and notes == []


@pytest.mark.parametrize(
    ("section", "changes", "expected"),
    [
        (
            "model",
            {"gpt": {"conditioning_heads": 8}, "decoder": {"discriminator_channels": 4}},
            r"there: gpt\.conditioning_heads is 8, there 16$",
        ),
        ("encode", {"prompt_seconds": 2.5}, r"2\.5 became 2"),
        ("prepare", {"cleaners": "myxtts"}, "cleaners myxtts"),
        ("prepare", {"loudness_lufs": -23}, "trimmed or levelled"),
        ("synthesis", {"reference_seconds": None}, r"first 4 s of each recording.* first 4 s of all joined"),
        ("synthesis", {"temperature": 0}, "refuses 0"),
        ("synthesis", {"coqui_compatible": False}, "counts code 1"),
        ("synthesis", {"vocoder": "griffin_lim"}, "vocoder is griffin_lim"),
    ],
)
def test_what_the_reference_does_otherwise_is_noted(english, section, changes, expected):
    tree = {"model": {}, **LIKE_THEIRS}
    _, notes = from_params(XTTSConfig.from_dict(tree | {section: tree[section] | changes}), english)
    assert len(notes) == 1 and re.search(expected, notes[0]), notes


def test_languages_that_the_reference_reads_otherwise_or_not_at_all_are_noted(english):
    """German merges act on English words there; Persian ones do not."""
    config = XTTSConfig.from_dict({"model": {}, **LIKE_THEIRS})
    _, notes = from_params(config, english.extend([("the other warm mother", "de")] * 3, 100))
    assert len(notes) == 1 and notes[0].startswith("texts in en have other ids there")
    _, notes = from_params(config, english.extend(TEXTS[2:] * 3, 150))
    assert notes == ["the reference refuses texts in fa, which it cannot normalise: speak them here"]


def test_the_commands(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [argument for name, path in checkpoint.write().items() if path for argument in (f"--{name.replace('_', '-')}", str(path))]
    cli.main(["import-coqui", *given, "--out", "models/xtts_v2"])
    assert json.loads(capsys.readouterr().out)["bundle"] == "models/xtts_v2"
    cli.main(["export-coqui", "--model", "models/xtts_v2", "--out", "exported"])
    assert json.loads(capsys.readouterr().out)["folder"] == "exported"
    with pytest.raises(SystemExit, match=r"myxtts import-coqui: models/xtts_v2 exists"):
        cli.main(["import-coqui", *given, "--out", "models/xtts_v2"])


@pytest.mark.slow
@pytest.mark.skipif("MYXTTS_PEER" not in os.environ, reason="MYXTTS_PEER names no Python with coqui-tts 0.28.0")
def test_the_reference_loads_the_export_with_identical_outputs(tokenizer, tmp_path):
    """A checkpoint that the reference made, in and out again, loaded there strictly."""

    def peer(*arguments: str | Path) -> str:
        script = Path(__file__).with_name("coqui_peer.py")
        done = subprocess.run([os.environ["MYXTTS_PEER"], script, *arguments], capture_output=True, text=True, env={**os.environ})
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""

    made = tmp_path / "made"
    made.mkdir()
    tokenizer.save(made / "vocab.json")
    peer("make", made)
    files = {"model": made / "model.pth", "config": made / "config.json", "vocab": made / "vocab.json", "dvae": made / "dvae.pth"}
    import_coqui(**files, mel_stats=None, out=tmp_path / "bundle")
    (note,) = export_coqui(tmp_path / "bundle", tmp_path / "exported")["notes"]
    assert "refuses texts in fa" in note
    differences = json.loads(peer("compare", made, tmp_path / "exported"))
    # its speaker mel's filters come out of our own float64, so the last bit may differ
    assert differences.pop("speaker") < 1e-6
    assert differences == dict.fromkeys(("conditioning", "gpt", "wave", "codes", "mel"), 0.0)
