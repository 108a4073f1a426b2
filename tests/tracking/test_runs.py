"""`myxtts runs`, `myxtts best` and `myxtts sync` on a real store."""

from pathlib import Path

import pytest

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.run import stage_run
from myxtts.tracking.runs import best, describe_best, differing_params, find_runs, higher_is_better, runs_table
from myxtts.tracking.spool import Spool, sync


def config(**gpt) -> XTTSConfig:
    return XTTSConfig.from_dict({"model": {"preset": "tiny"}, "training": {"gpt": gpt}, "loop": {"log_step": 3}})


def train(project: Path, name: str, stage: str = "gpt", losses: dict[int, float] | None = None, **gpt) -> str:
    """A run with a checkpoint for each loss; returns its id."""
    folder = project / "checkpoints" / stage / name
    with stage_run(config(**gpt), stage, project, folder) as run:
        for step, loss in (losses or {}).items():
            (folder / f"ckpt-{step:08d}").mkdir(parents=True)
            (folder / f"ckpt-{step:08d}" / "state.json").write_text("{}")
            run.metrics({"val/mel_loss": loss}, step=step)
            run.checkpoint(step, folder / f"ckpt-{step:08d}", {"val/mel_loss": loss})
    return run.run_id


@pytest.fixture
def trained(project) -> dict[str, str]:
    return {
        "slow": train(project, "slow", losses={10: 2.0, 20: 1.5}, learning_rate=1e-4),
        "fast": train(project, "fast", losses={10: 1.2, 20: 1.9}, learning_rate=1e-2),
        "dvae": train(project, "dvae", stage="dvae"),
    }


def test_runs_are_listed_with_what_differs_between_those_of_a_stage(project, trained):
    runs = find_runs(config(), project)
    assert [run.id for run in runs] == [trained[name] for name in ("dvae", "fast", "slow")]  # the newest first
    gpt = find_runs(config(), project, stage="gpt")
    assert {run.id for run in gpt} == {trained["fast"], trained["slow"]}
    assert differing_params(gpt) == ["training.gpt.learning_rate"]
    lines = runs_table(runs, ["val/mel_loss"]).splitlines()
    assert lines[0].split() == ["run", "stage", "name", "status", "started", "took", "val/mel_loss"]
    told = {line.split()[0]: (line.split()[-1], after.strip()) for line, after in zip(lines, [*lines[1:], ""], strict=True)}
    assert told[trained["fast"][:8]] == ("1.9", "training.gpt.learning_rate=0.01")
    assert told[trained["slow"][:8]] == ("1.5", "training.gpt.learning_rate=0.0001")
    assert told[trained["dvae"][:8]][0] == "-"


def test_runs_are_sorted_so_that_the_best_comes_first(project, trained, client):
    client.log_metric(trained["slow"], "speech/similarity", 0.4)
    client.log_metric(trained["fast"], "speech/similarity", 0.9)
    by_loss = find_runs(config(), project, stage="gpt", sort="val/mel_loss")
    assert [run.id for run in by_loss] == [trained["slow"], trained["fast"]]  # by the latest value
    by_similarity = find_runs(config(), project, sort="speech/similarity")
    assert [run.id for run in by_similarity][:2] == [trained["fast"], trained["slow"]]
    with pytest.raises(TrackingError, match="no run has the metric 'val/loss'; there are val/mel_loss"):
        find_runs(config(), project, sort="val/loss")


def test_the_best_checkpoint_over_all_runs_is_found(project, trained, client):
    found = best(config(), project, "val/mel_loss")
    assert (found.run.id, found.step, found.value) == (trained["fast"], 10, 1.2)
    assert found.path == project / "checkpoints/gpt/fast/ckpt-00000010"
    said = describe_best(found, project)
    assert f"in {found.path}" in said
    assert f"/runs/{trained['fast']}?workflowType=machine_learning" in said
    for file in found.path.iterdir():
        file.unlink()
    found.path.rmdir()
    assert "no longer kept" in describe_best(found, project)
    client.delete_run(trained["fast"])
    assert best(config(), project, "val/mel_loss").run.id == trained["slow"]


def test_a_loss_that_two_stages_measure_is_not_compared(project, trained):
    train(project, "decoder", stage="decoder", losses={5: 0.1})
    with pytest.raises(TrackingError, match=r"val/mel_loss is measured by gpt and decoder, .*add --stage"):
        best(config(), project, "val/mel_loss")
    assert best(config(), project, "val/mel_loss", stage="decoder").value == 0.1


def test_a_metric_of_whole_runs_is_looked_up_there(project, trained, client):
    client.log_metric(trained["slow"], "speech/phone_error_rate", 0.5)
    client.log_metric(trained["fast"], "speech/phone_error_rate", 0.25)
    found = best(config(), project, "speech/phone_error_rate")
    assert (found.run.id, found.value, found.step) == (trained["fast"], 0.25, None)
    with pytest.raises(TrackingError, match="no run has the metric"):
        best(config(), project, "speech/other")


@pytest.mark.parametrize(
    ("metric", "higher"),
    [("val/mel_loss", False), ("val/wrong_text_gap", True), ("speech/phone_error_rate", False), ("speech/speaker_similarity", True)],
)
def test_which_way_a_metric_is_better(metric, higher):
    assert higher_is_better(metric) == higher


def test_what_waited_is_delivered_wherever_it_waits(project, trained, client, tmp_path):
    row = {"kind": "tags", "run": trained["slow"], "tags": {"late": "yes"}}
    outside = tmp_path / "own" / "checkpoints" / "gpt"
    Spool(project / "checkpoints" / "gpt" / "slow").add([row])
    Spool(outside).add([{**row, "tags": {"later": "yes"}}, {"kind": "tags", "run": "0" * 32, "tags": {"lost": "yes"}}])
    done = sync(project, client, [tmp_path / "own"])
    assert client.get_run(trained["slow"]).data.tags.items() >= {"late": "yes", "later": "yes"}.items()
    assert (done.delivered, done.waiting) == (2, ())
    assert done.refused == (outside / "spool.refused.jsonl",)
    assert str(outside / "spool.refused.jsonl") in done.describe()
    assert sync(project, client).delivered == 0


def test_what_mlflow_does_not_take_goes_on_waiting(project, trained, client, monkeypatch):
    folder = project / "checkpoints" / "gpt" / "slow"
    Spool(folder).add([{"kind": "tags", "run": trained["slow"], "tags": {"late": "yes"}}])

    def down(*_: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(client, "set_tag", down)
    monkeypatch.setattr(client, "log_batch", down)
    done = sync(project, client)
    assert (done.delivered, done.waiting) == (0, (folder,))
    assert f"still waiting in {folder}" in done.describe()


@pytest.mark.parametrize("metric", ["gpt/step", "speech/length_ratio", "system/cpu_utilization_percentage"])
def test_of_what_is_better_neither_way_none_is_the_best(project, trained, client, metric):
    client.log_metric(trained["slow"], metric, 0.4)
    for ask in (lambda: best(config(), project, metric), lambda: find_runs(config(), project, sort=metric)):
        with pytest.raises(TrackingError, match="neither more nor less"):
            ask()
