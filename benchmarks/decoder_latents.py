"""A step of the decoder with the GPT's latents from records, and with latents made for each batch: python benchmarks/decoder_latents.py

Clips of 100 text tokens and 200 codes (fewer where the preset has less room), random weights, this machine's CPU. Made on the fly, a
segment of 8 codes takes the teacher-forced pass of its clip up to the segment's end: half the clip on average; the whole is what fills
the cache, once.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memory import write_records


def median_seconds(run: Callable[[], object], rounds: int) -> float:
    import numpy as np

    run()  # compiles
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def measure(preset: str, rows: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step, of reading its batch of `rows` segments, and of the GPT's pass over their clips, whole and half."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from myxtts.config import XTTSConfig
    from myxtts.data.encode import read_text_marks
    from myxtts.data.gpt_batches import gpt_batches
    from myxtts.models.xtts import XTTS
    from myxtts.training.tasks.gpt import sequences
    from myxtts.training.trainer import XTTSTrainer

    settings = {"effective_batch_size": rows, "batch_size": rows, "precision": "float32"}
    config = XTTSConfig.from_dict({"model": {"preset": preset}, "training": {"decoder": settings}})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_records(config, folder)
        model = XTTS(config.model, ("gpt", "decoder", "speaker_encoder"))
        trainer = XTTSTrainer(config, model, "decoder", folder / "checkpoints")
        trainer.prepare_datasets(folder, folder)
        batches, decoded = gpt_batches(config, folder, "train", rows, training=False), trainer.train_data
        numbers = decoded.widest()
        batch = {name: tf.constant(value) for name, value in decoded.load(numbers).items()}
        clips, marks = next(iter(batches)), read_text_marks(folder)

        @tf.function(autograph=False)
        def latents(codes: int):
            made = sequences({**clips, "codes": clips["codes"][:, :codes]}, config, *marks)
            prompt = model.gpt.condition(clips["prompt"])
            return model.gpt(prompt, made.text_ids, made.text_mask, made.audio_ids, made.audio_mask).audio_latents

        codes = clips["codes"].shape[1]
        return {
            "step": median_seconds(lambda: {name: float(value) for name, value in trainer.train_step(batch).items()}, rounds),
            "read": median_seconds(lambda: decoded.load(numbers), rounds),
            "whole": median_seconds(lambda: latents(codes).numpy(), rounds),
            "half": median_seconds(lambda: latents(codes // 2).numpy(), rounds),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["tiny", "small"])
    parser.add_argument("--rows", type=int, default=8, help="clips in a batch")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| preset | step, s | reading a batch, s | GPT over whole clips, s | over half, s | on the fly / cached: whole | half |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for preset in options.presets:
        found = measure(preset, options.rows, options.rounds)
        cached = found["step"] + found["read"]
        ratios = " | ".join(f"{(cached + found[name]) / cached:.2f}" for name in ("whole", "half"))
        print(f"| {preset} | {' | '.join(f'{found[name]:.3f}' for name in ('step', 'read', 'whole', 'half'))} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
