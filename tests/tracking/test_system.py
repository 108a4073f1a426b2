"""The machine's load is sampled while a run is open, stops with it, and never stops it."""

import time

from myxtts.tracking import system


class Run:
    def __init__(self):
        self.points = []

    def metrics(self, values, step):
        self.points.append((values, step))


def test_samples_are_taken_until_the_run_ends_at_the_second_since_it_began():
    run = Run()
    with system.system_metrics(run, int(time.time() * 1000) - 100_000, 0.05):
        deadline = time.monotonic() + 120
        while len(run.points) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    count = len(run.points)
    values, step = run.points[0]
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes", "system/disk_usage_percentage"} <= set(values)
    assert values["system/system_memory_usage_megabytes"] > 10
    assert 100 <= step < 300
    time.sleep(0.2)
    assert count == len(run.points) >= 3


def test_none_samples_nothing():
    run = Run()
    with system.system_metrics(run, 0, None):
        time.sleep(0.05)
    assert run.points == []


def test_a_monitor_that_fails_is_left_out_and_the_others_go_on(monkeypatch):
    class Broken:
        def collect_metrics(self):
            raise RuntimeError("no such sensor")

        def clear_metrics(self):
            pass

    class Good(Broken):
        def collect_metrics(self):
            pass

        def aggregate_metrics(self):
            return {"load": 1.0}

    monkeypatch.setattr(system, "_monitors", lambda: [Broken(), Good()])
    run = Run()
    with system.system_metrics(run, 0, 0.02):
        time.sleep(0.3)
    assert run.points and all(values == {"system/load": 1.0} for values, _ in run.points)
