"""Where a pure function is applied to many items: on this machine's cores or on a Ray cluster. The results are the same.

A function gets a list of items and returns as many results.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any

from myxtts.config import ConfigError, MyXTTSError

BATCH = 8  # cost of the items that travel together; an item costs 1, or what its `cost` says
_AHEAD = 3  # batches that wait for each worker

Function = Callable[[list[Any]], list[Any]]
Finished = Iterator[tuple[Any, Any]]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def apply(function: Function, items: Iterable[Any], engine: str, workers: int | None) -> Finished:
    """Yields (item, result) of all items, in any order; result None = the process died on this item, and again on it alone.

    engine: a name of ENGINES; workers: processes, None = one for each core (of the machine, of the cluster), 1 = here, in this one.
    Items are taken from their iterator as far ahead as a bounded cost allows. Function, items and results must be picklable. Raises
    what the function raises, ConfigError where Ray is wanted and not installed, MyXTTSError where no process lives.
    """
    return ENGINES[engine](function, iter(items), workers)


def _local(function: Function, items: Iterator[Any], workers: int | None) -> Finished:
    workers = workers or cores()
    if workers == 1:
        yield from ((item, function([item])[0]) for item in items)
        return
    # others even for one item: what ends its process must not end this one
    first = list(islice(_batches(items), workers))
    if first:
        yield from _with_pools(lambda count: _Processes(function, count), chain(first, _batches(items)), len(first))


def _on_ray(function: Function, items: Iterator[Any], workers: int | None) -> Finished:
    try:
        import ray
    except ImportError:
        raise ConfigError("data.engine ray needs Ray: pip install 'myxtts[cluster]', or set data.engine to local") from None
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False)  # RAY_ADDRESS says which cluster; without it, one is made of this machine
    try:
        workers = workers or int(ray.cluster_resources().get("CPU", 1))
        yield from _with_pools(lambda count: _RayTasks(function), _batches(items), workers)
    finally:
        if ours:
            ray.shutdown()


ENGINES: dict[str, Callable[[Function, Iterator[Any], int | None], Finished]] = {"local": _local, "ray": _on_ray}


class _Died(Exception):
    """A process ended in the middle of its work: of a fault in native code, or for want of memory."""


class _Processes:
    """Processes of this machine."""

    def __init__(self, function: Function, workers: int):
        self._function = function
        # spawned, not forked: the parent may hold the threads of TensorFlow or MLflow
        self._pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))

    def start(self, batch: list[Any]) -> Future:
        try:
            return self._pool.submit(self._function, batch)
        except BrokenProcessPool as error:
            broken: Future = Future()  # known only once it is asked for its result
            broken.set_exception(error)
            return broken

    def done(self, tasks: Iterable[Future]) -> Iterable[Future]:
        return wait(tasks, return_when=FIRST_COMPLETED).done

    def result(self, task: Future) -> list[Any]:
        try:
            return task.result()
        except BrokenProcessPool:
            raise _Died from None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _RayTasks:
    """Tasks of a Ray cluster, one core each."""

    def __init__(self, function: Function):
        import ray

        self._ray = ray

        def work(batch: list[Any]) -> list[Any]:  # Ray takes functions only, no partial ones
            return function(batch)

        self._function = ray.remote(max_retries=0)(work)

    def start(self, batch: list[Any]) -> Any:
        return self._function.remote(batch)

    def done(self, tasks: Iterable[Any]) -> Iterable[Any]:
        return self._ray.wait(list(tasks), num_returns=1)[0]

    def result(self, task: Any) -> list[Any]:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError, self._ray.exceptions.NodeDiedError):
            raise _Died from None

    def close(self) -> None:
        pass  # Ray ends its tasks with this process; others may use the same cluster


def _with_pools(make: Callable[[int], Any], batches: Iterator[list[Any]], workers: int) -> Finished:
    """Runs the batches in a pool. Where a process dies, all that was under way is done again in a new one, item by item."""
    suspects: list[Any] = []
    while True:
        pool = make(workers)
        try:
            if suspects:
                _prove(pool)
            for item in suspects:
                alone = pool.start([item])
                pool.done([alone])
                try:
                    yield item, pool.result(alone)[0]
                except _Died:
                    yield item, None
                    pool.close()
                    pool = make(workers)
            suspects = []
            yield from _run(pool, batches, workers * _AHEAD * BATCH, suspects)
            if not suspects:
                return
        finally:
            pool.close()


def _prove(pool: Any) -> None:
    """Raises MyXTTSError where not even a process with nothing to do lives: no item is to blame then."""
    nothing = pool.start([])
    pool.done([nothing])
    try:
        pool.result(nothing)
    except _Died:
        raise MyXTTSError(
            "the processes that work on the clips end as soon as they begin, for want of memory, or (data.engine: local) because a script "
            "calls prepare elsewhere than below `if __name__ == '__main__':`, and each process imports it; see also hardware.num_workers"
        ) from None


def _run(pool: Any, batches: Iterator[list[Any]], ahead: int, suspects: list[Any]) -> Finished:
    """The results of the batches; after a death, `suspects` holds the items that were under way."""
    under_way: dict[Any, list[Any]] = {}
    following: list[Any] | None = None
    while True:
        try:
            while following := following or next(batches, None):
                if under_way and sum(map(_cost, (*under_way.values(), following))) > ahead:
                    break
                under_way[pool.start(following)] = following
                following = None
            if not under_way:
                return
            finished = list(pool.done(under_way))
            for task in finished:
                results = pool.result(task)
                yield from zip(under_way.pop(task), results, strict=True)
        except _Died:
            suspects += [item for batch in (*under_way.values(), following or []) for item in batch]
            return


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if _cost(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _cost(batch: list[Any]) -> int:
    return sum(getattr(item, "cost", 1) for item in batch)
