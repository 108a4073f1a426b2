"""`dvc plots show` and `diff` draw without a network."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from checkouts import Project
from ruamel.yaml import YAML

from myxtts.config import MyXTTSError
from myxtts.pipeline.plots import template, use_offline_page

ROOT = Path(__file__).resolve().parents[2]
DVC_YAML = "plots:\n  - a curve:\n      x: step\n      y: {curve.csv: loss}\n"


class Page(HTMLParser):
    """The scripts inside a page, and the addresses that it would fetch."""

    def __init__(self, text: str):
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


@pytest.fixture
def plotted(tmp_path) -> Project:
    project = Project(tmp_path)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "curve.csv").write_text("step,loss\n1,0.71828\n2,0.5\n")
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "start")
    return project


def test_pages_hold_the_curves_and_what_draws_them(plotted):
    shown = Page((plotted.root / "dvc_plots/index.html").read_text()) if plotted.run("dvc", "plots", "show") else None
    assert shown.addresses  # as DVC is, it fetches the drawing code
    use_offline_page(plotted.root)
    (plotted.root / "curve.csv").write_text("step,loss\n1,0.61803\n2,0.25\n")
    for command, values in ((["show"], ("0.61803",)), (["diff", "HEAD"], ("0.61803", "0.71828"))):
        plotted.run("dvc", "plots", *command)
        page = Page((plotted.root / "dvc_plots/index.html").read_text())
        assert page.addresses == []
        code, *plots = page.scripts
        assert "window.vegaEmbed=" in code
        assert len(plots) == 1 and "vegaEmbed('#a_curve', spec)" in plots[0]
        assert all(value in plots[0] for value in values)


def test_the_choice_stays_out_of_git(plotted):
    (plotted.root / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    plotted.run("git", "add", "-A")
    plotted.run("git", "commit", "-qm", "ignored")
    use_offline_page(plotted.root)
    assert plotted.run("git", "status", "--short") == ""


def test_a_script_that_holds_the_end_of_a_script_does_not_end():
    assert Page(template("x = '</script>'")).scripts == ["(function () {\nx = '<\\/script>'\n})();"]


def test_a_missing_package_is_named(plotted, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MyXTTSError, match=r"vl-convert-python, which is not installed: pip install"):
        use_offline_page(plotted.root)


def test_names_of_plots_can_stand_in_a_line_of_javascript():
    for plot in YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["plots"]:
        (name,) = plot
        assert re.fullmatch(r"[a-z][\w ,-]+", name), f"DVC's page could not draw {name!r}"
