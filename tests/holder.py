"""A trainer of another process, as far as its checkpoint folder knows."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOLD = (
    "import sys, time; from pathlib import Path; from myxtts.config.stages import LoopConfig\n"
    "from myxtts.training.checkpoint import CheckpointFolder\n"
    "lock = CheckpointFolder(Path(sys.argv[1]), LoopConfig()).lock(); print('held', flush=True); time.sleep(60)"
)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """The lock of a checkpoint folder is held by another process inside; yields its number."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert "held" in process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
