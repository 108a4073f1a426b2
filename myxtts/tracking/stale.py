"""Runs whose process is gone: a kill -9 or a power cut leaves them RUNNING, which they must not be for ever."""

import logging
import socket
import uuid
from pathlib import Path
from typing import Any

import psutil

log = logging.getLogger("myxtts.tracking")
PROCESS = "myxtts.process"  # tag: machine, number of the process and when it began, which no later process has in common with it


def process_tag() -> dict[str, str]:
    """The tag by which a run's process is found again."""
    process = psutil.Process()
    return {PROCESS: f"{_place()} {process.pid} {process.create_time():.0f}"}


def _place() -> str:
    """Where numbers of processes mean what they mean here: the machine, and of it the container."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux
        container = ""
    return f"{socket.gethostname()} {uuid.getnode():x} {container}".strip()


def is_gone(tag: str) -> bool:
    """Whether the process of a tag ended. False for one on another machine or in another container, of which nothing is known here."""
    place, pid, began = tag.rsplit(" ", 2)
    if place != _place():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - float(began)) > 2
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:  # somebody else's, and alive
        return False


def close_stale(client: Any, experiment: str, own: str | None = None) -> list[str]:
    """Ends, as KILLED and with a note, the runs of an experiment that a process of this machine left RUNNING. Returns their ids.

    own: a run that is somebody else's to end, whatever became of the process that wrote to it (the project's, of `mlflow run`).
    A training that is gone on with opens its run again.
    """
    closed = []
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1000):
        tag = run.data.tags.get(PROCESS)
        if tag is None or run.info.run_id == own or not is_gone(tag):
            continue
        note = "its process ended without a word (kill -9, or a power cut); closed by the next start"
        client.set_tag(run.info.run_id, "error", note)
        client.set_tag(run.info.run_id, "mlflow.note.content", f"**Stopped:** {note}")
        client.update_run(run.info.run_id, status="KILLED")
        closed.append(run.info.run_id)
    if closed:
        log.warning("closed %d runs that were still RUNNING, though their processes are gone: %s", len(closed), ", ".join(closed))
    return closed
