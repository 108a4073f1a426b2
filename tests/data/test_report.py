"""The page about a prepared corpus: that it is whole in itself, that a corpus cannot write into it, and what it says and plays."""

import io
import re

import numpy as np
import pytest
import soundfile
from data_page import Page, hertz, report
from processed_files import COLUMNS, NEVER_DECODED, tone

from myxtts.config import DataError
from myxtts.config.data import PrepareConfig
from myxtts.data.report import write_report


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


def test_what_is_good_is_no_fault_for_being_less_so(processed):
    processed.keep(60, sound=True, snr_db="60").keep(3, sound=True, snr_db="36").keep(sound=True, snr_db="34")
    items = report(processed)[1].items["worst-clips"]
    assert len([item for item in items if "noisy" in item]) == 1 and "34" in next(item for item in items if "noisy" in item)


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
    assert "Shares are of 100 rows" in page.texts["rejected"] and "rejected (14 of 100 rows, 1 by the raw stage)" in page.texts[""]
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
        (
            lambda made: made.keep(language="fa").keep(20, language="fa", split="eval"),
            "Less than 10 minutes of speech in a language: fa 0.",
        ),
        (
            lambda made: made.keep(200, language="fa", seconds="4.0"),
            "Evaluation set eval_seen has fewer than 20 clips of a language: fa",
        ),
        (lambda made: made.keep(60, seconds="100.0"), "Speaker ann has 90% of all speech, more than 80%."),
        (
            lambda made: made.keep(19, split="eval_unseen_speaker"),
            "Evaluation set eval_unseen_speaker has fewer than 20 clips of a language: en 19.",
        ),
        (
            lambda made: [made.reject("low_snr") for _ in range(60)],
            "60 of 460 rows (13.0%) are rejected, more than 10%; most of them (60) as low_snr",
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


def test_what_has_no_licence_or_consent_is_marked(processed):
    processed.corpora["found"] = {**processed.corpora["studio"], "licence": "", "consent": "", "weight": 2.5, "clips": 1234, "hours": 2.0}
    page = report(processed.keep(3))[1]
    assert page.row("corpora", "studio") == ["ljspeech", "data/studio", "CC0", "written", "1", "60", "2.0 min"]
    assert page.row("corpora", "found")[2:] == ["not stated", "not stated", "2.5", "1,234", "2.00 h"]


def test_what_prepare_noticed_comes_first(processed):
    processed.keep(3).write()
    write_report(processed.folder, processed.root, processed.out, PrepareConfig(), ["2 of 9 texts hold <b>"])
    items = Page(processed.out).items["warnings"]
    assert items[0].strip() == "2 of 9 texts hold <b>" and len(items) > 1


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
        ("limits.json", None, "no .*limits.json"),
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
