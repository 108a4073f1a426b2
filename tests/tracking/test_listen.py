"""`myxtts listen`: runs as systems, and answers that are kept with them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from myxtts.audio import wave as wave_io
from myxtts.config import DataError, XTTSConfig
from myxtts.evaluation.listening import COLUMNS
from myxtts.pipeline.listen import make, take_in
from myxtts.tracking.store import open_store

RATE = 24000
CONFIG = XTTSConfig.from_dict({"model": {"preset": "tiny"}})


def voice_run(project, name: str, tone: float, folder) -> str:
    """A run with an evaluation, as the stage leaves it."""
    client, experiment = open_store(project, CONFIG.tracking.experiment)
    run = client.create_run(experiment, run_name=name)
    rows = []
    for sentence in ("a", "b"):
        path = folder / name / f"{sentence}_speech.wav"
        wave_io.save(path, 0.1 * np.sin(2 * np.pi * tone * np.arange(RATE) / RATE), RATE)
        client.log_artifact(run.info.run_id, str(path), "evaluation/audio")
        rows.append({"id": sentence, "text": f"text {sentence}", "files": [f"audio/{path.name}"]})
    client.log_table(run.info.run_id, {key: [row[key] for row in rows] for key in rows[0]}, "samples.json")
    client.set_terminated(run.info.run_id)
    return run.info.run_id


@pytest.mark.parametrize("kind", ["ab", "mos"])
def test_answers_come_back_to_the_runs_that_were_heard(project, tmp_path, kind):
    runs = [voice_run(project, name, tone, tmp_path) for name, tone in (("old", 300), ("new", 400))]
    page = tmp_path / "test.html"
    told = make(CONFIG, project, [run[:12] for run in runs], page, kind, 5, 0)
    assert f"{2 if kind == 'ab' else 4} trials" in told and "myxtts listen --key" in told
    key_file = tmp_path / "test.key.json"
    key = json.loads(key_file.read_text(encoding="utf-8"))
    rows = []
    by_sentence = {}
    for token, (system, sentence) in key["clips"].items():
        by_sentence.setdefault(sentence, {})[system] = token
    for place, tokens in enumerate(by_sentence.values()):
        if kind == "ab":  # the new one is always better, wherever it is heard
            first, second = [tokens[run] for run in (runs if place else runs[::-1])]
            rows.append([key["test"], kind, "ann", place, first, second, "second" if place else "first", 2])
        else:
            rows += [[key["test"], kind, "ann", place, tokens[run], "", score, 2] for run, score in zip(runs, "24", strict=True)]
    with (tmp_path / "ann.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    summary = take_in(CONFIG, project, key_file, [tmp_path / "ann.csv"])
    client, _ = open_store(project, CONFIG.tracking.experiment)
    old, new = (client.get_run(run).data.metrics for run in runs)
    if kind == "ab":
        assert "p 0.5 of the sign test" in summary and (old["listening/preferred_share"], new["listening/preferred_share"]) == (0, 1)
    else:
        assert f"{runs[1]}: 4.00" in summary and (old["listening/mos"], new["listening/mos"]) == (2, 4)
        assert new["listening/answers"] == 2
    kept = json.loads(Path(client.download_artifacts(runs[0], f"listening/{key['test']}.json", str(tmp_path))).read_text())
    assert len(kept["answers"]) == len(rows) and kept["answers"][0]["listener"] == "ann"


def test_a_run_without_evaluation_is_named(project, tmp_path):
    client, experiment = open_store(project, CONFIG.tracking.experiment)
    run = client.create_run(experiment, run_name="gpt").info.run_id
    with pytest.raises(DataError, match=r"has no evaluation: name a voice run"):
        make(CONFIG, project, [run, run], tmp_path / "x.html", "ab", 5, 0)
    with pytest.raises(DataError, match="is no key of a listening test"):
        take_in(CONFIG, project, tmp_path / "none.json", [])
