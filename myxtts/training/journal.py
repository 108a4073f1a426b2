"""What a training has logged, on disk: so that every point reaches MLflow once, whatever kills the process.

One JSON line for each (kind, step), beside the checkpoints. A process that is killed leaves points behind that were logged after its
last checkpoint, and nobody knows which of them MLflow received. The resumed training sends these again, with their old timestamps
(MLflow stores the same point once), and does not log the steps again that it takes a second time.
"""

import csv
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUN = "run"  # kind of the line that says which run the lines after it belong to
# kind of the line that says with which settings the steps after its own are taken; those that others had taken there are given up
SETTINGS = "settings"


class Journal:
    """Values by kind (`train`, `val`, …) and step."""

    def __init__(self, path: Path):
        self.path = path
        self.trouble: str | None = None  # the first thing that kept it from writing
        self._last: dict[str, int] = {}
        self._settings: dict[str, Any] | None = None
        self._validated: dict[int, int] = {}  # timestamps of validations, by step
        self._torn = False  # may end in half a line

    def open(self, run_id: str) -> None:
        """To be called before `add`. Points of another run do not count as logged in this one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._cut_half_line()
        current = None
        for row in self.rows():
            if row["kind"] == RUN:
                if row["run_id"] != current:
                    self._last.clear()
                current = row["run_id"]
            elif row["kind"] == SETTINGS:
                self._settings = row["values"]
                self._forget(row["step"])
            else:
                self._keep(row["kind"], row["step"], row["time"])
        if current != run_id:
            self._last.clear()
            self._write({"kind": RUN, "run_id": run_id, "step": 0})

    def add(self, kind: str, step: int, values: dict[str, Any]) -> int | None:
        """Keeps a point. Returns its timestamp in ms; None where this kind has that step already: it was logged before a kill."""
        if step <= self._last.get(kind, -1):
            return None
        now = int(time.time() * 1000)
        self._keep(kind, step, now)
        self._write({"kind": kind, "step": step, "time": now, "values": values})
        return now

    def go_on(self, step: int, settings: dict[str, Any]) -> None:
        """To be called after `open`: steps after `step` are taken with these settings.

        Where others had taken some of them already (before a kill, say), those are given up: they are logged anew and the later ones
        count. With the same settings the same steps come out, and are not logged again.
        """
        settings = json.loads(json.dumps(settings))
        if settings != self._settings:
            self._settings = settings
            self._forget(step)
            self._write({"kind": SETTINGS, "step": step, "values": settings})

    def _forget(self, step: int) -> None:
        self._last = {kind: min(last, step) for kind, last in self._last.items()}

    def _keep(self, kind: str, step: int, when: int) -> None:
        self._last[kind] = max(step, self._last.get(kind, -1))
        if kind == "val":
            self._validated[step] = when

    def validated(self, step: int) -> int | None:
        """Timestamp in ms of the validation at a step, or None where there was none."""
        return self._validated.get(step)

    def after(self, step: int) -> Iterator[dict[str, Any]]:
        """Points of the current run behind `step`: what may or may not have arrived."""
        rows: list[dict[str, Any]] = []
        for row in self.rows():
            if row["kind"] == RUN:
                rows.clear()
            elif row["kind"] == SETTINGS:
                rows = [other for other in rows if other["step"] <= row["step"]]
            elif row["step"] > step:
                rows.append(row)
        return iter(rows)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every line, oldest first."""
        if self.path.is_file():
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        yield json.loads(line)

    def sync(self) -> None:
        """Has what was added on the disk: a checkpoint must not be newer than the journal."""
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
        except FileNotFoundError:  # nothing was added
            return
        except OSError as error:
            self._troubled(error)

    def write_curves(self, folder: Path, stage: str, every: int) -> None:
        """`<stage>_train.csv` (each `every`-th step) and `<stage>_val.csv`, a column per value, for `dvc plots`."""
        folder.mkdir(parents=True, exist_ok=True)
        points: dict[str, dict[int, dict[str, float]]] = {"train": {}, "val": {}}
        for row in self.rows():
            if row["kind"] == SETTINGS:
                points = {kind: {step: values for step, values in steps.items() if step <= row["step"]} for kind, steps in points.items()}
            elif row["kind"] == "val" or (row["kind"] == "train" and row["step"] % every == 0):
                points[row["kind"]][row["step"]] = {name.removeprefix(f"{row['kind']}/"): value for name, value in row["values"].items()}
        for kind, steps in points.items():
            columns = sorted({name for values in steps.values() for name in values})
            with (folder / f"{stage}_{kind}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, ["step", *columns])
                writer.writeheader()
                writer.writerows({"step": step, **steps[step]} for step in sorted(steps))

    def _write(self, row: dict[str, Any]) -> None:
        try:
            if self._torn:
                self._cut_half_line()
            with self.path.open("a", encoding="utf-8") as file:
                self._torn = True  # until the line is whole
                file.write(json.dumps(row) + "\n")
            self._torn = False
        except OSError as error:
            self._troubled(error)

    def _troubled(self, error: OSError) -> None:
        """Told once, and training goes on: it is worth more than its curve."""
        self.trouble = self.trouble or f"{self.path} cannot be written ({error}): after a kill, points may be logged twice"

    def _cut_half_line(self) -> None:
        if not self.path.is_file():
            return
        with self.path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            while size:
                start = max(0, size - 65536)
                file.seek(start)
                end = file.read(size - start).rfind(b"\n")
                size = start + end + 1 if end >= 0 else start
                if end >= 0:
                    break
            file.truncate(size)
