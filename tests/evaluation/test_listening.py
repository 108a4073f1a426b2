"""Blind listening tests: what the page holds and hides, and what answers say."""

import csv
import json
import re

import numpy as np
import pytest
from chromium import open_chromium

from myxtts.audio import wave as wave_io
from myxtts.config import ConfigError, DataError
from myxtts.evaluation.listening import COLUMNS, RECORDING, Answer, make_test, opinions, preferences, read_answers

RATE = 24000


def evaluation(folder, tone, sentences=("a", "b", "c"), amplitude=0.1):
    samples = []
    for name in sentences:
        files = []
        for kind, pitch in (("speech", tone), ("ground_truth", 200)):
            wave = amplitude * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE).astype(np.float32)
            (folder / "audio").mkdir(parents=True, exist_ok=True)
            wave_io.save(folder / "audio" / f"{name}_{kind}.wav", wave, RATE)
            files.append(f"audio/{name}_{kind}.wav")
        samples.append({"id": name, "text": f"text </script> {name}", "files": files})
    (folder / "samples.json").write_text(json.dumps([*samples, {"id": "z", "text": "unheard", "files": []}]), encoding="utf-8")
    return folder


@pytest.fixture
def systems(tmp_path):
    return {"loud": evaluation(tmp_path / "loud", 300, amplitude=0.5), "soft": evaluation(tmp_path / "soft", 400, ("b", "c", "d"), 0.05)}


@pytest.fixture
def chromium():
    with open_chromium() as browser:
        yield browser


