"""Record folders written directly, so that the batch path is tested without audio or networks."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from myxtts.config import XTTSConfig
from myxtts.data.encode import IndexRow, prompt_frames, speaker_frames
from myxtts.data.records import mel_schema, token_schema, write_records

SPEAKERS = ("ada", "bob", "ada", "cyd", "bob", "ada", "bob", "ada", "bob", "ada", "bob")  # cyd has one clip only


@pytest.fixture(scope="session")
def config() -> XTTSConfig:
    return XTTSConfig.from_dict(
        {
            "model": {"preset": "tiny"},
            "encode": {"prompt_seconds": 0.5},
            "training": {"gpt": {"num_buckets": 3}, "dvae": {"crop_seconds": 0.3}},
        }
    )


@pytest.fixture(scope="session")
def tokens(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    rng = np.random.default_rng(0)
    for split in ("train", "eval"):
        rows, records = [], []
        for row, speaker in enumerate(SPEAKERS):
            text, codes = rng.integers(3, 99, 3 + row), rng.integers(0, 256, 5 + 3 * row)
            records.append({"text_ids": text, "codes": codes, "row": row})
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
    folder = tmp_path_factory.mktemp("mels")
    rng = np.random.default_rng(1)
    for split in ("train", "eval"):
        write_records(folder / f"{split}.tfrecord", mel_schema(80), ({"mel": rng.normal(size=(n, 80))} for n in (9, 40, 100, 77, 26)))
    np.save(folder / "mel_norm.npy", np.full(80, 2.0, np.float32))
    return folder
