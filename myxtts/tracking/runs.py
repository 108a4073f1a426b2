"""What the runs of a project have in common and where they differ: the table of `myxtts runs`, the answer of `myxtts best`."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from myxtts.config import TrackingError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.tracking.local import open_local
from myxtts.tracking.queries import ClientQueries, Queries, Run
from myxtts.tracking.store import experiment_url, main_checkout, open_store, sqlite_path, tracking_uri

# what these words are in the name of is better when it is higher; of all else (losses, errors, distances, times) when it is lower
HIGHER_IS_BETTER = re.compile(r"accuracy|similarity|gap|mos\b|naturalness|recognised|per_second|codes_used|stopped_share|judged_share")
NEITHER_IS_BETTER = re.compile(r"length_ratio|(^|/)step$|^sentences$|^(system|hardware|data|perf)/|/lr/|grad_norm")
# params that say how a machine was used, not what was trained
OF_THE_MACHINE = ("suggested.", "hardware.", "tracking.", "loop.")
# nor those of a promotion, and those that `mlflow run` was given, which are what params.yaml says in other words
NOT_COMPARED = (*OF_THE_MACHINE, "promotion.")
OF_MLFLOW_RUN = ("set", "target")
SHOWN_PARAMS = 8
# columns of the table where none are asked for: what chooses a stage's best checkpoint, and what the voice is judged by
DEFAULT_METRICS = ("best/val/reconstruction_loss", "best/val/mel_loss", "speech/phone_error_rate")


@dataclass(frozen=True)
class Best:
    """The lowest (or highest) value of a metric over all runs, and where it is: a checkpoint, or a run that has it as a whole."""

    metric: str
    value: float
    run: Run
    step: int | None = None
    path: Path | None = None


@contextmanager
def open_queries(root: Path, experiment: str) -> Iterator[Queries]:
    """Queries on an experiment of the store of `root`: straight from its tables where they can be read so, else by MLflow's client.

    Makes the store and the experiment if need be. Raises TrackingError.
    """
    uri = tracking_uri(root)
    with open_local(sqlite_path(uri), experiment) if uri.startswith("sqlite") else nullcontext() as local:
        yield local or ClientQueries(*open_store(root, experiment))


def has_better(metric: str) -> bool:
    """Whether more or less of a metric is better at all: of a count, a length or the load of the machine neither is."""
    return not NEITHER_IS_BETTER.search(metric)


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better, by its name."""
    return bool(HIGHER_IS_BETTER.search(metric))


def find_runs(config: XTTSConfig, root: Path, stage: str | None = None, sort: str | None = None, limit: int = 50) -> list[Run]:
    """The newest runs of `tracking.experiment`, or the best by metric `sort` first; those that lack it come last.

    stage: `dvae`, `gpt`, `decoder` or `voice`. Raises TrackingError where the store cannot be used, or no run has `sort`.
    """
    with open_queries(root, config.tracking.experiment) as queries:
        runs = queries.runs(stage, sort, bool(sort) and _direction(sort), limit)
    if sort and runs and not any(sort in run.metrics for run in runs):
        known = sorted({name for run in runs for name in run.metrics if name.startswith(sort.partition("/")[0])})
        raise TrackingError(f"no run has the metric {sort!r}; there are {', '.join(known[:20]) or 'none that begin like it'}")
    return runs


def _direction(metric: str) -> bool:
    """`higher_is_better`. Raises TrackingError where neither is."""
    if not has_better(metric):
        raise TrackingError(f"neither more nor less of {metric} is better, so none is the best; see it with: myxtts runs --metric {metric}")
    return higher_is_better(metric)


def differing_params(runs: Sequence[Run]) -> list[str]:
    """Names of the params that are not the same in all of these runs, but for those of the machine; a run may lack one."""
    names = sorted({name for run in runs for name in run.params if not name.startswith(NOT_COMPARED) and name not in OF_MLFLOW_RUN})
    return [name for name in names if len({run.params.get(name) for run in runs}) > 1]


def runs_table(runs: Sequence[Run], metrics: Sequence[str] = ()) -> str:
    """Runs as a table of text, with the values of `metrics` (default: of DEFAULT_METRICS what some have).

    Below each run stands what its params have that others of its stage do not.
    """
    if not runs:
        return "no run yet: train something (make demo, dvc repro, myxtts train)"
    metrics = metrics or [name for name in DEFAULT_METRICS if any(name in run.metrics for run in runs)]
    heads = ["run", "stage", "name", "status", "started", "took", *metrics]
    rows = [_cells(run, metrics) for run in runs]
    head, *printed = aligned([heads, *rows])
    lines = [head]
    per_stage = {stage: differing_params([run for run in runs if run.stage == stage]) for stage in {run.stage for run in runs}}
    for run, row in zip(runs, printed, strict=True):
        lines.append(row)
        differing = per_stage[run.stage]
        shown = [f"{name}={run.params.get(name, '-')}" for name in differing[:SHOWN_PARAMS]]
        if len(differing) > SHOWN_PARAMS:
            shown.append(f"and {len(differing) - SHOWN_PARAMS} more")
        if shown:
            lines.append(f"    {', '.join(shown)}")
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of text whose columns stand below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def best(config: XTTSConfig, root: Path, metric: str, stage: str | None = None) -> Best:
    """The best value of `metric` over all checkpoints of all runs, or over the runs where no checkpoint has it.

    Raises TrackingError where nothing has that metric, or where checkpoints of several stages have it: a loss of one says nothing of
    another's.
    """
    with open_queries(root, config.tracking.experiment) as queries:
        stages, highest = [stage] if stage else TRAINED_STAGES, _direction(metric)
        per_stage = {name: queries.best_checkpoint(metric, name, highest) for name in stages}
    found = {name: item for name, item in per_stage.items() if item}
    if len(found) > 1:
        raise TrackingError(
            f"{metric} is measured by {' and '.join(found)}, which cannot be compared: add --stage, say --stage {next(iter(found))}"
        )
    if found:
        checkpoint = next(iter(found.values()))
        return Best(metric, checkpoint.value, checkpoint.run, checkpoint.step, main_checkout(root) / checkpoint.path)
    runs = find_runs(config, root, stage, sort=metric)
    if not runs:
        raise TrackingError(f"no run has the metric {metric!r}: there is no run at all yet" + (f" of stage {stage}" if stage else ""))
    return Best(metric, runs[0].metrics[metric], runs[0])


def describe_best(found: Best, root: Path) -> str:
    """`best` in words, with what is left of the checkpoint and the page of its run."""
    where = f"run {found.run.id} ({found.run.name}, {found.run.stage})"
    lines = [f"{found.metric} {found.value:.6g}: {where}"]
    if found.path is not None:
        gone = "no longer kept (loop.keep_checkpoints); the stage's model has the best one's weights"
        left = f"in {found.path}" if found.path.is_dir() else gone
        lines.append(f"checkpoint of step {found.step}: {left}")
    lines.append(experiment_url(tracking_uri(root), found.run.experiment, found.run.id))
    return "\n".join(lines)


def _cells(run: Run, metrics: Sequence[str]) -> list[str]:
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started / 1000))
    took = "" if run.seconds is None else f"{run.seconds / 3600:.1f} h" if run.seconds >= 3600 else f"{run.seconds / 60:.1f} min"
    values = [f"{run.metrics[name]:.4g}" if name in run.metrics else "-" for name in metrics]
    return [run.id[:8], run.stage, run.name, run.status, started, took, *values]
