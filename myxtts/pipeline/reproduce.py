"""From a registered version back to the commit and the data it was made of: `myxtts reproduce`."""

import configparser
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from myxtts.config import ModelError, MyXTTSError
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.project import dvc
from myxtts.serving.bundle import folder_md5
from myxtts.serving.registry import BUNDLE_MD5, find_version, resolve

_LOCK = "dvc.lock"


@dataclass
class Reproduction:
    """What `reproduce` found. `differences` is empty where commit and data give exactly the registered version."""

    version: str
    commit: str
    folder: Path
    differences: list[str] = field(default_factory=list)

    def describe(self) -> str:
        where = f"commit {self.commit[:12]} has the dvc.lock of {self.version}; it is checked out with its data in {self.folder}"
        remove = f"remove it with: git worktree remove --force {self.folder}"
        if self.differences:
            return "\n".join([where, "It is not reproduced:", *(f"  {line}" for line in self.differences), remove])
        proof = "dvc repro has nothing to do there, and its models/bundle is the registered one, byte for byte"
        return "\n".join([where, proof, remove])


def reproduce(source: str, root: Path, out: Path | None = None) -> Reproduction:
    """Checks out what a version (`models:/name/3`, `models:/name@alias`) was made of, and proves it, or says what differs.

    A git worktree is made in `out` (default: beside the checkout, so that paths that lead out of it go on leading there), with DVC's
    cache and remote of the checkout; nothing is trained. Raises ModelError where there is no such version, no commit holds its dvc.lock
    or `out` exists, MyXTTSError where git or DVC cannot be used.
    """
    version = find_version(source, root)
    name = f"{version.name} version {version.version}"
    expected = _bundle_md5(version, name)
    commit = commit_of(expected, root)
    if commit is None:
        raise ModelError(_no_commit(version, name, expected, root))
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    folder = Path(out).resolve() if out else top.parent / f"{top.name}-{version.name}-{version.version}"
    if folder.exists():
        raise ModelError(f"{folder} exists: remove it (git worktree remove --force {folder}), or name another folder (--out)")
    _git(root, "worktree", "add", "-q", "--detach", str(folder), commit)
    result = Reproduction(name, commit, folder)
    work = folder / root.resolve().relative_to(top.resolve())
    try:
        result.differences += _fetch(work, root)
        result.differences += _would_run(work)
        result.differences += _other_bytes(work, f"models:/{version.name}/{version.version}", root, expected)
    except BaseException:  # Ctrl-C too: half a worktree proves nothing
        _git(root, "worktree", "remove", "--force", str(folder))
        raise
    return result


def commit_of(bundle_md5: str, root: Path) -> str | None:
    """The oldest commit, of any branch or DVC experiment, whose bundle stage made this hash. Raises MyXTTSError outside git."""
    # -m: a merge whose conflict was solved by training anew has it first; a stash is nobody else's
    history = ("log", "-m", "--exclude=refs/stash", "--all", "--reverse", "--format=%H", f"-S{bundle_md5}.dir", "--", _LOCK)
    found = dict.fromkeys(_git(root, *history).split())
    return next((commit for commit in found if _made(_git(root, "show", f"{commit}:./{_LOCK}"), bundle_md5)), None)


def _made(lock: str, bundle_md5: str) -> bool:
    """Whether the bundle stage of a dvc.lock made this hash: it may be a dependency too, as the model that a training began with."""
    try:
        stages = YAML(typ="safe", pure=True).load(lock)["stages"]
        return any(out.get("md5") == f"{bundle_md5}.dir" for out in stages["bundle"]["outs"])
    except (YAMLError, KeyError, TypeError, AttributeError):
        return False


def uncommitted(source: str, root: Path) -> str:
    """A note where no commit holds what a version was made of, so that nobody could reproduce it; "" where one does."""
    version = find_version(source, root)
    try:
        if (md5 := version.tags.get(BUNDLE_MD5)) and commit_of(md5, root) is None:
            return _no_commit(version, f"{version.name} version {version.version}", md5, root)
    except MyXTTSError:
        return "this folder is under no git: nobody can check out what the version was made of"
    return ""


