"""Audio trained per second, from audio files: ours beside the reference implementation's, same clips, same sizes, same threads.

    python benchmarks/training_speed.py --peer PEER/bin/python --corpus FOLDER --vocab VOCAB.json
        [--clips 160] [--epochs 3] [--steps 40] [--batch 4] [--prompt 3] [--precision auto] [--rounds 2]

FOLDER holds metadata.csv (audio_file|text|speaker|language|seconds); its English clips are taken, as 22.05 kHz wav files for both. GPT of
8 layers x 512, the reference's vocabulary file. The reference reads and pads its clips, computes prompt mels and codes (its full-size
DVAE) at every step, in float32; its prompts are 3 to 6 s, or the clip where that is shorter, filled up to 6 s with silence. Ours are as
long as --prompt says. Ours prepares the corpus once (trimmed, levelled, resampled, written), computes mels, codes and prompts once, and
trains from the records in --precision; all of that is in its time. Both include the optimizer. Neither includes imports and the first
step of each shape. The two take turns, a fresh process each.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS, DIM, HEADS = 8, 512, 8


def ours(job: dict) -> dict[str, float]:
    """One run: corpus in, `epochs` of training out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
    from myxtts.config import XTTSConfig
    from myxtts.data.encode import encode
    from myxtts.data.features import write_mels
    from myxtts.data.manifest import Utterance, write_manifest
    from myxtts.data.prepare import prepare
    from myxtts.models.xtts import XTTS
    from myxtts.text.tokenizer import Tokenizer
    from myxtts.training.trainer import XTTSTrainer

    tokenizer = Tokenizer.load(job["vocab"])
    config = XTTSConfig.from_dict(
        {
            "model": {
                "num_text_tokens": tokenizer.size,
                "gpt": {"num_layers": LAYERS, "dim": DIM, "num_heads": HEADS},
                "speaker_encoder": {"filters": (8, 8, 16, 16)},
            },
            "prepare": {"cleaners": "coqui"},
            "encode": {"prompt_seconds": job["prompt"]},
            "training": {
                "gpt": {"effective_batch_size": job["batch"], "learning_rate": 5e-6, "num_buckets": 8, "precision": job["precision"]}
            },
            "hardware": {"num_workers": job["threads"]},
        }
    )
    folder = Path(job["folder"])
    model = XTTS(config.model, ("dvae", "gpt"))
    began, cpu = time.perf_counter(), time.process_time()
    rows = [
        Utterance(f"clip{n}", path, text, "", speaker, language, seconds, "train" if n % 20 else "eval")
        for n, (path, text, speaker, language, seconds) in enumerate(job["clips"])
    ]
    write_manifest(folder / "manifest.csv", rows)
    prepare(config, Path("/"), folder, folder / "processed")
    write_mels(config, folder / "processed", folder / "mels")
    encode(config, folder / "processed", folder / "mels", tokenizer, model.dvae, folder / "tokens")
    prepared = time.perf_counter() - began
    trainer = XTTSTrainer(config, model, "gpt", folder / "checkpoints")
    data, _ = trainer.prepare_datasets(folder / "tokens", folder / "tokens")
    for bucket in range(data.traces):  # compiles each shape
        number = next(n for n in range(len(data)) if data._find(n)[0].buckets[n] == bucket)
        trainer._step.rehearse({name: tf.constant(value) for name, value in data.load(number).items()})
    seconds, waits, steps, began = 0.0, [], [], time.perf_counter()
    for epoch in range(job["epochs"]):
        stream = iter(data.epoch(epoch))
        for number in range(len(data)):
            start = time.perf_counter()
            batch = next(stream)
            waits.append(time.perf_counter() - start)
            start = time.perf_counter()
            float(trainer.train_step(batch)["mel_loss"])
            steps.append(time.perf_counter() - start)
            seconds += data.seconds(epoch * len(data) + number)
    wall, step_wall = time.perf_counter() - began, sum(steps)
    waited = f"waited {sum(waits):.1f} s for data, at most {max(waits):.2f} s at once"
    print(f"{len(steps)} steps, padding {data.examples.padding:.1%}, {waited}, prepared in {prepared:.1f} s", file=sys.stderr)
    return {
        "seconds_audio": seconds,
        "wall": wall + prepared,
        "wall_trained": wall,
        "cpu": time.process_time() - cpu,
        "step_wall": step_wall,
        "parameters": int(sum(np.prod(v.shape) for v in model.gpt.trainable_variables)),
    }


def read_clips(corpus: Path, count: int, folder: Path) -> list[list]:
    """English clips of the corpus as 22.05 kHz wav files, spread evenly over it."""
    import librosa
    import soundfile

    with (corpus / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="|") if row["language"] == "en"]
    rows = rows[:: max(1, len(rows) // count)][:count]
    clips = []
    for number, row in enumerate(rows):
        wave, _ = librosa.load(corpus / row["audio_file"], sr=22050)
        path = folder / f"clip{number}.wav"
        soundfile.write(path, wave, 22050)
        clips.append([str(path), row["text"], row["speaker"], "en", len(wave) / 22050])
    return clips


def run(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    notes = [line for line in done.stderr.splitlines() if "prepared in" in line]
    print(*notes, sep="\n", file=sys.stderr, end="\n" if notes else "")
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--peer", help="Python of an environment with coqui-tts 0.28.0")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--vocab", help="vocab.json of the reference")
    parser.add_argument("--clips", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="of the reference")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--prompt", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.job:
        print("RESULT " + json.dumps(ours(json.loads(Path(arguments.job).read_text()))))
        return
    results: dict[str, list[dict]] = {"ours": [], "reference": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        job = {name: getattr(arguments, name) for name in ("vocab", "epochs", "steps", "batch", "threads", "prompt", "precision")}
        job |= {"layers": LAYERS, "dim": DIM, "heads": HEADS, "clips": read_clips(arguments.corpus, arguments.clips, folder)}
        for number in range(arguments.rounds):
            for name in results:
                work = folder / f"{name}{number}"
                work.mkdir()
                (work / "job.json").write_text(json.dumps(job | {"folder": str(work)}))
                script = (
                    [sys.executable, __file__, "--job"]
                    if name == "ours"
                    else [arguments.peer, str(Path(__file__).with_name("peer_training.py"))]
                )
                results[name].append(run([*script, str(work / "job.json")]))
                print(name, results[name][-1], file=sys.stderr)
    rates = {name: statistics.median(r["seconds_audio"] / r["wall"] for r in found) for name, found in results.items()}
    trained = statistics.median(r["seconds_audio"] / r["wall_trained"] for r in results["ours"])
    steps = {name: statistics.median(r["seconds_audio"] / r["step_wall"] for r in found) for name, found in results.items()}
    print("| | ours, s of audio a second | reference | ratio |\n|---|---:|---:|---:|")
    for what, a, b in (
        ("from audio files, preparation included", rates["ours"], rates["reference"]),
        ("from records, preparation done before", trained, rates["reference"]),
        ("the bare step", steps["ours"], steps["reference"]),
    ):
        print(f"| {what} | {a:.2f} | {b:.2f} | {a / b:.2f} |")


if __name__ == "__main__":
    main()
