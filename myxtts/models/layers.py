"""Parts that several networks share: attention with boolean masks, a transformer block with a key-value cache.

B batch, H heads, Q queries, P keys, D width, d = D / H. Masks are boolean, True = keep.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import keras
from keras import ops
from keras.src.backend.common import global_state

GROUP_WIDTH = 16  # channels that make an ordinary convolution efficient on a CPU
REPLICA_STRIDE = 0x9E3779B9  # between the seeds of two replicas: odd, so that no two of 2**32 meet
UNINITIALISED = "uninitialized_variables"  # Keras' name for its list of variables without memory
HIDDEN_SCORE = -1e9  # finite, so that a query with every key hidden gives a mean and not NaN


def build_layers(*layers_and_widths: tuple[keras.layers.Layer, int], rank: int = 3) -> None:
    """Creates the variables of channels-last layers, each from its input width, without data."""
    for layer, width in layers_and_widths:
        layer.build((None,) * (rank - 1) + (width,))


@contextmanager
def sizes_alone() -> Iterator[None]:
    """Networks that are built within it have names and shapes, and never any memory.

    A variable made in a StatelessScope gets its memory when the next such scope of Keras ends, of which `stateless_call` and every call on
    symbolic tensors open one: Keras keeps a list, and so would give a network memory, gigabytes at XTTS v2's size, that was to be counted
    alone. Here what was built is taken off the list again. (No public way leads to it: keras.src, Keras 3.15.)
    """
    waiting = list(global_state.get_global_attribute(UNINITIALISED, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(UNINITIALISED, waiting)


def split_heads(x: Any, num_heads: int) -> Any:
    """(B, Q, H·d) -> (B, H, Q, d)."""
    batch, length, width = x.shape[0], x.shape[1], x.shape[2]
    x = ops.reshape(x, (-1 if batch is None else batch, length if length is not None else -1, num_heads, width // num_heads))
    return ops.transpose(x, (0, 2, 1, 3))  # (B, H, Q, d)


def merge_heads(x: Any) -> Any:
    """(B, H, Q, d) -> (B, Q, H·d)."""
    batch, heads, length, width = x.shape
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1 if batch is None else batch, length if length is not None else -1, heads * width))  # (B, Q, H·d)


def attention(query: Any, key: Any, value: Any, mask: Any = None, drop: Callable[[Any], Any] | None = None) -> Any:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1).

    query (B, H, Q, d), key and value (B, H, P, d). mask: boolean, broadcastable to (B, H, Q, P), True = keep; None = keep all.
    drop: a function put on the weights. Weights are computed in float32 under every precision policy. Returns (B, H, Q, d).
    """
    weights = ops.cast(attention_weights(query, key, mask), value.dtype)
    if drop is not None:
        weights = drop(weights)
    return ops.matmul(weights, value)  # (B, H, Q, d)


def attention_weights(query: Any, key: Any, mask: Any = None) -> Any:
    """What `attention` weighs values with: (B, H, Q, P) float32, summing to 1 over P. Arguments as there."""
    scale = query.shape[-1] ** -0.5
    scores = ops.matmul(query * scale, ops.transpose(key, (0, 1, 3, 2)))  # (B, H, Q, P)
    scores = ops.cast(scores, "float32")
    if mask is not None:
        scores = ops.where(mask, scores, HIDDEN_SCORE)
    return ops.softmax(scores, axis=-1)


class SeedGenerator(keras.random.SeedGenerator):
    """Keras' own, whose seeds differ from one replica of a data-parallel training to the next: each has rows of its own to drop from.

    replica: number of the replica that asks; whoever trains on several says how it is found. The first one draws what Keras would.
    """

    replica: ClassVar[Callable[[], Any]] = staticmethod(lambda: 0)

    def next(self, ordered: bool = True) -> Any:
        seed = super().next(ordered)
        return seed + ops.cast(ops.stack([self.replica(), 0]), seed.dtype) * REPLICA_STRIDE


