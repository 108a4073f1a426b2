"""Which checkpoint folder a training belongs to.

`checkpoints/<stage>/<fingerprint>/<n>/` of the main checkout: the fingerprint is over everything that shapes the result (params, data,
code), so an interrupted training is found again and a changed one never continues on old weights. A training that ended is never
continued: `dvc repro -f` starts attempt n+1.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

FINISHED = "finished.json"
EDGE = 1 << 20  # bytes hashed at both ends of a big file


def fingerprint(params: dict, dependencies: Iterable[Path]) -> str:
    """16 hex digits over parameters and the contents of files and folders. Big files count by size and both ends."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for dependency in dependencies:
        files = sorted(path for path in dependency.rglob("*") if path.is_file()) if dependency.is_dir() else [dependency]
        for path in files:
            if "__pycache__" in path.parts:
                continue
            name = path.relative_to(dependency) if path != dependency else path.name
            digest.update(f"{name}:{path.stat().st_size}".encode())
            with path.open("rb") as file:
                digest.update(file.read(EDGE))
                file.seek(max(EDGE, path.stat().st_size - EDGE))
                digest.update(file.read(EDGE))
    return digest.hexdigest()[:16]


def attempt_folder(folder: Path) -> Path:
    """The unfinished attempt in `folder` to go on with, or a new one. Finished ones give their disk space back, but for their history."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    if not numbers:
        return folder / "1"
    last = folder / str(numbers[-1])
    if not (last / FINISHED).is_file():
        return last
    for path in [*last.glob("ckpt-*"), last / "cache"]:
        shutil.rmtree(path, ignore_errors=True)
    return folder / str(numbers[-1] + 1)


def mark_finished(attempt: Path, summary: dict) -> None:
    """To be called when everything the stage makes is in its place."""
    (attempt / FINISHED).write_text(json.dumps(summary, indent=1), encoding="utf-8")
