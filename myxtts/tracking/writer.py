"""MetricWriter: metrics go into a buffer, one background thread sends them; training neither waits nor fails."""

import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from myxtts.tracking.delivery import clean_key, is_refusal, send
from myxtts.tracking.spool import Spool

log = logging.getLogger("myxtts.tracking")
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0  # seconds between two attempts at a tracker that is down


class MetricWriter:
    """Sends the metrics of one run in batches, every `flush_seconds`.

    While MLflow cannot take them they go to the spool, with pauses between attempts that double from 5 s to a minute.
    """

    def __init__(self, client, run_id: str, spool: Spool, flush_seconds: float = 3.0):
        self._client, self._run_id, self._spool, self._flush_seconds = client, run_id, spool, flush_seconds
        self._pending: list[tuple[str, float, int, int]] = []
        self._in_flight: list[tuple[str, float, int, int]] = []
        self._state = threading.Condition()
        self._wake = threading.Event()
        self._closed = self._stuck = False
        self._queued = self._done = 0
        self._retry_at, self._pause = 0.0, _FIRST_PAUSE
        self._keys: dict[str, str] = {}
        self.cpu_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="myxtts-metrics", daemon=True)
        self._thread.start()

    def use(self, client) -> None:
        """Sends by another client from now on: the one of before was of a server that was away."""
        self._client = client
        self._retry_at, self._pause = 0.0, _FIRST_PAUSE

    @property
    def down(self) -> bool:
        """True while the tracker does not take metrics."""
        return self._retry_at > 0 or self._stuck

    def log(self, values: Mapping[str, float], step: int, timestamp: int | None = None) -> dict[str, tuple[float, int]]:
        """Queues values at a step. NaN and infinity would spoil MLflow's charts: they are dropped, and how many were is logged.

        Returns `{key: (value, timestamp in ms)}` of what was queued.
        """
        now = int(time.time() * 1000) if timestamp is None else timestamp
        points, dropped = {}, 0
        for key, value in values.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                log.warning("metric %s is not a number but %r; it is not logged", key, value)
                continue
            if math.isfinite(number):
                points[self._keys.get(key) or self._keys.setdefault(key, clean_key(key))] = (number, now)
            else:
                dropped += 1
        if dropped:
            points["train/nonfinite"] = (float(dropped), now)
        with self._state:
            self._pending.extend((key, number, now, int(step)) for key, (number, now) in points.items())
            self._queued += len(points)
        return points

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything queued is at MLflow (True), or on the disk in the spool (False) at the latest after `timeout` s."""
        with self._state:
            target, closed = self._queued, not self._thread.is_alive()
            if not (self._stuck or closed):
                self._wake.set()
                if self._state.wait_for(lambda: self._done >= target, timeout):
                    return not self._retry_at
                self._stuck = self._thread.is_alive()
            # the thread hangs in the network; what it holds is stored too: a point that arrives twice is stored once
            rows = self._in_flight + self._pending
            self._done += len(self._pending)
            self._pending = []
        self._keep(rows)
        return not rows

    def close(self, timeout: float = 10.0) -> bool:
        """Flushes and ends the thread. What could not be sent is in the spool."""
        delivered = self.flush(timeout)
        self._closed = True
        self._wake.set()
        self._thread.join(0.0 if self._stuck else 2.0)
        return delivered

    def _run(self) -> None:
        while True:
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            closing = self._closed
            self._send_pending()
            self.cpu_seconds = time.thread_time()
            if closing:
                return

    def _send_pending(self) -> None:
        with self._state:
            rows, self._pending = self._pending, []
            self._in_flight = rows
        if rows:
            if time.monotonic() < self._retry_at:
                self._keep(rows)
            else:
                self._attempt(rows)
        elif self._retry_at and time.monotonic() >= self._retry_at:
            self._recover()
        with self._state:
            self._in_flight = []
            self._stuck = False
            self._done += len(rows)
            self._state.notify_all()

    def _attempt(self, rows: list) -> None:
        try:
            send(self._client, self._row(rows), self._spool.folder)
        except Exception as error:  # whatever the network, the server or the database raises: training goes on
            self._keep(rows)
            if not is_refusal(error):
                self._pause_after(error)
            else:
                log.warning("MLflow refuses metrics of run %s (%s); they are in %s", self._run_id, error, self._spool.path)
        else:
            if self._retry_at:
                self._recover()

    def _recover(self) -> None:
        try:
            delivered = self._spool.deliver(self._client)
        except Exception as error:  # the spool's disk
            return self._pause_after(error)
        if self._spool.waiting():
            return self._pause_after("not all of the spool was taken")
        self._retry_at, self._pause = 0.0, _FIRST_PAUSE
        log.warning("MLflow answers again: %d spooled rows delivered", delivered)

    def _pause_after(self, reason: Any) -> None:
        if not self._retry_at:
            log.warning("MLflow does not take metrics (%s); training goes on, they wait in %s", reason, self._spool.path)
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _row(self, rows: list) -> dict[str, Any]:
        return {"kind": "metrics", "run": self._run_id, "metrics": rows}

    def _keep(self, rows: list) -> None:
        if not rows:
            return
        try:
            self._spool.add([self._row(rows)])
        except OSError as error:
            log.warning("%d metric values are lost: neither MLflow nor the disk takes them (%s)", len(rows), error)
