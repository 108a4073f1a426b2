import subprocess
import sys

import keras
import numpy as np
import pytest

from myxtts.config import ModelError, MyXTTSError
from myxtts.config.stages import LoopConfig
from myxtts.training.checkpoint import CheckpointFolder, named_variables


def variables(fill: float, width: int = 3) -> dict:
    return named_variables("net", [keras.Variable(np.full((2, width), fill, "float32"), name="a"), keras.Variable(fill, name="b")])


def test_round_trip(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=2))
    folder.save(5, variables(1.5), {"epoch": 3, "monitored": None})
    target = variables(0.0)
    state = folder.restore(folder.latest(), target)
    assert (state["step"], state["epoch"]) == (5, 3)
    assert all(np.all(value.numpy() == 1.5) for value in target.values())


def test_keeps_the_newest_and_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=2))
    for step, monitored in ((1, float("nan")), (2, 1.0), (3, 2.0), (4, 2.5), (5, None)):
        folder.save(step, variables(step), {"monitored": monitored})
    assert [saved.step for saved in folder.all()] == [2, 4, 5]
    assert folder.best().step == 2


def test_a_half_written_checkpoint_is_no_checkpoint(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=2))
    folder.save(1, variables(1), {})
    (tmp_path / "ckpt-00000002").mkdir()
    assert folder.latest().step == 1


def test_restore_names_missing_extra_and_misshapen(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=2))
    saved = folder.save(1, variables(1), {})
    with pytest.raises(ModelError, match=r"net/0:a: stored \[2, 3\], expected \[2, 4\]"):
        folder.restore(saved, variables(1, width=4))
    more = variables(1) | named_variables("other", [keras.Variable(1.0, name="c")])
    with pytest.raises(ModelError, match=r"missing other/0:c"):
        folder.restore(saved, more)
    less = dict(list(variables(1).items())[:1])
    with pytest.raises(ModelError, match=r"unexpected net/1:b"):
        folder.restore(saved, less)


def test_second_trainer_is_refused_with_the_first_ones_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from myxtts.config.stages import LoopConfig\n"
        "from myxtts.training.checkpoint import CheckpointFolder\n"
        "lock = CheckpointFolder(Path(sys.argv[1]), LoopConfig()).lock(); print('held', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert "held" in first.stdout.readline()
        with pytest.raises(MyXTTSError, match=f"process {first.pid}"):
            CheckpointFolder(tmp_path, LoopConfig()).lock()
    finally:
        first.kill()
        first.wait()
    CheckpointFolder(tmp_path, LoopConfig()).lock().release()
