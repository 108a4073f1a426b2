"""Runs as people really start, stop, break and queue them, by the real dvc and mlflow: minutes long.

pytest -m slow tests/pipeline/test_run_table.py
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from checkouts import ENVIRONMENT, PARAMS, Project, checkout
from mlflow import MlflowClient
from ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Project:
    """Everything done once, and committed."""
    made = checkout(tmp_path_factory.mktemp("table") / "project", PARAMS)
    made.repro()
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "trained")
    return made


@pytest.fixture
def project(trained) -> Project:
    """As it was committed, with the data of that."""
    trained.run("git", "checkout", "-q", "-f", ".")
    trained.run("dvc", "checkout", "-q", "-f")
    return trained


def link(project: Project, stage: str) -> str:
    return json.loads((project.root / f"reports/{stage}_run.json").read_text())["run_id"]


def steps_of(project: Project, run_id: str) -> list[int]:
    return sorted(point.step for point in project.client().get_metric_history(run_id, "train/mel_loss"))


def _trains(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-2:] == ["stage", "gpt"] and "python" in process.name()
    except psutil.Error:  # it has ended meanwhile
        return False


class Started:
    """A `dvc repro gpt` in a process group of its own."""

    def __init__(self, project: Project):
        self.project, self.began = project, time.time()
        self.log = project.root.parent / f"{time.monotonic_ns()}.log"
        file = self.log.open("w")
        command = ["dvc", "repro", "gpt"]
        self.dvc = subprocess.Popen(command, cwd=project.root, env=ENVIRONMENT, stdout=file, stderr=file, start_new_session=True)

    def trainer(self) -> psutil.Process:
        """The process that trains, once it has written a checkpoint."""
        deadline = time.monotonic() + 900
        while time.monotonic() < deadline:
            assert self.dvc.poll() is None, self.log.read_text()[-3000:]
            new = [path for path in self.project.root.glob("checkpoints/gpt/*/*/ckpt-*") if path.stat().st_mtime > self.began]
            found = [process for process in psutil.Process(self.dvc.pid).children(recursive=True) if _trains(process)]
            if new and found:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(f"no checkpoint: {self.log.read_text()[-3000:]}")


@pytest.mark.parametrize(
    ("how", "status"),
    [("ctrl-c", "KILLED"), ("sigterm to all", "KILLED"), ("kill -9", "RUNNING")],
)
def test_a_stopped_training_goes_on_in_its_run_with_every_step_once(project, how, status):
    steps = {"ctrl-c": 301, "sigterm to all": 302, "kill -9": 303}[how]
    project.change("gpt: {max_steps: 30,", f"gpt: {{max_steps: {steps},")
    started = Started(project)
    trainer = started.trainer()
    if how == "kill -9":
        trainer.kill()
    else:
        os.killpg(started.dvc.pid, signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
    assert started.dvc.wait(600) != 0
    deadline = time.monotonic() + 300
    while trainer.is_running() and trainer.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.1)
    (run,) = [run for run in project.runs("gpt") if run.data.params["training.gpt.max_steps"] == str(steps)]
    assert run.info.status == status
    assert project.repro("gpt") == ["gpt"]
    assert link(project, "gpt") == run.info.run_id
    assert project.client().get_run(run.info.run_id).info.status == "FINISHED"
    assert steps_of(project, run.info.run_id) == list(range(1, steps + 1))


def test_a_trainer_that_outlives_dvc_is_not_doubled(project):
    project.change("gpt: {max_steps: 30,", "gpt: {max_steps: 1500,")
    started = Started(project)
    trainer = started.trainer()
    started.dvc.terminate()  # dvc alone: its child goes on
    started.dvc.wait(600)
    assert trainer.is_running()
    output = project.run("dvc", "repro", "gpt", check=False)
    assert re.search(r"(another|already).*train", output, re.IGNORECASE) and str(trainer.pid) in output, output[-2000:]
    assert len([run for run in project.runs("gpt") if run.data.params["training.gpt.max_steps"] == "1500"]) == 1
    trainer.send_signal(signal.SIGTERM)
    trainer.wait(600)
    (run,) = [run for run in project.runs("gpt") if run.data.params["training.gpt.max_steps"] == "1500"]
    assert run.info.status == "KILLED"


def test_a_stage_that_fails_under_mlflow_run_and_is_repaired_ends_well_in_the_same_run(project):
    code = project.root / "myxtts/evaluation/evaluate.py"
    good = code.read_text()
    code.write_text(good + '\nraise RuntimeError("the disk of the evaluation is on fire")\n')
    command = ["mlflow", "run", ".", "--env-manager", "local", "--experiment-name", "myxtts", "-P", "set=evaluate.num_sentences=1"]
    output = project.run(*command, check=False)
    run_id = re.search(r"[Rr]un \(ID '(\w+)'\)", output).group(1)
    failed = project.client().get_run(run_id)
    assert failed.info.status == "FAILED"
    code.write_text(good)
    assert project.repro()[:1] == ["evaluate"], "what was trained is not trained again"
    assert link(project, "voice") == run_id
    repaired = project.client().get_run(run_id)
    assert repaired.info.status == "FINISHED" and repaired.data.params["evaluate.num_sentences"] == "1"
    assert "error" not in repaired.data.tags and "copy/mel_distance" in repaired.data.metrics


def test_git_and_dvc_checkout_bring_back_the_run_with_the_model(project):
    before = link(project, "voice"), link(project, "decoder")
    project.change("decoder: {max_steps: 2,", "decoder: {max_steps: 4,")
    assert project.repro() == ["decoder", "evaluate", "bundle"]
    after = link(project, "voice"), link(project, "decoder")
    assert before[0] != after[0] and before[1] != after[1]
    project.run("git", "checkout", "-q", "-f", ".")
    project.run("dvc", "checkout", "-q", "-f")
    assert (link(project, "voice"), link(project, "decoder")) == before
    assert project.repro() == []


def test_queued_experiments_of_a_fresh_clone_run_beside_each_other_into_the_main_store(project, tmp_path):
    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "-q", str(project.root), str(clone.root))
    clone.run("dvc", "cache", "dir", "--local", str(project.root / ".dvc/cache"))
    clone.run("dvc", "checkout", "-q")
    assert not (clone.root / "mlflow.db").exists()
    clone.run("dvc", "exp", "run", "--queue", "-S", "training.decoder.max_steps=5,6")
    clone.run("dvc", "exp", "run", "--queue", "-S", "training.decoder.segment_codes=1", "-n", "bad-value")
    clone.run("dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 6000
    while re.search(r"Queued|Running", table := clone.run("dvc", "queue", "status")) and time.monotonic() < deadline:
        time.sleep(3)
    clone.run("dvc", "queue", "stop", check=False)
    assert table.count("Success") == 2 and table.count("Failed") == 1, table
    decoders = clone.runs("decoder")
    assert sorted(run.data.params["training.decoder.max_steps"] for run in decoders) == ["5", "6"]
    assert all(run.info.status == "FINISHED" for run in decoders)
    names = {run.data.tags["dvc.exp_name"] for run in decoders}
    assert len(names) == 2 and names == {run.data.tags["dvc.exp_name"] for run in clone.runs("voice")}
    assert "segment_codes: got 1" in clone.run("dvc", "queue", "logs", "bad-value")
    assert not list((clone.root / ".dvc/tmp/exps").glob("**/mlflow.db")), "a workspace's own store would be lost with it"


def test_a_moved_repository_still_opens_the_artifacts_of_its_runs(project, tmp_path):
    moved = Project(Path(shutil.copytree(project.root, tmp_path / "moved", symlinks=True)))
    shutil.rmtree(moved.root / "checkpoints", ignore_errors=True)
    assert "places of artifacts corrected" in moved.run("myxtts", "relocate")
    run = moved.client().get_run(link(moved, "voice"))
    assert str(moved.root) in run.info.artifact_uri
    assert Path(moved.client().download_artifacts(run.info.run_id, "samples.json", str(tmp_path))).is_file()


def test_a_server_that_is_dead_at_the_start_stops_no_training_and_gets_the_run_later(project, tmp_path):
    port = free_port()
    project.change("gpt: {max_steps: 30,", "gpt: {max_steps: 44,")
    away = Project(project.root, {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    assert away.repro("gpt") == ["gpt"], "it ends with exit code 0"
    offline = link(project, "gpt")
    (spool,) = [path for path in project.root.glob("checkpoints/gpt/*/*/spool.jsonl") if offline in path.read_text()]
    command = ["mlflow", "server", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    log = (tmp_path / "server.log").open("w")
    server = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while "delivered" not in away.run("myxtts", "sync", check=False):
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()[-2000:]
            time.sleep(1)
        assert not spool.exists()
        client = MlflowClient(f"sqlite:///{tmp_path / 'server.db'}")
        (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        assert run.info.status == "FINISHED" and run.data.tags["myxtts.offline_id"] == offline
        assert sorted(point.step for point in client.get_metric_history(run.info.run_id, "train/mel_loss")) == list(range(1, 45))
        assert "nothing was waiting" in away.run("myxtts", "sync")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
