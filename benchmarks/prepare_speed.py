"""Speed of preparing and encoding a corpus, beside a plain librosa script, and of preparing it again after 1 % more clips.

python benchmarks/prepare_speed.py --corpus ../shared/data/voices [--layout coqui] [--copies 1] [--clips N]

Times of one process are processor time (user + system, TensorFlow's threads included), so that a busy machine changes little; the second
run after 1 % more clips is compared by wall clock, as a user waits for it, start of the command included. `--copies`: the corpus again
with another last byte in each file, which no decoder reads, for a longer one. The librosa script loads, trims, levels, resamples and
writes the same clips, with nothing checked.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from myxtts.config import XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import Utterance, read_split, write_manifest
from myxtts.data.sources import read_source

COPIES_ALLOWED = {"prepare": {"max_same_audio": None}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--layout", default="coqui")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[], choices=["librosa", "again", "encode"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = corpus(options, root)
        seconds = sum(soundfile.info(root / row.audio).duration for row in rows)
        print(f"{len(rows)} clips, {seconds / 3600:.2f} h")
        results = {"prepare": [], "librosa": []}
        for number in range(options.rounds):  # in turn: what else the machine does then meets both
            results["prepare"].append(seconds / one_core_prepare(root, rows, root / f"run{number}"))
            if "librosa" not in options.skip:
                results["librosa"].append(seconds / one_core_librosa(root, rows))
        for name, factors in results.items():
            if factors:
                print(f"{name:8} {statistics.median(factors):6.0f} x real time per core  ({', '.join(f'{f:.0f}' for f in factors)})")
        if "encode" not in options.skip:
            encode_speed(root)
        if "again" not in options.skip:
            again(root, rows, options.rounds)


def corpus(options: argparse.Namespace, root: Path) -> list[Utterance]:
    """Rows whose audio is absolute, or of copies made here."""
    source = SourceConfig(layout=options.layout, path=str(options.corpus.resolve()), max_clips=options.clips)
    rows = [row for row in read_source(source, root) if isinstance(row, Utterance)]
    made = list(rows)
    for copy in range(1, options.copies):
        for row in rows:
            audio = root / "copies" / f"{row.id}-{copy}{Path(row.audio).suffix}"
            audio.parent.mkdir(exist_ok=True)
            audio.write_bytes((root / row.audio).read_bytes() + bytes([copy]))
            made.append(Utterance(f"{row.id}-{copy}", str(audio.relative_to(root)), row.text, "", f"{row.speaker}-{copy}", row.language))
    return made


def project(root: Path, rows: list[Utterance]) -> None:
    write_manifest(root / "data" / "raw" / "manifest.csv", rows)


def processor_seconds(function) -> float:
    before = os.times()
    function()
    after = os.times()
    return sum(getattr(after, name) - getattr(before, name) for name in ("user", "system", "children_user", "children_system"))


def one_core_prepare(root: Path, rows: list[Utterance], out: Path) -> float:
    """Decode, measure, judge, trim, level, resample, write, with an empty cache."""
    from myxtts.data.prepare import prepare

    project(root, rows)
    config = XTTSConfig.from_dict(COPIES_ALLOWED | {"hardware": {"num_workers": 1}})
    return processor_seconds(lambda: prepare(config, root, root / "data" / "raw", out, out / "cache"))


def one_core_librosa(root: Path, rows: list[Utterance]) -> float:
    import librosa
    import pyloudnorm

    meter, out = pyloudnorm.Meter(24000), root / "librosa"
    out.mkdir(exist_ok=True)

    def work() -> None:
        for row in rows:
            wave, rate = librosa.load(root / row.audio, sr=None, mono=True)
            wave, _ = librosa.effects.trim(wave, top_db=40)
            wave = librosa.resample(wave, orig_sr=rate, target_sr=24000, res_type="soxr_hq")
            if len(wave) > 0.4 * 24000:
                wave = pyloudnorm.normalize.loudness(wave, meter.integrated_loudness(wave), -23.0)
            soundfile.write(out / f"{row.id}.wav", wave, 24000, subtype="PCM_16")

    work_once = rows[:1]
    librosa.effects.trim(librosa.load(root / work_once[0].audio, sr=None)[0])  # compiled before it is timed
    return processor_seconds(work)


def encode_speed(root: Path) -> None:
    """Mels and codes (small audio tokenizer, random weights) of what the last round prepared."""
    from myxtts.data.encode import encode
    from myxtts.data.features import write_mels
    from myxtts.models.xtts import build_component
    from myxtts.text.tokenizer import Tokenizer

    processed = sorted(root.glob("run*"))[-1]
    config = XTTSConfig.from_dict({"model": {"preset": "small"}})
    rows = [row for split in ("train", "eval") for row in read_split(processed, split)]
    seconds = sum(row.seconds for row in rows)
    tokenizer = Tokenizer.train(((row.normalized, row.language) for row in rows), config.model.num_text_tokens)
    dvae = build_component("dvae", config.model)
    mels = processor_seconds(lambda: write_mels(config, processed, root / "mels", cache=root / "mel_cache"))
    codes = processor_seconds(lambda: encode(config, processed, root / "mels", tokenizer, dvae, root / "tokens"))
    for name, took in (("mels", mels), ("codes, token ids, prompts", codes), ("both", mels + codes)):
        print(f"{name:26} {seconds / took:6.0f} x real time per core")


def again(root: Path, rows: list[Utterance], rounds: int) -> None:
    """The command `myxtts stage prepare`, all of it, on 99 % of the clips and then on all: wall clock."""
    old = rows[: -max(1, len(rows) // 100)]
    (root / "params.yaml").write_text(json.dumps(COPIES_ALLOWED))
    shares = []
    for _ in range(rounds):
        shutil.rmtree(root / "cache", ignore_errors=True)
        first, second = (command(root, some) for some in (old, rows))
        (root / "data" / "data.txt").write_text("")
        shares.append(second / first)
        print(f"first run {first:6.1f} s, with {len(rows) - len(old)} clips more {second:5.1f} s: {100 * second / first:.1f} %")
    print(f"median {100 * statistics.median(shares):.1f} % of the first run")


def command(root: Path, rows: list[Utterance]) -> float:
    for name in ("processed", "mels"):
        shutil.rmtree(root / "data" / name, ignore_errors=True)  # as DVC does
    project(root, rows)
    (root / "data" / "scratch").mkdir(exist_ok=True)
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "myxtts", "stage", "prepare"], cwd=root, check=True, capture_output=True)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
