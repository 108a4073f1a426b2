"""Engines: every item once, whatever dies on the way; the same results on processes and on Ray."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from myxtts.config import ConfigError
from myxtts.data import engines
from myxtts.data.engines import ENGINES, apply

ROOT = Path(__file__).resolve().parents[2]


def squares(items: list[int]) -> list[int]:
    return [item * item for item in items]


def fatal(items: list[int]) -> list[int]:
    """Ends its process on 13 and 77, as a fault in native code would."""
    if {13, 77} & set(items):
        time.sleep(0.05)
        os._exit(11)
    return squares(items)


def refuses(items: list[int]) -> list[int]:
    raise ValueError(f"not {items[0]}")


def counted(limit: int, taken: list[int]):
    for number in range(limit):
        taken.append(number)
        yield number


@pytest.mark.parametrize("count", [0, 1, 31, 32, 100])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_once(count, workers):
    assert sorted(apply(squares, range(count), "local", workers)) == [(n, n * n) for n in range(count)]


def test_items_are_taken_a_few_ahead():
    taken: list[int] = []
    finished = apply(squares, counted(5000, taken), "local", 2)
    next(finished)
    assert 0 < len(taken) <= (2 * 3 + 2) * engines.BATCH
    finished.close()


def test_an_item_that_kills_its_process_is_named_and_no_other_is_lost():
    results = dict(apply(fatal, range(120), "local", 2))
    assert results == {n: None if n in (13, 77) else n * n for n in range(120)}


def test_even_one_item_cannot_end_this_process():
    assert dict(apply(fatal, [13, 14], "local", 2)) == {13: None, 14: 196}


def test_a_script_whose_processes_would_start_it_again_is_told_so(tmp_path):
    """Not: all its clips crash the decoder."""
    script = tmp_path / "script.py"
    script.write_text("from myxtts.data.engines import apply\nprint(list(apply(len, range(20), 'local', 2)))\n")
    ended = subprocess.run([sys.executable, script], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    # Python's tracker of semaphores may have its own word after ours
    (told,) = (line for line in ended.stderr.splitlines() if line.startswith("myxtts.config.") and "Error: the processes" in line)
    assert ended.returncode == 1 and "below `if __name__ == '__main__':`" in told


@dataclass(frozen=True)
class Heavy:
    number: int
    cost: int


def numbers(items: list[Heavy]) -> list[int]:
    return [item.number for item in items]


def test_heavy_items_are_taken_one_by_one():
    taken: list[int] = []
    heavy = (Heavy(number, 1000) for number in counted(50, taken))
    finished = apply(numbers, heavy, "local", 2)
    next(finished)
    assert len(taken) <= 4
    assert len(list(finished)) == 49


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_function_raises_is_raised(workers):
    with pytest.raises(ValueError, match="not "):
        list(apply(refuses, range(100), "local", workers))


def test_ray_gives_the_same():
    ray = pytest.importorskip("ray", reason="needs the extra cluster")
    # its workers must find this file
    ray.init(runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}, log_to_driver=False)
    assert sorted(apply(squares, range(50), "ray", 2)) == [(n, n * n) for n in range(50)]
    results = dict(apply(fatal, range(60), "ray", 2))
    assert results == {n: None if n == 13 else n * n for n in range(60)}
    with pytest.raises(ValueError, match="not "):
        list(apply(refuses, range(20), "ray", 2))
    ray.shutdown()


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"myxtts\[cluster\]"):
        list(apply(squares, [1], "ray", None))


def test_every_configured_engine_is_there():
    from typing import get_args

    from myxtts.config.data import DataConfig

    assert set(get_args(DataConfig.model_fields["engine"].annotation)) == set(ENGINES)
