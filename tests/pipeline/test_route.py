"""The whole route: spoken sample in, registered speaking model out, by the real dvc, mlflow and command line."""

import base64
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from myxtts.config.stages import TRAINED_STAGES
from myxtts.pipeline.project import ensure_dvc
from myxtts.pipeline.stages import STAGES

ORDER = list(STAGES)


def test_an_interrupted_stage_goes_on_in_the_same_run_with_every_step_once(project):
    assert project.ran_after_interrupt == ORDER[ORDER.index("gpt") :]
    (run,) = project.runs("gpt")
    assert run.info.status == "FINISHED"
    history = project.client().get_metric_history(run.info.run_id, "train/mel_loss")
    assert sorted(point.step for point in history) == list(range(1, 31))
    assert json.loads((project.root / "reports/gpt_run.json").read_text())["run_id"] == run.info.run_id


def test_stage_runs_and_voice_run_hold_what_a_user_compares(project):
    for stage in ("dvae", "gpt", "decoder"):
        (run,) = project.runs(stage)
        assert run.data.params["training.gpt.max_steps"] == "30"
        assert {"suggested.batch_size", "suggested.grad_accum", "suggested.num_workers"} <= set(run.data.params)
        assert run.data.tags["hardware.reasons"]
        assert run.data.tags["git.commit"]
        assert any(key.startswith("dvc.dep.data/") for key in run.data.tags)
        names = {item.path for item in project.client().list_artifacts(run.info.run_id)}
        assert {"audio", "images", "hardware.json", "curves", "packages.txt", "data.html"} <= names
        assert "system/cpu_utilization_percentage" in run.data.metrics
        (trained_on,) = [item.dataset for item in run.inputs.dataset_inputs if item.tags[0].value == "training"]
        assert json.loads(trained_on.profile)["languages"] == "en, fa" and "mlflow_tensorspec" in trained_on.schema
    gpt = project.runs("gpt")[0].info.run_id
    images = {item.path.split("+")[0] for item in project.client().list_artifacts(gpt, "images")}
    assert {"images/alignment~val_0", "images/mel~val_0"} <= images
    samples = json.loads(Path(project.client().download_artifacts(gpt, "samples.json")).read_text())
    assert {"step", "text", "clip", "stopped", "audio_spoken"} <= set(samples["columns"])
    heard = {item.path for item in project.client().list_artifacts(gpt, "audio/step_00000000")}
    assert "audio/step_00000000/val_0_recording.wav" in heard
    link = json.loads((project.root / "reports/voice_run.json").read_text())
    voice = project.client().get_run(link["run_id"])
    assert voice.info.status == "FINISHED"
    assert voice.data.tags["myxtts.run.gpt"] == project.runs("gpt")[0].info.run_id
    assert {"gpt/wrong_text_gap", "gpt/mel_loss", "copy/mel_distance", "ground_truth/phone_error_rate"} <= set(voice.data.metrics)
    assert {"data/hours", "data/speakers", "data/snr_db/median", "data/bandwidth_hz/median"} <= set(voice.data.metrics)
    page = Path(project.client().download_artifacts(link["run_id"], "data.html"))
    assert page.read_bytes() == (project.root / "reports/data.html").read_bytes()
    assert voice.data.tags["myxtts.version"] == "route/1"
    assert {"dvc.dep.data/processed", "dvc.dep.models/gpt", "dvc.lock.md5"} <= set(voice.data.tags)
    metrics = json.loads((project.root / "reports/evaluate.json").read_text())
    assert [item.dataset.digest for item in voice.inputs.dataset_inputs] == [metrics["evaluation_set"]]
    version = project.client().get_model_version("route", "1")
    assert version.tags["evaluation_set"] == metrics["evaluation_set"] and version.tags["git.commit"] in version.description


