"""What the figures of an evaluation depend on besides the model: the sentences, and the machine; and what some of them say."""

import hashlib
import json
import os
import platform
from pathlib import Path

from myxtts.config.stages import EvaluateConfig
from myxtts.evaluation.choice import choose_sentences

CPUINFO = Path("/proc/cpuinfo")
FOLLOWS = 0.8  # correlation of a head's looks with the time, from which on it may be said to follow the text


def evaluation_set(processed: Path, settings: EvaluateConfig, seed: int, texts: Path | None = None) -> str:
    """Twelve hex digits over the sentences, recordings and references that `evaluate` would take, and the seed that it speaks with.

    Figures of two models may be compared where these are equal. Raises DataError where there is no prepared data.
    """
    digest = hashlib.sha256(str(seed).encode())
    for item in choose_sentences(processed, settings, seed, texts):
        utterance, reference = item.utterance, item.reference
        named = [utterance.id, utterance.text, utterance.normalized, utterance.language, reference.id]
        # nothing more for `eval`: figures that were measured before there were other sets go on being comparable
        digest.update(json.dumps(named if utterance.split == "eval" else [*named, utterance.split]).encode())
        for row in (utterance, reference) if utterance.audio else (reference,):
            digest.update(hashlib.sha256((processed / row.audio).read_bytes()).digest())
    return digest.hexdigest()[:12]


def machine_name() -> str:
    """What a time measured here depends on: the GPUs, or the number and kind of cores."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return ", ".join(str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)) for gpu in gpus)
    lines = CPUINFO.read_text(errors="replace").splitlines() if CPUINFO.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of {next(named, platform.machine())}"


def followed(metrics: dict[str, float]) -> tuple[int, int] | None:
    """(layer, head) of what `alignment_head` measured; None where no head follows."""
    if metrics.get("gpt/alignment_correlation", 0.0) < FOLLOWS:
        return None
    return int(metrics["gpt/alignment_layer"]), int(metrics["gpt/alignment_head"])
