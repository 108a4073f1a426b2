"""Clipping, noise and bandwidth: what was put in is measured, in signals of known truth and in recordings made worse."""

import io

import numpy as np
import pytest
import soundfile
from vowels import syllables

from myxtts.audio import wave
from myxtts.audio.quality import measure_quality
from myxtts.audio.vad import speech_spans
from myxtts.config.data import PrepareConfig

RATE = 24000
LIMITS = PrepareConfig()


def as_16_bit(samples: np.ndarray) -> np.ndarray:
    return (np.clip(np.round(samples * 32768), -32768, 32767) / 32768).astype(np.float32)


def sine(frequency: float, seconds: float = 2.0, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def band_noise(count: int, rate: int, kind: str, seed: int = 0) -> np.ndarray:
    """(count,) of mean square 1, white or pink from 60 Hz on."""
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count)) * (frequencies > 60)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(frequencies, 60))
    noise = np.fft.irfft(spectrum, count)
    return noise / np.sqrt(np.mean(np.square(noise)))


def test_peak_and_speech_seconds():
    quality = measure_quality(np.stack([sine(440, amplitude=0.5), sine(440, amplitude=0.1)], axis=1), RATE, [(0, 6000), (12000, 24000)])
    assert quality.peak_dbfs == pytest.approx(-6.02, abs=0.01) and quality.speech_seconds == 0.75


@pytest.mark.parametrize("frequency", [30, 50, 120, 440, 1000.7, 6000])
@pytest.mark.parametrize("amplitude", [1.0, 0.3])
def test_a_clean_sine_is_not_clipped(frequency, amplitude):
    assert measure_quality(as_16_bit(sine(frequency, amplitude=amplitude)), RATE, []).clipped_share == 0


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_a_clipped_sine_is_clipped_by_so_much(gain):
    """A sine clipped at half its height stands there for two thirds of its time, at full scale or scaled down."""
    clipped = as_16_bit(gain * np.clip(sine(100, amplitude=2.0), -1, 1))
    assert measure_quality(clipped, RATE, []).clipped_share == pytest.approx(2 / 3, abs=0.01)
    positive = as_16_bit(gain / 2 * np.minimum(sine(100, amplitude=2.0), 1))
    assert measure_quality(positive, RATE, []).clipped_share == pytest.approx(1 / 3, abs=0.01)
    one_channel = np.stack([clipped, as_16_bit(0.1 * sine(100))], axis=1)
    assert measure_quality(one_channel, RATE, []).clipped_share == pytest.approx(1 / 3, abs=0.01)


def test_a_highest_sample_and_short_runs_are_not_clipped():
    samples = as_16_bit(0.1 * np.random.default_rng(0).standard_normal(RATE).clip(-4, 4))
    for length, share in ((1, 0), (2, 0), (3, 3 / RATE), (9, 9 / RATE)):
        samples[1000 : 1000 + length] = 32767 / 32768
        assert measure_quality(samples, RATE, []).clipped_share == pytest.approx(share)


@pytest.mark.parametrize("level", [0.0, 1 / 32768])
@pytest.mark.parametrize("length", [0, 1, 5, RATE])
def test_silence_has_finite_numbers(level, length):
    quality = measure_quality(np.full(length, level), RATE, [])
    assert quality.clipped_share == 0 and quality.snr_db == -20 and quality.peak_dbfs < -90 and 0 <= quality.bandwidth_hz <= RATE / 2
    assert all(isinstance(value, float) and np.isfinite(value) for value in vars(quality).values())


@pytest.mark.parametrize("snr", [40, 20, 10, 5, 0, -5])
@pytest.mark.parametrize("kind", ["white", "pink"])
def test_noise_between_speech_is_measured_exactly(snr, kind):
    """Two seconds of noise at a known distance from a stationary sound between two pauses; the offset counts as nothing."""
    noise = band_noise(4 * RATE, RATE, kind)
    sound = np.zeros(4 * RATE)
    sound[RATE : 3 * RATE] = band_noise(2 * RATE, RATE, "white", 1) * 10 ** (snr / 20)
    quality = measure_quality(0.01 * (noise + sound) + 0.3, RATE, [(RATE, 3 * RATE)])
    assert quality.snr_db == pytest.approx(snr, abs=1.0)


