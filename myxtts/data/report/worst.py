"""The clips of a corpus that are furthest from the others, and what is played of them."""

import heapq
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from myxtts.audio.wave import resample
from myxtts.data.report.counts import PLACE, ClipCounts, measured, read_clips
from myxtts.data.report.measures import MEASURES, RATE, Histogram

WORST = 20
OF_ONE_MEASURE = 6  # as long as other measures have bad clips too: one fault must not hide the others
PLAYED_SECONDS = 12.0  # of a clip
# MP3, because every browser plays it and the same clip gives the same bytes; an Ogg stream has a number drawn at random
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000)
_PLAYED_RATE = 24000
_ROUNDING = 1e-6  # deviations: a clip that is like all others is not bad, whatever the last digit of their mean


@dataclass(frozen=True)
class Norm:
    """What is usual for a measure: median and robust standard deviation."""

    median: float
    spread: float


@dataclass(frozen=True)
class Clip:
    """A row of clips.csv with what is measured; `measure` lies furthest from the median: `deviations` robust standard deviations."""

    id: str
    audio: str
    speaker: str
    language: str
    text: str
    split: str
    values: dict[str, float]
    measure: str = ""
    deviations: float = 0.0
    start: float = 0.0
    end: float | None = None


class Norms:
    """What is usual in this corpus: over the kept clips, for the characters per second over those of the clip's language."""

    def __init__(self, counts: ClipCounts):
        self._norms = {name: _norm(item) for name, item in counts.kept.items() if name != RATE and item.total}
        self._rates = {language: _norm(item) for language, item in counts.kept_rate.items()}

    def of(self, name: str, language: str) -> Norm | None:
        return self._rates.get(language) if name == RATE else self._norms.get(name)

    def furthest(self, values: dict[str, float], language: str) -> tuple[str, float]:
        """The measure that lies furthest on a side that is a fault, and its signed deviation; ("", 0) where none does."""
        found, most = "", _ROUNDING
        for name, value in values.items():
            norm, measure = self.of(name, language), MEASURES[name]
            if norm is None or not math.isfinite(value):
                continue
            deviation = (value - norm.median) / norm.spread
            fault = measure.high_is if deviation > 0 else measure.low_is if value < measure.fine else ""
            if fault and abs(deviation) > abs(most):
                found, most = name, deviation
        return found, most if found else 0.0


def _norm(histogram: Histogram) -> Norm:
    return Norm(histogram.quantile(0.5), max(histogram.spread(), histogram.measure.least_spread))


def pick_clips(path: Path, norms: Norms, wanted: Collection[str]) -> tuple[list[Clip], dict[str, Clip]]:
    """Reads clips.csv a second time. Returns the kept clips that are worst, the worst first, and the rejected ones of `wanted` ids."""
    worst: dict[str, list[tuple[float, int, Clip]]] = {}  # by measure
    found: dict[str, Clip] = {}
    for number, cells in enumerate(read_clips(path)):
        if cells[PLACE["split"]]:
            values = measured(cells, path)
            name, deviation = norms.furthest(values, cells[PLACE["language"]])
            heap, rank = worst.setdefault(name, []), (abs(deviation), -number)
            if name and (len(heap) < WORST or rank > heap[0][:2]):
                (heapq.heappush if len(heap) < WORST else heapq.heapreplace)(heap, (*rank, _clip(cells, values, name, deviation)))
        elif cells[PLACE["id"]] in wanted:
            values = measured(cells, path)
            found[cells[PLACE["id"]]] = _clip(cells, values, *norms.furthest(values, cells[PLACE["language"]]))
    return _mixed(worst), found


def _mixed(worst: dict[str, list[tuple[float, int, Clip]]]) -> list[Clip]:
    ordered = [sorted(heap, key=lambda item: item[:2], reverse=True) for heap in worst.values()]
    first, others = ([item for heap in ordered for item in heap[part]] for part in (slice(OF_ONE_MEASURE), slice(OF_ONE_MEASURE, None)))
    ranked = [sorted(items, key=lambda item: item[:2], reverse=True) for items in (first, others)]
    taken = (ranked[0] + ranked[1])[:WORST]
    return [item[2] for item in sorted(taken, key=lambda item: item[:2], reverse=True)]


def _clip(cells: list[str], values: dict[str, float], measure: str, deviations: float) -> Clip:
    texts = (cells[PLACE[name]] for name in ("id", "audio", "speaker", "language", "text", "split"))
    start, end = (float(cells[PLACE[name]]) if cells[PLACE[name]] else None for name in ("start", "end"))
    return Clip(*texts, values, measure, deviations, start or 0.0, end)


def played(path: Path, start: float = 0.0, end: float | None = None) -> bytes | str:
    """An audio file from `start` to `end` (seconds), at most 12 s, as MP3 (mono, at most 24 kHz), or why there is none.

    Never raises because of the file.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(round(start * rate), file.frames))
            length = min(PLAYED_SECONDS, math.inf if end is None else end - start)
            samples = file.read(max(round(length * rate), 0), dtype="float32", always_2d=True)
        if not len(samples):
            return "it holds no samples"
        target = rate if rate in _MP3_RATES else _PLAYED_RATE
        wave = np.clip(resample(np.nan_to_num(samples.mean(axis=1)), rate, target), -1.0, 1.0)
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, target, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.5, bitrate_mode="VARIABLE")
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError) as error:
        if not path.is_file():
            return "the file is not there"
        return getattr(error, "error_string", "") or type(error).__name__
    return buffer.getvalue()
