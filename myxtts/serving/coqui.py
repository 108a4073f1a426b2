"""Checkpoints of the reference implementation (coqui-tts) to bundles, and bundles to checkpoints.

Tensors go from file to file one at a time: no network is built, and no more than one tensor is in memory.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.audio.mel import SPEAKER_PREEMPHASIS, SPEAKER_WIN_LENGTH, mel_filter, speaker_mel
from myxtts.config import ModelConfig, ModelError, XTTSConfig
from myxtts.models import coqui as mapping
from myxtts.models.folder import BUNDLE_FILE, MEL_NORM, PARAMS, TOKENIZER, listed_components, weight_file
from myxtts.models.tensor_files import open_weights, read_tensor
from myxtts.models.torch_file import BFLOAT16, LazyTensor, write_torch
from myxtts.models.xtts import load_mel_norm, parameter_counts, write_weights
from myxtts.serving.bundle import check_bundle, seal_bundle
from myxtts.serving.coqui_config import from_params
from myxtts.serving.coqui_files import read_checkpoint
from myxtts.serving.new_folder import new_folder, refuse_existing
from myxtts.text.tokenizer import Tokenizer

DISCRETIZATION_STEPS = 100  # of the DVAE's unused loss statistics
UNUSED_TOKEN = "[UNUSED]"


def import_coqui(
    model: str | Path,
    config: str | Path,
    vocab: str | Path,
    dvae: str | Path | None,
    mel_stats: str | Path | None,
    out: str | Path,
    licence: str = "",
) -> dict[str, Any]:
    """Makes the bundle `out` of a released, fine-tuned or trainer checkpoint; whole or not at all.

    model: model.pth; config: config.json; vocab: vocab.json; dvae: dvae.pth, where the checkpoint has no `dvae.*` of its own (without
    either, the bundle speaks but has no audio tokenizer); mel_stats: mel_stats.pth, where the checkpoint has none; licence: of these
    weights, for the card of whatever is made from them. Returns a summary.
    Raises ModelError or ConfigError naming what is missing, unknown, of another shape, or beyond our architecture.
    """
    out = Path(out)
    refuse_existing(out)
    read = read_checkpoint(
        {"model.pth": model, "config.json": config, "vocab.json": vocab, "dvae.pth": dvae, "mel_stats.pth": mel_stats}, _bundle_name(out)
    )
    with new_folder(out) as part:
        _write_components(read.state, read.params.model, read.components, part)
        np.save(part / MEL_NORM, read.mel_norm)
        (part / TOKENIZER).write_bytes(read.vocabulary)
        imported = {"from": "Coqui TTS (XTTS)", "md5": read.digests, "config": read.config, **({"licence": licence} if licence else {})}
        described = seal_bundle(part, read.params, {}, {}, {"imported": imported})
    check_bundle(out)
    return {
        "bundle": str(out),
        "parameters": sum(parameter_counts(read.params.model)[component] for component in read.components),
        "tensors": len(read.state),
        "components": read.components,
        "languages": described["languages"],
        "notes": read.notes,
    }


def export_coqui(bundle: str | Path, out: str | Path) -> dict[str, Any]:
    """Writes model.pth, config.json, vocab.json, mel_stats.pth and, where the bundle has one, dvae.pth into the new folder `out`.

    The reference implementation loads them strictly, and its networks give the same numbers. What it does otherwise around them, with
    texts, voices or sampling, is in the notes of the returned summary; without notes, its speech is the same but for the dice.
    Raises ModelError where the bundle is not whole, or `out` exists.
    """
    bundle, out = Path(bundle), Path(out)
    described = check_bundle(bundle)
    components = listed_components(described, bundle / BUNDLE_FILE)
    config, tokenizer = XTTSConfig.load(bundle / PARAMS), Tokenizer.load(bundle / TOKENIZER)
    if tokenizer.units != "letters":
        raise ModelError(f"{bundle} reads texts by their {tokenizer.units}, the reference implementation by letters alone: speak it here")
    mel_stats = load_mel_norm(bundle, config.model)
    values, notes = from_params(config, tokenizer, _original_config(described))
    vocabulary = _vocabulary(bundle / TOKENIZER, tokenizer.size, config.model.num_text_tokens)
    refuse_existing(out)
    with contextlib.ExitStack() as opened:
        state: dict[str, np.ndarray | LazyTensor] = {mapping.MEL_STATS: mel_stats}
        for component in components:
            tensors = opened.enter_context(open_weights(bundle / weight_file(component)))
            state |= _their_tensors(component, config.model, tensors)
        prefix = mapping.PREFIXES["dvae"]
        dvae = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        state = {key: value for key, value in state.items() if not key.startswith(prefix)} | _buffers(state, config.model)
        part = opened.enter_context(new_folder(out))
        write_torch(part / "model.pth", {"model": state})
        write_torch(part / "mel_stats.pth", mel_stats)
        if dvae:
            write_torch(part / "dvae.pth", dvae | _discretization(config.model))
        (part / "config.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (part / "vocab.json").write_bytes(vocabulary)
    if not dvae:
        notes.append("dvae.pth was not written, for the bundle has no audio tokenizer: the reference speaks without it, but cannot train")
    # first, for what is at their head may be that nothing will load this
    return {"notes": notes, "folder": str(out), "tensors": len(state) + len(dvae), "components": list(components)}


def _original_config(described: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json that the bundle was imported with, or the model that its training began with; {} where there is none."""
    while "start" in described:
        described = described["start"]
    return described.get("imported", {}).get("config", {})


