"""A server that is away, hangs or comes back: training neither stops nor waits, and all of it arrives, in order, once."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ports import free_port

from myxtts.config import TrackerAway, XTTSConfig
from myxtts.tracking import offline
from myxtts.tracking import spool as module_of_spool
from myxtts.tracking.opening import read_link, resolved_link
from myxtts.tracking.run import stage_run, voice_run
from myxtts.tracking.spool import Spool, sync
from myxtts.tracking.store import ensure_store, make_client, unreachable

CONFIG = XTTSConfig.from_dict({"tracking": {"flush_seconds": 0.05, "system_seconds": None}})


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(project, port, monkeypatch):
    """`start()` a real MLflow server at the address that MLFLOW_TRACKING_URI names already."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    running = []

    def start():
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        command = [Path(sys.executable).with_name("mlflow"), "server", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{project / 'server.db'}", "--artifacts-destination", str(project / "artifacts")]
        log = (project / "server.log").open("w")
        running.append(subprocess.Popen(command, env=environment, cwd=project, stdout=log, stderr=log, start_new_session=True))
        deadline = time.monotonic() + 600
        while unreachable(f"http://127.0.0.1:{port}"):
            assert running[0].poll() is None and time.monotonic() < deadline, (project / "server.log").read_text()[-2000:]
            time.sleep(0.3)

    yield start
    for process in running:
        os.killpg(process.pid, 9)
        process.wait()


def train(project, folder, first: int, last: int, fail: bool = False):
    """A stage that logs everything there is to log."""
    with stage_run(CONFIG, "gpt", project, folder) as run:
        for step in range(first, last + 1):
            run.metrics({"train/mel_loss": 1.0 / step}, step)
        run.image("mel/val_0", np.zeros((4, 5), np.uint8), last)
        run.audio("val_0", np.zeros(100, np.float32), 8000, last)
        run.table([{"step": last, "text": "سلام"}], "samples.json")
        run.dataset("tokens-eval", "0a1b", "data/tokens", "validation", {"clips": 3})
        run.metrics({"val/mel_loss": 0.5}, last)
        run.checkpoint(last, folder, {"val/mel_loss": 0.5})
        run.write_link(project / "link.json")
        if fail:
            raise RuntimeError("out of memory")
    return run


def test_a_run_that_begins_without_a_server_arrives_whole_and_once(project, server):
    start = time.monotonic()
    run = train(project, project / "checkpoints/gpt", 1, 20)
    assert time.monotonic() - start < 120, "nothing waits for a server that is not there"
    assert run.away and offline.is_offline(read_link(project / "link.json")["run_id"])
    server()
    client = make_client(project)
    began = json.loads((project / "checkpoints/gpt/spool.jsonl").read_text().splitlines()[0])["time"]
    assert not sync(project, client).waiting
    link = resolved_link(project / "link.json", project)
    stored = client.get_run(link["run_id"])
    assert stored.info.status == "FINISHED" and stored.info.start_time == began and stored.info.end_time - began < 120_000
    assert stored.data.params["training.gpt.max_steps"] == "None"
    points = client.get_metric_history(stored.info.run_id, "train/mel_loss")
    assert [point.step for point in sorted(points, key=lambda point: point.step)] == list(range(1, 21))
    names = {item.path for item in client.list_artifacts(stored.info.run_id)}
    assert {"images", "audio", "samples.json", "packages.txt"} <= names
    assert [(item.dataset.name, item.dataset.profile) for item in stored.inputs.dataset_inputs] == [("tokens-eval", '{"clips": 3}')]
    (model,) = stored.outputs.model_outputs
    assert client.get_logged_model(model.model_id).name == "ckpt-00000020"

    assert sync(project, client).delivered == 0
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert len(client.search_runs(experiments)) == 1

    # the next stage finds the run by its link
    with voice_run(CONFIG, project, link=project / "link.json") as voice:
        assert voice.run_id == stored.info.run_id and not voice.away
        assert voice.known_as(read_link(project / "link.json")["run_id"]) == stored.info.run_id


def test_an_offline_run_that_failed_goes_on_in_the_same_run_when_the_server_is_there(project, server):
    folder = project / "checkpoints/gpt"
    with pytest.raises(RuntimeError):
        train(project, folder, 1, 5, fail=True)
    first = json.loads((folder / "run.json").read_text())["run_id"]
    with pytest.raises(RuntimeError):  # still away: the same run again
        train(project, folder, 6, 8, fail=True)
    assert json.loads((folder / "run.json").read_text())["run_id"] == first
    server()
    run = train(project, folder, 9, 12)
    assert not run.away and run.journal_id == first
    client = make_client(project)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED" and "error" not in stored.data.tags
    points = client.get_metric_history(run.run_id, "train/mel_loss")
    assert sorted(point.step for point in points) == list(range(1, 13))
    assert len(client.search_runs([stored.info.experiment_id])) == 1


def test_a_finished_offline_run_is_not_gone_on_with(project, server):
    folder = project / "checkpoints/gpt"
    train(project, folder, 1, 2)
    first = json.loads((folder / "run.json").read_text())
    assert first["finished"]
    train(project, folder, 1, 2)
    assert json.loads((folder / "run.json").read_text())["run_id"] != first["run_id"]


def test_a_run_whose_server_came_back_meanwhile_is_delivered_at_its_end(project, server):
    folder = project / "checkpoints/gpt"
    with stage_run(CONFIG, "gpt", project, folder) as run:
        run.metrics({"train/mel_loss": 1.0}, 1)
        server()
    client = make_client(project)
    assert client.get_run(offline.run_of(client, run.run_id)).info.status == "FINISHED"
    assert not run.spool.waiting()


def test_a_server_that_hangs_is_away_within_seconds(project, port, monkeypatch):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", port))
        deaf.listen(50)  # takes connections and never answers
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        start = time.monotonic()
        with pytest.raises(TrackerAway, match=r"cannot be reached.*timed out"):
            make_client(project)
        assert time.monotonic() - start < 100
        start = time.monotonic()
        run = train(project, project / "checkpoints/gpt", 1, 200)
        assert run.away and time.monotonic() - start < 100


def test_a_delivery_that_is_interrupted_goes_on_behind_the_last_row_that_arrived(project, client, monkeypatch):
    """Ctrl-C, or a kill: a table has no line twice, a checkpoint is no second model."""
    folder = project / "checkpoints/gpt"
    folder.mkdir(parents=True)
    run_id = client.create_run(ensure_store(project, "voices")).info.run_id
    spool = Spool(folder)
    point = {
        "kind": "checkpoint",
        "name": "ckpt-1",
        "step": 1,
        "tags": {},
        "type": "gpt",
        "experiment": None,
        "dataset": None,
        "metrics": [],
    }
    table = {"kind": "table", "path": "samples.json", "rows": [{"step": 1}]}
    spool.add([{"run": run_id, **table}, {"run": run_id, **point}, {"run": run_id, "kind": "tags", "tags": {"late": "yes"}}])
    real, sent = module_of_spool.send, []

    def interrupted(client, row, folder):
        if row["kind"] == "tags":
            raise KeyboardInterrupt
        sent.append(row["kind"])
        return real(client, row, folder)

    with monkeypatch.context() as patch:
        patch.setattr(module_of_spool, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spool.deliver(client)
    assert sent == ["table", "checkpoint"]
    assert spool.deliver(client) == 1 and not spool.waiting()
    stored = client.get_run(run_id)
    assert stored.data.tags["late"] == "yes" and len(stored.outputs.model_outputs) == 1
    assert json.loads(Path(client.download_artifacts(run_id, "samples.json")).read_text())["data"] == [[1]]


def test_rows_of_a_run_that_was_deleted_hold_nothing_back(project, client):
    folder = project / "checkpoints/voice"
    folder.mkdir(parents=True)
    spool = Spool(folder)
    ensure_store(project, "myxtts")
    first, make_first = offline.new_run("first", "myxtts", {})
    spool.add([make_first])
    spool.deliver(client)
    client.delete_run(offline.run_of(client, first))
    second, make_second = offline.new_run("second", "myxtts", {})
    lost = {"kind": "tags", "run": f"{offline.PREFIX}never-made", "tags": {"a": "b"}}
    spool.add([{"kind": "tags", "run": first, "tags": {"a": "b"}}, lost, make_second, {"kind": "tags", "run": second, "tags": {"a": "b"}}])
    spool.deliver(client)
    assert not spool.waiting()
    assert client.get_run(offline.run_of(client, second)).data.tags["a"] == "b"
    assert len(spool.refused.read_text().splitlines()) == 2


def test_an_older_state_does_not_come_after_the_last_one(project, client):
    """Rows of an earlier attempt wait still when the run ends."""
    folder = project / "checkpoints/gpt"
    with stage_run(CONFIG, "gpt", project, folder) as run:
        run.spool.add(
            [{"kind": "tags", "run": run.run_id, "tags": {"state": "old"}}, {"kind": "status", "run": run.run_id, "status": "KILLED"}]
        )
        run.tags({"state": "new"})
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED" and stored.data.tags["state"] == "new"


def test_a_run_shows_as_soon_as_the_server_is_back(project, server, monkeypatch):
    monkeypatch.setattr("myxtts.tracking.record._OUTAGE_SECONDS", 0.0)
    with stage_run(CONFIG, "gpt", project, project / "checkpoints/gpt") as run:
        run.metrics({"train/mel_loss": 1.0}, 1)
        assert run.away
        server()
        run.tags({"here": "yes"})
        assert not run.away
        run.metrics({"train/mel_loss": 0.5}, 2)
        assert run.flush()
        client = make_client(project)
        stored = client.get_run(run.known_as(run.run_id))
        assert stored.info.status == "RUNNING" and stored.data.tags["here"] == "yes" and stored.data.metrics["train/mel_loss"] == 0.5
        assert run.checkpoint(2, project, {"val/mel_loss": 0.4})
    assert client.get_run(stored.info.run_id).info.status == "FINISHED"


def test_a_server_that_goes_between_opening_and_making_the_run_is_away(project, client, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def gone(*arguments, **named):
        raise MlflowException("API request failed: Max retries exceeded with url: /api/2.0/mlflow/runs/create")

    monkeypatch.setattr(MlflowClient, "create_run", gone)
    with stage_run(CONFIG, "gpt", project, project / "checkpoints/gpt") as run:
        assert run.away and offline.is_offline(run.run_id)
    waiting = [json.loads(line)["kind"] for file in sorted(run.spool.folder.glob("spool*.jsonl"), reverse=True) for line in file.open()]
    assert waiting[0] == "create" and waiting[-1] == "status"
