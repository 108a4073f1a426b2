"""The numbers on the page about a prepared corpus: counted right, drawn right, and in memory that does not grow."""

import re
import tracemalloc

import numpy as np
import pytest
from data_page import Page, report
from processed_files import COLUMNS, NEVER_DECODED, Processed

from myxtts.config.data import PrepareConfig
from myxtts.data.report import write_report
from myxtts.data.report.counts import SpeakerSums
from myxtts.data.report.measures import MEASURES, Histogram, nice_steps


def test_figures_are_those_of_the_clips(processed):
    rng = np.random.default_rng(0)
    snr, rates, seconds = rng.normal(30, 6, 60).round(2), rng.uniform(8, 20, 60).round(3), rng.uniform(0.5, 11, 60).round(3)
    for index in range(60):
        who = {"speaker": "ann", "language": "en"} if index < 45 else {"speaker": "گوینده", "language": "fa"}
        split = {"split": "eval"} if index % 20 == 19 else {}
        values = {"snr_db": str(snr[index]), "characters_per_second": str(rates[index]), "seconds": str(seconds[index])}
        processed.keep(**who, **split, **values)
    processed.reject("low_snr", snr_db="-3.0").reject("low_snr", snr_db="2.0").reject("missing_audio", in_clips=False)
    figures, page = report(processed)
    assert figures["clips"] == 60 and figures["speakers"] == 2 and figures["languages"] == 2
    assert figures["hours"] == pytest.approx(seconds.sum() / 3600, abs=1e-4)
    assert figures["rejected"] == 3 and figures["rejected_share"] == pytest.approx(3 / 63, abs=1e-4)
    for name, values in (("snr_db", snr), ("characters_per_second", rates), ("seconds", seconds)):
        for label, share in (("median", 0.5), ("p5", 0.05), ("p95", 0.95)):
            # between the two values that are nearest, to within a bin
            near = [np.quantile(values, share, method=method) for method in ("lower", "higher")]
            assert near[0] - MEASURES[name].width <= figures[f"{name}/{label}"] <= near[1] + MEASURES[name].width, (name, label)
    assert figures["largest_speaker_share"] == pytest.approx(seconds[:45].sum() / seconds.sum(), abs=1e-4)
    assert (figures["rarest_character_count/en"], figures["rare_characters/en"], figures["unseen_letters/en"]) == (3, 1, 24)
    assert page.row("hours", "Persian (fa)")[1] == f"{seconds[45:].sum() / 60:.1f} min, 15 clips, 1 speaker"
    assert page.row("hours", "گوینده")[1] == f"{seconds[45:].sum() / 60:.1f} min, 15 clips, fa"
    assert page.row("sets", "eval_seen")[1:] == [
        "3",
        f"{seconds[19::20].sum() / 60:.1f} min",
        "2",
        f"{seconds[19::20].sum() / seconds.sum():.1%}",
    ]
    assert "4.8%rejected (3 of 63 rows, 1 by the raw stage)" in page.texts[""] and f"{seconds.sum() / 60:.1f} min" in page.texts[""]


def bars_of(page: Page, name: str) -> list[tuple[float, float, int, int]]:
    """(from, to, kept, rejected) of the bars of a histogram, by what they say when pointed at."""
    (svg,) = [svg for svg in page.svgs if svg.get("aria-label", "").startswith(f"Histogram: {name}")]
    titles = {title.text.replace(",", "") for title in svg.iter("title")}
    numbers = [re.fullmatch(r"(\S+) to (\S+) .*: (\d+) kept (\d+) rejected", title).groups() for title in titles]
    return sorted((float(low), float(high), int(kept), int(rejected)) for low, high, kept, rejected in numbers)


