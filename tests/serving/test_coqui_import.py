"""Checkpoints of the reference implementation in and out: the same numbers, whole bundles, and refusals by name."""

import json

import ml_dtypes
import numpy as np
import pytest
from coqui_checkpoint import assert_same

from myxtts import cli
from myxtts.audio import wave as wave_io
from myxtts.config import ConfigError, ModelError, XTTSConfig
from myxtts.models.extend import grow_text_rows
from myxtts.models.tensor_files import read_weights
from myxtts.models.torch_file import write_torch
from myxtts.models.xtts import COMPONENTS
from myxtts.serving.bundle import check_bundle
from myxtts.serving.coqui import import_coqui
from myxtts.serving.coqui_config import OURS
from myxtts.synthesis.speech import Synthesizer
from myxtts.text.tokenizer import Tokenizer


def test_a_released_checkpoint_becomes_a_whole_bundle(checkpoint, coqui_state, coqui_config, coqui_model):
    summary = checkpoint.run()
    values = check_bundle(checkpoint.out, contents=True)
    assert_same(checkpoint.load(), coqui_state)
    assert XTTSConfig.load(checkpoint.out / "params.yaml").model.gpt == coqui_config.model.gpt
    assert summary["parameters"] == coqui_model.parameter_counts()["total"]
    assert summary["components"] == values["components"] == list(COMPONENTS)
    assert summary["languages"] == values["languages"] == ["en", "fa"]
    assert summary["notes"] == []
    assert values["name"] == "imported"
    assert set(values["imported"]["md5"]) == {"model.pth", "config.json", "vocab.json", "dvae.pth"}
    card = (checkpoint.out / "README.md").read_text()
    assert "from a checkpoint of Coqui TTS" in card and values["imported"]["md5"]["model.pth"] in card and "trained by" not in card
    assert (checkpoint.out / "tokenizer.json").read_bytes() == (checkpoint.folder / "vocab.json").read_bytes()
    assert [path.name for path in checkpoint.out.parent.iterdir()] == ["imported"], "no temporary folder is left"


def test_a_licence_that_was_stated_is_in_the_card_and_in_the_bundle(checkpoint):
    import_coqui(**checkpoint.write(), out=checkpoint.out, licence="CPML 1.0")
    assert check_bundle(checkpoint.out)["imported"]["licence"] == "CPML 1.0"
    assert "Their licence holds for this bundle too: CPML 1.0." in (checkpoint.out / "README.md").read_text()


def test_weight_files_are_those_that_the_model_saves(checkpoint, coqui_model, tmp_path):
    checkpoint.run()
    coqui_model.save(tmp_path / "saved")
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
    assert (params.prepare.cleaners, params.prepare.trim, params.prepare.loudness_lufs) == ("coqui", "none", None)
    assert "sound_norm_refs" in notes[0] and "max_ref_len is 10: its synthesize hears the first 10 s of each recording" in notes[1]
    assert "here it is the first 30 s" in notes[1] and "at most 10 s" in notes[1]


def test_a_trainer_checkpoint(checkpoint, coqui_state):
    """Everything under xtts., the audio tokenizer inside, buffers of its mels, the optimizer's state beside the model."""
    inside = {f"dvae.{key}": value for key, value in checkpoint.dvae.items()} | {"dvae.discrete_loss.accumulator": np.zeros((2, 3))}
    checkpoint.state = {f"xtts.{key}": value for key, value in checkpoint.state.items()} | inside
    checkpoint.state["torch_mel_spectrogram_style_encoder.mel_stft.spectrogram.window"] = np.ones(4)
    checkpoint.state["torch_mel_spectrogram_dvae.mel_norms"] = np.ones(4)
    checkpoint.dvae = None
    assert checkpoint.run()["components"] == list(COMPONENTS)
    assert_same(checkpoint.load(), coqui_state)


def test_old_names_leftovers_of_version_1_and_half_precision(checkpoint, coqui_state):
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
    assert_same(checkpoint.load(), coqui_state, np.float16)


def test_bfloat16(checkpoint, coqui_state):
    checkpoint.state = {key: value.astype(ml_dtypes.bfloat16) for key, value in checkpoint.state.items()}
    checkpoint.dvae = {key: value.astype(ml_dtypes.bfloat16) for key, value in checkpoint.dvae.items()}
    checkpoint.run()
    assert_same(checkpoint.load(), coqui_state, ml_dtypes.bfloat16)


def test_a_bare_state_dict_with_mel_stats_from_their_file(checkpoint, coqui_state):
    checkpoint.mel_stats = checkpoint.state.pop("mel_stats") + 1
    paths = checkpoint.write()
    write_torch(paths["model"], checkpoint.state)
    import_coqui(**paths, out=checkpoint.out)
    assert_same(checkpoint.load(), coqui_state | {"mel_stats": checkpoint.mel_stats})


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
    synthesizer = Synthesizer.load(checkpoint.out, whole=True)
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


