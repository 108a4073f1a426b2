"""A bundle as ONNX graphs: the program of docs/onnx.md speaks as the Synthesizer does, and the graphs compute what Keras does."""

import errno
import json
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from small import make_config, save_random_voice

from myxtts.cli import main
from myxtts.config import DataError, ModelError
from myxtts.models.xtts import XTTS
from myxtts.serving.bundle import seal_bundle
from myxtts.serving.onnx_export import export_onnx
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice
from myxtts.text.tokenizer import Tokenizer

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
SCRIPT, NORMALISING = re.findall(r"```python\n(.*?)```", PAGE, re.S)
TEXTS = [("good morning to all of you.", "en"), ("the sun is warm today.", "en"), ("سلام به همه", "fa")]
SENTENCES = ["good morning to all of you.", "the sun is warm."]
UNGUARDED = {"repetition_seconds": None, "tail_seconds": None, "trim_noise": False}
# runs a program in a process where nothing of ours can be imported, nor what only we need; keeps what it made
DRIVER = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "myxtts", "onnx", "soundfile", "scipy"):
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Refuse())
script, kept, *sys.argv[1:] = sys.argv[1:]
made = runpy.run_path(script, run_name="__main__")
import numpy as np
np.savez(kept, made["speech"], *made["codes"])
"""


def settings(**changes):
    """Of a bundle: what the program does, and no more."""
    return {"temperature": 1.0, "vocoder": "decoder", "pause_seconds": 0.1, "guards": UNGUARDED, **changes}


def config(**changes):
    values = make_config().to_dict()
    values["model"]["gpt"] |= {"num_layers": 2, "max_audio_tokens": 72}
    return type(make_config()).from_dict(values | {"synthesis": settings(**changes)})


def make_bundle(folder, **changes):
    """Random weights so wide that codes depend on the text, the voice and those before; its vocabulary was extended."""
    keras.utils.set_random_seed(3)
    model, random = XTTS(config().model), np.random.default_rng(5)
    for variable in model.gpt.trainable_variables:
        if len(variable.shape) == 2:
            variable.assign(random.normal(size=variable.shape) * 0.5)
    for variable in model.decoder.trainable_variables:
        shape = tuple(variable.shape)
        scale = 0.05 if len(shape) == 1 else np.prod(shape[:-1]) ** -0.5
        scale *= 0.1 if "speaker" in variable.path else 1  # a speaker is a constant, and would drown the rest
        variable.assign(random.uniform(1, 2, shape) if variable.name == "gain" else random.normal(size=shape) * scale)
    model.mel_norm = np.linspace(1, 2, config().model.audio.num_mels).astype(np.float32)
    folder.mkdir()
    model.save(folder)
    # what the new language learns joins letters of English, too
    Tokenizer.train(TEXTS, 60).extend([("good morning the sun warm", "de")] * 9, 96).save(folder / "tokenizer.json")
    seal_bundle(folder, config(**changes), origin={"data": {"mine": {"licence": "CC0-1.0", "consent": "yes"}}})
    return folder


@pytest.fixture(scope="module")
def wide_bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("onnx") / "bundle")


@pytest.fixture(scope="module")
def synthesizer(wide_bundle):
    return Synthesizer.load(wide_bundle, whole=True)


@pytest.fixture(scope="module")
def voice(synthesizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("voice") / "me.voice"
    save_random_voice(synthesizer, path)
    return path


@pytest.fixture(scope="module")
def exported(wide_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    summary = export_onnx(wide_bundle, folder)
    assert summary["notes"] == [] and summary["languages"] == ["de", "en", "fa"]
    return folder


@pytest.fixture(scope="module")
def exported_int8(wide_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "int8"
    assert export_onnx(wide_bundle, folder, "int8")["weights"] == "int8"
    return folder


def open_graph(folder, name):
    return onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])


def run_program(tmp_path, *arguments):
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "speak.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "driver.py", "speak.py", "kept.npz", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env={"PATH": "/usr/bin:/bin"})


def spoken(tmp_path, folder, voice, *sentences, language="en"):
    """The waveform (N,) and the codes of each sentence, as the program of the page makes them."""
    done = run_program(tmp_path, folder, voice, language, "out.wav", *sentences)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "kept.npz") as kept:
        speech, *codes = (kept[name] for name in kept.files)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (24000, 1)
        written = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    np.testing.assert_allclose(written / 32768, speech, atol=1 / 32768)
    return speech, [row.tolist() for row in codes]


def change_sampling(folder, copy, **changes):
    shutil.copytree(folder, copy)
    values = json.loads((copy / "config.json").read_text())
    values["sampling"] |= changes
    (copy / "config.json").write_text(json.dumps(values))
    return copy


def assert_wave(wave):
    assert wave.std(axis=-1).min() > 0.01 and np.abs(wave).mean() < 0.9, "a wave that is flat or clipped would prove nothing"


def assert_same_speech(made, expected):
    speech, codes = made
    assert codes == [row.tolist() for row in expected.codes]
    assert all(len(set(row)) > 3 for row in codes), "one code over and over proves little"
    assert_wave(expected.waveform)
    np.testing.assert_allclose(speech, expected.waveform, atol=1e-4, rtol=0)


@pytest.mark.parametrize("engine", ["tensorflow", "onnxruntime"])
def test_the_program_speaks_greedily_as_the_synthesizer(synthesizer, exported, voice, tmp_path, engine):
    folder = change_sampling(exported, tmp_path / "greedy", temperature=0.0, repetition_penalty=1.5)
    made = spoken(tmp_path, folder, voice, *SENTENCES)
    wanted = synthesizer.config.synthesis.model_copy(update={"temperature": 0.0, "repetition_penalty": 1.5, "engine": engine})
    expected = synthesizer.speak("\n".join(SENTENCES), Voice.load(voice), "en", settings=_with_pause(wanted))
    assert_same_speech(made, expected)


def _with_pause(wanted):
    return wanted.model_copy(update={"paragraph_pause_seconds": wanted.pause_seconds})  # one sentence, one line


@pytest.mark.parametrize(
    "changes",
    [
        {"top_k": 7, "top_p": 0.8, "repetition_penalty": 3.0},
        {"top_k": 0, "top_p": 1.0, "coqui_compatible": True},
        {"top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "guidance_scale": 3.0},
        {"repetition_penalty": 1.0, "guards": UNGUARDED | {"duration_factor": 0.01}},
        {"repetition_penalty": 1.0, "guards": UNGUARDED | {"duration_factor": None}},
    ],
    ids=["top-k and top-p", "as Coqui", "guided", "cut by its duration", "cut where the model has no room"],
)
def test_the_bundles_settings_are_those_of_the_program(wide_bundle, voice, tmp_path, changes):
    bundle = Path(shutil.copytree(wide_bundle, tmp_path / "bundle"))
    seal_bundle(bundle, config(**changes))
    export_onnx(bundle, tmp_path / "onnx")
    speaking = Synthesizer.load(bundle, whole=True)
    expected = speaking.speak("\n".join(SENTENCES), Voice.load(voice), "en", settings=_with_pause(speaking.config.synthesis))
    assert_same_speech(spoken(tmp_path, tmp_path / "onnx", voice, *SENTENCES), expected)
    assert expected.stopped == ("guards" not in changes)
    if "guards" in changes:
        assert [len(row) for row in expected.codes] == ([44, 44] if changes["guards"]["duration_factor"] else [70, 70])


def test_languages_of_before_an_extension_keep_their_ids(synthesizer, exported, voice, tmp_path):
    known = json.loads((exported / "config.json").read_text())["text"]["languages"]
    assert {code: values["tokenizer"] for code, values in known.items()} == {
        "de": "tokenizer.json",
        "en": "tokenizer_1.json",
        "fa": "tokenizer_1.json",
    }
    ours = synthesizer.tokenizer
    assert ours.encode("good morning", "de")[1:] != ours.encode("good morning", "en")[1:], "else this proves nothing"
    for language in ("de", "en"):
        expected = synthesizer.speak("good morning", Voice.load(voice), language)
        assert_same_speech(spoken(tmp_path, exported, voice, "good morning", language=language), expected)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [("good <morning>", "characters that the model does not know"), ("good morning to all of you. " * 40, "is too long")],
)
def test_the_program_refuses_what_it_cannot_speak(exported, voice, tmp_path, sentence, message):
    done = run_program(tmp_path, exported, voice, "en", "out.wav", sentence)
    assert done.returncode == 1 and message in done.stderr and not (tmp_path / "out.wav").exists()


def test_the_program_refuses_a_voice_of_another_model(exported, voice, tmp_path):
    held = Voice.load(voice)
    Voice(held.latents, held.embedding, "0123456789abcdef").save(tmp_path / "other.voice")
    done = run_program(tmp_path, exported, tmp_path / "other.voice", "en", "out.wav", "good morning")
    assert done.returncode == 1 and "made with another model" in done.stderr
    Voice(held.latents, held.embedding).save(tmp_path / "unknown.voice")
    spoken(tmp_path, exported, tmp_path / "unknown.voice", "good morning")


def steps(folder, latents, texts, codes):
    """Logits (B, S, A) and latents (B, S, D) of codes (B, S) fed one by one, as docs/onnx.md says of rows of different lengths."""
    session, gpt = open_graph(folder, "gpt"), json.loads((folder / "config.json").read_text())["gpt"]
    rows, longest = len(texts), max(map(len, texts))
    ids = np.zeros((rows, longest), np.int32)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    cache = {
        f"{kind}_{layer}": np.zeros((rows, gpt["num_heads"], latents.shape[1] + longest + codes.shape[1], gpt["head_dim"]), np.float32)
        for layer in range(gpt["num_layers"])
        for kind in ("key", "value")
    }
    names = [output.name for output in session.get_outputs()]
    lengths = np.array([latents.shape[1] + len(text) for text in texts], np.int32)
    positions = np.tile(np.arange(longest, dtype=np.int32), (rows, 1))

    def run(latents, ids, positions, longest):
        fed = {"latents": latents, "ids": ids, "positions": positions, "lengths": lengths - 1, "room": np.array([longest], np.int32)}
        made = dict(zip(names, session.run(names, fed | cache), strict=True))
        cache.update({name: made[f"{name}_out"] for name in cache})
        return made["logits"], made["latent"]

    run(latents, ids, positions, latents.shape[1] + longest)
    made = []
    for index, column in enumerate(codes.T):
        lengths += 1
        fed = (column[:, None] + gpt["num_text_tokens"]).astype(np.int32)
        place = np.full_like(fed, gpt["text_positions"] + index)
        made.append(run(np.zeros((rows, 0, gpt["dim"]), np.float32), fed, place, int(lengths.max())))
    return (np.stack(part, axis=1) for part in zip(*made, strict=True))


@pytest.fixture(scope="module")
def forced(synthesizer):
    """Three rows of different lengths: latents, texts, codes fed, and Keras' logits and latents of them."""
    gpt, random = synthesizer.model.gpt, np.random.default_rng(2)
    latents = random.normal(size=(3, gpt.config.num_latents, gpt.config.dim)).astype(np.float32)
    texts = [random.integers(0, 60, length) for length in (4, 11, 7)]
    codes = np.concatenate([np.full((3, 1), synthesizer.model.config.start_audio_token), random.integers(0, 32, (3, 9))], axis=1)
    ids, mask = np.zeros((3, 11), np.int32), np.zeros((3, 11), bool)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, True
    output = gpt(latents, ids, mask, codes, np.ones(codes.shape, bool))
    return latents, texts, codes, np.asarray(output.audio_logits), np.asarray(output.audio_latents)


