"""One optimizer update as one compiled function: accumulation inside, gradients summed over replicas, non-finite updates skipped whole."""

import logging

import tensorflow as tf

from myxtts.data.batches import Batch
from myxtts.training.optim import Group
from myxtts.training.tasks.base import Task, Terms

# TensorFlow takes what is compiled once for each bucket for a mistake, and says so at length; a test counts the traces
logging.getLogger("tensorflow").addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())


class LossScale:
    """What a float16 loss is multiplied by before its gradient is taken, so that small gradients are not rounded to zero.

    Halved after an update that overflowed (which is skipped), doubled after GROWTH_STEPS good ones (Micikevicius et al. 2018, 3.2).
    """

    START, GROWTH_STEPS = 2.0**15, 2000

    def __init__(self) -> None:
        # replicas agree on the value: one of them is to set it, or it would be set once by each
        first = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.value = tf.Variable(self.START, name="loss_scale", **first)
        self.good_steps = tf.Variable(0, name="good_steps", **first)

    def update(self, finite: tf.Tensor, applies: tf.Tensor | bool = True) -> None:
        """applies: False = a rehearsal, which leaves it as it is."""
        grown = self.good_steps + 1 >= self.GROWTH_STEPS
        better = tf.where(grown, self.value * 2.0, self.value)
        value = tf.where(finite, better, tf.maximum(self.value / 2.0, 1.0))
        good_steps = tf.where(finite & ~grown, self.good_steps + 1, 0)
        self.value.assign(tf.where(applies, value, self.value))
        self.good_steps.assign(tf.where(applies, good_steps, self.good_steps))


class TrainStep:
    """Calls as `step(batch) -> {name: scalar tensor}`. Results stay on the device until somebody reads them."""

    def __init__(self, task: Task, groups: dict[str, list[Group]], strategy: tf.distribute.Strategy, grad_accum: int):
        """groups: the optimizers of each objective. To be made in the strategy's scope."""
        self.task, self.groups, self.strategy, self.grad_accum = task, groups, strategy, grad_accum
        # bfloat16 has the range of float32: only float16 needs it
        names = task.objectives if task.settings.precision == "float16" else ()
        self.loss_scales = {name: LossScale() for name in names}
        self.traces = 0
        self._applies = tf.Variable(True, trainable=False, name="applies", aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self._run = tf.function(self._distributed, autograph=False)

    def __call__(self, batch: Batch) -> Terms:
        return self._run(batch)

    def rehearse(self, batch: Batch) -> Terms:
        """The same step, compiled once for both, which updates nothing that an optimizer or the loss scale holds.

        Dropout's seeds and running statistics do move: whoever rehearses puts them back.
        """
        self._applies.assign(False)
        try:
            return self._run(batch)
        finally:
            self._applies.assign(True)

    def _distributed(self, batch: Batch) -> Terms:
        self.traces += 1  # Python runs only while tracing
        logs: Terms = {}
        for objective in self.task.objectives:
            computed = self.strategy.run(self._gradients, args=(objective, batch))
            # every value was summed over the replicas inside, so any replica's copy is the answer
            terms, norm, finite, number = (self._first(value) for value in computed[2:])
            logs |= terms | {f"grad_norm/{objective}": norm, f"skipped/{objective}": tf.cast(~finite, tf.float32)}
            if objective in self.loss_scales:
                logs[f"loss_scale/{objective}"] = tf.identity(self.loss_scales[objective].value)
                self.loss_scales[objective].update(finite, self._applies)
            self._apply_if(finite & self._applies, objective, *computed[:2], norm, number)
        return logs

    def _first(self, value):
        """The first replica's copy of a per-replica value, or of a structure of them."""
        if isinstance(value, dict):
            return {name: self._first(item) for name, item in value.items()}
        return self.strategy.experimental_local_results(value)[0]

    def _gradients(self, objective: str, batch: Batch):
        """(gradients, statistics, terms, global norm, all finite?, number of updates so far), summed over the replicas."""
        context = tf.distribute.get_replica_context()
        running = self.task.running_statistics
        before = [tf.identity(variable.value) for variable in running]
        counts = _all_sum(context, self.task.targets(batch))
        gradients, terms, statistics = self._accumulate(objective, self.task.objectives[objective], batch, counts)
        gradients, terms, statistics = (_all_sum(context, value) for value in (gradients, terms, statistics))
        norm = tf.linalg.global_norm(gradients)
        # a loss that is no number spoils what is kept of it, even where its gradient happens to be one
        finite = tf.math.is_finite(norm) & tf.reduce_all([tf.math.is_finite(value) for value in terms.values()])
        for variable, value in zip(running, before, strict=True):
            variable.assign(tf.where(finite, variable.value, value))
        return gradients, statistics, terms, norm, finite, tf.identity(self.groups[objective][0].optimizer.iterations.value)

    def _apply_if(self, condition: tf.Tensor, objective: str, gradients, statistics, norm: tf.Tensor, number: tf.Tensor) -> None:
        """Updates only where `condition` holds: an update with a NaN in it must leave no trace, moments included."""
        limit = self.task.settings.grad_clip_norm
        scale = tf.minimum(1.0, limit / tf.maximum(norm, 1e-12)) if limit else tf.constant(1.0)

        def update(gradients, statistics) -> None:
            variables = self.task.objectives[objective]
            for group in self.groups[objective]:
                mine = [gradients[number] * scale for number in group.numbers]
                group.optimizer.apply(mine, [variables[number] for number in group.numbers])
            if statistics:
                self.task.after_step(statistics, number)

        def yes() -> tf.Tensor:
            self.strategy.run(update, args=(gradients, statistics))
            return tf.constant(True)

        tf.cond(condition, yes, lambda: tf.constant(False))

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

        # the loop's first pass needs nothing of the micro-batch before it: left alone, both would be in memory at once
        with tf.control_dependencies(tf.nest.flatten(state)):
            first = tf.identity(tf.constant(1))
        loop = tf.while_loop(lambda number, *_: number < self.grad_accum, body, (first, *state), parallel_iterations=1)
        return loop[1:]


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
