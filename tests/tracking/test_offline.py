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

from myxtts.config import TrackerAway, XTTSConfig
from myxtts.tracking import offline
from myxtts.tracking.opening import read_link, resolved_link
from myxtts.tracking.run import stage_run, voice_run
from myxtts.tracking.spool import sync
from myxtts.tracking.store import make_client, unreachable

CONFIG = XTTSConfig.from_dict({"tracking": {"flush_seconds": 0.05, "system_seconds": None}})


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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
        deadline = time.monotonic() + 120
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
    assert time.monotonic() - start < 20, "nothing waits for a server that is not there"
    assert run.away and offline.is_offline(read_link(project / "link.json")["run_id"])
    server()
    client = make_client(project)
    began = json.loads((project / "checkpoints/gpt/spool.jsonl").read_text().splitlines()[0])["time"]
    assert not sync(project, client).waiting
    link = resolved_link(project / "link.json", project)
    stored = client.get_run(link["run_id"])
    assert stored.info.status == "FINISHED" and stored.info.start_time == began and stored.info.end_time - began < 20_000
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
        assert time.monotonic() - start < 15
        start = time.monotonic()
        run = train(project, project / "checkpoints/gpt", 1, 200)
        assert run.away and time.monotonic() - start < 30
