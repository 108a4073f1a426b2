"""The curves of a stage on disk: one JSON line per logged step, kept beside the checkpoints and cut back with them on resume."""

import csv
import json
from pathlib import Path


class History:
    """Values by step. `kind` is `train` or `val`."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, kind: str, step: int, values: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")

    def rows(self) -> list[dict]:
        """All rows; a last line cut short by a kill is dropped."""
        if not self.path.is_file():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def cut(self, step: int) -> None:
        """Forgets what came after `step`: a resumed run takes those steps again."""
        kept = [row for row in self.rows() if row["step"] <= step]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def write_curves(self, folder: Path, stage: str) -> None:
        """`<stage>_train.csv` and `<stage>_val.csv`, a column per value, for `dvc plots`."""
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("train", "val"):
            rows = [
                {name.removeprefix(f"{kind}/"): value for name, value in row.items() if name != "kind"}
                for row in self.rows()
                if row["kind"] == kind
            ]
            columns = sorted({name for row in rows for name in row} - {"step"})
            with (folder / f"{stage}_{kind}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, ["step", *columns])
                writer.writeheader()
                writer.writerows(rows)
