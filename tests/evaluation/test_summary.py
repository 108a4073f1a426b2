"""Means and their intervals."""

import numpy as np
import pytest

from myxtts.data.manifest import Utterance
from myxtts.evaluation.rows import Row
from myxtts.evaluation.summary import bootstrap, flat, summarise


def row(language, error, stopped=True, speech="speech", **omitted):
    metrics = {} if omitted else {f"{speech}/phone_error_rate": error, "ground_truth/phone_error_rate": 0.1}
    clip = Utterance("x", "x.wav", "hello", "hello", "ann", language)
    return Row(clip, clip, speech, metrics=metrics, omitted=omitted, stopped=stopped)


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(1), 0
    for trial in range(200):
        low, high = bootstrap(rng.normal(3.0, 1.0, 40), trial)
        hits += low <= 3.0 <= high
    assert 180 <= hits <= 199
    assert bootstrap([2.0], 0) == (2.0, 2.0)
    assert bootstrap([1.0, 2.0, 3.0], 5) == bootstrap([1.0, 2.0, 3.0], 5)


def test_languages_are_summed_up_apart_where_there_are_several():
    lines = summarise([row("en", 0.1), row("en", 0.3), row("fa", 0.8)], seed=1)
    means = flat(lines)
    assert means["speech/phone_error_rate"] == pytest.approx(0.4)
    assert means["speech/en/phone_error_rate"] == pytest.approx(0.2) and means["speech/fa/phone_error_rate"] == pytest.approx(0.8)
    whole = next(line for line in lines if line["metric"] == "speech/phone_error_rate" and not line["language"])
    assert whole["sentences"] == 3 and whole["low"] < 0.4 < whole["high"]
    assert not any(line["language"] for line in summarise([row("en", 0.1), row("en", 0.3)], seed=1))


def test_failures_are_what_was_not_said_not_ended_or_not_understood():
    rows = [row("en", 0.1), row("en", 0.9), row("en", 0.1, stopped=False), row("en", 0.0, speech_error="x", speech="speech")]
    rows[3].omitted = {"speech": "too long"}
    assert flat(summarise(rows, seed=1))["speech/failure_rate"] == 0.75
