"""The loop on real small networks: what splitting, stopping and resuming may not change."""

import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_config

from myxtts.config import MyXTTSError, XTTSConfig
from myxtts.data.gpt_batches import gpt_batches
from myxtts.models.xtts import XTTS
from myxtts.training.signals import Interrupted, StopSignals
from myxtts.training.trainer import XTTSTrainer


class Recorder:
    """A logger that keeps what it is told."""

    journal_id = "run-1"

    def __init__(self):
        self.steps: dict[int, dict[str, float]] = {}
        self.points: list[tuple[str, int, float, int]] = []
        self.order: list[str] = []

    def metrics(self, values, step, timestamp=None):
        self.points += [(key, step, value, timestamp) for key, value in values.items()]
        self.steps.setdefault(step, {}).update(values)

    def checkpoint(self, step, folder, metrics, final, timestamp=None):
        self.order.append(f"checkpoint {step}")

    def flush(self):
        self.order.append("flush")

    def __getattr__(self, name):
        return lambda *arguments, **options: None


def settings(**values) -> dict:
    return {"effective_batch_size": 4, "learning_rate": 0.01, "val_step": 4, "max_steps": 6} | values


def make(config: XTTSConfig, folder: Path, data: Path, stage: str = "gpt", logger=None) -> XTTSTrainer:
    keras.utils.set_random_seed(config.seed)
    trainer = XTTSTrainer(config, XTTS(config.model), stage, folder, logger)
    trainer.prepare_datasets(data, data)
    trainer.task.previews = lambda path: []  # listening is tested elsewhere
    return trainer


def weights(trainer: XTTSTrainer) -> list[np.ndarray]:
    return [variable.numpy() for variables in trainer.task.objectives.values() for variable in variables]


def no_dropout(log_step: int = 1, **gpt) -> XTTSConfig:
    values = small_config().to_dict()
    values["loop"] |= {"log_step": log_step, "save_step": 3}
    values["model"]["gpt"]["dropout"] = 0.0
    values["training"]["gpt"] |= settings(**gpt)
    return XTTSConfig.from_dict(values)


def test_accumulation_changes_no_mathematics(tmp_path, tokens):
    """2 x 2 clips = 4 clips: losses divide by the targets of the whole batch, not of each half."""
    whole = make(no_dropout(batch_size=4), tmp_path / "a", tokens)
    halves = make(no_dropout(batch_size=2), tmp_path / "b", tokens)
    assert (halves.suggestion.batch_size, halves.suggestion.grad_accum) == (2, 2)
    for batch in list(whole.train_data.epoch(0))[:3]:
        a, b = whole.train_step(batch), halves.train_step(batch)
        for name in a:  # the gradient norm among them; a later step's losses depend on the weights of the earlier
            np.testing.assert_allclose(a[name], b[name], rtol=5e-4, err_msg=name)


def test_overfits_a_handful_of_clips_and_learns_their_text(tmp_path, tokens):
    trainer = make(no_dropout(max_steps=150, val_step=1000, effective_batch_size=11, learning_rate=3e-3), tmp_path, tokens)
    before = {name: float(value) for name, value in trainer.train_step(next(iter(trainer.train_data))).items()}
    summary = trainer.train(resume=False)
    after = {name: float(value) for name, value in trainer.train_step(next(iter(trainer.train_data))).items()}
    assert before["mel_loss"] > 3
    assert after["mel_loss"] < 0.3 * before["mel_loss"]
    assert after["mel_accuracy"] > 0.7
    assert summary["steps"] == 150
    assert trainer.validate(gpt_batches(trainer.config, tokens, "train", 11, training=False))["val/wrong_text_gap"] > 1


def test_traces_once_per_bucket(tmp_path, tokens):
    trainer = make(no_dropout(max_steps=12, val_step=5), tmp_path, tokens)
    summary = trainer.train()
    assert summary["traces"]["train"] <= trainer.train_data.traces <= 3
    assert summary["traces"]["validation"] <= 3


def test_every_step_is_logged_once_and_logs_are_flushed_before_a_checkpoint(tmp_path, tokens):
    logger = Recorder()
    make(no_dropout(log_step=4), tmp_path, tokens, logger=logger).train()
    assert [step for step in sorted(logger.steps) if "train/mel_loss" in logger.steps[step]] == [1, 2, 3, 4, 5, 6]
    assert {"val/mel_loss", "val/wrong_text_gap", "best/val/mel_loss"} <= set(logger.steps[4])
    assert {"train/lr/gpt", "train/grad_norm/gpt", "perf/data_wait_share"} <= set(logger.steps[6])
    saved = [position for position, event in enumerate(logger.order) if event.startswith("checkpoint")]
    assert len(saved) >= 3
    assert all(logger.order[position - 1] == "flush" for position in saved[:-1])  # the last only names the best one


