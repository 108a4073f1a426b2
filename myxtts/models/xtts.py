"""The assembly: all networks of one voice model, built, saved and loaded as one."""

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from myxtts.config import ModelConfig, ModelError
from myxtts.models.dvae import DVAE
from myxtts.models.folder import COMPONENTS, MEL_NORM, weight_file
from myxtts.models.gpt import GPT
from myxtts.models.hifigan import HiFiGAN
from myxtts.models.layers import WeightNorm, sizes_alone
from myxtts.models.precision import all_layers
from myxtts.models.speaker_encoder import SpeakerEncoder
from myxtts.models.tensor_files import open_weights, read_tensor, read_weights

FORMAT = 1
SHOWN = 8  # names of tensors in a message


class XTTS:
    """The networks (`dvae`, `gpt`, `decoder`, `speaker_encoder`) with every variable created, and the mel normalisation.

    mel_norm: (M,) float32; what the DVAE and the conditioning encoder read is log_mel / mel_norm. A model imported without its
    audio tokenizer has no `dvae`: it speaks by its decoder, and asking for the network raises ModelError. blocks: of the GPT.
    """

    def __init__(self, config: ModelConfig, components: Iterable[str] = COMPONENTS, blocks: bool = True):
        self.config = config
        self._networks = {name: build_component(name, config, blocks) for name in components}
        self._mel_norm = np.ones(config.audio.num_mels, np.float32)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the networks that it has, in the order of COMPONENTS."""
        return tuple(name for name in COMPONENTS if name in self._networks)

    @property
    def dvae(self) -> DVAE:
        return self.component("dvae")

    @property
    def gpt(self) -> GPT:
        return self.component("gpt")

    @property
    def decoder(self) -> HiFiGAN:
        return self.component("decoder")

    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        return self.component("speaker_encoder")

    @property
    def mel_norm(self) -> np.ndarray:
        return self._mel_norm

    @mel_norm.setter
    def mel_norm(self, value: np.ndarray) -> None:
        self._mel_norm = _checked_mel_norm(value, self.config.audio.num_mels)

    def component(self, name: str) -> keras.Model:
        """One network by name. Raises ModelError for an unknown name, and for a network that this model was imported without."""
        _check_name(name)
        if name not in self._networks:
            needed = "encoding audio and decoding codes need it: import the checkpoint again with --dvae dvae.pth"
            raise ModelError(f"this model has no {name}; " + (needed if name == "dvae" else "load the model with it"))
        return self._networks[name]

    def save_component(self, name: str, folder: str | Path) -> Path:
        """Writes folder/<name>.weights.h5, whole or not at all. With the audio tokenizer goes the normalisation of what it hears."""
        if name == "dvae":
            self._save_mel_norm(Path(folder))
        return save_weights(self.component(name), Path(folder) / weight_file(name))

    def _save_mel_norm(self, folder: Path) -> None:
        _write_atomically(folder / MEL_NORM, lambda path: np.save(path, self.mel_norm), suffix=".npy")

    def load_component(self, name: str, folder: str | Path) -> None:
        """Reads what `save_component` wrote. Raises ModelError where file and network differ in any tensor; nothing is changed then."""
        mel_norm = load_mel_norm(folder, self.config) if name == "dvae" else self.mel_norm
        network, path = self.component(name), Path(folder) / weight_file(name)
        if name == "gpt" and not network.blocks:
            _load_without_blocks(network, self.config, path)
        else:
            load_weights(network, path)
        self.mel_norm = mel_norm

    def save(self, folder: str | Path) -> None:
        """Writes every component and mel_norm.npy into `folder`."""
        for name in self.components:
            self.save_component(name, folder)
        self._save_mel_norm(Path(folder))  # of a model without an audio tokenizer too: it normalises the GPT's prompts

    @classmethod
    def load(cls, folder: str | Path, config: ModelConfig, components: Iterable[str] = COMPONENTS, blocks: bool = True) -> "XTTS":
        """What `save` wrote. Raises ModelError naming missing, extra and misshapen tensors. blocks: False = leaves out the GPT's."""
        model = cls(config, components, blocks)
        for name in model.components:
            model.load_component(name, folder)
        model.mel_norm = load_mel_norm(folder, config)
        return model

    def fold(self) -> "XTTS":
        """Readies the networks that it has for speech: the decoder's weight norms are folded (`HiFiGAN.fold`). Returns itself."""
        if "decoder" in self._networks:
            self.decoder.fold()
        return self

    def parameter_counts(self) -> dict[str, int]:
        """Trainable parameters of each component and their total."""
        return _with_total({name: _count(self.component(name)) for name in self.components})


def build_component(name: str, config: ModelConfig, blocks: bool = True) -> keras.Model:
    """One network of `config` with fresh weights. Raises ModelError for an unknown name."""
    _check_name(name)
    audio = config.audio
    if name == "dvae":
        return DVAE(config.dvae, audio.num_mels)
    if name == "gpt":
        return GPT(config.gpt, config.num_text_tokens, config.num_audio_tokens, audio.num_mels, blocks=blocks)
    if name == "decoder":
        return HiFiGAN(config.decoder, config.gpt.dim, config.speaker_encoder.embedding_dim, audio, config.samples_per_code)
    return SpeakerEncoder(config.speaker_encoder)


def parameter_counts(config: ModelConfig) -> dict[str, int]:
    """`XTTS(config).parameter_counts()` without allocating a single weight."""
    counts = {}
    with sizes_alone():
        for name in COMPONENTS:
            counts[name] = _count(build_component(name, config))
    return _with_total(counts)


