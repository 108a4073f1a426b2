"""What an evaluation leaves behind: README.md, samples.json, summary.json, audio, pictures, and a page that holds all of it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from myxtts.audio import wave as wave_io
from myxtts.config import DataError
from myxtts.config.stages import KINDS
from myxtts.data.manifest import write_json
from myxtts.evaluation.choice import SPEECH_OF
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.page import write_page
from myxtts.evaluation.pictures import draw_spectrograms
from myxtts.evaluation.rows import FAILED_ERROR, Row, sample
from myxtts.evaluation.summary import flat_name

PICTURED = ("ground_truth", "copy", *SPEECH_OF.values())
SHARES = {
    "voice_recognised": "share of sentences that are more like their own speaker's other clips than like any other speaker's",
    "failure_rate": f"share of sentences not spoken, not ended by the model itself, or of which {FAILED_ERROR:.0%} was heard wrongly",
    "judged_share": "share of sentences that were spoken and judged by every metric that is installed and could judge their recording",
    "stopped_share": "share of sentences that the model ended by itself",
    "length_ratio": "duration by the recording's, near 1 is right",
    "real_time_factor": "seconds of work for a second of speech, without compilation",
}


def write_media(row: Row, out: Path, sample_rate: int) -> None:
    """The sounds of a row and a picture of them, into audio/ and pictures/ of `out`; their names go into `row.files`."""
    name = row.utterance.id
    for kind, sound in row.sounds.items():
        if not len(sound.wave):
            continue
        (out / "audio").mkdir(parents=True, exist_ok=True)
        wave_io.save(out / "audio" / f"{name}_{kind}.wav", sound.wave, sample_rate)
        row.files.append(f"audio/{name}_{kind}.wav")
    panels = {kind: row.sounds[kind].wave for kind in PICTURED if kind in row.sounds and len(row.sounds[kind].wave) > sample_rate // 20}
    try:
        draw_spectrograms(out / "pictures" / f"{name}.png", row.utterance.text, panels, sample_rate)
        row.files.append(f"pictures/{name}.png")
    except DataError as error:
        row.omitted["picture"] = str(error)


def write_report(rows: list[Row], lines: list[dict[str, Any]], means: dict[str, float], out: Path, seed: int, made_by: str) -> None:
    """Everything but the media, into `out`, and the page `<out>.html` beside it. lines: of `summarise`; made_by: a sentence."""
    out.mkdir(parents=True, exist_ok=True)
    names = sorted({name for row in rows for name in row.metrics})
    samples = [sample(row, names) for row in rows]
    write_json(out / "samples.json", samples)
    write_json(out / "summary.json", lines)
    about = f"{len(samples)} sentences, seed {seed}. {made_by}"
    wave_io.write_atomically(out / "README.md", _readme(about, samples, lines, means).encode())
    write_page(out.with_suffix(".html"), about, samples, lines, meanings(), out)


def meanings() -> dict[str, str]:
    """What each metric says, with its unit and which way is better."""
    said = {name: f"({metric.unit}, {metric.better} is better) {metric.meaning}" for name, metric in METRICS.items()}
    return said | SHARES


def _readme(about: str, samples: list[dict[str, Any]], lines: Sequence[dict[str, Any]], means: dict[str, float]) -> str:
    """What lies in the folder and what the numbers mean, for someone who finds it without us."""
    written = [
        "# Evaluation",
        "",
        about,
        "`set` of a sentence: `eval` = of speakers that were trained on, `eval_unseen_speaker` = of speakers that never were; the others",
        "are those of `evaluate.sets`.",
        "",
        "Kinds of audio (`audio/<id>_<kind>.wav`; spectrograms in `pictures/<id>.png`):",
        "",
        *(f"- `{kind}`: {meaning}" for kind, meaning in KINDS.items()),
        "",
        "Metrics:",
        "",
        *(f"- `{name}` {meaning}" for name, meaning in meanings().items()),
        "",
        "Means, with the interval that holds the mean of other sentences of the kind in 95 of 100 cases (bootstrap); languages apart in",
        "`summary.json`:",
        "",
        "| metric | mean | 95 % | sentences |",
        "|---|---|---|---|",
        *(
            f"| `{line['metric']}` | {line['mean']:.4g} | {line['low']:.4g} to {line['high']:.4g} | {line['sentences']} |"
            for line in lines
            if not line["language"]
        ),
        *(f"| `{name}` | {value:.4g} | | |" for name, value in means.items() if name not in {flat_name(line) for line in lines}),
        "",
        *_sentences(samples),
    ]
    return "\n".join(written) + "\n"


def _sentences(samples: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Sentences (each one's metrics are in `samples.json`):",
        "",
        "| id | set | language | speaker | reference | text | stopped |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in samples:
        text = item["text"].replace("|", "\\|")
        named = (item[name] for name in ("id", "set", "language", "speaker", "reference"))
        lines.append(f"| {' | '.join((*named, text, 'yes' if item['stopped'] else 'no'))} |")
    reasons = Counter((name, reason) for item in samples for name, reason in item["omitted"].items())
    if reasons:
        lines += ["", "Not measured:", ""]
        lines += [f"- `{name}` in {count} of {len(samples)}: {reason}" for (name, reason), count in sorted(reasons.items())]
    return lines
