"""Runs that begin while the MLflow server is away: they have an id of ours until the server gives them one.

What such a run logs waits in its spool (spool.py), and first of all the row that makes it; afterwards a tag says which run it became.
"""

import time
import uuid
from collections.abc import Mapping
from typing import Any

PREFIX = "offline-"
TAG = "myxtts.offline_id"
_known: dict[str, str] = {}


class Away:
    """In the place of MLflow's client while the server is away: whatever it is asked for, the connection fails."""

    def __init__(self, reason: str):
        self.reason = reason

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError(self.reason)


class NotDelivered(LookupError):
    """A run that began while MLflow was away has become none of its runs yet."""


def new_run(name: str, experiment: str, tags: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """An id for a run that MLflow does not know yet, and the row that will make it."""
    run_id = f"{PREFIX}{uuid.uuid4().hex}"
    row = {"kind": "create", "run": run_id, "experiment": experiment, "name": name, "tags": dict(tags), "time": int(time.time() * 1000)}
    return run_id, row


def is_offline(run_id: str) -> bool:
    return run_id.startswith(PREFIX)


def run_of(client: Any, run_id: str) -> str:
    """MLflow's id of a run: its own, or that of the run which an offline one became, even if that was deleted since.

    Raises NotDelivered while it became none: the row that makes it comes first in its spool, so what comes behind never finds it later.
    """
    if not is_offline(run_id):
        return run_id
    if run_id not in _known:
        found = _search(client, run_id)
        if found is None:
            raise NotDelivered(f"run {run_id} began while MLflow was away, and has not been delivered yet: myxtts sync")
        _known[run_id] = found
    return _known[run_id]


def known_as(client: Any, run_id: str) -> str:
    """`run_of`, or what the run was called here while MLflow cannot say: the run itself has that as a tag."""
    try:
        return run_of(client, run_id)
    except Exception:  # not delivered yet, or whatever the network raises
        return run_id


def create(client: Any, row: Mapping[str, Any], experiment_id: str) -> str:
    """Makes the run of a row of `new_run`, unless that was done before a failure; returns MLflow's id."""
    found = _search(client, row["run"])
    if found is None:
        tags = {**row["tags"], TAG: row["run"]}
        found = client.create_run(experiment_id, start_time=row["time"], tags=tags, run_name=row["name"]).info.run_id
    _known[row["run"]] = found
    return found


def _search(client: Any, run_id: str) -> str | None:
    from mlflow.entities import ViewType

    every = ViewType.ALL
    experiments = [experiment.experiment_id for experiment in client.search_experiments(view_type=every)]
    found = client.search_runs(experiments, f"tags.`{TAG}` = '{run_id}'", every, max_results=1) if experiments else []
    return found[0].info.run_id if found else None