def _another_size(checkpoint):
    """config.json and vocab.json of one model, model.pth of another."""
    checkpoint.config["model_args"] |= {"gpt_layers": 2, "gpt_start_text_token": 255}
    checkpoint.config[OURS]["gpt"]["num_layers"] = 2


REFUSALS = {
    "missing": (_drop("gpt.gpt.ln_f.bias"), "1 missing: gpt.gpt.ln_f.bias"),
    "unknown": (_set("gpt.more.weight", np.ones(2, np.float32)), "1 unknown: gpt.more.weight"),
    "of another shape": (_set("gpt.final_norm.bias", np.ones(3, np.float32)), r"gpt.final_norm.bias is \(3,\), expected \(32,\)"),
    "part of the audio tokenizer": (lambda c: c.dvae.pop("codebook.embed"), "1 missing: dvae.codebook.embed"),
    "NaN": (_set("gpt.final_norm.bias", np.full(32, np.nan, np.float32)), "gpt.final_norm.bias holds NaN"),
    "whole numbers": (_set("gpt.final_norm.bias", np.ones(32, np.int8)), "holds int8 numbers"),
    "no mel_stats": (_drop("mel_stats"), "has no tensor mel_stats"),
    "zero mel_stats": (_set("mel_stats", np.zeros(80, np.float32)), "other than 0"),
    "mel_stats of another length": (_set("mel_stats", np.ones(5, np.float32)), "holds 5 numbers, expected 80"),
    "text for a number": (lambda c: c.config.update(gpt_cond_len="30"), 'gpt_cond_len is "30", expected a number'),
    "a list for a number": (lambda c: c.config.update(max_ref_len=[1]), r"max_ref_len is \[1\], expected a number"),
    "a number for a flag": (lambda c: c.config.update(sound_norm_refs=1), "sound_norm_refs is 1, expected true or false"),
    "no number": (lambda c: c.config.update(gpt_cond_len=float("nan")), "gpt_cond_len is NaN, expected a number"),
    "null for an argument": (_argument(gpt_num_audio_tokens=None), "model_args.gpt_num_audio_tokens is null, expected a number"),
    "text for an argument": (_argument(gpt_layers="2", gpt_n_heads="2"), '(?s)gpt_layers is "2".*gpt_n_heads is "2"'),
    "a list for audio": (lambda c: c.config.update(audio=[1]), r"audio is \[1\], expected a section"),
    "text for our section": (lambda c: c.config.update({OURS: "x"}), f'{OURS} is "x", expected a section'),
    "nonsense in our section": (lambda c: c.config.update({OURS: {"preset": ["tiny"], "gpt": 5}}), "preset"),
    "positions of GPT-2": (_set("gpt.gpt.wpe.weight", np.ones((2, 2), np.float32)), "wpe.weight is not zero"),
    "version 1": (_argument(gpt_use_perceiver_resampler=False), "(?s)gpt_use_perceiver_resampler is False, expected True.*version 1"),
    "stride": (_argument(gpt_code_stride_len=512), "gpt_code_stride_len is 512, expected 1024"),
    "hop": (_argument(output_hop_length=300), "output_hop_length is 300, expected 256"),
    "stop code": (_argument(gpt_stop_audio_token=99), "gpt_stop_audio_token is 99, expected 33"),
    "text start": (
        _argument(gpt_start_text_token=255),
        r"config\.json and .*vocab\.json do not belong together: model_args\.gpt_start_text_token is 255, but \[START\] has the id 3",
    ),
    "of another size, whatever its vocabulary": (_another_size, "(?s)does not fit.*12 missing: gpt.gpt.h.1.attn"),
    "a code for languages": (lambda c: c.config.update(languages="en"), 'languages is "en", expected a list of codes'),
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
    assert not checkpoint.out.parent.exists() or not list(checkpoint.out.parent.iterdir())


def test_a_vocabulary_that_is_too_large(checkpoint):
    checkpoint.tokenizer = checkpoint.tokenizer.extend([("hallo welt wie geht es dir heute morgen", "de")] * 3, 140)
    with pytest.raises(ModelError, match=r"vocab\.json holds \d+ tokens, the checkpoint embeds"):
        checkpoint.run()


def test_a_vocabulary_that_is_too_small_is_noted(checkpoint):
    """It may be right, for an embedding may have rows to spare, and nothing else tells a wrong one."""
    rows = checkpoint.tokenizer.size
    checkpoint.tokenizer = Tokenizer.train([("hello world", "en")] * 3, 70)
    assert checkpoint.tokenizer.size < rows
    languages, size = checkpoint.run()["notes"]
    assert "lists languages that the vocabulary lacks (fa)" in languages
    assert f"vocab.json holds {checkpoint.tokenizer.size} tokens, the checkpoint embeds {rows}" in size


def test_languages_under_their_other_names_are_not_missed(checkpoint):
    checkpoint.config["languages"] = ["en-us", "fa"]
    assert checkpoint.run()["notes"] == []


def test_a_language_unknown_here_is_noted_and_is_no_hindrance(checkpoint, tmp_path):
    """Vietnamese: it is no language of the bundle, and the vocabulary can be extended all the same."""
    paths = checkpoint.write()
    content = json.loads(paths["vocab"].read_text())
    unused = next(token for token, index in content["model"]["vocab"].items() if index == checkpoint.tokenizer.size - 1)
    content["model"]["merges"] = [pair for pair in content["model"]["merges"] if "".join(pair) != unused]
    content["model"]["vocab"]["[vi]"] = content["model"]["vocab"].pop(unused)
    content["added_tokens"].append({**content["added_tokens"][0], "id": checkpoint.tokenizer.size - 1, "content": "[vi]"})
    paths["vocab"].write_text(json.dumps(content))
    summary = import_coqui(**paths, out=checkpoint.out)
    assert summary["languages"] == check_bundle(checkpoint.out)["languages"] == ["en", "fa"]
    assert len(summary["notes"]) == 1 and "[vi] are no languages" in summary["notes"][0]
    base = Tokenizer.load(checkpoint.out / "tokenizer.json")
    grown = base.extend([("hallo welt", "de")] * 2, 130)
    values = grow_text_rows(read_weights(checkpoint.out / "gpt.weights.h5"), grown, base, 130)
    assert len(values["text_embedding"]) == 130


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
    with pytest.raises(ModelError, match=r"--mel-stats .*stats\.pth holds 1 things by name \(a\); expected one tensor"):
        import_coqui(**paths | {"mel_stats": paths["model"].with_name("stats.pth")}, out=checkpoint.out)
    paths["config"].write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        import_coqui(**paths, out=checkpoint.out)


def test_files_in_each_others_places(checkpoint):
    """Said of the option that got the wrong one, not of what is missing in it."""
    paths = checkpoint.write()
    said = r"dvae\.pth is no XTTS checkpoint: expected tensors gpt\.\* and .*, it holds codebook.* more; .* and this file as --dvae"
    with pytest.raises(ModelError, match=said):
        import_coqui(**paths | {"model": paths["dvae"]}, out=checkpoint.out)
    said = r"--dvae .*model\.pth is no audio tokenizer: expected tensors encoder\.\*.* and \d+ more; give the dvae\.pth"
    with pytest.raises(ModelError, match=said):
        import_coqui(**paths | {"dvae": paths["model"]}, out=checkpoint.out)
    with pytest.raises(ModelError, match=r"--mel-stats .*dvae\.pth holds \d+ things by name \(codebook"):
        import_coqui(**paths | {"mel_stats": paths["dvae"]}, out=checkpoint.out)


def test_a_checkpoint_given_as_a_bundle_is_said_to_be_one(checkpoint):
    """The command that is needed, not the list of files that a bundle has."""
    folder = checkpoint.write()["model"].parent
    for given in (folder, folder / "model.pth"):
        for read in (check_bundle, Synthesizer.load):
            with pytest.raises(
                ModelError, match=r"checkpoint of Coqui TTS; .*import-coqui --model \S+/model\.pth .* --dvae \S+/dvae\.pth --out"
            ):
                read(given)


def test_a_missing_vocabulary_is_not_to_be_trained(checkpoint, tmp_path):
    with pytest.raises(ModelError, match=r"no .*none\.json: expected the vocab\.json that belongs to the checkpoint$"):
        import_coqui(**checkpoint.write() | {"vocab": tmp_path / "none.json"}, out=checkpoint.out)


def test_the_commands(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [argument for name, path in checkpoint.write().items() if path for argument in (f"--{name.replace('_', '-')}", str(path))]
    cli.main(["import-coqui", *given, "--out", "data/xtts_v2"])
    assert json.loads(capsys.readouterr().out)["bundle"] == "data/xtts_v2"
    cli.main(["export-coqui", "--model", "data/xtts_v2", "--out", "exported"])
    assert json.loads(capsys.readouterr().out)["folder"] == "exported"
    with pytest.raises(SystemExit, match=r"myxtts import-coqui: data/xtts_v2 exists"):
        cli.main(["import-coqui", *given, "--out", "data/xtts_v2"])
