"""A corpus without speech: ten short chirps with texts, as metadata_train.csv and metadata_eval.csv beside wavs/."""

from pathlib import Path

import numpy as np
import soundfile


def write_corpus(folder: Path) -> Path:
    (folder / "wavs").mkdir(parents=True)
    lines = {"train": [], "eval": []}
    for number in range(10):
        time = np.arange(int(24000 * (0.9 + 0.1 * number))) / 24000
        wave = 0.4 * np.sin(2 * np.pi * (200 + 40 * number + 90 * time) * time) * (1 + np.sin(14 * time)) / 2
        soundfile.write(folder / "wavs" / f"clip{number}.wav", wave, 24000)
        text = " ".join(["one", "two", "three", "four"][: 1 + number % 4])
        lines["eval" if number % 5 == 4 else "train"].append(f"clip{number}|{text}|{text}")
    for split, rows in lines.items():
        (folder / f"metadata_{split}.csv").write_text("\n".join(rows) + "\n")
    return folder
