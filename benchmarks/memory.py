"""Predicted and measured peak memory of a training step, by the trainer's own trial step: python benchmarks/memory.py

A process for each line: the GPT of a preset on clips of 100 text tokens and 200 codes (158 where there is no room for more), on this
machine's CPU, with the given micro-batch, accumulation, recomputation and precision; the audio tokenizer and the decoder at their own
sizes. bfloat16 only means something on a CPU that has instructions for it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

# stage, preset, clips in an update, micro-batch, recomputation, precision
CASES = [
    ("gpt", "tiny", 32, 32, "none", "float32"),
    ("gpt", "tiny", 32, 16, "blocks", "float32"),
    ("gpt", "small", 8, 8, "none", "float32"),
    ("gpt", "small", 16, 8, "selective", "float32"),
    ("gpt", "base", 4, 4, "none", "float32"),
    ("gpt", "base", 8, 4, "selective", "float32"),
    ("gpt", "base", 8, 4, "blocks", "float32"),
    ("dvae", "small", 32, 32, "none", "float32"),
    ("decoder", "tiny", 8, 8, "none", "float32"),
    ("decoder", "small", 8, 8, "none", "float32"),
    ("decoder", "small", 16, 4, "none", "float32"),
    ("gpt", "tiny", 32, 32, "none", "bfloat16"),
    ("gpt", "small", 8, 8, "none", "bfloat16"),
    ("gpt", "base", 4, 4, "none", "bfloat16"),
    ("decoder", "small", 8, 8, "none", "bfloat16"),
]
TEXT, CODES, CLIPS = 100, 200, 8


def write_records(config, folder: Path) -> None:
    """Tokens, mels and latents of equal clips, written as the stages write them."""
    import numpy as np
    import soundfile

    from myxtts.data.encode import IndexRow, prompt_frames, speaker_frames
    from myxtts.data.records import mel_schema, token_schema, write_records

    random = np.random.default_rng(0)
    text, codes = min(TEXT, config.model.gpt.max_text_tokens - 2), min(CODES, config.model.gpt.max_audio_tokens - 2)
    wave = random.normal(size=12 * config.model.audio.output_sample_rate) / 10
    soundfile.write(folder / "clip.wav", wave, config.model.audio.output_sample_rate)
    for split in ("train", "eval"):
        rows = [IndexRow(f"clip{n}", "clip.wav", f"speaker{n % 2}", "en", text, codes) for n in range(CLIPS)]
        records = (
            {
                "text_ids": random.integers(3, 99, text),
                "codes": random.integers(0, config.model.dvae.num_codes, codes),
                "shifted": [],
                "places": [],
                "row": n,
            }
            for n in range(CLIPS)
        )
        write_records(folder / f"{split}.tfrecord", token_schema(), records)
        (folder / f"{split}_index.json").write_text(json.dumps([asdict(row) for row in rows]))
        np.save(folder / f"{split}_prompts.npy", random.normal(size=(CLIPS, prompt_frames(config), 80)).astype(np.float16))
        np.save(folder / f"{split}_speakers.npy", random.normal(size=(CLIPS, speaker_frames(config), 64)).astype(np.float16))
        write_records(folder / "mels" / f"{split}.tfrecord", mel_schema(80), ({"mel": random.normal(size=(900, 80))} for _ in range(CLIPS)))
    np.save(folder / "mels" / "mel_norm.npy", np.full(80, 2.0, np.float32))
    (folder / "text.json").write_text('{"start_id": 1, "stop_id": 0}')


def measure(stage: str, preset: str, effective: int, batch: int, rematerialise: str, precision: str) -> dict:
    """One line of the table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from myxtts.config import XTTSConfig
    from myxtts.models.xtts import XTTS
    from myxtts.training.trainer import XTTSTrainer

    config = XTTSConfig.from_dict(
        {
            "model": {"preset": preset},
            "training": {stage: {"effective_batch_size": effective, "batch_size": batch, "precision": precision}},
            "hardware": {"rematerialise": rematerialise},
        }
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_records(config, folder)
        records = folder / "mels" if stage == "dvae" else folder
        needed = {"dvae": ("dvae",), "gpt": ("gpt",), "decoder": ("gpt", "decoder", "speaker_encoder")}[stage]
        trainer = XTTSTrainer(config, XTTS(config.model, needed), stage, folder / "checkpoints")
        trainer.prepare_datasets(records, records)
        trainer._prove()
    found = trainer.suggestion
    return {"predicted": found.predicted_gb, "measured": found.measured_gb, "batch": f"{found.batch_size} x {found.grad_accum}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(*json.loads(arguments.case))))
        return
    print("| stage | preset | micro-batch | recomputed | precision | predicted, GB | measured, GB | predicted / measured |")
    print("|---|---|---|---|---|---:|---:|---:|")
    for case in CASES:
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found = json.loads(done.stdout.splitlines()[-1])
        ratio = found["predicted"] / found["measured"]
        stage, preset, _, _, rematerialise, precision = case
        sizes = f"{found['predicted']:.2f} | {found['measured']:.2f} | {ratio:.2f}"
        print(f"| {stage} | {preset} | {found['batch']} | {rematerialise} | {precision} | {sizes} |")


if __name__ == "__main__":
    main()