def test_the_registered_version_speaks_in_a_fresh_process(project):
    assert "candidate" in project.run("myxtts", "registry", "list")
    project.run("myxtts", "promote", "1")
    reference = next((project.root / "data/processed/wavs").glob("en-us_*.wav"))
    code = (
        "import sys, base64, json, mlflow, pandas\n"
        f"mlflow.set_tracking_uri('sqlite:///{project.root / 'mlflow.db'}')\n"
        "model = mlflow.pyfunc.load_model('models:/route@champion')\n"
        "audio = base64.b64encode(open(sys.argv[1], 'rb').read()).decode()\n"
        "out = model.predict(pandas.DataFrame([{'text': 'good morning', 'language': 'en', 'reference_audio': audio}]))\n"
        "print('AUDIO', pandas.DataFrame(out).iloc[0]['audio'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(reference)], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    data = base64.b64decode(next(line for line in done.stdout.splitlines() if line.startswith("AUDIO")).split()[1])
    path = project.root / "served.wav"
    path.write_bytes(data)
    wave, rate = soundfile.read(path)
    assert rate == 24000
    assert len(wave) > 1000
    assert np.abs(wave).max() > 0.001


def test_say_speaks_with_the_bundle_and_refuses_bad_input_clearly(project):
    reference = str(next((project.root / "data/processed/wavs").glob("fa_*.wav")))
    project.run("myxtts", "say", "good morning", "--speaker", reference, "--language", "en", "--out", "spoken.wav")
    assert soundfile.info(project.root / "spoken.wav").samplerate == 24000
    project.run("myxtts", "voice", reference, "--out", "voices/me.voice")
    project.run("myxtts", "say", "good morning", "--speaker", "voices/me.voice", "--language", "en", "--out", "again.wav")
    assert (project.root / "again.wav").read_bytes() == (project.root / "spoken.wav").read_bytes()
    for arguments, said in (
        (["hello", "--speaker", "none.wav"], "none.wav"),
        (["hello", "--speaker", reference, "--language", "xx"], "xx"),
        (["hello", "--speaker", reference, "--model", "nowhere"], "nowhere"),
    ):
        output = project.run("myxtts", "say", *arguments, check=False)
        assert said in output
        assert "Traceback" not in output


def test_the_bundle_and_what_others_speak_are_measured_by_the_same_ruler(project, tmp_path):
    recorded = json.loads((project.root / "reports/evaluate.json").read_text())
    head, *rows = project.output("myxtts", "evaluate", "--list").splitlines()
    assert head == "id|text|language|speaker|reference" and len(rows) == recorded["sentences"]
    assert all(Path(row.rpartition("|")[2]).is_file() for row in rows)
    out = tmp_path / "again"
    said = project.run("myxtts", "evaluate", "--model", "models/bundle", "--out", str(out))
    assert f"the page: {out}.html" in said and out.with_suffix(".html").is_file()
    measured = json.loads((out / "metrics.json").read_text())
    same = {name for name in measured if not name.endswith(("real_time_factor", "machine"))}
    assert {name: measured[name] for name in same} == {name: recorded[name] for name in same}
    assert "is there already" in project.run("myxtts", "evaluate", "--out", str(out), check=False)
    (tmp_path / "others").mkdir()
    name = rows[0].split("|")[0]
    shutil.copy(next(project.root.glob(f"reports/evaluation/audio/{name}_ground_truth.wav")), tmp_path / "others" / f"{name}.wav")
    project.run("myxtts", "evaluate", "--spoken", str(tmp_path / "others"), "--out", str(tmp_path / "theirs"))
    theirs = json.loads((tmp_path / "theirs" / "metrics.json").read_text())
    assert theirs["speech/mel_distance"] < 0.5 < measured["speech/mel_distance"] and theirs["speech/failure_rate"] >= 0.5
    page = tmp_path / "listen.html"
    assert "1 trials" in project.run("myxtts", "listen", str(out), str(tmp_path / "theirs"), "--out", str(page)) and page.is_file()


def test_nothing_runs_again_and_one_parameter_reruns_only_what_it_shapes(project):
    assert project.repro() == []
    project.change("training:\n", "training:\n# a comment changes nothing\n")
    project.change("tracking: {}", "tracking: {flush_seconds: 2.0}")
    assert project.repro() == []
    link = project.root / "reports/voice_run.json"
    made_by = {2: json.loads(link.read_text())["run_id"]}
    project.change("evaluate: {num_sentences: 2,", "evaluate: {num_sentences: 1,")
    assert project.repro() == ["evaluate", "bundle"]
    made_by[1] = json.loads(link.read_text())["run_id"]
    for now, then in ((1, 2), (2, 1), (1, 2)):  # back, forth and back: DVC's run cache brings the outputs, and the link the right run
        project.change(f"evaluate: {{num_sentences: {now},", f"evaluate: {{num_sentences: {then},")
        output = project.run("dvc", "repro")
        assert "is cached" in output
        assert "Running stage" not in output
        assert json.loads(link.read_text())["run_id"] == made_by[then]
    assert {run.info.run_id for run in project.runs("voice")} == set(made_by.values())
    status = project.run("dvc", "status")
    assert "up to date" in status
    project.change("decoder: {max_steps: 2,", "decoder: {max_steps: 3,")
    changed = {line.rstrip(":") for line in project.run("dvc", "status").splitlines() if line and not line.startswith((" ", "\t"))}
    assert changed == {"decoder"}
    project.change("decoder: {max_steps: 3,", "decoder: {max_steps: 2,")


def test_a_version_tested_on_other_sentences_is_measured_beside_the_champion_on_todays(project):
    """Version 1 was tested on today's two sentences, version 2 on one."""
    gate = "promotion.gates={copy/mel_distance: {worse_by: 0.001}, speech/real_time_factor: {max: 1000}}"
    output = project.run("myxtts", "promote", "2", "--set", gate)
    assert "measuring route version 2 on 2 held-out sentences" in output and "measuring route version 1" not in output
    (row,) = [line.split() for line in output.splitlines() if line.startswith("copy/mel_distance")]
    assert row[1] == row[2] and row[-1] == "passed", "the same networks give the same figure on the same sentences"
    assert "route version 2 is champion now; before it was version 1" in output
    tags = project.client().get_model_version("route", "2").tags
    assert tags["promotion.champion"].startswith("passed") and tags["gate.champion.copy/mel_distance"].endswith(": passed")
    output = project.run("myxtts", "promote", "1", "--set", "promotion.gates={copy/mel_distance: {max: 0.001}}", check=False)
    assert "refused because of copy/mel_distance; version 2 stays champion" in output and "Traceback" not in output
    assert "version 1 is champion again" in project.run("myxtts", "rollback")


def test_mlflow_run_is_the_voice_run_and_nests_the_stage_runs(project):
    def mlflow_run(*arguments: str) -> str:
        output = project.run("mlflow", "run", ".", "--env-manager", "local", "--experiment-name", "myxtts", *arguments)
        return re.search(r"Run \(ID '(\w+)'\) succeeded", output).group(1)

    run_id = mlflow_run("-P", "set=training.decoder.max_steps=3")
    run = project.client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert json.loads((project.root / "reports/voice_run.json").read_text())["run_id"] == run_id
    assert run.data.params["training.decoder.max_steps"] == "3"
    assert {"copy/mel_distance", "gpt/mel_loss"} <= set(run.data.metrics)
    children = [child for child in project.runs("decoder") if child.data.tags.get("mlflow.parentRunId") == run_id]
    assert len(children) == 1
    again = project.client().get_run(mlflow_run())
    assert again.data.tags["myxtts.up_to_date"] == "true"
    assert again.data.tags["myxtts.made_by_run"] == run_id
    assert again.info.status == "FINISHED"


def curve(project, run_id: str, metric: str) -> dict[int, float]:
    """A metric of an MLflow run: {step: value}."""
    return {point.step: point.value for point in project.client().get_metric_history(run_id, metric)}


def plotted(plots: dict, revision: str) -> dict[tuple[str, str], dict[int, float]]:
    """What the plots of one revision show: {(file, column): {step: value}}."""
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for (plot,) in plots.values():
        for row in plot["content"]["data"]["values"]:
            if row["rev"] == revision:
                file, _, column = row.get("filename::field", f"{row.get('filename')}::").partition("::")
                column = column or next(name for name in ("reconstruction_loss", "mel_loss") if name in row)
                curves.setdefault((file, column), {})[int(row["step"])] = float(row[column])
    return curves


def test_dvc_and_mlflow_say_the_same_numbers_of_two_versions(project):
    def voice() -> dict[str, float]:
        link = json.loads((project.root / "reports/voice_run.json").read_text())
        metrics = project.client().get_run(link["run_id"]).data.metrics
        # not the load of the machine, nor the figures of the corpus, which stand in another report
        return {name: value for name, value in metrics.items() if not name.startswith(("system/", "data/"))}

    def stage_runs() -> dict[str, str]:
        return {stage: json.loads((project.root / f"reports/{stage}_run.json").read_text())["run_id"] for stage in TRAINED_STAGES}

    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "first", "--allow-empty")
    first, first_runs = voice(), stage_runs()
    steps = int(re.search(r"decoder: {max_steps: (\d)", (project.root / "params.yaml").read_text()).group(1))
    other_steps = {2: 3, 3: 2}[steps]  # both have been trained by the tests above: they come from DVC's run cache
    project.run("dvc", "exp", "run", "-S", f"training.decoder.max_steps={other_steps}")
    second, second_runs = voice(), stage_runs()
    assert first.keys() == second.keys() and first != second

    def numbers(values: dict) -> dict[str, float]:
        return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}

    shown = json.loads(project.output("dvc", "metrics", "show", "--json"))[""]["data"]["reports/evaluate.json"]["data"]
    assert numbers(shown) == second
    changed = json.loads(project.output("dvc", "metrics", "diff", "--all", "--json", "HEAD"))["reports/evaluate.json"]
    assert numbers({name: item["old"] for name, item in changed.items()}) == first
    assert numbers({name: item["new"] for name, item in changed.items()}) == second
    table = {row["rev"]: row["data"]["metrics"] for row in json.loads(project.output("dvc", "exp", "show", "--json"))}
    committed = project.output("git", "rev-parse", "HEAD").strip()
    for revision, expected in (("workspace", second), (committed, first)):
        assert numbers(table[revision]["reports/evaluate.json"]["data"]) == expected

    plots, lengths = json.loads(project.output("dvc", "plots", "diff", "HEAD", "--json"))["data"], []
    for revision, runs in (("HEAD", first_runs), ("workspace", second_runs)):
        curves = plotted(plots, revision)
        assert {file.partition("_")[0] for file, _ in curves} == set(TRAINED_STAGES)
        assert ("gpt_val.csv", "wrong_text_mel_loss") in curves
        lengths.append(len(curves["decoder_train.csv", "mel_loss"]))
        for (file, column), points in curves.items():
            stage, kind = file.removesuffix(".csv").split("_")
            assert points == curve(project, runs[stage], f"{kind}/{column}"), (revision, file, column)
    assert lengths == [steps, other_steps]


