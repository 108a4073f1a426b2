"""What a GPT begins with: codes by the codebook's distances, heads that read the text at an even pace."""

import keras
import numpy as np
import pytest
from small import small_config

from myxtts.config import GPTConfig, ModelError
from myxtts.data.encode import read_index
from myxtts.models.gpt import GPT
from myxtts.models.initial import start_from_codebook, start_reading
from myxtts.models.xtts import XTTS
from myxtts.pipeline import train_stages
from myxtts.pipeline.paths import Paths


@pytest.fixture
def model() -> XTTS:
    config = small_config()
    model = XTTS(config.model)
    book = np.random.default_rng(3).normal(size=model.dvae.codebook.shape)
    book[1] = book[0] + 0.01  # two codes that sound alike
    model.dvae.codebook.assign(book)
    return model


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_codes_that_sound_alike_start_alike_and_others_do_not(model):
    before = model.gpt.audio_embedding.numpy()
    start_from_codebook(model.gpt, model.dvae, seed=0)
    embedding, head = model.gpt.audio_embedding.numpy(), model.gpt.audio_head.kernel.numpy().T
    count = model.dvae.codebook.shape[0]
    for rows in (embedding, head):
        assert cosine(rows[0], rows[1]) > 0.8 and not np.array_equal(rows[0], rows[1])
        others = [abs(cosine(rows[0], rows[code])) for code in range(2, count)]
        assert np.mean(others) < 0.4
        assert 0.01 < rows[:count].std() < 0.03  # as loud as random ones
    np.testing.assert_array_equal(embedding[count:], before[count:])  # START and STOP are no sound


def test_heads_read_the_text_at_the_pace_of_the_corpus(model):
    """With equal content everywhere, where a query looks is a matter of its position alone."""
    gpt, pace = model.gpt, 0.5
    start_reading(gpt, pace, seed=0)
    width = gpt.config.dim // gpt.config.num_heads
    text, audio = gpt.text_position_embedding.numpy(), gpt.audio_position_embedding.numpy()
    for block in gpt.blocks[:3]:
        kernel = block.qkv.kernel.numpy()
        for head, ahead in enumerate((1, 4)):
            used = 2 * (width // 4)  # the rest of the head is random
            query = audio @ kernel[:, head * width :][:, :used]
            keys = kernel[:, gpt.config.dim + head * width :][:, :used]
            looks = np.argmax(query[:20] @ (text @ keys).T, axis=1)
            np.testing.assert_allclose(looks, pace * (np.arange(20) + ahead), atol=1)
            assert np.abs(query[:20] @ (audio @ keys).T).max() < 1e-4  # and not at codes


def test_other_heads_look_back_at_what_was_just_said_and_read():
    keras.utils.set_random_seed(0)
    gpt = GPT(GPTConfig(num_layers=4, dim=128, num_heads=4, conditioning_heads=4, max_text_tokens=40, max_audio_tokens=60), 9, 9, 8)
    start_reading(gpt, 0.5, seed=0)
    text, audio, width = gpt.text_position_embedding.numpy(), gpt.audio_position_embedding.numpy(), 32
    for block in gpt.blocks[:3]:
        kernel = block.qkv.kernel.numpy()
        for head, back in ((2, 1.5), (3, 4)):
            query, keys = kernel[:, head * width : (head + 1) * width], kernel[:, 128 + head * width : 128 + (head + 1) * width]
            for positions in (text, audio):
                looks = np.argmax((positions @ query)[10:40] @ (positions @ keys).T, axis=1)
                np.testing.assert_allclose(looks, np.arange(10, 40) - back, atol=0.6)
            assert np.abs((audio @ query) @ (text @ keys).T).max() < 1e-4  # a code at codes, a token at tokens


def test_no_part_of_a_head_starts_where_nothing_is_learnt(model):
    """Query and key both 0 would stay 0: the gradient of each is the other."""
    gpt = model.gpt
    start_reading(gpt, 0.5, seed=0)
    dim = gpt.config.dim
    sizes = np.abs(gpt.blocks[0].qkv.kernel.numpy()[:, : 2 * dim]).max(axis=0)
    assert ((sizes[:dim] > 0) | (sizes[dim:] > 0)).all()


def test_starting_is_repeatable_and_other_heads_stay(model):
    gpt = model.gpt
    before = gpt.blocks[0].qkv.kernel.numpy()
    start_reading(gpt, 0.7, seed=4)
    first = gpt.text_position_embedding.numpy()
    dim, read = gpt.config.dim, 2 * gpt.config.dim // gpt.config.num_heads
    after = gpt.blocks[0].qkv.kernel.numpy()
    np.testing.assert_array_equal(after[:, read:dim], before[:, read:dim])
    np.testing.assert_array_equal(after[:, 2 * dim :], before[:, 2 * dim :])
    start_reading(gpt, 0.7, seed=4)
    np.testing.assert_array_equal(gpt.text_position_embedding.numpy(), first)


def test_no_text_is_refused(model):
    with pytest.raises(ModelError, match="reading_start: expected text tokens, got 0"):
        start_reading(model.gpt, 0.0, seed=0)


def test_a_training_from_scratch_begins_as_its_settings_say(tokens, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tokens").symlink_to(tokens)
    rows = read_index(tokens, "train")
    pace = sum(row.text_length for row in rows) / sum(row.code_length for row in rows)

    def begun(**settings) -> XTTS:
        config = small_config(gpt=settings)
        keras.utils.set_random_seed(1)
        model = XTTS(config.model)
        train_stages._begin(model, config, Paths(tmp_path))
        return model

    plain, book, reading = begun(), begun(codebook_start=True), begun(reading_start=True)
    by_hand = begun()
    start_reading(by_hand.gpt, pace, small_config().seed)
    np.testing.assert_array_equal(reading.gpt.text_position_embedding.numpy(), by_hand.gpt.text_position_embedding.numpy())
    np.testing.assert_array_equal(reading.gpt.audio_embedding.numpy(), plain.gpt.audio_embedding.numpy())
    np.testing.assert_array_equal(book.gpt.text_position_embedding.numpy(), plain.gpt.text_position_embedding.numpy())
    assert np.abs(book.gpt.audio_embedding.numpy() - plain.gpt.audio_embedding.numpy()).mean() > 0.005
