"""Where a run comes from: the commit, the data's hashes as DVC knows them, the versions of what computed it."""

import configparser
import contextlib
import hashlib
import json
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from myxtts.config import XTTSConfig
from myxtts.tracking.credentials import masked_diff, without_credentials

# `dvc repro` itself edits these while a stage runs: they do not make a commit unfaithful
_NOT_DIRT = ("dvc.lock", ".gitignore")
_PACKAGES = ("tensorflow", "keras", "mlflow", "myxtts")
_DIFF_LIMIT = 1_000_000


def common_tags(config: XTTSConfig, root: Path, stage: str, lineage: bool = True) -> dict[str, str]:
    """Tags of every run: `git.*`, `dvc.*`, `config.fingerprint`, `version.*`. What a plain folder cannot know is left out.

    `lineage` False: the run reads no data of the project, so dvc.lock and its hashes are left out too.
    """
    tags = {"config.fingerprint": config_fingerprint(config), "dvc.stage": os.environ.get("DVC_STAGE", stage)}
    for key, variable in (("dvc.exp_name", "DVC_EXP_NAME"), ("dvc.exp_baseline_rev", "DVC_EXP_BASELINE_REV")):
        if value := os.environ.get(variable):
            tags[key] = value
    lock = root / "dvc.lock"
    if lineage and lock.is_file():
        tags["dvc.lock.md5"] = hashlib.md5(lock.read_bytes()).hexdigest()
    if lineage:
        tags |= {f"dvc.dep.{path}": md5 for path, md5 in dependency_hashes(config, root, stage).items()}
    tags |= git_tags(root)
    for package in _PACKAGES:
        try:
            tags[f"version.{package}"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return tags


def installed_packages() -> str:
    """`name==version` of every installed package, one a line: what pip would freeze."""
    found = {item.metadata["Name"]: item.version for item in metadata.distributions() if item.metadata["Name"]}
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found, key=str.lower))


def config_fingerprint(config: XTTSConfig) -> str:
    """Twelve hex digits over all that shapes a result; where it is tracked and what the machine is do not."""
    values = {key: value for key, value in config.to_dict().items() if key not in ("tracking", "hardware", "loop", "promotion")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def git_tags(root: Path) -> dict[str, str]:
    """Commit, branch and whether the code differs from the commit; {} outside git or before the first commit."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {"mlflow.source.git.commit": commit, "git.commit": commit, "git.dirty": str(is_dirty(root)).lower()}
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    if branch and branch != "HEAD":
        tags["mlflow.source.git.branch"] = branch
    return tags


def remotes(root: Path) -> dict[str, str]:
    """`git.remote` and `dvc.remote`: where commit and data can be fetched from, without names and passwords; {} where there is none."""
    found = {"git.remote": _git(root, "remote", "get-url", "origin")}
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):  # DVC reports a broken file better than a tag could
        parser.read(root / ".dvc" / "config", encoding="utf-8")  # the one in git; config.local is nobody else's business
    name = parser.get("core", "remote", fallback="")
    found["dvc.remote"] = parser.get(f"'remote \"{name}\"'", "url", fallback=None)
    return {key: without_credentials(value) for key, value in found.items() if value}


def is_dirty(root: Path) -> bool:
    """True when a tracked file differs from the commit, or an untracked source or YAML file lies in the tree."""
    for line in (_git(root, "status", "--porcelain", "--no-renames", "--untracked-files=all", ".") or "").splitlines():
        state, path = line[:2], line[3:].strip('"')
        if path.startswith("reports/") or "/reports/" in path or path.endswith(_NOT_DIRT):
            continue
        if state != "??" or path.endswith((".py", ".yaml", ".yml")):
            return True
    return False


def git_diff(root: Path) -> str:
    """The uncommitted changes, cut at 1 MB, without passwords; empty when clean."""
    # in the form that masking knows, whatever the user's settings
    plain = ("--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    diff = _git(root, "diff", *plain, "HEAD", "--", ".", ":(exclude)*dvc.lock", ":(exclude)reports") or ""
    return masked_diff(diff)[:_DIFF_LIMIT]


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.rstrip("\n")


def dependency_hashes(config: XTTSConfig, root: Path, stage: str) -> dict[str, str]:
    """`{path: md5}` of the data a stage reads: its dependencies in dvc.yaml that another stage made, or that a .dvc file versions.

    A directory's md5 is DVC's own, without the `.dir` ending. Code is left out: the commit says what it was.
    """
    made = _stage_outputs(root)
    found = {}
    for dependency in _dependencies(config, root, stage):
        for path, md5 in (made | _versioned(root, dependency)).items():
            if dependency == path or dependency.startswith(path + "/") or path.startswith(dependency + "/"):
                found[path] = md5
    return found


def _dependencies(config: XTTSConfig, root: Path, stage: str) -> list[str]:
    stages = _read_yaml(root / "dvc.yaml").get("stages") or {}
    entry = stages.get(stage)
    if not isinstance(entry, dict):
        return []
    flat = config.flat()
    found = []
    for item in entry.get("deps") or []:
        path = str(next(iter(item)) if isinstance(item, dict) else item)
        path = re.sub(r"\$\{([\w.]+)\}", lambda match: str(flat.get(match[1], match[0])), path)
        found.append(path.rstrip("/"))
    return found


def _stage_outputs(root: Path) -> dict[str, str]:
    found = {}
    for entry in (_read_yaml(root / "dvc.lock").get("stages") or {}).values():
        for out in entry.get("outs") or []:
            if md5 := out.get("md5"):
                found[out["path"]] = str(md5).removesuffix(".dir")
    return found


def _versioned(root: Path, dependency: str) -> dict[str, str]:
    """What the .dvc files beside, above and right inside a dependency version."""
    path = root / dependency
    files = [Path(f"{place}.dvc") for place in (path, *path.parents) if place.is_relative_to(root) and place != root]
    found = {}
    for file in [*files, *path.glob("*.dvc")]:
        for out in _read_yaml(file).get("outs") or []:
            if md5 := out.get("md5"):
                found[Path(os.path.relpath(file.parent / out["path"], root)).as_posix()] = str(md5).removesuffix(".dir")
    return found


def _read_yaml(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return {}  # DVC reports a broken dvc.yaml better than a tag could
    return values if isinstance(values, dict) else {}
