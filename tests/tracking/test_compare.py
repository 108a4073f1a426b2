"""`myxtts compare`: what two runs differ in, as one page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.compare import compare, differences
from myxtts.tracking.run import stage_run


def config(**gpt) -> XTTSConfig:
    return XTTSConfig.from_dict({"model": {"preset": "tiny"}, "training": {"gpt": gpt}})


def train(project: Path, name: str, losses: dict[int, float], level: int, **gpt) -> str:
    with stage_run(config(**gpt), "gpt", project, project / "checkpoints" / name) as run:
        for step, loss in losses.items():
            run.metrics({"val/mel_loss": loss, "val/mel_accuracy": 1 - loss / 4, "perf/steps_per_second": 1.0}, step=step)
            run.image("mel/val_0", np.full((8, 8), level + step, np.uint8), step)
            run.audio("val_0_spoken", np.full(100, level / 100), 24000, step)
    return run.run_id


class Page(HTMLParser):
    """Rows of all tables as text, and the addresses that the page would fetch."""

    def __init__(self, text: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.marks: list[tuple[str, str]] = []
        self._class, self._inside = "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._class = attrs.get("class", "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True
        self.sources += [attrs[name] for name in ("src", "data", "srcset") if name in attrs]
        if "href" in attrs:
            self.links.append(attrs["href"])

    def handle_endtag(self, tag):
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data
        if self._inside and "better" in self._class:
            self.marks.append((self.rows[-1][0], data))


@pytest.fixture
def pair(project) -> tuple[str, str]:
    return (
        train(project, "one", {10: 2.0, 20: 1.5}, 10, learning_rate=1e-4),
        train(project, "two", {10: 1.8, 20: 1.0, 30: 0.5}, 20, learning_rate=1e-2),
    )


def test_the_page_shows_what_differs_and_needs_nothing_else(project, pair, client):
    out = compare(config(), project, pair[0][:10], pair[1][:10])
    assert out == project / "reports" / "compare" / f"{pair[0][:8]}-{pair[1][:8]}.html"
    text = out.read_text()
    page = Page(text)
    rows = {row[0]: row[1:] for row in page.rows}
    assert rows["training.gpt.learning_rate"] == ["0.0001", "0.01"]
    assert "training.gpt.epochs" not in rows
    assert rows["val/mel_loss"] == ["1.5", "0.5", "-1 (-66.7%)"]
    assert page.marks == [("val/mel_accuracy", "0.875"), ("val/mel_loss", "0.5")]  # of an accuracy more, of a loss less
    assert len(page.links) == 4 and all("workflowType=machine_learning" in link for link in page.links)
    assert len(page.sources) == 4
    assert all(source.startswith("data:") for source in page.sources)
    assert not re.search(r"@import|url\(|<script|<link", text)
    assert client.list_artifacts(pair[1], "compare")[0].path == f"compare/{out.name}"


def test_curves_of_both_runs_share_their_axes(project, pair):
    text = compare(config(), project, *pair).read_text()
    (figure,) = re.findall(r"<figure>(?:(?!</figure>).)*val/mel_loss: 0.5 to 2, steps 10 to 30", text)
    lines = [[tuple(map(float, point.split(","))) for point in line.split()] for line in re.findall(r'points="([^"]*)"', figure)]
    assert [len(line) for line in lines] == [2, 3]
    (left, top), *_ = lines[0]
    right, bottom = lines[1][-1]
    assert left == lines[1][0][0] < right  # both begin at step 10, the second ends last
    assert top < lines[1][0][1] < bottom  # 2.0 above 1.8 above 0.5


def test_a_long_curve_is_thinned_but_ends_where_it_ends(project, pair, client):
    for run_id in pair:
        points = [Metric("train/mel_loss", 5.0 - step / 1000, step, step) for step in range(1, 5000)]
        for start in range(0, len(points), 1000):
            client.log_batch(run_id, metrics=points[start : start + 1000])
    text = compare(config(), project, *pair).read_text()
    assert "train/mel_loss: 0.001 to 4.999, steps 1 to 4999" in text
    assert max(len(line.split()) for line in re.findall(r'points="([^"]*)"', text)) < 2000


def test_the_newest_picture_and_sound_of_each_are_shown(project, pair):
    page = Page(compare(config(), project, *pair).read_text())
    kinds = [source.partition(";")[0] for source in page.sources]
    assert kinds == ["data:image/png", "data:image/png", "data:audio/wav", "data:audio/wav"]
    import base64
    import io

    from PIL import Image

    levels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))[0, 0] for source in page.sources[:2]]
    assert levels == [30, 50]  # 10 + step 20, 20 + step 30


def test_names_cannot_break_the_page(project, client):
    ids = [train(project, name, {10: 1.0}, 10) for name in ("a", "b")]
    client.update_run(ids[0], name="<script>alert(1)</script>")
    client.log_param(ids[0], "note", '"><img src=x>')
    text = compare(config(), project, *ids).read_text()
    assert "<script>" not in text and "<img src=x>" not in text
    assert "&lt;script&gt;" in text


def test_a_run_is_named_by_the_beginning_of_its_id(project, pair):
    with pytest.raises(TrackingError, match="no run begins with 'zzz'"):
        compare(config(), project, "zzz", pair[1])
    with pytest.raises(TrackingError, match="2 runs begin with ''"):
        compare(config(), project, "", pair[1])


def test_differences_name_what_one_lacks():
    assert differences({"a": 1, "b": 2, "x.c": 3}, {"a": 1, "b": 3, "d": 4}, ("x.",)) == [("b", 2, 3), ("d", None, 4)]
