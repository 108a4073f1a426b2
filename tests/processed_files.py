"""The files of a prepared corpus that the report is made of, with numbers that a test chooses."""

import csv
import json
from pathlib import Path

import numpy as np
import soundfile

from myxtts.data.processed import COLUMNS

USUAL = {
    **{"corpus": "studio", "speaker": "ann", "language": "en", "split": "train", "reason": "", "text": "Some words."},
    **{"seconds": "2.000", "recorded_seconds": "2.400", "sample_rate": "24000", "channels": "1", "loudness_lufs": "-23.0"},
    **{
        "peak_dbfs": "-3.0",
        "clipped_share": "0.0",
        "snr_db": "30.0",
        "bandwidth_hz": "11000",
        "characters_per_second": "14.0",
        "start": "",
        "end": "",
    },
}
NEVER_DECODED = dict.fromkeys(COLUMNS[8:], "")
STUDIO = {"layout": "ljspeech", "path": "data/studio", "licence": "CC0", "consent": "written", "weight": 1.0, "clips": 60, "hours": 0.0333}
TONE_RATE = 24000


class Processed:
    """A project with `data/processed`; a test adds clips and writes the files."""

    def __init__(self, root: Path):
        self.root, self.folder, self.out = root, root / "data" / "processed", root / "reports" / "data.html"
        self.clips: list[dict[str, str]] = []
        self.rejected: list[tuple[str, str, str, str]] = []
        self.corpora = {"studio": STUDIO}
        self.characters = {"used": {"en": {"e": 120, "q": 3, " ": 80}}, "removed": {"en": {}}}
        self.limits = {"characters_per_second": {"en": [5.0, 40.0]}}

    def keep(self, number: int = 1, sound: bool = False, **values: str) -> "Processed":
        """Clips like the usual one but for these values; with a tone of 0.5 s each, if asked for."""
        for _ in range(number):
            identifier = values.get("id", f"clip{len(self.clips):03d}")
            self.clips.append(USUAL | {"id": identifier, "audio": f"wavs/{identifier}.wav"} | values)
            if sound:
                tone(self.folder / self.clips[-1]["audio"])
        return self

    def reject(self, reason: str, detail: str = "too little, expected more", in_clips: bool = True, **values: str) -> "Processed":
        """A rejected row, in clips.csv too unless the raw stage refused it."""
        identifier = values.pop("id", f"bad{len(self.rejected):03d}")
        audio = values.pop("audio", f"corpus/{identifier}.wav")
        self.rejected.append((identifier, audio, reason, detail))
        if in_clips:
            self.clips.append(USUAL | {"id": identifier, "audio": audio, "split": "", "reason": reason} | values)
        return self

    def write(self) -> "Processed":
        write_table(self.folder / "clips.csv", COLUMNS, ([row[name] for name in COLUMNS] for row in self.clips))
        write_table(self.folder / "rejected.csv", ["id", "audio", "reason", "detail"], self.rejected)
        (self.folder / "corpora.json").write_text(json.dumps(self.corpora), encoding="utf-8")
        (self.folder / "characters.json").write_text(json.dumps(self.characters), encoding="utf-8")
        (self.folder / "limits.json").write_text(json.dumps(self.limits), encoding="utf-8")
        return self


def write_table(path: Path, columns: list[str], rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def tone(path: Path, seconds: float = 0.5, hertz: float = 440.0, rate: int = TONE_RATE, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
