"""The GPT's forward pass as an ONNX graph, for ONNX Runtime: three times as fast as TensorFlow on a CPU, and deployed without it.

B batch, L conditioning latents, T text tokens, S positions fed at once, P positions that the cache has room for, D width, H heads,
d = D / H, A audio tokens. One graph makes the prefix (latents and text) and every step after it. A row's keys and values lie in its
cache one after another, from its first latent to its last code, so rows of any lengths share a batch without masks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myxtts.audio.networks import runtime
from myxtts.models.gpt import GPT
from myxtts.models.onnx_graph import Graph, session
from myxtts.models.tensor_files import StoredArray
from myxtts.models.xtts import tensor_names

Weights = Literal["float32", "int8"]
Tensor = Callable[[str], np.ndarray | StoredArray]
NORM_EPSILON = 1e-5
BLOCK_SIZES = (128, 64, 32, 16)  # of values that share a scale; the largest that divides a row
INT8_COMPUTE = 4  # MatMulNBits' accuracy_level: products in int8, sums in int32


def gpt_graph(gpt: GPT, weights: Weights = "float32", watched_layer: int | None = None, tensor: Tensor | None = None) -> Graph:
    """The graph of `gpt`.

    Inputs: latents (B, L, D) float32, of zero length after the prefix; ids (B, S) int32, audio tokens counted on from the text's
    (`gpt.num_text_tokens`); positions (B, S) int32, of audio tokens counted on from the text's (`gpt.text_positions`); lengths (B,)
    int32, of each row with what is fed now, minus 1; room (1,) int32, the longest row; key_i and value_i (B, H, P, d) of each layer.
    Outputs: logits (B, A) and latent (B, D) of the last position fed, and the caches.
    weights: int8 rounds those of the products, in blocks that share a scale, and computes in int8; embeddings and norms stay float32.
    watched_layer: one more output, query (B, S, D): what the heads of that layer look for. tensor: name (`tensor_names`) -> values;
    default: those of `gpt`, which may otherwise be one without blocks.
    """
    tensor = tensor or _tensors_of(gpt)
    graph, dim = Graph("gpt"), gpt.config.dim
    latents = graph.input("latents", np.float32, ["batch", "latents", dim])
    ids = graph.input("ids", np.int32, ["batch", "fed"])
    positions = graph.input("positions", np.int32, ["batch", "fed"])
    lengths = graph.input("lengths", np.int32, ["batch"])
    room = graph.input("room", np.int32, [1])
    table = graph.constant(np.concatenate([tensor("text_embedding"), tensor("audio_embedding")]), "embedding")
    places = graph.constant(np.concatenate([tensor("text_position_embedding"), tensor("audio_position_embedding")]), "position_embedding")
    embedded = graph.op("Add", [graph.op("Gather", [table, ids]), graph.op("Gather", [places, positions])])
    x = graph.op("Concat", [latents, embedded], axis=1)  # (B, L + S, D)
    parts = _Parts(graph, tensor, weights)
    for index in range(gpt.config.num_layers):
        x = _block(parts, gpt, x, (lengths, room), index, index == watched_layer)
    last = graph.op("Gather", [x, graph.constant(-1)], axis=1)  # (B, D)
    latent = parts.norm("final_norm", parts.norm("blocks_norm", last))
    logits = parts.dense("audio_head", latent)
    for name, value, width in (("logits", logits, gpt.num_audio_tokens), ("latent", latent, dim)):
        graph.output(graph.op("Identity", [value], [name]), np.float32, ["batch", width])
    return graph


def _block(parts: "_Parts", gpt: GPT, x: str, held: tuple[str, str], index: int, watched: bool) -> str:
    """A transformer block with its cache: `held` are the lengths and the room."""
    graph, name, heads = parts.graph, f"block_{index}", gpt.config.num_heads
    cache = ["batch", heads, "room", gpt.config.dim // heads]
    qkv = parts.dense(f"{name}/qkv", parts.norm(f"{name}/attention_norm", x))
    if watched:
        query, _, _ = graph.op("Split", [qkv], outputs=["query", "query/key", "query/value"], axis=-1, num_outputs=3)
        graph.output(query, np.float32, ["batch", "fed", gpt.config.dim])
    past = [graph.input(f"{kind}_{index}", np.float32, cache) for kind in ("key", "value")]
    outputs = [f"{name}/attended", f"key_{index}_out", f"value_{index}_out"]
    attended, *present = graph.op(
        "GroupQueryAttention", [qkv, "", "", *past, *held], outputs, "com.microsoft", num_heads=heads, kv_num_heads=heads
    )
    for value in present:
        graph.output(value, np.float32, cache)
    x = graph.op("Add", [x, parts.dense(f"{name}/attention_out", attended)])
    hidden = graph.op("Gelu", [parts.dense(f"{name}/mlp_in", parts.norm(f"{name}/mlp_norm", x))], approximate="tanh")
    return graph.op("Add", [x, parts.dense(f"{name}/mlp_out", hidden)])


@dataclass(frozen=True)
class _Parts:
    """Layers of the graph, by the names of their tensors."""

    graph: Graph
    tensor: Tensor
    weights: Weights

    def norm(self, name: str, x: str) -> str:
        gamma, beta = (self.graph.constant(self.tensor(f"{name}/{part}"), f"{name}/{part}") for part in ("gamma", "beta"))
        return self.graph.op("LayerNormalization", [x, gamma, beta], axis=-1, epsilon=NORM_EPSILON)

    def dense(self, name: str, x: str) -> str:
        graph, kernel, bias = self.graph, self.tensor(f"{name}/kernel"), self.graph.constant(self.tensor(f"{name}/bias"), f"{name}/bias")
        if self.weights == "float32":
            return graph.op("Add", [graph.op("MatMul", [x, graph.constant(kernel, f"{name}/kernel")]), bias])
        values, scales = int8_blocks(kernel)
        inputs = [x, graph.constant(values, f"{name}/values"), graph.constant(scales, f"{name}/scales"), "", "", bias]
        shape = {"K": kernel.shape[0], "N": kernel.shape[1], "bits": 8, "block_size": values.shape[-1]}
        return graph.op("MatMulNBits", inputs, domain="com.microsoft", accuracy_level=INT8_COMPUTE, **shape)


def _tensors_of(gpt: GPT) -> Tensor:
    named = tensor_names(gpt)
    return lambda name: np.asarray(named[name], np.float32)


def int8_blocks(kernel: np.ndarray | StoredArray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (inputs, outputs) -> values (outputs, blocks, size) uint8 around 128, and scales (outputs, blocks) float32.

    kernel ≈ (values - 128) · scales: each block of `size` inputs is rounded to 255 steps between its own largest magnitudes.
    """
    kernel = np.asarray(kernel)
    inputs, outputs = kernel.shape
    size = next((size for size in BLOCK_SIZES if inputs % size == 0), BLOCK_SIZES[-1])
    blocks = -(-inputs // size)
    rows = np.zeros((outputs, blocks * size), np.float32)
    rows[:, :inputs] = kernel.T
    rows = rows.reshape(outputs, blocks, size)
    scales = np.abs(rows).max(axis=2) / 127  # (outputs, blocks)
    rows /= np.where(scales == 0, 1, scales)[:, :, None]
    return (np.rint(rows) + 128).astype(np.uint8), scales.astype(np.float32)


@dataclass
class StepCache:
    """What a batch has said so far. parts: of each layer its keys and values (B, H, P, d), which the session writes into.

    lengths (B,): positions that are filled; text (B,): how many of them are text, after the latents.
    """

    parts: list[np.ndarray]
    lengths: np.ndarray
    text: np.ndarray

    def rows(self, rows: np.ndarray) -> "StepCache":
        """The cache of these rows alone."""
        return StepCache([np.ascontiguousarray(part[rows]) for part in self.parts], self.lengths[rows], self.text[rows])


class GPTSession:
    """A GPT in ONNX Runtime: `prefill` once, then `step` by `step`. It holds its own copy of the weights, as they were.

    watched: (layer, head) whose attention `looks` tells of; None = none. tensor: as for `gpt_graph`.
    """

    def __init__(self, gpt: GPT, weights: Weights, threads: int, watched: tuple[int, int] | None = None, tensor: Tensor | None = None):
        self.session = session(gpt_graph(gpt, weights, watched and watched[0], tensor), threads)
        self.config, self.num_text_tokens, self.text_positions = gpt.config, gpt.num_text_tokens, gpt.text_positions
        self.watched = watched
        self._names = [f"{kind}_{index}" for index in range(gpt.config.num_layers) for kind in ("key", "value")]
        self._query: np.ndarray | None = None

    def prefill(self, latents: np.ndarray, text_ids: np.ndarray, text_mask: np.ndarray, max_audio: int) -> StepCache:
        """Feeds the prefix. latents (B, L, D); text_ids (B, T), text_mask (B, T) True = keep, a row's tokens before its padding."""
        rows, text = text_ids.shape
        heads, head_dim = self.config.num_heads, self.config.dim // self.config.num_heads
        shape = (rows, heads, latents.shape[1] + text + max_audio, head_dim)
        lengths = text_mask.sum(axis=1).astype(np.int32)
        cache = StepCache([np.zeros(shape, np.float32) for _ in self._names], latents.shape[1] + lengths, lengths)
        positions = np.broadcast_to(np.arange(text, dtype=np.int32), text_ids.shape)
        self._run(cache, latents, text_ids, positions, longest=latents.shape[1] + text)
        return cache

    def step(self, cache: StepCache, ids: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Feeds one audio token: ids (B,), index: how many came before it. Returns logits (B, A) and latent (B, D), as `GPT.step`."""
        cache.lengths = cache.lengths + 1
        empty = np.zeros((len(ids), 0, self.config.dim), np.float32)
        fed = (ids[:, None] + self.num_text_tokens).astype(np.int32)
        return self._run(cache, empty, fed, np.full_like(fed, self.text_positions + index), longest=int(cache.lengths.max()))

    def looks(self, cache: StepCache) -> np.ndarray | None:
        """Which text token the audio token that was fed last looks at, (B,); None where no head is watched."""
        if self.watched is None:
            return None
        layer, head = self.watched
        size = self.config.dim // self.config.num_heads
        query, keys = self._query[:, -1, head * size : (head + 1) * size], cache.parts[2 * layer][:, head]  # (B, d), (B, P, d)
        first = self.config.num_latents
        return np.array([int(np.argmax(keys[row, first : first + count] @ query[row])) for row, count in enumerate(cache.text)])

    def _run(self, cache: StepCache, latents: np.ndarray, ids: np.ndarray, positions: np.ndarray, longest: int):
        binding = self.session.io_binding()
        fed = {"latents": latents, "ids": ids, "positions": positions, "lengths": cache.lengths - 1, "room": [longest]}
        for name, value in fed.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value, np.float32 if name == "latents" else np.int32))
        for name, part in zip(self._names, cache.parts, strict=True):
            value = runtime().OrtValue.ortvalue_from_numpy(part)  # shares its memory, as input and as output: nothing is copied
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"{name}_out", value)
        wanted = ["logits", "latent", *([] if self.watched is None else ["query"])]
        for name in wanted:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        logits, latent, *query = (value.numpy() for value in binding.get_outputs()[-len(wanted) :])
        self._query = query[0] if query else None
        return logits, latent
