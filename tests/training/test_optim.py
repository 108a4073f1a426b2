import re
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_config

from myxtts.config import ConfigError
from myxtts.config.stages import ScheduleConfig, StageTraining
from myxtts.models.coqui import names
from myxtts.models.xtts import build_component, tensor_names
from myxtts.training.optim import MUON_RATE, Plateau, StageSchedule, check_patterns, decays, make_groups, make_optimizer


def rates(config: ScheduleConfig, total: int, steps: range, peak: float = 1.0) -> np.ndarray:
    schedule = StageSchedule(peak, config, total)
    return np.array([float(schedule(step)) for step in steps])


def test_cosine_warms_up_falls_and_stays_down_over_the_whole_horizon():
    """An earlier trainer's restarting cosine became NaN after 30,000 steps."""
    values = rates(ScheduleConfig(kind="cosine", warmup_steps=10, min_lr_ratio=0.1), 1000, range(0, 5000, 7))
    assert np.isfinite(values).all()
    assert values[0] == pytest.approx(0.1)
    peak = int(values.argmax())
    assert (np.diff(values[peak:]) <= 1e-7).all()
    np.testing.assert_allclose(values[-500:], 0.1, rtol=1e-5)


def test_constant_is_constant_after_warm_up():
    np.testing.assert_allclose(rates(ScheduleConfig(warmup_steps=4), 10, range(6), peak=2.0), [0.5, 1, 1.5, 2, 2, 2])


def test_plateau_lowers_after_patience_and_never_below_its_floor():
    schedule = StageSchedule(1.0, ScheduleConfig(kind="plateau", factor=0.5, patience=2, min_lr_ratio=0.2), 100)
    plateau = Plateau(schedule)
    lowered = [plateau.update(value) for value in (3.0, 2.0, 2.5, 2.4, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)]
    assert lowered == [False, False, False, True, False, False, True, False, True, False, False]
    assert float(schedule(50)) == pytest.approx(0.2)


def test_plateau_state_survives():
    plateau = Plateau(StageSchedule(1.0, ScheduleConfig(kind="plateau", patience=2), 10))
    plateau.update(1.0)
    plateau.update(2.0)
    other = Plateau(StageSchedule(1.0, ScheduleConfig(kind="plateau", patience=2), 10))
    other.restore(plateau.state())
    assert other.update(3.0)


