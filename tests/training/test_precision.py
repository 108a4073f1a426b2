"""Half precision and rematerialisation: what they change, what they may not."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_config

from myxtts.config import ModelError, XTTSConfig
from myxtts.models.discriminators import Discriminators
from myxtts.models.precision import POLICIES, set_precision
from myxtts.models.xtts import XTTS
from myxtts.training.step import LossScale
from myxtts.training.trainer import XTTSTrainer

# relative difference of a loss from float32's that docs/training.md promises
TOLERANCE = {"bfloat16": 1e-2, "float16": 2e-3}


def configured(precision: str = "float32", rematerialise: str = "none") -> XTTSConfig:
    values = small_config().to_dict()
    # without dropout: random numbers are drawn in the format of what they drop, so each precision drops others
    values["model"]["gpt"] |= {"num_layers": 3, "dropout": 0.0}
    for stage in ("dvae", "gpt"):
        values["training"][stage] |= {"precision": precision, "effective_batch_size": 4, "max_steps": 12, "learning_rate": 3e-3}
    values["hardware"]["rematerialise"] = rematerialise
    return XTTSConfig.from_dict(values)


def make(config: XTTSConfig, folder: Path, data: Path, stage: str) -> XTTSTrainer:
    keras.utils.set_random_seed(config.seed)
    trainer = XTTSTrainer(config, XTTS(config.model), stage, folder)
    trainer.prepare_datasets(data, data)
    trainer.task.previews = lambda path: []
    return trainer


def losses(trainer: XTTSTrainer, steps: int) -> list[dict[str, float]]:
    batch = next(iter(trainer.train_data.epoch(0)))
    logs = [trainer.train_step(batch) for _ in range(steps)]
    return [{name: float(value) for name, value in log.items()} for log in logs]


@pytest.mark.parametrize("stage", ["dvae", "gpt"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_losses_agree_with_float32(tmp_path, tokens, mels, stage, precision):
    data = mels if stage == "dvae" else tokens
    whole = losses(make(configured(), tmp_path / "a", data, stage), 1)[0]
    trainer = make(configured(precision), tmp_path / "b", data, stage)
    network = trainer.task.networks[0]
    half = losses(trainer, 1)[0]
    for name in (name for name in whole if name.endswith("_loss")):
        np.testing.assert_allclose(half[name], whole[name], rtol=TOLERANCE[precision], err_msg=name)
    norm = next(name for name in whole if name.startswith("grad_norm"))
    np.testing.assert_allclose(half[norm], whole[norm], rtol=10 * TOLERANCE[precision])
    assert half[norm] != whole[norm], "the network computed in float32"
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
    later = losses(trainer, 6)
    assert not any(value for log in later for name, value in log.items() if name.startswith("skipped")), "a step was not finite"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_decoder_and_speaker_encoder_agree_with_float32(precision):
    config = small_config().model
    keras.utils.set_random_seed(4)
    model, critics = XTTS(config), Discriminators(config.decoder)
    random = np.random.default_rng(0)
    latents = random.normal(size=(2, 6, config.gpt.dim)).astype(np.float32)
    mel = random.normal(size=(2, 50, config.speaker_encoder.num_mels)).astype(np.float32)
    model.decoder.after.kernel.assign(random.normal(size=model.decoder.after.kernel.shape))  # untrained it is all but silent

    def outputs() -> list[np.ndarray]:
        speaker = model.speaker_encoder(mel)
        wave = model.decoder(latents, speaker)
        return [np.asarray(speaker), np.asarray(wave), *(np.asarray(logits) for logits, _ in critics(wave))]

    whole = outputs()
    for network in (model.decoder, model.speaker_encoder, critics):
        set_precision(network, precision)
    half = outputs()
    for a, b in zip(whole, half, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(b, a, atol=(0.05 if precision == "bfloat16" else 0.01) * np.abs(a).max())
    assert any((a != b).any() for a, b in zip(whole, half, strict=True))


def test_every_layer_changes_and_changes_back():
    model = XTTS(small_config().model)
    for precision in POLICIES:
        set_precision(model.gpt, precision)
        inner = (model.gpt, model.gpt.blocks[0].qkv, model.gpt.conditioning_encoder.blocks[0].norm, model.gpt.perceiver.layers[0].query)
        assert {layer.compute_dtype for layer in inner} == {precision}
    with pytest.raises(ModelError, match="expected one of float32, bfloat16, float16"):
        set_precision(model.gpt, "int8")


def test_a_float16_overflow_is_skipped_and_halves_the_loss_scale(tmp_path, tokens):
    trainer = make(configured("float16"), tmp_path, tokens, "gpt")
    batch = next(iter(trainer.train_data.epoch(0)))
    scale = trainer._step.loss_scales["gpt"]
    scale.value.assign(2.0**60)
    before = [variable.numpy() for variable in trainer.model.gpt.trainable_variables]
    logs = trainer.train_step(batch)
    assert float(logs["skipped/gpt"]) == 1 and float(logs["loss_scale/gpt"]) == 2.0**60
    for old, variable in zip(before, trainer.model.gpt.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert float(scale.value) == 2.0**59
    scale.value.assign(2.0**10)
    logs = trainer.train_step(batch)
    assert float(logs["skipped/gpt"]) == 0 and np.isfinite(float(logs["grad_norm/gpt"]))
    assert int(scale.good_steps) == 1


def test_loss_scale_grows_after_enough_good_steps():
    scale = LossScale()
    scale.good_steps.assign(LossScale.GROWTH_STEPS - 2)
    values = []
    for _ in range(3):
        scale.update(tf.constant(True))
        values.append((float(scale.value), int(scale.good_steps)))
    start = LossScale.START
    assert values == [(start, LossScale.GROWTH_STEPS - 1), (2 * start, 0), (2 * start, 1)]
    scale.update(tf.constant(False))
    assert (float(scale.value), int(scale.good_steps)) == (start, 0)


def test_float16_resumes_with_its_loss_scale(tmp_path, tokens):
    first = make(configured("float16"), tmp_path, tokens, "gpt")
    losses(first, 2)
    first._step.loss_scales["gpt"].value.assign(1024.0)
    first._save()
    second = make(configured("float16"), tmp_path, tokens, "gpt")
    assert second.resume()
    assert float(second._step.loss_scales["gpt"].value) == 1024 and int(second._step.loss_scales["gpt"].good_steps) == 2


def test_rematerialisation_trains_the_same_in_less_predicted_memory(tmp_path, tokens):
    kept = make(configured(), tmp_path / "a", tokens, "gpt")
    again = make(configured(rematerialise="blocks"), tmp_path / "b", tokens, "gpt")
    assert (again.model.gpt.rematerialise, kept.model.gpt.rematerialise) == ("blocks", "none")
    for a, b in zip(losses(kept, 3), losses(again, 3), strict=True):
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, err_msg=name)
    assert again.suggestion.footprint.per_clip < kept.suggestion.footprint.per_clip


def test_after_training_the_networks_speak_in_float32(tmp_path, tokens):
    trainer = make(configured("bfloat16", rematerialise="blocks"), tmp_path, tokens, "gpt")
    trainer.total_steps = 2
    trainer.train()
    assert trainer.model.gpt.blocks[0].compute_dtype == "float32"
    assert trainer.model.gpt.rematerialise == "none"
