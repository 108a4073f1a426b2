"""Waves: every format decodes alike, damage is named, loudness and peak are what they claim, writing is whole or not at all."""

import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.audio import wave
from myxtts.config import DataError

RATE = 24000


def tone(seconds: float = 1.0, frequency: float = 440.0, rate: int = RATE, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise bursts: a crest factor like that of speech."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(int(seconds * RATE)) * (0.05 + np.abs(np.sin(np.arange(int(seconds * RATE)) / 3000)) ** 4)
    return (0.05 * samples).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("a.ogg", "OPUS"), ("a.mp3", None)],
)
def test_every_format_decodes_to_the_same_sound(tmp_path, name, subtype):
    expected = tone()
    soundfile.write(tmp_path / name, expected, RATE, subtype=subtype)
    samples, rate = wave.load(tmp_path / name)
    assert rate == RATE and samples.dtype == np.float32 and samples.shape == (RATE,)
    middle = slice(RATE // 4, 3 * RATE // 4)
    assert np.corrcoef(samples[middle], expected[middle])[0, 1] > 0.99


def test_channels_are_averaged(tmp_path):
    left, right = tone(frequency=300), tone(frequency=500)
    soundfile.write(tmp_path / "s.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    assert np.allclose(wave.load(tmp_path / "s.wav")[0], (left + right) / 2, atol=1e-6)


def test_load_resamples_and_keeps_pitch(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1.5, 1000, 44100), 44100)
    samples, rate = wave.load(tmp_path / "a.wav", 16000)
    assert rate == 16000 and samples.shape == (24000,)
    assert np.argmax(np.abs(np.fft.rfft(samples))) == pytest.approx(1500, abs=1)  # 1000 Hz in 1.5 s


@pytest.mark.parametrize(("source", "target"), [(22050, 24000), (24000, 22050), (8000, 48000)])
def test_resample_length_and_empty(source, target):
    length = len(wave.resample(tone(0.77, 200, source), source, target))
    assert abs(length - int(0.77 * source) * target / source) < 1
    assert wave.resample(np.zeros(0, np.float32), source, target).shape == (0,)


def test_over_full_scale_is_scaled_not_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", 3 * tone(amplitude=0.9), RATE, subtype="FLOAT")
    samples, _ = wave.load(tmp_path / "a.wav")
    assert np.abs(samples).max() == pytest.approx(1.0)
    assert np.corrcoef(samples, tone())[0, 1] > 0.99999


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.02])
def test_truncated_files_are_refused(tmp_path, name, share):
    soundfile.write(tmp_path / name, speech_like(3.0), RATE)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(DataError, match=r"truncated|cannot be decoded"):
        wave.load(tmp_path / name)


