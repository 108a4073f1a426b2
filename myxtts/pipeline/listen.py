"""`myxtts listen`: blind tests of runs or evaluation folders by people, and what they answered, kept with the runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, DataError, XTTSConfig
from myxtts.evaluation import listening

ARTIFACTS = "evaluation"


def make(config: XTTSConfig, root: Path, sources: Sequence[str], out: Path, kind: listening.Kind, count: int, seed: int) -> str:
    """Writes the page and its key; returns what to do with them. sources: folders of evaluations, or ids of voice runs (or beginnings of
    them), whose audio is fetched into `reports/listening/`.

    Raises ConfigError, DataError and TrackingError as `listening.make_test` and `find_run` do.
    """
    systems: dict[str, Path] = {}
    for source in sources:
        name, folder = (Path(source).name, Path(source)) if Path(source).is_dir() else _fetched(config, root, source)
        if name in systems or name == listening.RECORDING:
            raise ConfigError(f"two systems are called {name!r}: rename a folder")
        systems[name] = folder
    trials = listening.make_test(systems, out, kind, count, seed)
    return (
        f"{trials} trials: send {out} to your listeners, and keep {out.with_suffix('.key.json')}. Their answers: "
        f"myxtts listen --key {out.with_suffix('.key.json')} --answers listening-*.csv"
    )


def take_in(config: XTTSConfig, root: Path, key_file: Path, files: Sequence[Path]) -> str:
    """Sums up downloaded answers, and logs them to those of the systems that are runs. Returns a table."""
    try:
        key = json.loads(key_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{key_file} is no key of a listening test ({error}): expected the file that was made beside the page") from None
    answers = listening.read_answers(key, files)
    listeners = len({answer.listener for answer in answers})
    if key["kind"] == "mos":
        told = listening.opinions(answers)
        lines = [
            f"{name}: {said['mos']:.2f} ({said['low']:.2f} to {said['high']:.2f}), {said['answers']} answers" for name, said in told.items()
        ]
        metrics = {name: {f"listening/{what}": value for what, value in said.items()} for name, said in told.items()}
    else:
        pairs = listening.preferences(answers)
        lines = [_compared(row) for row in pairs]
        metrics = _preferred(pairs)
    logged = _log(config, root, key, metrics, {"answers": [vars(answer) for answer in answers], "summary": lines})
    note = (
        f"kept in the runs {', '.join(logged)}" if logged else "none of the systems is a run of this project, so they are kept nowhere else"
    )
    return "\n".join([f"{len(answers)} answers of {listeners} listeners; {note}", *lines])


def _compared(row: Mapping[str, Any]) -> str:
    counts = f"{row['first']} better {row['better']}, the same {row['same']}, {row['second']} better {row['worse']}"
    return f"{counts}; p {row['p']:.2g} of the sign test"


def _preferred(pairs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """{system: share of its comparisons in which it was preferred, a tie counting half}."""
    won: dict[str, list[float]] = {}
    for row in pairs:
        total = row["better"] + row["same"] + row["worse"]
        share = (row["better"] + row["same"] / 2) / total
        won.setdefault(row["first"], []).append(share)
        won.setdefault(row["second"], []).append(1 - share)
    return {name: {"listening/preferred_share": sum(shares) / len(shares)} for name, shares in won.items()}


def _fetched(config: XTTSConfig, root: Path, source: str) -> tuple[str, Path]:
    """(name, folder) of a voice run's evaluation, brought here."""
    from myxtts.tracking.compare import find_run
    from myxtts.tracking.store import open_store

    client, experiment = open_store(root, config.tracking.experiment)
    run = find_run(client, experiment, source)
    folder = root / "reports" / "listening" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    held = {item.path for item in client.list_artifacts(run.id)}
    if not {"samples.json", ARTIFACTS} <= held:
        raise DataError(f"run {run.id[:8]} ({run.name}) has no evaluation: name a voice run (myxtts runs --stage voice)")
    table = json.loads(Path(client.download_artifacts(run.id, "samples.json", str(folder))).read_text(encoding="utf-8"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    (folder / "samples.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    client.download_artifacts(run.id, f"{ARTIFACTS}/audio", str(folder))
    if not (folder / "audio").exists():
        (folder / "audio").symlink_to(Path(ARTIFACTS) / "audio")
    return run.id, folder


def _log(
    config: XTTSConfig, root: Path, key: Mapping[str, Any], metrics: Mapping[str, dict[str, float]], answers: dict[str, Any]
) -> list[str]:
    """Metrics and answers into the systems that are runs; returns their ids."""
    from myxtts.tracking.store import open_store

    folders = {name: Path(folder) for name, folder in key["systems"].items()}
    runs = [name for name, folder in folders.items() if folder.name == name and folder.parent.name == "listening"]
    if not runs:
        return []
    client, _ = open_store(root, config.tracking.experiment)
    for run in runs:
        for name, value in metrics.get(run, {}).items():
            client.log_metric(run, name, value)
        client.log_dict(run, answers | {"systems": list(folders)}, f"listening/{key['test']}.json")
    return runs
