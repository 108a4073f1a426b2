"""Each metric must rank: recording < vocoded copy < noise, the right text < the wrong one. Proved on real English speech."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from myxtts.audio import recognition
from myxtts.audio.griffin_lim import griffin_lim
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.audio.wave import load
from myxtts.config import AudioConfig, DataError
from myxtts.evaluation import metrics
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.sound import Sound

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real_speech"
CLIPS = (
    "ast_en_agent-alreadyon",
    "ast_en_all-circuits-busy-now",
    "ast_en_agent-newlocation",
    "ast_en_agent-pass",
)
RATE = 22050
MEL = dvae_mel(AudioConfig())


def phone_error_rate(wave, rate, text):
    return metrics.phone_error_rate(Sound(wave, rate, "en"), text)


def between(name, wave, reference, rate, aligned):
    return getattr(metrics, name)(Sound(wave, rate), Sound(reference, rate), aligned)


def mel_distance(wave, reference, rate, aligned):
    return between("mel_distance", wave, reference, rate, aligned)


def stft_distance(wave, reference, rate, aligned):
    return between("stft_distance", wave, reference, rate, aligned)


def pitch_error(wave, reference, rate, aligned):
    return between("pitch_error", wave, reference, rate, aligned)


def voicing_error(wave, reference, rate, aligned):
    return between("voicing_error", wave, reference, rate, aligned)


def mel_cepstral_distortion(wave, reference, rate, aligned):
    return between("mel_cepstral_distortion", wave, reference, rate, aligned)


@pytest.fixture(scope="module")
def speech():
    """[(wave at 22.05 kHz, text)] of four clips."""
    if not (CORPUS / "metadata.csv").is_file():
        pytest.skip(f"no real speech at {CORPUS.name}: this ranking is proved where the shared corpus lies beside the repository")
    with (CORPUS / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["audio_file"]).stem: row for row in csv.DictReader(file, delimiter="|")}
    return [(load(CORPUS / rows[name]["audio_file"], RATE)[0], rows[name]["text"]) for name in CLIPS]


@pytest.fixture(scope="module")
def vocoded(speech):
    """Griffin-Lim copies, cut or padded to the original's length."""
    copies = [griffin_lim(log_mel_numpy(wave, MEL), MEL, iterations=16) for wave, _ in speech]
    return [np.pad(copy, (0, len(wave) - len(copy))) for copy, (wave, _) in zip(copies, speech, strict=True)]


def noise_like(wave, seed=0):
    return (np.random.default_rng(seed).normal(size=len(wave)) * wave.std()).astype(np.float32)


def coarse(wave):
    """A bad vocoder: one Griffin-Lim step on a mel that is smeared over time."""
    mel = log_mel_numpy(wave, MEL)
    smeared = np.stack([np.convolve(band, np.ones(25) / 25, mode="same") for band in mel.T], axis=1)
    return griffin_lim(smeared, MEL, iterations=1)


def test_phone_error_rate_ranks_recording_copy_and_noise(speech, vocoded):
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    real = np.mean([phone_error_rate(wave, RATE, text) for wave, text in speech])
    copy = np.mean([phone_error_rate(wave, RATE, text) for wave, (_, text) in zip(vocoded, speech, strict=True)])
    bad = np.mean([phone_error_rate(coarse(wave), RATE, text) for wave, text in speech])
    noise = np.mean([phone_error_rate(noise_like(wave), RATE, text) for wave, text in speech])
    assert real < 0.3
    # a copy from the mel alone is as intelligible as the recording (0.077 and 0.079 over 18 clips): mel_distance tells them apart
    assert abs(copy - real) < 0.08
    assert copy + 0.4 < bad < noise + 0.05
    assert noise > 0.9


def test_phone_error_rate_knows_the_wrong_text(speech):
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    texts = [text for _, text in speech]
    for number, (wave, text) in enumerate(speech):
        right = phone_error_rate(wave, RATE, text)
        assert all(right + 0.3 < phone_error_rate(wave, RATE, wrong) for wrong in texts[:number] + texts[number + 1 :])


