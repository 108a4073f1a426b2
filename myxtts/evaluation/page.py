"""The evaluation as one HTML file: figures, players, spectrograms, and what was heard beside what was written. It needs no network."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from myxtts.audio import wave as wave_io
from myxtts.audio.formats import encode
from myxtts.config.stages import KINDS
from myxtts.evaluation.choice import SPEECH_OF
from myxtts.evaluation.metrics import METRICS

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:start;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}small{color:#666}
section{border-top:2px solid #ccc;padding:1rem 0}
audio{height:2rem;width:18rem}img{max-width:100%}q{quotes:none}.heard{color:#444;font-family:ui-monospace,monospace}h3{margin:.2rem 0}
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}th,td{border-color:#333}.heard,small{color:#aaa}}
"""


def write_page(
    path: Path,
    about: str,
    samples: Sequence[Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
    meanings: Mapping[str, str],
    media: Path,
) -> None:
    """Writes `path`. samples, lines: the content of samples.json and summary.json; meanings: of the metrics; media: the folder that
    `files` of a sample lie in."""
    languages = list(dict.fromkeys(line["language"] for line in lines))
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Evaluation</title>",
        f"<style>{_STYLE}</style><h1>Evaluation</h1><p>{html.escape(about)}</p>",
        "<p>A cell: the mean; below it the interval that the mean of other sentences lies in, 95 times of 100, and their number.</p>",
        *(_table(lines, language) for language in languages),
        f"<details><summary>Kinds of audio</summary><dl>{_definitions(KINDS)}</dl></details>",
        f"<details><summary>Metrics</summary><dl>{_definitions(meanings)}</dl></details>",
        "<h2>Sentences</h2>",
        *(_section(sample, media) for sample in samples if sample["files"]),
        _all_sentences(samples),
    ]
    wave_io.write_atomically(path, "\n".join(parts).encode())


def _definitions(meanings: Mapping[str, str]) -> str:
    return "".join(f"<dt><code>{html.escape(name)}</code><dd>{html.escape(meaning)}" for name, meaning in meanings.items())


def _table(lines: Sequence[Mapping[str, Any]], language: str) -> str:
    """Metrics down, kinds of audio across: a figure beside the ground truth's, which is its ceiling."""
    cells = {tuple(line["metric"].split("/", 1)): line for line in lines if line["language"] == language}
    kinds = [kind for kind in KINDS if any(key[0] == kind for key in cells)]
    metrics = list(dict.fromkeys([*(m for m in METRICS if any(key[1] == m for key in cells)), *sorted(key[1] for key in cells)]))
    rows = []
    for metric in metrics:
        better = f" <small>{METRICS[metric].better} is better</small>" if metric in METRICS else ""
        figures = "".join(_cell(cells.get((kind, metric))) for kind in kinds)
        rows.append(f"<tr><th><code>{html.escape(metric)}</code>{better}</th>{figures}</tr>")
    head = "".join(f"<th class=n>{html.escape(kind.replace('_', ' '))}</th>" for kind in kinds)
    title = f"Language {html.escape(language)}" if language else "All sentences"
    return f"<h2>{title}</h2><table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _cell(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "<td class=n>–</td>"
    interval = f"{line['low']:.3g} to {line['high']:.3g}, {line['sentences']}"
    return f"<td class=n title='95 % interval of the mean, sentences'>{line['mean']:.3g}<br><small>{interval}</small></td>"


def _section(sample: Mapping[str, Any], media: Path) -> str:
    """A sentence to listen to."""
    players, pictures = [], []
    for name in sample["files"]:
        path = media / name
        if path.suffix == ".wav":
            sound = mp3_url(*soundfile.read(path, dtype="float32"))
            kind = path.stem.removeprefix(f"{sample['id']}_")
            players.append(
                f"<tr><th>{html.escape(kind)}<td><audio controls preload=none src='{sound}'></audio>{_figures(sample, kind)}</tr>"
            )
        else:
            picture = base64.b64encode(path.read_bytes()).decode()
            pictures.append(f"<img alt='spectrograms' loading=lazy src='data:image/png;base64,{picture}'>")
    heard = f"<p class=heard dir=auto>heard: {html.escape(sample['heard'])}</p>" if sample["heard"] else ""
    facts = f"{sample['language']}, {sample['speaker']}, set {sample['set'] or 'eval'}" + (
        "" if sample["stopped"] else ", did not stop by itself"
    )
    return (
        f"<section><h3 dir=auto>{html.escape(sample['text'])}</h3>{heard}<small>{html.escape(sample['id'])}: {html.escape(facts)}</small>"
        f"<table>{''.join(players)}</table>{''.join(pictures)}</section>"
    )


def _figures(sample: Mapping[str, Any], kind: str) -> str:
    if kind == "ground_truth":
        kind += SPEECH_OF[sample["set"] or "eval"].removeprefix("speech")
    named = ((name, sample.get(f"{kind}/{name}")) for name in METRICS)
    said = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in named if value is not None)
    return f"<td><small>{html.escape(said)}</small>"


def _all_sentences(samples: Sequence[Mapping[str, Any]]) -> str:
    cells = ([html.escape(sample[name]) for name in ("id", "text", "heard")] for sample in samples)
    rows = "".join(f"<tr><td>{name}<td dir=auto>{text}<td class=heard dir=auto>{heard}</tr>" for name, text, heard in cells)
    return f"<details><summary>All {len(samples)} sentences</summary><table><tr><th>id<th>text<th>heard</tr>{rows}</table></details>"


def mp3_url(wave: np.ndarray, rate: int) -> str:
    """Wave (N,) -> a data URL: MP3 plays in every browser and is a tenth of the size."""
    return f"data:audio/mpeg;base64,{base64.b64encode(encode(wave, rate, 'mp3')).decode()}"
