"""How long the commands that read the MLflow store take when it is full: 100,000 steps x 8 metrics x 20 runs.

    python benchmarks/store_scale.py [--folder out/store_scale] [--steps 100000] [--runs 20] [--rounds 5] [--before OTHER_CHECKOUT]

The runs, their params and tags, and a checkpoint every 5000 steps are recorded by the project's own code; the histories are then
written straight into MLflow's tables, since sending 16 million points takes hours. The folder (4.3 GB, two minutes) is kept and used again.
Each command is a process of its own, as a user starts it. `imports` is the share of it that Python spends on importing modules,
by one further run under -X importtime. `--before`: another checkout of this repository, whose commands run in turn with these.
Goal: `runs` and `best` under 2 s. Processor time is the sturdier figure on a machine that is shared.
"""

import argparse
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from myxtts.config import XTTSConfig
from myxtts.tracking.run import stage_run
from myxtts.tracking.store import tracking_uri

CHECKOUT = Path(__file__).resolve().parents[1]
STAGES = ("gpt", "gpt", "gpt", "decoder", "dvae")  # of the runs, in turn
VALIDATED = "val/mel_loss"
METRICS = ("train/mel_loss", "train/text_loss", "train/loss", "train/mel_accuracy", "train/lr/gpt", "train/grad_norm/gpt", "perf/step_ms")
CHECKPOINT_STEPS = 5000
STEP_MS = 500  # of the recorded training, between two points


def record_run(root: Path, number: int, steps: int) -> str:
    """A run as training records it, with its checkpoints and the last value of each metric; returns its id."""
    stage = STAGES[number % len(STAGES)]
    config = XTTSConfig.load(root / "params.yaml", [f"training.{stage}.learning_rate={(number + 1) * 1e-5}", f"seed={number}"])
    folder = root / "checkpoints" / stage / str(number)
    with stage_run(config, stage, root, folder) as run:
        for step in range(CHECKPOINT_STEPS, steps + 1, CHECKPOINT_STEPS):
            checkpoint = folder / f"ckpt-{step:08d}"
            checkpoint.mkdir(parents=True)
            validated = {VALIDATED: 1 + (number + 1) * 100 / step}
            run.metrics(validated, step)
            run.checkpoint(step, checkpoint, validated)
        run.metrics(dict.fromkeys(METRICS, 1.0), steps)
    return run.run_id


def add_histories(database: Path, runs: list[str], steps: int) -> None:
    """Points of the steps that `record_run` left out, in the order of the table's key; the indexes are made anew afterwards."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        made_by_mlflow = "type = 'index' AND tbl_name = 'metrics' AND sql IS NOT NULL"
        indexes = connection.execute(f"SELECT name, sql FROM sqlite_master WHERE {made_by_mlflow}").fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        connection.execute("CREATE TEMP TABLE steps (step INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO steps VALUES (?)", ((step,) for step in range(1, steps)))
        first = int(time.time() * 1000) - len(runs) * steps * STEP_MS
        for metric in sorted((*METRICS, VALIDATED)):
            for number, run in enumerate(runs):
                connection.execute(
                    "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                    "SELECT ?, 1 + 1000.0 / (step + 100), ? + step * ?, ?, step, 0 FROM steps WHERE ? != ? OR step % ? != 0",
                    (metric, first + number * steps * STEP_MS, STEP_MS, run, metric, VALIDATED, CHECKPOINT_STEPS),
                )
        for _, sql in indexes:
            connection.execute(sql)
        connection.commit()


def build(root: Path, runs: int, steps: int) -> None:
    """The project folder with its full store, unless it is there already."""
    done = root / "built"
    if done.is_file():
        return
    root.mkdir(parents=True)  # fails where an earlier build was cut off: its store is no store to measure
    (root / "params.yaml").write_text((CHECKOUT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    add_histories(root / "mlflow.db", [record_run(root, number, steps) for number in range(runs)], steps)
    done.touch()


def measure(checkout: Path, root: Path, arguments: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one command of a checkout. Its own folder comes first on the path."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "myxtts", *arguments], cwd=root, env=os.environ | {"PYTHONPATH": str(checkout)}, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"myxtts {' '.join(arguments)} of {checkout} failed with exit code {process.returncode}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime


def import_seconds(checkout: Path, root: Path, arguments: list[str]) -> float:
    """Seconds that one command spends on imports."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "myxtts", *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr
    return sum(int(microseconds) for microseconds in re.findall(r"^import time:\s+(\d+) \|", told, re.M)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("out/store_scale"))
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="another checkout of this repository, to be measured in turn")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    root = options.folder.resolve()
    build(root, options.runs, options.steps)
    with closing(sqlite3.connect(tracking_uri(root).removeprefix("sqlite:///"))) as connection:
        points = connection.execute("SELECT count(*) FROM metrics").fetchone()[0]
        first, second = (row[0] for row in connection.execute("SELECT run_uuid FROM runs ORDER BY start_time LIMIT 2"))
    print(f"{points:,} points, {(root / 'mlflow.db').stat().st_size / 1e9:.2f} GB; medians of {options.rounds} rounds, seconds")
    commands = [
        ["runs"],
        ["runs", "--sort", VALIDATED],
        ["best", "--metric", VALIDATED, "--stage", "gpt"],
        ["compare", first, second],
    ]
    checkouts = {"now": CHECKOUT} | ({"before": options.before.resolve()} if options.before else {})
    for arguments in commands:
        shown = " ".join(arguments[:3]).replace(first, "A").replace(second, "B")
        taken = {name: [] for name in checkouts}
        for _ in range(options.rounds):
            for name, checkout in checkouts.items():
                taken[name].append(measure(checkout, root, arguments))
        for name, checkout in checkouts.items():
            wall, cpu = (statistics.median(column) for column in zip(*taken[name], strict=True))
            imports = import_seconds(checkout, root, arguments)
            print(f"{name:<7}{shown:<28}wall {wall:6.2f}   processor {cpu:6.2f}   imports {imports:6.2f}", flush=True)


if __name__ == "__main__":
    main()