def _bundle_name(out: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", out.resolve().name)


def _write_components(state: Mapping[str, np.ndarray], model: ModelConfig, components: list[str], folder: Path) -> None:
    """Weight files, as `XTTS.save_component` writes them. state: as `read_checkpoint` checked it."""
    wanted = mapping.names(model)

    def converted(component: str) -> Iterator[tuple[str, np.ndarray]]:
        for name, (key, layout) in sorted(wanted[component].items()):
            values = state[key]
            if values.dtype.kind != "f" and values.dtype != BFLOAT16:
                raise ModelError(
                    f"{key} holds {values.dtype} numbers; expected a checkpoint of floating-point weights, not a quantised one"
                )
            values = np.asarray(mapping.LAYOUTS[layout].to_ours(values), np.float32)
            if not np.isfinite(values).all():
                raise ModelError(f"{key} holds NaN or infinity: this checkpoint is of a training that failed; take an earlier one")
            yield name, values

    for component in components:
        write_weights(converted(component), folder / weight_file(component))


def _their_tensors(component: str, model: ModelConfig, ours: Mapping[str, Any]) -> dict[str, LazyTensor]:
    """The tensors of one network as the reference keeps them, each read from our file when it is written."""
    wanted = mapping.names(model)[component]
    shapes = mapping.tensor_shapes(model, [component])[component]
    if {name: tuple(dataset.shape) for name, dataset in ours.items()} != shapes:
        raise ModelError(f"{weight_file(component)} does not fit the bundle's params.yaml; make the bundle again (dvc repro bundle)")

    def reader(name: str, to_theirs: Callable[[np.ndarray], np.ndarray]) -> Callable[[], np.ndarray]:
        return lambda: to_theirs(read_tensor(ours[name]))

    return {
        key: LazyTensor(mapping.their_shape(shapes[name], layout), np.dtype(np.float32), reader(name, mapping.LAYOUTS[layout].to_theirs))
        for name, (key, layout) in wanted.items()
    }


def _buffers(state: Mapping[str, Any], model: ModelConfig) -> dict[str, np.ndarray]:
    """What the reference's strict loading wants besides weights: counters, and the speaker encoder's window and filters."""
    counters = {key.replace("running_mean", "num_batches_tracked"): np.zeros((), np.int64) for key in state if key.endswith("running_mean")}
    prefix = f"{mapping.PREFIXES['speaker_encoder']}torch_spec"
    return counters | {
        f"{prefix}.0.filter": np.array([[[-SPEAKER_PREEMPHASIS, 1.0]]], np.float32),
        f"{prefix}.1.spectrogram.window": np.hamming(SPEAKER_WIN_LENGTH + 1)[:-1].astype(np.float32),
        f"{prefix}.1.mel_scale.fb": np.array(mel_filter(speaker_mel(model.speaker_encoder))),
    }


def _discretization(model: ModelConfig) -> dict[str, np.ndarray]:
    """Empty statistics of the DVAE's unused loss."""
    return {
        "discrete_loss.accumulator_index": np.zeros(1, np.int64),
        "discrete_loss.accumulator_filled": np.zeros(1, np.int64),
        "discrete_loss.accumulator": np.zeros((DISCRETIZATION_STEPS, model.dvae.num_codes), np.float32),
    }


def _vocabulary(tokenizer: Path, size: int, rows: int) -> bytes:
    """vocab.json. Where the model embeds more rows than there are tokens, one that no text contains takes the last row.

    The reference makes its embedding as long as the highest id says, and loads no other length.
    """
    held = tokenizer.read_bytes()
    if size == rows:
        return held
    content = json.loads(held)
    content["model"]["vocab"][UNUSED_TOKEN] = rows - 1
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
