"""Phones of texts, and a tokenizer that reads texts by them."""

import pytest

from myxtts.config import DataError
from myxtts.text.phones import PHONE_LANGUAGES, phones
from myxtts.text.tokenizer import Tokenizer

pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed: pip install 'myxtts[sample]'")

ROWS = [("the knight writes his name, though.", "en"), ("a rough night at sea!", "en"), ("سلام، دنیا؟ او می‌رود.", "fa")]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(ROWS, 120, units="phones")


def test_spelling_is_gone_and_marks_stay():
    assert phones("night.", "en") == phones("knight.", "en") == "nˈaɪt."
    assert phones("good morning, all. really?", "en") == "ɡˈʊd mˈɔːɹnɪŋ, ˈɔːl. ɹˈiəli?"
    assert phones("", "en") == ""


def test_a_mark_is_one_in_all_languages():
    said = phones("سلام، دنیا؟", "fa")
    assert "،" not in said and said.count(",") == 1 and said.endswith("?")


def test_apostrophes_and_hyphens_belong_to_their_words():
    assert phones("it's", "en") == "ɪts"
    assert " " not in phones("well-known", "en")


@pytest.mark.parametrize("code", PHONE_LANGUAGES)
def test_every_language_has_a_voice(code):
    texts = {"fa": "سلام", "ar": "مرحبا", "ru": "привет", "zh-cn": "你好", "ko": "안녕", "hi": "नमस्ते"}
    said = phones(texts.get(code, "hotel"), code)
    assert said and "(" not in said and not set(said) & set("سлت你안न")


def test_words_of_another_language_leave_no_mark_of_the_switch():
    assert "(" not in phones("سلام hello دنیا", "fa")


def test_japanese_is_refused_with_the_remedy():
    with pytest.raises(DataError, match="letters"):
        phones("日本", "ja")


def test_tokenizer_reads_phones_and_says_so_after_saving(tokenizer, tmp_path):
    assert tokenizer.units == "phones" and Tokenizer.train(ROWS, 120).units == "letters"
    assert tokenizer.encode("knight", "en") == tokenizer.encode("night", "en")
    for text, language in ROWS:
        ids = tokenizer.encode(text, language)
        assert tokenizer.unknown_id not in ids and tokenizer.decode(ids) == phones(text, language)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.units == "phones" and loaded.encode("a knight", "en") == tokenizer.encode("a knight", "en")
    assert loaded.languages == ("en", "fa") and loaded.other_tags == ()


def test_what_it_does_not_know_is_named_in_phones(tokenizer):
    assert tokenizer.unknown_characters("the night", "en") == []
    assert "ʒ" in tokenizer.unknown_characters("measure", "en")


def test_an_extension_reads_phones_too(tokenizer):
    extended = tokenizer.extend([("привет, как дела?", "ru")], 200)
    assert extended.units == "phones" and extended.languages == ("en", "fa", "ru")
    assert extended.unknown_id not in extended.encode("привет, как дела?", "ru")
    assert extended.encode(ROWS[0][0], "en") == tokenizer.encode(ROWS[0][0], "en")
