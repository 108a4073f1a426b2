import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from holder import held

from myxtts.config import ModelError, MyXTTSError
from myxtts.config.stages import LoopConfig
from myxtts.training.checkpoint import CheckpointFolder, DamagedCheckpoint, named_variables
from myxtts.training.decisions import changes

SAME = {"batch_rows": 4, "features": {}}


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
    with held(tmp_path) as first, pytest.raises(MyXTTSError, match=f"process {first}"):
        CheckpointFolder(tmp_path, LoopConfig()).lock()
    with CheckpointFolder(tmp_path, LoopConfig()).lock():
        pass


def test_a_damaged_newest_checkpoint_is_named_put_aside_and_the_one_before_it_used(tmp_path, capsys):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=3))
    for step in (1, 2, 3):
        folder.save(step, variables(float(step)), {"monitored": None} | SAME)
    flip_a_byte(next((tmp_path / "ckpt-00000003").glob("weights.data*")))
    (tmp_path / "ckpt-00000002" / "weights.index").unlink()
    target = variables(0.0)
    saved, state = folder.restore_newest(target, SAME)
    assert (saved.step, state["step"]) == (1, 1)
    assert all(np.all(value.numpy() == 1) for value in target.values())
    said = capsys.readouterr().out
    assert "ckpt-00000003 is damaged: weights.data" in said
    assert "ckpt-00000002 is damaged: weights.index is missing" in said
    assert {path.name for path in tmp_path.glob("damaged-*")} == {"damaged-ckpt-00000003", "damaged-ckpt-00000002"}


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_all_damaged_is_no_reason_to_start_anew_silently(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    folder.save(1, variables(1), {})
    (tmp_path / "ckpt-00000001" / "state.json").write_text("{")
    with pytest.raises(DamagedCheckpoint, match=r"no checkpoint in .* is whole: .*state.json cannot be read.*another folder"):
        folder.restore_newest(variables(0), SAME)


def test_every_kth_is_kept_for_good(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=1, keep_every=10))
    for step in (5, 10, 15, 20, 25, 27):
        folder.save(step, variables(step), {"monitored": None})
    assert [saved.step for saved in folder.all()] == [10, 20, 27]


def test_what_a_killed_trainer_left_is_cleared_away(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    folder.save(1, variables(1), {})
    for name in (".partial-00000002", ".gone-ckpt-00000000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.index").write_text("half")
    with folder.lock():
        pass
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"ckpt-00000001"}


