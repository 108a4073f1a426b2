import base64
import io
import os
import subprocess
import sys
import threading

import mlflow
import numpy as np
import pytest
import soundfile
from small import make_config

from myxtts.config import ModelError, TrackingError
from myxtts.serving import registry
from myxtts.serving.bundle import check_bundle
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


def reference() -> str:
    rng = np.random.default_rng(0)
    wave = 0.2 * np.sin(np.arange(24000) * 0.05) * (1 + 0.3 * rng.standard_normal(24000))
    buffer = io.BytesIO()
    soundfile.write(buffer, wave.astype(np.float32), 24000, format="WAV")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def loads(monkeypatch):
    """The gate loads in a fresh process, which takes seconds: most tests only see whether and for what it was asked."""
    asked = []
    monkeypatch.setattr(registry, "_load_once", lambda name, version, root: asked.append(version))
    return asked


@pytest.fixture
def register(project, run_id, whole_bundle):
    return lambda **metrics: registry.register(whole_bundle, make_config(), run_id, metrics, project)


def test_a_registered_version_speaks_in_a_fresh_process(project, client, run_id, whole_bundle):
    version = registry.register(whole_bundle, make_config(), run_id, {"gpt/mel_loss": 2.5}, project)
    assert client.get_run(run_id).info.status == "RUNNING", "registering does not end the run"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_SPEAK, reference()], cwd=project, env=environment, capture_output=True, text=True, timeout=300
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

    assert "champion now" in registry.promote("myxtts", version, "champion", project)  # the real gate
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


def test_promotion_and_rollback_move_the_alias(project, register, loads):
    for _ in range(3):
        register()
    assert registry.promote("myxtts", 1, "champion", project) == "myxtts version 1 is champion now"
    assert registry.promote("myxtts", "3", "champion", project).endswith("before it was version 1")
    assert "already" in registry.promote("myxtts", 3, "champion", project)
    aliases = {item["version"]: item["aliases"] for item in registry.list_versions("myxtts", project)}
    assert aliases == {3: ["candidate", "champion"], 2: [], 1: []}
    assert "version 1 is champion again" in registry.rollback("myxtts", "champion", project)
    with pytest.raises(ModelError, match="none to go back to"):
        registry.rollback("myxtts", "champion", project)
    assert loads == ["1", "3", "1"]
    text = registry.table(registry.list_versions("myxtts", project))
    assert text.splitlines()[0].split() == ["version", "created", "aliases"] and "champion" in text


def test_promotions_at_the_same_time_lose_none(project, client, register, monkeypatch):
    """Both see the old champion, load, and move the alias: whoever is second must remember the first."""
    for _ in range(3):
        register()
    monkeypatch.setattr(registry, "_load_once", lambda *_: None)
    registry.promote("myxtts", 1, "champion", project)
    both = threading.Barrier(2)
    monkeypatch.setattr(registry, "_load_once", lambda *_: both.wait(timeout=30))
    threads = [threading.Thread(target=registry.promote, args=("myxtts", version, "champion", project)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    champion = client.get_registered_model("myxtts").aliases["champion"]
    (second,) = {2, 3} - {int(champion)}
    previous = {
        version: client.get_model_version("myxtts", str(version)).tags.get("previous.champion") for version in (int(champion), second)
    }
    assert previous == {int(champion): str(second), second: "1"}
    monkeypatch.setattr(registry, "_load_once", lambda *_: None)
    for expected in (second, 1):
        registry.rollback("myxtts", "champion", project)
        assert int(client.get_registered_model("myxtts").aliases["champion"]) == expected


def test_a_version_that_does_not_load_is_refused_and_the_champion_stays(project, client, register, run_id, loads):
    register()
    registry.promote("myxtts", 1, "champion", project)
    external = mlflow.create_external_model(name="ckpt-1", source_run_id=run_id)
    version = client.create_model_version("myxtts", f"models:/{external.model_id}", model_id=external.model_id).version
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_load_once", REAL_GATE)
        with pytest.raises(ModelError, match="does not load, so the alias stays"):
            registry.promote("myxtts", version, "champion", project)
    assert str(client.get_model_version_by_alias("myxtts", "champion").version) == "1"


REAL_GATE = registry._load_once


def test_wrong_names_are_answered_with_what_there_is(project, register, loads, tmp_path):
    assert registry.list_versions("myxtts", project) == []
    assert "no version is registered" in registry.table([])
    register()
    with pytest.raises(ModelError, match="registered are: 1"):
        registry.promote("myxtts", 7, "champion", project)
    with pytest.raises(ModelError, match="latest"):
        registry.promote("myxtts", 1, "latest", project)
    with pytest.raises(ModelError, match="promote one first"):
        registry.rollback("myxtts", "champion", project)
    with pytest.raises(ModelError, match="registry list"):
        registry.resolve("models:/myxtts@champion", project)
    with pytest.raises(ModelError, match="no bundle folder"):
        registry.resolve(tmp_path / "nothing", project)
    assert loads == []


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
    names = [line.split("==")[0] for line in requirements()]
    assert all("==" in line for line in requirements())
    assert {"tensorflow", "keras", "mlflow", "tokenizers"} <= set(names)
    assert not {"dvc", "matplotlib", "pytest", "hama"} & set(names)