def test_phone_error_rate_grows_with_what_is_left_out(speech):
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    wave, text = speech[0]
    whole, half = phone_error_rate(wave, RATE, text), phone_error_rate(wave[: len(wave) // 2], RATE, text)
    assert whole + 0.25 < half < 0.9
    assert phone_error_rate(wave[:100], RATE, text) == 1.0
    assert phone_error_rate(np.zeros(0, np.float32), RATE, text) == 1.0


def test_phone_error_rate_hears_no_sample_rate(speech):
    """The same sound at another rate has the same phones; a wrong rate has not."""
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    wave, text = speech[0]
    from myxtts.audio.wave import resample

    at_24k = resample(wave, RATE, 24000)
    assert abs(phone_error_rate(at_24k, 24000, text) - phone_error_rate(wave, RATE, text)) < 0.05
    assert phone_error_rate(wave, 2 * RATE, text) > phone_error_rate(wave, RATE, text) + 0.3


def test_punctuation_and_case_are_not_phones():
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    plain = recognition.text_phones("hello world it isnt so")
    assert plain == recognition.text_phones('Hello,  world! "It isn’t" so…')
    assert 10 < len(plain) < 20


def test_a_word_is_read_once(monkeypatch):
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    tools, read = recognition._phone_tools(), []
    recognition._phones_of_word.cache_clear()
    monkeypatch.setattr(recognition, "_phone_tools", lambda: (*tools[:2], lambda word: read.append(word) or tools[2](word)))
    assert recognition.text_phones("so it is so") == recognition.text_phones("So, it is so!")
    assert read == ["so", "it", "is"]


def test_a_text_without_words_is_an_error():
    pytest.importorskip("hama", reason="needs the extra: pip install 'myxtts[evaluation]'")
    with pytest.raises(DataError, match=r"text with words.*'\?!'"):
        phone_error_rate(np.zeros(16000, np.float32), 16000, "?!")


def test_without_hama_the_remedy_is_named(monkeypatch):
    recognition._phone_tools.cache_clear()
    monkeypatch.setitem(sys.modules, "hama", None)
    try:
        with pytest.raises(DataError, match=r"hama is not installed: pip install 'myxtts\[evaluation\]'"):
            phone_error_rate(np.zeros(16000, np.float32), 16000, "hello")
    finally:
        recognition._phone_tools.cache_clear()


@pytest.mark.parametrize("aligned", [False, True])
def test_mel_distance_ranks_copy_other_copy_and_noise(speech, vocoded, aligned):
    for (wave, _), copy in zip(speech, vocoded, strict=True):
        same, near, bad, noise = (
            mel_distance(other[: len(wave)], wave, RATE, aligned) for other in (wave, copy, coarse(wave), noise_like(wave))
        )
        assert same == pytest.approx(0, abs=1e-6)
        assert 0 < near < 3 < bad < noise


@pytest.mark.parametrize("metric", [stft_distance, pitch_error, voicing_error, mel_cepstral_distortion])
def test_what_judges_copies_ranks_recording_copy_and_bad_copy(speech, vocoded, metric):
    same, near, bad = (
        np.mean([metric(copy, wave, RATE, aligned=False) for (wave, _), copy in zip(speech, copies, strict=True)])
        for copies in ([wave for wave, _ in speech], vocoded, [coarse(wave) for wave, _ in speech])
    )
    assert same == pytest.approx(0, abs=1e-5) and 0 < near < 0.7 * bad


def test_stft_distance_refuses_another_reading(speech):
    with pytest.raises(DataError, match="stft_distance"):
        stft_distance(speech[0][0], speech[0][0], RATE, aligned=True)


def test_melody_is_compared_along_the_warping_path(speech):
    import librosa

    wave = speech[0][0]
    slower, higher = librosa.effects.time_stretch(wave, rate=0.8), librosa.effects.pitch_shift(wave, sr=RATE, n_steps=3)
    assert pitch_error(slower, wave, RATE, aligned=True) < 100 < 200 < pitch_error(higher, wave, RATE, aligned=True) < 450
    assert voicing_error(slower, wave, RATE, aligned=True) < 0.6 * voicing_error(slower, wave, RATE, aligned=False)


def test_mel_cepstral_distortion_forgives_level_and_pace_and_not_words(speech):
    import librosa

    wave, other = speech[0][0], speech[1][0]
    slower = librosa.effects.time_stretch(wave, rate=0.8)
    softer = mel_cepstral_distortion(wave * 0.5, wave, RATE, aligned=True)  # not 0: pauses are on the mel's floor in both
    assert softer < 0.2 * mel_cepstral_distortion(other, wave, RATE, aligned=True)
    assert mel_cepstral_distortion(slower, wave, RATE, aligned=True) < 0.6 * mel_cepstral_distortion(other, wave, RATE, aligned=True)


def test_predicted_opinion_ranks_recording_and_noise(speech, vocoded):
    pytest.importorskip("speechmos", reason="needs the extra: pip install 'myxtts[mos]'")
    real, copy, noise = (
        np.mean([metrics.predicted_mos(Sound(wave, RATE)) for wave in waves])
        for waves in ([wave for wave, _ in speech[:2]], vocoded[:2], [noise_like(wave) for wave, _ in speech[:2]])
    )
    assert 5 > real > copy > noise >= 1
    with pytest.raises(DataError, match=r"needs 0\.5 s"):
        metrics.predicted_mos(Sound(speech[0][0][:1000], RATE))


def test_aligned_distance_forgives_pace_and_not_words(speech):
    wave, other = speech[0][0], speech[1][0]
    import librosa

    slower = librosa.effects.time_stretch(wave, rate=0.8)
    assert mel_distance(slower, wave, RATE, aligned=True) < 0.6 * mel_distance(other, wave, RATE, aligned=True)
    with pytest.raises(DataError, match=r"differ by .* aligned=True"):
        mel_distance(slower, wave, RATE, aligned=False)


def test_mel_distance_is_in_decibel():
    """Half the amplitude is 6.02 dB less in every band above the floor."""
    wave = np.random.default_rng(1).normal(size=RATE).astype(np.float32) * 0.3
    for aligned in (False, True):
        assert mel_distance(wave / 2, wave, RATE, aligned) == pytest.approx(6.02, abs=0.35 if aligned else 0.01)
    assert mel_distance(wave[: RATE - 1000], wave, RATE, aligned=False) < 0.5


def test_metrics_are_named_like_their_functions():
    assert {name: metric.function.__name__ for name, metric in METRICS.items()} == {name: name for name in METRICS}