def test_a_full_disk_keeps_the_checkpoints_before(tmp_path):
    """A limit on the size of files stands for the disk: writing fails in the middle, inside TensorFlow."""
    code = (
        "import sys, resource; from pathlib import Path; import numpy as np, keras\n"
        "from myxtts.config.stages import LoopConfig; from myxtts.training.checkpoint import *\n"
        "folder = CheckpointFolder(Path(sys.argv[1]), LoopConfig())\n"
        "def made(fill): return named_variables('net', [keras.Variable(np.full((400, 400), fill, 'float32'), name='a')])\n"
        "folder.save(1, made(1), {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: folder.save(2, made(2), {})\n"
        "except CheckpointError as error: print('REFUSED', error)\n"
        "print('LEFT', [saved.step for saved in folder.all()], folder.all()[0].verify(), list(Path(sys.argv[1]).glob('.partial*')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "REFUSED checkpoint" in done.stdout
    assert "free disk space" in done.stdout
    assert "LEFT [1] None []" in done.stdout


def test_a_checkpoint_learns_that_it_was_validated(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    folder.save(1, variables(1.0), {"monitored": None, "epoch": 0})
    folder.save(1, variables(1.0), {"monitored": 0.5, "epoch": 0})
    assert folder.best().step == 1
    assert CheckpointFolder(tmp_path, LoopConfig()).best().step == 1
    assert folder.restore(folder.latest(), variables(0.0))["monitored"] == 0.5


def test_a_checkpoint_without_its_state_is_put_aside_not_in_the_way(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    for _ in range(2):
        folder.save(1, variables(1.0), {"monitored": None})
        (tmp_path / "ckpt-00000001" / "state.json").unlink()
    folder.save(1, variables(2.0), {"monitored": None})
    target = variables(0.0)
    folder.restore(folder.latest(), target)
    assert all(np.all(value.numpy() == 2) for value in target.values())
    assert {path.name for path in tmp_path.glob("damaged-*")} == {"damaged-ckpt-00000001", "damaged-ckpt-00000001-2"}


def test_a_checkpoint_that_cannot_be_removed_ends_no_training(tmp_path, monkeypatch, capsys):
    folder = CheckpointFolder(tmp_path, LoopConfig(keep_checkpoints=1))
    folder.save(1, variables(1.0), {"monitored": None})
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "ckpt-00000001":
            raise PermissionError("read-only")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert folder.save(2, variables(2.0), {"monitored": None}).step == 2
    assert "ckpt-00000001 is not needed any more but cannot be removed (read-only)" in capsys.readouterr().out


def test_what_changed_since_a_checkpoint_is_named(tmp_path):
    split = {"batch_size": 4, "grad_accum": 1, "precision": "float32", "rematerialise": "none"}
    state = {"settings": {"learning_rate": 0.1, "epochs": 3, "batch_size": None}, "split": split}
    assert changes(state, {"learning_rate": 0.1, "epochs": 3, "batch_size": 4}, split | {"rematerialise": "blocks"}) == {}
    found = changes(state, {"learning_rate": 0.01, "epochs": 3, "batch_size": None}, split | {"batch_size": 2, "grad_accum": 2})
    assert found == {
        "learning_rate": "0.1 -> 0.01",
        "split": "4 x 1 in float32, recomputing none -> 2 x 2 in float32, recomputing none",
    }


def test_a_newest_checkpoint_without_its_state_is_named_on_resuming(tmp_path, capsys):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    for step in (1, 2):
        folder.save(step, variables(float(step)), {"monitored": None} | SAME)
    (tmp_path / "ckpt-00000002" / "state.json").unlink()
    saved, _ = folder.restore_newest(variables(0.0), SAME)
    assert saved.step == 1
    assert "ckpt-00000002 is damaged: state.json is missing; it is put aside" in capsys.readouterr().out
    (tmp_path / "ckpt-00000001" / "state.json").unlink()
    with pytest.raises(DamagedCheckpoint, match=r"is whole: .*ckpt-00000001 is damaged: state.json is missing"):
        folder.restore_newest(variables(0.0), SAME)


def test_a_state_that_cannot_be_read_is_written_anew_with_its_checkpoint(tmp_path):
    folder = CheckpointFolder(tmp_path, LoopConfig())
    folder.save(1, variables(1.0), {"monitored": None})
    (tmp_path / "ckpt-00000001" / "state.json").write_text("{")
    folder.save(1, variables(1.0), {"monitored": None} | SAME)
    folder.latest().verify()
    assert (tmp_path / "damaged-ckpt-00000001").is_dir()


def test_the_number_format_may_change_between_a_checkpoint_and_its_restoring(tmp_path):
    """float16 alone has a loss scale."""
    folder = CheckpointFolder(tmp_path, LoopConfig())
    scale = {"loss_scale/gpt": tf.Variable(512.0), "loss_scale/gpt/good_steps": tf.Variable(7)}
    state = variables(3.0)
    names = list(state)
    folder.save(1, {names[0]: state[names[0]], **scale, names[1]: state[names[1]]}, {"monitored": None})
    plain = variables(0.0)
    folder.restore(folder.latest(), plain)
    assert all(np.all(value.numpy() == 3) for value in plain.values())
    folder.save(2, plain, {"monitored": None})
    fresh = {"loss_scale/gpt": tf.Variable(1024.0), "loss_scale/gpt/good_steps": tf.Variable(1)}
    again = variables(0.0)
    folder.restore(folder.latest(), {**again, **fresh})
    assert all(np.all(value.numpy() == 3) for value in again.values())
    assert fresh["loss_scale/gpt"].numpy() == 1024