def test_histograms_count_every_clip_and_draw_the_rules(processed):
    for snr in (20, 20, 25, 30, 31, 32):
        processed.keep(snr_db=str(snr))
    processed.reject("low_snr", snr_db="3").reject("low_snr", snr_db="11").reject("low_snr", snr_db="-inf").reject(
        "bad_audio", **NEVER_DECODED
    )
    processed.reject("low_snr", snr_db="nan").keep(3, bandwidth_hz="5000").reject("low_snr", bandwidth_hz="5000", snr_db="")
    _, page = report(processed, min_snr_db=12.0, max_rate_deviation=None)
    bars = bars_of(page, "Signal-to-noise")
    assert sum(bar[2] for bar in bars) == 9 and sum(bar[3] for bar in bars) == 3, "infinity is counted; NaN and nothing are not"
    assert [bar[2] for bar in bars if bar[0] <= 20 < bar[1]] == [2] and [bar[3] for bar in bars if bar[0] <= 11 < bar[1]] == [1]
    assert "3 (25.0%) below 12 dB" in page.texts["measures"], "two low ones and the one of minus infinity, of twelve"
    (svg,) = [svg for svg in page.svgs if "Signal" in svg.get("aria-label", "")]
    (line,) = [item for item in svg.iter("line") if item.get("class") == "limit"]
    heights = {item.get("class"): 0.0 for item in svg.iter("rect")}
    for item in svg.iter("rect"):
        heights[item.get("class")] += float(item.get("height"))
    assert heights["kept"] == pytest.approx(3 * heights["rejected"], rel=0.01), "bars are as tall as they count"
    (dull,) = [svg for svg in page.svgs if "Bandwidth" in svg.get("aria-label", "")]
    kept, refused = [item for item in dull.iter("rect") if item.find("title").text.endswith("3 kept, 1 rejected")]
    assert float(refused.get("y")) + float(refused.get("height")) == pytest.approx(float(kept.get("y")), abs=0.2), "one stands on the other"
    near = min(svg.iter("rect"), key=lambda item: abs(float(item.get("x")) - float(line.get("x1"))))
    assert abs(float(near.find("title").text.split(" ")[0]) - 12) < 3, "the line stands where its value is"
    without = report(processed, min_snr_db=None, max_rate_deviation=None)[1]
    assert "min_snr_db" not in without.texts["measures"] and "below 12 dB" not in without.texts["measures"]


def test_rates_are_drawn_and_judged_by_language(processed):
    for index in range(40):
        processed.keep(language="en", characters_per_second=str(14 + index % 5)).keep(
            language="zh-cn", characters_per_second=str(4 + index % 5 / 10)
        )
    processed.keep(language="zh-cn", id="hurried", characters_per_second="14")
    processed.limits = {"characters_per_second": {"zh-cn": [2.75, 6.85]}}
    _, page = report(processed, max_rate_deviation=4.0)
    assert "hurried" in page.items["worst-clips"][0] and "14," in page.items["worst-clips"][0], "usual in English, not in Chinese"
    limits = re.search(
        r"Chinese \(zh-cn\): (\d+) \(\S+\) below (\S+) characters/s; (\d+) \(\S+\) above (\S+) characters/s", page.texts["measures"]
    )
    assert limits.groups() == ("0", "2.75", "1", "6.85"), "what prepare applied, whatever the clips of the page are"
    assert (
        "(zh-cn): 0 (0.0%) below 2.75 characters/s; 1 (2.4%) above 6.85 characters/s; limits: 4 robust standard deviations of the logarithm"
        in (page.texts["measures"])
    )
    assert "English (en): no limits: too few clips" in page.texts["measures"]
    assert "zh-cn): limits" not in report(processed, max_rate_deviation=None)[1].texts["measures"]


def test_of_many_speakers_the_largest_have_a_bar(processed):
    for index in range(40):
        processed.keep(index + 1, speaker=f"speaker{index:02d}")
    _, page = report(processed)
    names = [row[0] for row in page.rows["hours"]]
    assert names[1:] == [f"speaker{index:02d}" for index in range(39, 9, -1)] + ["the other 10"]
    assert page.row("hours", "the other 10")[1] == f"{sum(range(1, 11)) * 2 / 60:.1f} min, 55 clips"


