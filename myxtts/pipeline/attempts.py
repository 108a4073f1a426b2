"""Which checkpoint folder a training belongs to.

`checkpoints/<stage>/<fingerprint>/<n>/` of the main checkout: the fingerprint is over everything that shapes the result (params, data,
code), so an interrupted training is found again and a changed one never continues on old weights. A training whose result DVC has
recorded is never continued: `dvc repro -f` starts attempt n+1.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from ruamel.yaml import YAML

FINISHED = "finished.json"


def md5(path: Path) -> str:
    """md5 of a file's content, as DVC has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fingerprint(params: dict, dependencies: Iterable[Path]) -> str:
    """16 hex digits over parameters and the contents of files and folders."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for dependency in dependencies:
        files = sorted(path for path in dependency.rglob("*") if path.is_file()) if dependency.is_dir() else [dependency]
        for path in files:
            if "__pycache__" not in path.parts:
                name = path.relative_to(dependency) if path != dependency else path.name
                digest.update(f"{name}:{md5(path)}".encode())
    return digest.hexdigest()[:16]


def attempt_folder(folder: Path, recorded: Callable[[str], bool]) -> Path:
    """The attempt in `folder` to go on with, or a new one.

    One that finished is gone on with (it has no step left) while `recorded(md5 of its weights)` is False: DVC was stopped, or found the
    disk full, before it had stored the result, and takes the stage for not run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    if not numbers:
        return folder / "1"
    last = folder / str(numbers[-1])
    marker = last / FINISHED
    if marker.is_file() and recorded(json.loads(marker.read_text(encoding="utf-8"))["weights_md5"]):
        return folder / str(numbers[-1] + 1)
    return last


def is_recorded(weights_md5: str, out: str, root: Path, main: Path) -> bool:
    """True if dvc.lock names a version of the folder `out` that holds a file with this md5."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return False
    stages = (YAML(typ="safe", pure=True).load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    versions = [item["md5"] for stage in stages.values() for item in stage.get("outs", []) if item["path"] == out]
    for version in versions:
        listing = main / ".dvc" / "cache" / "files" / "md5" / version[:2] / version[2:]
        # a cache elsewhere cannot be looked into: then what the lock file has counts as this training's
        if not listing.is_file() or weights_md5 in listing.read_text(encoding="utf-8"):
            return True
    return False


def mark_finished(attempt: Path, weights: Path) -> None:
    """To be called when everything the stage makes is in its place. Earlier attempts give their disk space back, but for their history."""
    (attempt / FINISHED).write_text(json.dumps({"weights_md5": md5(weights)}), encoding="utf-8")
    for other in attempt.parent.iterdir():
        if other != attempt:
            for path in [*other.glob("ckpt-*"), other / "cache"]:
                shutil.rmtree(path, ignore_errors=True)
