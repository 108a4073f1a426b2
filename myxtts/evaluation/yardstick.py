"""What the figures of an evaluation depend on besides the model: the sentences, and the machine."""

import hashlib
import json
import os
import platform
from pathlib import Path

from myxtts.data.manifest import read_split
from myxtts.evaluation.evaluate import choose_reference, choose_rows

CPUINFO = Path("/proc/cpuinfo")


def evaluation_set(processed: Path, num_sentences: int, seed: int) -> str:
    """Twelve hex digits over the sentences, recordings and references that `evaluate` would take, and the seed that it speaks with.

    Figures of two models may be compared where these are equal. Raises DataError where there is no prepared data.
    """
    held_out, trained_on = read_split(processed, "eval"), read_split(processed, "train")
    digest = hashlib.sha256(str(seed).encode())
    for utterance in choose_rows(held_out, num_sentences, seed):
        reference = choose_reference(utterance, held_out, trained_on)
        digest.update(json.dumps([utterance.id, utterance.text, utterance.normalized, utterance.language, reference.id]).encode())
        for row in (utterance, reference):
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
