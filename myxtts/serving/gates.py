"""Gates: whether a version's figures are good enough, by themselves and beside the champion's."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from myxtts.config.stages import GateConfig
from myxtts.tracking.runs import aligned, has_better, higher_is_better

MACHINE_DEPENDENT = ("real_time_factor",)  # in the name of figures that another machine would have measured otherwise


@dataclass(frozen=True)
class Figures:
    """Metrics of a version, as measured on one evaluation set and one machine; `""` where that is not known."""

    metrics: Mapping[str, float]
    evaluation_set: str = ""
    machine: str = ""
    languages: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()  # metrics that were measured on data of the version's own


@dataclass(frozen=True)
class Outcome:
    """What a gate said of a metric. `champion` is None where there was nothing to compare with; `reason` says what failed, or why not."""

    metric: str
    rule: str
    value: float | None
    champion: float | None
    passed: bool
    reason: str = ""


def check_gates(gates: Mapping[str, GateConfig], candidate: Figures, champion: Figures | None) -> list[Outcome]:
    """One outcome for each gate. A metric that the candidate lacks fails; one that the champion lacks, or that it has of another
    evaluation set or (of a speed) from another machine, is judged by itself alone."""
    return [_check(metric, gate, candidate, champion) for metric, gate in gates.items()]


def gates_table(outcomes: Sequence[Outcome]) -> str:
    """Outcomes as a table of text."""
    heads = ("metric", "this version", "champion", "gate", "")
    rows = [heads] + [(item.metric, _number(item.value), _number(item.champion), item.rule, verdict(item)) for item in outcomes]
    return "\n".join(aligned(rows))


def verdict(item: Outcome) -> str:
    """`passed` or `REFUSED`, with the reason."""
    return ("passed" if item.passed else "REFUSED") + (f": {item.reason}" if item.reason else "")


def _check(metric: str, gate: GateConfig, candidate: Figures, champion: Figures | None) -> Outcome:
    rule, value = _rule(gate), candidate.metrics.get(metric)
    if value is None:
        return Outcome(metric, rule, None, None, False, _why_missing(metric, candidate))
    if not math.isfinite(value):  # compares with nothing, and would pass
        return Outcome(metric, rule, value, None, False, "not a finite number")
    theirs = champion.metrics.get(metric) if champion else None
    incomparable = _incomparable(metric, theirs, candidate, champion) if champion else "no champion yet"
    shown = None if incomparable else theirs
    if gate.max is not None and value > gate.max:
        return Outcome(metric, rule, value, shown, False, f"above {gate.max:g}")
    if gate.min is not None and value < gate.min:
        return Outcome(metric, rule, value, shown, False, f"below {gate.min:g}")
    if gate.worse_by is None:
        return Outcome(metric, rule, value, shown, True)
    if not has_better(metric):
        return Outcome(metric, rule, value, shown, False, "neither more nor less of it is better: use min and max instead of worse_by")
    if incomparable:
        return Outcome(metric, rule, value, None, True, incomparable if champion is None else f"not compared: {incomparable}")
    worse = theirs - value if _more_is_better(metric, gate) else value - theirs
    # figures are stored with six digits: equal ones must not differ by the last
    failed = worse > gate.worse_by + 1e-6 * max(abs(value), abs(theirs))
    return Outcome(metric, rule, value, theirs, not failed, f"worse than the champion by {worse:.4g}" if failed else "")


def _incomparable(metric: str, theirs: float | None, candidate: Figures, champion: Figures) -> str:
    if theirs is None or not math.isfinite(theirs):
        return "the champion was not measured by it" if theirs is None else f"the champion's is {theirs}"
    if metric in candidate.own | champion.own:
        return "each was measured on its own training's validation set"
    if not candidate.evaluation_set or candidate.evaluation_set != champion.evaluation_set:
        return "it is not known that both were measured on the same data"
    if any(name in metric for name in MACHINE_DEPENDENT) and (not candidate.machine or candidate.machine != champion.machine):
        return "measured on different machines (--evaluate measures both here)"
    return ""


def _why_missing(metric: str, candidate: Figures) -> str:
    from myxtts.evaluation.metrics import METRICS  # here, for it brings TensorFlow with it

    judge = METRICS.get(metric.rpartition("/")[2])
    if judge and judge.languages and candidate.languages and not set(judge.languages) & set(candidate.languages):
        speaks = ", ".join(candidate.languages)
        return f"it judges {', '.join(judge.languages)}, and this version speaks {speaks}: gate another metric (promotion.gates)"
    near = difflib.get_close_matches(metric, candidate.metrics, n=1)
    return f"not measured; {f'did you mean {near[0]}?' if near else 'is its package installed?'}"


def _more_is_better(metric: str, gate: GateConfig) -> bool:
    if (gate.min is None) != (gate.max is None):
        return gate.min is not None
    return higher_is_better(metric)


def _rule(gate: GateConfig) -> str:
    parts = [f"{name} {value:g}" for name, value in (("max", gate.max), ("min", gate.min)) if value is not None]
    return ", ".join([*parts, *([f"worse by {gate.worse_by:g} at most"] if gate.worse_by is not None else [])])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
