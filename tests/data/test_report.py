"""The page about a prepared corpus: its numbers, that it is whole in itself, and that a corpus cannot write into it."""

import base64
import io
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from processed_files import COLUMNS, NEVER_DECODED, Processed, tone

from myxtts.config import DataError
from myxtts.config.data import PrepareConfig
from myxtts.data.report import write_report
from myxtts.data.report.counts import SpeakerSums
from myxtts.data.report.measures import MEASURES, Histogram, nice_steps

VOID = {"meta"}
FETCHED = ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href", "formaction")


class Page(HTMLParser):
    """A page as a browser reads it: sections by id with their text, tables, players, addresses. Fails where tags do not match."""

    def __init__(self, path: Path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.texts: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.items: dict[str, list[str]] = {}
        self.sounds: dict[str, list[tuple[int, bytes]]] = {}  # number of the list item, MP3
        self.svgs = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", self.html, re.DOTALL)]
        self._section = ""
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(attributes)
        self.addresses += [attributes[name] for name in FETCHED if name in attributes]
        if tag == "section":
            self._section = attributes["id"]
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        if tag == "li":
            self.items.setdefault(self._section, []).append("")
        if tag == "audio":
            kind, data = attributes["src"].split(",")
            assert kind == "data:audio/mpeg;base64"
            self.sounds.setdefault(self._section, []).append((len(self.items[self._section]) - 1, base64.b64decode(data)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= set(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts[self._section] = self.texts.get(self._section, "") + data
        if self.open and self.open[-1] != "style":
            if {"td", "th"} & set(self.open):
                self.rows[self._section][-1][-1] += data
            if "li" in self.open:
                self.items[self._section][-1] += data

    def row(self, section: str, head: str) -> list[str]:
        (found,) = [row[1:] for row in self.rows[section] if row and row[0] == head]
        return found


@pytest.fixture
def processed(tmp_path) -> Processed:
    return Processed(tmp_path)


def report(processed: Processed, **settings) -> tuple[dict[str, float], Page]:
    processed.write()
    figures = write_report(processed.folder, processed.root, processed.out, PrepareConfig(**settings))
    return figures, Page(processed.out)


def hertz(mp3: bytes) -> float:
    """Where the spectrum of a sound is highest."""
    wave, rate = soundfile.read(io.BytesIO(mp3))
    return float(np.argmax(np.abs(np.fft.rfft(wave)))) * rate / len(wave)


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
    assert (figures["clips/train"], figures["clips/eval"]) == (57, 3)
    assert (figures["rarest_character_count/en"], figures["rare_characters/en"], figures["unseen_letters/en"]) == (3, 1, 24)
    assert page.row("hours", "Persian (fa)")[1] == f"{seconds[45:].sum() / 60:.1f} min, 15 clips, 1 speaker"
    assert page.row("hours", "گوینده")[1] == f"{seconds[45:].sum() / 60:.1f} min, 15 clips, fa"
    assert page.row("sets", "eval_seen")[1:] == [
        "3",
        f"{seconds[19::20].sum() / 60:.1f} min",
        "2",
        f"{seconds[19::20].sum() / seconds.sum():.1%}",
    ]
    assert "rejected (3)" in page.texts[""] and f"{seconds.sum() / 60:.1f} min" in page.texts[""]


def test_the_page_needs_nothing_else_and_runs_nothing(processed):
    processed.keep(30, sound=True, snr_db="30").keep(sound=True, snr_db="9", text="سلام دنیا").reject(
        "low_snr", "2 dB", audio="corpus/x.wav"
    )
    tone(processed.root / "corpus/x.wav")
    _, page = report(processed)
    assert page.addresses and all(address.startswith(("data:audio/mpeg;base64,", "#")) for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "image", "use"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", page.html) and "default-src 'none'" in page.html
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.texts)
    assert '<p dir="auto">سلام دنیا</p>' in page.html and "prefers-color-scheme:dark" in page.html


HOSTILE = "</p></style><script>alert('ﻫ')</script>\"><img src=x onerror=alert(1)>&lt;\x00\x1b'"


def test_texts_of_the_corpus_cannot_write_into_the_page(processed):
    foreign = {"text": HOSTILE, "speaker": HOSTILE, "language": HOSTILE}
    processed.keep(20).keep(2, **{**foreign, "split": HOSTILE, "corpus": HOSTILE, "snr_db": "1"}, id=HOSTILE, audio=HOSTILE)
    processed.reject(HOSTILE, HOSTILE, id=HOSTILE, audio=HOSTILE, **foreign)
    processed.corpora = {
        HOSTILE: {"layout": HOSTILE, "path": HOSTILE, "licence": HOSTILE, "consent": "", "weight": 1, "clips": 3, "hours": 1}
    }
    processed.characters = {"used": {HOSTILE: {"<": 2, "&": 9}}, "removed": {HOSTILE: {">": 7, '"': 1}}}
    _, page = report(processed)
    assert not {"script", "img"} & set(page.tags) and "onerror" not in page.attributes and "<script" not in page.html
    assert "\x00" not in page.html and "\x1b" not in page.html
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    for section in ("worst-clips", "rejected", "corpora", "characters"):
        assert shown in page.texts[section], section
    assert shown[:40] in page.texts["hours"] and shown in page.texts["sets"] and shown in page.texts["warnings"]


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
    _, page = report(processed, max_rate_deviation=4.0)
    assert "hurried" in page.items["worst-clips"][0] and "14," in page.items["worst-clips"][0], "usual in English, not in Chinese"
    limits = re.search(
        r"Chinese \(zh-cn\): (\d+) \(\S+\) below (\S+) characters/s; (\d+) \(\S+\) above (\S+) characters/s", page.texts["measures"]
    )
    values = np.array([4 + index % 5 / 10 for index in range(40)] + [14.0])
    spread = 1.4826 * np.median(np.abs(values - np.median(values)))
    assert float(limits[2]) == pytest.approx(np.median(values) - 4 * spread, abs=0.3)
    assert float(limits[4]) == pytest.approx(np.median(values) + 4 * spread, abs=0.3)
    assert (limits[1], limits[3]) == ("0", "1")


FAULTS = {
    "noisy": {"snr_db": "4"},
    "muffled": {"bandwidth_hz": "3400"},
    "clipped": {"clipped_share": "0.03"},
    "quiet": {"loudness_lufs": "-55"},
    "loud": {"loudness_lufs": "-3"},
    "fast, or the text has more than is said": {"characters_per_second": "40"},
    "slow, or more is said than the text has": {"characters_per_second": "1.5"},
}


def test_the_worst_clips_are_named_with_their_fault_and_played(processed):
    processed.keep(7, seconds="2.7")
    processed.clips = [clip | {"loudness_lufs": "-23.3", "characters_per_second": "14.1"} for clip in processed.clips * 6]
    for index, (word, values) in enumerate(FAULTS.items()):
        processed.keep(id=f"fault{index}", speaker="bob", text=f"Text of {word}", **values)
        tone(processed.folder / f"wavs/fault{index}.wav", 1.0, 300 + 100 * index)
    processed.keep(id="good", snr_db="70", bandwidth_hz="24000", loudness_lufs="-23.3", characters_per_second="14.1")
    _, page = report(processed)
    items = page.items["worst-clips"]
    assert len(items) == len(FAULTS), "a clip that is better than the others is no bad one"
    for index, word in enumerate(FAULTS):
        (place,) = [place for place, item in enumerate(items) if f"fault{index}" in item]
        assert items[place].startswith(f"{word}: ") and f"Text of {word}" in items[place] and "bob, en" in items[place]
        (sound,) = [sound for number, sound in page.sounds["worst-clips"] if number == place]
        assert hertz(sound) == pytest.approx(300 + 100 * index, abs=3), "the player under a clip plays that clip"
    order = [float(re.search(r"([\d.]+) deviations", item)[1]) for item in items]
    assert order == sorted(order, reverse=True)
    assert "Signal-to-noise ratio 4, 13.0 deviations below the median 30 dB" in "".join(items), "26 dB below, in steps of 2 at least"


def test_no_fault_hides_the_others(processed):
    processed.keep(200)
    for index in range(40):
        processed.keep(snr_db=str(index / 10), id=f"noisy{index}")
    processed.keep(3, bandwidth_hz="9000").keep(loudness_lufs="-28")
    _, page = report(processed)
    items = page.items["worst-clips"]
    assert len(items) == 20 and sum(item.startswith("noisy") for item in items) == 16
    assert sum(item.startswith("muffled") for item in items) == 3 and sum(item.startswith("quiet") for item in items) == 1
    assert "noisy0 " in items[0] and not any("noisy16 " in item for item in items)
    processed.keep(30, bandwidth_hz="9000")
    items = report(processed)[1].items["worst-clips"]
    # 6 of each first, then the worst of the rest
    assert [sum(item.startswith(word) for item in items) for word in ("noisy", "muffled", "quiet")] == [13, 6, 1]


def test_rejected_rows_are_counted_with_examples_that_are_heard(processed):
    processed.keep(86)
    for index in range(10):
        processed.reject("low_snr", f"{index} dB, expected at least 10", id=f"low{index}", text=f"Noise {index}")
        tone(processed.root / f"corpus/low{index}.wav", 20.0, 500 + 10 * index, rate=44100, channels=2)
    processed.reject("bad_audio", "cannot be decoded", id="broken", **NEVER_DECODED)
    (processed.root / "corpus/broken.wav").write_bytes(b"RIFF nothing of the kind")
    processed.reject("missing_audio", "no audio file", in_clips=False).reject("missing_audio", "gone", id="gone").reject(
        "empty_text", "nothing"
    )
    (processed.root / "corpus/bad013.wav").write_bytes(b"")
    _, page = report(processed)
    assert page.row("rejected", "low_snr")[1] == "10 (10.0%)" and page.row("rejected", "missing_audio")[1] == "2 (2.0%)"
    items = page.items["rejected"]
    low = [re.search(r"Noise (\d)", item)[1] for item in items if "Noise" in item]
    assert len(low) == 3 == len(set(low)) and all(f"{index} dB, expected at least 10" in "".join(items) for index in low)
    sounds = [sound for _, sound in page.sounds["rejected"]]
    assert sorted(round(hertz(sound) / 10) for sound in sounds) == sorted(50 + int(index) for index in low)
    assert all(soundfile.info(io.BytesIO(sound)).duration == pytest.approx(12.0, abs=0.2) for sound in sounds), "no more than 12 s of 20"
    assert len(processed.out.read_bytes()) < 700_000
    (broken,) = [item for item in items if "broken" in item]
    assert "Cannot be played: " in broken and "cannot be decoded" in broken
    assert "Cannot be played: the file is not there." in next(item for item in items if "gone" in item)


def test_a_rejected_part_of_a_recording_is_played_from_where_it_begins(processed):
    processed.keep(3, sound=True).reject("low_snr", id="part", audio="corpus/long.wav", start="1.0", end="2.0").write()
    wave = np.concatenate([np.sin(2 * np.pi * hz * np.arange(16000) / 16000) for hz in (300, 700, 1100)]) * 0.3
    (processed.root / "corpus").mkdir()
    soundfile.write(processed.root / "corpus/long.wav", wave, 16000)
    write_report(processed.folder, processed.root, processed.out, PrepareConfig())
    ((_, sound),) = Page(processed.out).sounds["rejected"]
    assert hertz(sound) == pytest.approx(700, abs=3) and soundfile.info(io.BytesIO(sound)).duration == pytest.approx(1.0, abs=0.2)


GOOD = {"used": {"en": {"e": 50}}, "removed": {"en": {}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: made.corpora["studio"].update(licence=""), "The licence of corpus studio is not stated."),
        (lambda made: made.corpora["studio"].update(consent=""), "The consent of the speakers of corpus studio is not stated."),
        (lambda made: made.keep(language="fa"), "Less than 10 minutes of speech in a language: fa 0.0."),
        (lambda made: made.keep(60, seconds="100.0"), "Speaker ann has 90% of all speech, more than 80%."),
        (lambda made: made.keep(19, split="eval_unseen_speaker"), "Evaluation set eval_unseen_speaker has 19 clips, fewer than 20."),
        (
            lambda made: [made.reject("low_snr") for _ in range(60)],
            "60 of 460 clips (13.0%) are rejected, more than 10%; most of them (60) as low_snr",
        ),
        (lambda made: made.keep(500, bandwidth_hz="3400"), "The median bandwidth is 3,4"),
        (
            lambda made: made.characters["used"]["en"].update(q=4),
            "Language en: 1 of 2 characters are seen fewer than 5 times: \u2068q\u2069.",
        ),
        (lambda made: made.characters["removed"]["en"].update({"ж": 2, "“": 9}), "removed from its texts: \u2068ж\u2069."),
    ],
)
def test_warnings_name_what_passes_their_threshold(processed, change, said):
    processed.corpora = {"studio": dict(processed.corpora["studio"])}
    processed.characters = {name: {"en": dict(counts["en"])} for name, counts in GOOD.items()}
    for speaker in ("ann", "bob"):
        processed.keep(180, speaker=speaker, seconds="4.0").keep(20, speaker=speaker, split="eval")
    figures, page = report(processed)
    assert figures["clips"] == 400 and "li" not in page.tags[: page.tags.index("h3")], "the usual corpus has no warning"
    assert "Nothing: no threshold" in page.texts["warnings"]
    change(processed)
    items = report(processed)[1].items["warnings"]
    assert any(said in item for item in items), items
    assert len(items) == 1


def test_characters_are_shown_with_what_is_rare_missing_and_removed(processed):
    letters = {letter: 10 + index for index, letter in enumerate("abcdefghijklmnoprstuvwxyz")}
    used = {
        "en": {**letters, " ": 500, "q": 4},
        "fa": {"\u200c": 7, "\u0627": 5},
        "zh-cn": {chr(0x4E00 + index): 1000 - index for index in range(900)},
    }
    processed.characters = {"used": used, "removed": {"fa": {"\u064b": 12, "\u0640": 3}, "en": {"\u201c": 5}}}
    figures, page = report(processed.keep(3))
    assert figures["rarest_character_count/en"] == 4 and figures["unseen_letters/en"] == 0
    assert figures["unseen_letters/zh-cn"] == 0, "Chinese has no list of letters that could be missing"
    cells = re.findall(r'<li( class="rare")? title="([^"]*)">', page.html)
    assert [title for rare, title in cells if rare] == ["U+0071 LATIN SMALL LETTER Q: 4"]
    assert ("", "U+200C ZERO WIDTH NON-JOINER: 7") in cells and "U+200C" in page.texts["characters"]
    assert "900 characters, 0 of them rare." in page.texts["characters"] and "… 740 more …" in page.texts["characters"]
    assert sum("CJK UNIFIED" in title for _, title in cells) == 160
    assert "Never seen: \u0621 \u0622" in page.texts["characters"] and "Never seen: q" not in page.texts["characters"]
    removed = [row for row in page.rows["characters"] if row[1].startswith("U+")]
    assert removed == [
        ["\u25cc\u064b", "U+064B", "ARABIC FATHATAN", "fa", "12"],
        ["\u201c", "U+201C", "LEFT DOUBLE QUOTATION MARK", "en", "5"],
        ["\u0640", "U+0640", "ARABIC TATWEEL", "fa", "3"],
    ]


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


def test_what_has_no_licence_or_consent_is_marked(processed):
    processed.corpora["found"] = {**processed.corpora["studio"], "licence": "", "consent": "", "weight": 2.5, "clips": 1234, "hours": 2.0}
    page = report(processed.keep(3))[1]
    assert page.row("corpora", "studio") == ["ljspeech", "data/studio", "CC0", "written", "1", "60", "2.0 min"]
    assert page.row("corpora", "found")[2:] == ["not stated", "not stated", "2.5", "1,234", "2.00 h"]


def test_the_same_files_give_the_same_page(processed):
    processed.keep(30, sound=True).keep(sound=True, snr_db="3")
    report(processed)
    first = processed.out.read_bytes()
    report(processed)
    assert processed.out.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("clips.csv", None, "no .*clips.csv: run the stage that writes it"),
        ("clips.csv", "id,audio\n", "clips.csv .* expected the header id,audio,corpus"),
        ("clips.csv", ",".join(COLUMNS) + "\na,b\n", "line 2: expected 20 columns, got 2"),
        ("clips.csv", ",".join(COLUMNS) + "\n" + ",".join(["x"] * 20) + "\n", "clip x: could not convert"),
        ("clips.csv", ",".join(COLUMNS) + '\n"a', "expected comma CSV"),
        ("rejected.csv", b"\xff\xfe", "cannot read .*rejected.csv"),
        ("corpora.json", "{", "corpora.json is no JSON"),
        ("characters.json", None, "no .*characters.json"),
    ],
)
def test_broken_files_are_named_and_leave_the_old_page(processed, name, content, said):
    report(processed.keep(3))
    before = processed.out.read_bytes()
    (processed.folder / name).unlink()
    if content is not None:
        (processed.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said):
        write_report(processed.folder, processed.root, processed.out, PrepareConfig())
    assert processed.out.read_bytes() == before


def test_a_corpus_without_a_kept_clip_has_a_page(processed):
    figures, page = report(processed.reject("bad_audio", **NEVER_DECODED))
    assert figures["clips"] == 0 and figures["rejected_share"] == 1.0 and "snr_db/median" not in figures
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
