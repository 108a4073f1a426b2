"""Two runs side by side: params, metrics, curves, pictures and sound, in one page that needs nothing else."""

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myxtts.config import TrackingError, XTTSConfig
from myxtts.tracking.page import MOST_POINTS, Pair, page
from myxtts.tracking.queries import Run, as_run
from myxtts.tracking.runs import NOT_COMPARED, OF_MLFLOW_RUN, OF_THE_MACHINE
from myxtts.tracking.store import experiment_url, open_store, tracking_uri

# metrics with a curve worth looking at
CURVES = re.compile(r"^(val/|train/(?!lr/|skipped|skipped_steps|nonfinite).*loss|train/lr/|train/grad_norm/)")
# MLflow's own names of logged images: key with ~ for /, then step, time and an id
IMAGE = re.compile(r"^images/(?P<key>.+)\+step\+(?P<step>\d+)\+timestamp\+\d+\+[0-9a-f-]+\.png$")
AUDIO = re.compile(r"^audio/step_(?P<step>\d+)/(?P<key>.+)\.wav$")
EVALUATION = re.compile(r"^evaluation/(audio|pictures)/(?P<key>.+)\.(wav|png)$")


@dataclass(frozen=True)
class Side:
    """One of the two runs, with its curves {metric: [(step, value)]} and its latest pictures and sounds {name: file}."""

    run: Run
    url: str
    curves: Mapping[str, list[tuple[int, float]]]
    files: Mapping[str, bytes] = field(default_factory=dict)


def find_run(client: Any, experiment: str, text: str) -> Run:
    """A run by its id or the beginning of it. Raises TrackingError where there is none, or more than one."""
    found = [item for item in client.search_runs([experiment], max_results=5000) if item.info.run_id.startswith(text)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "no run begins with"
        raise TrackingError(f"{what} {text!r}: give the beginning of one id (myxtts runs shows them)")
    return as_run(found[0])


def compare(config: XTTSConfig, root: Path, first: str, second: str, out: Path | None = None) -> Path:
    """Writes the page on two runs and keeps it as an artifact `compare/` of the second. Returns the file.

    first, second: ids, or beginnings of them. out: default `reports/compare/<first>-<second>.html`. Raises TrackingError.
    """
    client, experiment = open_store(root, config.tracking.experiment)
    runs = [find_run(client, experiment, text) for text in (first, second)]
    sides = [_side(client, root, run) for run in runs]
    out = out or root / "reports" / "compare" / f"{runs[0].id[:8]}-{runs[1].id[:8]}.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        page(f"{runs[0].name} and {runs[1].name}", [side.run for side in sides], [side.url for side in sides], _parts(sides)),
        encoding="utf-8",
    )
    client.log_artifact(runs[1].id, str(out), "compare")
    return out


def differences(first: Mapping[str, Any], second: Mapping[str, Any], left_out: tuple[str, ...] = ()) -> list[Pair]:
    """(name, value, value) of what is not equal, by name; None where one lacks it."""
    names = sorted(name for name in {*first, *second} if not name.startswith(left_out))
    return [(name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)]


def _parts(sides: list[Side]) -> dict[str, Any]:
    first, second = sides
    curves = sorted({*first.curves, *second.curves})
    files = sorted({*first.files, *second.files})
    return {
        "params": [pair for pair in differences(first.run.params, second.run.params, NOT_COMPARED) if pair[0] not in OF_MLFLOW_RUN],
        "machine": [pair for pair in differences(first.run.params, second.run.params) if pair[0].startswith(OF_THE_MACHINE)],
        "metrics": [
            (name, first.run.metrics.get(name), second.run.metrics.get(name)) for name in sorted({*first.run.metrics, *second.run.metrics})
        ],
        "curves": [(name, first.curves.get(name, []), second.curves.get(name, [])) for name in curves],
        "files": [(name, first.files.get(name), second.files.get(name)) for name in files],
    }


def _side(client: Any, root: Path, run: Run) -> Side:
    names = [name for name in run.metrics if CURVES.match(name)]
    curves = {name: _curve(client, run.id, name) for name in names}
    latest = _latest(_artifacts(client, run.id))
    files = {}
    with tempfile.TemporaryDirectory() as place:
        for name, path in latest.items():
            files[name] = Path(client.download_artifacts(run.id, path, place)).read_bytes()
    return Side(run, experiment_url(tracking_uri(root), run.experiment, run.id), curves, files)


def _curve(client: Any, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Some hundred points of a metric, first and last among them, as MLflow's own page asks for them.

    The client offers whole histories alone: of 100,000 points that takes 7 s, and this 0.3 s.
    """
    points = client._tracking_client.store.get_metric_history_bulk_interval([run_id], metric, MOST_POINTS, None, None)
    return sorted((point.step, point.value) for point in points)


def _artifacts(client: Any, run_id: str) -> Iterable[str]:
    """Paths below the folders that hold pictures and sound."""
    waiting = [item for item in client.list_artifacts(run_id) if item.path in ("images", "audio", "evaluation")]
    while waiting:
        item = waiting.pop()
        if item.is_dir:
            waiting += client.list_artifacts(run_id, item.path)
        else:
            yield item.path


def _latest(paths: Iterable[str]) -> dict[str, str]:
    """{name with suffix: path} of the newest of each picture and sound."""
    newest: dict[str, tuple[int, str]] = {}
    for path in paths:
        match = IMAGE.match(path) or AUDIO.match(path) or EVALUATION.match(path)
        if match:
            name = match["key"].replace("~", "/") + Path(path).suffix
            step = int(match.groupdict().get("step") or 0)
            newest[name] = max(newest.get(name, (-1, "")), (step, path))
    return {name: path for name, (_, path) in sorted(newest.items())}
