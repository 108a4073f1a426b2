"""Synthesizers that make no speech, to see what is asked of them."""

import threading
import time

import numpy as np

from myxtts.config import DataError
from myxtts.synthesis.speech import Line, Speech
from myxtts.synthesis.voice import Voice

RATE = 1000
VOICE = Voice(np.zeros((1, 2, 3), np.float32), np.zeros((1, 4), np.float32))


def line(text: str) -> Line:
    return Line(text=text, voice=VOICE, language="en")


class Speaker:
    """Keeps what was asked for, in order, in `turns`: the texts of a batch, or the text and number of a stream's piece.

    It waits for `go` before each turn. A text "bad" is refused with the whole batch; "worse" fails as nobody foresaw.
    """

    sample_rate = RATE

    def __init__(self, seconds: float = 0.0, pieces: int = 3):
        self.seconds, self.pieces, self.turns, self.settings, self.closed = seconds, pieces, [], [], []
        self.go, self.at_work, self.threads = threading.Event(), threading.Event(), set()
        self.go.set()
        self.at_batch = lambda: None

    def speak_all(self, lines, settings=None):
        self.at_batch()
        self._turn([line.text for line in lines], settings)
        if any(line.text == "bad" for line in lines):
            raise DataError("a text is bad")
        if any(line.text == "worse" for line in lines):
            raise ZeroDivisionError("nobody foresaw this")
        return [Speech(np.full(RATE, len(line.text), np.float32), RATE, (), {}) for line in lines]

    def stream(self, text, voice, language, seed=0, settings=None):
        try:
            for number in range(self.pieces):
                self._turn((text, number), settings)
                yield np.full(10, number, np.float32)
        finally:
            self.closed.append(text)
            self.threads.add(threading.get_ident())

    def _turn(self, what, settings):
        self.threads.add(threading.get_ident())
        self.at_work.set()
        assert self.go.wait(120)
        time.sleep(self.seconds)
        self.turns.append(what)
        self.settings.append(settings)


def stand_in(synthesizer, **arguments):
    """The real synthesizer, but for what it says: that a Speaker says. Returns both."""
    speaker = Speaker(**arguments)

    class Mixed:
        speak_all, stream, sample_rate = speaker.speak_all, speaker.stream, RATE

        def __getattr__(self, name):
            return getattr(synthesizer, name)

    return Mixed(), speaker
