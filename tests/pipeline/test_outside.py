"""`myxtts train` as the tutorial promises it: folders in, final_model out, its options in place of params.yaml's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from holder import held
from small import small_config
from small_corpus import write_corpus

from myxtts.config import ConfigError, DataError, MyXTTSError
from myxtts.pipeline import outside, train_stages
from myxtts.pipeline.data_stages import write_report
from myxtts.pipeline.outside import train_outside, with_overrides
from myxtts.pipeline.paths import Paths
from myxtts.tracking import run as tracking


def test_options_override_the_stages_that_are_trained():
    config = with_overrides(small_config(), ("gpt",), epochs=150, batch_size=48, grad_accum=2, lr=2e-5, num_workers=10)
    gpt = config.training.gpt
    assert (gpt.epochs, gpt.max_steps, gpt.batch_size, gpt.effective_batch_size, gpt.learning_rate) == (150, None, 48, 96, 2e-5)
    assert config.hardware.num_workers == 10
    assert config.training.dvae == small_config().training.dvae


def test_accumulation_alone_splits_the_effective_batch():
    assert with_overrides(small_config(), ("gpt",), grad_accum=4).training.gpt.batch_size == 24
    with pytest.raises(ConfigError, match=r"--grad-accum 5 .* does not divide the effective batch 96"):
        with_overrides(small_config(), ("gpt",), grad_accum=5)


def test_what_is_done_is_written_whole_or_not_at_all(tmp_path):
    work, before = tmp_path / "made" / "work.json", tmp_path / "before.json"
    write_report(work, {"done": 1})
    before.hardlink_to(work)  # in place, a full disk would leave half of it
    write_report(work, {"done": 2, "name": "سلام"})
    assert json.loads(before.read_text()) == {"done": 1}
    assert json.loads(work.read_text(encoding="utf-8")) == {"done": 2, "name": "سلام"} and list(work.parent.iterdir()) == [work]


def test_a_folder_that_holds_a_training_needs_resume(tmp_path):
    (tmp_path / "work.json").write_text('{"done": {"prepare": {}}}')
    with pytest.raises(DataError, match="--resume"):
        train_outside(small_config(), tmp_path, tmp_path, tmp_path)


def test_train_from_two_folders_to_a_final_model_that_speaks(tmp_path, project):
    """On the project's processed clips; a second call with --resume, its options not typed again, has nothing left to do."""
    processed = project.root / "data/processed"
    folders = [
        sys.executable, "-m", "myxtts", "train", "--train-data", str(processed), "--val-data", str(processed),
        "--checkpoint-dir", str(tmp_path / "out"), "--no-tracking", "--params", str(project.root / "params.yaml"),
    ]  # fmt: skip
    command = [*folders, "--epochs", "1", "--batch-size", "4", "--grad-accum", "2", "--lr", "1e-3", "--num-workers", "1"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-3000:]
    assert "8 clips (4 x 2)" in first.stdout
    assert {path.name for path in (tmp_path / "out/final_model").iterdir()} >= {"params.yaml", "tokenizer.json", "gpt.weights.h5"}
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    again = subprocess.run([*folders, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "step" not in again.stdout
    kept = json.loads((tmp_path / "out/work.json").read_text())["config"]
    assert (kept["training"]["gpt"]["learning_rate"], kept["hardware"]["num_workers"]) == (1e-3, 1)
    reference = next((Path(processed) / "wavs").glob("*.wav"))
    say = [sys.executable, "-m", "myxtts", "say", "hello", "--speaker", str(reference), "--model", str(tmp_path / "out/final_model")]
    spoken = subprocess.run(say, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert spoken.returncode == 0, spoken.stderr[-2000:]
    assert (tmp_path / "out.wav").is_file()


def test_a_folder_goes_on_with_the_stages_and_options_of_the_command_before(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    trained = []
    for name in ("_prepare", "run_tokenizer", "_final_model"):
        monkeypatch.setattr(outside, name, lambda *_: None)
    monkeypatch.setattr(outside, "_train", lambda stage, config, *_: trained.append((stage, config.training.dvae.learning_rate)))

    def go_on(*stages, **options):
        data = tmp_path / "data"
        train_outside(small_config(), data, data, tmp_path / "out", stages or None, options, resume=bool(trained), track=False)
        return trained[-1]

    assert go_on("dvae", lr=2e-5, epochs=7) == ("dvae", 2e-5)
    assert go_on("dvae", lr=1e-5) == ("dvae", 1e-5)
    assert len(trained) == 2
    go_on()
    assert len(trained) == 2, "finished, and nothing was changed"
    with pytest.raises(ConfigError, match=r"every network in .* is finished: name the one that --lr is for"):
        go_on(lr=1e-6)
    assert json.loads((tmp_path / "out/work.json").read_text())["config"]["training"]["dvae"]["epochs"] == 7


def test_a_command_that_made_nothing_yet_may_be_corrected(tmp_path):
    """A wrong option or a wrong path leaves nothing behind that asks for --resume, or for the wrong path again."""
    corpus, wrong, out = write_corpus(tmp_path / "corpus"), tmp_path / "korpus", tmp_path / "out"

    def train(folder: Path, **arguments) -> None:
        train_outside(small_config(), folder, folder, out, track=False, **arguments)

    with pytest.raises(ConfigError, match="--grad-accum 5"):
        train(corpus, options={"grad_accum": 5})
    assert not out.exists()
    with pytest.raises(DataError, match=r"nothing to resume in .*work.json"):
        train(corpus, resume=True)
    with pytest.raises(DataError, match=r"no folder .*korpus for the train clips"):
        train(wrong, options={"lr": 0.5})
    with pytest.raises(DataError):
        train(wrong, options={"lr": 0.25})  # not: "already holds a training"
    with pytest.raises(DataError, match="gpt needs a trained dvae"):  # it has come past the corpus
        train(corpus, stages=("gpt",), resume=True)
    assert json.loads((out / "work.json").read_text())["config"]["training"]["gpt"]["learning_rate"] == 0.25
    with pytest.raises(DataError, match="already holds a training"):
        train(corpus)
    with pytest.raises(DataError, match="was started on"):
        train(wrong, resume=True)


def test_options_of_a_resumed_training_are_for_the_network_in_hand(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    rates, fail = {}, ["gpt"]
    for name in ("_prepare", "run_tokenizer", "run_encode", "_final_model"):
        monkeypatch.setattr(outside, name, lambda *_: None)

    def train(stage, config, paths, *_):
        if stage in fail:
            raise KeyboardInterrupt
        rates[stage] = getattr(config.training, stage).learning_rate
        paths.model("dvae").mkdir(parents=True, exist_ok=True)
        (paths.model("dvae") / "dvae.weights.h5").touch()

    monkeypatch.setattr(outside, "_train", train)

    def run(resume: bool, stages=None, **options) -> None:
        train_outside(small_config(), tmp_path / "data", tmp_path / "data", tmp_path / "out", stages, options, resume=resume, track=False)

    with pytest.raises(KeyboardInterrupt):
        run(False, lr=0.5)
    fail.clear()
    run(True, lr=0.25)
    assert rates == {"dvae": 0.5, "gpt": 0.25, "decoder": 0.5}
    rates.clear()
    run(True, ("dvae",), lr=0.125)
    assert rates == {"dvae": 0.125}
    run(True)
    assert list(rates) == ["dvae"], "the command before was for the dvae alone"
    run(True, ("dvae", "gpt", "decoder"))
    assert rates == {"dvae": 0.125, "gpt": 0.25, "decoder": 0.5}, (
        "codes of another audio tokenizer: what was trained on them is trained anew"
    )


def test_a_dvae_trained_anew_is_not_bundled_with_the_gpt_of_its_old_codes_unless_asked_for(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in ("_prepare", "run_tokenizer", "run_encode"):
        monkeypatch.setattr(outside, name, lambda *_: None)
    bundled = []
    monkeypatch.setattr("myxtts.serving.bundle.make_bundle", lambda config, root, metrics, out: bundled.append(metrics))
    figures = {"copy/mel_distance": 4.0, "decoder_copy/mel_distance": 6.0}
    monkeypatch.setattr(outside, "evaluate_voice", lambda *_: figures)

    def train(stage, config, paths, *_):
        for name in ("dvae.weights.h5", "training.json"):
            write_report(paths.model(stage) / name, {})

    monkeypatch.setattr(outside, "_train", train)

    def run(resume: bool, *stages, config=None, **options) -> None:
        data = tmp_path / "data"
        train_outside(config or small_config(), data, data, tmp_path / "out", stages or None, options, resume=resume, track=False)

    run(False)
    assert bundled == [figures]
    with pytest.raises(ConfigError, match=r"the gpt in .* learnt the codes of the dvae before, whose code space that changed"):
        run(True, "dvae", lr=0.5)
    run(True, "gpt", "decoder")
    assert len(bundled) == 2
    by_name = small_config().to_dict()
    by_name["start"]["retrain_dvae_under_frozen_gpt"] = True
    run(True, "dvae", lr=0.25, config=type(small_config()).from_dict(by_name))
    assert len(bundled) == 3


def test_a_final_model_that_speaks_by_a_worse_decoder_is_refused_and_the_gate_may_be_opened(tmp_path, monkeypatch):
    paths, bundled = Paths(tmp_path), []
    for stage in ("dvae", "gpt", "decoder"):
        write_report(paths.model(stage) / "training.json", {})
    write_report(tmp_path / "work.json", {"done": {"gpt": {}}})
    monkeypatch.setattr("myxtts.serving.bundle.make_bundle", lambda config, root, metrics, out: bundled.append(out))
    monkeypatch.setattr(outside, "evaluate_voice", lambda *_: {"copy/pitch_error": 40.0, "decoder_copy/pitch_error": 60.5})

    def finish(**sections) -> None:
        values = small_config().to_dict()
        for section, changes in sections.items():
            values[section] |= changes
        outside._final_model(type(small_config()).from_dict(values), paths, (), track=False)

    finish(synthesis={"vocoder": "griffin_lim"})
    with pytest.raises(MyXTTSError, match=r"1 of 1 metrics: pitch_error 60\.5 against 40 cents \(less is better\).*decoder_gate: false"):
        finish(synthesis={"vocoder": "decoder"})
    finish(synthesis={"vocoder": "decoder"}, bundle={"decoder_gate": False})
    assert len(bundled) == 2


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_second_trainer_is_refused_before_it_touches_the_first_ones_run(tmp_path, monkeypatch, pipeline):
    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(tracking, "stage_run", lambda *_, **__: pytest.fail("it opened the run"))
    monkeypatch.setattr(train_stages, "stage_fingerprint", lambda *_: "mark")
    monkeypatch.setattr(train_stages, "attempt_folder", lambda *_: folder)
    with held(folder) as first, pytest.raises(MyXTTSError, match=f"another trainer .process {first}"):
        if pipeline:
            train_stages.run_train_stage("dvae", small_config(), Paths(tmp_path))
        else:
            outside._train("dvae", small_config(), Paths(tmp_path), folder, track=True)
