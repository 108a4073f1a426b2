"""A registered version behind MLflow's own server and its predict command: speech for good requests, a reason for bad ones."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ports import free_port
from recordings import recording
from small import make_config

from myxtts.serving import registry
from myxtts.serving.promotion import promote
from myxtts.tracking.store import ensure_store, make_client

START_SECONDS = 900


GOOD = {"text": "good morning", "language": "en", "reference_audio": recording()}


@pytest.fixture(scope="module")
def store(tmp_path_factory, whole_bundle, empty_store):
    """A project whose champion is the bundle; the environment in which a user would serve it."""
    root = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        shutil.copy(empty_store, root / "mlflow.db")
        run = make_client(root).create_run(ensure_store(root, "voices")).info.run_id
        version = registry.register(whole_bundle, make_config(), run, {}, root)
        promote(make_config(), version, "champion", root, root)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return root, environment | {"PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}


@pytest.fixture(scope="module")
def address(store):
    root, environment = store
    port = free_port()
    command = ["mlflow", "models", "serve", "-m", "models:/myxtts@champion", "-p", str(port), "--env-manager", "local"]
    log = (root / "serve.log").open("w")
    server = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while curl(f"http://127.0.0.1:{port}/ping")[0] != 200:
            assert server.poll() is None and time.monotonic() < deadline, (root / "serve.log").read_text()[-3000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, 15)
        server.wait(300)


def curl(url: str, body: dict | None = None) -> tuple[int, str]:
    """(HTTP status, answer)."""
    arguments = [] if body is None else ["-H", "Content-Type: application/json", "-d", "@-"]
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", "-m", "120", *arguments, url],
        input=None if body is None else json.dumps(body),
        capture_output=True,
        text=True,
        check=False,
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status or 0), answer


def speech(row: dict) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(base64.b64decode(row["audio"])))


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian package curl)")


@needs_curl
def test_a_curl_is_answered_with_speech(address):
    status, answer = curl(address, {"dataframe_records": [GOOD], "params": {"seed": 3}})
    assert status == 200, answer
    (row,) = json.loads(answer)["predictions"]
    wave, rate = speech(row)
    assert rate == row["sample_rate"] == 24000 and len(wave) / rate == pytest.approx(row["seconds"]) and len(wave) > 0
    assert curl(address, {"dataframe_records": [GOOD], "params": {"seed": 3}}) == (status, answer), "the same seed, the same speech"


@needs_curl
def test_a_batch_is_answered_row_by_row_as_each_alone(address):
    persian = GOOD | {"text": "سلام به همه", "language": "fa", "reference_audio": recording(0.7, "FLAC")}
    rows = [GOOD, persian, GOOD | {"text": "the sun is warm today"}]
    status, answer = curl(address, {"dataframe_records": rows, "params": {"seed": 1}})
    assert status == 200, answer
    together = json.loads(answer)["predictions"]
    assert len(together) == 3
    for row, expected in zip(rows, together, strict=True):
        _, alone = curl(address, {"dataframe_records": [row], "params": {"seed": 1}})
        assert json.loads(alone)["predictions"][0]["audio"] == expected["audio"]


@needs_curl
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference_audio": "not base64!"}, "must be the base64 text of an audio file"),
        ({"reference_audio": base64.b64encode(b"these bytes are no recording").decode()}, "reference_audio"),
        ({"reference_audio": recording(0.01)}, "reference"),
        ({"reference_audio": ""}, "reference_audio"),
        ({"language": "xx"}, "xx"),
        ({"language": "de"}, "de"),
        ({"text": ""}, "text"),
        ({"text": "   "}, "text"),
    ],
)
def test_a_bad_row_gets_a_4xx_and_the_reason(address, change, said):
    status, answer = curl(address, {"dataframe_records": [GOOD | change]})
    assert 400 <= status < 500, (status, answer[:500])
    assert said in json.loads(answer)["message"]
    assert "/tmp" not in answer, "a place on the server says nothing to the caller"


@needs_curl
@pytest.mark.parametrize("missing", ["text", "reference_audio"])
def test_a_missing_column_gets_a_4xx_that_names_it(address, missing):
    status, answer = curl(address, {"dataframe_records": [{key: value for key, value in GOOD.items() if key != missing}]})
    assert 400 <= status < 500 and missing in answer


@needs_curl
def test_a_bad_row_among_good_ones_is_named(address):
    status, answer = curl(address, {"dataframe_records": [GOOD, GOOD | {"language": "xx"}, GOOD]})
    assert 400 <= status < 500 and "row 2 of 3" in json.loads(answer)["message"]


def test_the_predict_command_speaks(store):
    root, environment = store
    (root / "request.json").write_text(json.dumps({"dataframe_records": [GOOD, GOOD]}))
    code = (
        "import mlflow, sys\n"
        "mlflow.models.predict('models:/myxtts@champion', input_path='request.json', content_type='json', output_path='answer.json',"
        " env_manager='local')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((root / "answer.json").read_text())["predictions"]
    assert len(rows) == 2
    wave, rate = speech(rows[1])
    assert rate == 24000 and len(wave) > 0
