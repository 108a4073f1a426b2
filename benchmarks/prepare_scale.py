"""Memory and time of the raw and prepare stages for a manifest of millions of rows.

python benchmarks/prepare_scale.py --rows 5000 5000000

A synthetic corpus (10,000 h are about 5,000,000 clips of 7 s): every row has an id and a text of its own; all share one audio file. Each
size runs in a process of its own, whose peak memory is reported. Everything runs but two things, for they would take days and
a disk of terabytes: the sound of the one file is processed once and found in the cache for every other row, and the clips are not
linked into `wavs/`. The rules against the same sound and text are on; the first is given a limit that lets the rows pass.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

WORDS = "the quick brown fox jumps over a lazy dog while seven old men read their long letters aloud".split()  # noqa: SIM905


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 5_000_000])
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run(options.child, options.folder)
        return
    for count in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            make_corpus(Path(folder), count)
            command = [sys.executable, __file__, "--child", str(count), "--folder", folder]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def make_corpus(root: Path, count: int) -> None:
    (root / "corpus" / "wavs").mkdir(parents=True)
    time = np.arange(24000) / 24000
    soundfile.write(root / "corpus" / "wavs" / "clip.wav", 0.1 * np.sin(2 * np.pi * 300 * time * (1 + time)), 24000)
    rng = random.Random(1)
    with (root / "corpus" / "metadata.csv").open("w") as file:
        file.write("id|audio_file|text|speaker|language\n")
        for number in range(count):
            text = " ".join(rng.choices(WORDS, k=9))
            file.write(f"clip-{number:08}|wavs/clip.wav|{text} {number}.|speaker {number % 500}|en\n")


def run(count: int, root: Path) -> None:
    from myxtts.config import XTTSConfig
    from myxtts.data import processed
    from myxtts.data.prepare import prepare
    from myxtts.data.raw import make_raw

    processed.hand_out = lambda *_: None
    limits = {"min_snr_db": None, "min_bandwidth_hz": None, "max_same_audio": None, "trim": "none", "eval_speaker_fraction": 0.01}
    tree = {"data": {"source": {"layout": "coqui", "path": "corpus"}}, "prepare": limits, "hardware": {"num_workers": 1}}
    config = XTTSConfig.from_dict(tree)
    start = time.monotonic()
    make_raw(config, root, root / "raw")
    raw, raw_memory = time.monotonic() - start, peak()
    summary = prepare(config, root, root / "raw", root / "processed", root / "cache")
    took = time.monotonic() - start - raw
    print(
        f"{count:>9} rows: raw {raw:7.1f} s, peak {raw_memory:5.0f} MB; prepare {took:7.1f} s, peak {peak():5.0f} MB; "
        f"{summary['clips']} clips, rejected {summary['rejected_by_reason']}"
    )


def peak() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
