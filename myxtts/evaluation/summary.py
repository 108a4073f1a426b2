"""Means of an evaluation, by kind of audio and language, each with the interval in which it would lie with other sentences."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from myxtts.evaluation.choice import SPEECH_OF
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.rows import Row

RESAMPLES = 2000
CONFIDENCE = 0.95


def bootstrap(values: Sequence[float], seed: int) -> tuple[float, float]:
    """95 % interval of the mean of values (N,) by the percentile bootstrap (Efron 1979): from N draws with replacement, RESAMPLES times.

    Says how much the choice of sentences matters, not that of the seed or the training run. Deterministic for one seed. One value says
    nothing of its spread: its interval is itself.
    """
    values = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def summarise(rows: Sequence[Row], seed: int) -> list[dict[str, Any]]:
    """{metric, language, mean, low, high, sentences} for each `<kind>/<metric>`: language "" = all, then each where there are several.

    Shares of failures count every sentence of the kind, means of a metric those that it could judge.
    """
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    several = len({row.utterance.language for row in rows}) > 1
    for row in rows:
        measured = row.metrics | {f"{row.speech}/failure_rate": float(row.failed)}
        for name, value in measured.items():
            for language in ("", row.utterance.language) if several else ("",):
                values[name, language].append(value)
    return [_line(*key, values[key], seed) for key in sorted(values, key=lambda key: (key[1], key[0]))]


def _line(metric: str, language: str, values: list[float], seed: int) -> dict[str, Any]:
    low, high = bootstrap(values, seed)
    return {
        "metric": metric,
        "language": language,
        "mean": float(np.mean(values)),
        "low": low,
        "high": high,
        "sentences": len(values),
    }


def flat(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """{`<kind>/<metric>` or `<kind>/<language>/<metric>`: mean}."""
    return dict(sorted((flat_name(line), line["mean"]) for line in lines))


def flat_name(line: dict[str, Any]) -> str:
    """`<kind>/<metric>`, or `<kind>/<language>/<metric>` of a line that is of one language."""
    kind, _, metric = line["metric"].partition("/")
    return f"{kind}/{line['language']}/{metric}" if line["language"] else line["metric"]


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """What is said of a kind as a whole: judged_share, stopped_share, real_time_factor, and how many sentences there were."""
    means: dict[str, float] = {}
    for kind in SPEECH_OF.values():
        means |= _shares([row for row in rows if row.speech == kind], kind)
    return means


def _shares(rows: list[Row], kind: str) -> dict[str, float]:
    if not rows:
        return {}
    spoken = [row for row in rows if kind not in row.omitted]
    means = {f"{kind}/judged_share": judged_share(rows, kind), f"{kind}/stopped_share": sum(row.stopped for row in spoken) / len(rows)}
    if kind == "speech" and (duration := sum(row.speech_seconds for row in spoken)) and any(row.work_seconds for row in spoken):
        means["speech/real_time_factor"] = sum(row.work_seconds for row in spoken) / duration
    return means | {"sentences" + kind.removeprefix("speech"): len(rows)}


def judged_share(rows: list[Row], kind: str = "speech") -> float:
    """Sentences that were spoken and judged by every metric, by all. Means are over what could be judged: a model could hide its failures.

    A metric that judged nothing at all, not even a recording (its package is missing), says nothing of the model. Nor does one that needs a
    reference and cannot judge even that: `rows.measure` leaves it out of the sentence, not of its speech.
    """
    measured = {name.rpartition("/")[2] for row in rows for name in row.metrics}

    def lacks(name: str) -> bool:
        of, _, metric = name.rpartition("/")
        return name == kind or (of == kind and (metric in measured or METRICS[metric].needs == "reference"))

    return sum(not any(map(lacks, row.omitted)) for row in rows) / len(rows)
