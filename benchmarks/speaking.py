"""Speaking, ours beside the reference implementation: same sizes, texts, numbers of codes and threads; random weights, which take as long.

    python benchmarks/speaking.py --peer PEER/bin/python --vocab VOCAB.json [--sizes small full] [--rounds 1] [--kinds float32 int8]

PEER is an environment with coqui-tts 0.28.0, torch and transformers 5.23; VOCAB the reference's vocab.json. The sides take turns, a
fresh process each turn. Neither is allowed to stop by itself: how many codes a sentence becomes follows from its length. Ratios are
the reference's seconds by ours, of medians over the rounds. The bandwidth floor is the time in which the weights of one step can be
read from memory at the speed that two threads of NumPy reach at the end of the same process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SIZES = {"small": (8, 512, 8), "full": (30, 1024, 16)}  # layers, width, heads
CODES = 80  # of the sentence whose seconds per code are measured
FACTOR = 1.0  # of the ordinary pace: codes of a sentence
SENTENCE = "The little boat went slowly down the river, and nobody on the bank could say where it had come from."
PARAGRAPH = [
    "It had rained all night.",
    "The road to the village was under water, and the bridge behind the mill was gone.",
    "Nobody was surprised.",
    "Every spring the river took what it wanted, and every summer the people built it again.",
    "My grandmother used to say that the river was the oldest neighbour we had.",
    "She never learned to swim.",
    "In the kitchen there was a clock that had stopped in the year of the great flood.",
    "It showed a quarter past four.",
    "When I asked her why she kept it, she only smiled and put another piece of wood into the stove.",
    "Some clocks are for looking at, she said.",
]
LONG = " ".join(PARAGRAPH) + " " + SENTENCE  # some 40 s at the pace above


def make(size: str, vocab: str, folder: Path) -> None:
    """A bundle of random weights that never stops by itself."""
    import numpy as np

    from myxtts.config import XTTSConfig
    from myxtts.models.xtts import XTTS
    from myxtts.text.tokenizer import Tokenizer

    layers, dim, heads = SIZES[size]
    guards = {"duration_factor": FACTOR, "repetition_seconds": None}
    synthesis = {"vocoder": "decoder", "guards": guards, "repetition_penalty": 10.0}
    model = {"preset": "xtts_v2", "gpt": {"num_layers": layers, "dim": dim, "num_heads": heads}}
    config = XTTSConfig.from_dict({"model": model, "prepare": {"cleaners": "coqui"}, "synthesis": synthesis})
    components = ("gpt", "decoder", "speaker_encoder")  # as an imported checkpoint without an audio tokenizer
    networks = XTTS(config.model, components)
    bias = np.zeros(config.model.num_audio_tokens, np.float32)
    bias[config.model.stop_audio_token] = -1e9
    networks.gpt.audio_head.bias.assign(bias)
    folder.mkdir(parents=True)
    networks.save(folder)
    config.dump(folder / "params.yaml")
    Tokenizer.load(vocab).save(folder / "tokenizer.json")
    (folder / "bundle.json").write_text(json.dumps({"components": components}))


def ours(size: str, kind: str, threads: int, parts: set[str], counts: dict[str, list[int]] | None, bundle: str) -> dict[str, float]:
    """Times our engine. kind: float32, int8 (with the decoder in bfloat16), or tensorflow. Returns figures, and the codes of sentences."""
    del counts
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np

    from myxtts.synthesis.generate import begin
    from myxtts.synthesis.speech import Synthesizer
    from myxtts.synthesis.takes import max_codes
    from myxtts.synthesis.voice import Voice

    layers, dim, _ = SIZES[size]
    synthesizer, random = Synthesizer.load(bundle, whole=kind == "tensorflow"), np.random.default_rng(0)
    config = synthesizer.config
    changes = {"tensorflow": {"engine": "tensorflow"}, "int8": {"weights": "int8", "decoder_precision": "bfloat16"}}.get(kind, {})
    settings = config.synthesis_with(changes)
    voice = Voice(*(random.normal(size=shape).astype(np.float32) for shape in ((1, 32, dim), (1, 512))))
    figures: dict[str, float] = {}

    def generate(codes: int) -> float:
        ids = np.array([synthesizer.text_ids(SENTENCE.lower(), "en")])
        began = time.perf_counter()
        gpt = synthesizer.engine.gpt(settings)
        begin(synthesizer.model, voice.latents, ids, np.ones(ids.shape, bool), settings, 0, codes, codes, gpt=gpt).advance()
        return time.perf_counter() - began

    generate(CODES)  # compiles, or makes the session
    figures["code"] = statistics.median(generate(CODES) / CODES for _ in range(3))
    told = {name: [max_codes(synthesizer, piece, settings) for piece in synthesizer.pieces(text, "en")] for name, text in _texts().items()}
    if "paragraph" in parts:
        synthesizer.speak(SENTENCE, voice, "en", settings=settings)
        if kind != "float32":  # compiles
            synthesizer.speak(" ".join(PARAGRAPH), voice, "en", settings=settings)
        began = time.perf_counter()
        spoken = synthesizer.speak(" ".join(PARAGRAPH), voice, "en", settings=settings)
        figures["paragraph"] = time.perf_counter() - began
        assert sorted(map(len, spoken.codes)) == sorted(told["paragraph"]), "the guards cut what should be timed"
    if "stream" in parts:
        list(synthesizer.stream(SENTENCE, voice, "en", settings=settings))
        began = time.perf_counter()
        next(iter(synthesizer.stream(SENTENCE, voice, "en", settings=settings)))
        figures["first_audio"] = time.perf_counter() - began
        figures |= _growth(synthesizer.stream(LONG, voice, "en", settings=settings), 24000)
    step = layers * 12 * dim * dim + dim * config.model.num_audio_tokens
    figures["peak_gb"] = _peak()  # before the bandwidth's array
    figures["floor"] = step * (1 + 4 / 128 if kind == "int8" else 4) / _bandwidth(threads)
    return figures | {"counts": told}


def peer(size: str, kind: str, threads: int, parts: set[str], counts: dict[str, list[int]] | None, vocab: str) -> dict[str, float]:
    """Times the reference. Runs in its environment, which has no myxtts."""
    del kind
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers, dim, heads = SIZES[size]
    config = XttsConfig()
    args = config.model_args
    args.gpt_layers, args.gpt_n_model_channels, args.gpt_n_heads, args.decoder_input_dim = layers, dim, heads, dim
    args.gpt_num_audio_tokens, args.gpt_start_audio_token, args.gpt_stop_audio_token = 1026, 1024, 1025
    args.gpt_use_perceiver_resampler, args.gpt_number_text_tokens, args.tokenizer_file = True, 6681, vocab
    model = Xtts.init_from_config(config)
    model.tokenizer = VoiceBpeTokenizer(vocab)
    model.eval()
    latents, speaker = torch.randn(1, 32, dim), torch.randn(1, 512, 1)
    figures: dict[str, float] = {}

    def exactly(codes: int) -> dict[str, int]:
        return {"min_new_tokens": codes, "max_new_tokens": codes}

    def generate(codes: int) -> float:
        tokens = torch.IntTensor(model.tokenizer.encode(SENTENCE.lower(), lang="en"))[None]
        began = time.perf_counter()
        with torch.inference_mode():
            settings = {"do_sample": True, "top_k": 50, "top_p": 0.85, "temperature": 0.75, "repetition_penalty": 10.0, "num_beams": 1}
            model.gpt.generate(latents, tokens, num_return_sequences=1, output_attentions=False, **settings, **exactly(codes))
        return time.perf_counter() - began

    generate(8)
    figures["code"] = statistics.median(generate(CODES) / CODES for _ in range(2))
    if "paragraph" in parts:
        began = time.perf_counter()
        for sentence, codes in zip(PARAGRAPH, counts["paragraph"], strict=True):
            model.inference(sentence, "en", latents, speaker, **exactly(codes))
        figures["paragraph"] = time.perf_counter() - began
    if "stream" in parts:
        began = time.perf_counter()
        next(iter(model.inference_stream(SENTENCE, "en", latents, speaker, **exactly(counts["sentence"][0]))))
        figures["first_audio"] = time.perf_counter() - began
        # one long sentence, whose pieces cost more and more; of the longest that it can speak, 605 codes, they would cost twice these
        figures |= _growth(model.inference_stream(SENTENCE, "en", latents, speaker, **exactly(240)), 24000)
    return figures | {"peak_gb": _peak()}


def _texts() -> dict[str, str]:
    return {"sentence": SENTENCE, "paragraph": " ".join(PARAGRAPH), "long": LONG}


def _growth(pieces, rate: int) -> dict[str, float]:
    """Seconds of work for a second of audio in the first and the last third of a stream."""
    costs, began = [], time.perf_counter()
    for piece in pieces:
        now = time.perf_counter()
        costs.append((now - began, len(piece) / rate))
        began = now
    third = len(costs) // 3
    early, late = ([sum(column) for column in zip(*part, strict=True)] for part in (costs[1 : third + 1], costs[-third - 1 : -1]))
    return {"early": early[0] / early[1], "late": late[0] / late[1]}


def _bandwidth(threads: int) -> float:
    """Bytes a second that so many threads read from memory."""
    import numpy as np

    parts = np.array_split(np.ones(1 << 26, np.float32), threads)
    best = float("inf")
    for _ in range(4):
        workers = [threading.Thread(target=part.max) for part in parts]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - began)
    return sum(part.nbytes for part in parts) / best


def _peak() -> float:
    """GB at most so far. Not ru_maxrss: across exec it keeps what the parent held, which has made the bundle."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def turn(side: str, python: str, size: str, kind: str, options: argparse.Namespace, counts: dict | None) -> dict[str, float]:
    """One process of one side."""
    # waiting threads must sleep: spinning would take the other side's time
    source = str(options.work / size) if side == "ours" else options.vocab
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    command = [python, str(Path(__file__).resolve()), "--worker", side, "--sizes", size, "--kinds", kind, "--threads", str(options.threads)]
    command += ["--parts", *options.parts, "--vocab", source, "--counts", json.dumps(counts)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side}, {size}, failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(size: str, options: argparse.Namespace) -> None:
    """A table of one size."""
    runs: dict[str, list] = {kind: [] for kind in (*options.kinds, "reference")}
    for _ in range(options.rounds):
        for kind in options.kinds:
            runs[kind].append(turn("ours", sys.executable, size, kind, options, None))
        runs["reference"].append(turn("peer", options.peer, size, "-", options, runs[options.kinds[0]][-1]["counts"]))
    names = ["code", "paragraph", "first_audio", "early", "late", "peak_gb", "floor"]
    medians = {
        kind: {name: statistics.median(run[name] for run in made) for name in names if name in made[0]} for kind, made in runs.items()
    }
    layers, dim, _ = SIZES[size]
    print(f"\n{size}, {layers} × {dim}\n")
    heads = [*runs, *(f"ratio {kind}" for kind in options.kinds)]
    print(f"| figure | {' | '.join(heads)} |")
    print("|---|" + "---:|" * (len(runs) + len(options.kinds)))
    for name in names:
        values = [medians[kind].get(name) for kind in runs]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.4g}" for value in values]
            whole = values[-1]
            ratios = ["" if value is None or whole is None else f"{whole / value:.2f}" for value in values[:-1]]
            print(f"| {name} | {' | '.join(cells)} | {' | '.join(ratios)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="python of an environment with coqui-tts and torch")
    parser.add_argument("--vocab", metavar="FILE", required=True, help="the reference's vocab.json")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--kinds", nargs="+", default=["float32", "int8"], help="of ours: float32, int8, tensorflow")
    parser.add_argument("--parts", nargs="+", default=["paragraph", "stream"], choices=["paragraph", "stream", "none"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--counts", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.vocab = str(Path(options.vocab).resolve())
    if options.worker:
        side = ours if options.worker == "ours" else peer
        print(json.dumps(side(options.sizes[0], options.kinds[0], options.threads, set(options.parts), options.counts, options.vocab)))
        return
    if not options.peer:
        parser.error("--peer is needed: the python of an environment with coqui-tts 0.28.0 and torch")
    with tempfile.TemporaryDirectory() as work:
        options.work = Path(work)
        for size in options.sizes:
            make(size, options.vocab, options.work / size)
            compare(size, options)


if __name__ == "__main__":
    main()