class DrawnSeed(keras.random.SeedGenerator):
    """A seed drawn earlier, which every use gets again: a recomputed dropout must drop what it dropped the first time."""

    def __init__(self, seed: Any):  # no state of its own, so none is created
        self.seed = seed

    def next(self, ordered: bool = True) -> Any:
        return self.seed


def run_again(function: Callable[..., Any], again: bool) -> Callable[..., Any]:
    """`function` of float tensors, whose activations are recomputed in the backward pass instead of kept (Chen et al. 2016)."""
    return keras.remat(function) if again else function


class TransformerBlock(keras.layers.Layer):
    """Pre-norm block of GPT-2 (Radford et al. 2019): x + attention(norm(x)), then x + mlp(norm(x)), tanh GELU.

    Its seed generator is created with it, so that a checkpoint of the model holds the dropout's state.
    residual_scale: what the initial weights of the two projections back into the residual stream are multiplied by.
    rematerialise: `none`, `selective` (what is large and cheap is computed a second time instead of kept: the attention weights and the
    insides of GELU; Korthikanti et al. 2022) or `blocks` (everything between two blocks).
    """

    def __init__(self, dim: int, num_heads: int, dropout: float, residual_scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.num_heads, self.dropout = dim, num_heads, dropout
        self.seeds = SeedGenerator()
        into = keras.initializers.RandomNormal(stddev=0.02)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.qkv = keras.layers.Dense(3 * dim, kernel_initializer=into, name="qkv")
        self.attention_out = keras.layers.Dense(dim, kernel_initializer=_small_normal(residual_scale), name="attention_out")
        self.mlp_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="mlp_norm")
        self.mlp_in = keras.layers.Dense(4 * dim, kernel_initializer=into.clone(), name="mlp_in")
        self.mlp_out = keras.layers.Dense(dim, kernel_initializer=_small_normal(residual_scale), name="mlp_out")

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        build_layers(
            (self.attention_norm, self.dim),
            (self.qkv, self.dim),
            (self.attention_out, self.dim),
            (self.mlp_norm, self.dim),
            (self.mlp_in, self.dim),
            (self.mlp_out, 4 * self.dim),
        )
        self.built = True

    def call(self, x: Any, mask: Any, training: bool = False, rematerialise: str = "none") -> Any:
        """x (B, Q, D), mask boolean broadcastable to (B, H, Q, Q), True = keep. Returns (B, Q, D)."""
        # drawn here and not where they are used, so that a recomputation uses the same
        seeds = [self.seeds.next() for _ in range(3)] if training and self.dropout else []
        selective = rematerialise == "selective"
        return run_again(lambda x: self._whole(x, mask, seeds, selective)[0], rematerialise == "blocks")(x)

    def with_keys(self, x: Any, mask: Any) -> tuple[Any, Any, Any]:
        """`call` in inference mode, and the keys and values (B, H, Q, d) that a cache keeps."""
        return self._whole(x, mask, ())

    def attention_map(self, x: Any, mask: Any) -> Any:
        """The attention weights (B, H, Q, Q) float32 of `call` in inference mode, which is for looking at them."""
        query, key, _ = self._heads(x)
        return attention_weights(query, key, mask)

    def first_head(self, x: Any, mask: Any, queries: int) -> Any:
        """The attention weights (B, S, Q) float32 of head 0 at the positions from `queries` on, with gradient. mask (B, 1, Q, Q)."""
        query, key, _ = self._heads(x)
        return attention_weights(query[:, :1, queries:], key[:, :1], mask[:, :, queries:])[:, 0]

    def _heads(self, x: Any) -> tuple[Any, ...]:
        """Query, key and value, (B, H, Q, d) each."""
        return tuple(split_heads(part, self.num_heads) for part in ops.split(self.qkv(self.attention_norm(x)), 3, axis=-1))

    def _whole(self, x: Any, mask: Any, seeds: Sequence[Any], again: bool = False) -> tuple[Any, Any, Any]:
        """seeds: of the three dropouts (weights, attention, mlp); none = no dropout."""
        drop_weights, drop_attended, drop_mlp = (self._dropout(seed) for seed in seeds or (None, None, None))
        query, key, value = self._heads(x)
        attended = run_again(lambda *heads: attention(*heads, mask, drop_weights), again)(query, key, value)
        x = x + drop_attended(self.attention_out(merge_heads(attended)))
        return x + drop_mlp(self._mlp(x, again)), key, value

    def step(self, x: Any, keys: Any, values: Any, position: Any, mask: Any) -> tuple[Any, Any, Any]:
        """One position of inference with a cache.

        x (B, D), keys and values (B, H, P, d) with P the whole cache, position: scalar int tensor, where to write,
        mask (B, 1, 1, P) True = keep. Returns x (B, D) and the caches with the new position filled.
        """
        batch, heads, _, head_dim = keys.shape
        new = ops.reshape(self.qkv(self.attention_norm(x)), (batch, 3, heads, 1, head_dim))
        keys = ops.slice_update(keys, (0, 0, position, 0), new[:, 1])
        values = ops.slice_update(values, (0, 0, position, 0), new[:, 2])
        attended = ops.reshape(attention(new[:, 0], keys, values, mask), (batch, self.dim))
        x = x + self.attention_out(attended)
        return x + self._mlp(x), keys, values

    def _mlp(self, x: Any, again: bool = False) -> Any:
        activate = run_again(lambda hidden: ops.gelu(hidden, approximate=True), again)
        return self.mlp_out(activate(self.mlp_in(self.mlp_norm(x))))

    def _dropout(self, seed: Any) -> Callable[[Any], Any]:
        if seed is None:
            return lambda x: x
        return lambda x: keras.random.dropout(x, self.dropout, seed=DrawnSeed(seed))


