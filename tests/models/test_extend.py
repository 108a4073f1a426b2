"""A GPT that gets new tokens: new rows are the means of what they replace, everything old keeps its bits."""

import numpy as np
import pytest
from small import small_config

from myxtts.config import ModelError
from myxtts.models.extend import TEXT_AXES, grow_text_rows, load_grown
from myxtts.models.gpt import GPT
from myxtts.models.tensor_files import read_weights
from myxtts.models.xtts import save_weights
from myxtts.text.tokenizer import Tokenizer

ENGLISH = ["the cat sat on the mat", "the dog ate the cake", "a man and a hat"]
NEW = [("سلام دنیا", "fa"), ("سلام the دنیا", "fa"), ("meat eaten", "de"), ("meat heat cadet cadet", "de")]
OLD_ROWS, NEW_ROWS, CODES, MELS = 30, 110, 34, 20


@pytest.fixture(scope="module")
def base() -> Tokenizer:
    return Tokenizer.train([(text, "en") for text in ENGLISH] + [("le chat", "fr")], 48)


@pytest.fixture(scope="module")
def tokenizer(base) -> Tokenizer:
    return base.extend(NEW, 100)


@pytest.fixture(scope="module")
def used(tokenizer) -> set[int]:
    return {index for text, language in NEW for index in tokenizer.encode(text, language)}


def make_gpt(rows: int) -> GPT:
    return GPT(small_config().model.gpt, rows, CODES, MELS)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A GPT (biases noise, too) and its weight file. It has more rows than its tokenizer has ids, as a bound allows."""
    gpt = make_gpt(OLD_ROWS)
    gpt.text_head.bias.assign(np.random.default_rng(0).normal(size=OLD_ROWS))
    return gpt, save_weights(gpt, tmp_path_factory.mktemp("gpt") / "gpt.weights.h5")


@pytest.fixture(scope="module", params=TEXT_AXES)
def tables(request, base, tokenizer, used, old):
    """One text tensor before and after, tokens first, in float64."""
    values = read_weights(old[1])
    grown = grow_text_rows(values, tokenizer, base, NEW_ROWS, used)
    return [np.moveaxis(each[request.param], TEXT_AXES[request.param], 0).astype(np.float64) for each in (values, grown)]


def close(row: np.ndarray, rows: np.ndarray) -> bool:
    return np.allclose(row, rows.mean(axis=0), rtol=1e-6, atol=1e-8)


def test_old_rows_keep_their_bits_and_the_table_has_its_size(tables, base):
    before, after = tables
    assert len(after) == NEW_ROWS
    np.testing.assert_array_equal(after[: base.size], before[: base.size])


def test_a_piece_of_a_word_is_the_mean_of_what_it_replaces(tables, base, tokenizer):
    before, after = tables
    found = {index: pieces for index in range(base.size, tokenizer.size) if len(pieces := tokenizer.pieces(index, base.size)) > 1}
    assert found
    for index, pieces in found.items():
        assert tokenizer.decode([index]) == base.decode(pieces)
        assert close(after[index], before[pieces])


def test_a_tag_is_the_mean_of_the_old_tags(tables, base, tokenizer):
    before, after = tables
    tags = [base.encode("", language)[0] for language in ("en", "fr")]
    for language in ("fa", "de"):
        assert close(after[tokenizer.encode("", language)[0]], before[tags])


def test_a_new_letter_is_the_mean_of_the_old_tokens_of_the_new_texts(tables, base, tokenizer):
    """`the` and what German words are divided into: no tag, no space."""
    before, after = tables
    spelt = {index for word in ("the", "meat", "eaten", "heat", "cadet") for index in base.encode(word, "en")[1:]}
    for letter in "سلامدنی":
        (_, index) = tokenizer.encode(letter, "fa")
        assert index > base.size
        assert close(after[index], before[sorted(spelt)])


def test_rows_beyond_the_tokenizer_are_the_mean_of_all(tables, base, tokenizer):
    before, after = tables
    assert tokenizer.size < NEW_ROWS
    assert all(close(row, before[: base.size]) for row in after[tokenizer.size :])


def test_without_texts_a_new_letter_is_the_mean_of_single_letters(base, tokenizer, old):
    values = read_weights(old[1])
    grown = grow_text_rows(values, tokenizer, base, NEW_ROWS)["text_embedding"]
    single = [index for index in range(base.size) if len(base.decode([index]).strip().replace("\ufffd", "")) == 1]
    assert close(grown[tokenizer.encode("س", "fa")[1]], values["text_embedding"][single].astype(np.float64))


def inputs(ids: list[int]) -> tuple:
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(2, 2, 32)).astype(np.float32)
    text = np.array([ids, ids[::-1]], np.int32)
    codes = rng.integers(0, CODES, (2, 9))
    return latents, text, np.ones_like(text, bool), codes, np.ones_like(codes, bool)


def test_outputs_for_old_texts_keep_their_bits(base, tokenizer, used, old):
    """Text in a language of before, spelt by the extended tokenizer: the same ids, the same logits for them, the same audio."""
    gpt, path = old
    grown = make_gpt(NEW_ROWS)
    load_grown(grown, path, tokenizer, base, used)
    ids = tokenizer.encode("the meat the cat ate", "en")
    assert ids == base.encode("the meat the cat ate", "en")
    given = inputs([base.start_id, *ids, base.stop_id])
    before, after = gpt(*given), grown(*given)
    np.testing.assert_array_equal(np.asarray(after.text_logits)[..., : base.size], np.asarray(before.text_logits)[..., : base.size])
    np.testing.assert_array_equal(after.audio_logits, before.audio_logits)
    np.testing.assert_array_equal(after.audio_latents, before.audio_latents)


def tensors(gpt: GPT, name: str) -> list[np.ndarray]:
    part = getattr(gpt, name)
    return [np.asarray(each) for each in (part.weights if hasattr(part, "weights") else [part])]


def test_a_gpt_of_the_same_vocabulary_is_loaded_as_it_is(base, old):
    again = make_gpt(OLD_ROWS)
    load_grown(again, old[1], base, base)
    for name in ("text_embedding", "text_head"):
        for mine, given in zip(tensors(again, name), tensors(old[0], name), strict=True):
            np.testing.assert_array_equal(mine, given)


def test_what_does_not_fit_is_refused(base, tokenizer, old):
    with pytest.raises(ModelError, match=f"holds {tokenizer.size} ids, more than the 40 text rows"):
        load_grown(make_gpt(40), old[1], tokenizer, base)
    with pytest.raises(ModelError, match="text_embedding is"):
        load_grown(make_gpt(OLD_ROWS - 1), old[1], base, base)
    with pytest.raises(ModelError, match=r"cannot grow a text embedding of 30 rows, with a tokenizer of \d+ ids"):
        grow_text_rows(read_weights(old[1]), tokenizer, tokenizer, NEW_ROWS)
