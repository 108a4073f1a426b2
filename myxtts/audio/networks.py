"""Small networks that come with their weights in a package, run by ONNX Runtime."""

import os
from importlib import resources
from typing import Any

from myxtts.config import DataError


def runtime() -> Any:
    """The package onnxruntime. Raises ImportError where it is not installed."""
    # these versions report to their maker from the moment they are imported
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_network(package: str, *path: str, needed_for: str, remedy: str) -> Any:
    """A session of the network in a file of a package, on the CPU and one thread: it gives the same numbers on any machine.

    needed_for, remedy: what to say where the package or ONNX Runtime is missing. Raises DataError then.
    """
    try:
        onnxruntime = runtime()
        weights = resources.files(package).joinpath(*path).read_bytes()
    except ImportError as error:
        raise DataError(f"{needed_for}; {error.name} is not installed: {remedy}") from None
    options = onnxruntime.SessionOptions()
    # several threads are no faster on so little work, and share it out: int8 rounds by what lies together, so the cores would show
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