def tensor_names(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's tensors by name, as weight files hold them: its path inside the model, `block_0/qkv/kernel`.

    Weights and running statistics; not the state of random generators, which belongs to a training checkpoint.
    """
    named = {variable.path.partition(f"{model.name}/")[2]: variable for variable in model.weights}
    if len(named) != len(model.weights):
        raise ModelError(f"two tensors of {model.name} share a name; give every layer of a model its own")
    return named


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over the values of all tensors, in their order."""
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(np.asarray(variable).tobytes())
    return digest.hexdigest()


def save_weights(model: keras.Model, path: str | Path) -> Path:
    """Writes all tensors of `model` to one HDF5 file, a data set for each name of `tensor_names`; whole or not at all.

    Low-rank adapters are merged into the kernels that they adapt: the file is one of the plain network.

    The same weights give the same bytes, so that DVC sees no change where there is none.
    """
    adapters = {id(layer._kernel): layer for layer in all_layers(model) if getattr(layer, "lora_enabled", False)}
    named = sorted((name, variable) for name, variable in tensor_names(model).items() if "/lora_kernel_" not in name)
    return write_weights(((name, _merged(variable, adapters.get(id(variable)))) for name, variable in named), path)


def _merged(variable: keras.Variable, layer: Any) -> np.ndarray:
    """The variable's values; of a kernel with a low-rank adapter, what both together are."""
    values = keras.ops.convert_to_numpy(variable.value)
    if layer is None:
        return values
    a, b = (keras.ops.convert_to_numpy(part.value) for part in (layer.lora_kernel_a, layer.lora_kernel_b))
    return values + layer.lora_alpha / layer.lora_rank * (a @ b)


def write_weights(tensors: Iterable[tuple[str, np.ndarray]], path: str | Path) -> Path:
    """`save_weights` from tensors in memory, or from wherever they come one after another; in the order of their names."""
    path = Path(path)

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs["myxtts_format"] = FORMAT
            for name, values in tensors:
                file.create_dataset(name, data=values)

    _write_atomically(path, write, suffix=".weights.h5")
    return path


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Reads a file of `save_weights` into `model`, strictly.

    Raises ModelError, and leaves the model as it was, where the file is missing or damaged, or where a tensor is missing, is not
    of this model, or has another shape.
    """
    assign_weights(model, read_weights(path), Path(path))


def assign_weights(model: keras.Model, values: Mapping[str, np.ndarray], source: Path) -> None:
    """Puts tensors that come from `source` into `model`, as strictly as `load_weights`. Raises ModelError."""
    wanted = tensor_names(model)
    _refuse_faults(wanted, {name: np.shape(value) for name, value in values.items()}, source, model.name)
    for name, variable in wanted.items():
        variable.assign(values[name])
    for layer in all_layers(model):
        if isinstance(layer, WeightNorm):
            layer.unfold()  # a kernel of the weights before


def _refuse_faults(wanted: Mapping[str, keras.Variable], found: Mapping[str, tuple[int, ...]], source: Path, network: str) -> None:
    if faults := tensor_faults({name: variable.shape for name, variable in wanted.items()}, found):
        raise ModelError(
            f"{source} does not fit the {network} that params.yaml describes ({len(wanted)} tensors):\n{faults}\n"
            "use the params.yaml it was trained with, or train again"
        )


def _load_without_blocks(gpt: GPT, config: ModelConfig, path: Path) -> None:
    """Reads what a GPT without blocks has, from a file that must fit the whole one as strictly as for `load_weights`."""
    with sizes_alone():
        whole = tensor_names(build_component("gpt", config))
    with open_weights(path) as datasets:
        _refuse_faults(whole, {name: dataset.shape for name, dataset in datasets.items()}, path, gpt.name)
        assign_weights(gpt, {name: read_tensor(datasets[name]) for name in tensor_names(gpt)}, path)


def load_mel_norm(folder: str | Path, config: ModelConfig) -> np.ndarray:
    """folder/mel_norm.npy, (M,) float32. Raises ModelError."""
    path = Path(folder) / MEL_NORM
    if not path.is_file():
        raise ModelError(f"no {path}: a model is of no use without its mel normalisation; the dvae stage writes it (dvc repro dvae)")
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{path} cannot be read ({error}); restore it (dvc checkout, dvc pull)") from None
    return _checked_mel_norm(values, config.audio.num_mels)


def tensor_faults(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """How tensors (names -> shapes) differ from those expected: a line for each kind of fault, "" where there is none."""
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": [
            f"{name} is {tuple(found[name])}, expected {tuple(shape)}"
            for name, shape in sorted(expected.items())
            if name in found and tuple(found[name]) != tuple(shape)
        ],
    }
    return "\n".join(f"  {len(names)} {what}: {_shorten(names)}" for what, names in faults.items() if names)


def _shorten(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def _write_atomically(path: Path, write: Callable[[Path], None], suffix: str) -> None:
    """Writes to a temporary file beside `path`, then renames it: a reader sees the old file or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)  # temporary files start private to their owner
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _checked_mel_norm(value: np.ndarray, num_mels: int) -> np.ndarray:
    value = np.asarray(value, np.float32)
    if value.shape != (num_mels,):
        raise ModelError(f"mel_norm must hold one number for each of the {num_mels} mel bands; it has shape {value.shape}")
    if not np.isfinite(value).all() or (value == 0).any():
        raise ModelError("mel_norm must be finite and nowhere zero, for mels are divided by it; compute it again (dvc repro dvae)")
    return value


def _check_name(name: str) -> None:
    if name not in COMPONENTS:
        raise ModelError(f"unknown component {name!r}; expected one of {', '.join(COMPONENTS)}")


def _count(model: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def _with_total(counts: dict[str, int]) -> dict[str, int]:
    return {**counts, "total": sum(counts.values())}