def test_streamed_wav_without_length_loads(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    struct.pack_into("<I", raw, raw.index(b"data") + 4, 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(raw)
    assert len(wave.load(tmp_path / "a.wav")[0]) == RATE


def test_other_damage_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no audio file .*: correct its name"):
        wave.load(tmp_path / "missing.wav")
    with pytest.raises(DataError, match="is a folder or device"):
        wave.load(tmp_path)
    (tmp_path / "zero.wav").touch()
    with pytest.raises(DataError, match="0 bytes"):
        wave.load(tmp_path / "zero.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    with pytest.raises(DataError, match="no samples"):
        wave.load(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("this is no audio" * 99)
    with pytest.raises(DataError, match=r"cannot be decoded \(Format not recognised\.\): .*or leave it out$"):
        wave.load(tmp_path / "text.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan, 0.2]), RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN"):
        wave.load(tmp_path / "nan.wav")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_no_bytes_crash_load(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError):
        wave.load(path)


def test_trim_keeps_the_sound_and_little_else():
    quiet = np.full(RATE, 1e-4, np.float32)
    trimmed = wave.trim_silence(np.concatenate([quiet, tone(0.5), quiet]), 40)
    assert 0.5 <= len(trimmed) / RATE <= 0.5 + 2 * (1024 + 256) / RATE
    assert np.square(trimmed).sum() == pytest.approx(np.square(tone(0.5)).sum(), rel=1e-3)
    assert len(wave.trim_silence(np.concatenate([quiet, tone(0.5), quiet]), 90)) == 2 * RATE + RATE // 2
    assert wave.trim_silence(np.zeros(5000, np.float32), 40).shape == (0,)
    assert wave.trim_silence(tone(0.01), 40).shape == (240,)


@pytest.mark.parametrize("seconds", [0.1, 0.39, 0.4, 0.41, 1.0, 4.0])
@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_loudness_is_reached(seconds, gain):
    result = wave.normalize_loudness(gain * speech_like(seconds), RATE, -23)
    assert wave.measure_loudness(result, RATE) == pytest.approx(-23, abs=0.1)
    if seconds > 0.5:
        assert pyloudnorm.Meter(RATE).integrated_loudness(result.astype(float)) == pytest.approx(-23, abs=0.1)


def test_peak_wins_over_loudness():
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[::4000] = 0.5
    result = wave.normalize_loudness(clicks, RATE, -10)
    assert wave.measure_loudness(result, RATE) < -15
    assert 20 * np.log10(wave.true_peak(result, RATE)) == pytest.approx(-1, abs=0.01)
    assert np.allclose(result / result.max(), clicks / clicks.max(), atol=1e-6)  # one gain for all: nothing was clipped


def test_true_peak_sees_between_samples():
    between = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4)  # every sample lies at .707 of the peak
    assert np.abs(between).max() == pytest.approx(0.707, abs=0.01)
    assert wave.true_peak(between[:4800], RATE) > 0.97


def test_silence_stays_silence():
    assert not wave.normalize_loudness(np.zeros(RATE, np.float32), RATE, -23).any()
    assert wave.measure_loudness(1e-6 * tone(), RATE) == -np.inf


def test_save_round_trip_is_exact(tmp_path):
    samples = (np.random.default_rng(1).integers(-32768, 32768, 5000) / 32768).astype(np.float32)
    wave.save(tmp_path / "deep" / "a.wav", samples, RATE)
    assert soundfile.info(tmp_path / "deep" / "a.wav").subtype == "PCM_16"
    loaded, rate = wave.load(tmp_path / "deep" / "a.wav")
    assert rate == RATE and np.array_equal(loaded, samples)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.wav"]


def test_save_refuses_what_is_no_wave(tmp_path):
    for bad in (np.zeros((3, 2)), np.array([0.0, np.inf])):
        with pytest.raises(DataError, match="mono wave"):
            wave.save(tmp_path / "a.wav", bad, RATE)


def test_full_disk_leaves_the_old_file_and_no_half(tmp_path):
    """A limit on the file size stops the write halfway, as a full disk does."""
    wave.save(tmp_path / "a.wav", tone(0.1), RATE)
    before = (tmp_path / "a.wav").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(DataError, match="free space"):
            wave.save(tmp_path / "a.wav", tone(2.0), RATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_real_opus_clip():
    clips = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "voices" / "wavs"
    if not clips.is_dir():
        pytest.skip("needs the shared corpus data/voices beside the repository")
    clip = min(clips.iterdir())
    samples, rate = wave.load(clip, RATE)
    assert rate == RATE and 0.5 < len(samples) / RATE < 12 and 0.01 < np.abs(samples).max() <= 1


@pytest.mark.parametrize(("source", "target", "length"), [(22050, 16000, 7257), (16000, 22050, 13782), (44100, 22050, 5000)])
def test_resample_sinc_keeps_a_tone_and_rounds_its_length_up(source, target, length):
    """A tone well below both Nyquist frequencies is the same tone; one above the lower of them is gone."""
    time, new_time = np.arange(10_000) / source, np.arange(length) / target
    clip = 0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    made = wave.resample_sinc(clip, source, target)
    assert (made.dtype, len(made)) == (np.float32, length)
    inside = slice(50, -50)  # outside lie the ends, beyond which it takes the clip for zero
    np.testing.assert_allclose(made[inside], 0.5 * np.sin(2 * np.pi * 440 * new_time)[inside], atol=5e-3)
    if target < source:
        high = wave.resample_sinc(np.sin(2 * np.pi * 0.49 * source * time).astype(np.float32), source, target)
        assert np.abs(high[inside]).max() < 0.1


def test_resample_sinc_to_the_same_rate_changes_nothing():
    clip = np.linspace(-1, 1, 10, dtype=np.float32)
    np.testing.assert_array_equal(wave.resample_sinc(clip, 22050, 22050), clip)


def test_a_full_disk_leaves_nothing_behind_and_other_errors_are_not_taken_for_it(tmp_path):
    """A limit on the size of files stands for a full disk: both fail in the middle of a write."""
    code = f"""
import resource, signal
from myxtts.audio.wave import atomic_file
from myxtts.config import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with atomic_file({str(tmp_path / "big")!r}) as file:
        for _ in range(1000):
            file.write(b"x" * 1000)
except DataError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"cannot write {tmp_path / 'big'}: File too large; free space") and not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError), wave.atomic_file(tmp_path / "small") as file:
        file.write(b"x")
        (tmp_path / "nothing").read_bytes()
    assert not list(tmp_path.iterdir())
