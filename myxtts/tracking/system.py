"""Load of the machine while a run is written: processor, memory, disk, network and GPUs, as `system/…` metrics."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

log = logging.getLogger("myxtts.tracking")


@contextlib.contextmanager
def system_metrics(run: Any, started: int, seconds: float | None) -> Iterator[None]:
    """Samples the machine every `seconds` into `run`, in a thread; None = never.

    MLflow's own monitors measure, and `run` sends: a tracker that is away costs nothing, which MLflow's own thread would end at.
    started: of the run, in ms since 1970; the step of a sample is the second since then, so a resumed run's curve goes on.
    """
    if seconds is None:
        yield
        return
    stop, monitors = threading.Event(), _monitors()
    thread = threading.Thread(target=_sample, args=(run, monitors, started, seconds, stop), name="myxtts-system", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5.0)


def _monitors() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(ImportError, RuntimeError):  # no nvidia-ml-py (extra `gpu`), or no GPU
        found.append(GPUMonitor())
    return found


def _sample(run: Any, monitors: list[Any], started: int, seconds: float, stop: threading.Event) -> None:
    for monitor in monitors:  # load is measured since the last time it was asked for
        with contextlib.suppress(Exception):
            monitor.collect_metrics()
            monitor.clear_metrics()
    pause = min(1.0, seconds)  # a short run has a sample too
    while not stop.wait(pause):
        pause, values = seconds, {}
        for monitor in monitors:
            try:
                monitor.collect_metrics()
                values |= monitor.aggregate_metrics()
            except Exception as error:  # psutil, NVML and MLflow raise what they like; a training is worth more than its load
                log.warning("%s cannot measure (%s); it is left out from now on", type(monitor).__name__, error)
                monitors = [other for other in monitors if other is not monitor]
            monitor.clear_metrics()
        run.metrics({f"system/{name}": value for name, value in values.items()}, max(0, int(time.time() - started / 1000)))