def content(page):
    return json.loads(re.search(r'id="test">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)[1])


def answers(path, key, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([key["test"], key["kind"], *row] for row in rows)
    return path


def test_an_ab_test_has_each_shared_sentence_by_each_pair_and_names_no_system(systems, tmp_path):
    page = tmp_path / "test.html"
    assert make_test(systems, page, "ab", 10, seed=1) == 2
    text, held = page.read_text(encoding="utf-8"), content(page)
    assert "loud" not in text and "soft" not in text, "blind"
    assert {trial["text"] for trial in held["trials"]} == {"text </script> b", "text </script> c"}
    key = json.loads((tmp_path / "test.key.json").read_text(encoding="utf-8"))
    for trial in held["trials"]:
        assert {key["clips"][clip["token"]][0] for clip in trial["clips"]} == {"loud", "soft"}
        assert all(clip["src"].startswith("data:audio/mpeg;base64,") for clip in trial["clips"])
    with pytest.raises(ConfigError, match="there already"):
        make_test(systems, page, "ab", 10, seed=1)


def test_clips_are_equally_loud(systems, tmp_path):
    import base64
    import io

    import soundfile

    make_test(systems, tmp_path / "test.html", "ab", 1, seed=1)
    sounds = [base64.b64decode(clip["src"].partition(",")[2]) for clip in content(tmp_path / "test.html")["trials"][0]["clips"]]
    levels = [np.sqrt(np.mean(np.square(soundfile.read(io.BytesIO(sound))[0]))) for sound in sounds]
    assert levels[0] == pytest.approx(levels[1], rel=0.15)


def test_a_mos_test_has_the_recording_as_hidden_anchor(systems, tmp_path):
    assert make_test(systems, tmp_path / "test.html", "mos", 1, seed=1) == 3
    key = json.loads((tmp_path / "test.key.json").read_text(encoding="utf-8"))
    assert {system for system, _ in key["clips"].values()} == {"loud", "soft", RECORDING}


def test_too_little_to_compare_is_refused(systems, tmp_path):
    with pytest.raises(ConfigError, match="two systems or more"):
        make_test({"loud": systems["loud"]}, tmp_path / "x.html", "ab", 1, seed=1)
    other = {"loud": systems["loud"], "third": evaluation(tmp_path / "third", 500, ("q",))}
    with pytest.raises(DataError, match="no sentence in common"):
        make_test(other, tmp_path / "x.html", "ab", 1, seed=1)
    with pytest.raises(DataError, match=r"expected one with samples\.json"):
        make_test(systems | {"none": tmp_path}, tmp_path / "x.html", "ab", 1, seed=1)


def test_answers_are_read_once_each_and_faults_are_named(systems, tmp_path):
    make_test(systems, tmp_path / "test.html", "ab", 10, seed=1)
    key = json.loads((tmp_path / "test.key.json").read_text(encoding="utf-8"))
    first, second = content(tmp_path / "test.html")["trials"][0]["clips"]
    row = ["ann", 1, first["token"], second["token"], "second", 3.2]
    path = answers(tmp_path / "ann.csv", key, [row])
    read = read_answers(key, [path, path])
    assert len(read) == 1 and read[0].systems == tuple(key["clips"][clip["token"]][0] for clip in (first, second))
    assert preferences(read)[0]["better"] + preferences(read)[0]["worse"] == 1
    for changed, fault in (
        ([*row[:2], "?", *row[3:]], "is not in the key"),
        ([*row[:4], "third", 1], "expected one of first, same, second"),
    ):
        with pytest.raises(DataError, match=f"line 2.*{fault}"):
            read_answers(key, [answers(tmp_path / "bad.csv", key, [changed])])
    with pytest.raises(DataError, match="answer to test 'other'"):
        read_answers(key, [answers(tmp_path / "bad.csv", key | {"test": "other"}, [row])])
    with pytest.raises(DataError, match="no answer"):
        read_answers(key, [answers(tmp_path / "bad.csv", key, [])])


def test_preferences_do_not_depend_on_which_was_heard_first():
    given = [Answer("ann", str(i), ("new", "old"), "first") for i in range(6)]
    given += [Answer("ann", str(i), ("old", "new"), "second") for i in range(6, 9)]
    given += [Answer("ann", "9", ("old", "new"), "first"), Answer("ann", "10", ("old", "new"), "same")]
    (row,) = preferences(given)
    assert (row["first"], row["better"], row["same"], row["worse"]) == ("new", 9, 1, 1)
    assert row["p"] == pytest.approx(22 / 1024)  # nine or more of ten, either way


def test_opinions_are_means_with_intervals():
    given = [Answer("ann", str(i), ("new",), value) for i, value in enumerate("4454")] + [Answer("ann", "0", ("old",), "1")]
    told = opinions(given)
    assert told["new"]["mos"] == 4.25 and told["new"]["low"] < 4.25 < told["new"]["high"] and told["new"]["answers"] == 4
    assert told["old"] == {"mos": 1.0, "low": 1.0, "high": 1.0, "answers": 1}


def test_a_listener_answers_in_a_browser(systems, tmp_path, chromium):
    """Until both were heard there is no answer; who comes back goes on; the file that is downloaded can be taken in."""
    page_file = tmp_path / "test.html"
    make_test(systems, page_file, "ab", 10, seed=1)
    key = json.loads((tmp_path / "test.key.json").read_text(encoding="utf-8"))
    page = chromium.new_page()
    page.goto(page_file.as_uri())
    page.fill("#listener", "Ann, B.")
    page.click("#begin")
    for answer in ("first", "same"):
        assert page.is_disabled(f"#answers button[data-value={answer}]")
        page.evaluate("document.querySelectorAll('audio').forEach(audio => audio.dispatchEvent(new Event('ended')))")
        page.wait_for_function("[...document.querySelectorAll('audio')].every(audio => audio.readyState)")  # MP3 that can be played
        page.click(f"#answers button[data-value={answer}]")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "answers.csv")
    read = read_answers(key, [tmp_path / "answers.csv"])
    assert {item.value for item in read} == {"first", "same"} and {item.listener for item in read} == {"Ann, B."}
    assert {item.sentence for item in read} == {"b", "c"}
