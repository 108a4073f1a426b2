"""MyXTTS gives the reference implementation's numbers: every row of the report holds, and a row that is off would be seen."""

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import cases
import numpy as np
import pytest
import report
from cases import CASES, ROWS

SMALL = [case for case in CASES if case.size != "xtts_v2"]
LARGE = [case for case in CASES if case.size == "xtts_v2"]
PEER = os.environ.get("MYXTTS_PEER")


def failures(results):
    return {result.title: result.difference for result in results if not result.holds}


# other weights and texts of the same shapes take as long again: with the slow ones
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=[pytest.mark.slow] * (case in SMALL[1:-1])) for case in SMALL])
def test_every_row_holds(case):
    results = report.run(case)
    assert len(results) == len(ROWS) + 1
    assert failures(results) == {}


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_every_row_holds_at_full_size(case):
    """Needs 5 GB of memory and some three minutes."""
    assert failures(report.run(case)) == {}


@pytest.mark.slow
@pytest.mark.skipif(not PEER, reason="needs MYXTTS_PEER, the Python of an environment with coqui-tts 0.28.0")
@pytest.mark.parametrize("case", [SMALL[0], SMALL[-1]], ids=lambda case: case.name)
def test_every_row_holds_live(case, tmp_path):
    """The reference run now, beside the kept outputs and beside ours."""
    subprocess.run([PEER, str(Path(report.__file__).with_name("peer.py")), "--out", str(tmp_path), case.name], check=True)
    assert failures(report.run(case, tmp_path)) == {}
    with np.load(tmp_path / case.fixture.name) as now, np.load(case.fixture) as then:
        assert str(now["keys"]) == str(then["keys"])
        for name in ROWS:
            np.testing.assert_allclose(now[name], then[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def fixture():
    with np.load(CASES[0].fixture) as file:
        return dict(file)


def as_ours(fixture):
    """The reference's own outputs, in the place of ours."""
    return {name: fixture[name] for name in ROWS}


def resized(fixture):
    return {**fixture, **{f"{name}/size": fixture[name].size for name in ROWS}}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_is_off_is_seen(fixture, name):
    theirs, ours = resized(fixture), as_ours(fixture)
    assert failures(report.compare(CASES[0], theirs, ours, str(fixture["keys"]))) == {}
    values = ours[name].copy()
    values[len(values) // 2] += 1 if ROWS[name].bound == 0 else 2 * ROWS[name].bound * np.abs(values).max()
    assert list(failures(report.compare(CASES[0], theirs, {**ours, name: values}, str(fixture["keys"])))) == [ROWS[name].title]
    assert list(failures(report.compare(CASES[0], theirs, {**ours, name: values[:-1]}, str(fixture["keys"])))) == [ROWS[name].title]


def test_nan_and_other_tensor_names_are_seen(fixture):
    theirs, ours = resized(fixture), as_ours(fixture)
    assert "HiFi-GAN: waveform" in failures(report.compare(CASES[0], theirs, {**ours, "hifigan": ours["hifigan"] * np.nan}, "other"))
    assert "names and shapes of the state dict" in failures(report.compare(CASES[0], theirs, ours, "other"))


def test_the_table_names_the_worst_seed_of_a_size():
    results = [report.Result(case, "a row", difference, 1e-5) for case, difference in zip(SMALL[:3], (1e-7, 3e-5, 1e-6), strict=True)]
    made = report.table(results, {"coqui-tts": "0.28.0"})
    assert "| a row | narrow | 0, 1, 2 | 3.0e-05 | 1e-05 | **NO** |" in made
    assert "coqui-tts 0.28.0" in made
    assert "tensorflow" in made


def test_the_command_fails_where_a_row_fails():
    """Biases twice as large as the reference had them: the command says which rows are off."""
    lines = (
        "import cases, report, sys",
        r"cases.SCALES[r'\.bias$'] = lambda noise: 0.2 * noise",
        "sys.argv[1:] = ['--cases', 'narrow_0']",
        "report.main()",
    )
    folder = Path(report.__file__).parent
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "fails: HiFi-GAN: waveform, narrow_0" in ran.stderr
    assert "| mel of the DVAE (four lengths) | narrow | 0 |" in ran.stdout


def test_weights_and_inputs_are_the_same_bits_everywhere():
    """What both sides compute from; a fixture made from other bits would be worth nothing."""
    parts = [cases.tensor(3, "gpt.gpt.h.0.attn.c_attn.weight", (7, 21)), CASES[0].wave("x", 999), CASES[0].mel, CASES[3].batch["codes"]]
    assert [zlib.crc32(np.ascontiguousarray(part).tobytes()) for part in parts] == [3927571376, 3776358302, 3038404401, 748786489]


def test_fixtures_are_small_and_say_what_made_them():
    assert sum(case.fixture.stat().st_size for case in CASES) < 600_000
    for case in CASES:
        with np.load(case.fixture) as file:
            versions = json.loads(str(file["versions"]))
            assert set(ROWS) <= set(file.files)
        assert versions["coqui-tts"] == "0.28.0"
