"""dvc.yaml lists all code that shapes an output: whatever a stage's entry modules import, near or far."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from myxtts.pipeline.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ["training.trainer", "models.extend", "models.xtts", "pipeline.start", "pipeline.train_stages"]
ENTRIES = {
    "raw": ["data.raw", "pipeline.data_stages"],
    "prepare": ["data.prepare", "data.features", "data.report", "pipeline.data_stages", "pipeline.start"],
    "tokenizer": ["data.manifest", "text.tokenizer", "pipeline.data_stages", "pipeline.start"],
    "dvae": TRAINING,
    "encode": ["data.encode", "models.xtts", "text.tokenizer", "pipeline.data_stages"],
    "gpt": TRAINING,
    "decoder": TRAINING,
    "evaluate": ["evaluation.evaluate", "models.xtts", "synthesis.speech", "pipeline.voice_stages"],
    "bundle": ["evaluation.copies", "serving.bundle", "serving.registry", "synthesis.speech", "pipeline.voice_stages"],
}
# tracking records a run, bars are looked at, and neither shapes an output; a training stage speaks only its previews with synthesis
ALWAYS = ("tracking", "data.bars")
FREE = {stage: (*ALWAYS, "synthesis") if stage in ("dvae", "gpt", "decoder") else ALWAYS for stage in ENTRIES}
FREE["evaluate"] = (*ALWAYS, "serving")  # it speaks with the networks of the stages, and asks no registry for a model


def path_of(module: str) -> Path | None:
    path = ROOT / "myxtts" / module.replace(".", "/")
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((item for item in candidates if item.is_file()), None)


def imported(module: str) -> set[str]:
    """What a module of ours imports at its top; for the stages of `pipeline`, which import inside functions, nothing."""
    if module.startswith("pipeline"):
        return set()
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("myxtts."):
            name = node.module.removeprefix("myxtts.")
            found |= {name} | {f"{name}.{item.name}" for item in node.names}
    return {name for name in found if path_of(name)}


def closure(start: list[str], free: tuple[str, ...]) -> set[str]:
    seen, waiting = set(), list(start)
    while waiting:
        module = waiting.pop()
        if module not in seen and not module.startswith(free):
            seen.add(module)
            waiting += imported(module)
    return seen


@pytest.mark.parametrize("stage", ENTRIES)
def test_every_imported_module_is_a_dependency(stage):
    listed = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    folders = [ROOT / name for name in listed if name.startswith("myxtts")]
    files = {path_of(module) for module in closure(ENTRIES[stage], FREE[stage])}
    files = {path for path in files if path.read_text(encoding="utf-8").strip()}  # an empty __init__ shapes nothing
    missing = sorted(str(path.relative_to(ROOT)) for path in files if not any(path.is_relative_to(folder) for folder in folders))
    assert not missing


def test_paths_know_all_that_the_stages_write():
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"].values()
    written = [ROOT / path for stage in stages for path in (*stage["outs"], *stage.get("metrics", []))]
    assert written and all(any(path.is_relative_to(output) for output in Paths(ROOT).outputs) for path in written)
