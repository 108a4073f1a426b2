"""The tokenizer: nothing trained on is unknown, the bound holds, training is deterministic, the format is that of XTTS."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.config import DataError, ModelError
from myxtts.text.tokenizer import Tokenizer

ROWS = [
    ("the river runs to the sea.", "en"),
    ("the rain runs over the road!", "en"),
    ("it's a quiet morning, isn't it?", "en"),
    ("من امروز به مدرسه می‌روم.", "fa"),
    ("او هر روز به خانه می‌رود، نه؟", "fa"),
    ("ژاله گل‌ها را می‌بیند.", "fa"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(ROWS, 120)


def test_control_tokens_come_first(tokenizer):
    assert (tokenizer.stop_id, tokenizer.unknown_id, tokenizer.start_id) == (0, 1, 3)
    assert tokenizer.languages == ("en", "fa")


def test_training_text_round_trips_without_unknowns(tokenizer):
    for text, language in ROWS:
        ids = tokenizer.encode(text, language)
        assert tokenizer.unknown_id not in ids and tokenizer.stop_id not in ids and tokenizer.start_id not in ids
        assert tokenizer.decode(ids) == text


def test_language_leads_and_space_separates(tokenizer):
    space = tokenizer.encode("a a", "en")[2]
    assert tokenizer.encode("a a", "en")[0] != tokenizer.encode("a a", "fa")[0]
    assert tokenizer.encode("a a", "en")[1:] == tokenizer.encode("a a", "fa")[1:]
    assert tokenizer.encode("a  a", "en")[2:4] == [space, space]
    assert tokenizer.encode("", "en") == tokenizer.encode("x", "en-us")[:1]


def test_words_seen_often_become_one_token(tokenizer):
    assert len(tokenizer.encode("the", "en")) == 2
    assert len(tokenizer.encode("ژاله", "fa")) > 2


@pytest.mark.parametrize("bound", [80, 100, 5000])
def test_vocab_size_is_an_upper_bound(bound):
    tokenizer = Tokenizer.train(ROWS, bound)
    assert tokenizer.size <= bound
    assert all(tokenizer.unknown_id not in tokenizer.encode(text, language) for text, language in ROWS)
    assert bound != 5000 or tokenizer.size < 200


def test_bound_too_small_for_the_alphabet_is_refused():
    with pytest.raises(DataError, match=r"num_text_tokens to at least \d\d"):
        Tokenizer.train(ROWS, 20)
    with pytest.raises(DataError, match="no text"):
        Tokenizer.train([], 100)


def test_training_ignores_row_order(tmp_path):
    shuffled = random.Random(3).sample(ROWS * 5, len(ROWS) * 5)
    Tokenizer.train(ROWS * 5, 200).save(tmp_path / "a.json")
    Tokenizer.train(shuffled, 200).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_saved_equals_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "sub" / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "sub" / "tokenizer.json")
    assert loaded.size == tokenizer.size and loaded.languages == tokenizer.languages
    assert all(loaded.encode(*row) == tokenizer.encode(*row) for row in ROWS)


def test_unknown_character_is_unknown_and_decodes_to_a_mark(tokenizer):
    ids = tokenizer.encode("a世a", "en")
    assert ids.count(tokenizer.unknown_id) == 1
    assert tokenizer.decode(ids) == "a\ufffda"


def test_control_words_in_text_are_no_control_tokens(tokenizer):
    ids = tokenizer.encode("the [STOP] sea [en] [SPACE]", "en")
    assert tokenizer.stop_id not in ids
    assert ids.count(ids[0]) == 1
    assert ids.count(tokenizer.encode("a a", "en")[2]) == 4


def test_unknown_language_and_ids_are_refused(tokenizer):
    with pytest.raises(DataError, match="trained on en, fa"):
        tokenizer.encode("hallo", "de")
    with pytest.raises(DataError, match="unknown language"):
        tokenizer.encode("x", "klingon")
    with pytest.raises(DataError, match="not in the vocabulary"):
        tokenizer.decode([tokenizer.size])


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ModelError, match=r"not a tokenizer\.json"):
        Tokenizer.load(tmp_path / "a.json")
    from tokenizers import Tokenizer as Plain
    from tokenizers.models import BPE

    Plain(BPE()).save(str(tmp_path / "b.json"))
    with pytest.raises(ModelError, match="no XTTS tokenizer"):
        Tokenizer.load(tmp_path / "b.json")


def test_tags_of_no_language_known_here_are_none_and_are_not_spoken(tokenizer, tmp_path):
    """A vocabulary from elsewhere: Vietnamese, and a padding token."""
    tokenizer.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    for token in ("[vi]", "[PAD]"):
        content["model"]["vocab"][token] = len(content["model"]["vocab"])
        content["added_tokens"].append({**content["added_tokens"][0], "id": content["model"]["vocab"][token], "content": token})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    more = Tokenizer.load(tmp_path / "tokenizer.json")
    assert more.languages == ("en", "fa") and more.other_tags == ("PAD", "vi") and tokenizer.other_tags == ()
    assert more.size == tokenizer.size + 2 and more.decode([more.size - 2, more.size - 1]) == ""
    with pytest.raises(DataError, match="unknown language 'vi'"):
        more.encode("xin", "vi")


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_any_text_encodes_and_decodes(text):
    tokenizer = Tokenizer.train(ROWS, 120)
    ids = tokenizer.encode(text, "fa")
    assert all(0 <= index < tokenizer.size for index in ids)
    tokenizer.decode(ids)


def test_the_vocabulary_of_xtts():
    path = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "xtts_vocab.json"
    if not path.is_file():
        pytest.skip("needs the shared file data/xtts_vocab.json beside the repository")
    tokenizer = Tokenizer.load(path)
    assert (tokenizer.stop_id, tokenizer.unknown_id, tokenizer.start_id, tokenizer.size) == (0, 1, 261, 5413)
    ids = tokenizer.encode("hello, zh-cn world.", "zh")
    assert ids[0] == 5023 and ids.count(2) == 2 and tokenizer.decode(ids) == "hello, zh-cn world."
    assert tokenizer.encode("the in", "en-gb")[0] == 259
    # the whole string with "[SPACE]" written out is what the reference implementation hands to the same library
    from tokenizers import Tokenizer as Plain

    text = "it's a well-known fact: nobody knows, really!"
    assert tokenizer.encode(text, "en") == Plain.from_file(str(path)).encode("[en]" + text.replace(" ", "[SPACE]")).ids
    assert len(tokenizer.languages) == 14 and tokenizer.other_tags == ()
