"""The files of a checkpoint of the reference implementation (coqui-tts), read and checked before anything is written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config import ModelConfig, ModelError, XTTSConfig
from myxtts.models import coqui as mapping
from myxtts.models.folder import COMPONENTS
from myxtts.models.torch_file import read_torch
from myxtts.serving.bundle import md5
from myxtts.serving.coqui_config import check_vocabulary, read_config, to_params
from myxtts.text.tokenizer import Tokenizer

TEXT_EMBEDDING, POSITIONS = "gpt.text_embedding.weight", "gpt.gpt.wpe.weight"
# what the tensors of its files begin with
NETWORKS = ("gpt.", "hifigan_decoder.")
AUDIO_TOKENIZER, CODEBOOK = ("encoder.", "decoder.", "codebook.", "discrete_loss."), "codebook.embed"


@dataclass(frozen=True)
class Checkpoint:
    """All that is read of a checkpoint, before anything is written. Tensors stay in their files."""

    state: dict[str, np.ndarray]
    mel_norm: np.ndarray
    params: XTTSConfig
    components: list[str]
    config: dict[str, Any]
    vocabulary: bytes
    digests: dict[str, str]
    notes: list[str]


def read_checkpoint(files: Mapping[str, str | Path | None], name: str) -> Checkpoint:
    """files: by the names they have in a release, None where one is not given. name: of the bundle. Raises ModelError, ConfigError."""
    paths = {released: Path(path) for released, path in files.items() if path}
    model, config, vocab = (paths[released] for released in ("model.pth", "config.json", "vocab.json"))
    values = read_config(config)
    if not vocab.is_file():
        raise ModelError(f"no {vocab}: expected the vocab.json that belongs to the checkpoint")
    tokenizer = Tokenizer.load(vocab)
    state = _read_state(model, paths.get("dvae.pth"))
    mel_norm = _mel_norm(state, model, paths.get("mel_stats.pth"))
    rows = len(state[TEXT_EMBEDDING]) if TEXT_EMBEDDING in state and state[TEXT_EMBEDDING].ndim else tokenizer.size
    params, notes = to_params(values, rows, name, str(config))
    components = [name for name in COMPONENTS if name != "dvae" or any(key.startswith(mapping.PREFIXES["dvae"]) for key in state)]
    _check_tensors(state, params.model, components)
    # after the tensors: where the config.json is of another size, its vocabulary is beside the point
    if tokenizer.size > rows:
        raise ModelError(f"{vocab} holds {tokenizer.size} tokens, the checkpoint embeds {rows}; give the vocab.json that belongs to it")
    notes += check_vocabulary(values, tokenizer, str(config), str(vocab))
    if len(mel_norm) != params.model.audio.num_mels:
        raise ModelError(
            f"the mel normalisation holds {len(mel_norm)} numbers, expected {params.model.audio.num_mels}, one for each mel band; "
            "give the mel_stats.pth that belongs to the checkpoint"
        )
    notes += _notes(tokenizer, rows, mel_norm, components)
    try:
        vocabulary, digests = vocab.read_bytes(), {released: md5(path) for released, path in paths.items()}
    except OSError as error:
        raise ModelError(f"the files of the checkpoint cannot be read to their ends ({error}); copy or download them again") from None
    return Checkpoint(state, mel_norm, params, components, values, vocabulary, digests, notes)


def _notes(tokenizer: Tokenizer, rows: int, mel_norm: np.ndarray, components: list[str]) -> Iterator[str]:
    """What may be wrong and cannot be known, and what the bundle will lack."""
    if tokenizer.size < rows:
        yield (
            f"vocab.json holds {tokenizer.size} tokens, the checkpoint embeds {rows}: if it did not come with this vocab.json, its speech "
            "will be babble"
        )
    if tokenizer.other_tags:
        tags = ", ".join(f"[{tag}]" for tag in tokenizer.other_tags)
        yield f"the vocabulary's {tags} are no languages that MyXTTS knows: they keep their ids, and no text is spoken with them"
    if np.all(mel_norm == 1):
        yield "mel_stats are all 1, as in a checkpoint that was never given any; if it was trained with others, give --mel-stats"
    if "dvae" not in components:
        yield "there is no audio tokenizer: the bundle speaks; to train on it, import again with --dvae dvae.pth"


def _read_state(model: Path, dvae: Path | None) -> dict[str, np.ndarray]:
    """Every tensor that a variable of ours may need, and mel_stats, under its key of a released checkpoint."""
    state = {key.removeprefix("xtts."): value for key, value in _tensors(model).items()}
    if not any(key.startswith(NETWORKS) for key in state):
        raise ModelError(
            f"{model} is no XTTS checkpoint: expected tensors {' and '.join(f'{name}*' for name in NETWORKS)}, it holds {_some(state)}; "
            "give the model.pth as --model" + (" and this file as --dvae" if CODEBOOK in state else "")
        )
    if POSITIONS in state and np.any(state[POSITIONS]):
        raise ModelError(f"{model}: {POSITIONS} is not zero, but XTTS gives its GPT no such positions; this is another model")
    prefix = mapping.PREFIXES["dvae"]
    if dvae is not None:
        state = {key: value for key, value in state.items() if not key.startswith(prefix)}
        tokenizer = {key.removeprefix(prefix): value for key, value in _tensors(dvae).items()}
        if others := [key for key in tokenizer if not key.startswith(AUDIO_TOKENIZER)]:
            raise ModelError(
                f"--dvae {dvae} is no audio tokenizer: expected tensors {', '.join(f'{name}*' for name in AUDIO_TOKENIZER)}, it holds "
                f"{_some(others)}; give the dvae.pth that belongs to the checkpoint"
            )
        state |= {prefix + key: value for key, value in tokenizer.items()}
    return mapping.canonical(state)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The state dict of a file, bare or under "model"."""
    tree = read_torch(path)
    state = tree.get("model", tree) if isinstance(tree, dict) else tree
    if not isinstance(state, dict) or not state or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise ModelError(f"{path} holds no state dict: expected tensors by name, at the top or under 'model'")
    return {str(key): value for key, value in state.items()}


def _some(keys: Iterable[str]) -> str:
    """The first few, for a message."""
    keys = sorted(keys)
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _check_tensors(state: Mapping[str, np.ndarray], model: ModelConfig, components: list[str]) -> None:
    """Every tensor there, and none besides, each of the shape that `model` says."""
    wanted = mapping.names(model)
    shapes = mapping.tensor_shapes(model, components)
    mapping.check(shapes, {name: wanted[name] for name in components}, {key: value.shape for key, value in state.items()})


def _mel_norm(state: dict[str, np.ndarray], model: Path, mel_stats: Path | None) -> np.ndarray:
    """(M,) float32, taken out of the state."""
    held = state.pop(mapping.MEL_STATS, None)
    if mel_stats is not None:
        held = read_torch(mel_stats)
        if not isinstance(held, np.ndarray):
            kind = f"{len(held)} things by name ({_some(map(str, held))})" if isinstance(held, dict) else f"a {type(held).__name__}"
            raise ModelError(
                f"--mel-stats {mel_stats} holds {kind}; expected one tensor, a number for each mel band: give the mel_stats.pth that "
                "belongs to the checkpoint"
            )
    if held is None:
        raise ModelError(f"{model} has no tensor {mapping.MEL_STATS}: give the file of the mel normalisation (--mel-stats mel_stats.pth)")
    if held.ndim != 1 or not np.isfinite(held).all() or not held.all():
        raise ModelError(f"the mel normalisation must be one finite number other than 0 for each band; it has shape {held.shape}")
    return np.asarray(held, np.float32)
