"""The parity report: MyXTTS beside the kept outputs of the reference implementation, as a Markdown table. Exit status 1 where a row fails.

python tests/parity/report.py                       the table, from the fixtures
python tests/parity/report.py --peer PEER/bin/python    makes the fixtures anew with that Python (coqui-tts 0.28.0) first
… --cases narrow_0 narrow_1     only these          … --write docs/parity.md     the table into that page as well
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cases
import numpy as np
from cases import CASES, ROWS, Case, kept

BEGIN, END = "<!-- table: make parity -->\n", "<!-- end of table -->"


@dataclass(frozen=True)
class Result:
    """One row of one case. difference: largest |ours - theirs| / max |theirs|; of integers, the share that differs."""

    case: Case
    title: str
    difference: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.difference <= self.bound  # False for NaN


def compare(case: Case, theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray], keys: str) -> list[Result]:
    """Results of a case. theirs: arrays of a fixture; ours and keys: of `ours.compute`."""
    results = [Result(case, "names and shapes of the state dict", float(str(theirs["keys"]) != keys), 0.0)]
    for name, row in ROWS.items():
        results.append(Result(case, row.title, _difference(theirs, name, ours[name], exact=row.bound == 0), row.bound))
    return results


def _difference(theirs: dict[str, np.ndarray], name: str, values: np.ndarray, exact: bool) -> float:
    """inf where they are not even of one size."""
    if values.size != int(theirs[f"{name}/size"]):
        return float("inf")
    a, b = kept(name, values), theirs[name]
    if exact:
        return float(np.mean(a != b))
    return float(np.abs(a.astype(np.float64) - b).max() / np.abs(b).max())


def run(case: Case, folder: Path = cases.FIXTURES) -> list[Result]:
    """Computes a case with MyXTTS and compares it with the fixture in `folder`."""
    from ours import compute

    with np.load(folder / case.fixture.name) as file:
        theirs = dict(file)
    return compare(case, theirs, *compute(case, theirs["sampled_codes"]))


def table(results: list[Result], versions: dict[str, str]) -> str:
    """Markdown: a line for each component and size, its seeds together, the worst of them shown."""
    lines = ["| component | size | seeds | largest difference | bound | holds |", "|---|---|---|---:|---:|:-:|"]
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.title, result.case.size), []).append(result)
    for (title, size), group in sorted(groups.items(), key=lambda item: [r.title for r in results].index(item[0][0])):
        worst = max(group, key=lambda result: (not result.holds, result.difference))
        seeds = ", ".join(str(result.case.seed) for result in group)
        figures = f"{worst.difference:.1e} | {worst.bound:.0e}" if worst.bound else f"{worst.difference:.0%} differ | identical"
        lines.append(f"| {title} | {size} | {seeds} | {figures} | {'yes' if worst.holds else '**NO**'} |")
    ours = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    sides = (", ".join(f"{name} {version}" for name, version in side.items()) for side in (versions, ours))
    return "\n".join(lines) + "\n\nReference: {}. MyXTTS: {}. CPU, float32.\n".format(*sides)


def _write(page: Path, made: str) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} must hold {BEGIN.strip()} and {END}, for the table to stand between them")
    page.write_text(before + BEGIN + "\n" + made + "\n" + END + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="Python of an environment with coqui-tts 0.28.0: make the fixtures anew")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], default=[case.name for case in CASES])
    parser.add_argument("--write", type=Path, help="page to put the table into")
    arguments = parser.parse_args()
    if arguments.peer:
        subprocess.run([arguments.peer, str(Path(__file__).with_name("peer.py")), *arguments.cases], check=True)
    results: list[Result] = []
    for case in CASES:
        if case.name in arguments.cases:
            results += run(case)
    with np.load(CASES[0].fixture) as file:
        versions = json.loads(str(file["versions"]))
    made = table(results, versions)
    print(made)
    if arguments.write:
        _write(arguments.write, made)
    failed = [result for result in results if not result.holds]
    for result in failed:
        print(f"fails: {result.title}, {result.case.name}: {result.difference:.2e} > {result.bound:.0e}", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
