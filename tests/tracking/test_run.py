import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.opening import read_link
from myxtts.tracking.record import NullRun, StageRun
from myxtts.tracking.run import Terminated, stage_run, voice_run
from myxtts.tracking.spool import deliver_spools
from myxtts.tracking.stale import PROCESS, close_stale
from myxtts.tracking.store import ensure_store


def config(**training) -> XTTSConfig:
    return XTTSConfig.from_dict({"model": {"preset": "tiny"}, "training": {"gpt": training}})


def folder(project: Path) -> Path:
    return project / "checkpoints" / "gpt" / "abc"


def artifacts(client, run_id, path=None) -> list[str]:
    found = []
    for item in client.list_artifacts(run_id, path):
        found += artifacts(client, run_id, item.path) if item.is_dir else [item.path]
    return found


def test_a_finished_run_has_the_configuration_and_where_it_comes_from(project, client):
    with stage_run(config(learning_rate=3e-4), "gpt", project, folder(project), inputs={"dvc.dep.data/tokens": "0a1b"}) as run:
        assert client.get_run(run.run_id).info.status == "RUNNING"
        run.metrics({"train/loss": 2.0}, step=1)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["training.gpt.learning_rate"] == "0.0003"
    assert set(stored.data.params) == set(config().flat())
    assert stored.data.metrics == {"train/loss": 2.0}
    tags = stored.data.tags
    assert tags["dvc.dep.data/tokens"] == "0a1b" and tags["dvc.stage"] == "gpt" and len(tags["config.fingerprint"]) == 12
    assert {"version.tensorflow", "version.keras", "version.mlflow"} <= set(tags)
    assert "git.commit" not in tags, "a plain folder has no commit"


def test_a_failure_is_written_down_and_the_next_start_goes_on_in_the_same_run(project, client):
    with pytest.raises(ZeroDivisionError), stage_run(config(), "gpt", project, folder(project)) as run:
        run.metrics({"train/loss": 2.0}, step=1)
        _ = 1 / 0
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FAILED"
    assert stored.data.tags["error"].startswith("ZeroDivisionError")
    assert stored.data.metrics == {"train/loss": 2.0}
    assert "error.txt" in artifacts(client, run.run_id)

    with stage_run(config(learning_rate=0.5), "gpt", project, folder(project)) as again:
        assert client.get_run(run.run_id).info.status == "RUNNING"
        again.metrics({"train/loss": 1.0}, step=2)
    stored = client.get_run(run.run_id)
    assert again.run_id == run.run_id
    assert stored.info.status == "FINISHED" and "error" not in stored.data.tags
    assert [point.step for point in client.get_metric_history(run.run_id, "train/loss")] == [1, 2]
    assert stored.data.params["training.gpt.learning_rate"] == "0.0001", "MLflow keeps the first value"
    assert stored.data.tags["changed.training.gpt.learning_rate"] == "0.5"

    with stage_run(config(), "gpt", project, folder(project)) as third:
        pass
    assert third.run_id != run.run_id, "a finished run is never written again"


def test_ctrl_c_and_leaving_without_an_error(project, client):
    with pytest.raises(KeyboardInterrupt), stage_run(config(), "gpt", project, folder(project)) as run:
        raise KeyboardInterrupt
    assert client.get_run(run.run_id).info.status == "KILLED"
    with pytest.raises(SystemExit), stage_run(config(), "gpt", project, folder(project)):
        sys.exit(0)
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_sigterm_raises_where_a_checkpoint_can_still_be_written_and_handlers_are_restored(project, client):
    before = signal.getsignal(signal.SIGTERM)
    saved = []
    with pytest.raises(Terminated), stage_run(config(), "gpt", project, folder(project)) as run:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)  # an impatient scheduler does not spoil it
            saved.append(True)
            raise
    assert saved == [True]
    assert client.get_run(run.run_id).info.status == "KILLED"
    assert signal.getsignal(signal.SIGTERM) == before


