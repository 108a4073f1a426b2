"""Where the results of a training go: the journal, the run, the terminal; read from the device every `log_step` only."""

import json
import math
from typing import Any

import tensorflow as tf

from myxtts.config import DataError
from myxtts.data.batches import Batches
from myxtts.training.guard import Guard
from myxtts.training.hardware import Suggestion
from myxtts.training.journal import Journal
from myxtts.training.logger import RunLogger, log_preview, log_recording
from myxtts.training.optim import Plateau
from myxtts.training.progress import Console, Meter
from myxtts.training.tasks import Task


class Reporter:
    """logger: None on workers that are not the chief, and where nobody listens."""

    def __init__(self, task: Task, journal: Journal, logger: RunLogger | None, is_chief: bool):
        self.task, self.journal, self.logger, self.is_chief = task, journal, logger, is_chief
        self.meter = Meter()
        self.console = Console(task.stage, 0, quiet=not is_chief)
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []

    def follow(self, data: Batches, guard: Guard, plateaus: dict[str, Plateau], total_steps: int) -> None:
        """What is to be reported on."""
        self.data, self.guard, self.plateaus = data, guard, plateaus
        self.console.total = total_steps

    def begin(self, step: int, settings: dict[str, Any]) -> None:
        """Opens the journal, and sends again what a killed process logged behind its last checkpoint.

        settings: all that decides what the steps after `step` give.
        """
        if self.is_chief:
            self.journal.open(getattr(self.logger, "journal_id", ""))
            self.journal.go_on(step, settings)
            if self.logger:
                for row in self.journal.after(step):
                    if row["values"] and row["kind"] in ("train", "val", "perf", "start"):
                        self.logger.metrics(row["values"], row["step"], row["time"])
        self.console.start(step)

    def announce(self, suggestion: Suggestion, effective: int) -> None:
        """The hardware decision, in words, and to the run."""
        decision, buckets = suggestion.to_dict(), self.data.traces
        split = f"{suggestion.batch_size} x {suggestion.grad_accum}"
        split += f" on each of {suggestion.replicas} devices" if suggestion.replicas > 1 else ""
        data = f"{self.data.num_examples} training clips in {buckets} {'bucket' if buckets == 1 else 'buckets'}"
        trained = sum(math.prod(variable.shape) for variables in self.task.objectives.values() for variable in variables)
        what = f"preset {self.task.config.model.preset}, {trained / 1e6:.1f} M parameters; "
        what += f"{self.console.total} steps of {effective} clips ({split}), {data}, padding {self.data.examples.padding:.1%}"
        self.console.say("\n  - ".join([f"{self.task.stage}: {what}", *suggestion.reasons]))
        if self.logger:
            names = ("batch_size", "grad_accum", "num_workers", "prefetch", "precision", "rematerialise", "replicas", "predicted_gb")
            self.logger.params({f"suggested.{name}": decision[name] for name in names})
            gpus = ", ".join(suggestion.machine.devices)
            self.logger.tags({"hardware.reasons": "; ".join(suggestion.reasons), "hardware.devices": gpus})
            self.logger.text(json.dumps(decision, indent=1), "hardware.json")
            memory = {"hardware/predicted_gb": suggestion.predicted_gb, "data/padding_share": self.data.examples.padding}
            if suggestion.measured_gb is not None:
                memory["hardware/measured_gb"] = suggestion.measured_gb
            self.log("start", 1, memory)

    def add(self, step: int, logs: dict[str, tf.Tensor]) -> None:
        """The results of a step, still on the device."""
        self._pending.append((step, logs))
        self.console.step()

    def log(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """A point goes to the journal, then to the run; one that was logged before a kill goes nowhere."""
        when = self.journal.add(kind, step, values) if self.is_chief else None
        if when is not None and self.logger:
            with self.meter.spent("tracking"):
                self.logger.metrics(values, step, when)

    def once(self, kind: str, step: int) -> bool:
        """True the first time in this run: for what a resumed training must not do twice."""
        return self.logger is not None and self.journal.add(kind, step, {}) is not None

    def flush(self) -> dict[str, float]:
        """Reads the waiting results, looks for what is not finite, logs each at its own step; returns the last."""
        values: dict[str, float] = {}
        pending, self._pending = self._pending, []
        for step, logs in pending:
            numbers = {name: float(value) for name, value in logs.items()}
            rates = {f"train/lr/{name}": float(plateau.schedule(step - 1)) for name, plateau in self.plateaus.items()}
            self.meter.trained(self.data.seconds(step - 1))
            try:
                path = self.guard.look(step, numbers)
            finally:
                values = {f"train/{name}": value for name, value in numbers.items()} | {"train/skipped_steps": float(self.guard.skipped)}
                self.log("train", step, values | rates)
            if path:
                skipped = ", ".join(
                    name.removeprefix("skipped/") for name, value in numbers.items() if name.startswith("skipped/") and value
                )
                self.console.say(f"step {step} was not finite: nothing of {skipped} was changed; its batch is in {path}")
        return values

    def close_window(self, step: int) -> None:
        """`flush`, and the rates since the last time, at every `log_step`."""
        values = self.flush()
        if self.journal.trouble:
            self.tag("journal.trouble", self.journal.trouble)
            self.journal.trouble = None
        rates = self.meter.close(step)
        self.log("perf", step, rates)
        self.console.logged(step, values, rates, self.data.examples.padding)

    def validated(self, step: int, values: dict[str, float], best: dict[str, float]) -> None:
        self.console.validated(step, values, best, self.task.monitor)
        bests = {f"best/{name}": value for name, value in best.items() if name != "step"}
        self.log("val", step, values | bests)

    def previews(self, step: int, path: Any) -> None:
        """Pictures and audio of fixed validation clips. A network that cannot be heard yet may still learn to be."""
        if self.once("preview", step):
            try:
                previews = self.task.previews(path)
                if self.once("recordings", 0):
                    for preview in previews:
                        log_recording(self.logger, preview)
                for preview in previews:
                    log_preview(self.logger, preview, step)
            except DataError as error:
                self.tag(f"preview.failed.{step}", str(error))

    def tag(self, name: str, text: str) -> None:
        """A decision or a mishap: on the terminal and as a tag of the run."""
        self.console.say(f"{name}: {text}")
        if self.logger:
            self.logger.tags({name: text})
