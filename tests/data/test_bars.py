"""Bars: a log is not filled with their states."""

import io
import sys
import time

import pytest

from myxtts.data.bars import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "lines"), [(io.StringIO, range(1, 4)), (Terminal, range(5, 40))])
def test_how_often_a_state_is_written(monkeypatch, stream, lines):
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr("myxtts.data.bars._TERMINAL", 0.01)
    for _ in bar(range(30), "things", "thing", file=written):
        time.sleep(0.02)
    assert written.getvalue().count("\r") in lines and "30/30" in written.getvalue()
