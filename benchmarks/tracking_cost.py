"""What logging to MLflow costs a training step: wall time in the loop and processor time of the sending thread.

    python benchmarks/tracking_cost.py [--steps 300] [--step-ms 100] [--metrics 8] [--log-steps 1 50] [--flush-seconds 10] [--uri URI]

The store is SQLite in a temporary folder, or the one of `--uri`: a server, say, with user and password by MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD. Its runs, in the experiment `tracking-cost`, are deleted at the end.

`log_step` 50 is the default of training; 1, every step, is the worst case.
`step_share_percent` is what a step loses: (time that `MetricWriter.log` holds up the loop + processor time of its thread
divided by the cores that a step could use) / step time. Goal: under 1 %. `core_share_percent` counts the thread's time undivided.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from myxtts.tracking.spool import Spool
from myxtts.tracking.store import ensure_store, make_client
from myxtts.tracking.writer import MetricWriter


def measure(steps: int, step_seconds: float, metrics: int, flush_seconds: float, log_step: int) -> dict[str, float]:
    """Runs an empty loop of `steps` steps, as long as real ones, that log; returns ms per step and shares in percent."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        experiment_id = ensure_store(root, "tracking-cost")
        client = make_client(root)
        run_id = client.create_run(experiment_id).info.run_id
        writer = MetricWriter(client, run_id, Spool(root / "spool"), flush_seconds)
        for _ in range(3):  # SQLAlchemy compiles each statement once, a cost that no step bears
            writer.log({f"warm_up/metric_{number}": 0.0 for number in range(240)}, 0)
            writer.flush()
        time.sleep(0.2)
        before = writer.cpu_seconds
        waited = []
        for step in range(steps):
            values = {f"train/metric_{number}": step + number / 10 for number in range(metrics)}
            start = time.perf_counter()
            if step % log_step == 0:
                writer.log(values, step)
            waited.append(time.perf_counter() - start)
            time.sleep(max(0.0, step_seconds - waited[-1]))
        start = time.perf_counter()
        delivered = writer.close()
        close_seconds = time.perf_counter() - start
        arrived = len(client.get_metric_history(run_id, "train/metric_0"))
        client.set_terminated(run_id)
        client.delete_run(run_id)
    if not delivered or arrived != len(range(0, steps, log_step)):
        raise SystemExit(f"only {arrived} reports of {steps} steps arrived: the figures would mean nothing")
    wall, cpu = sum(waited) / steps, (writer.cpu_seconds - before) / steps
    return {
        "log_step": log_step,
        "wall_ms_per_step": 1000 * wall,
        "wall_ms_worst": 1000 * max(waited),
        "thread_cpu_ms_per_step": 1000 * cpu,
        "close_ms": 1000 * close_seconds,
        "core_share_percent": 100 * (wall + cpu) / step_seconds,
        "step_share_percent": 100 * (wall + cpu / (os.cpu_count() or 1)) / step_seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--step-ms", type=float, default=100.0)
    parser.add_argument("--metrics", type=int, default=8)
    parser.add_argument("--log-steps", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--flush-seconds", type=float, default=10.0)
    parser.add_argument("--uri", help="the store, in place of SQLite in a temporary folder")
    options = parser.parse_args()
    if options.uri:
        os.environ["MLFLOW_TRACKING_URI"] = options.uri
    else:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    for log_step in options.log_steps:
        result = measure(options.steps, options.step_ms / 1000, options.metrics, options.flush_seconds, log_step)
        print(json.dumps({key: round(value, 3) for key, value in result.items()}, indent=1), flush=True)


if __name__ == "__main__":
    main()