def _bundle_md5(version: Any, name: str) -> str:
    if md5 := version.tags.get(BUNDLE_MD5):
        return md5
    raise ModelError(f"{name} was not registered by the bundle stage (it has no tag {BUNDLE_MD5}), so nothing says what it was made of")


def _no_commit(version: Any, name: str, md5: str, root: Path) -> str:
    lock = root / _LOCK
    if lock.is_file() and _made(lock.read_text(encoding="utf-8"), md5):
        return f"the dvc.lock of {name} is here, and in no commit yet: commit it (git add -A && git commit), so that it can be reproduced"
    dirty = " with uncommitted changes (git.diff of its run)" if version.tags.get("git.dirty") == "true" else ""
    return (
        f"no commit here has the dvc.lock of {name}, which was made on {version.tags.get('git.commit', 'no commit')}{dirty} in run "
        f"{version.run_id}. Fetch what others have (git fetch --all; dvc exp pull origin). If it was made here, check out that commit, set "
        "the parameters of the run, and dvc repro: what DVC's cache still has is not trained again; then commit dvc.lock"
    )


def _fetch(work: Path, root: Path) -> list[str]:
    """The data of the commit, from the checkout's cache or remote; what could not be had."""
    _use_settings_of(root, work)
    remote = dvc(work, "remote", "list", captured=True).stdout.strip()
    done = dvc(work, "pull" if remote else "checkout", "-q", check=False, captured=True)
    if done.returncode == 0:
        return []
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    advice = [] if remote else ["there is no DVC remote here: whoever trained it must `dvc push` to one (dvc remote add)"]
    return [f"the data could not all be fetched: {'; '.join([' '.join(lines)[:1000], *advice]).strip('; ')}"]


def _use_settings_of(root: Path, work: Path) -> None:
    """DVC's cache and remotes of the checkout, as they are today: the commit may be older than its remote."""
    settings = configparser.ConfigParser(strict=False, interpolation=None)
    settings.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    for section in settings.sections():
        url = settings.get(section, "url", fallback="")
        if url and "://" not in url:  # relative to the file that it stands in
            settings.set(section, "url", str((root / ".dvc" / url).resolve()))
    if not settings.has_section("cache"):
        settings.add_section("cache")
    settings.set("cache", "dir", str((root / dvc(root, "cache", "dir", captured=True).stdout.strip()).resolve()))
    private = work / ".dvc" / "config.local"  # not in git
    private.touch(mode=0o600)  # it may hold keys
    private.chmod(0o600)
    with private.open("w", encoding="utf-8") as file:
        settings.write(file)


def _would_run(work: Path) -> list[str]:
    """What `dvc repro` would do there, and why."""
    status = json.loads(dvc(work, "status", "--json", captured=True).stdout or "{}")
    reasons = [f"{stage}: {_reason(change)}" for stage, changes in status.items() for change in changes]
    dry = dvc(work, "repro", "--dry", check=False, captured=True)
    runs = re.findall(r"Running stage '([^']+)'", dry.stdout + dry.stderr)
    if dry.returncode:
        reasons.append(f"dvc repro would fail: {(dry.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return reasons + ([f"dvc repro would run {', '.join(runs)}"] if runs else [])


def _reason(change: Any) -> str:
    if isinstance(change, str):
        return change
    return "; ".join(f"{kind}: {json.dumps(what, ensure_ascii=False)}" for kind, what in change.items())


def _other_bytes(work: Path, source: str, root: Path, expected: str) -> list[str]:
    """Whether the bundle of the commit, and the one that the registry gives out, are what was registered."""
    found = []
    bundle = Paths(work).bundle
    if not bundle.is_dir():
        found.append(f"{bundle.relative_to(work)} is not there")
    elif folder_md5(bundle) != expected:
        found.append(f"{bundle.relative_to(work)} has other bytes than the registered version")
    if folder_md5(resolve(source, root)) != expected:
        found.append("what the registry gives out is not what was registered: its artifacts were changed")
    return found


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise MyXTTSError(f"git {' '.join(arguments)} failed in {root}: {done.stderr.strip()}; reproducing needs the project's git clone")
    return done.stdout.strip()
