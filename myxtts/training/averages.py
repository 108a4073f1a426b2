"""Moving averages of the weights (`ema_decay`): kept by the optimizers, put in place while somebody looks at the network."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from myxtts.training.optim import Group


@contextmanager
def averaged(groups: dict[str, list[Group]]) -> Iterator[None]:
    """Inside, the trained variables hold their averages; afterwards what they held before. Without averages nothing happens."""
    variables = put_averages(groups, keep=True)
    try:
        yield
    finally:
        for variable, value in variables:
            variable.assign(value)


def put_averages(groups: dict[str, list[Group]], keep: bool = False) -> list[tuple[tf.Variable, tf.Tensor]]:
    """Gives the trained variables their averages; with `keep`, returns each with the value that it had."""
    before = []
    for group in (group for members in groups.values() for group in members):
        optimizer = group.optimizer
        # before the first step the averages are no averages of anything
        if optimizer.use_ema and int(optimizer.iterations) > 0:
            before += [(variable.value, tf.identity(variable.value)) for variable in optimizer._trainable_variables] if keep else []
            optimizer.finalize_variable_values(optimizer._trainable_variables)
    return before
