"""What is measured on a clip, and fixed-bin histograms of it: a corpus of any size in the same memory."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_NORMAL = 1.4826  # median absolute deviation -> standard deviation, where values are normally distributed


@dataclass(frozen=True)
class Measure:
    """A column of clips.csv. low, high, width: of the bins; what lies outside is counted in the first and the last.

    least_spread: the robust standard deviation that is counted with where clips differ by less: in a studio's corpus an SNR that is
    1 dB from the median says nothing.
    low_is, high_is: what a clip is called that lies far below or above the median; "" = that is no fault.
    fine: from here on a low value is no fault either, however high the others are.
    """

    title: str
    unit: str
    low: float
    high: float
    width: float
    least_spread: float
    low_is: str = ""
    high_is: str = ""
    factor: float = 1.0  # from the column to the unit
    fine: float = math.inf

    def figure(self, value: float) -> str:
        """A value in the unit, with no more digits than the bins tell apart."""
        return number(round(value, 1 - math.floor(math.log10(self.width))) * self.factor)

    def worded(self, value: float) -> str:
        """A value as people read it, with its unit."""
        return f"{self.figure(value)} {self.unit}"


# Loudness, clipping, SNR and bandwidth are of the recording before anything was done to it.
MEASURES = {
    "seconds": Measure("Duration", "s", 0.0, 120.0, 0.02, 1.0),
    "snr_db": Measure("Signal-to-noise ratio", "dB", -20.0, 100.0, 0.1, 2.0, low_is="noisy", fine=35.0),
    "loudness_lufs": Measure("Loudness", "LUFS", -80.0, 10.0, 0.1, 2.0, low_is="quiet", high_is="loud"),
    "characters_per_second": Measure(
        "Characters per second",
        "characters/s",
        0.0,
        60.0,
        0.05,
        0.5,
        low_is="slow, or more is said than the text has",
        high_is="fast, or the text has more than is said",
    ),
    "bandwidth_hz": Measure("Bandwidth", "Hz", 0.0, 48000.0, 20.0, 500.0, low_is="muffled", fine=10_000.0),
    "clipped_share": Measure("Samples at full scale", "%", 0.0, 1.0, 0.0001, 0.0002, high_is="clipped", factor=100.0),
}
RATE = "characters_per_second"  # compared within a language: a Chinese character takes longer to say than a Spanish one


class Histogram:
    """Counts of values in the fixed bins of a measure, and the sum in each: what is often the very same value is told exactly."""

    def __init__(self, measure: Measure):
        self.measure = measure
        self.counts = [0] * round((measure.high - measure.low) / measure.width)
        self.sums = [0.0] * len(self.counts)
        self.least, self.most = math.inf, -math.inf

    def add(self, value: float) -> None:
        """Counts a value; infinity goes to the first or last bin."""
        measure = self.measure
        inside = min(max(value, measure.low), measure.high)
        # a value such as 0.4 is a hair below the bin that begins there: 0.4 / 0.02 = 19.999…
        place = min(int((inside - measure.low) / measure.width + 1e-6), len(self.counts) - 1)
        self.counts[place] += 1
        self.sums[place] += inside
        self.least, self.most = min(self.least, value), max(self.most, value)

    @property
    def total(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The value below which `share` of all lies, to within one bin. Raises ValueError where nothing was counted."""
        counts, means = self._filled()
        return float(means[np.searchsorted(np.cumsum(counts), share * (counts.sum() - 1), side="right")])

    def spread(self) -> float:
        """Robust standard deviation: 1.4826 times the median distance from the median, to within one bin."""
        counts, means = self._filled()
        distances = np.abs(means - self.quantile(0.5))
        order = np.argsort(distances, kind="stable")
        reached = np.searchsorted(np.cumsum(counts[order]), (counts.sum() - 1) / 2, side="right")
        return _NORMAL * float(distances[order][reached])

    def beyond(self, limit: float, above: bool) -> int:
        """How many lie above (or below) a limit; a limit inside a bin is taken to its nearest edge."""
        index = min(max(round((limit - self.measure.low) / self.measure.width), 0), len(self.counts))
        return sum(self.counts[index + 1 :] if above else self.counts[:index])

    def _filled(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts and mean values of the bins that hold something."""
        counts, sums = np.asarray(self.counts), np.asarray(self.sums)
        if not counts.any():
            raise ValueError("a quantile of nothing")
        return counts[counts > 0], sums[counts > 0] / counts[counts > 0]


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """The sum of histograms of one measure."""
    result = Histogram(histograms[0].measure)
    result.counts = np.sum([item.counts for item in histograms], axis=0).tolist()
    result.sums = np.sum([item.sums for item in histograms], axis=0).tolist()
    result.least, result.most = min(item.least for item in histograms), max(item.most for item in histograms)
    return result


def number(value: float) -> str:
    """Three figures that count, thousands apart: 0.0123, 4.57, 87.6, 1,234."""
    if value == int(value) or abs(value) >= 100:
        return f"{value + 0.0:,.0f}"  # + 0.0: of -0.0, the zero alone
    return f"{value:.3g}"


def nice_steps(low: float, high: float, about: int) -> Iterator[float]:
    """Round numbers from low to high, about so many: 1, 2 or 5 times a power of ten apart."""
    step = nice_step((high - low) / about)
    place = math.ceil(low / step - 1e-9)
    while place * step <= high + step * 1e-9:
        yield place * step
        place += 1


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