def test_decay_spares_biases_norms_and_embeddings():
    model = keras.Sequential([keras.layers.Embedding(7, 4), keras.layers.LayerNormalization(), keras.layers.Dense(3)])
    model.build((None, 2))
    assert [decays(variable) for variable in model.trainable_variables] == [False, False, False, True, False]
    optimizer = make_optimizer(StageTraining(learning_rate=0.1, weight_decay=0.5), 10, model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply([tf.zeros_like(variable.value) for variable in model.trainable_variables], model.trainable_variables)
    changed = [not np.allclose(a, b.numpy()) for a, b in zip(before, model.trainable_variables, strict=True)]
    assert changed == [False, False, False, True, False]


# what the optimizer of the reference's recipe decays (coqui-tts 0.28.0, GPTTrainer.get_optimizer with optimizer_wd_only_on_weights,
# run on a GPT of one layer); N stands for a layer's number
DECAYED_BY_THE_REFERENCE = [
    "conditioning_encoder.init.weight",
    "conditioning_encoder.attn.N.qkv.weight",
    "conditioning_encoder.attn.N.proj_out.weight",
    "conditioning_perceiver.latents",
    "conditioning_perceiver.norm.gamma",
    "conditioning_perceiver.layers.N.0.to_q.weight",
    "conditioning_perceiver.layers.N.0.to_kv.weight",
    "conditioning_perceiver.layers.N.0.to_out.weight",
    "conditioning_perceiver.layers.N.1.0.weight",
    "conditioning_perceiver.layers.N.1.2.weight",
    "gpt.h.N.attn.c_attn.weight",
    "gpt.h.N.attn.c_proj.weight",
    "gpt.h.N.mlp.c_fc.weight",
    "gpt.h.N.mlp.c_proj.weight",
    "mel_head.weight",
    "text_head.weight",
]


def test_the_gpts_groups_are_those_of_the_reference():
    """Every tensor of the GPT, by the reference's name for it."""
    config = small_config().model
    gpt = build_component("gpt", config)
    trained = {variable.path for variable in gpt.trainable_variables}
    groups = {True: set(), False: set()}
    for name, variable in tensor_names(gpt).items():
        assert variable.path in trained
        key = names(config)["gpt"][name].key.removeprefix("gpt.")
        groups[decays(variable)].add(re.sub(r"(attn|layers|h)\.\d+", r"\1.N", key))
    assert groups[True] == set(DECAYED_BY_THE_REFERENCE)
    assert all(key.endswith(".bias") or re.search(r"embedding|norm|ln_", key) for key in groups[False])


def test_inverse_square_root_over_its_whole_horizon():
    values = rates(ScheduleConfig(kind="inverse_sqrt", warmup_steps=100, min_lr_ratio=0.01), 1000, range(0, 200_000, 97))
    assert np.isfinite(values).all()
    assert values.max() == pytest.approx(1.0, abs=0.02)
    schedule = StageSchedule(2.0, ScheduleConfig(kind="inverse_sqrt", warmup_steps=100), 1000)
    assert float(schedule(49)) == pytest.approx(1.0)  # half way up
    assert float(schedule(399)) == pytest.approx(1.0)  # four times the warm-up: half
    assert values[-1] == pytest.approx(np.sqrt(100 / 200_000), rel=0.01)
    assert float(StageSchedule(1.0, ScheduleConfig(kind="inverse_sqrt", min_lr_ratio=0.1), 10)(10**6)) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["constant", "cosine", "inverse_sqrt", "plateau"])
@pytest.mark.parametrize("warmup", [0, 1, 50])
def test_no_schedule_ever_leaves_its_bounds(kind, warmup):
    values = rates(ScheduleConfig(kind=kind, warmup_steps=warmup), 300, [*range(0, 400), 10**5, 10**7])
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (values <= 1 + 1e-6).all()


def network() -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(4, name="low"), keras.layers.Dense(3, name="high")], name="net")
    model.build((None, 2))
    return model


def test_groups_have_their_own_learning_rates_and_cover_every_variable_once():
    variables = network().trainable_variables
    config = StageTraining(learning_rate=0.1, weight_decay=0.0, learning_rate_factors={"low/kernel": 0.1, "low/*": 0.5})
    groups = make_groups(config, 10, "net", variables)
    assert sorted(number for group in groups for number in group.numbers) == [0, 1, 2, 3]
    before = [variable.numpy() for variable in variables]
    for group in groups:
        chosen = [variables[number] for number in group.numbers]
        group.optimizer.apply([tf.ones_like(variable.value) for variable in chosen], chosen)
    moved = [float(np.abs(variable.numpy() - old).max()) for variable, old in zip(variables, before, strict=True)]
    np.testing.assert_allclose(moved, [0.01, 0.05, 0.1, 0.1], rtol=1e-3)  # Adam's first step is the learning rate


def test_a_pattern_that_fits_nothing_is_refused_with_names_that_exist():
    with pytest.raises(ConfigError, match=r"training.gpt.frozen: no weight is called 'lwo/\*'; names are high/bias"):
        check_patterns("training.gpt.frozen", ["low/*", "lwo/*"], network().trainable_variables)


MUON = StageTraining(optimizer="muon", learning_rate=0.01, weight_decay=0.0)


def variable_of(path: str, value: np.ndarray) -> keras.Variable:
    scope, _, name = path.rpartition("/")
    with keras.name_scope(scope) if scope else nullcontext():
        return keras.Variable(value.astype(np.float32), name=name)


