"""Text cleaned and tokenized as by the reference implementation: a recorded corpus over its 17 languages, and the peer itself."""

import json
import os
import random
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from coqui_corpus import WORDS, corpus
from make_coqui_ids import FIXTURE, with_all_languages

from myxtts.config import ConfigError, DataError
from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Utterance
from myxtts.data.texts import check_text
from myxtts.text import transliteration
from myxtts.text.coqui_chinese import chinese_number, spell_chinese
from myxtts.text.coqui_tables import COQUI_LANGUAGES
from myxtts.text.normalize import normalize, unknown_characters
from myxtts.text.tokenizer import Tokenizer

ROWS = json.loads(FIXTURE.read_text(encoding="utf-8"))["rows"]
NEEDS = {"zh-cn": ("pypinyin",), "ja": ("cutlet", "unidic_lite")}


def rows_of(language: str) -> list[dict]:
    missing = [name for name in NEEDS.get(language, ()) if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'myxtts[languages]'")
    return [row for row in ROWS if row["language"] == language]


@pytest.fixture(scope="module")
def vocabulary(shared, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.json"
    path.write_text(with_all_languages((shared / "data" / "xtts_vocab.json").read_text(encoding="utf-8")), encoding="utf-8")
    return path


def test_the_fixture_is_of_this_corpus():
    assert [(row["text"], row["language"]) for row in ROWS] == corpus()
    assert len(ROWS) >= 500 and set(WORDS) == set(COQUI_LANGUAGES)
    assert sum(row["ids"] is None for row in ROWS) < 30


@pytest.mark.parametrize("language", WORDS)
def test_cleaned_text_is_that_of_the_reference(language):
    for row in rows_of(language):
        cleaned = normalize(row["text"], language, "coqui")
        if row["cleaned"] is None:  # the reference fails: ours says it somehow
            assert cleaned and not any(digit in cleaned for digit in "0123456789"), row["text"]
        else:
            assert cleaned == row["cleaned"], row["text"]


@pytest.mark.parametrize("language", WORDS)
def test_ids_are_those_of_the_reference(language, vocabulary):
    tokenizer = Tokenizer.load(vocabulary)
    for row in rows_of(language):
        if row["ids"] is not None:
            assert tokenizer.encode(normalize(row["text"], language, "coqui"), language) == row["ids"], row["text"]


def test_every_table_entry_is_in_the_corpus():
    for code, language in COQUI_LANGUAGES.items():
        texts = " ".join(text.lower() for text, of in corpus() if of == code)
        absent = [written for written in language.abbreviations if f"{written}." not in texts and code != "ru"]
        absent += [written for written in language.abbreviations if written not in texts]
        assert not absent + [sign for sign in language.signs if sign not in texts], code


def test_languages_the_reference_lacks_keep_our_normalisation():
    text = "قیمت ۵ کتاب ۱۲٫۵ دلار است؛ ٪۳"
    assert normalize(text, "fa", "coqui") == normalize(text, "fa") != text
    assert unknown_characters("سلام ☃", "fa", "coqui") == {"☃"}


def test_what_the_reference_refuses_is_said_as_ours():
    assert normalize("Stojí to £5.", "cs", "coqui") == "stojí to libra pět."
    assert normalize("यह 14% है", "hi", "coqui") == "यह चौदह प्रतिशत है"
    assert normalize("9" * 400 + " x", "en", "coqui").startswith("nine nine nine")


def test_cleaners_are_named(config):
    with pytest.raises(ConfigError, match=r"'other'.*myxtts, coqui"):
        normalize("a", "en", "other")
    assert config.prepare.cleaners == "myxtts"


@pytest.mark.parametrize(
    ("text", "language", "refused"),
    [
        ("你好，世界", "zh-cn", set()),
        ("한국어 ☃ 안녕", "ko", {"☃"}),
        ("naïve «Łódź» (so)…", "en", set()),
        ("привет MLflow", "ru", set("mlflow")),
        ("i 😀 you", "en", {"😀"}),
        ("٣ كتب", "ar", {"٣"}),
    ],
)
def test_prepare_refuses_what_the_cleaned_text_may_not_hold(text, language, refused):
    rows_of(language)
    row = Utterance(id="a", audio="a.wav", text=text, normalized="", speaker="ada", language=language, split="train")
    cleaned = normalize(text, language, "coqui")
    assert unknown_characters(cleaned, language, "coqui") == refused
    result, _ = check_text(row, PrepareConfig(cleaners="coqui"))
    if refused:
        assert result.reason == "unknown_characters"
    else:
        assert result.normalized == cleaned


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    transliteration._cutlet.cache_clear()
    monkeypatch.setattr(transliteration, "import_module", absent)
    for text, language in (("你好", "zh"), ("こんにちは", "ja")):
        with pytest.raises(DataError, match=r"pip install 'myxtts\[languages\]'"):
            normalize(text, language, "coqui")
    assert normalize("물엿", "ko", "coqui") == "mul-yeos"


def test_chinese_numbers():
    assert [chinese_number(n) for n in ("0", "10", "15", "22", "200", "2000", "22000", "1015", "10001")] == (
        ["零", "十", "十五", "二十二", "两百", "两千", "两万两千", "一千零一十五", "一万零一"]
    )
    assert [chinese_number(n) for n in ("00", "05", "00.5", "2.2")] == ["", "零五", "零点五", "二点二"]
    assert spell_chinese("125, 5个") == "十二五, 五个"  # the 5 that is counted is replaced where a 5 stands first
    assert spell_chinese("5个, 125") == "五个, 一百二十五"


@pytest.mark.slow
def test_the_reference_agrees_on_generated_sentences(tmp_path):
    """MYXTTS_PEER = the Python of an environment with coqui-tts, pypinyin, cutlet and unidic-lite."""
    peer = os.environ.get("MYXTTS_PEER")
    if not peer:
        pytest.skip("MYXTTS_PEER names no Python of an environment with coqui-tts")
    rows = generated_rows(random.Random(0), 3000)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    code = (
        "import json, sys\n"
        "from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer\n"
        "tokenizer = VoiceBpeTokenizer()\n"
        "def clean(text, language):\n"
        "    try: return tokenizer.preprocess_text(text, language.split('-')[0])\n"
        "    except Exception as error: return None if 'ImportError' not in repr(type(error).__mro__) else sys.exit(str(error))\n"
        f"rows = json.load(open({str(tmp_path / 'rows.json')!r}))\n"
        f"json.dump([clean(*row) for row in rows], open({str(tmp_path / 'cleaned.json')!r}, 'w'))\n"
    )
    subprocess.run([peer, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.environ.get("MYXTTS_PEER_PATH", "")})
    cleaned = json.loads((tmp_path / "cleaned.json").read_text())
    different = [
        (language, text)
        for (text, language), theirs in zip(rows, cleaned, strict=True)
        if theirs not in (None, normalize(text, language, "coqui"))
    ]
    assert not different
    assert sum(theirs is not None for theirs in cleaned) > 2500


def generated_rows(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Numbers of all kinds between the pieces of the corpus' sentences."""
    pieces = sorted({piece for text, _ in corpus() for piece in text.split(" ") if len(piece) < 12})
    languages = list(WORDS)
    rows = []
    for number in range(count):
        parts = []
        for _ in range(rng.randrange(1, 10)):
            whole, fraction = rng.randrange(10 ** rng.randrange(1, 12)), rng.randrange(1000)
            parts.append(rng.choice([rng.choice(pieces), f"{whole}", f"{whole:,}", f"{whole:,}.{fraction}", f"0{fraction}"]))
            parts.append(rng.choice(["", "", " ", ",", ".", "%", "$", "€", "£", "-", "/", "st", "º"]))
        text = "".join(parts)
        rows.append((text.translate(str.maketrans(",.", ".,")) if rng.random() < 0.5 else text, languages[number % len(languages)]))
    return rows
