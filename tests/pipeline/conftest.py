"""A real project on a tiny spoken corpus, run by DVC once for all tests of this folder."""

import os
import signal
import subprocess
import time

import pytest
from checkouts import ENVIRONMENT, PARAMS, Project, checkout


def interrupt_in_gpt(project: Project) -> None:
    """Starts the pipeline and ends the gpt stage by SIGTERM once it has a checkpoint."""
    log = project.root.parent / "interrupted.log"
    process = subprocess.Popen(["dvc", "repro"], cwd=project.root, env=ENVIRONMENT, stdout=log.open("w"), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 900
    while not (pid_file := next(project.root.glob("checkpoints/gpt/*/1/trainer.pid"), None)) or not list(pid_file.parent.glob("ckpt-*")):
        assert process.poll() is None, f"the pipeline ended before it could be interrupted: {log.read_text()[-3000:]}"
        assert time.monotonic() < deadline, f"the gpt stage wrote no checkpoint: {log.read_text()[-3000:]}"
        time.sleep(0.05)
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    assert process.wait(600) != 0


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """Raw to registered model, interrupted once in the gpt stage and gone on with."""
    made = checkout(tmp_path_factory.mktemp("project"), PARAMS)
    interrupt_in_gpt(made)
    made.ran_after_interrupt = made.repro()
    return made
