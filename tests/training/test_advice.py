"""What `myxtts suggest` says, and the table in docs/training.md with it."""

import re
from pathlib import Path

import pytest

from myxtts.config import ConfigError, XTTSConfig
from myxtts.pipeline.doctor import describe, suggestions
from myxtts.training.advice import advise
from myxtts.training.machine import Machine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
MEMORIES = (6, 8, 12, 16, 24, 40, 80)


def config(preset: str) -> XTTSConfig:
    return XTTSConfig.from_dict({"model": {"preset": preset}})


def told(preset: str, memory: float) -> str:
    found = advise(config(preset), "gpt", Machine(1, memory, 12, 64, bfloat16=True))
    assert found.batch_size * found.grad_accum == 96
    if found.predicted_gb > memory:
        assert any("more than the memory holds" in reason for reason in found.reasons)
        assert describe({"gpt": found}).startswith(f"does not fit into {memory:.1f} GB: gpt\n")
        return "does not fit"
    mode = "" if found.rematerialise == "none" else f", {found.rematerialise}"
    return f"{found.batch_size} × {found.grad_accum}{mode}"


@pytest.mark.parametrize(("column", "preset"), enumerate(("small", "base", "xtts_v2"), start=2))
def test_the_pages_table_is_what_is_suggested(column, preset):
    rows = {int(row[1]): row[0] for row in re.finditer(r"^\| (\d+) GB \|.*$", PAGE.read_text(encoding="utf-8"), re.M)}
    assert tuple(rows) == MEMORIES
    for memory, row in rows.items():
        assert row.split("|")[column].strip() == told(preset, memory), f"{memory} GB"


def test_the_tutorials_promise():
    """24 GB and the base model: 48 x 2, ten workers; fewer where there are fewer cores."""
    found = advise(config("base"), "gpt", Machine(1, 24, 12, 64, bfloat16=True))
    assert (found.batch_size, found.grad_accum, found.num_workers, found.precision) == (48, 2, 10, "bfloat16")
    assert advise(config("base"), "gpt", Machine(1, 24, 4, 64, bfloat16=True)).num_workers == 4


def test_without_a_gpu_and_with_several():
    cpu = advise(config("small"), "gpt", Machine(0, 20, 2, 24))
    assert (cpu.precision, cpu.rematerialise, cpu.num_workers) == ("float32", "none", 2)
    assert cpu.batch_size * cpu.grad_accum == 96
    four = advise(config("base"), "gpt", Machine(4, 24, 32, 256, bfloat16=True))
    assert four.replicas == 4
    assert four.batch_size * four.grad_accum * 4 == 96


@pytest.mark.parametrize("stage", ["dvae", "decoder"])
def test_the_other_stages_are_advised_on_too(stage):
    found = advise(config("base"), stage, Machine(1, 24, 12, 64, bfloat16=True))
    assert found.predicted_gb < 24
    assert found.rematerialise == "none"


def test_gpus_of_another_machine_need_their_memory():
    with pytest.raises(ConfigError, match="--gpu-memory"):
        suggestions(config("tiny"), memory_gb=None, gpus=4, cpus=None)
