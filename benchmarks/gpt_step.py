"""One training step of the GPT, forward and backward in float32: ours beside the reference implementation's, same shapes, same threads.

    python benchmarks/gpt_step.py --peer PEER/bin/python [--sizes small full] [--rounds 2] [--steps 5] [--threads 2]

PEER is an environment with coqui-tts 0.28.0 and torch. The two take turns, a fresh process each turn (at full size both at once do not
fit into 24 GB), so that a noisy machine treats them alike. Ratios compare the medians over all turns; below 1 ours is faster. Dropout is
on (0.1) in both, the optimizer is left out of both. A batch is 4 clips of 100 text tokens and 200 codes, prompts of 517 frames.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = {"small": (8, 512, 8), "full": (30, 1024, 16)}  # layers, width, heads
BATCH, TEXT, CODES, FRAMES = 4, 100, 200, 517
NUM_TEXT, NUM_CODES = 6681, 1024


def ours(size: str, steps: int, threads: int) -> list[dict[str, float]]:
    """Times `steps` steps of our GPT, after one that compiles."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    from myxtts.config import GPTConfig
    from myxtts.models.gpt import GPT

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    layers, dim, heads = SIZES[size]
    gpt = GPT(GPTConfig(num_layers=layers, dim=dim, num_heads=heads), NUM_TEXT, NUM_CODES + 2, num_mels=80)
    variables = [variable.value for variable in gpt.trainable_variables]
    random = np.random.default_rng(0)

    def cross_entropy(logits, targets):
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True))

    @tf.function(autograph=False)
    def step(prompt, text, codes):
        # [START] text [STOP] and [START] codes with the reference's four [STOP]s
        text_mask, code_mask = tf.ones((BATCH, TEXT + 2), bool), tf.ones((BATCH, CODES + 5), bool)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            output = gpt(gpt.condition(prompt, training=True), text, text_mask, codes, code_mask, training=True)
            text_loss = cross_entropy(output.text_logits[:, :-1], text[:, 1:])
            loss = 0.01 * text_loss + cross_entropy(output.audio_logits[:, :-1], codes[:, 1:])
        return loss, tape.gradient(loss, variables)

    def once():
        text = tf.constant(random.integers(2, 6000, (BATCH, TEXT + 2)), tf.int32)
        codes = tf.constant(random.integers(0, NUM_CODES, (BATCH, CODES + 5)), tf.int32)
        prompt = tf.constant(random.normal(size=(BATCH, FRAMES, 80)), tf.float32)
        return lambda: step(prompt, text, codes)[0].numpy()

    return timed(once, steps)


def peer(size: str, steps: int, threads: int) -> list[dict[str, float]]:
    """Times `steps` steps of the reference's GPT, after one. Runs in its environment, which has no myxtts."""
    import logging

    logging.disable(logging.WARNING)
    import torch
    from TTS.tts.layers.xtts.gpt import GPT

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers, dim, heads = SIZES[size]
    sizes = {"max_text_tokens": 402, "max_mel_tokens": 605, "max_prompt_tokens": 70, "code_stride_len": 1024}
    tokens = {"number_text_tokens": NUM_TEXT, "start_text_token": 261, "stop_text_token": 0}
    audio = {"num_audio_tokens": NUM_CODES + 2, "start_audio_token": NUM_CODES, "stop_audio_token": NUM_CODES + 1}
    gpt = GPT(layers=layers, model_dim=dim, heads=heads, use_perceiver_resampler=True, **sizes, **tokens, **audio).train()

    def once():
        text, codes = torch.randint(2, 6000, (BATCH, TEXT)), torch.randint(0, NUM_CODES, (BATCH, CODES))
        text_lengths, wave_lengths = torch.full((BATCH,), TEXT), torch.full((BATCH,), CODES * 1024)
        prompt = torch.randn(BATCH, 1, 80, FRAMES)

        def run():
            gpt.zero_grad(set_to_none=True)
            text_loss, code_loss, _ = gpt(text, text_lengths, codes, wave_lengths, cond_mels=prompt, cond_idxs=None, cond_lens=None)
            loss = 0.01 * text_loss + code_loss
            loss.backward()
            return loss.item()

        return run

    return timed(once, steps)


def timed(make, steps: int) -> list[dict[str, float]]:
    """make() -> one step ready to run. Returns wall and processor seconds of each but the first."""
    times = []
    for number in range(steps + 1):
        run = make()
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        if number:
            times.append({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    return times


WORKERS = {"ours": ours, "peer": peer}


def turn(side: str, python: str, size: str, options: argparse.Namespace) -> list[dict[str, float]]:
    """One process of one side."""
    # waiting threads must sleep: spinning would count as work, and take it from the other side's turn
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    command = [python, str(Path(__file__).resolve()), "--worker", side, "--sizes", size]
    command += ["--steps", str(options.steps), "--threads", str(options.threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side}, {size}, failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="python of an environment with coqui-tts and torch")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", choices=list(WORKERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(WORKERS[options.worker](options.sizes[0], options.steps, options.threads)))
        return
    if not options.peer:
        parser.error("--peer is needed: the python of an environment with coqui-tts 0.28.0 and torch")
    print("| size | ours, s wall (cpu) | reference, s wall (cpu) | ratio wall | ratio cpu |\n|---|---|---|---|---|", flush=True)
    for size in options.sizes:
        times: dict[str, list] = {"ours": [], "peer": []}
        for _ in range(options.rounds):
            for side, python in (("ours", sys.executable), ("peer", options.peer)):
                times[side] += turn(side, python, size, options)
        median = {side: {kind: statistics.median(item[kind] for item in all_) for kind in ("wall", "cpu")} for side, all_ in times.items()}
        cells = [f"{values['wall']:.2f} ({values['cpu']:.2f})" for values in median.values()]
        ratios = [f"{median['ours'][kind] / median['peer'][kind]:.2f}" for kind in ("wall", "cpu")]
        print("| " + " | ".join([size, *cells, *ratios]) + " |", flush=True)


if __name__ == "__main__":
    main()
