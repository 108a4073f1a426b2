"""XTTS v2 checkpoints of the reference implementation (coqui-tts): which of its tensors is which of ours, and how each is laid out.

Its tensors are named as its state dict names them: `mel_stats`, `gpt.*`, `hifigan_decoder.*`, and the audio tokenizer's with `dvae.` in
front, as its trainer saves them. `names` says where each of our tensors comes from; nothing here needs the reference or PyTorch.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from myxtts.config import ModelConfig, ModelError
from myxtts.models.folder import COMPONENTS
from myxtts.models.layers import sizes_alone
from myxtts.models.xtts import build_component, tensor_faults, tensor_names

MEL_STATS = "mel_stats"

# what all keys of a component begin with
PREFIXES = {
    "dvae": "dvae.",
    "gpt": "gpt.",
    "decoder": "hifigan_decoder.waveform_decoder.",
    "speaker_encoder": "hifigan_decoder.speaker_encoder.",
}

# tensors of its checkpoints that have no variable of ours (patterns of whole keys), and why none is needed
RECOMPUTED = {
    r".*\.num_batches_tracked": "a counter that its batch norms do not use at momentum 0.1",
    r"hifigan_decoder\.speaker_encoder\.torch_spec\..*": "pre-emphasis, window and filters of the speaker mel: audio/mel.py computes them",
    r"torch_mel_spectrogram_\w+\..*": "window and filters of the trainer's mels: audio/mel.py computes them",
    r"dvae\.discrete_loss\..*": "statistics of a loss that XTTS does not train with",
    r"gpt\.gpt_inference\..*": "version 1 saved the GPT twice; these are the same weights once more",
    r"gpt\.gpt\.h\.\d+\.attn\.(masked_)?bias": "the causal mask, once saved as a buffer",
    r"gpt\.gpt\.wte\.weight": "GPT-2's own token table, which XTTS does not read",
    r"gpt\.gpt\.wpe\.weight": "GPT-2's own positions, which XTTS replaces by zeros",
}

# weight norm under its older name in PyTorch -> under its present one
_OLD_WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


class Theirs(NamedTuple):
    """A tensor of the reference: its key, and the name of its layout in LAYOUTS."""

    key: str
    layout: str


class Layout(NamedTuple):
    """Both directions between the reference's arrangement of a tensor and ours; views wherever NumPy can."""

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


# PyTorch stores outputs first and channels before time, Keras kernels have inputs and outputs last
LAYOUTS = {
    "same": Layout(lambda x: x, lambda x: x),
    "linear": Layout(lambda x: x.T, lambda x: x.T),  # (out, in) <-> (in, out)
    "pointwise": Layout(lambda x: x[:, :, 0].T, lambda x: x.T[:, :, None]),  # (out, in, 1) <-> (in, out): a convolution of kernel 1
    "pointwise_2d": Layout(lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None]),  # (out, in, 1, 1) <-> (in, out)
    # (out, in, k) <-> (k, in, out); of a transposed convolution (in, out, k) <-> (k, out, in)
    "convolution": Layout(lambda x: x.transpose(2, 1, 0), lambda x: x.transpose(2, 1, 0)),
    "convolution_2d": Layout(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1)),  # (out, in, h, w) <-> (h, w, in, out)
    "gain": Layout(lambda x: x[:, 0, 0], lambda x: x[:, None, None]),  # (channels, 1, 1) <-> (channels,)
}

Names = Iterator[tuple[str, Theirs]]


def names(config: ModelConfig) -> dict[str, dict[str, Theirs]]:
    """For each component: the names of `models.xtts.tensor_names` -> the reference's tensor. Needs no weights."""
    return {component: dict(rules(config)) for component, rules in RULES.items()}


