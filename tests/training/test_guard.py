import numpy as np
import pytest

from myxtts.training.guard import KEPT, Guard, NonFiniteTraining

GOOD = {"mel_loss": 1.0, "grad_norm/gpt": 2.0, "skipped/gpt": 0.0}
BAD = {"mel_loss": float("nan"), "grad_norm/gpt": float("nan"), "skipped/gpt": 1.0}


def guard(folder, most: int = 3) -> Guard:
    return Guard(folder / "nonfinite", most, lambda number: {"codes": np.full(2, number)})


def test_the_batch_of_an_offending_step_is_kept(tmp_path):
    path = guard(tmp_path).look(7, BAD)
    assert np.load(path)["codes"].tolist() == [6, 6]  # step 7 takes batch 6


def test_stops_after_so_many_in_a_row_with_what_was_found(tmp_path):
    watch = guard(tmp_path)
    for step in (1, 2):
        watch.look(step, BAD)
    watch.look(3, GOOD)
    for step in (4, 5):
        watch.look(step, BAD)
    with pytest.raises(NonFiniteTraining, match=r"3 steps in a row .* up to step 6 \(gpt\): mel_loss nan.*step-00000006.npz"):
        watch.look(6, BAD)
    assert watch.skipped == 5


def test_an_overflow_of_float16_is_counted_but_no_offence_until_its_scale_is_spent(tmp_path):
    watch = guard(tmp_path)
    overflow = {"mel_loss": 1.0, "grad_norm/gpt": float("inf"), "skipped/gpt": 1.0}
    for step in range(1, 9):
        assert watch.look(step, overflow | {"loss_scale/gpt": 2.0}) is None
    assert (watch.skipped, watch.in_a_row) == (8, 0)
    assert watch.look(9, overflow | {"loss_scale/gpt": 1.0}) is not None
    assert watch.look(10, BAD | {"loss_scale/gpt": 1024.0}) is not None  # no scale repairs a loss that is no number


def test_only_a_few_batches_are_kept(tmp_path):
    watch = guard(tmp_path, most=100)
    for step in range(1, 20):
        watch.look(step, BAD)
    assert len(list((tmp_path / "nonfinite").iterdir())) == KEPT


def test_state_survives(tmp_path):
    first, second = guard(tmp_path), guard(tmp_path)
    first.look(1, BAD)
    first.look(2, BAD)
    second.restore(first.state())
    with pytest.raises(NonFiniteTraining):
        second.look(3, BAD)


def test_a_worker_that_does_not_write_counts_all_the_same(tmp_path):
    watch = Guard(None, 2, lambda number: pytest.fail("it has nothing to load"))
    assert watch.look(1, BAD) is None
    with pytest.raises(NonFiniteTraining, match="the batch in the first worker's checkpoint folder"):
        watch.look(2, BAD)
    assert watch.skipped == 2
