"""The number format that a network computes in. Its weights, norms, softmaxes and losses stay in float32."""

from collections.abc import Callable

import keras

from myxtts.config import ModelError

# mixed policies: float32 variables, computation in half precision (Micikevicius et al. 2018, "Mixed precision training")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_precision(network: keras.Model, precision: str) -> None:
    """Changes what a built network computes in; no variable changes. Functions compiled before keep what they were traced with.

    precision: a key of POLICIES. Raises ModelError for another one.
    """
    if precision not in POLICIES:
        raise ModelError(f"unknown precision {precision!r}; expected one of {', '.join(POLICIES)}")
    for layer in all_layers(network):
        layer.dtype_policy = POLICIES[precision]


def all_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The network and every layer inside it, at any depth. Keras lists them for its own summaries, under a private name."""
    return list(network._flatten_layers(include_self=True, recursive=True))


def with_weights_in(make: Callable[[], keras.Model], network: keras.Model, dtype: str) -> keras.Model:
    """A copy of `network`, which `make` builds anew, whose weights are of another number format and which computes in it.

    dtype: `bfloat16` halves the memory that a step reads. For inference alone: such weights are too coarse to be trained.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        copy = make()
    finally:
        keras.config.set_dtype_policy(before)
    take_over(copy, network)
    return copy


def take_over(copy: keras.Model, network: keras.Model) -> None:
    """Gives `copy` the values of all variables of `network`, which is built alike, rounded where its own are coarser."""
    for new, old in zip(copy.variables, network.variables, strict=True):
        new.assign(keras.ops.cast(old, new.dtype))
