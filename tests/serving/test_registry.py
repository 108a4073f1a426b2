import base64
import io
import json
import os
import shutil
import subprocess
import sys

import mlflow
import numpy as np
import pytest
import soundfile
from recordings import recording
from small import make_config

from myxtts.config import ModelError, TrackingError
from myxtts.serving import registry
from myxtts.serving.bundle import check_bundle, folder_md5
from myxtts.serving.promotion import promote
from myxtts.serving.pyfunc import requirements

LOAD_AND_SPEAK = """
import sys, time
import mlflow, pandas as pd
start = time.time()
model = mlflow.pyfunc.load_model("models:/myxtts@candidate")
assert "/code/myxtts/" in sys.modules["myxtts"].__file__, "a version runs the code it was registered with"
request = pd.DataFrame({"text": ["good morning"], "language": ["en"], "reference_audio": [sys.argv[1]]})
for seed in (1, 1, 2):
    answer = model.predict(request, params={"seed": seed})
    print("answer", answer["sample_rate"][0], answer["seconds"][0], answer["audio"][0])
print("answer", *model.predict(request[["text", "reference_audio"]])[["sample_rate", "seconds", "audio"]].iloc[0])
for bad in ({"reference_audio": ["not base64!"]}, {"text": [""]}, {"language": ["de"]}):
    try:
        model.predict(request.assign(**bad))
    except mlflow.exceptions.MlflowException as error:
        print("refused", error.error_code)
"""


def test_a_registered_version_speaks_in_a_fresh_process(project, client, run_id, whole_bundle):
    version = registry.register(whole_bundle, make_config(), run_id, {"gpt/mel_loss": 2.5}, project)
    assert client.get_run(run_id).info.status == "RUNNING", "registering does not end the run"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_SPEAK, recording()], cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("answer")]
    assert len(answers) == 4
    for rate, seconds, audio in answers:
        wave, file_rate = soundfile.read(io.BytesIO(base64.b64decode(audio)))
        assert file_rate == int(rate) == 24000
        assert len(wave) / file_rate == pytest.approx(float(seconds)) and len(wave) > 0 and np.isfinite(wave).all()
    assert answers[0] == answers[1], "the same seed gives the same speech"
    assert answers[0] != answers[2]
    assert done.stdout.count("refused INVALID_PARAMETER_VALUE") == 3

    assert "champion now" in promote(make_config(), version, "champion", project, project)  # which loads it in another one
    bundle = registry.resolve("models:/myxtts@champion", project)
    assert check_bundle(bundle, contents=True)["metrics"] == {"speech/phone_error_rate": 0.25}
    assert registry.resolve(whole_bundle, project) == whole_bundle


def test_a_version_carries_its_figures_and_its_origin(project, client, register, run_id):
    version = register(**{"gpt/mel_loss": 2.5})
    stored = client.get_model_version("myxtts", str(version))
    assert stored.tags["metrics.gpt/mel_loss"] == "2.5" and stored.tags["metrics.speech/phone_error_rate"] == "0.25"
    assert stored.tags["run.gpt"] == "abc123" and stored.run_id == run_id
    listed = registry.list_versions("myxtts", project)
    assert [(item["version"], item["aliases"], item["metrics"]["gpt/mel_loss"]) for item in listed] == [(1, ["candidate"], 2.5)]
    info = mlflow.models.get_model_info("models:/myxtts/1")
    assert [column.name for column in info.signature.inputs] == ["text", "language", "reference_audio"]
    assert {param.name: param.default for param in info.signature.params} == {"seed": 0, "temperature": 0.9}
    outputs = client.get_run(run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [info.model_id]


def test_a_version_says_what_it_was_made_of(project, client, register):
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "all"],
        ["remote", "add", "origin", "https://me:secret@git.example/voices"],
    ):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], cwd=project, check=True)
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n    remote = s\n['remote \"s\"']\n    url = s3://bucket/voices\n")
    stored = client.get_model_version("myxtts", str(register(**{"evaluation_set": "0123", "machine": "two cores"})))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True).stdout.strip()
    tags = stored.tags
    assert (tags["git.commit"], tags["git.remote"], tags["dvc.remote"]) == (commit, "https://git.example/voices", "s3://bucket/voices")
    assert (tags["languages"], tags["evaluation_set"], tags["machine"]) == ("en, fa", "0123", "two cores")
    assert tags["licence"].startswith("none imported")
    assert "secret" not in str(stored)
    for said in (
        f"git.commit: `{commit}`",
        "s3://bucket/voices",
        "| speech/phone_error_rate | 0.25 |",
        "Licence of imported weights",
    ):
        assert said in stored.description
    assert stored.description.startswith("A voice-cloning text-to-speech model")