def _small_normal(scale: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02 * scale)


def causal_mask(length: int, key_mask: Any) -> Any:
    """No query sees a later key, nor a hidden one. key_mask (B, length) boolean. Returns (B, 1, length, length) boolean."""
    positions = ops.arange(length)
    past = positions[:, None] >= positions[None, :]  # (Q, P)
    return ops.logical_and(past[None, None], key_mask[:, None, None, :])


class WeightNorm(keras.layers.Layer):
    """What both convolutions share: a kernel = gain · direction / |direction| (Salimans & Kingma 2016), computed at every call or kept.

    `folded`: the kernel once `fold` has computed it, which is for inference; gain and direction stay what is trained and saved.
    """

    folded: Any = None

    def fold(self) -> None:
        """Computes the kernel once. Whoever changes gain or direction afterwards must `unfold`."""
        self.folded = self.weight()

    def unfold(self) -> None:
        """Computes the kernel at every call again, as a training needs it."""
        self.folded = None

    def weight(self) -> Any:
        """gain · direction / |direction|, of the shape of `direction`, float32."""
        direction = ops.convert_to_tensor(self.direction)
        lengths = ops.sum(ops.square(direction), axis=(0, 1))  # one for each entry of `gain`, the last axis
        return direction * (ops.convert_to_tensor(self.gain) * ops.rsqrt(lengths + 1e-12))

    def kernel_as(self, dtype: Any) -> Any:
        """The kernel, of direction's shape."""
        return ops.cast(self.weight() if self.folded is None else self.folded, dtype)


