import json
import threading
import time

import pytest
from mlflow.exceptions import MlflowException

from myxtts.tracking.spool import Spool, deliver_spools
from myxtts.tracking.store import ensure_store
from myxtts.tracking.writer import MetricWriter


class Tracker:
    """Stands where MlflowClient stands: up, down, refusing or hanging as a test wants."""

    def __init__(self):
        self.points, self.batches, self.mode = [], 0, "up"
        self.release = threading.Event()

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        if self.mode == "down":
            raise ConnectionError("connection refused")
        if self.mode == "refuse":
            raise MlflowException.invalid_parameter_value("no such run")
        if self.mode == "hang":
            self.release.wait(600)
            raise ConnectionError("timed out")
        self.batches += 1
        self.points += [(metric.key, metric.value, metric.step) for metric in metrics]


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "stage")


def spooled(spool):
    if not spool.path.exists():
        return []
    return [(key, value, step) for line in spool.path.read_text().splitlines() for key, value, _, step in json.loads(line)["metrics"]]


def test_all_steps_arrive_in_few_batches(spool):
    tracker = Tracker()
    writer = MetricWriter(tracker, "r", spool, flush_seconds=60)
    for step in range(300):
        writer.log({"train/loss": step / 2, "train/lr": 0.1}, step)
    assert writer.close()
    assert tracker.points[::2] == [("train/loss", step / 2, step) for step in range(300)]
    assert tracker.batches == 1
    assert not spool.waiting()


def test_metrics_are_sent_without_being_asked(spool):
    tracker = Tracker()
    writer = MetricWriter(tracker, "r", spool, flush_seconds=0.05)
    writer.log({"a": 1}, 1)
    deadline = time.monotonic() + 120
    while not tracker.points and time.monotonic() < deadline:
        time.sleep(0.02)
    assert tracker.points == [("a", 1.0, 1)]
    writer.close()


def test_nonfinite_values_are_dropped_and_counted(spool):
    tracker = Tracker()
    writer = MetricWriter(tracker, "r", spool)
    writer.log({"a": float("nan"), "b": 2.0}, 1)
    writer.log({"a": float("-inf"), "b": float("inf"), "c": "not a number"}, 2)
    writer.close()
    assert tracker.points == [("b", 2.0, 1), ("train/nonfinite", 1.0, 1), ("train/nonfinite", 2.0, 2)]


def test_a_name_that_mlflow_would_refuse_does_not_cost_the_batch(project, client, spool):
    run_id = client.create_run(ensure_store(project, "e")).info.run_id
    writer = MetricWriter(client, run_id, spool)
    writer.log({"loss@1 (50%)": 1.0, "good": 2.0}, 1)
    assert writer.close()
    assert client.get_run(run_id).data.metrics == {"loss_1 _50__": 1.0, "good": 2.0}


def test_logging_neither_raises_nor_waits_while_the_tracker_hangs(spool):
    tracker = Tracker()
    tracker.mode = "hang"
    writer = MetricWriter(tracker, "r", spool, flush_seconds=0.01)
    writer.log({"a": 1}, 1)
    time.sleep(0.2)
    start = time.monotonic()
    for step in range(2, 102):
        writer.log({"a": 1}, step)
    assert time.monotonic() - start < 1
    assert not writer.flush(timeout=0.2)
    assert {step for _, _, step in spooled(spool)} == set(range(1, 102)), "in flight and waiting: all safe on the disk"
    start = time.monotonic()
    writer.log({"a": 1}, 102)
    assert not writer.flush(timeout=100)
    assert time.monotonic() - start < 60, "a tracker known to hang is not waited for again"
    tracker.release.set()
    writer.close()
    assert 102 in {step for _, _, step in spooled(spool)}


def test_an_outage_goes_to_the_spool_and_is_made_good_in_the_same_run(spool, monkeypatch):
    monkeypatch.setattr("myxtts.tracking.writer._FIRST_PAUSE", 0.05)
    tracker = Tracker()
    tracker.mode = "down"
    writer = MetricWriter(tracker, "r", spool, flush_seconds=0.01)
    writer.log({"a": 1}, 1)
    assert not writer.flush()
    assert spooled(spool) == [("a", 1.0, 1)]
    assert writer.down
    tracker.mode = "up"
    deadline = time.monotonic() + 120
    while writer.down and time.monotonic() < deadline:
        time.sleep(0.02)
    assert tracker.points == [("a", 1.0, 1)]
    assert not spool.waiting()
    writer.log({"a": 2}, 2)
    assert writer.close()
    assert tracker.points[1:] == [("a", 2.0, 2)]


def test_the_next_start_delivers_and_a_point_sent_twice_is_stored_once(project, client):
    run_id = client.create_run(ensure_store(project, "e")).info.run_id
    spool = Spool(project / "checkpoints" / "gpt" / "abc")
    down = Tracker()
    down.mode = "down"
    writer = MetricWriter(down, run_id, spool)
    for step in (1, 2):
        writer.log({"a": step}, step)
    writer.close()
    spool.add(json.loads(line) for line in spool.path.read_text().splitlines())
    assert deliver_spools(project, client) == 2
    assert [(point.step, point.value) for point in client.get_metric_history(run_id, "a")] == [(1, 1.0), (2, 2.0)]
    assert not spool.waiting()


def test_delivery_stops_at_a_failure_and_keeps_the_rest(spool):
    rows = [{"kind": "metrics", "run": "r", "metrics": [["a", step, 0, step]]} for step in range(3)]
    spool.add(rows)
    tracker = Tracker()

    def twice(run_id, metrics=(), **_):
        if len(tracker.points) == 1:
            raise ConnectionError("gone")
        tracker.points += metrics

    tracker.log_batch = twice
    assert spool.deliver(tracker) == 1
    spool.add([{"kind": "metrics", "run": "r", "metrics": [["a", 3, 0, 3]]}])
    del tracker.log_batch
    assert spool.deliver(tracker) == 3
    assert [point[2] for point in tracker.points[1:]] == [1, 2, 3]
    assert not spool.waiting()


def test_what_can_never_be_delivered_is_set_aside(spool):
    spool.add([{"kind": "metrics", "run": "r", "metrics": [["a", 1, 0, 1]]}])
    with spool.path.open("a") as file:
        file.write('{"kind": "metr')
    tracker = Tracker()
    tracker.mode = "refuse"
    spool.deliver(tracker)
    assert not spool.waiting()
    assert len((spool.folder / "spool.refused.jsonl").read_text().splitlines()) == 2


def test_a_full_disk_and_a_dead_tracker_lose_metrics_but_not_the_training(spool, monkeypatch, caplog):
    tracker = Tracker()
    tracker.mode = "down"
    monkeypatch.setattr(spool, "add", lambda rows: (_ for _ in ()).throw(OSError("no space left on device")))
    writer = MetricWriter(tracker, "r", spool)
    writer.log({"a": 1}, 1)
    writer.close()
    assert "are lost" in caplog.text
