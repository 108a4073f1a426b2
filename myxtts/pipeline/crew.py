"""Several processes that train one network: started here or by Ray, each running the same command with its own TF_CONFIG.

On machines of your own, start the same command on each with TF_CONFIG set, on a folder that all of them see.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, MyXTTSError

GRACE = 60.0  # seconds that a stopped crew has for its last checkpoint


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


def run_crew(arguments: list[str], workers: int, cluster: str, logs: Path) -> None:
    """Runs `python -m myxtts ARGUMENTS` in `workers` processes and waits for them.

    cluster: `local` (this machine; the chief's output is shown, the others' goes to logs/worker-<n>.log) or `ray` (wherever Ray has
    room; the folders must be shared). Raises MyXTTSError where a worker fails, after the others were stopped.
    """
    {"local": _run_local, "ray": _run_on_ray}[cluster](arguments, workers, logs)


def _run_local(arguments: list[str], workers: int, logs: Path) -> None:
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    logs.mkdir(parents=True, exist_ok=True)
    processes: list[subprocess.Popen] = []
    files = [None, *((logs / f"worker-{index}.log").open("w") for index in range(1, workers))]
    try:
        with _forwarded(lambda number: [process.send_signal(number) for process in processes if process.poll() is None]):
            for index, file in enumerate(files):
                task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                environment = os.environ | {"TF_CONFIG": json.dumps(task)}
                command = [sys.executable, "-m", "myxtts", *arguments]
                processes.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file and subprocess.STDOUT))
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
    """Until all have ended well. The first that did not ends the crew: without it the others would wait for it for ever."""
    while True:
        codes = [process.poll() for process in processes]
        for index, code in enumerate(codes):
            if code:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                where = "its reason stands above" if index == 0 else f"see {logs / f'worker-{index}.log'}"
                if code == 130:
                    raise KeyboardInterrupt("the workers were stopped; run the same command again to go on")
                raise MyXTTSError(
                    f"worker {index} of {len(processes)} {how} ({where}); the others were stopped. What was saved is whole: run the "
                    "same command again to go on from there"
                )
        if all(code == 0 for code in codes):
            return
        time.sleep(0.2)


def _stop(processes: list[subprocess.Popen]) -> None:
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    ends = time.monotonic() + (GRACE if all(process.poll() is None for process in processes) else 10.0)
    for process in running:
        try:
            process.wait(max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:  # it waits for a worker that is gone
            process.kill()
            process.wait()


class _forwarded:
    """Ctrl-C and SIGTERM go to the workers, which save and leave; this process waits for them."""

    def __init__(self, send: Callable[[int], Any]):
        self._send = send

    def __enter__(self) -> None:
        self._before = {kind: signal.signal(kind, self._handle) for kind in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _handle(self, number: int, frame: Any) -> None:
        self._send(signal.SIGTERM)


def _run_on_ray(arguments: list[str], workers: int, logs: Path) -> None:
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
    gpus = ray.cluster_resources().get("GPU", 0) >= workers
    try:
        TensorflowTrainer(work, scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus)).fit()
    except Exception as error:  # whatever Ray wraps a worker's end in
        raise MyXTTSError(
            f"a worker of Ray's failed: {error}. What was saved is whole: run the same command again to go on from there"
        ) from None
