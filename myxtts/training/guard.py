"""Steps whose loss or gradient is no number: counted, their batches kept for inspection, and the training stopped when they go on."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from myxtts.config import MyXTTSError

KEPT = 5  # offending batches that are written; more of them say nothing new


class NonFiniteTraining(MyXTTSError):
    """So many steps in a row were not finite that training cannot go on."""


class Guard:
    """Looks at the results of steps in their order. The steps themselves have left no trace in the weights.

    folder: where batches are kept, None on workers that do not write. load: batch number -> its arrays; a batch is a function of its
    number, so none has to be kept in memory for this.
    """

    def __init__(self, folder: Path | None, most_in_a_row: int, load: Callable[[int], dict[str, np.ndarray]]):
        self.folder, self.most_in_a_row, self._load = folder, most_in_a_row, load
        self.skipped, self.in_a_row = 0, 0

    def look(self, step: int, logs: dict[str, float]) -> Path | None:
        """logs: results of `TrainStep` by name. Returns where the batch of an offending step was written.

        An overflow of float16 that its loss scale will repair is no offence. Raises NonFiniteTraining.
        """
        objectives = [name.removeprefix("skipped/") for name, value in logs.items() if name.startswith("skipped/") and value]
        if not objectives:
            self.in_a_row = 0
            return None
        self.skipped += 1
        if all(self._is_overflow(objective, logs) for objective in objectives):
            return None
        self.in_a_row += 1
        path = self._keep(step)
        if self.in_a_row >= self.most_in_a_row:
            raise NonFiniteTraining(self._findings(step, objectives, logs, path))
        return path

    def state(self) -> dict[str, int]:
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def restore(self, state: dict[str, int]) -> None:
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]

    @staticmethod
    def _is_overflow(objective: str, logs: dict[str, float]) -> bool:
        losses_fine = all(math.isfinite(value) for name, value in logs.items() if name.endswith("_loss"))
        return losses_fine and logs.get(f"loss_scale/{objective}", 1.0) > 1.0

    def _keep(self, step: int) -> Path | None:
        if self.folder is None:
            return None
        path = self.folder / f"step-{step:08d}.npz"
        if not path.is_file() and len(list(self.folder.glob("*.npz"))) >= KEPT:
            return None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".unfinished")
            with part.open("wb") as file:
                np.savez_compressed(file, **self._load(step - 1))  # step n takes batch n - 1
            part.replace(path)
        except OSError as error:
            print(f"warning: the batch of step {step} cannot be written to {path} ({error})", flush=True)
            return None
        return path

    def _findings(self, step: int, objectives: list[str], logs: dict[str, float], path: Path | None) -> str:
        found = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if not name.startswith("skipped/"))
        where = path or self.folder or "the first worker's checkpoint folder"
        return (
            f"{self.in_a_row} steps in a row were not finite, up to step {step} ({', '.join(objectives)}): {found}. None of them changed "
            f"the weights. Look at the batch in {where} (a clip of silence or of NaN shows there); if its values are sound, go on from the "
            "last checkpoint with a lower learning_rate, or with precision float32"
        )
