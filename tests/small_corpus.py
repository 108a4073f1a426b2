"""A corpus of ten short clips that pass for speech, with texts, as metadata_train.csv and metadata_eval.csv beside wavs/."""

from pathlib import Path

import soundfile
from vowels import breathed

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "one", "two", "three"]


def write_corpus(folder: Path) -> Path:
    (folder / "wavs").mkdir(parents=True)
    lines = {"train": [], "eval": []}
    for number in range(10):
        soundfile.write(folder / "wavs" / f"clip{number}.wav", breathed(0.9 + 0.1 * number, 24000, seed=number), 24000)
        text = " ".join(WORDS[number : number + 1 + number % 4])
        lines["eval" if number % 5 == 4 else "train"].append(f"clip{number}|{text}|{text}")
    for split, rows in lines.items():
        (folder / f"metadata_{split}.csv").write_text("\n".join(rows) + "\n")
    return folder