def test_a_fresh_clone_pulls_and_has_nothing_to_do(project, tmp_path):
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "trained", "--allow-empty")
    project.run("dvc", "remote", "add", "-f", "-d", "store", str(tmp_path / "store"))
    project.run("git", "commit", "-qam", "remote", "--allow-empty")
    project.run("dvc", "push", "-q")
    clone = type(project)(tmp_path / "clone")
    project.run("git", "clone", "-q", str(project.root), str(clone.root))
    clone.run("dvc", "pull", "-q")
    assert clone.repro() == []
    assert (clone.root / "models/bundle/params.yaml").is_file()


def test_a_version_is_reproduced_from_commit_and_data_or_what_differs_is_said(project, tmp_path):
    project.run("dvc", "repro", "-q")
    latest = json.loads((project.root / "reports/registered.json").read_text())["version"]
    version, folder = f"models:/route/{latest}", project.root.parent / f"{project.root.name}-route-{latest}"
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "trained again", "--allow-empty")
    runs = len(project.runs("voice"))
    output = project.run("myxtts", "reproduce", version)
    assert "nothing to do" in output and "byte for byte" in output
    worktree = type(project)(folder)
    assert worktree.repro() == []
    assert len(project.runs("voice")) == runs, "nothing was trained or registered"
    assert "exists: remove it" in project.run("myxtts", "reproduce", version, check=False)
    project.run("git", "worktree", "remove", "--force", str(folder))

    # the same outputs, committed with parameters that they were not made with
    tampered = type(project)(tmp_path / "tampered")
    project.run("git", "clone", "-q", str(project.root), str(tampered.root))
    shutil.copy(project.root / "mlflow.db", tampered.root)
    tampered.change("seed: 3\n", "seed: 4\n")
    tampered.run("git", "checkout", "-q", "--orphan", "alone")
    tampered.run("git", "add", "-A")
    tampered.run("git", "commit", "-qm", "tampered")
    for branch in tampered.run("git", "for-each-ref", "--format=%(refname)").split():
        if not branch.endswith("/alone"):
            tampered.run("git", "update-ref", "-d", branch)
    output = tampered.run("myxtts", "reproduce", version, "--out", str(tmp_path / "w"), check=False)
    assert "It is not reproduced" in output and "dvae: " in output and re.search("dvc repro would run .*dvae", output)
    assert "Traceback" not in output


