"""The page that `compare` writes: HTML with its curves drawn, its pictures and its sound inside, and no address of anything else."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any

from myxtts.tracking.queries import Run
from myxtts.tracking.runs import has_better, higher_is_better

Pair = tuple[str, Any, Any]  # name, of the first run, of the second
Points = Sequence[tuple[int, float]]
COLOURS = ("#1b6ca8", "#c2571a")
WIDTH, HEIGHT, EDGE = 460, 180, 8  # of a chart, in pixels
MOST_POINTS = 1000  # of a curve that are drawn
STYLE = f"""
body{{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em;color:#222;background:#fff}}
table{{border-collapse:collapse;margin:.5em 0 1.5em}}td,th{{border:1px solid #ddd;padding:.25em .6em;text-align:left;vertical-align:top}}
td.number{{text-align:right;font-variant-numeric:tabular-nums}}.better{{font-weight:600}}
.first a{{color:{COLOURS[0]}}}.second a{{color:{COLOURS[1]}}}
.charts{{display:grid;grid-template-columns:repeat(auto-fill,minmax(470px,1fr));gap:1em}}figure{{margin:0}}figcaption{{font-size:13px}}
.pair{{display:grid;grid-template-columns:1fr 1fr;gap:1em;margin-bottom:1em}}.pair img{{width:100%}}audio{{width:100%}}
"""


def page(title: str, runs: Sequence[Run], urls: Sequence[str], parts: Mapping[str, Sequence[Pair]]) -> str:
    """HTML of two runs. parts: `params`, `machine`, `metrics`, `curves` (points of each), `files` (bytes of pictures and sounds)."""
    heads = "".join(
        f'<th class="{side}"><a href="{escape(url, quote=True)}">{escape(run.name)}</a><br>'
        f"{escape(run.stage)} {run.id[:8]}, {escape(run.status)}</th>"
        for side, run, url in zip(("first", "second"), runs, urls, strict=True)
    )
    sections = [
        ("Parameters that differ", _table(heads, parts["params"]) or "<p>None.</p>"),
        ("Of the machine", _table(heads, parts["machine"])),
        ("Metrics", _metrics(heads, parts["metrics"])),
        ("Curves", f'<div class="charts">{"".join(_chart(*curve) for curve in parts["curves"])}</div>' if parts["curves"] else ""),
        ("Pictures and sound", "".join(_files(*pair) for pair in parts["files"])),
    ]
    body = "".join(f"<h2>{name}</h2>{content}" for name, content in sections if content)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{body}</html>\n"
    )


def _table(heads: str, pairs: Sequence[Pair]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{_shown(a)}</td><td>{_shown(b)}</td></tr>" for name, a, b in pairs)
    return f"<table><tr><th></th>{heads}</tr>{rows}</table>" if rows else ""


def _shown(value: Any) -> str:
    return "-" if value is None else escape(str(value))


def _metrics(heads: str, pairs: Sequence[Pair]) -> str:
    rows = []
    for name, a, b in pairs:
        change, marks = "", ("", "")
        if a is not None and b is not None:
            change = f"{b - a:+.4g}" + (f" ({(b - a) / abs(a):+.1%})" if a else "")
            if a != b and has_better(name):
                marks = (" better", "") if (a > b) == higher_is_better(name) else ("", " better")
        cells = "".join(
            f'<td class="number{mark}">{"-" if value is None else f"{value:.4g}"}</td>' for value, mark in zip((a, b), marks, strict=True)
        )
        rows.append(f'<tr><td>{escape(name)}</td>{cells}<td class="number">{change}</td></tr>')
    return f"<table><tr><th></th>{heads}<th>second - first</th></tr>{''.join(rows)}</table>" if rows else ""


def _chart(name: str, first: Points, second: Points) -> str:
    """Both curves on the same axes, as SVG."""
    points = [*first, *second]
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    lines = ""
    for colour, curve in zip(COLOURS, (first, second), strict=True):
        places = " ".join(
            f"{EDGE + (step - left) / max(right - left, 1) * (WIDTH - 2 * EDGE):.1f},"
            f"{HEIGHT - EDGE - (value - low) / (high - low or 1.0) * (HEIGHT - 2 * EDGE):.1f}"
            for step, value in curve
        )
        if len(curve) == 1:
            x, y = places.split(",")
            lines += f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
        elif curve:
            lines += f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    frame = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#f7f7f7"/>'
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{frame}{lines}</svg>'
        f"<figcaption>{escape(name)}: {low:.4g} to {high:.4g}, steps {left} to {right}</figcaption></figure>"
    )


def _files(name: str, first: bytes | None, second: bytes | None) -> str:
    return f'<h3>{escape(name)}</h3><div class="pair">{_file(name, first)}{_file(name, second)}</div>'


def _file(name: str, content: bytes | None) -> str:
    if content is None:
        return "<div>-</div>"
    data = base64.b64encode(content).decode()
    if PurePosixPath(name).suffix == ".png":
        return f'<div><img alt="{escape(name, quote=True)}" src="data:image/png;base64,{data}"></div>'
    return f'<div><audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio></div>'
