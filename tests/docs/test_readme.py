"""README, --help, MLproject and dvc.yaml must tell the same story as the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from myxtts.arguments import make_parser
from myxtts.cli import COMMANDS
from myxtts.pipeline.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def subparsers() -> dict:
    return next(action.choices for action in make_parser()._actions if hasattr(action, "choices") and isinstance(action.choices, dict))


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.S)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.split("#")[0].strip().removeprefix("$ ") for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_myxtts_commands_exist_with_their_options(page):
    known = subparsers()
    for line in shell_lines(page.read_text(encoding="utf-8")):
        found = re.search(r"(?:^|/|\s)myxtts (\w[\w-]*)(.*)", line)
        if not found or line.startswith(("pip", "#")):
            continue
        name, rest = found.groups()
        assert name in known, f"{page.name}: unknown command in {line!r}"
        options = set(re.findall(r"(?<!\S)--[\w-]+", re.sub(r'"[^"]*"', "", rest)))
        allowed = {option for action in known[name]._actions for option in action.option_strings}
        assert options <= allowed, f"{page.name}: {options - allowed} in {line!r}"


def test_documented_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    used = {
        word
        for page in PAGES
        for word in re.findall(r"(?:^|[`\s])make ([a-z-]+)", "\n".join(shell_lines(page.read_text(encoding="utf-8"))))
    }
    assert used
    assert used <= targets


def test_readme_table_lists_every_command():
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in subparsers() if f"`myxtts {name}" not in table]
    assert not missing


def test_every_command_that_can_be_typed_is_carried_out():
    assert set(subparsers()) == set(COMMANDS)


def test_with_several_workers_a_file_stays_in_one(request):
    """Versions of pytest and xdist that do not know each other lose the groups without a word: every project is made twice then."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("needs several workers (make test)")
    assert request.node.nodeid.endswith("@tests/docs/test_readme.py")


def test_help_works_without_heavy_imports():
    code = (
        "import sys; sys.argv = ['myxtts', '--help']\n"
        "try:\n import myxtts.cli; myxtts.cli.main()\n"
        "except SystemExit: pass\n"
        "assert not {'tensorflow', 'mlflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "registry" in done.stdout


def yaml(name: str):
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))


def test_dvc_stages_and_entry_points_are_the_stages():
    assert list(yaml("dvc.yaml")["stages"]) == list(STAGES)
    assert set(yaml("MLproject")["entry_points"]) == {"main", *STAGES}
    choices = next(action.choices for action in subparsers()["stage"]._actions if action.dest == "name")
    assert choices == list(STAGES)


def test_dvc_dependencies_exist():
    """A misspelt code dependency would stop every repro."""
    outs = {out for stage in yaml("dvc.yaml")["stages"].values() for kind in ("outs", "metrics") for out in stage.get(kind, [])}
    for name, stage in yaml("dvc.yaml")["stages"].items():
        for dependency in stage["deps"]:
            if dependency.startswith(("myxtts", "data/evaluation")):  # the repository's own
                assert (ROOT / dependency).exists(), f"{name}: {dependency}"
            elif not dependency.startswith("$"):
                assert any(dependency == out or dependency.startswith(out + "/") for out in outs), (
                    f"{name}: {dependency} is no stage's output"
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