def moved(config: StageTraining, shapes: dict[str, tuple[int, ...]], **kwargs) -> dict[str, np.ndarray]:
    """What one step on gradients whose largest direction outweighs the least a thousandfold changes."""
    random = np.random.default_rng(0)
    variables = [variable_of(name, np.zeros(shape)) for name, shape in shapes.items()]
    optimizer = make_optimizer(config, 100, variables, **kwargs)
    gradients = []
    for shape in shapes.values():
        gradient = random.normal(size=shape)
        if len(shape) == 2:
            u, _, v = np.linalg.svd(gradient, full_matrices=False)
            gradient = u * np.geomspace(1, 1e-3, min(shape)) @ v
        gradients.append(tf.constant(gradient.astype(np.float32)))
    optimizer.apply(gradients, variables)
    return {name: variable.numpy() for name, variable in zip(shapes, variables, strict=True)}


def test_muon_moves_matrices_in_all_directions_alike_and_the_rest_as_adamw():
    shapes = {"qkv/kernel": (24, 48), "mlp_out/kernel": (48, 24), "text_embedding": (9, 6), "audio_head/kernel": (6, 9)}
    shapes |= {"qkv/bias": (48,)}
    made = moved(MUON, shapes)
    for name in list(shapes)[:2]:
        sizes = np.linalg.svd(made[name], compute_uv=False) / (0.01 * MUON_RATE * 0.2 * 48**0.5)
        assert sizes.max() < 1.3 and np.median(sizes) > 0.6, "from a thousandfold to about alike"
    as_adamw = moved(MUON.model_copy(update={"optimizer": "adamw"}), shapes)
    for name in list(shapes)[2:]:
        np.testing.assert_allclose(made[name], as_adamw[name], rtol=1e-4, err_msg=name)


def test_muon_decays_weights_by_their_own_rates():
    config = MUON.model_copy(update={"weight_decay": 0.5})
    variables = [variable_of(name, np.ones((4, 4))) for name in ("qkv/kernel", "audio_head/kernel")]
    make_optimizer(config, 100, variables).apply([tf.zeros((4, 4))] * 2, variables)
    np.testing.assert_allclose([1 - variable.numpy().mean() for variable in variables], [0.005 * MUON_RATE, 0.005], rtol=1e-3)


def test_muon_in_half_precision_moves_the_same_way():
    exact, rough = (moved(MUON, {"kernel": (24, 48)}, precision=precision)["kernel"] for precision in ("float32", "bfloat16"))
    assert not np.array_equal(exact, rough)
    assert np.sum(exact * rough) / np.linalg.norm(exact) / np.linalg.norm(rough) > 0.98


def test_adamw_is_keras_own_over_many_steps():
    random = np.random.default_rng(0)
    begin = [random.normal(size=shape).astype(np.float32) for shape in ((5, 3), (3,))]
    config = StageTraining(learning_rate=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    ours, theirs = ([keras.Variable(value, name=name) for value, name in zip(begin, "ab", strict=True)] for _ in range(2))
    mine = make_optimizer(config, 100, ours)
    keras_own = keras.optimizers.AdamW(0.01, weight_decay=0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-8)
    keras_own.exclude_from_weight_decay(var_list=[theirs[1]])
    keras_own.build(theirs)
    for _ in range(30):
        gradients = [tf.constant(random.normal(size=variable.shape).astype(np.float32)) for variable in ours]
        mine.apply(gradients, ours)
        keras_own.apply(gradients, theirs)
    moments = [[*optimizer._momentums, *optimizer._velocities] for optimizer in (mine, keras_own)]
    for a, b in zip(ours + moments[0], theirs + moments[1], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-5, atol=1e-7, err_msg=a.path)
    assert all(np.abs(variable.numpy() - start).max() > 0.05 for variable, start in zip(ours, begin, strict=True))
