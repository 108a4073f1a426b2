"""`myxtts train --workers 2`: one training by two processes, on a small corpus."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from small import small_config
from small_corpus import write_corpus

from myxtts.config import ConfigError, XTTSConfig
from myxtts.config.stages import HardwareConfig
from myxtts.pipeline import crew
from myxtts.training import scale


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crew")
    write_corpus(folder / "corpus")
    values = small_config().to_dict()
    values["loop"] |= {"log_step": 1, "save_step": 5}
    values["training"]["dvae"]["val_step"] = 100_000
    XTTSConfig.from_dict(values).dump(folder / "params.yaml")
    return folder


def train(place: Path, out: str, *options: str) -> subprocess.Popen:
    command = [
        sys.executable, "-m", "myxtts", "train", "--train-data", str(place / "corpus"), "--val-data", str(place / "corpus"),
        "--checkpoint-dir", str(place / out), "--stage", "dvae", "--batch-size", "2", "--workers", "2", "--no-tracking",
        "--params", str(place / "params.yaml"), *options,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=place)


@pytest.mark.slow  # test_a_job_whose_worker_fails_is_stopped_soon is its small sister
def test_a_killed_worker_ends_the_job_with_its_name_and_the_same_command_goes_on(place):
    job = train(place, "out", "--epochs", "100000")
    for line in job.stdout:
        if "dvae step 6/" in line:
            break
    workers = [child for child in psutil.Process(job.pid).children() if "worker" in child.cmdline()]
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)
    rest = job.stdout.read()
    assert job.wait(600) == 1
    assert "worker 1 of 2 was killed by SIGKILL" in rest
    assert "run the same command again to go on from there" in rest
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in workers)
    again = train(place, "out", "--epochs", "1", "--resume")
    said = again.communicate(timeout=900)[0]
    assert again.returncode == 0, said[-3000:]
    assert "resumed dvae from" in said
    assert (place / "out" / "final_model" / "dvae.weights.h5").is_file()
    assert "resumed" not in (place / "out/checkpoints/dvae/workers/worker-1.log").read_text()


def test_a_signal_stops_the_whole_job_after_a_checkpoint(place):
    job = train(place, "stopped", "--epochs", "100000")
    for line in job.stdout:
        if "dvae step 3/" in line:
            break
    job.send_signal(signal.SIGTERM)
    rest = job.stdout.read()
    assert job.wait(600) == 130, rest[-2000:]
    assert "saved step" in rest
    assert "--stage dvae" in rest and "go on with: myxtts train" in rest and rest.rstrip().endswith("--resume")
    assert list((place / "stopped/checkpoints/dvae").glob("ckpt-*"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `cluster` (Ray)")
def test_ray_places_the_workers(place):
    job = train(place, "ray", "--epochs", "1", "--cluster", "ray")
    said = job.communicate(timeout=600)[0]
    assert job.returncode == 0, said[-3000:]
    assert "on each of 2 devices" in said


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'myxtts\[cluster\]'"):
        crew.run_crew([], HardwareConfig(workers=2, cluster="ray"), Path())


@pytest.mark.parametrize(
    ("text", "chief"),
    [
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}', True),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', False),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}', False),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}', True),
    ],
)
def test_one_process_is_the_chief(monkeypatch, text, chief):
    monkeypatch.setenv("TF_CONFIG", text)
    assert crew.is_chief() is chief
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ConfigError, match="must name this process' task"):
        crew.is_chief()


def run_scripts(script: str, folder: Path, monkeypatch) -> None:
    """A crew of two whose workers run `script`, which knows its number as `index`."""
    start = subprocess.Popen
    head = "import sys, time, os, json, signal, pathlib; index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
    monkeypatch.setattr(crew.subprocess, "Popen", lambda command, **options: start([sys.executable, "-c", head + script], **options))
    crew.run_crew(["train"], HardwareConfig(workers=2), folder)


def test_a_job_whose_worker_fails_is_stopped_soon(tmp_path, monkeypatch):
    """The others wait for it in vain: they are not given the time that a checkpoint takes."""
    began = time.monotonic()
    with pytest.raises(crew.MyXTTSError, match=r"worker 1 of 2 ended with exit code 3 \(see .*worker-1.log\)"):
        run_scripts("sys.exit(3) if index else time.sleep(600)", tmp_path, monkeypatch)
    assert time.monotonic() - began < 300


# leaves on the first signal, the chief after a checkpoint that takes a while; a second signal acts at once
STOPPED = """
def leave(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(0 if index else 3)
    pathlib.Path({folder!r}, f"saved-{{index}}").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, leave)