def canonical(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`state` without its RECOMPUTED tensors, weight norm under its present names."""
    ignored = re.compile("|".join(RECOMPUTED))
    return {_modern(key): value for key, value in state.items() if not ignored.fullmatch(key)}


def tensor_shapes(config: ModelConfig, components: Iterable[str] = COMPONENTS) -> dict[str, dict[str, tuple[int, ...]]]:
    """For each component: our tensor names -> shapes, without allocating a weight."""
    with sizes_alone():
        networks = {component: build_component(component, config) for component in components}
        return {
            component: {name: tuple(variable.shape) for name, variable in tensor_names(network).items()}
            for component, network in networks.items()
        }


def their_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """Shape in the reference of a tensor that has `shape` with us."""
    return LAYOUTS[layout].to_theirs(np.broadcast_to(np.float32(0), shape)).shape


def check(
    ours: Mapping[str, Mapping[str, tuple[int, ...]]],
    wanted: Mapping[str, Mapping[str, Theirs]],
    found: Mapping[str, tuple[int, ...]],
) -> None:
    """Raises ModelError unless `found` (their keys -> shapes) is exactly what `wanted` needs for our shapes `ours`."""
    expected = {
        theirs.key: their_shape(ours[component][name], theirs.layout)
        for component, named in wanted.items()
        for name, theirs in named.items()
    }
    faults = tensor_faults(expected, found)
    if faults:
        raise ModelError(
            f"the checkpoint does not fit the model that its configuration describes ({len(expected)} tensors expected):\n"
            f"{faults}\ngive the config.json that belongs to this checkpoint; if it does, the file is incomplete or of another architecture"
        )


def _modern(key: str) -> str:
    for old, new in _OLD_WEIGHT_NORM.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _layer(ours: str, theirs: str, layout: str, bias: bool = True) -> Names:
    yield f"{ours}/kernel", Theirs(f"{theirs}.weight", layout)
    if bias:
        yield f"{ours}/bias", Theirs(f"{theirs}.bias", "same")


def _norm(ours: str, theirs: str) -> Names:
    yield f"{ours}/gamma", Theirs(f"{theirs}.weight", "same")
    yield f"{ours}/beta", Theirs(f"{theirs}.bias", "same")


def _batch_norm(ours: str, theirs: str) -> Names:
    yield from _norm(ours, theirs)
    yield f"{ours}/moving_mean", Theirs(f"{theirs}.running_mean", "same")
    yield f"{ours}/moving_variance", Theirs(f"{theirs}.running_var", "same")


def _weight_norm(ours: str, theirs: str) -> Names:
    yield f"{ours}/gain", Theirs(f"{theirs}.parametrizations.weight.original0", "gain")
    yield f"{ours}/direction", Theirs(f"{theirs}.parametrizations.weight.original1", "convolution")
    yield f"{ours}/bias", Theirs(f"{theirs}.bias", "same")


def _gpt(config: ModelConfig) -> Names:
    for ours, theirs in (("text", "text"), ("audio", "mel")):
        yield f"{ours}_embedding", Theirs(f"gpt.{theirs}_embedding.weight", "same")
        yield f"{ours}_position_embedding", Theirs(f"gpt.{theirs}_pos_embedding.emb.weight", "same")
        yield from _layer(f"{ours}_head", f"gpt.{theirs}_head", "linear")
    yield from _conditioning(config)
    for index in range(config.gpt.num_layers):
        ours, theirs = f"block_{index}", f"gpt.gpt.h.{index}"
        yield from _norm(f"{ours}/attention_norm", f"{theirs}.ln_1")
        yield from _norm(f"{ours}/mlp_norm", f"{theirs}.ln_2")
        # its GPT-2 stores these kernels inputs-first, as Keras does; columns run q | k | v, heads one after another, with both
        yield from _layer(f"{ours}/qkv", f"{theirs}.attn.c_attn", "same")
        yield from _layer(f"{ours}/attention_out", f"{theirs}.attn.c_proj", "same")
        yield from _layer(f"{ours}/mlp_in", f"{theirs}.mlp.c_fc", "same")
        yield from _layer(f"{ours}/mlp_out", f"{theirs}.mlp.c_proj", "same")
    yield from _norm("blocks_norm", "gpt.gpt.ln_f")
    yield from _norm("final_norm", "gpt.final_norm")


def _conditioning(config: ModelConfig) -> Names:
    yield from _layer("conditioning_encoder/into", "gpt.conditioning_encoder.init", "pointwise")
    for index in range(config.gpt.conditioning_blocks):
        ours, theirs = f"conditioning_encoder/block_{index}", f"gpt.conditioning_encoder.attn.{index}"
        yield from _norm(f"{ours}/norm", f"{theirs}.norm")
        yield from _layer(f"{ours}/qkv", f"{theirs}.qkv", "pointwise")  # columns stay [q0 k0 v0 | q1 k1 v1 | …]
        yield from _layer(f"{ours}/out", f"{theirs}.proj_out", "pointwise")
    yield "perceiver/latents", Theirs("gpt.conditioning_perceiver.latents", "same")
    yield "perceiver/gamma", Theirs("gpt.conditioning_perceiver.norm.gamma", "same")
    for index in range(config.gpt.perceiver_layers):
        ours, theirs = f"perceiver/layer_{index}", f"gpt.conditioning_perceiver.layers.{index}"
        for our_name, their_name in (("query", "to_q"), ("key_value", "to_kv"), ("out", "to_out")):
            yield from _layer(f"{ours}/{our_name}", f"{theirs}.0.{their_name}", "linear", bias=False)
        yield from _layer(f"{ours}/mlp_in", f"{theirs}.1.0", "linear")
        yield from _layer(f"{ours}/mlp_out", f"{theirs}.1.2", "linear")


def _dvae(config: ModelConfig) -> Names:
    layers, blocks = config.dvae.num_layers, config.dvae.num_resnet_blocks
    for index in range(layers):
        yield from _layer(f"down_{index}", f"dvae.encoder.{index}.0", "convolution")
        yield from _layer(f"up_{index}", f"dvae.decoder.{1 + blocks + index}.0.conv", "convolution")
    for index in range(blocks):
        for ours, theirs in ((f"encoder_block_{index}", f"encoder.{layers + index}"), (f"decoder_block_{index}", f"decoder.{1 + index}")):
            yield from _layer(f"{ours}/conv_1", f"dvae.{theirs}.net.0", "convolution")
            yield from _layer(f"{ours}/conv_2", f"dvae.{theirs}.net.2", "convolution")
            yield from _layer(f"{ours}/conv_3", f"dvae.{theirs}.net.4", "pointwise")
    yield from _layer("to_code", f"dvae.encoder.{layers + blocks}", "pointwise")
    yield from _layer("from_code", "dvae.decoder.0", "pointwise")
    yield from _layer("to_mel", f"dvae.decoder.{1 + blocks + layers}", "pointwise")
    # it keeps one entry of the codebook in each column, we in each row
    yield "codebook", Theirs("dvae.codebook.embed", "linear")
    yield "cluster_sum", Theirs("dvae.codebook.embed_avg", "linear")
    yield "cluster_size", Theirs("dvae.codebook.cluster_size", "same")


def _decoder(config: ModelConfig) -> Names:
    prefix, kernels = PREFIXES["decoder"], len(config.decoder.resblock_kernels)
    yield from _layer("before", f"{prefix}conv_pre", "convolution")
    yield from _layer("speaker", f"{prefix}cond_layer", "pointwise")
    for stage in range(len(config.decoder.upsample_rates)):
        yield from _weight_norm(f"up_{stage}", f"{prefix}ups.{stage}")
        yield from _layer(f"stage_speaker_{stage}", f"{prefix}conds.{stage}", "pointwise")
        for kernel in range(kernels):
            ours, theirs = f"stage_{stage}_block_{kernel}", f"{prefix}resblocks.{stage * kernels + kernel}"
            for index in range(len(config.decoder.resblock_dilations)):
                yield from _weight_norm(f"{ours}/dilated_{index}", f"{theirs}.convs1.{index}")
                yield from _weight_norm(f"{ours}/plain_{index}", f"{theirs}.convs2.{index}")
    yield from _layer("after", f"{prefix}conv_post", "convolution", bias=False)


def _speaker_encoder(config: ModelConfig) -> Names:
    prefix, inputs = PREFIXES["speaker_encoder"], config.speaker_encoder.filters[0]
    yield from _layer("stem", f"{prefix}conv1", "convolution_2d")
    yield from _batch_norm("stem_norm", f"{prefix}bn1")
    for layer, (channels, count) in enumerate(zip(config.speaker_encoder.filters, config.speaker_encoder.blocks, strict=True), start=1):
        for index in range(count):
            ours, theirs = f"layer_{layer}_block_{index}", f"{prefix}layer{layer}.{index}"
            for part in (1, 2):
                yield from _layer(f"{ours}/conv_{part}", f"{theirs}.conv{part}", "convolution_2d", bias=False)
                yield from _batch_norm(f"{ours}/norm_{part}", f"{theirs}.bn{part}")
            yield from _layer(f"{ours}/squeeze_excite/squeeze", f"{theirs}.se.fc.0", "linear")
            yield from _layer(f"{ours}/squeeze_excite/excite", f"{theirs}.se.fc.2", "linear")
            # layers after the first halve the image, so their first block needs a projection for its residual
            if index == 0 and (layer > 1 or inputs != channels):
                yield from _layer(f"{ours}/shortcut", f"{theirs}.downsample.0", "pointwise_2d", bias=False)
                yield from _batch_norm(f"{ours}/shortcut_norm", f"{theirs}.downsample.1")
        inputs = channels
    yield from _layer("attention_in", f"{prefix}attention.0", "pointwise")
    yield from _batch_norm("attention_norm", f"{prefix}attention.2")
    yield from _layer("attention_out", f"{prefix}attention.3", "pointwise")
    yield from _layer("embed", f"{prefix}fc", "linear")


RULES: dict[str, Callable[[ModelConfig], Names]] = {
    "dvae": _dvae,
    "gpt": _gpt,
    "decoder": _decoder,
    "speaker_encoder": _speaker_encoder,
}
