"""The figures of a server, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_LINES = (1, 2, 4, 8, 16, 32, 64)

disable_created_metrics()  # a second line for each, that says when it was first counted


class Metrics:
    """One registry for each server: names begin with `myxtts_`, and those of the process (memory, processor time) with `process_`."""

    def __init__(self, queue_length: Callable[[], int], open_streams: Callable[[], int]):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        common = {"registry": self.registry}
        self.requests = Counter("myxtts_requests", "Answers, by route and status (499: the client had gone)", ["route", "status"], **common)
        self.request_seconds = Histogram(
            "myxtts_request_seconds", "From a request's head to the end of its answer", ["route"], buckets=_SECONDS, **common
        )
        self.audio = Counter("myxtts_audio_seconds", "Speech made", **common)
        self.work = Counter("myxtts_work_seconds", "Time that the networks worked for speech", **common)
        self.factor = Gauge("myxtts_real_time_factor", "Seconds of work for a second of speech, of the last batch or stream", **common)
        self.batch_size = Histogram("myxtts_batch_lines", "Requests that were spoken together", buckets=_LINES, **common)
        Gauge("myxtts_queue_length", "Requests that wait for the networks", **common).set_function(queue_length)
        Gauge("myxtts_open_streams", "Streams that are being spoken", **common).set_function(open_streams)

    def spoken(self, audio_seconds: float, work_seconds: float, lines: int = 0) -> None:
        """Counts speech that was made; lines: requests of the batch, 0 for a stream."""
        self.audio.inc(audio_seconds)
        self.work.inc(work_seconds)
        if audio_seconds:
            self.factor.set(work_seconds / audio_seconds)
        if lines:
            self.batch_size.observe(lines)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts an answer."""
        self.requests.labels(route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)
