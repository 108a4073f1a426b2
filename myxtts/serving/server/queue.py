"""Who wants the networks waits in line here. One thread owns them, for they are not made to be used by two at once.

Lines that ask for the same settings are spoken together. A stream takes a turn for each of its pieces; between two batches each open
stream has one, so that neither waits for the end of the other, and streams are not so slow that all who ask end up in one.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myxtts.config.stages import SynthesisConfig
from myxtts.serving.server.metrics import Metrics
from myxtts.synthesis.speech import Line, Speech, Synthesizer

_LONGEST_RETRY = 60  # seconds that a client is told to wait at most


class QueueFull(Exception):
    """No more can wait. retry_after: seconds in which a place may be free."""

    def __init__(self, retry_after: int):
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


class QueueClosed(Exception):
    """The server is being shut down."""


@dataclass(eq=False)
class _Task:
    """A turn: a line to be spoken with settings, or a function to be called."""

    call: Callable[[], Any] | None = None
    line: Line | None = None
    settings: SynthesisConfig | None = None
    future: Future = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)


class SpeechQueue:
    """`speak`, `call` and `open_stream` are for coroutines; what they wait for is done by the thread that `start` starts."""

    def __init__(self, synthesizer: Synthesizer, max_waiting: int, max_batch: int, gather_seconds: float):
        self.synthesizer, self.max_waiting, self.max_batch, self.gather_seconds = synthesizer, max_waiting, max_batch, gather_seconds
        self.metrics = Metrics(lambda: self.length, lambda: self.open_streams)
        self.open_streams = 0
        self._waiting: deque[_Task] = deque()  # requests, in the order in which they came
        self._pieces: deque[_Task] = deque()  # further turns of streams that are open
        self._changed = threading.Condition()
        self._closed, self._batch_seconds = False, 1.0
        self._pieces_due: int | None = None  # turns of streams before the next batch; None = the pieces that wait now
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)

    @property
    def length(self) -> int:
        """Requests that wait for their (first) turn."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """True while what is asked for is done."""
        return self._thread.is_alive() and not self._closed

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def close(self, timeout: float | None = None) -> None:
        """Refuses what comes from now on, ends what is in line, and waits for that at most `timeout` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)

    async def speak(self, line: Line, settings: SynthesisConfig) -> Speech:
        """The speech of one line. Raises QueueFull, QueueClosed, and what the engine raises. Cancelled, the line leaves the queue."""
        return await self._result(self._add(_Task(line=line, settings=settings)))

    async def call(self, function: Callable[[], Any]) -> Any:
        """What a function returns that needs the networks. Raises as `speak` does."""
        return await self._result(self._add(_Task(call=function)))

    def open_stream(self, line: Line, settings: SynthesisConfig) -> "SpeechStream":
        """A line to be spoken piece by piece; it is to be closed. Raises QueueFull, QueueClosed."""
        with self._changed:
            self._check_room()
            self.open_streams += 1
        return SpeechStream(self, line, settings)

    def _check_room(self) -> None:
        if self._closed:
            raise QueueClosed("the server is being shut down")
        if len(self._waiting) + self.open_streams >= self.max_waiting:
            batches = len(self._waiting) / self.max_batch + self.open_streams
            raise QueueFull(min(_LONGEST_RETRY, max(1, math.ceil(batches * self._batch_seconds))))

    def _add(self, task: _Task) -> _Task:
        with self._changed:
            self._check_room()
            self._waiting.append(task)
            self._changed.notify_all()
        return task

    def _add_turn(self, call: Callable[[], Any], first: bool = False) -> _Task:
        """A turn of an open stream: it holds a place already."""
        task = _Task(call=call)
        with self._changed:
            (self._waiting if first else self._pieces).append(task)
            self._changed.notify_all()
        return task

    def _leave(self, call: Callable[[], Any]) -> None:
        """A stream is closed: its place is free, and `call` has a turn."""
        with self._changed:
            self.open_streams -= 1
        self._add_turn(call)

    async def _result(self, task: _Task) -> Any:
        """What becomes of a task; nobody else will ask, so that cancelled it leaves its place at once."""
        try:
            return await asyncio.wrap_future(task.future)
        except asyncio.CancelledError:
            task.future.cancel()
            with self._changed, contextlib.suppress(ValueError):
                (self._waiting if task in self._waiting else self._pieces).remove(task)
            raise

    def _work(self) -> None:
        while tasks := self._next():
            wanted = [task for task in tasks if task.future.set_running_or_notify_cancel()]
            if wanted and wanted[0].line:
                self._speak(wanted)
            elif wanted:
                _settle(wanted[0].future, wanted[0].call)
            del tasks, wanted  # and with them the speech, while the thread waits

    def _next(self) -> list[_Task]:
        """What is done next: a piece, a call, or the lines of a batch; nothing where the queue is closed and empty."""
        with self._changed:
            while True:
                while not self._waiting and not self._pieces:
                    if self._closed:
                        return []
                    self._changed.wait()
                due = len(self._pieces) if self._pieces_due is None else self._pieces_due
                if self._pieces and (due or not self._waiting):
                    self._pieces_due = max(due - 1, 0)
                    return [self._pieces.popleft()]
                self._pieces_due = None
                if self._waiting[0].line is None:
                    return [self._waiting.popleft()]
                if lines := self._gather(self._waiting[0]):  # none where all were cancelled meanwhile
                    self._waiting = deque(task for task in self._waiting if task not in lines)
                    return lines

    def _gather(self, first: _Task) -> list[_Task]:
        """The lines of a batch, once it is full or the first has waited long enough for others."""
        until = first.arrived + self.gather_seconds
        while len(mates := self._mates(first)) < self.max_batch and (left := until - time.monotonic()) > 0 and not self._closed:
            self._changed.wait(left)
        return mates

    def _mates(self, first: _Task) -> list[_Task]:
        """The lines in the queue that can be spoken together with the first, and itself."""
        return [task for task in self._waiting if task.line and task.settings == first.settings][: self.max_batch]

    def _speak(self, tasks: list[_Task]) -> None:
        began = time.perf_counter()
        try:
            speeches = self.synthesizer.speak_all([task.line for task in tasks], tasks[0].settings)
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].future.set_exception(error)
            else:  # one of them, or all together too large: none shall suffer for another
                for task in tasks:
                    self._speak([task])
            return
        self._batch_seconds = time.perf_counter() - began
        self.metrics.spoken(sum(speech.seconds for speech in speeches), self._batch_seconds, len(tasks))
        for task, speech in zip(tasks, speeches, strict=True):
            task.future.set_result(speech)