pathlib.Path({folder!r}, f"ready-{{index}}").touch()
time.sleep(600)
"""


@pytest.mark.usefixtures("heeds_hangup")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_each_worker_once_and_the_chief_may_finish_its_checkpoint(tmp_path, monkeypatch, kind):
    def stop() -> None:
        while len(list(tmp_path.glob("ready-*"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), kind)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match="the workers were stopped"):
        run_scripts(STOPPED.format(folder=str(tmp_path)), tmp_path, monkeypatch)
    assert sorted(path.name for path in tmp_path.glob("saved-*")) == ["saved-0", "saved-1"]


def test_workers_have_a_session_of_their_own(tmp_path, monkeypatch):
    """Ctrl-C in a terminal goes to every process of its session; the workers are to hear of it once, from the command."""
    run_scripts(f"pathlib.Path({str(tmp_path)!r}, f'session-{{index}}').write_text(str(os.getsid(0)))", tmp_path, monkeypatch)
    sessions = {path.read_text() for path in tmp_path.glob("session-*")}
    assert len(sessions) == 2
    assert str(os.getsid(0)) not in sessions


def test_a_worker_that_stays_after_a_signal_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 1.0)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_scripts("sys.exit(130) if index else time.sleep(600)", tmp_path, monkeypatch)
    assert time.monotonic() - began < 300


@pytest.mark.parametrize(
    ("visible", "every", "shares"),
    [
        (None, True, ["0,1", "2,3"]),
        ("4,5,6,7,9", True, ["4,5", "6,7"]),
        ("GPU-a,GPU-b", True, ["GPU-a", "GPU-b"]),
        (None, False, ["0", "1"]),
    ],
)
def test_local_workers_share_the_gpus(monkeypatch, visible, every, shares):
    monkeypatch.setattr(scale.tf.config, "list_physical_devices", lambda kind: ["gpu"] * (len(visible.split(",")) if visible else 4))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible) if visible else monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = scale.share_gpus(HardwareConfig(workers=2, all_devices=every))
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in found] == shares


def test_more_workers_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(scale.tf.config, "list_physical_devices", lambda kind: ["gpu"])
    with pytest.raises(ConfigError, match=r"workers 2 on a machine with 1 GPU.*leave --workers out"):
        scale.share_gpus(HardwareConfig(workers=2))


FOLLOWER = """
from myxtts.pipeline.crew import follow_parent
follow_parent()
pathlib.Path({folder!r}, f"worker-{{index}}").write_text(str(os.getpid()))
time.sleep(600)
"""


def test_workers_end_when_the_command_that_started_them_is_killed(tmp_path):
    tests = Path(__file__).parent
    code = (
        f"import sys; sys.path[:0] = [{str(tests)!r}, {str(tests.parent)!r}]\n"
        "import pytest, test_crew, pathlib\n"
        f"test_crew.run_scripts({FOLLOWER.format(folder=str(tmp_path))!r}, pathlib.Path({str(tmp_path)!r}), pytest.MonkeyPatch())"
    )
    command = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.glob("worker-[01]"))) < 2:
        assert command.poll() is None
        time.sleep(0.1)
    command.kill()
    command.wait()
    workers = [int(path.read_text()) for path in tmp_path.glob("worker-[01]")]
    ends = time.monotonic() + 120
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in workers):
        assert time.monotonic() < ends, "a worker lives on"
        time.sleep(0.2)


def test_a_signal_that_comes_while_workers_are_started_reaches_them_all(tmp_path, monkeypatch):
    """Between a process and its place in the list, say."""
    start = subprocess.Popen
    ready = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); time.sleep(600)"
    head = "import sys, time, signal\n"

    def started(command, **options):
        process = start([sys.executable, "-c", head + ready], **options)
        time.sleep(1)
        if options["stdout"] is not None:  # the second worker
            os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(crew.subprocess, "Popen", started)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        crew.run_crew(["train"], HardwareConfig(workers=2), tmp_path)
    assert time.monotonic() - began < 300