class WeightNormConv1D(WeightNorm):
    """Convolution with weight = gain · v / |v| (Salimans & Kingma 2016), one gain for each output channel.

    `gain` (outputs,) and `direction` (kernel, inputs / groups, outputs) are the variables, as in the reference's checkpoints.
    padding: zeros on each side; default keeps the length at stride 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.inputs, self.outputs, self.kernel = inputs, outputs, kernel
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = dilation * (kernel - 1) // 2 if padding is None else padding

    def build(self, input_shape=None) -> None:
        shape = (self.kernel, self.inputs // self.groups, self.outputs)
        self.direction, self.gain = _direction_and_gain(self, shape, fan_in=self.kernel * self.inputs // self.groups)
        self.bias = self.add_weight(name="bias", shape=(self.outputs,), initializer="zeros")
        self.built = True

    def call(self, x: Any) -> Any:
        """(B, F, inputs) -> (B, F', outputs)."""
        weight = self.kernel_as(x.dtype)
        x = ops.pad(x, ((0, 0), (self.padding, self.padding), (0, 0)))
        y = self._convolve(x, weight) if self.groups == 1 else self._convolve_groups(x, weight)
        return y + ops.cast(self.bias, x.dtype)

    def _convolve(self, x: Any, weight: Any) -> Any:
        strides = {"strides": self.stride} if self.dilation == 1 else {"dilation_rate": self.dilation}
        return ops.conv(x, weight, padding="valid", data_format="channels_last", **strides)

    def _convolve_groups(self, x: Any, weight: Any) -> Any:
        """A grouped convolution as a few ordinary ones.

        TensorFlow's own has a gradient on CPU that takes 10 s where this takes 0.07 s. Groups narrower than GROUP_WIDTH share one
        convolution, with zeros in between: faster than many narrow ones.
        """
        together = min(self.groups, max(1, GROUP_WIDTH * self.groups // self.inputs))
        while self.groups % together:
            together -= 1
        chunks = self.groups // together
        parts = zip(ops.split(x, chunks, axis=-1), ops.split(weight, chunks, axis=-1), strict=True)
        return ops.concatenate([self._convolve(part, _block_diagonal(kernel, together)) for part, kernel in parts], axis=-1)


class WeightNormConv1DTranspose(WeightNorm):
    """Transposed convolution that stretches time by `stride`, weight-normalised like WeightNormConv1D.

    `gain` (inputs,): one for each *input* channel, for the reference normalises over the first axis of a kernel that transposed
    convolutions store inputs-first. `direction` (kernel, outputs, inputs). (kernel - stride) must be even: half is cut from each end.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.outputs, self.kernel, self.stride = inputs, outputs, kernel, stride

    def build(self, input_shape=None) -> None:
        # stride positions share the kernel's taps: this many products make up one output
        fan_in = max(1, self.inputs * self.kernel // self.stride)
        self.direction, self.gain = _direction_and_gain(self, (self.kernel, self.outputs, self.inputs), fan_in=fan_in)
        self.bias = self.add_weight(name="bias", shape=(self.outputs,), initializer="zeros")
        self.built = True

    def call(self, x: Any) -> Any:
        """(B, F, inputs) -> (B, F·stride, outputs)."""
        weight = self.kernel_as(x.dtype)
        y = ops.conv_transpose(x, weight, strides=self.stride, padding="same", data_format="channels_last")
        return y + ops.cast(self.bias, x.dtype)


def _direction_and_gain(layer: keras.layers.Layer, shape: tuple[int, ...], fan_in: int) -> tuple[Any, Any]:
    """Creates both variables so that the weight they give is uniform with variance 1 / (3 fan_in), PyTorch's default."""
    bound = fan_in**-0.5
    # float32 under every precision policy: a length summed in half precision would make the weight a per cent too long or short
    direction = layer.add_weight(name="direction", shape=shape, initializer=keras.initializers.RandomUniform(-bound, bound), autocast=False)

    def length(shape, dtype=None):
        values = direction.value  # so that gain · direction / |direction| is at first the direction as it was drawn
        return ops.cast(ops.sqrt(ops.sum(ops.square(values), axis=(0, 1))), dtype)

    return direction, layer.add_weight(name="gain", shape=shape[2:], initializer=length, autocast=False)


def _block_diagonal(weight: Any, groups: int) -> Any:
    """Kernel of a grouped convolution (kernel, inputs / groups, outputs) -> of the same as an ordinary one (kernel, inputs, outputs)."""
    kernel, per_group, outputs = weight.shape
    blocks = ops.reshape(weight, (kernel, 1, per_group, groups, outputs // groups))
    diagonal = ops.cast(ops.eye(groups), weight.dtype)[None, :, None, :, None]
    return ops.reshape(blocks * diagonal, (kernel, groups * per_group, outputs))
