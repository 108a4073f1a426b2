"""Ctrl-C, SIGTERM and a closed terminal (SIGHUP) ask the loop to stop after the step in hand, so that it can save first."""

import signal
import threading
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training stopped on a signal, after its checkpoint was written."""


def stop_signals() -> list[signal.Signals]:
    """Those that ask a training to stop. Windows has no SIGHUP; under `nohup` it is ignored, so that the training outlives its terminal."""
    kinds = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        kinds.append(signal.SIGHUP)
    return kinds


class StopSignals:
    """Context manager. `received` names the signal that came, or is None. A second signal acts at once."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore()
