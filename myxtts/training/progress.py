"""What a training shows while it runs: throughput, a progress bar where there is a terminal, lines elsewhere, a table of validations."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


class Meter:
    """Where the time since the last log went."""

    def __init__(self) -> None:
        self.restart(None)

    def restart(self, step: int | None) -> None:
        """Begins anew at `step`: what came before (a validation, say) is no training time."""
        self._start, self._step = time.perf_counter(), step
        self._spent = {"waiting": 0.0, "tracking": 0.0}
        self._seconds = 0.0

    @contextmanager
    def spent(self, on: str) -> Iterator[None]:
        """Counts the time inside as `waiting` (for data) or `tracking`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[on] += time.perf_counter() - began

    def trained(self, audio_seconds: float) -> None:
        """Counts the audio of one step."""
        self._seconds += audio_seconds

    def close(self, step: int) -> dict[str, float]:
        """Rates since the last log, and begins anew."""
        elapsed = max(time.perf_counter() - self._start, 1e-9)
        values = {"perf/data_wait_share": self._spent["waiting"] / elapsed}
        if self._step is not None and step > self._step:
            steps = step - self._step
            values |= {
                "perf/steps_per_second": steps / elapsed,
                "perf/audio_seconds_per_second": self._seconds / elapsed,
                "perf/tracking_ms": 1000 * self._spent["tracking"] / steps,
            }
        self.restart(step)
        return values


class Console:
    """Prints a stage's progress. On a terminal a bar with the latest values, elsewhere a line for each log."""

    def __init__(self, stage: str, total: int, quiet: bool = False):
        self.stage, self.total, self.quiet = stage, total, quiet
        self._bar: tqdm | None = None
        self._rate = 0.0
        self._previous: dict[str, float] = {}

    def start(self, step: int) -> None:
        if not self.quiet and sys.stderr.isatty():
            self._bar = tqdm(total=self.total, initial=step, desc=self.stage, unit="step", dynamic_ncols=True)

    def stop(self) -> None:
        if self._bar:
            self._bar.close()
            self._bar = None

    def step(self) -> None:
        if self._bar:
            self._bar.update()

    def say(self, text: str) -> None:
        if not self.quiet:
            tqdm.write(text) if self._bar else print(text, flush=True)

    def logged(self, step: int, values: dict[str, float], rates: dict[str, float], padding: float) -> None:
        """One log of training: losses, then speed."""
        self._rate = rates.get("perf/steps_per_second", self._rate)
        losses = {
            name.removeprefix("train/"): value for name, value in values.items() if not name.startswith(("train/skipped", "train/lr"))
        }
        if self._bar:
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items() if name.endswith("_loss")}, refresh=False)
            return
        speed = ""
        if "perf/steps_per_second" in rates:
            speed = (
                f"  | {self._rate:.3g} steps/s, {rates['perf/audio_seconds_per_second']:.3g} s audio/s, padding {padding:.0%}, "
                f"data wait {rates['perf/data_wait_share']:.1%}, tracking {rates['perf/tracking_ms']:.2g} ms, {self._left(step)} left"
            )
        shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self.say(f"{self.stage} step {step}/{self.total} train: {shown}{speed}")

    def validated(self, step: int, values: dict[str, float], best: dict[str, float], monitor: str) -> None:
        """A table: each value now, at the validation before, and at the best one so far."""
        width = max(len(name) for name in values)
        lines = [f"{self.stage} step {step}/{self.total} {'val:':<{max(4, width - 10)}}       now      before        best"]
        for name, value in values.items():
            before = f"{self._previous[name]:12.4g}" if name in self._previous else " " * 12
            mark = "  <- watched" if name == monitor else ""
            lines.append(f"  {name.removeprefix('val/'):<{width}}{value:10.4g}{before}{best.get(name, value):12.4g}{mark}")
        self._previous = dict(values)
        self.say("\n".join(lines))

    def _left(self, step: int) -> str:
        seconds = int((self.total - step) / max(self._rate, 1e-9))
        hours, minutes = seconds // 3600, seconds % 3600 // 60
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