class SpeechStream:
    """Pieces of wave of one line, each made when it is asked for."""

    def __init__(self, queue: SpeechQueue, line: Line, settings: SynthesisConfig):
        self._queue, self._closed, self._began = queue, False, False
        self._pieces: Iterator[np.ndarray] = queue.synthesizer.stream(line.text, line.voice, line.language, line.seed, settings)

    async def next(self) -> np.ndarray | None:
        """The next piece (N,) float32; None where there is no more. Raises what the engine raises."""
        first, self._began = not self._began, True
        return await self._queue._result(self._queue._add_turn(self._step, first))

    def close(self) -> None:
        """Gives its place back; what the engine keeps for it is dropped in a turn of its own, after one that is being worked on."""
        if not self._closed:
            self._closed = True
            self._queue._leave(self._pieces.close)

    def _step(self) -> np.ndarray | None:
        if self._closed:
            return None
        began = time.perf_counter()
        piece = next(self._pieces, None)
        seconds = 0.0 if piece is None else len(piece) / self._queue.synthesizer.sample_rate
        self._queue.metrics.spoken(seconds, time.perf_counter() - began)
        return piece


def _settle(future: Future, call: Callable[[], Any]) -> None:
    """The result of a call becomes that of its future; so does what it raises."""
    try:
        result = call()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
