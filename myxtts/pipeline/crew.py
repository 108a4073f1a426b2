"""Several processes that train one network: started here or by Ray, each running the same command with its own TF_CONFIG.

On machines of your own, start the same command on each with TF_CONFIG set, on a folder that all of them see.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, MyXTTSError
from myxtts.config.stages import HardwareConfig
from myxtts.training.signals import stop_signals

AGAIN = "run the same command again to go on from there (myxtts train: with --resume)"
PARENT = "MYXTTS_CREW_PARENT"  # in a worker's environment: number of the process that started it
INTERRUPTED = 130  # exit code of a command that was stopped by a signal
# seconds that the others have to end after one worker has: on a signal, with a checkpoint still to write; after a failure
GRACE, SOON = 600.0, 10.0


def in_crew() -> bool:
    """True in a process that is one worker of several."""
    return "TF_CONFIG" in os.environ


def is_chief() -> bool:
    """True in the process that writes: the first worker, or the only one. Raises ConfigError."""
    if not in_crew():
        return True
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        kind, index = config["task"]["type"], int(config["task"]["index"])
        return kind == "chief" or (index == 0 and not config["cluster"].get("chief"))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"TF_CONFIG must name this process' task and its cluster in JSON ({error!r})") from None


def follow_parent() -> None:
    """In a worker that `run_crew` started here: stops it, its checkpoint written, when the command that started it is killed."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def run_crew(arguments: list[str], hardware: HardwareConfig, logs: Path) -> None:
    """Runs `python -m myxtts ARGUMENTS` in `hardware.workers` processes and waits for them.

    hardware.cluster: `local` (this machine; the chief's output is shown, the others' goes to logs/worker-<n>.log) or `ray` (wherever
    Ray has room; the folders must be shared). Raises KeyboardInterrupt when they were stopped by a signal, MyXTTSError where a worker
    fails, after the others were stopped.
    """
    {"local": _run_local, "ray": _run_on_ray}[hardware.cluster](arguments, hardware, logs)


def _run_local(arguments: list[str], hardware: HardwareConfig, logs: Path) -> None:
    from myxtts.training.scale import share_gpus

    gpus = share_gpus(hardware)
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(hardware.workers)]
    logs.mkdir(parents=True, exist_ok=True)
    files = [None, *((logs / f"worker-{index}.log").open("w") for index in range(1, hardware.workers))]
    processes: list[subprocess.Popen] = []
    try:
        with _forwarded(processes) as signals:
            for index, file in enumerate(files):
                task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                environment = os.environ | {"TF_CONFIG": json.dumps(task), PARENT: str(os.getpid())} | gpus[index]
                command = [sys.executable, "-m", "myxtts", *arguments]
                # a session of its own: the terminal sends Ctrl-C to this process alone, which hands it on once
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=file, stderr=file and subprocess.STDOUT, start_new_session=True)
                )
                signals.catch_up(processes[-1])
            _wait(processes, logs)
    finally:
        _stop(processes)
        for file in files[1:]:
            file.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def _wait(processes: list[subprocess.Popen], logs: Path) -> None:
    """Until all have ended. The first that failed ends the crew: without it the others would wait for it for ever."""
    leaving: float | None = None  # until when the others may take once the first left on a signal
    while True:
        codes = [process.poll() for process in processes]
        if (failed := _failed(codes)) is not None:
            raise _failure(codes, failed, logs)
        if leaving is None and any(codes):
            leaving = time.monotonic() + (GRACE if INTERRUPTED in codes else SOON)  # killed at its start, it leaves nothing to save
        if None not in codes or (leaving is not None and time.monotonic() > leaving):
            break
        time.sleep(0.2)
    if any(code != 0 for code in codes):
        raise KeyboardInterrupt(f"the workers were stopped; {AGAIN}")


def _failed(codes: list[int | None]) -> int | None:
    """The first worker that ended otherwise than well, or on a signal to stop (which kills it if it comes before it is listened to)."""
    stopped = (None, 0, INTERRUPTED, *(-number for number in stop_signals()))
    return next((index for index, code in enumerate(codes) if code not in stopped), None)


def _failure(codes: list[int | None], index: int, logs: Path) -> MyXTTSError:
    code = codes[index]
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    where = "its reason stands above" if index == 0 else f"see {logs / f'worker-{index}.log'}"
    return MyXTTSError(f"worker {index} of {len(codes)} {how} ({where}); the others were stopped. What was saved is whole: {AGAIN}")


def _stop(processes: list[subprocess.Popen]) -> None:
    """Ends whatever still runs: nothing, unless a worker failed, or would not leave."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    ends = time.monotonic() + SOON
    for process in running:
        try:
            process.wait(max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:  # it waits for a worker that is gone
            process.kill()
            process.wait()


class _forwarded:
    """Ctrl-C, SIGTERM and a closed terminal go to the workers, which save and leave; this process waits for them."""

    def __init__(self, processes: list[subprocess.Popen]):
        self._processes = processes
        self._received = False
        self._told: set[int] = set()

    def __enter__(self) -> "_forwarded":
        self._before = {kind: signal.signal(kind, self._handle) for kind in stop_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def catch_up(self, process: subprocess.Popen) -> None:
        """Tells a worker that was just started of a signal that came while it was."""
        if self._received and process.pid not in self._told:
            self._tell(process)

    def _handle(self, number: int, frame: Any) -> None:
        self._received = True
        for process in self._processes:
            self._tell(process)

    def _tell(self, process: subprocess.Popen) -> None:
        self._told.add(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)


def _run_on_ray(arguments: list[str], hardware: HardwareConfig, logs: Path) -> None:
    try:
        import ray
        from ray.train import ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer
    except ImportError:
        raise ConfigError("hardware.cluster ray needs Ray: pip install 'myxtts[cluster]'") from None
    command, folder = [sys.executable, "-m", "myxtts", *arguments], str(Path.cwd())

    def work() -> None:
        # a process of its own: TensorFlow must not have been used before it joins its cluster
        done = subprocess.run(command, cwd=folder, env=dict(os.environ), stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-2000:]}")

    ray.init(ignore_reinit_error=True)
    gpus = ray.cluster_resources().get("GPU", 0) >= hardware.workers
    try:
        TensorflowTrainer(work, scaling_config=ScalingConfig(num_workers=hardware.workers, use_gpu=gpus)).fit()
    except Exception as error:  # whatever Ray wraps a worker's end in
        raise MyXTTSError(f"a worker of Ray's failed: {error}. What was saved is whole: {AGAIN}") from None