@pytest.mark.parametrize("stop_at", [4, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 5))])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, tokens, stop_at):
    """Dropout on, in the middle of an epoch: optimizer, schedule, seeds and data position all come back.

    At step 4 it is stopped before its validation, which the second training makes up for.
    """
    values = small_config().to_dict()
    values["loop"]["save_step"] = 3
    values["training"]["gpt"] |= settings(schedule={"kind": "cosine", "warmup_steps": 2})
    config = XTTSConfig.from_dict(values)
    straight = make(config, tmp_path / "straight", tokens)
    straight.train()

    second = stop_and_go_on(config, tmp_path / "stopped", tokens, "gpt", stop_at)
    for a, b in zip(weights(straight), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_tokenizer_ends_with_the_same_codebook(tmp_path, mels):
    config = small_config(dvae=settings(crop_seconds=0.3))
    straight = make(config, tmp_path / "straight", mels, "dvae")
    straight.train()
    second = stop_and_go_on(config, tmp_path / "stopped", mels, "dvae", 2)
    for a, b in zip(straight.model.dvae.variables, second.model.dvae.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def stop_and_go_on(config: XTTSConfig, folder: Path, data: Path, stage: str, stop_at: int) -> XTTSTrainer:
    """Trains, is sent SIGTERM after `stop_at` steps, and goes on in a new trainer to the end."""
    first, seen = make(config, folder, data, stage), []
    step = first.train_step

    def interrupted(batch):
        seen.append(step(batch))
        if len(seen) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return seen[-1]

    first.train_step = interrupted
    with pytest.raises(Interrupted, match="SIGTERM"):
        first.train()
    assert len(seen) == stop_at
    second = make(config, folder, data, stage)
    assert second.train()["steps"] == 6
    return second


@pytest.mark.usefixtures("heeds_hangup")
def test_a_closed_terminal_asks_to_stop_unless_nohup_says_otherwise():
    before = signal.getsignal(signal.SIGHUP)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received == "SIGHUP"
    assert signal.getsignal(signal.SIGHUP) == before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received is None


def test_a_finished_folder_is_not_overwritten_without_resume(tmp_path, tokens):
    make(no_dropout(max_steps=1), tmp_path, tokens).train()
    with pytest.raises(MyXTTSError, match="--resume"):
        make(no_dropout(max_steps=1), tmp_path, tokens).train(resume=False)


def test_a_non_finite_update_leaves_no_trace(tmp_path, tokens):
    trainer = make(no_dropout(), tmp_path, tokens)
    batch = next(iter(trainer.train_data))
    trainer.train_step(batch)
    before, moments = weights(trainer), [v.numpy() for v in trainer.optimizers["gpt"].variables]
    logs = trainer.train_step({**batch, "prompt": batch["prompt"] * np.nan})
    assert float(logs["skipped/gpt"]) == 1
    for a, b in zip(before, weights(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(moments, (v.numpy() for v in trainer.optimizers["gpt"].variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_rows_and_padding_columns_change_no_loss(tmp_path, tokens):
    trainer = make(no_dropout(), tmp_path, tokens)
    batch = next(iter(trainer.val_data))
    more = [[0, 0], [0, 8]]
    wider = batch | {name: tf.pad(batch[name], more) for name in ("codes", "text_ids", "wrong_text_ids")}
    rows = [*range(len(batch["codes"])), 0, 1, 2]
    taller = {name: tf.gather(value, rows) for name, value in batch.items()}
    for name in ("text_lengths", "code_lengths", "wrong_text_lengths"):
        taller[name] = tf.concat([batch[name], [0, 0, 0]], axis=0)
    losses = []
    for shape in (batch, wider, taller):
        values = trainer.task.validation(shape)
        losses.append([float(values[name][0] / values[name][1]) for name in ("mel_loss", "text_loss", "wrong_text_mel_loss")])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_validation_does_not_depend_on_its_batches(tmp_path, tokens, size):
    trainer = make(no_dropout(), tmp_path, tokens)
    other = trainer.validate(trainer.task.batches(tokens, "eval", size))
    for name, value in trainer.validate().items():
        assert other[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_a_clip_that_is_its_own_prompt_has_those_codes_masked(tmp_path, tokens):
    trainer = make(no_dropout(), tmp_path, tokens)
    batch = next(iter(trainer.train_data))
    free = {**batch, "prompt_span": tf.zeros_like(batch["prompt_span"])}
    masked = {**batch, "prompt_span": tf.tile([[0, 2]], [len(batch["codes"]), 1])}
    rows = int(np.count_nonzero(batch["code_lengths"]))
    assert float(trainer.task.targets(free)["audio"]) - float(trainer.task.targets(masked)["audio"]) == 2 * rows


def test_dvae_trains_and_its_codebook_with_it(tmp_path, mels):
    values = small_config(dvae=settings(crop_seconds=0.3, max_steps=40, val_step=20, effective_batch_size=8)).to_dict()
    values["loop"]["log_step"] = 1
    config = XTTSConfig.from_dict(values)
    logger = Recorder()
    trainer = make(config, tmp_path, mels, "dvae", logger)
    codebook = trainer.model.dvae.codebook.numpy()
    trainer.train()
    assert not np.allclose(codebook, trainer.model.dvae.codebook.numpy())
    assert logger.steps[40]["train/reconstruction_loss"] < logger.steps[1]["train/reconstruction_loss"]


def test_saved_weights_load_into_a_new_model(tmp_path, tokens):
    trainer = make(no_dropout(max_steps=2), tmp_path, tokens)
    trainer.train()
    folder = trainer.save_checkpoint(tmp_path / "final_model")
    other = XTTS(no_dropout().model)
    other.load_component("gpt", folder)
    for a, b in zip(trainer.model.gpt.weights, other.gpt.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_unknown_stage():
    with pytest.raises(MyXTTSError, match="expected one of dvae, gpt, decoder"):
        XTTSTrainer(small_config(), None, "vocoder")