def test_a_version_that_no_commit_holds_is_not_reproduced(project, tmp_path):
    clone = type(project)(tmp_path / "clone")
    first = project.run("git", "rev-list", "--max-parents=0", "HEAD").strip()
    project.run("git", "clone", "-q", str(project.root), str(clone.root))
    shutil.copy(project.root / "mlflow.db", clone.root)
    clone.run("git", "checkout", "-q", "-B", "start", first)
    for reference in clone.run("git", "for-each-ref", "--format=%(refname)").split():
        if not reference.endswith("/start"):
            clone.run("git", "update-ref", "-d", reference)
    assert "no commit here has the dvc.lock of route version 1" in clone.run("myxtts", "reproduce", "models:/route/1", check=False)
    assert "names no version" in clone.run("myxtts", "reproduce", "route/1", check=False)


def test_a_plain_folder_without_git_works_too(project, tmp_path):
    plain = type(project)(tmp_path / "plain")
    shutil.copytree(project.root, plain.root, ignore=shutil.ignore_patterns(".git", "tmp", "mlruns", "checkpoints"), symlinks=True)
    ensure_dvc(plain.root)
    assert plain.repro() == []


def test_what_was_made_is_said(project):
    output = project.run("myxtts", "made")
    for said in ("models:/route/", "workflowType=machine_learning", "gpt/wrong_text_gap"):
        assert said in output
    command = shlex.split(output[output.index(".venv/bin/myxtts say") :].splitlines()[0])
    project.run("myxtts", *command[1:])  # it speaks as it stands there
    assert (project.root / "out.wav").is_file()
