"""Where in its text a clip is at each code: found from the clips alone."""

from itertools import combinations

import keras
import numpy as np
import pytest

from myxtts.data.places import Places, best_path
from myxtts.data.records import RecordFile, mel_schema, write_records

MELS, TOKENS, PER_CODE = 12, 9, 2


def test_the_best_path_is_the_best_of_all():
    scores = np.random.default_rng(0).normal(size=(9, 4))
    paths = [np.searchsorted(steps, np.arange(9), side="right") for steps in combinations(range(1, 9), 3)]
    best = max(paths, key=lambda path: scores[np.arange(9), path].sum())
    np.testing.assert_array_equal(best_path(scores), best)


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (4, 4)])
def test_a_path_begins_at_the_first_token_and_ends_at_the_last(shape):
    path = best_path(np.zeros(shape))
    assert path.dtype == np.int32 and path[0] == 0 and path[-1] == shape[1] - 1 and set(np.diff(path)) <= {0, 1}


@pytest.fixture
def spoken(tmp_path):
    """100 clips whose tokens sound each of its own, for two to six codes: (record file, texts, true places)."""
    rng = np.random.default_rng(1)
    sounds = 2 * rng.normal(size=(TOKENS, MELS))
    texts, places, mels = [], [], []
    for _ in range(100):
        text = rng.integers(1, TOKENS, rng.integers(3, 9)).astype(np.int32)
        text[1:] = np.where(text[1:] == text[:-1], text[1:] % (TOKENS - 1) + 1, text[1:])
        places.append(np.repeat(np.arange(len(text)), rng.integers(2, 7, len(text))))
        sound = np.repeat(sounds[text[places[-1]]], PER_CODE, axis=0)
        texts.append(text)
        mels.append({"mel": (sound + 0.5 * rng.normal(size=sound.shape)).astype(np.float16)})
    write_records(tmp_path / "mels.tfrecord", mel_schema(MELS), mels)
    return RecordFile(tmp_path / "mels.tfrecord", mel_schema(MELS)), texts, places


def test_places_are_learnt_from_the_clips_alone(spoken, monkeypatch):
    monkeypatch.setattr("myxtts.data.places.STEPS", 120)
    file, texts, true = spoken
    keras.utils.set_random_seed(2)
    aligner = Places(file, range(100), texts, np.ones(MELS), PER_CODE, TOKENS)
    agree = lambda: np.mean(np.concatenate([found == want for found, want in zip(aligner, true, strict=True)]))  # noqa: E731
    before = agree()
    assert aligner.learn([len(place) for place in true], seed=0) < 0.5
    assert agree() > 0.9 > before + 0.1


def test_a_clip_of_more_tokens_than_codes_gets_no_place_and_spoils_nothing(spoken, monkeypatch):
    monkeypatch.setattr("myxtts.data.places.STEPS", 2)
    file, texts, true = spoken
    texts[3] = np.ones(len(true[3]) + 1, np.int32)
    aligner = Places(file, range(4), texts[:4], np.ones(MELS), PER_CODE, TOKENS)
    assert np.isfinite(aligner.learn([len(place) for place in true[:4]], seed=0))
    found = list(aligner)
    assert not len(found[3]) and [len(place) for place in found[:3]] == [len(place) for place in true[:3]]
    assert np.isnan(Places(file, [3], texts[3:4], np.ones(MELS), PER_CODE, TOKENS).learn([len(true[3])], seed=0))