def test_steps_give_what_keras_gives_of_the_whole(exported, forced):
    *given, logits, latents = forced
    made_logits, made_latents = steps(exported, *given)
    assert logits.std() > 0.5
    np.testing.assert_allclose(made_logits, logits, atol=1e-4, rtol=0)
    np.testing.assert_allclose(made_latents, latents, atol=1e-4, rtol=0)


def test_int8_is_near(exported, exported_int8, forced, voice, tmp_path):
    *given, logits, latents = forced
    made_logits, made_latents = steps(exported_int8, *given)
    for made, wanted in ((made_logits, logits), (made_latents, latents)):
        error = np.sqrt(np.mean((made - wanted) ** 2)) / wanted.std()
        assert 1e-4 < error < 0.05, "rounded, but to 255 steps"
    size = {folder: sum(path.stat().st_size for path in folder.glob("gpt.onnx*")) for folder in (exported, exported_int8)}
    assert size[exported_int8] < 0.6 * size[exported]
    assert len(spoken(tmp_path, exported_int8, voice, *SENTENCES)[1]) == 2


@pytest.mark.parametrize("length", [1, 2, 5, 38])
def test_the_decoder_gives_the_wave_of_keras(synthesizer, exported, length):
    decoder, random = synthesizer.model.decoder, np.random.default_rng(length)
    latents, speaker = (random.normal(size=shape).astype(np.float32) for shape in ((2, length, 32), (2, decoder.speaker_dim)))
    (made,) = open_graph(exported, "decoder").run(["wave"], {"latents": latents, "speaker": speaker})
    expected = np.asarray(decoder(latents, speaker))
    assert_wave(expected)
    np.testing.assert_allclose(made, expected, atol=1e-5, rtol=0)


