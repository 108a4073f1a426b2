"""What every test shares: a quiet TensorFlow, the repository's root, the shared folder of the workplace, small record folders."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
import pytest
from small import small_config

from myxtts.config import XTTSConfig

# a shell has it ignored for what runs in the background, and whoever is started inherits that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
pytest.register_assert_rewrite("readings")  # its checks say what differs, as those of a test file do

ROOT = Path(__file__).resolve().parents[1]
SPEAKERS = ("ada", "bob", "ada", "cyd", "bob", "ada", "bob", "ada", "bob", "ada", "bob")  # cyd has one clip only


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, a file stays in one, and all that use the project that tests/pipeline makes, which takes two minutes."""
    made = "tests/pipeline with its project"
    files = {item.path for item in items if "project" in item.fixturenames and item.path.parent.name == "pipeline"}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(made if item.path in files else str(item.path.relative_to(ROOT))))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Where the run itself is broken off (CI's time is over), the failures until then have been told."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} ({report.when}) failed after {report.duration:.0f} s\n{report.longreprtext[-3000:]}", flush=True)


@pytest.fixture
def heeds_hangup() -> Iterator[None]:
    """SIGHUP as it is at a terminal: under nohup, which the rest of the tests may run under, it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files beside the repository; skips where it is absent (users do not have it)."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (reference data of the workplace), which is not here")
    return folder


@pytest.fixture(scope="session")
def config() -> XTTSConfig:
    return small_config()


@pytest.fixture(scope="session")
def tokens(config, tmp_path_factory):
    """`data/tokens` of 11 clips, written directly: the batch path and the trainer are tested without audio."""
    from myxtts.data.encode import IndexRow, prompt_frames, speaker_frames
    from myxtts.data.records import token_schema, write_records

    folder = tmp_path_factory.mktemp("tokens")
    rng = np.random.default_rng(0)
    for split in ("train", "eval"):
        rows, records = [], []
        for row, speaker in enumerate(SPEAKERS):
            text, codes = rng.integers(3, 99, 3 + row), rng.integers(0, 32, 5 + 3 * row)
            records.append({"text_ids": text, "codes": codes, "shifted": [], "places": [], "row": row})
            rows.append(IndexRow(f"clip{row}", f"../wavs/clip{row}.wav", speaker, "en", len(text), len(codes)))
        write_records(folder / f"{split}.tfrecord", token_schema(), records)
        (folder / f"{split}_index.json").write_text(json.dumps([asdict(row) for row in rows]))
        # every value of a reference is its row number, so that a batch shows where its references came from
        marks = np.arange(len(rows), dtype=np.float16)[:, None, None]
        np.save(folder / f"{split}_prompts.npy", np.broadcast_to(marks, (len(rows), prompt_frames(config), 80)))
        np.save(folder / f"{split}_speakers.npy", np.broadcast_to(marks, (len(rows), speaker_frames(config), 64)))
    (folder / "text.json").write_text('{"start_id": 1, "stop_id": 0}')
    return folder


@pytest.fixture(scope="session")
def mels(tmp_path_factory):
    """`data/mels` of five clips of noise."""
    from myxtts.data.records import mel_schema, write_records

    folder = tmp_path_factory.mktemp("mels")
    rng = np.random.default_rng(1)
    for split in ("train", "eval"):
        write_records(folder / f"{split}.tfrecord", mel_schema(80), ({"mel": rng.normal(size=(n, 80))} for n in (9, 40, 100, 77, 26)))
    np.save(folder / "mel_norm.npy", np.full(80, 2.0, np.float32))
    return folder