def test_a_version_says_by_what_right_its_data_is_used(project, client, run_id, bundle):
    values = json.loads((bundle / "bundle.json").read_text())
    values["data"] = {"read": {"licence": "CC BY 4.0", "consent": "signed", "clips": 4, "hours": 0.1, "languages": ["en"]}}
    (bundle / "bundle.json").write_text(json.dumps(values))
    stored = client.get_model_version("myxtts", str(registry.register(bundle, make_config(), run_id, {}, project)))
    assert (stored.tags["data.licence"], stored.tags["data.consent"]) == ("CC BY 4.0", "signed")
    assert "data.licence: `CC BY 4.0`" in stored.description and "| read | en | 4 | 0.10 | CC BY 4.0 | signed |" in stored.description


def test_the_hash_of_a_bundle_is_the_one_that_dvc_knows_it_by(whole_bundle, tmp_path):
    root = tmp_path / "dvc"
    shutil.copytree(whole_bundle, root / "models" / "bundle")
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "models/bundle"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)
    assert f"md5: {folder_md5(root / 'models/bundle')}.dir" in (root / "models/bundle.dvc").read_text()


def test_wrong_names_are_answered_with_what_there_is(project, register, tmp_path):
    assert registry.list_versions("myxtts", project) == []
    assert "no version is registered" in registry.table([])
    register()
    with pytest.raises(ModelError, match="registry list"):
        registry.resolve("models:/myxtts@champion", project)
    with pytest.raises(ModelError, match="no bundle folder"):
        registry.resolve(tmp_path / "nothing", project)


def test_versions_are_listed_a_line_each_with_what_is_asked_for(project, register):
    register(**{"gpt/mel_loss": 2.5})
    register(**{"gpt/mel_loss": 1.5, "gpt/step": 9})
    versions = registry.list_versions("myxtts", project)
    lines = registry.table(versions, ["gpt/mel_loss", "no/such"]).splitlines()
    assert [line.split()[-1] for line in lines] == ["gpt/mel_loss", "1.5", "2.5"]
    assert "gpt/step                        9" in registry.table(versions, every=True)
    assert registry.version_number("models:/myxtts/12") == registry.version_number("12") == "12"


def test_a_damaged_bundle_is_not_registered(project, client, run_id, bundle):
    (bundle / "gpt.weights.h5").unlink()
    with pytest.raises(ModelError, match=r"gpt.weights.h5 is missing"):
        registry.register(bundle, make_config(), run_id, {}, project)
    assert client.search_registered_models() == []


def test_a_server_that_is_gone_is_named(project, run_id, whole_bundle, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="cannot be reached"):
        registry.register(whole_bundle, make_config(), run_id, {}, project)


def test_requirements_are_pinned_and_leave_out_what_speaking_does_not_need():
    names = [line.split("==")[0] for line in requirements("letters")]
    assert all("==" in line for line in requirements("phones"))
    assert {"tensorflow", "keras", "mlflow", "tokenizers"} <= set(names)
    assert not {"dvc", "matplotlib", "pytest", "hama", "espeakng-loader"} & set(names)
    assert {line.split("==")[0] for line in requirements("phones")} == {*names, "espeakng-loader"}