def test_graphs_say_what_they_take_and_what_they_are(synthesizer, exported, exported_int8):
    gpt, decoder = (open_graph(exported, name) for name in ("gpt", "decoder"))
    table = set(re.findall(r"^\| `([a-z_]+)`(?:, `([a-z_]+)`)? \| \(", PAGE, re.M))
    documented = {name.removesuffix("_i") for names in table for name in names if name}
    named = {re.sub(r"_\d+", "", value.name) for value in (*gpt.get_inputs(), *gpt.get_outputs())}
    assert named == {name.replace("_i_out", "_out") for name in documented}
    config = json.loads((exported / "config.json").read_text())
    metadata = gpt.get_modelmeta().custom_metadata_map
    shared = {"format": "1", "voice_networks": synthesizer.voice_networks, "sample_rate": "24000", "weights": "float32"}
    assert metadata == {name: str(value) for name, value in config["gpt"].items()} | shared
    assert (metadata["num_layers"], metadata["stop_audio_token"], metadata["max_codes"]) == ("2", "33", "70")
    assert shared.items() <= decoder.get_modelmeta().custom_metadata_map.items()
    assert decoder.get_modelmeta().custom_metadata_map["speaker_dim"] == str(synthesizer.model.decoder.speaker_dim)
    assert open_graph(exported_int8, "gpt").get_modelmeta().custom_metadata_map["weights"] == "int8"
    assert config["made_of"]["data.licence"] == "CC0-1.0" and config["made_of"]["licence"].startswith("none imported")


