"""`myxtts serve` as users start it: a process, which holds under load and ends when it is told to."""

import importlib.util
import json
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from running import VOICE

from myxtts import cli
from myxtts.serving.server.options import check_address

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def bench():
    """benchmarks/serve_load.py"""
    spec = importlib.util.spec_from_file_location("serve_load", ROOT / "benchmarks" / "serve_load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_ends_what_is_running_when_it_is_told_to_stop(bench, whole_bundle, tmp_path, monkeypatch):
    """A process that imports TensorFlow: ten seconds."""
    monkeypatch.setenv("MYXTTS_API_KEY", "of-the-environment")
    key = {"Authorization": "Bearer of-the-environment"}
    monkeypatch.chdir(ROOT)
    with bench.server(whole_bundle, tmp_path, "--language", "en") as (port, process):
        assert bench.ask(port, "GET", "/v1/voices")[0] == 401
        body, kind = bench.form(VOICE, bench.recording())
        assert bench.ask(port, "POST", "/v1/voices", body, kind | key)[0] == 201
        asked, answers = {"text": "good morning to all of you\n" * 4, "voice": VOICE, "format": "pcm"}, []
        post = ("POST", "/v1/speech", json.dumps(asked).encode(), bench.JSON | key)
        request = threading.Thread(target=lambda: answers.append(bench.ask(port, *post)))
        request.start()
        time.sleep(0.5)
        assert not answers
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert bench.ask(port, "GET", "/health")[0] == 0, "it takes no new ones"
        request.join(300)
        ((status, content),) = answers
        assert status == 200 and len(np.frombuffer(content, "<i2")) > 1000
        assert process.wait(300) == 0
    log = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in log and "of-the-environment" not in log


def test_every_kind_of_malformed_request_gets_a_4xx_and_every_good_one_speech(bench, serve, synthesizer):
    """The load test with a synthesizer that makes no speech, and more malformed requests than any client sends."""
    from stand_ins import stand_in

    mixed, speaker = stand_in(synthesizer)
    with serve(mixed, language="en") as client:
        kinds = len(bench.MALFORMED)
        result = bench.load(client.base_url.port, psutil.Process(), requests=4 * kinds, clients=8, malformed=50, warm_up=0)
    assert result["wrong"] == []
    answers = result["answers"]
    assert answers.pop("good 200") == 2 * kinds
    assert sum(answers.values()) == 2 * kinds and all(answer.startswith("bad 4") for answer in answers)
    assert {"bad 400", "bad 403", "bad 404", "bad 405", "bad 409", "bad 413", "bad 415", "bad 422"} <= set(answers)
    assert result["lines_a_batch"] > 1 and len(speaker.threads) == 1


@pytest.mark.slow
def test_it_holds_under_load(bench, tmp_path):
    with bench.server(bench.tiny_bundle(tmp_path / "model"), tmp_path, "--language", "en") as (port, process):
        result = bench.load(port, process, requests=60, clients=8, malformed=20, warm_up=40)
    assert result["wrong"] == [] and result["answers"]["good 200"] == 48
    memory = list(result["memory_mb"].values())
    assert memory[-1] < 1.1 * memory[0]


def test_what_is_not_installed_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "python_multipart" else found(name, *rest))
    with pytest.raises(SystemExit, match=r"the server needs python_multipart: pip install .*\[serve\]"):
        cli.main(["serve", "--model", "nowhere"])


def test_bad_options_are_named_before_the_model_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "_synthesizer", lambda model: pytest.fail("it was loaded"))
    with pytest.raises(SystemExit, match="--max-queue"):
        cli.main(["serve", "--max-queue", "0"])
    monkeypatch.setenv("MYXTTS_API_KEY", "short")
    with pytest.raises(SystemExit, match="--api-key") as refused:
        cli.main(["serve"])
    assert "short" not in str(refused.value).replace("shorter", "").split("--api-key: ")[1].split("at least")[0]


def test_an_address_that_cannot_be_had_is_said_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr(cli, "_synthesizer", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"cannot listen at 127\.0\.0\.1, port {port} \(Address already in use\): .*--port"):
            cli.main(["serve", "--port", str(port)])
    check_address("127.0.0.1", port)
    with pytest.raises(SystemExit, match=r"--port 80000: expected a number from 0"):
        cli.main(["serve", "--port", "80000"])
