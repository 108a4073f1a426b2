"""The rules of cleaning, each on rows that it must refuse and on rows that it must not."""

import numpy as np
import pytest

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Utterance
from myxtts.data.screening import judge, screen
from myxtts.data.table import Table

GOOD = {
    "reason": "",
    "detail": "",
    "seconds": 3.0,
    "clipped_share": 0.0,
    "snr_db": 40.0,
    "bandwidth_hz": 9000.0,
    "loudness_lufs": -20.0,
    "recognition_error": 0.1,
}


@pytest.fixture
def table():
    with Table() as made:
        yield made


def add(table: Table, text: str = "", speaker: str = "ann", language: str = "en", sound: str = "", seconds: float = 3.0) -> str:
    """One usable row; by default of a text and a sound that no other has."""
    number = table.count() + 1
    text = text or f"text number {number:05}"
    table.add(Utterance(f"id{number}", f"{number}.wav", text, text, speaker, language), {})
    table.note(number, f"key{number}", GOOD | {"seconds": seconds, "sound": sound or f"sound{number}"}, "", "")
    return f"id{number}"


def refused(table: Table, **settings) -> dict[str, str]:
    """Id -> reason. Rules that a test is not about let everything pass."""
    off = {"max_same_audio": None, "max_same_text": None, "max_rate_deviation": None, "min_clips_per_speaker": 1}
    screen(table, PrepareConfig(**(off | settings)))
    return {row.utterance.id: row.reason for row in table.rows("reason <> ''")}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("seconds", 0.39, "too_short"),
        ("seconds", 11.7, "too_long"),
        ("clipped_share", 0.5, "clipped"),
        ("snr_db", 1.0, "noisy"),
        ("bandwidth_hz", 3400.0, "narrow_band"),
    ],
)
def test_a_limit_refuses_and_says_value_limit_and_parameter(name, value, reason):
    settings = PrepareConfig()
    assert judge(GOOD, settings) == ("", "")
    found, detail = judge(GOOD | {name: value}, settings)
    assert found == reason and "expected at" in detail and "(prepare." in detail and f"{value:.2f}" in detail


def test_rules_are_off_where_their_parameter_is_empty_or_nothing_was_measured():
    bad = GOOD | {"clipped_share": 0.9, "snr_db": -5.0, "bandwidth_hz": 100.0, "recognition_error": 0.9}
    off = PrepareConfig(max_clipped_share=None, min_snr_db=None, min_bandwidth_hz=None)
    assert judge(bad, off) == ("", "")
    assert judge(
        bad, PrepareConfig(max_recognition_error=0.5, **off.model_dump(include={"max_clipped_share", "min_snr_db", "min_bandwidth_hz"}))
    )[0] == ("wrong_text")
    unknown = {key: value for key, value in bad.items() if key in ("reason", "detail", "seconds")}
    assert judge(unknown, PrepareConfig()) == ("", "")
    assert judge({"reason": "silent", "detail": "why"}, PrepareConfig()) == ("silent", "why")


def test_the_same_sound_again(table):
    first, second, third, other = (add(table, "the text", sound=sound) for sound in ("a", "a", "a", "b"))
    assert refused(table, max_same_audio=1) == {second: "duplicate_audio", third: "duplicate_audio"}
    (row, _) = table.rows("reason <> ''")
    assert row.detail == f"the very same sound as {first} (prepare.max_same_audio: 1)"
    assert other not in {row.utterance.id for row in table.rows("reason <> ''")}


def test_a_number_of_same_sounds_may_be_allowed(table):
    ids = [add(table, "the text", sound="a") for _ in range(4)]
    assert refused(table, max_same_audio=3) == {ids[3]: "duplicate_audio"}


def test_one_sound_with_two_texts_is_not_believed_at_all(table):
    first, second = add(table, "one", sound="a"), add(table, "two", sound="a")
    add(table)
    assert refused(table, max_same_audio=1) == {first: "duplicate_audio", second: "duplicate_audio"}


def test_one_sound_of_two_speakers_is_not_believed_either(table):
    first, second = add(table, "one", speaker="ann", sound="a"), add(table, "one", speaker="bob", sound="a")
    assert refused(table, max_same_audio=1) == {first: "duplicate_audio", second: "duplicate_audio"}


def test_the_same_text_by_the_same_speaker(table):
    first, again = add(table, "hello"), add(table, "hello")
    add(table, "hello", speaker="bob")
    assert refused(table, max_same_text=1) == {again: "duplicate_text"}
    (row,) = table.rows("reason <> ''")
    assert row.detail == f"the same speaker and text as {first} (prepare.max_same_text: 1)"


def test_texts_that_do_not_belong_to_their_sound(table):
    rng = np.random.default_rng(0)
    for _ in range(300):
        add(table, seconds=1.5 * float(np.exp(0.2 * rng.standard_normal())))  # 15 characters: 10 a second
    fast, slow = add(table, "a very long text that nobody can say in so little time " * 3, seconds=1.0), add(table, "no", seconds=4.0)
    for _ in range(300):
        add(table, language="fa", seconds=6.0)  # slow, as everyone in this language
    found = refused(table, max_rate_deviation=4.0)
    assert found[fast] == found[slow] == "odd_rate" and len(found) <= 4
    detail = next(row.detail for row in table.rows(f"id = '{fast}'"))
    assert detail.startswith("129.0 characters a second, expected 4") and "prepare.max_rate_deviation" in detail


def test_the_limits_of_the_rate_are_handed_on(table):
    for number in range(101):
        add(table, seconds=1.5 * float(np.exp(0.01 * (number - 50))))  # 15 characters: the logarithms are even around that of 10
    for _ in range(30):
        add(table, language="fa", seconds=3.0)  # 5 a second, all of them
    for _ in range(10):
        add(table, language="tr")
    limits = screen(table, PrepareConfig(max_rate_deviation=2.0))
    spread = 1.4826 * 0.25  # of logarithms from -0.5 to 0.5, half are nearer than 0.25 to the middle
    assert limits["en"] == pytest.approx((10 * np.exp(-2 * spread), 10 * np.exp(2 * spread)))
    assert limits["fa"] == pytest.approx((5 * np.exp(-0.2), 5 * np.exp(0.2))), "no narrower than a spread of 0.1"
    assert set(limits) == {"en", "fa"}


def test_a_rule_that_is_off_has_no_limits(table):
    for _ in range(30):
        add(table)
    assert screen(table, PrepareConfig(max_rate_deviation=None)) == {}


def test_few_clips_have_no_usual_rate(table):
    for _ in range(10):
        add(table)
    add(table, "word " * 40, seconds=1.0)
    assert refused(table, max_rate_deviation=4.0) == {}


def test_speakers_of_too_few_clips(table):
    for speaker, count in (("ann", 3), ("bob", 2), ("eve", 1)):
        for _ in range(count):
            add(table, speaker=speaker)
    assert refused(table, min_clips_per_speaker=3) == {"id4": "few_clips", "id5": "few_clips", "id6": "few_clips"}
    assert next(row.detail for row in table.rows("id = 'id4'")) == (
        "speaker bob: usable clips 2, expected at least 3 (prepare.min_clips_per_speaker)"
    )


def test_only_clips_that_passed_count_for_their_speaker(table):
    add(table, "hello"), add(table, "hello")
    assert refused(table, max_same_text=1, min_clips_per_speaker=2) == {"id2": "duplicate_text", "id1": "few_clips"}
