"""The page itself: HTML that needs nothing else, in sections from what matters most to what is looked up.

Every text of the corpus goes through `shown`: texts, names of speakers and of files are foreign.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myxtts.config import DataError
from myxtts.config.data import PrepareConfig
from myxtts.data.report.cards import Played, rejected_rows, worst_clips
from myxtts.data.report.charts import Limit, bars, histogram, shown
from myxtts.data.report.counts import ClipCounts, RejectCounts
from myxtts.data.report.measures import MEASURES, RATE, Histogram, merged, number
from myxtts.data.report.style import STYLE
from myxtts.data.report.warnings import RARE, Finding, shown_character
from myxtts.data.report.worst import Clip, Norms
from myxtts.text.languages import get_language

SPEAKERS = 30  # that have a bar each
RATE_CHARTS = 12  # languages whose characters per second are drawn
_CHARACTERS = 160  # of a language that are shown: of Chinese, the most and the least frequent
_REMOVED = 60
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src data:; img-src data:"  # a browser refuses whatever else

# what a split is called where people read
SPLITS = {
    "train": ("train", "trained on"),
    "eval": ("eval_seen", "speakers that are trained on, sentences that are not"),
    "eval_unseen_speaker": ("eval_unseen_speaker", "speakers that are never trained on"),
}


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    counts: ClipCounts
    rejects: RejectCounts
    corpora: Mapping[str, Mapping[str, Any]]
    characters: Mapping[str, Mapping[str, Mapping[str, int]]]
    norms: Norms
    worst: Sequence[Clip]
    rejected: Mapping[str, Clip]  # by id: the examples of rejects.examples that have a row in clips.csv
    findings: Sequence[Finding]
    settings: PrepareConfig
    rate_limits: Mapping[str, Sequence[float]]  # by language: least and most characters per second that `prepare` allowed


def page(report: Report, played: Played) -> str:
    """The whole page."""
    rejected = rejected_rows(report.rejects, report.counts.sums.total()[0], report.rejected, played)
    sections = [
        ("Warnings", "What to know before training", _findings(report.findings)),
        ("Hours", "Hours", _hours(report)),
        ("Measures", "Measures", _measures(report)),
        ("Characters", "Characters", _characters(report)),
        ("Rejected", "Rejected rows", rejected),
        ("Worst clips", "Worst clips that are kept", worst_clips(report.worst, report.norms, played)),
        ("Sets", "Training and evaluation sets", _sets(report)),
        ("Corpora", "Corpora", _corpora(report.corpora)),
    ]
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name, _, _ in sections)
    body = "".join(f'<section id="{_anchor(name)}"><h2>{title}</h2>{content}</section>' for name, title, content in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta name="color-scheme" content="light dark">'
        f"<title>Data report</title><style>{STYLE}</style></head><body><h1>Data report</h1>{_headline(report)}<nav>{links}</nav>{body}"
        "</body></html>\n"
    )


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def duration(seconds: float) -> str:
    """Minutes below an hour, hours from there on."""
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.2f} h" if seconds < 360_000 else f"{seconds / 3600:,.0f} h"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """An HTML table of cells that are HTML; `numbers`: columns set to the right."""
    head = "".join(f'<th scope="col"{_right(place, numbers)}>{name}</th>' for place, name in enumerate(heads))
    lines = "".join(
        "<tr>" + "".join(f"<td{_right(place, numbers)}>{cell}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'


def _right(place: int, numbers: Sequence[int]) -> str:
    return ' class="number"' if place in numbers else ""


def _headline(report: Report) -> str:
    clips, seconds, speakers = report.counts.sums.total()
    rejected, kept = report.rejects.total, report.counts.kept
    raw = rejected - report.counts.rows_rejected
    of_raw = f", {raw:,} by the raw stage" if raw > 0 else ""
    tiles = [
        (duration(seconds), "of speech kept"),
        (f"{clips:,}", "clips"),
        (f"{speakers:,}", "speakers" if speakers != 1 else "speaker"),
        (str(len(report.counts.sums.by("language"))), "languages" if len(report.counts.sums.by("language")) != 1 else "language"),
        (f"{rejected / max(clips + rejected, 1):.1%}", f"rejected ({rejected:,} of {clips + rejected:,} rows{of_raw})"),
    ]
    tiles += [(MEASURES[name].worded(kept[name].quantile(0.5)), words) for name, words in _TYPICAL.items() if kept[name].total]
    return '<div class="tiles">' + "".join(f"<div><b>{value}</b><span>{words}</span></div>" for value, words in tiles) + "</div>"


_TYPICAL = {"seconds": "median duration", "snr_db": "median SNR", "bandwidth_hz": "median bandwidth"}


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing: no threshold of this page is passed.</p>"
    lines = "".join(f'<li><b dir="auto">{shown(item.found, 600)}</b> {shown(item.remedy)}</li>' for item in findings)
    return f'<ul class="findings">{lines}</ul>'


def _hours(report: Report) -> str:
    sums = report.counts.sums
    languages = [
        (
            language_name(language),
            seconds,
            f"{duration(seconds)}, {clips:,} clips, {speakers:,} {'speaker' if speakers == 1 else 'speakers'}",
        )
        for language, clips, seconds, speakers in sums.by("language")
    ]
    clips, seconds, count = sums.total()
    largest = sums.speakers(SPEAKERS)
    speakers = [
        (name, each, f"{duration(each)}, {number_of:,} clips, {', '.join(sorted(codes.split(',')))}")
        for name, number_of, each, codes in largest
    ]
    if count > len(largest):
        rest, others = seconds - sum(row[2] for row in largest), clips - sum(row[1] for row in largest)
        speakers.append((f"the other {count - len(largest):,}", rest, f"{duration(rest)}, {others:,} clips"))
    return f"<h3>By language</h3>{bars(languages)}<h3>By speaker</h3>{bars(speakers)}"


def language_name(code: str) -> str:
    """`Persian (fa)`; the code alone where it is not known."""
    try:
        return f"{get_language(code).name} ({code})"
    except DataError:
        return code


def _limits(settings: PrepareConfig) -> dict[str, list[Limit]]:
    """The rules of `prepare` that can be drawn."""
    limits = {
        "seconds": [Limit(settings.min_seconds, "min_seconds", False), Limit(settings.max_seconds, "max_seconds", True)],
        "snr_db": [Limit(settings.min_snr_db, "min_snr_db", False)] if settings.min_snr_db is not None else [],
        "bandwidth_hz": [Limit(settings.min_bandwidth_hz, "min_bandwidth_hz", False)] if settings.min_bandwidth_hz is not None else [],
        "clipped_share": [Limit(settings.max_clipped_share, "max_clipped_share", True)] if settings.max_clipped_share is not None else [],
        "loudness_lufs": [Limit(settings.loudness_lufs, "brought to loudness_lufs")] if settings.loudness_lufs is not None else [],
    }
    return {name: limits.get(name, []) for name in MEASURES}


def _measures(report: Report) -> str:
    counts, limits = report.counts, _limits(report.settings)
    drawn = [
        _figure(MEASURES[name].title, counts.kept[name], counts.rejected[name], limits[name])
        for name in ("seconds", "snr_db", "loudness_lufs", "bandwidth_hz")
    ]
    order = [language for language, *_ in counts.sums.by("language") if language in counts.kept_rate]
    empty = Histogram(MEASURES[RATE])
    for language in order[:RATE_CHARTS]:
        rules, note = _rate_rules(report, language)
        title = f"{MEASURES[RATE].title}, {language_name(language)}"
        drawn.append(_figure(title, counts.kept_rate[language], counts.rejected_rate.get(language, empty), rules, note))
    left_out = f"<p>Not drawn: {', '.join(map(shown, order[RATE_CHARTS:]))}.</p>" if len(order) > RATE_CHARTS else ""
    return (
        "<p>Of every clip that could be decoded: <i class='kept'></i> kept, <i class='rejected'></i> rejected, for whatever reason. "
        "Duration is what is left after trimming; loudness, SNR, bandwidth and samples at full scale are of the recording before "
        "processing. A dashed line is a rule of <code>prepare</code> in params.yaml. What lies beyond the picture is counted in its first "
        "or last bar.</p>"
        f'<div class="charts">{"".join(drawn)}</div>{left_out}{_quantiles(counts)}'
    )


def _rate_rules(report: Report, language: str) -> tuple[list[Limit], str]:
    """The limits that `prepare` applied to the rates of a language, and how they came about."""
    most = report.settings.max_rate_deviation
    if most is None:
        return [], ""
    if language not in report.rate_limits:
        return [], "no limits: too few clips to say what is usual"
    low, high = report.rate_limits[language]
    rules = [Limit(low, f"−{most:g} deviations", False), Limit(high, f"+{most:g} deviations (max_rate_deviation)", True)]
    return rules, f"limits: {most:g} robust standard deviations of the logarithm"


def _figure(title: str, kept: Histogram, rejected: Histogram, limits: Sequence[Limit], note: str = "") -> str:
    both = merged([kept, rejected])
    said = []
    for limit in limits:
        if limit.above is not None and both.total:
            beyond = both.beyond(limit.value, limit.above)
            side = "above" if limit.above else "below"
            said.append(f"{beyond:,} ({beyond / both.total:.1%}) {side} {number(limit.value * both.measure.factor)} {both.measure.unit}")
    said += [note] if note else []
    caption = f"<b>{shown(title)}</b>" + (f": {'; '.join(said)}" if said else "")
    return f"<figure><figcaption>{caption}</figcaption>{histogram(kept, rejected, title, limits)}</figure>"


def _quantiles(counts: ClipCounts) -> str:
    rows = []
    for item in counts.kept.values():
        if item.total:
            values = [item.least, *(item.quantile(share) for share in (0.05, 0.5, 0.95)), item.most]
            rows.append([item.measure.title, item.measure.unit, *map(item.measure.figure, values)])
    return f"<h3>Kept clips</h3>{table(('', '', 'least', '5 %', 'median', '95 %', 'most'), rows, range(2, 7))}" if rows else ""


def _characters(report: Report) -> str:
    used = report.characters["used"]
    parts = [_coverage(language, used[language]) for language in sorted(used, key=lambda code: -sum(used[code].values()))]
    removed = [
        (count, language, character)
        for language, counts in report.characters["removed"].items()
        for character, count in counts.items()
        if count
    ]
    removed.sort(key=lambda item: (-item[0], item[1], item[2]))
    parts.append("<h3>Removed by normalisation</h3>")
    if removed:
        rows = [
            [f"<bdi>{shown(shown_character(character))}</bdi>", _code(character), shown(_name(character)), shown(language), f"{count:,}"]
            for count, language, character in removed[:_REMOVED]
        ]
        parts.append(table(("character", "code", "name", "language", "times"), rows, (4,)))
        parts.append(f"<p>And {len(removed) - _REMOVED:,} more.</p>" if len(removed) > _REMOVED else "")
    else:
        parts.append("<p>None: every character of the texts is kept or written out.</p>")
    return (
        f'<p>How often each character stands in the normalised texts; <span class="rare">rare</span>: fewer than {RARE} times.</p>'
        + "".join(parts)
    )


def _coverage(language: str, counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    most = ordered[0][1] if ordered else 1
    head, tail, between = ordered, [], ""
    if len(ordered) > _CHARACTERS:
        head, tail = ordered[: _CHARACTERS // 2], ordered[-_CHARACTERS // 2 :]
        between = f'<li class="gap">… {len(ordered) - len(head) - len(tail):,} more …</li>'
    cells = ["".join(_cell(character, count, most) for character, count in part) for part in (head, tail)]
    missing = unseen_letters(language, counts)
    said = f" Never seen: <bdi>{shown(' '.join(map(shown_character, missing)))}</bdi>." if missing else ""
    rare = sum(count < RARE for count in counts.values())
    return (
        f"<h3>{shown(language_name(language))}</h3><p>{len(counts):,} characters, {rare:,} of them rare.{said}</p>"
        f'<ul class="characters">{cells[0]}{between}{cells[1]}</ul>'
    )


def _cell(character: str, count: int, most: int) -> str:
    kind = ' class="rare"' if count < RARE else ""
    return (
        f'<li{kind} title="{_code(character)} {shown(_name(character))}: {count:,}"><bdi>{shown(shown_character(character))}</bdi>'
        f'<span>{count:,}</span><i style="width:{max(count / most * 100, 1):.0f}%"></i></li>'
    )


def unseen_letters(language: str, counts: Mapping[str, int]) -> list[str]:
    """Letters of a language that its texts do not hold; [] for a language that is not known or is written in thousands of characters."""
    try:
        known = get_language(language)
    except DataError:
        return []
    return [] if known.ranges else [letter for letter in known.letters if letter not in counts]


def _code(character: str) -> str:
    return " ".join(f"U+{ord(sign):04X}" for sign in character[:4])


def _name(character: str) -> str:
    return " + ".join(unicodedata.name(sign, "no name") for sign in character[:4])


def _sets(report: Report) -> str:
    found = {split: row for split, *row in report.counts.sums.by("split")}
    total = report.counts.sums.total()[1] or 1.0
    rows = []
    for split in sorted(found, key=lambda name: (list(SPLITS).index(name) if name in SPLITS else len(SPLITS), name)):
        clips, seconds, speakers = found[split]
        name, words = SPLITS.get(split, (split, ""))
        rows.append([shown(name), words, f"{clips:,}", duration(seconds), f"{speakers:,}", f"{seconds / total:.1%}"])
    return table(("set", "", "clips", "speech", "speakers", "share"), rows, (2, 3, 4, 5))


def _corpora(corpora: Mapping[str, Mapping[str, Any]]) -> str:
    missing = '<span class="rare">not stated</span>'
    rows = [
        [
            f"<bdi>{shown(name)}</bdi>",
            shown(str(item.get("layout", ""))),
            f"<bdi>{shown(str(item.get('path', '')))}</bdi>",
            *(f"<bdi>{shown(str(item[key]))}</bdi>" if item.get(key) else missing for key in ("licence", "consent")),
            number(float(item.get("weight", 1.0))),
            f"{item.get('clips', 0):,}",
            duration(float(item.get("hours", 0.0)) * 3600),
        ]
        for name, item in corpora.items()
    ]
    return table(("corpus", "layout", "path", "licence", "consent", "weight", "clips", "speech"), rows, (5, 6, 7))