def test_padding_with_zeros_says_nothing_of_the_noise():
    syllable = syllables(1, RATE)
    speech = np.concatenate([syllable, np.zeros(RATE // 4, np.float32), syllable])
    noisy = speech + np.sqrt(np.mean(np.square(syllable))) * 0.1 * band_noise(len(speech), RATE, "white")
    spans = [(RATE, 2 * RATE), (RATE * 9 // 4, RATE * 13 // 4)]
    assert measure_quality(np.pad(noisy, RATE), RATE, spans).snr_db == pytest.approx(20, abs=1.5)
    assert measure_quality(np.pad(speech, RATE), RATE, spans).snr_db > 20  # no pause in it


def test_without_spans_the_softest_frames_are_the_noise():
    on = np.repeat(np.tile([0.0, 1.0], 8), RATE // 8)
    noise, sound = band_noise(2 * RATE, RATE, "white"), band_noise(2 * RATE, RATE, "white", 1)
    assert measure_quality(0.05 * (on * sound + 0.1 * noise), RATE, []).snr_db == pytest.approx(17, abs=1)  # on half the time: -3 dB
    assert measure_quality(0.05 * noise, RATE, []).snr_db < 0


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
@pytest.mark.parametrize("edge", [2000, 4000, 7000])
def test_bandwidth_ends_at_the_wall(rate, edge):
    frequencies = np.fft.rfftfreq(2 * rate, 1 / rate)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * rate)) * (frequencies < edge)
    samples = as_16_bit(0.05 * np.fft.irfft(spectrum / np.sqrt(edge / rate), 2 * rate))
    assert edge - 50 < measure_quality(samples, rate, []).bandwidth_hz < edge + 300


def test_a_soft_slope_is_no_wall():
    """Speech that falls by 12 dB an octave from 500 Hz: nowhere an edge below 60 dB, which is at 16 kHz."""
    frequencies = np.fft.rfftfreq(2 * 48000, 1 / 48000)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * 48000)) / (1 + (frequencies / 500) ** 2)
    samples = as_16_bit(np.fft.irfft(spectrum, 2 * 48000))
    assert measure_quality(samples, 48000, []).bandwidth_hz > 12000


def decoded(samples: np.ndarray, rate: int, form: str, subtype: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


WORSE = {
    "telephone": lambda s, r: wave.resample(wave.resample(s, r, 8000), 8000, r),
    "mu-law": lambda s, r: wave.resample(decoded(wave.resample(s, r, 8000), 8000, "WAV", "ULAW"), 8000, r),
    "telephone as mp3": lambda s, r: decoded(WORSE["telephone"](s, r), r, "MP3", "MPEG_LAYER_III"),
    "clipped by 12 dB": lambda s, r: as_16_bit(np.clip(s / np.abs(s).max() * 4, -1, 1)),
    "noise at 5 dB": lambda s, r: s + np.sqrt(np.mean(np.square(s))) * 10 ** (-5 / 20) * band_noise(len(s), r, "white"),
    "pink noise at 5 dB": lambda s, r: s + np.sqrt(np.mean(np.square(s))) * 10 ** (-5 / 20) * band_noise(len(s), r, "pink"),
}


def refused(samples: np.ndarray, rate: int) -> str:
    quality = measure_quality(samples, rate, speech_spans(samples, rate))
    verdicts = {
        "clipped": quality.clipped_share > LIMITS.max_clipped_share,
        "noisy": quality.snr_db < LIMITS.min_snr_db,
        "narrow": quality.bandwidth_hz < LIMITS.min_bandwidth_hz,
    }
    return " ".join(name for name, verdict in verdicts.items() if verdict)


def test_the_defaults_keep_good_recordings_and_refuse_bad_ones(shared):
    folders = (shared / "data" / "voices" / "wavs", shared / "data" / "real_speech" / "wavs")
    clips = [wave.load(clip) for folder in folders for clip in sorted(folder.iterdir())[::100]]
    assert len(clips) > 35 and not [refused(samples, rate) for samples, rate in clips if refused(samples, rate)]
    for name, worse in WORSE.items():
        reason = {"tel": "narrow", "mu-": "narrow", "cli": "clipped", "noi": "noisy", "pin": "noisy"}[name[:3]]
        found = [reason in refused(worse(samples, rate), rate) for samples, rate in clips]
        assert np.mean(found) > 0.95, name
