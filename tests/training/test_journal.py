import csv
import json
import resource

import pytest

from myxtts.training.journal import Journal


@pytest.fixture
def journal(tmp_path) -> Journal:
    made = Journal(tmp_path / "history.jsonl")
    made.open("run-1")
    return made


def reopened(journal: Journal, run_id: str = "run-1") -> Journal:
    again = Journal(journal.path)
    again.open(run_id)
    return again


def test_a_step_is_logged_once_whoever_takes_it_again(journal):
    assert journal.add("train", 1, {"train/loss": 2.0}) is not None
    assert journal.add("train", 2, {"train/loss": 1.0}) is not None
    again = reopened(journal)
    assert again.add("train", 2, {"train/loss": 1.0}) is None
    assert again.add("val", 2, {"val/loss": 1.0}) is not None  # another kind
    assert again.add("train", 3, {"train/loss": 0.5}) is not None


def test_what_a_killed_process_logged_behind_its_checkpoint_is_sent_again_with_its_time(journal):
    times = {step: journal.add("train", step, {"train/loss": step / 2}) for step in (1, 2, 3)}
    rows = list(reopened(journal).after(1))
    assert [(row["step"], row["time"], row["values"]) for row in rows] == [
        (2, times[2], {"train/loss": 1.0}),
        (3, times[3], {"train/loss": 1.5}),
    ]


def test_another_run_begins_anew_but_the_curve_goes_on(journal, tmp_path):
    journal.add("train", 1, {"train/loss": 2.0})
    second = reopened(journal, "run-2")
    assert list(second.after(0)) == []
    assert second.add("train", 1, {"train/loss": 3.0}) is not None
    assert reopened(second, "run-2").add("train", 1, {"train/loss": 3.0}) is None
    second.write_curves(tmp_path, "gpt", 1)
    assert (tmp_path / "gpt_train.csv").read_text().split() == ["step,loss", "1,3.0"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_cut_short_by_a_kill_is_cut_off(journal, cut):
    journal.add("train", 1, {"train/loss": 2.0})
    journal.add("train", 2, {"train/loss": 1.0})
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    again = reopened(journal)
    assert [row["step"] for row in again.after(0)] == [1]
    assert again.add("train", 2, {"train/loss": 1.0}) is not None
    assert all(json.loads(line) for line in journal.path.read_text().splitlines())


def test_a_very_long_cut_line_takes_nothing_else_along(journal):
    journal.add("train", 1, {"train/loss": 2.0})
    with journal.path.open("a") as file:
        file.write("x" * 200_000)
    assert [row["step"] for row in reopened(journal).after(0)] == [1]


def test_curves_hold_every_nth_step_and_all_validations(journal, tmp_path):
    for step in range(1, 7):
        journal.add("train", step, {"train/loss": step})
    journal.add("val", 5, {"val/loss": 9.0, "val/gap": 1.0})
    journal.write_curves(tmp_path, "gpt", 2)
    with (tmp_path / "gpt_train.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2", "4", "6"]
    assert (tmp_path / "gpt_val.csv").read_text().split() == ["step,gap,loss", "5,1.0,9.0"]


def test_a_journal_that_cannot_be_written_stops_nothing(journal, tmp_path):
    journal.path = tmp_path / "nowhere" / "history.jsonl"
    assert journal.add("train", 1, {"train/loss": 2.0}) is not None
    assert "cannot be written" in journal.trouble


def test_half_a_line_of_a_full_disk_spoils_no_later_one(journal):
    journal.add("train", 1, {"train/loss": 2.0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 9, hard))
    try:
        journal.add("train", 2, {"train/loss": 2.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in journal.trouble
    assert not journal.path.read_bytes().endswith(b"\n")
    journal.add("train", 3, {"train/loss": 2.0})
    assert [row["step"] for row in journal.after(0)] == [1, 3]
    assert [row["step"] for row in reopened(journal).after(0)] == [1, 3]


def test_steps_taken_anew_with_other_settings_are_logged_anew_once(journal, tmp_path):
    fast, slow = {"learning_rate": 0.1}, {"learning_rate": 0.01}
    journal.go_on(0, fast)
    for step, loss in ((1, 4.0), (2, 3.0), (3, 9.0), (4, 9.0)):
        journal.add("train", step, {"train/loss": loss})
    journal.add("val", 4, {"val/loss": 9.0})
    again = reopened(journal)
    again.go_on(2, slow)
    assert list(again.after(2)) == []  # what was given up is not sent again
    assert again.add("train", 2, {"train/loss": 0.0}) is None
    assert again.add("train", 3, {"train/loss": 2.0}) is not None
    third = reopened(again)  # killed before its next checkpoint, and gone on with from the same one: the same steps
    third.go_on(2, slow)
    assert [row["values"] for row in third.after(2)] == [{"train/loss": 2.0}]
    assert third.add("train", 3, {"train/loss": 0.0}) is None
    assert third.add("val", 4, {"val/loss": 1.0}) is not None
    third.write_curves(tmp_path, "gpt", 1)
    assert (tmp_path / "gpt_train.csv").read_text().split() == ["step,loss", "1,4.0", "2,3.0", "3,2.0"]
    assert (tmp_path / "gpt_val.csv").read_text().split() == ["step,loss", "4,1.0"]


def test_going_on_later_with_the_same_settings_gives_nothing_up(journal, tmp_path):
    journal.go_on(0, {"learning_rate": 0.1})
    journal.go_on(3, {"learning_rate": 0.01})
    journal.add("train", 4, {"train/loss": 1.0})
    journal.go_on(9, {"learning_rate": 0.01})
    assert journal.add("train", 4, {"train/loss": 1.0}) is None


def test_a_validation_has_the_time_of_its_point(journal):
    when = journal.add("val", 4, {"val/loss": 1.0})
    journal.add("train", 5, {"train/loss": 1.0})
    assert (reopened(journal).validated(4), journal.validated(4), journal.validated(5)) == (when, when, None)