def test_sums_are_the_same_however_few_speakers_are_kept_in_memory():
    rng = np.random.default_rng(3)
    small, large = SpeakerSums(in_memory=7), SpeakerSums()
    for speaker, language, split in rng.integers(0, (60, 2, 2), (5000, 3)).tolist():
        for sums in (small, large):
            sums.add(("train", "eval")[split], f"s{speaker}", ("en", "fa")[language], 0.5)
    assert small.speakers(30) == large.speakers(30) and small.total() == large.total() == (5000, 2500.0, 60)
    assert small.by("language") == large.by("language") and len(small.by("split")) == 2


def test_a_corpus_without_a_kept_clip_has_a_page(processed):
    figures, page = report(processed.reject("bad_audio", **NEVER_DECODED))
    assert figures["clips"] == 0 and figures["rejected_share"] == 1.0 and "snr_db/median" not in figures
    assert "rejected (1 of 1 rows)" in page.texts[""]
    assert "Nothing was measured." in page.texts["measures"]


def test_quantiles_and_spread_are_those_of_the_values_to_within_a_bin():
    rng = np.random.default_rng(5)
    for values in (rng.normal(25, 7, 4001), rng.exponential(10, 999), np.full(5, 13.3), np.array([1.0, 90.0])):
        histogram = Histogram(MEASURES["snr_db"])
        for value in values:
            histogram.add(float(value))
        for share in (0.0, 0.05, 0.3, 0.5, 0.95, 1.0):
            low, high = (np.quantile(values, share, method=method) for method in ("lower", "higher"))
            assert low - 0.1 <= histogram.quantile(share) <= high + 0.1
        if len(values) > 2:
            assert histogram.spread() == pytest.approx(1.4826 * np.median(np.abs(values - np.median(values))), abs=0.3)
        assert histogram.beyond(20.0, above=False) == (values < 20.0).sum()


def test_a_value_that_is_where_a_bin_begins_is_in_it():
    for place in range(1, 600):
        histogram = Histogram(MEASURES["seconds"])
        histogram.add(round(place * 0.02, 2))
        assert histogram.beyond(round(place * 0.02, 2), above=False) == histogram.beyond(round(place * 0.02, 2), above=True) == 0


def test_figures_have_no_more_digits_than_bins_tell_apart():
    assert [MEASURES["clipped_share"].figure(value) for value in (0.0000012, 0.00231, 1.0)] == ["0", "0.231", "100"]
    assert [MEASURES["snr_db"].worded(value) for value in (-0.001, 29.96, -12.34)] == ["0 dB", "30 dB", "-12.3 dB"]
    assert MEASURES["bandwidth_hz"].worded(7812.4) == "7,812 Hz"


def test_axes_have_round_numbers():
    assert list(nice_steps(0, 14, 7)) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert list(nice_steps(-26.2, -13.9, 7)) == [-26, -24, -22, -20, -18, -16, -14]


def peak_bytes(processed: Processed, rows: int) -> int:
    """The most memory that the page on so many clips takes, each of its own speaker."""
    line = ",".join(f'"{name}"' for name in COLUMNS) + "\n"
    usual = processed.keep().clips[0]
    processed.write()
    with (processed.folder / "clips.csv").open("w", encoding="utf-8") as file:
        file.write(line)
        for number in range(rows):
            values = usual | {"id": f"clip{number}", "speaker": f"speaker {number}", "snr_db": f"{20 + number % 997 / 50:.2f}"}
            file.write(",".join(f'"{values[name]}"' for name in COLUMNS) + "\n")
    tracemalloc.start()
    try:
        assert write_report(processed.folder, processed.root, processed.out, PrepareConfig())["speakers"] == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_corpus(processed, monkeypatch):
    monkeypatch.setattr("myxtts.data.report.counts.SpeakerSums.__init__.__defaults__", (500,))
    few = peak_bytes(processed, 1500)
    assert peak_bytes(processed, 9000) - few < 300_000


@pytest.mark.slow
def test_of_300_000_speakers_and_clips_the_page_takes_little_memory(processed):
    assert peak_bytes(processed, 300_000) < 30_000_000
    assert processed.out.stat().st_size < 100_000