def _process(project: Path, body: str, name: str = "abc") -> subprocess.Popen:
    code = textwrap.dedent(
        f"""
        import os, time
        from pathlib import Path
        from myxtts.config import XTTSConfig
        from myxtts.tracking.run import stage_run
        root = Path({str(project)!r})
        with stage_run(XTTSConfig.from_dict({{}}), "gpt", root, root / "checkpoints/gpt/{name}") as run:
            run.metrics({{"train/loss": 1.0}}, 1)
            run.flush()
            print("ready", run.run_id, flush=True)
            run.metrics({{"train/loss": 2.0}}, 2)
            {body}
        """
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _run_id(process: subprocess.Popen) -> str:
    for line in process.stdout:
        if line.startswith("ready"):
            return line.split()[1]
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize(
    ("body", "send", "status", "points"),
    [
        ("raise RuntimeError('broken')", None, "FAILED", 2),
        ("time.sleep(900)", signal.SIGTERM, "KILLED", 2),
        ("time.sleep(900)", signal.SIGINT, "KILLED", 2),
        ("os.kill(os.getpid(), 9)", None, "RUNNING", 1),
    ],
    ids=["exception", "sigterm", "ctrl-c", "kill -9"],
)
def test_however_the_process_ends_the_next_one_resumes_its_run(project, client, body, send, status, points):
    process = _process(project, body)
    run_id = _run_id(process)
    if send:
        time.sleep(0.2)
        process.send_signal(send)
    assert process.wait(timeout=600) != 0
    assert client.get_run(run_id).info.status == status
    assert len(client.get_metric_history(run_id, "train/loss")) == points
    with stage_run(config(), "gpt", project, folder(project)) as run:
        pass
    assert run.run_id == run_id
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_run_whose_process_is_gone_is_closed_by_the_next_start_of_anything(project, client):
    """The training is never gone on with: its parameters were changed, say."""
    alive = _process(project, "time.sleep(900)", "other")
    living = _run_id(alive)
    process = _process(project, "os.kill(os.getpid(), 9)")
    lost = _run_id(process)
    process.wait(timeout=600)
    elsewhere = client.create_run(client.get_run(lost).info.experiment_id, tags={PROCESS: "another machine 1 1000"}).info.run_id
    assert client.get_run(lost).info.status == "RUNNING"
    try:
        with stage_run(config(learning_rate=0.5), "gpt", project, folder(project).with_name("new")):
            stopped = client.get_run(lost)
            assert stopped.info.status == "KILLED"
            assert "closed by the next start" in stopped.data.tags["error"]
            assert "kill -9" in stopped.data.tags["mlflow.note.content"]
            assert client.get_run(living).info.status == "RUNNING"
            assert client.get_run(elsewhere).info.status == "RUNNING"
    finally:
        alive.kill()
        alive.wait()
    with stage_run(config(), "gpt", project, folder(project)) as run:  # gone on with after all
        assert run.run_id == lost
        assert "error" not in client.get_run(lost).data.tags
    assert client.get_run(lost).info.status == "FINISHED"


def test_the_project_run_of_mlflow_is_not_ours_to_close(project, client):
    process = _process(project, "os.kill(os.getpid(), 9)")
    run_id = _run_id(process)
    process.wait(timeout=600)
    experiment = client.get_run(run_id).info.experiment_id
    assert close_stale(client, experiment, own=run_id) == []
    assert close_stale(client, experiment) == [run_id]


def test_everything_a_stage_shows_arrives(project, client, tmp_path):
    checkpoint = tmp_path / "step_12000"
    checkpoint.mkdir()
    (checkpoint / "weights").write_bytes(b"12345")
    with stage_run(config(), "gpt", project, folder(project)) as run:
        fields = {"codes": ("int32", (None,)), "row": ("int32", ()), "mel": ("float16", (None, 80))}
        run.dataset("processed", "d41d8cd98f00b204e9800998ecf8427e", "data/processed", "training", {"clips": 7, "hours": 0.5}, fields)
        run.dataset("processed-eval", "0a1b", "data/processed", "validation")
        run.image("mel/val_0", np.zeros((5, 7, 3), np.uint8), step=3)
        run.image("attention", np.zeros((5, 7), np.uint8), step=3)
        run.audio("held out/en", np.zeros(240, np.float32), 24000, step=12000)
        run.text("hello", "notes/a.txt")
        run.table([{"text": "one", "score": 1.0}, {"text": "two"}], "samples.json")
        run.metrics({"val/mel_loss": 0.5}, step=12000)
        model_id = run.checkpoint(12000, checkpoint, {"val/mel_loss": 0.5, "val/nan": float("nan")}, final=True)
        run.write_link(project / "reports" / "gpt_run.json")
    stored = client.get_run(run.run_id)
    names = artifacts(client, run.run_id)
    assert "audio/step_00012000/held out_en.wav" in names and "notes/a.txt" in names and "samples.json" in names
    assert sum(name.startswith("images/mel~val_0+step+3") for name in names) == 2
    datasets = {(d.dataset.name, d.dataset.digest, d.tags[0].value) for d in stored.inputs.dataset_inputs}
    assert ("processed", "d41d8cd98f00b204e9800998ecf8427e", "training") in datasets
    (dataset,) = [item.dataset for item in stored.inputs.dataset_inputs if item.dataset.name == "processed"]
    assert json.loads(dataset.profile) == {"clips": 7, "hours": 0.5}
    features = json.loads(json.loads(dataset.schema)["mlflow_tensorspec"]["features"])
    shapes = {field["name"]: (field["tensor-spec"]["dtype"], field["tensor-spec"]["shape"]) for field in features}
    assert shapes == {"codes": ("int32", [-1]), "row": ("int32", [1]), "mel": ("float16", [-1, 80])}
    assert [(output.model_id, output.step) for output in stored.outputs.model_outputs] == [(model_id, 12000)]
    model = client.get_logged_model(model_id)
    assert model.name == "ckpt-00012000" and model.tags["final"] == "true" and model.tags["bytes"] == "5" and "md5" in model.tags
    assert [(m.key, m.value, m.dataset_name, m.dataset_digest) for m in model.metrics] == [("val/mel_loss", 0.5, "processed-eval", "0a1b")]
    assert len(client.get_metric_history(run.run_id, "val/mel_loss")) == 1, "linking a metric to a checkpoint does not double it"
    assert read_link(project / "reports" / "gpt_run.json") == {
        "run_id": run.run_id,
        "model_id": model_id,
        "experiment_id": run.experiment_id,
    }


def test_wrong_pixels_are_a_programming_error(project):
    with pytest.raises(ValueError, match="uint8"), stage_run(config(), "gpt", project, folder(project)) as run:
        run.image("mel", np.zeros((5, 7, 4), np.uint8), step=1)


def test_an_outage_in_the_middle_stops_nothing_and_all_is_delivered_later(project, client, monkeypatch, tmp_path, caplog):
    (tmp_path / "plot.svg").write_text("<svg/>")
    gone = {"up": True}

    def unless_down(name):
        original = getattr(client.__class__, name)

        def call(self, *arguments, **named):
            if not gone["up"]:
                raise ConnectionError("connection refused")
            return original(self, *arguments, **named)

        monkeypatch.setattr(client.__class__, name, call)

    for name in ("log_batch", "log_artifact", "log_image", "log_text", "set_terminated", "log_outputs", "get_run"):
        unless_down(name)
    with stage_run(config(), "gpt", project, folder(project)) as run:
        gone["up"] = False
        run.metrics({"train/loss": 1.0}, step=1)
        run.image("mel", np.full((5, 7), 9, np.uint8), step=1)
        run.audio("a", np.zeros(240, np.float32), 24000, step=1)
        run.artifact(tmp_path / "plot.svg", "plots")
        run.tags({"late": "yes"})
        assert run.checkpoint(1, tmp_path, {"val/loss": 1.0}) is None
    (tmp_path / "plot.svg").unlink()
    assert "waits in" in caplog.text
    gone["up"] = True
    assert client.get_run(run.run_id).info.status == "RUNNING"
    deliver_spools(project, client)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["train/loss"] == 1.0 and stored.data.tags["late"] == "yes"
    names = artifacts(client, run.run_id)
    assert "plots/plot.svg" in names and "audio/step_00000001/a.wav" in names
    assert any(name.startswith("images/mel+step+1") for name in names)
    assert len(stored.outputs.model_outputs) == 1
    assert not list((folder(project) / "outbox").glob("*"))


def test_under_mlflow_run_stages_nest_and_the_voice_is_the_project_run(project, client, monkeypatch):
    experiment_id = ensure_store(project, "of mlflow run")
    parent = client.create_run(experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment_id)
    with stage_run(config(), "gpt", project, folder(project)) as stage:
        assert "MLFLOW_RUN_ID" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ
    assert stage.run_id != parent
    stored = client.get_run(stage.run_id)
    assert stored.data.tags["mlflow.parentRunId"] == parent and stored.info.experiment_id == experiment_id
    with voice_run(config(), project, None) as voice:
        voice.metrics({"speech/phone_error_rate": 0.2}, 0)
    assert voice.run_id == parent
    assert client.get_run(parent).info.status == "RUNNING", "mlflow run itself sets the end state"
    with pytest.raises(RuntimeError), voice_run(config(), project, None):
        raise RuntimeError
    assert client.get_run(parent).info.status == "FAILED"


def test_evaluation_and_bundling_share_the_voice_run(project, client):
    link = project / "reports" / "voice_run.json"
    with voice_run(config(), project, link) as first:
        first.write_link(link)
    with voice_run(config(), project, link, tags={"stage_run.gpt": "abc"}) as second:
        assert client.get_run(first.run_id).info.status == "RUNNING"
    assert second.run_id == first.run_id
    stored = client.get_run(first.run_id)
    assert stored.info.status == "FINISHED" and stored.data.tags["stage_run.gpt"] == "abc"


def test_an_evaluation_that_failed_goes_on_in_its_run_if_it_is_the_same(project, client):
    with pytest.raises(RuntimeError), voice_run(config(), project, None) as failed:
        raise RuntimeError("out of memory")
    with voice_run(config(learning_rate=0.5), project, None) as other:
        pass
    assert other.run_id != failed.run_id, "that was another configuration"
    with voice_run(config(), project, None) as again:
        pass
    assert again.run_id == failed.run_id
    stored = client.get_run(failed.run_id)
    assert stored.info.status == "FINISHED" and "error" not in stored.data.tags
    with voice_run(config(), project, None) as new:
        pass
    assert new.run_id != failed.run_id, "it ended well: the next one is one of its own"


def test_a_link_to_a_run_of_another_store_makes_a_new_run(project, client):
    link = project / "voice_run.json"
    link.write_text(json.dumps({"run_id": "f" * 32, "model_id": None, "experiment_id": "9"}))
    with voice_run(config(), project, link) as run:
        pass
    assert run.run_id != "f" * 32 and client.get_run(run.run_id).info.status == "FINISHED"


def test_a_broken_link_names_the_remedy(project):
    (project / "link.json").write_text("{}")
    with pytest.raises(TrackingError, match="dvc repro"):
        read_link(project / "link.json")
    with pytest.raises(TrackingError, match="dvc repro"):
        read_link(project / "missing.json")


def test_a_stale_project_run_is_ignored(project, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "e" * 32)
    with stage_run(config(), "gpt", project, folder(project)) as run:
        pass
    assert "mlflow.parentRunId" not in client.get_run(run.run_id).data.tags


def test_the_null_run_has_every_method_of_a_run(tmp_path):
    public = {name for name in vars(StageRun) if not name.startswith("_")} - {"finish", "leave"}
    assert {name for name in public if not hasattr(NullRun, name)} == set()
    run = NullRun()
    run.metrics({"a": 1.0}, 1)
    run.write_link(tmp_path / "reports" / "gpt_run.json")
    assert read_link(tmp_path / "reports" / "gpt_run.json")["run_id"] is None
