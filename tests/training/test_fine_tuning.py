"""What keeps a training small or steady: frozen weights, adapters, moving averages; and what the trainer does when a machine fails it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small import small_config
from test_trainer import Recorder, make, settings

from myxtts.config import ConfigError, DataError, MyXTTSError, XTTSConfig
from myxtts.data.records import read_records, token_schema, write_records
from myxtts.models.tensor_files import read_weights
from myxtts.models.xtts import XTTS
from myxtts.training import trial
from myxtts.training.averages import averaged
from myxtts.training.guard import NonFiniteTraining


def configured(**gpt) -> XTTSConfig:
    values = small_config().to_dict()
    values["model"]["gpt"]["dropout"] = 0.0
    values["loop"] |= {"log_step": 2, "save_step": 3}
    values["training"]["gpt"] |= settings(**gpt)
    return XTTSConfig.from_dict(values)


def by_name(trainer) -> dict[str, np.ndarray]:
    return {variable.path.removeprefix("gpt/"): variable.numpy() for variable in trainer.model.gpt.variables if "seed" not in variable.path}


def changed(trainer, before: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in by_name(trainer).items() if not np.array_equal(value, before[name])}


def test_frozen_weights_stay_and_the_others_move(tmp_path, tokens):
    trainer = make(configured(frozen=["perceiver/*", "*embedding"]), tmp_path, tokens)
    before = by_name(trainer)
    trainer.train_step(next(iter(trainer.train_data)))
    moved = changed(trainer, before)
    frozen = {name for name in before if name.startswith("perceiver/") or name.endswith("embedding")}
    assert len(frozen) > 8
    assert not moved & frozen
    assert {name for name in before if name.startswith("block_0/")} <= moved


def test_freezing_everything_is_refused(tmp_path, tokens):
    with pytest.raises(ConfigError, match=r"training.gpt.frozen leaves nothing to train"):
        make(configured(frozen=["*"]), tmp_path, tokens)


def test_adapters_alone_are_trained_and_merged_into_plain_weights(tmp_path, tokens):
    config = configured(lora={"rank": 3, "also_train": ["text_embedding"]}, max_steps=5, learning_rate=0.03)
    trainer = make(config, tmp_path, tokens)
    before = by_name(trainer)
    trained = sum(variable.numpy().size for variable in trainer.task.objectives["gpt"])
    assert trained < 0.5 * sum(value.size for value in before.values())
    trainer.train()
    assert {name.rpartition("/")[2] for name in changed(trainer, before)} == {"text_embedding", "lora_kernel_a", "lora_kernel_b"}
    folder = trainer.save_checkpoint(tmp_path / "final")
    assert not [name for name in read_weights(folder / "gpt.weights.h5") if "lora" in name]
    plain = XTTS(config.model)
    plain.load_component("gpt", folder)
    batch = next(iter(trainer.val_data))
    ours = trainer.task.validation(batch)
    trainer.task.model = plain
    theirs = trainer.task.validation(batch)
    for name, (value, _) in ours.items():
        np.testing.assert_allclose(value, theirs[name][0], rtol=1e-4, err_msg=name)


def test_an_adapted_training_resumes(tmp_path, tokens):
    config = configured(lora={"rank": 2}, max_steps=3)
    make(config, tmp_path, tokens).train()
    second = make(config, tmp_path, tokens)
    assert second.resume()
    assert second.current_step == 3


def test_averages_are_what_is_validated_and_exported(tmp_path, tokens):
    decay, trainer = 0.8, None
    trainer = make(configured(ema_decay=decay, max_steps=4, val_step=4, learning_rate=0.05), tmp_path, tokens)
    steps, stream = [], iter(trainer.train_data)
    for _ in range(4):
        trainer.train_step(next(stream, None) or next(iter(trainer.train_data)))
        steps.append(by_name(trainer)["text_head/kernel"])
    expected = steps[0]  # the first average is the first step's weights
    for value in steps[1:]:
        expected = decay * expected + (1 - decay) * value
    with averaged(trainer.groups):
        np.testing.assert_allclose(by_name(trainer)["text_head/kernel"], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(by_name(trainer)["text_head/kernel"], steps[-1])  # training goes on from where it was
    exported = read_weights(trainer.save_checkpoint(tmp_path / "out") / "gpt.weights.h5")["text_head/kernel"]
    np.testing.assert_allclose(exported, expected, rtol=1e-5, atol=1e-7)


def test_a_model_that_is_started_from_is_validated_before_it_is_changed(tmp_path, tokens):
    values = configured(max_steps=2, val_step=1, learning_rate=1.0).to_dict()
    values["start"]["model"] = "models/start"
    logger = Recorder()
    trainer = make(XTTSConfig.from_dict(values), tmp_path, tokens, logger=logger)
    before = by_name(trainer)
    summary = trainer.train()
    assert "val/mel_loss" in logger.steps[0]
    assert summary["best"]["step"] == 0  # a rate of 1 ruins it
    assert not changed(trainer, before)


def test_other_features_are_refused_by_name(tmp_path, tokens):
    make(configured(max_steps=1), tmp_path, tokens).train()
    other = make(configured(max_steps=2), tmp_path, tokens)
    other.model.mel_norm = np.full(80, 3.0, np.float32)
    with pytest.raises(MyXTTSError, match=r"was trained on other features \(mel_norm differ\)"):
        other.resume()


def test_other_weights_of_corpora_are_refused_by_name(tmp_path, tokens):
    make(configured(max_steps=1), tmp_path / "training", tokens).train()
    other = tmp_path / "tokens"
    shutil.copytree(tokens, other)
    index = json.loads((other / "train_index.json").read_text())
    (other / "train_index.json").write_text(json.dumps([{**row, "weight": 1.0 + number % 2} for number, row in enumerate(index)]))
    with pytest.raises(MyXTTSError, match=r"was trained on other features \(corpus_weights differ\)"):
        make(configured(max_steps=2), tmp_path / "training", other).train()


def test_other_codes_of_the_same_number_are_other_features(tmp_path, tokens):
    """Those of an audio tokenizer that was trained further, say: the file of records has the same size."""
    make(configured(max_steps=1), tmp_path / "training", tokens).train()
    other = tmp_path / "tokens"
    shutil.copytree(tokens, other)
    records = [{**row, "codes": (row["codes"] * 7 + 3) % 32} for row in read_records(tokens / "train.tfrecord", token_schema())]
    write_records(other / "train.tfrecord", token_schema(), records)
    assert (other / "train.tfrecord").stat().st_size == (tokens / "train.tfrecord").stat().st_size
    with pytest.raises(MyXTTSError, match=r"other features \(records differ\).*move .* away"):
        make(configured(max_steps=2), tmp_path / "training", other).train()


def test_lowering_the_rate_and_going_on_is_a_logged_decision(tmp_path, tokens):
    make(configured(max_steps=2), tmp_path, tokens).train()
    logger = Recorder()
    tags = {}
    logger.tags = tags.update
    second = make(configured(max_steps=4, learning_rate=1e-3), tmp_path, tokens, logger=logger)
    second.train()
    assert tags["decision.learning_rate.2"] == "0.01 -> 0.001"
    assert logger.steps[3]["train/lr/gpt"] == pytest.approx(1e-3)


def test_a_checkpoint_that_cannot_be_written_stops_no_training(tmp_path, tokens, monkeypatch):
    trainer = make(configured(max_steps=6, val_step=100), tmp_path, tokens)
    tags = {}
    trainer.report.logger = trainer.logger = Recorder()
    trainer.logger.tags = tags.update
    write = tf.train.Checkpoint.write

    def full(self, path, *arguments, **options):
        if "00000003" in str(path):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        return write(self, path, *arguments, **options)

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    assert trainer.train()["steps"] == 6
    assert [saved.step for saved in trainer.checkpoints.all()] == [6]
    assert "training goes on, there is none before it" in tags["checkpoint.failed.3"]


def test_a_trial_step_proves_the_suggestion_and_changes_nothing(tmp_path, tokens):
    trainer = make(configured(), tmp_path, tokens)
    before, seeds = by_name(trainer), [variable.numpy() for variable in trainer.task.state_variables]
    trainer._prove()
    assert trainer.suggestion.measured_gb > 0.1
    assert "trial step on the longest bucket took" in trainer.suggestion.reasons[-1]
    assert not changed(trainer, before)
    assert int(trainer.optimizers["gpt"].iterations) == 0
    for old, variable in zip(seeds, trainer.task.state_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy(), err_msg=variable.path)
    traces = trainer._step.traces
    trainer.train_step({name: tf.constant(value) for name, value in trainer.train_data.load(trainer.train_data.widest()).items()})
    assert trainer._step.traces == traces  # the rehearsal is the step


def test_backs_off_until_it_fits_and_the_effective_batch_stays(tmp_path, tokens, monkeypatch):
    trainer = make(configured(), tmp_path, tokens)
    measure = trial.measure

    def small_gpu(step, gpus, memory_gb):
        if trainer.suggestion.batch_size > 1:

            def step():
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,2,24]")

        return measure(step, gpus, memory_gb)

    monkeypatch.setattr(trial, "measure", small_gpu)
    trainer._prove()
    assert (trainer.suggestion.batch_size, trainer.suggestion.grad_accum) == (1, 4)
    assert trainer.train_data.batch_size == 4
    assert trainer.val_data.batch_size == 1
    assert sum("backed off to" in reason and "OOM when allocating" in reason for reason in trainer.suggestion.reasons) == 2
    assert trainer.train()["steps"] == 6


def test_a_loss_that_stays_nan_stops_the_run_with_its_batches(tmp_path, tokens):
    trainer = make(configured(max_steps=30, max_nonfinite=4, val_step=100), tmp_path, tokens)
    trainer.model.gpt.text_embedding.assign(trainer.model.gpt.text_embedding * np.nan)
    with pytest.raises(NonFiniteTraining, match=r"4 steps in a row were not finite, up to step 4 \(gpt\): text_loss nan"):
        trainer.train()
    kept = np.load(tmp_path / "nonfinite" / "step-00000001.npz")
    np.testing.assert_array_equal(kept["codes"], trainer.train_data.load(0)["codes"])
    rows = [json.loads(line) for line in Path(tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["values"]["train/skipped_steps"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4]


def test_a_best_checkpoint_that_is_damaged_costs_no_training(tmp_path, tokens):
    trainer = make(configured(max_steps=6, val_step=2), tmp_path, tokens)
    save = trainer.checkpoints.save

    def spoilt(step, variables, state):
        saved = save(step, variables, state | ({"monitored": -1.0} if step == 2 else {}))
        if step == 2:  # the best, then
            next(saved.path.glob("weights.data*")).write_bytes(b"nonsense")
        return saved

    trainer.checkpoints.save = spoilt
    tags = {}
    trainer.report.logger = trainer.logger = Recorder()
    trainer.logger.tags = tags.update
    assert trainer.train()["best"]["step"] == 6
    assert "ckpt-00000002 is damaged" in tags["best.damaged"]


def test_a_network_that_cannot_be_heard_stops_no_training(tmp_path, tokens):
    trainer = make(configured(max_steps=2, val_step=2), tmp_path, tokens)
    tags = {}
    trainer.report.logger = trainer.logger = Recorder()
    trainer.logger.tags = tags.update

    def previews(path):
        raise DataError("louder than any sound")

    trainer.task.previews = previews
    assert trainer.train()["steps"] == 2
    assert tags["preview.failed.2"] == "louder than any sound"


def test_steps_taken_again_with_a_lower_rate_are_in_the_run_and_the_curve(tmp_path, tokens):
    """The steps behind a checkpoint were killed, or given up as not finite: those of the lower rate are what counts."""
    first = make(configured(max_steps=4), tmp_path, tokens, logger=Recorder())
    first.train()
    shutil.rmtree(first.checkpoints.latest().path)
    start = first.checkpoints.latest().step
    assert start < 4
    logger = Recorder()
    make(configured(max_steps=4, learning_rate=1e-3), tmp_path, tokens, logger=logger).train()
    again = [key for key, step, *_ in logger.points if step == 4 and key == "train/lr/gpt"]
    assert len(again) == 1
    assert logger.steps[4]["train/lr/gpt"] == pytest.approx(1e-3)
    first.journal.write_curves(tmp_path, "gpt", 1)
    rates = {int(row["step"]): float(row["lr/gpt"]) for row in csv.DictReader((tmp_path / "gpt_train.csv").open())}
    assert rates == {step: pytest.approx(1e-2 if step <= start else 1e-3) for step in range(1, 5)}


def test_a_training_goes_on_with_its_split_and_says_so_where_it_cannot(tmp_path, tokens):
    make(configured(max_steps=2, batch_size=2, precision="bfloat16"), tmp_path, tokens).train()
    tags = {}
    logger = Recorder()
    logger.tags = tags.update
    second = make(configured(max_steps=4), tmp_path, tokens, logger=logger)
    second.suggestion.machine.bfloat16 or pytest.skip("this CPU has no bfloat16")
    assert (second.suggestion.split["batch_size"], second.suggestion.precision) == (2, "bfloat16")
    second.train()
    assert [name for name in tags if name.startswith("decision")] == ["decision.max_steps.2"]
    third = make(configured(max_steps=6, batch_size=4), tmp_path, tokens, logger=logger)
    third.train()
    assert tags["decision.split.4"].startswith("2 x 2 in bfloat16, recomputing none -> 4 x 1 in ")
