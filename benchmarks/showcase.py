"""Keeps a trained project's evaluation for docs/showcase: learning curves, audio of held-out sentences as Ogg, its table in Markdown.

    python benchmarks/showcase.py PROJECT OUT [--each N]

PROJECT: a folder in which `dvc repro evaluate` has run (reports/curves, reports/evaluation). OUT: a folder, as docs/showcase/voices; what
lies there already is refused. The table goes to standard output, every kind of audio beside every other, nothing left out.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import soundfile

CURVES = {  # title: {label: (file, column)}
    "audio tokenizer: reconstruction loss": {
        "train": ("dvae_train.csv", "reconstruction_loss"),
        "held out": ("dvae_val.csv", "reconstruction_loss"),
    },
    "GPT: code loss": {
        "train": ("gpt_train.csv", "mel_loss"),
        "held out": ("gpt_val.csv", "mel_loss"),
        "held out, another clip's text": ("gpt_val.csv", "wrong_text_mel_loss"),
    },
    "decoder: mel distance": {
        "train": ("decoder_train.csv", "mel_loss"),
        "held out": ("decoder_val.csv", "mel_loss"),
    },
}
COLUMNS = (
    "phone_error_rate",
    "character_error_rate",
    "word_error_rate",
    "sound_error_rate",
    "speaker_similarity",
    "voice_recognised",
    "predicted_mos",
    "hallucination_rate",
    "failure_rate",
    "length_ratio",
    "pitch_error",
)


def points(path: Path, column: str) -> tuple[list[int], list[float]]:
    """Steps and values of one column; rows without a value are left out."""
    with path.open(newline="") as file:
        rows = [(int(row["step"]), float(row[column])) for row in csv.DictReader(file) if row.get(column)]
    return [step for step, _ in rows], [value for _, value in rows]


def draw(curves: Path, out: Path) -> None:
    figure, axes = plt.subplots(1, len(CURVES), figsize=(5 * len(CURVES), 3.6), layout="constrained")
    for axis, (title, lines) in zip(axes, CURVES.items(), strict=True):
        for label, (name, column) in lines.items():
            if (curves / name).is_file():
                axis.plot(*points(curves / name, column), label=label)
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
        axis.legend()
    axes[0].set_ylim(0, 0.6)  # the first steps are off the scale
    figure.savefig(out, dpi=80)


def keep_audio(evaluated: Path, out: Path, each: int) -> None:
    """The first `each` sentences of each set and language as Ogg, and samples.md, which says what is said and what was heard."""
    taken: dict[tuple[str, str], int] = defaultdict(int)
    lines = ["| sentence | set | voice | text | heard | audio |", "|---|---|---|---|---|---|"]
    for sample in json.loads((evaluated / "samples.json").read_text()):
        of = sample["set"], sample["language"]
        waves = [name for name in sample["files"] if name.endswith(".wav")]
        if not waves or taken[of] >= each:
            continue
        taken[of] += 1
        links = []
        for name in waves:
            wave, rate = soundfile.read(evaluated / name)
            kind = Path(name).stem.removeprefix(f"{sample['id']}_")
            soundfile.write(out / f"{Path(name).stem}.ogg", wave, rate, format="OGG", subtype="VORBIS")
            links.append(f"[{kind}]({Path(name).stem}.ogg)")
        said = (sample[name].replace("|", "\\|") for name in ("text", "heard"))
        lines.append(f"| {sample['id']} | {sample['set']} | {sample['speaker']} | {' | '.join(said)} | {' '.join(links)} |")
    (out / "samples.md").write_text("\n".join(lines) + "\n")


def table(evaluated: Path) -> str:
    """A row for each kind of audio and language, a column for each metric; with the 95 % interval of the mean."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for line in json.loads((evaluated / "summary.json").read_text()):
        kind, _, metric = line["metric"].partition("/")
        found[kind, line["language"] or "all"][metric] = f"{line['mean']:.3g} ({line['low']:.3g} to {line['high']:.3g})"
    used = [name for name in COLUMNS if any(name in metrics for metrics in found.values())]
    rows = [
        f"| {kind} | {language} | {' | '.join(metrics.get(name, '') for name in used)} |" for (kind, language), metrics in found.items()
    ]
    return "\n".join([f"| audio | language | {' | '.join(used)} |", "|---|---" + "|---:" * len(used) + "|", *sorted(rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=2, help="sentences kept of each set and language (default: 2)")
    args = parser.parse_args()
    evaluated = args.project / "reports" / "evaluation"
    if not (evaluated / "samples.json").is_file():
        sys.exit(f"{evaluated} holds no samples.json: run `dvc repro evaluate` in {args.project} first")
    if args.out.exists():
        sys.exit(f"{args.out} is there already: remove it, or name another")
    args.out.mkdir(parents=True)
    draw(args.project / "reports" / "curves", args.out / "curves.png")
    keep_audio(evaluated, args.out, args.each)
    print(table(evaluated))


if __name__ == "__main__":
    main()
