"""The transformer: shapes, causality, masks, cache, gradients, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import GPTConfig, ModelError
from myxtts.models.gpt import GPT
from myxtts.training.guidance import near_diagonal

CONFIG = GPTConfig(
    num_layers=2,
    dim=24,
    num_heads=3,
    max_text_tokens=11,
    max_audio_tokens=13,
    dropout=0.1,
    conditioning_blocks=2,
    conditioning_heads=4,
    perceiver_layers=2,
    perceiver_heads=2,
    perceiver_head_dim=8,
    num_latents=5,
)
MELS, TEXT_TOKENS, AUDIO_TOKENS = 20, 31, 18
B, F, T, S = 3, 17, 7, 9


@pytest.fixture(scope="module")
def gpt():
    keras.utils.set_random_seed(1)
    model = GPT(CONFIG, TEXT_TOKENS, AUDIO_TOKENS, MELS)
    for variable in model.trainable_variables:  # away from zero initialisers and from small ones, so that differences show
        variable.assign(variable + keras.random.normal(variable.shape, stddev=0.15, seed=7))
    return model


@pytest.fixture
def batch(gpt):
    random = np.random.default_rng(2)
    latents = gpt.condition(random.normal(size=(B, F, MELS)).astype(np.float32))
    text_mask = np.arange(T) < np.array([[7], [5], [3]])
    audio_mask = np.arange(S) < np.array([[9], [6], [8]])
    text_ids = random.integers(0, TEXT_TOKENS, (B, T)).astype(np.int32)
    audio_ids = random.integers(0, AUDIO_TOKENS, (B, S)).astype(np.int32)
    return [latents, text_ids, text_mask, audio_ids, audio_mask]


def test_shapes_where_every_dimension_differs(gpt, batch):
    assert batch[0].shape == (B, 5, 24)
    out = gpt(*batch)
    assert out.text_logits.shape == (B, T, TEXT_TOKENS)
    assert out.audio_logits.shape == (B, S, AUDIO_TOKENS)
    assert out.audio_latents.shape == (B, S, 24)


def test_alignment_is_the_head_that_follows_the_text_best(gpt, batch):
    from myxtts.models.layers import causal_mask

    latents, text_ids, text_mask, audio_ids, audio_mask = batch
    found = np.asarray(gpt.alignment(*batch))
    assert found.shape == (B, S, T)
    assert not found[~audio_mask].any() and not found.transpose(0, 2, 1)[~text_mask].any()
    assert (found.sum(axis=2)[audio_mask] > 0).all() and (found.sum(axis=2) <= 1 + 1e-5).all()

    prefix, prefix_mask = gpt._prefix(latents, text_ids, text_mask)
    audio = gpt._embed(audio_ids, gpt.audio_embedding, gpt.audio_position_embedding, "codes", "max_audio_tokens")
    x, mask = np.concatenate([prefix, audio], 1), causal_mask(5 + T + S, np.concatenate([prefix_mask, audio_mask], 1))
    heads = []
    for block in gpt.blocks:
        heads.append(np.asarray(block.attention_map(x, mask))[:, :, 5 + T :, 5 : 5 + T])
        x = block(x, mask)
    heads = np.concatenate(heads, axis=1)  # (B, layers x H, S, T)
    assert heads.shape[1] == 6
    for row in range(B):
        looks = heads[row][:, audio_mask[row]][:, :, text_mask[row]]
        follows = looks.max(axis=2).mean(axis=1) - looks.mean(axis=1).max(axis=1)
        expected = looks[follows.argmax()]
        np.testing.assert_allclose(found[row][audio_mask[row]][:, text_mask[row]], expected, rtol=1e-5, atol=1e-6)


def test_attention_is_its_weights_times_the_values():
    from myxtts.models.layers import attention, attention_weights

    random = np.random.default_rng(5)
    query, key, value = (random.normal(size=(2, 3, length, 4)).astype(np.float32) for length in (5, 7, 7))
    mask = random.random((2, 1, 5, 7)) < 0.7
    weights = np.asarray(attention_weights(query, key, mask))
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(attention(query, key, value, mask)), weights @ value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("position", [0, 4, 8])
def test_no_position_sees_a_later_code(gpt, batch, position):
    batch[4] = np.ones_like(batch[4])
    before = gpt(*batch)
    batch[3] = batch[3].copy()
    batch[3][:, position] = (batch[3][:, position] + 1) % AUDIO_TOKENS
    after = gpt(*batch)
    np.testing.assert_allclose(before.audio_logits[:, :position], after.audio_logits[:, :position], atol=1e-6)
    np.testing.assert_allclose(before.text_logits, after.text_logits, atol=1e-6)
    changed = np.abs(before.audio_logits - after.audio_logits).max(axis=(0, 2))
    assert (changed[position:] > 1e-4).all(), "every position from this one on depends on it"


def test_no_text_position_sees_a_later_one_and_all_codes_see_the_text(gpt, batch):
    batch[2] = np.ones_like(batch[2])
    before = gpt(*batch)
    batch[1] = batch[1].copy()
    batch[1][:, 4] = (batch[1][:, 4] + 1) % TEXT_TOKENS
    after = gpt(*batch)
    np.testing.assert_allclose(before.text_logits[:, :4], after.text_logits[:, :4], atol=1e-6)
    assert (np.abs(before.audio_logits - after.audio_logits).max(axis=(0, 2)) > 1e-4).all()


def test_every_position_sees_the_voice(gpt, batch):
    before = gpt(*batch)
    batch[0] = batch[0] + np.array([1.0, *[0.0] * 23], np.float32)
    after = gpt(*batch)
    for name in ("text_logits", "audio_logits"):
        assert (np.abs(getattr(before, name) - getattr(after, name)).max(axis=-1) > 1e-4).all()


def test_masked_tokens_are_seen_by_none(gpt, batch):
    """The polarity: True = keep. Whatever stands where the mask is False changes nothing where it is True."""
    _, text_ids, text_mask, audio_ids, audio_mask = batch
    before = gpt(*batch)
    other = [batch[0], np.where(text_mask, text_ids, 3), text_mask, np.where(audio_mask, audio_ids, 3), audio_mask]
    assert (other[1] != text_ids).any() and (other[3] != audio_ids).any()
    after = gpt(*other)
    np.testing.assert_allclose(before.text_logits[text_mask], after.text_logits[text_mask], atol=1e-6)
    np.testing.assert_allclose(before.audio_logits[audio_mask], after.audio_logits[audio_mask], atol=1e-6)


def test_padding_changes_nothing(gpt, batch):
    """A row alone and unpadded gives what it gives inside a padded batch, though padding lies between its text and its codes."""
    latents, text_ids, text_mask, audio_ids, audio_mask = batch
    whole = gpt(*batch)
    for row in range(B):
        t, s = text_mask[row].sum(), audio_mask[row].sum()
        one = slice(row, row + 1)
        alone = gpt(latents[one], text_ids[one, :t], np.ones((1, t), bool), audio_ids[one, :s], np.ones((1, s), bool))
        np.testing.assert_allclose(alone.text_logits[0], whole.text_logits[row, :t], atol=1e-5)
        np.testing.assert_allclose(alone.audio_latents[0], whole.audio_latents[row, :s], atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_cached_equals_uncached(gpt, batch, compiled):
    latents, text_ids, text_mask, audio_ids, _ = batch
    whole = gpt(latents, text_ids, text_mask, audio_ids, np.ones((B, S), bool))
    traces = []

    def step(cache, ids, index):
        traces.append(1)
        return gpt.step(cache, ids, index)

    if compiled:
        step = tf.function(step, jit_compile=False)
    cache = gpt.prefill(latents, text_ids, text_mask, max_audio=12)
    for index in range(S):
        logits, latent, cache = step(cache, tf.constant(audio_ids[:, index]), tf.constant(index))
        np.testing.assert_allclose(logits, whole.audio_logits[:, index], atol=1e-5)
        np.testing.assert_allclose(latent, whole.audio_latents[:, index], atol=1e-5)
    assert len(traces) == (1 if compiled else S)


def test_one_voice_serves_all_rows(gpt, batch):
    latents, text_ids, text_mask, audio_ids, audio_mask = batch
    one = gpt(latents[:1], text_ids, text_mask, audio_ids, audio_mask)
    repeated = gpt(np.repeat(latents[:1], B, axis=0), text_ids, text_mask, audio_ids, audio_mask)
    np.testing.assert_allclose(one.audio_logits, repeated.audio_logits, atol=1e-6)
    cache = gpt.prefill(latents[:1], text_ids, text_mask, max_audio=2)
    logits, _, _ = gpt.step(cache, audio_ids[:, 0], 0)
    np.testing.assert_allclose(logits, one.audio_logits[:, 0], atol=1e-5)


def test_compiled_equals_eager_and_traces_once(gpt, batch):
    traces = []

    @tf.function(jit_compile=False)
    def compiled(*args):
        traces.append(1)
        return gpt(*args)

    tensors = [tf.constant(part) for part in batch]
    for _ in range(2):
        out = compiled(*tensors)
    np.testing.assert_allclose(out.audio_logits, gpt(*batch).audio_logits, atol=1e-5)
    assert len(traces) == 1


def test_every_trainable_variable_gets_a_gradient(gpt, batch):
    prompt = np.random.default_rng(4).normal(size=(B, F, MELS)).astype(np.float32)

    @tf.function(jit_compile=False)
    def gradients():
        with tf.GradientTape() as tape:
            out = gpt(gpt.condition(prompt), *batch[1:], training=True)
            loss = tf.reduce_mean(out.text_logits**2) + tf.reduce_mean(out.audio_logits**3)
        return tape.gradient(loss, gpt.trainable_variables)

    for variable, gradient in zip(gpt.trainable_variables, gradients(), strict=True):
        assert gradient is not None, variable.path
        dense = tf.convert_to_tensor(gradient)
        assert np.isfinite(dense).all() and np.abs(dense).max() > 0, variable.path


def test_dropout_acts_in_training_only_and_its_state_is_a_variable(gpt, batch):
    np.testing.assert_array_equal(gpt(*batch).audio_logits, gpt(*batch).audio_logits)
    state = [variable for variable in gpt.variables if "seed_generator" in variable.path]
    assert len(state) == 1 + CONFIG.num_layers
    start = [np.asarray(variable) for variable in state]
    one, other = gpt(*batch, training=True).audio_logits, gpt(*batch, training=True).audio_logits
    assert np.abs(one - other).max() > 1e-3
    for variable, value in zip(state, start, strict=True):
        variable.assign(value)
    np.testing.assert_allclose(gpt(*batch, training=True).audio_logits, one, atol=1e-6)


def test_hidden_codes_are_unseen_in_training_and_nothing_else_is(batch):
    """Where nearly all codes are hidden, other codes give the same output in training, and another one in speech."""
    keras.utils.set_random_seed(6)
    model = GPT(CONFIG.model_copy(update={"dropout": 0.0, "code_dropout": 0.999}), TEXT_TOKENS, AUDIO_TOKENS, MELS)
    latents, text_ids, text_mask, audio_ids, audio_mask = batch
    others = np.where(np.arange(audio_ids.shape[1]) > 0, (audio_ids + 1) % AUDIO_TOKENS, audio_ids)
    given = [(latents, text_ids, text_mask, ids, audio_mask) for ids in (audio_ids, others)]
    hidden = [np.asarray(model(*inputs, training=True).audio_logits) for inputs in given]
    np.testing.assert_allclose(*hidden, atol=1e-6)
    seen = [np.asarray(model(*inputs).audio_logits) for inputs in given]
    assert np.abs(seen[0] - seen[1]).max() > 1e-3
    half = GPT(CONFIG.model_copy(update={"dropout": 0.0, "code_dropout": 0.5}), TEXT_TOKENS, AUDIO_TOKENS, MELS)
    ones, positions = np.ones((40, S, CONFIG.dim), np.float32), np.asarray(half.audio_position_embedding)[None, :S]
    kept = np.asarray(half._hide(ones))
    shown = np.isclose(kept, 1.0).all(axis=2)
    assert 0.35 < shown.mean() < 0.65
    np.testing.assert_allclose(kept[~shown], np.broadcast_to(positions, ones.shape)[~shown], atol=1e-6)


def test_guidance_is_learnt_and_changes_no_other_output(batch):
    keras.utils.set_random_seed(8)
    model = GPT(CONFIG.model_copy(update={"dropout": 0.0}), TEXT_TOKENS, AUDIO_TOKENS, MELS)
    inputs = tuple(tf.constant(part) for part in batch)
    near = near_diagonal(*inputs[2::2])
    plain, guided = model(*inputs, training=True), model(*inputs, training=True, near=near)
    np.testing.assert_array_equal(plain.audio_logits, guided.audio_logits)
    assert plain.astray is None and guided.astray.shape == inputs[3].shape
    optimizer, kept = keras.optimizers.Adam(1e-2), tf.cast(inputs[4], tf.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(*inputs, training=True, near=near).astray * kept) / tf.reduce_sum(kept)
        optimizer.apply(
            [
                g if g is not None else tf.zeros_like(v)
                for g, v in zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
            ],
            model.trainable_variables,
        )
        return loss

    losses = [float(step()) for _ in range(60)]
    assert losses[-1] < 0.4 < 0.7 < losses[0]


def test_guidance_is_measured_in_half_precision_too(batch):
    """Keras casts a call's arguments to the policy's precision: where a head should look among them."""
    inputs = tuple(tf.constant(part) for part in batch)
    astray = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(8)
        keras.config.set_dtype_policy(policy)
        try:
            model = GPT(CONFIG.model_copy(update={"dropout": 0.0}), TEXT_TOKENS, AUDIO_TOKENS, MELS)
            astray.append(model(*inputs, training=True, near=near_diagonal(*inputs[2::2])).astray)
        finally:
            keras.config.set_dtype_policy("float32")
    assert astray[1].dtype == tf.float32
    np.testing.assert_allclose(*astray, rtol=0.05)


def test_fresh_model_is_unsure():
    """Loss at the start is that of a uniform guess, log A."""
    keras.utils.set_random_seed(3)
    model = GPT(CONFIG, TEXT_TOKENS, AUDIO_TOKENS, MELS)
    ids = np.zeros((2, 6), np.int32)
    latents = model.condition(np.random.default_rng(5).normal(size=(2, 9, MELS)).astype(np.float32))
    logits = model(latents, ids, ids == 0, ids, ids == 0).audio_logits
    entropy = -tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=-1))
    assert abs(float(entropy) - np.log(AUDIO_TOKENS)) < 0.05


def test_overfits_one_batch_and_wrong_text_raises_the_loss(batch):
    keras.utils.set_random_seed(4)
    model = GPT(CONFIG.model_copy(update={"dropout": 0.0}), TEXT_TOKENS, AUDIO_TOKENS, MELS)
    optimizer = keras.optimizers.Adam(5e-3)
    _, text_ids, text_mask, audio_ids, _ = (tf.constant(part) for part in batch)
    prompt = tf.zeros((B, F, MELS))  # the same voice for all, so that only the text tells the rows apart
    audio_ids = tf.concat([tf.fill((B, 1), AUDIO_TOKENS - 2), audio_ids[:, 1:]], axis=1)

    def loss_of(text):
        logits = model(model.condition(prompt), text, text_mask, audio_ids[:, :-1], tf.ones((B, S - 1), bool), training=True).audio_logits
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(audio_ids[:, 1:], logits))

    variables = [variable for variable in model.trainable_variables if "text_head" not in variable.path]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(text_ids)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    losses = [float(step()) for _ in range(80)]
    assert losses[-1] < 0.05 < 2 < losses[0]
    assert float(loss_of(tf.roll(text_ids, 1, axis=0))) > 10 * losses[-1]


def test_too_long_is_an_error_that_names_the_setting(gpt, batch):
    latents = batch[0]
    ids = np.zeros((B, 14), np.int32)
    with pytest.raises(ModelError, match="max_text_tokens"):
        gpt.prefill(latents, ids, ids == 0, max_audio=4)
    with pytest.raises(ModelError, match="max_audio_tokens"):
        gpt.prefill(latents, ids[:, :4], ids[:, :4] == 0, max_audio=17)
    with pytest.raises(ModelError, match="20 bands"):
        gpt.condition(np.zeros((1, 9, 80), np.float32))


def _gradients(gpt, batch, mel, compiled: bool) -> list[np.ndarray]:
    def run():
        with tf.GradientTape() as tape:
            out = gpt(gpt.condition(mel, training=True), *batch[1:], training=True)
            loss = tf.reduce_mean(tf.square(out.audio_logits)) + tf.reduce_mean(tf.square(out.text_logits))
        return tape.gradient(loss, [variable.value for variable in gpt.trainable_variables])

    return [tf.convert_to_tensor(gradient).numpy() for gradient in (tf.function(run, autograph=False) if compiled else run)()]


@pytest.mark.parametrize(("compiled", "mode"), [(False, "blocks"), (True, "blocks"), (True, "selective")])
def test_rematerialisation_changes_no_number(gpt, batch, compiled, mode):
    """Dropout included: what is computed a second time must drop what it dropped the first time."""
    mel = np.random.default_rng(3).normal(size=(B, F, MELS)).astype(np.float32)
    seeds = [variable for variable in gpt.variables if "seed" in variable.path]
    assert len(seeds) == 1 + CONFIG.num_layers
    states = [np.array(variable) for variable in seeds]
    kept = _gradients(gpt, batch, mel, compiled)
    after = [np.array(variable) for variable in seeds]
    for variable, state in zip(seeds, states, strict=True):
        variable.assign(state)
    gpt.rematerialise = mode
    try:
        again = _gradients(gpt, batch, mel, compiled)
    finally:
        gpt.rematerialise = "none"
    for variable, left, right in zip(gpt.trainable_variables, kept, again, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6 * np.abs(left).max(), err_msg=variable.path)
    for variable, state in zip(seeds, after, strict=True):
        np.testing.assert_array_equal(np.array(variable), state, err_msg="random numbers are drawn once")
