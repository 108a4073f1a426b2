"""One optimizer update as one compiled function: accumulation inside, gradients summed over replicas, non-finite updates skipped whole."""

from collections.abc import Callable

import keras
import tensorflow as tf

from myxtts.data.batches import Batch
from myxtts.training.tasks.base import Task, Terms


class LossScale:
    """What a float16 loss is multiplied by before its gradient is taken, so that small gradients are not rounded to zero.

    Halved after an update that overflowed (which is skipped), doubled after GROWTH_STEPS good ones (Micikevicius et al. 2018, 3.2).
    """

    START, GROWTH_STEPS = 2.0**15, 2000

    def __init__(self) -> None:
        self.value = tf.Variable(self.START, trainable=False, name="loss_scale")
        self.good_steps = tf.Variable(0, trainable=False, name="good_steps")

    def update(self, finite: tf.Tensor) -> None:
        grown = self.good_steps + 1 >= self.GROWTH_STEPS
        better = tf.where(grown, self.value * 2.0, self.value)
        self.value.assign(tf.where(finite, better, tf.maximum(self.value / 2.0, 1.0)))
        self.good_steps.assign(tf.where(finite & ~grown, self.good_steps + 1, 0))


class TrainStep:
    """Calls as `step(batch) -> {name: scalar tensor}`. Results stay on the device until somebody reads them."""

    def __init__(self, task: Task, optimizers: dict[str, keras.optimizers.Optimizer], strategy: tf.distribute.Strategy, grad_accum: int):
        self.task, self.optimizers, self.strategy, self.grad_accum = task, optimizers, strategy, grad_accum
        # bfloat16 has the range of float32: only float16 needs it
        names = task.objectives if task.settings.precision == "float16" else ()
        self.loss_scales = {name: LossScale() for name in names}
        self.traces = 0
        self._run = tf.function(self._distributed, autograph=False)

    def __call__(self, batch: Batch) -> Terms:
        return self._run(batch)

    def _distributed(self, batch: Batch) -> Terms:
        self.traces += 1  # Python runs only while tracing
        per_replica = self.strategy.run(self._replica, args=(batch,))
        # every value was summed over the replicas inside, so any replica's copy is the answer
        return {name: self.strategy.experimental_local_results(value)[0] for name, value in per_replica.items()}

    def _replica(self, batch: Batch) -> Terms:
        context = tf.distribute.get_replica_context()
        counts = _all_sum(context, self.task.targets(batch))
        logs: Terms = {}
        for objective, variables in self.task.objectives.items():
            gradients, terms, statistics = self._accumulate(objective, variables, batch, counts)
            gradients, terms, statistics = (_all_sum(context, value) for value in (gradients, terms, statistics))
            norm = tf.linalg.global_norm(gradients)
            finite = tf.math.is_finite(norm)
            self._apply(objective, variables, gradients, norm, finite)
            if objective in self.loss_scales:
                logs[f"loss_scale/{objective}"] = tf.identity(self.loss_scales[objective].value)
                self.loss_scales[objective].update(finite)
            if statistics:
                statistics = tf.nest.map_structure(lambda value, keep=finite: tf.where(keep, value, tf.zeros_like(value)), statistics)
                number = self.optimizers[objective].iterations.value
                self._when(finite, lambda statistics=statistics, number=number: self.task.after_step(statistics, number))
            logs |= terms | {f"grad_norm/{objective}": norm, f"skipped/{objective}": tf.cast(~finite, tf.float32)}
        return logs

    def _accumulate(self, objective: str, variables: list, batch: Batch, counts: Terms):
        """Gradients, terms and statistics summed over `grad_accum` micro-batches, one in memory at a time."""

        scale = tf.identity(self.loss_scales[objective].value) if objective in self.loss_scales else None

        def micro(number: tf.Tensor | int):
            rows = tf.nest.map_structure(lambda value: value.shape[0] // self.grad_accum, batch)
            part = {name: value[number * rows[name] : (number + 1) * rows[name]] for name, value in batch.items()}
            part = {name: tf.ensure_shape(value, [rows[name], *batch[name].shape[1:]]) for name, value in part.items()}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                for variable in variables:
                    tape.watch(variable.value)
                total, terms, statistics = self.task.loss(objective, part, counts)
                scaled = total if scale is None else total * scale
            gradients = tape.gradient(scaled, [variable.value for variable in variables])
            silent = [v.path for v, gradient in zip(variables, gradients, strict=True) if gradient is None]
            if silent:
                raise RuntimeError(f"no gradient reaches {silent}: every trainable variable must take part in the {objective} loss")
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
            return gradients if scale is None else [gradient / scale for gradient in gradients], dict(terms), dict(statistics)

        state = micro(0)
        if self.grad_accum == 1:
            return state

        def body(number, gradients, terms, statistics):
            more = micro(number)
            summed = [a + b for a, b in zip(gradients, more[0], strict=True)]
            return number + 1, summed, tf.nest.map_structure(tf.add, terms, more[1]), self.task.combine(statistics, more[2])

        loop = tf.while_loop(lambda number, *_: number < self.grad_accum, body, (tf.constant(1), *state), parallel_iterations=1)
        return loop[1:]

    def _apply(self, objective: str, variables: list, gradients: list, norm: tf.Tensor, finite: tf.Tensor) -> None:
        limit = self.task.settings.grad_clip_norm
        scale = tf.minimum(1.0, limit / tf.maximum(norm, 1e-12)) if limit else tf.constant(1.0)
        # Keras' optimizer sums gradients over the replicas; ours are sums already
        scale = scale / self.strategy.num_replicas_in_sync
        gradients = [tf.where(finite, gradient * scale, tf.zeros_like(gradient)) for gradient in gradients]
        self._when(finite, lambda: self.optimizers[objective].apply(gradients, variables))

    def _when(self, condition: tf.Tensor, update: Callable[[], None]) -> None:
        """Runs `update` only where `condition` holds: an update with a NaN in it must leave no trace, moments included.

        Over several replicas an optimizer cannot run inside a condition; there the gradients are zeroed instead (see `_apply`).
        """
        if self.strategy.num_replicas_in_sync > 1:
            update()
            return

        def yes():
            update()
            return tf.constant(True)

        tf.cond(condition, yes, lambda: tf.constant(False))


def _all_sum(context: tf.distribute.ReplicaContext, values):
    flat = tf.nest.flatten(values)
    if not flat or context.num_replicas_in_sync == 1:
        return values
    return tf.nest.pack_sequence_as(values, context.all_reduce(tf.distribute.ReduceOp.SUM, flat))


class ValidationStep:
    """Calls as `step(batch) -> {name: (sum, count)}`, compiled, summed over replicas."""

    def __init__(self, task: Task, strategy: tf.distribute.Strategy):
        self.task, self.strategy = task, strategy
        self.traces = 0
        self._run = tf.function(self._distributed, autograph=False)

    def __call__(self, batch: Batch) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        return self._run(batch)

    def _distributed(self, batch: Batch):
        self.traces += 1
        per_replica = self.strategy.run(self.task.validation, args=(batch,))
        return tf.nest.map_structure(lambda value: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None), per_replica)
