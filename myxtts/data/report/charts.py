"""Bars and histograms as HTML and SVG that need nothing else: no script, no font, no address. Colours are those of the page's style."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from myxtts.data.report.measures import Histogram, merged, nice_step, nice_steps, number

WIDTH, HEIGHT = 480, 250  # of a histogram; it scales with the page
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 40, 44  # margins: numbers of the y axis, the last number of the x axis, names of limits, the x axis
MOST_BARS = 48
_NEEDED = 0.001  # of the values may lie beyond either end of the picture: one clip of an hour must not press all others into one bar


@dataclass(frozen=True)
class Limit:
    """A line in a histogram. above: what lies above it is too much (True), what lies below is too little (False), or neither (None)."""

    value: float
    name: str
    above: bool | None = None


def shown(text: str, most: int = 300) -> str:
    """Foreign text for HTML, whatever it holds: escaped, control characters made visible, cut at `most` characters."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return escape("".join("\ufffd" if ord(sign) < 32 and sign not in "\n\t" else sign for sign in cut), quote=True)


def bars(rows: Sequence[tuple[str, float, str]], kind: str = "kept") -> str:
    """A table of (name, value, value in words) with a bar to each, in the colour of `kind`; names may be of any script and length."""
    longest = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = "".join(
        f'<tr><th scope="row" dir="auto">{shown(name, 80)}</th><td class="bar"><svg width="100%" height="14" aria-hidden="true">'
        f'<rect class="{kind}" width="{max(value / longest * 100, 0.3):.2f}%" height="14"/></svg></td>'
        f'<td class="number">{shown(words)}</td></tr>'
        for name, value, words in rows
    )
    return f'<table class="bars">{lines}</table>'


def histogram(kept: Histogram, rejected: Histogram, name: str, limits: Sequence[Limit] = ()) -> str:
    """SVG of how many clips have which value, kept ones below and rejected ones stacked on them, and lines at the limits."""
    both = merged([kept, rejected])
    if not both.total:
        return "<p>Nothing was measured.</p>"
    edges = _bar_edges(both, limits)
    parts = [_rebinned(item, edges) for item in (kept, rejected)]
    top = nice_step(max(int((parts[0] + parts[1]).max()), 1) / 4) * 4
    across = (WIDTH - LEFT - RIGHT) / (edges[-1] - edges[0])
    up = (HEIGHT - TOP - BOTTOM) / top
    floor = HEIGHT - BOTTOM

    def x(value: float) -> float:
        return LEFT + (value - edges[0]) * across

    marks = [_grid(edges, top, x, floor, up)]
    for index, (low, high) in enumerate(pairwise(edges)):
        base, counts = floor, [int(part[index]) for part in parts]
        title = f"{number(low)} to {number(high)} {both.measure.unit}: {counts[0]:,} kept, {counts[1]:,} rejected"
        for kind, count in zip(("kept", "rejected"), counts, strict=True):
            if count:
                tall = max(count * up, 0.8)
                base -= tall
                marks.append(
                    f'<rect class="{kind}" x="{x(low) + 0.5:.1f}" y="{base:.1f}" width="{max((high - low) * across - 1, 0.5):.1f}" '
                    f'height="{tall:.1f}"><title>{escape(title)}</title></rect>'
                )
    marks += [_line(limit, row, x(limit.value), floor) for row, limit in enumerate(limits) if edges[0] <= limit.value <= edges[-1]]
    unit = both.measure.unit
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{shown(f"Histogram: {name}, {unit}")}">{"".join(marks)}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(unit)}</text>'
        f'<text x="{LEFT - 46}" y="{TOP - 10}">clips</text></svg>'
    )


def _bar_edges(both: Histogram, limits: Sequence[Limit]) -> np.ndarray:
    """Edges of the bars: round numbers that cover nearly all values, and the limits."""
    measure = both.measure
    values = [both.quantile(_NEEDED), both.quantile(1 - _NEEDED), *(limit.value for limit in limits)]
    low, high = max(min(values), measure.low), min(max(values), measure.high)
    step = nice_step(max((high - low) / MOST_BARS, measure.width))
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    first, last = (first - 1, last + 1) if last - first < 4 else (first, last)  # all alike: one bar must not fill the picture
    return np.arange(first, last + 1) * step


def _rebinned(item: Histogram, edges: np.ndarray) -> np.ndarray:
    """Counts between the edges; those beyond are counted in the first and the last."""
    counts, measure = np.asarray(item.counts), item.measure
    centres = measure.low + (np.arange(len(counts)) + 0.5) * measure.width
    places = np.clip(np.searchsorted(edges, centres, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(places, weights=counts, minlength=len(edges) - 1)


def _grid(edges: np.ndarray, top: float, x, floor: float, up: float) -> str:
    marks = []
    for quarter in range(5):
        count, y = top * quarter / 4, floor - top * quarter / 4 * up
        if count == int(count):
            marks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            marks.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(count)}</text>')
    for value in nice_steps(edges[0], edges[-1], 7):
        marks.append(f'<text x="{x(value):.1f}" y="{floor + 17}" text-anchor="middle">{_tick(value)}</text>')
        marks.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{floor}" y2="{floor + 4}"/>')
    return "".join(marks)


def _line(limit: Limit, row: int, x: float, floor: float) -> str:
    kind = "limit" if limit.above is not None else "target"
    anchor, nudge = ("start", 4) if x < (LEFT + WIDTH - RIGHT) / 2 else ("end", -4)
    y = 13 + 15 * (row % 2)
    return (
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9}" y2="{floor}"/>'
        f'<text class="{kind}" x="{x + nudge:.1f}" y="{y}" text-anchor="{anchor}">{escape(limit.name)}</text>'
    )


def _short(count: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.0f}"


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