def test_the_command_gives_the_same_bytes(wide_bundle, exported, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()  # empty: nothing is lost
    main(["export-onnx", "--model", str(wide_bundle), "--out", "out"])
    summary = json.loads(capsys.readouterr().out)
    assert summary["bytes"] == {path.name: path.stat().st_size for path in exported.iterdir()}
    for path in exported.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name
    with pytest.raises(SystemExit, match="out exists: remove it, or name another folder"):
        main(["export-onnx", "--model", str(wide_bundle), "--out", "out"])


def test_a_model_that_speaks_by_griffin_lim_is_noted(whole_bundle, tmp_path):
    assert "--vocoder decoder" in export_onnx(whole_bundle, tmp_path / "onnx")["notes"][0]


def test_what_cannot_be_exported_leaves_nothing(bundle, tmp_path, monkeypatch):
    out = tmp_path / "new" / "onnx"
    with pytest.raises(ModelError, match="no bundle folder"):
        export_onnx(tmp_path / "nowhere", out)
    with pytest.raises(ModelError, match=r"float32, int8; got 'int4'"):
        export_onnx(bundle, out, "int4")
    with monkeypatch.context() as patch:
        patch.setattr("myxtts.serving.onnx_export.whole_decoder_graph", _full)
        with pytest.raises(ModelError, match=r"onnx could not be written .*No space left"):
            export_onnx(bundle, out)
    with monkeypatch.context() as patch:
        patch.setattr("myxtts.models.onnx_graph.atomic_file", _unwritable)
        with pytest.raises(DataError, match="full"):
            export_onnx(bundle, out)
    (bundle / "gpt.weights.h5").unlink()
    with pytest.raises(ModelError, match=r"gpt\.weights\.h5 is missing"):
        export_onnx(bundle, out)
    assert not list(out.parent.glob("*")) and not list(out.parent.glob(".*"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="file exists"):
        export_onnx(bundle, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def _full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def _unwritable(*_):
    raise DataError("the disk is full")


def test_texts_are_normalised_without_tensorflow():
    allowed = {"myxtts", "num2words", "pydantic", "ruamel", *("pydantic_core", "annotated_types", "typing_extensions", "typing_inspection")}
    code = (
        "import sys; before = set(sys.modules)\n"
        f"{NORMALISING}\n"
        "used = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*used - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert {name for name in done.stdout.split() if not name.startswith(("_", "sitecustom"))} <= allowed
