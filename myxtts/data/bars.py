"""Progress bars of what takes minutes: lively on a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_TERMINAL, _LOG = 1.0, 30.0  # seconds between two states of a bar


def bar(items: Iterable[Any] | None, name: str, unit: str, total: int | None = None, **settings: Any) -> tqdm:
    """A bar over items (or, with None, one to be updated) on standard error, with its rate. settings: others of tqdm's."""
    interval = _TERMINAL if sys.stderr.isatty() else _LOG
    return tqdm(items, name, total, unit=unit, mininterval=interval, maxinterval=max(interval, 10.0), **settings)
