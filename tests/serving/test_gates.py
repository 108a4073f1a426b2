"""Gates: absolute ones, and beside the champion."""

import pytest
from pydantic import ValidationError

from myxtts.config.stages import GateConfig, PromotionConfig
from myxtts.serving.gates import Figures, check_gates, gates_table

MINE = Figures({"speech/phone_error_rate": 0.3, "gpt/wrong_text_gap": 1.0, "speech/real_time_factor": 2.0}, "set1", "two cores")


def check(metric: str, champion: Figures | None = None, candidate: Figures = MINE, **gate):
    (outcome,) = check_gates({metric: GateConfig(**gate)}, candidate, champion)
    return outcome


def champion(value: float, metric: str = "speech/phone_error_rate", tested_on: str = "set1", machine: str = "two cores") -> Figures:
    return Figures({metric: value}, tested_on, machine)


@pytest.mark.parametrize(
    ("metric", "gate", "passed"),
    [
        ("speech/phone_error_rate", {"max": 0.3}, True),
        ("speech/phone_error_rate", {"max": 0.29}, False),
        ("gpt/wrong_text_gap", {"min": 1.0}, True),
        ("gpt/wrong_text_gap", {"min": 1.01}, False),
        ("gpt/wrong_text_gap", {"min": 0.5, "max": 0.9}, False),
    ],
)
def test_absolute_gates(metric, gate, passed):
    assert check(metric, **gate).passed is passed


def test_a_metric_that_was_not_measured_fails():
    outcome = check("speech/phone_eror_rate", max=1)
    assert not outcome.passed and "not measured" in outcome.reason


@pytest.mark.parametrize("gate", [{"max": 0.9}, {"min": 0.5}, {"worse_by": 0.1}])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_fails_every_gate(gate, value):
    outcome = check("speech/mel_distance", champion(1.0, "speech/mel_distance"), Figures({"speech/mel_distance": value}, "set1"), **gate)
    assert not outcome.passed and "finite" in outcome.reason


def test_a_champion_without_a_number_is_not_compared_with():
    outcome = check("speech/phone_error_rate", champion(float("nan")), worse_by=0.1)
    assert outcome.passed and "the champion's is nan" in outcome.reason


def test_gates_are_numbers():
    for bad in ({"max": float("nan")}, {"min": float("inf")}, {"worse_by": float("nan")}, {"worse_by": -1}):
        with pytest.raises(ValidationError):
            GateConfig(**bad)


def test_what_is_better_neither_way_is_not_compared():
    candidate = Figures({"speech/length_ratio": 0.4}, "set1")
    outcome = check("speech/length_ratio", champion(0.6, "speech/length_ratio"), candidate, worse_by=0.5)
    assert not outcome.passed and "use min and max" in outcome.reason
    assert check("speech/length_ratio", None, candidate, min=0.3, max=1.7).passed


def test_a_misspelt_metric_is_answered_with_the_nearest():
    assert "did you mean speech/phone_error_rate?" in check("speech/phone_eror_rate", max=1).reason


def test_the_champions_figure_is_shown_where_it_compares():
    assert check("speech/phone_error_rate", champion(0.4), max=0.5).champion == 0.4
    assert check("speech/phone_error_rate", champion(0.4, tested_on="set2"), max=0.5).champion is None


def test_a_bare_number_is_answered_with_what_to_write():
    with pytest.raises(ValidationError, match=r"write \{max: 0.5\} or \{min: 0.5\}"):
        PromotionConfig(gates={"speech/phone_error_rate": 0.5})


def test_a_metric_that_knows_none_of_the_languages_says_so():
    persian = Figures({}, "set1", languages=("fa",))
    outcome = check("speech/phone_error_rate", candidate=persian, max=0.9)
    assert not outcome.passed and "it judges en, and this version speaks fa" in outcome.reason


@pytest.mark.parametrize(
    ("metric", "theirs", "worse_by", "passed"),
    [
        ("speech/phone_error_rate", 0.25, 0.05, True),  # less is better
        ("speech/phone_error_rate", 0.24, 0.05, False),
        ("speech/phone_error_rate", 0.9, 0.0, True),
        ("gpt/wrong_text_gap", 1.1, 0.1, True),  # more is better
        ("gpt/wrong_text_gap", 1.2, 0.1, False),
        ("gpt/wrong_text_gap", 0.1, 0.0, True),
    ],
)
def test_beside_the_champion(metric, theirs, worse_by, passed):
    outcome = check(metric, champion(theirs, metric), worse_by=worse_by)
    assert outcome.passed is passed and outcome.champion == theirs


def test_min_and_max_say_which_value_is_better_where_the_name_does_not():
    candidate = Figures({"x": 1.0}, "set1")
    assert not check("x", Figures({"x": 2.0}, "set1"), candidate, min=0, worse_by=0.5).passed
    assert check("x", Figures({"x": 2.0}, "set1"), candidate, max=9, worse_by=0.5).passed


@pytest.mark.parametrize(
    ("metric", "other", "why"),
    [
        ("speech/phone_error_rate", champion(0.0, tested_on="set2"), "same data"),
        ("speech/phone_error_rate", champion(0.0, tested_on=""), "same data"),
        ("speech/phone_error_rate", champion(0.0, metric="other"), "champion was not measured"),
        ("speech/real_time_factor", champion(0.1, "speech/real_time_factor", machine="a GPU"), "different machines"),
    ],
)
def test_what_does_not_compare_is_said_and_not_compared(metric, other, why):
    outcome = check(metric, other, worse_by=0)
    assert outcome.passed and outcome.champion is None and why in outcome.reason


def test_speeds_of_one_machine_do_compare():
    assert not check("speech/real_time_factor", champion(0.1, "speech/real_time_factor"), worse_by=1).passed


def test_the_table_shows_figures_rules_and_verdicts():
    gates = {"speech/phone_error_rate": GateConfig(max=0.5, worse_by=0.05), "gpt/wrong_text_gap": GateConfig(min=2)}
    lines = gates_table(check_gates(gates, MINE, champion(0.1))).splitlines()
    assert lines[0].split() == ["metric", "this", "version", "champion", "gate"]
    assert lines[1].split()[:3] == ["speech/phone_error_rate", "0.3", "0.1"] and "REFUSED: worse than the champion by 0.2" in lines[1]
    assert "max 0.5, worse by 0.05 at most" in lines[1]
    assert lines[2].split()[:3] == ["gpt/wrong_text_gap", "1", "-"] and "REFUSED: below 2" in lines[2]
