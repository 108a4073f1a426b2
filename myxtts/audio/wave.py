"""Waveforms: load, resample, trim, loudness, save.

A wave is a float32 array (N,) of mono samples in [-1, 1].
"""

import contextlib
import io
import math
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from myxtts.config import DataError

TRUE_PEAK_DBFS = -1.0
MIN_RATE, MAX_RATE = 4000, 384_000  # Hz
MAX_SECONDS = 3 * 3600  # of what is decoded at once
MAX_DECODED_BYTES = 2 << 30
MAX_FILE_BYTES = 2 << 30
_LOUDNESS_BLOCK = 0.4  # seconds: the gating block of BS.1770
_FRAME, _HOP = 1024, 256  # samples: the window in which trim_silence measures loudness
SILENCE_KEPT = _FRAME + _HOP  # samples at most, of silence that it leaves on each side
_SINC_CROSSINGS, _SINC_ROLLOFF = 6, 0.99
_MP3_FRAME = 1152  # samples: what a cut MP3 may lack unnoticed
_UNKNOWN_SIZE = 0xFFFFFFFF  # of a wav whose end is not known yet
_ROUNDED = 0.05  # seconds: transcripts are rounded
_MAX_SAMPLE = 2.0**32  # floats in the range of 32-bit integers are met; what is larger is no sound, and overflows when it is squared

_NO_AUDIO = (  # place, what stands there (in lower case), what it is: files that are often met in place of audio
    (0, b"version https://git-lfs", ", a pointer of Git LFS: fetch the file (git lfs pull)"),
    (0, b"<!doctype", ", a web page: download the file again"),
    (0, b"<html", ", a web page: download the file again"),
    (0, b"<?xml", ", an answer of a server: download the file again"),
    (0, b"pk\x03\x04", ", a zip archive: unpack it"),
    (0, b"\x1f\x8b", ", compressed by gzip: unpack it"),
    (4, b"ftyp", ", an MP4 or M4A file"),
    (0, b"\x1a\x45\xdf\xa3", ", a WebM or Matroska file"),
)


class AudioError(DataError):
    """An audio file cannot be used.

    `reason` is one of missing_audio, unreadable_audio, empty_audio, truncated_audio, bad_audio, too_large, bad_segment.
    """

    def __init__(self, message: str, reason: str = "bad_audio"):
        super().__init__(message)
        self.reason = reason


def load(path: str | os.PathLike, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Decodes an audio file (wav, flac, mp3, ogg vorbis, ogg opus, aiff) to a mono wave (N,) in [-1, 1] and its rate in Hz.

    Channels are averaged. With `sample_rate` (Hz) the wave is resampled to it. A wave that exceeds full scale (float files,
    lossy codecs, resampling) is scaled down as a whole, never clipped. Raises AudioError as `read_bytes` and `decode` do.
    """
    samples, rate = decode(read_bytes(path), str(path))
    return to_mono(samples, rate, sample_rate)


def to_mono(samples: np.ndarray, rate: int, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """(N, C) at rate -> (N',) at sample_rate (default: as it is), and that rate; scaled down as a whole where it exceeds full scale."""
    wave = samples.mean(axis=1, dtype=np.float32)
    if sample_rate is not None:
        wave, rate = resample(wave, rate, sample_rate), sample_rate
    peak = float(np.abs(wave).max(initial=0.0))
    return (wave / peak if peak > 1.0 else wave).astype(np.float32), rate


def decode(
    raw: bytes,
    name: str,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float = MAX_SECONDS,
    max_bytes: int = MAX_DECODED_BYTES,
) -> tuple[np.ndarray, int]:
    """The content of an audio file -> samples (N, C) float32 as they are stored, and their rate in Hz.

    start, end: seconds; only what lies between is decoded. name: for messages. Raises AudioError (a DataError) when the content is
    truncated, not decodable, holds no samples, NaN, infinity or floats beyond all sense, is larger than max_seconds or max_bytes once
    decoded (known before it is), has a rate that no speech has, or ends before `end`.
    """
    cut = _truncation(raw)
    if cut:
        raise AudioError(f"{name} is truncated: {cut}; copy or record it again", "truncated_audio")
    try:
        with soundfile.SoundFile(_Content(raw)) as file:
            first, count = _part(file, name, start, end)
            _check_size(file, name, count, max_seconds, max_bytes)
            if first:
                file.seek(first)
            samples, rate = file.read(count, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        # its whole message names the BytesIO, not the file
        detail = getattr(error, "error_string", "") or error or type(error).__name__
        what = next((said for place, sign, said in _NO_AUDIO if raw[place : place + len(sign)].lower() == sign), "")
        raise AudioError(
            f"{name} cannot be decoded ({str(detail).strip()}): expected wav, flac, mp3, ogg or opus audio, got {len(raw)} bytes that "
            f"begin with {raw[:16]!r}{what}; convert it (ffmpeg -i in out.wav) or leave it out"
        ) from None
    if len(samples) == 0:
        raise AudioError(f"{name} is empty: it holds no samples; record it again or leave it out", "empty_audio")
    if len(samples) < count - _MP3_FRAME:
        detail = f"{count} samples announced, {len(samples)} there"
        raise AudioError(f"{name} is truncated: {detail}; copy or record it again", "truncated_audio")
    peak = max(float(samples.max()), -float(samples.min()))
    if not peak <= _MAX_SAMPLE:
        what = f"as large as {peak:.3g}" if np.isfinite(samples).all() else "that are NaN or infinite"
        raise AudioError(f"{name} holds samples {what}; expected floats between -1 and 1; export it again as 16-bit PCM")
    return samples, rate


class _Content(io.BytesIO):
    """Bytes to decode. A header that lies may ask for what stands before the beginning: that fails, but prints no traceback."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()  # not where the decoder wanted to be: it gives up


def _part(file: soundfile.SoundFile, name: str, start: float | None, end: float | None) -> tuple[int, int]:
    """First frame and number of frames to decode, once it is known that they are there. Raises AudioError."""
    rate, frames = file.samplerate, file.frames
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name} says that it has {rate} samples a second; expected {MIN_RATE} to {MAX_RATE}; export it again")
    begins, ends = start or 0.0, frames / rate if end is None else end
    if not 0 <= begins < math.inf or not (end is None or begins < ends < math.inf):
        times = f"it begins at {start} s and ends at {end} s; expected 0 <= start < end"
        raise AudioError(f"{name} has no such segment: {times}; correct the segment's times", "bad_segment")
    if ends > frames / rate + _ROUNDED:
        detail = f"it ends at {frames / rate:.2f} s; expected it to last until {ends:.2f} s"
        raise AudioError(f"{name} is shorter than its segment: {detail}; correct the segment's times", "bad_segment")
    first = round(min(begins * rate, frames))
    count = min(round(ends * rate), frames) - first
    if count < 1 and start is not None:
        detail = f"it ends at {frames / rate:.2f} s, and the segment begins at {begins:.2f} s"
        raise AudioError(f"{name} is shorter than its segment: {detail}; correct the segment's times", "bad_segment")
    return first, count


def _check_size(file: soundfile.SoundFile, name: str, count: int, max_seconds: float, max_bytes: int) -> None:
    if count > max_seconds * file.samplerate or count * file.channels * 4 > max_bytes:
        raise AudioError(
            f"{name} is too large: {count / file.samplerate:.0f} s at {file.samplerate} Hz, channels: {file.channels}; expected at most "
            f"{max_seconds:g} s and {max_bytes >> 20} MiB decoded; cut it, or give its segments (start, end)",
            "too_large",
        )


def load_segment(path: str | os.PathLike, start: int, length: int) -> np.ndarray:
    """Samples start .. start + length of an audio file that this project wrote (mono), without reading the others: (N,), N <= length.

    Raises AudioError where it cannot be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            file.seek(min(start, file.frames))
            return file.read(length, dtype="float32")
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be read ({error}): run the stage that makes it again (dvc repro -f prepare)") from None


def resample(wave: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """(N,) at source_rate Hz -> (N * target_rate / source_rate rounded,) at target_rate Hz, by soxr (high quality)."""
    wave = np.ascontiguousarray(wave, dtype=np.float32)
    if source_rate == target_rate or len(wave) == 0:
        return wave
    return soxr.resample(wave, source_rate, target_rate, quality="HQ").astype(np.float32)


def resample_sinc(wave: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """`resample` as the reference implementation does it (torchaudio's default): (N,) -> (N * target_rate / source_rate rounded up,).

    Interpolation by a sinc of 6 zero crossings to each side under a Hann window, cut off at 0.99 of the lower Nyquist frequency. It
    passes more of what lies above than `resample` does; the speaker encoder of imported models is used to that.
    """
    wave = np.ascontiguousarray(wave, dtype=np.float32)
    if source_rate == target_rate or len(wave) == 0:
        return wave
    band = _SINC_ROLLOFF * min(1.0, target_rate / source_rate)  # cut-off, as a share of the source's Nyquist frequency
    reach = math.ceil(_SINC_CROSSINGS / band)
    count = -(-len(wave) * target_rate // source_rate)
    padded = np.pad(wave.astype(np.float64), (reach, reach + 1))
    steps = np.arange(count, dtype=np.int64) * source_rate
    nearest, phase = steps // target_rate, (steps % target_rate) / target_rate  # source sample before each target sample
    made = np.zeros(count)
    for tap in range(-reach, reach + 2):
        distance = np.clip((tap - phase) * band, -_SINC_CROSSINGS, _SINC_CROSSINGS)
        weight = np.sinc(distance) * np.cos(np.pi * distance / (2 * _SINC_CROSSINGS)) ** 2
        made += weight * padded[np.minimum(nearest + tap + reach, len(padded) - 1)]
    return (band * made).astype(np.float32)


def trim_silence(wave: np.ndarray, top_db: float) -> np.ndarray:
    """Cuts from both ends what is more than `top_db` below the loudest frame (RMS of 1024 samples); (N,) -> (N',), N' <= N.

    Up to a frame (43 ms at 24 kHz) stays on each side, so that soft onsets survive. A wave of zeros comes back empty.
    """
    first, last = silence_bounds(wave, top_db)
    return np.asarray(wave[first:last], dtype=np.float32)


def silence_bounds(wave: np.ndarray, top_db: float) -> tuple[int, int]:
    """First sample that `trim_silence` keeps of a wave (N,), and the one after the last; (0, 0) for a wave of zeros."""
    if not len(wave) or not np.any(wave):
        return 0, 0
    starts = np.arange(0, max(len(wave) - _FRAME, 0) + _HOP, _HOP)
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    ends = np.minimum(starts + _FRAME, len(wave))
    starts, ends = starts[ends > starts], ends[ends > starts]
    power = (energy[ends] - energy[starts]) / (ends - starts)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-top_db / 10))
    return max(int(starts[loud[0]]) - _HOP, 0), min(int(ends[loud[-1]]) + _HOP, len(wave))


def normalize_loudness(wave: np.ndarray, sample_rate: int, lufs: float) -> np.ndarray:
    """Brings a wave to an integrated loudness of `lufs` (ITU-R BS.1770-4, gated); (N,) -> (N,).

    The gain is lowered where the true peak (4x oversampled) would pass -1 dBFS, so nothing is ever clipped. Clips shorter
    than the 0.4 s gating block are measured repeated. Silence (below the absolute gate of -70 LUFS) comes back unchanged.
    """
    loudness = measure_loudness(wave, sample_rate)
    if not np.isfinite(loudness):
        return np.asarray(wave, dtype=np.float32)
    gain = 10 ** ((lufs - loudness) / 20)
    ceiling = 10 ** (TRUE_PEAK_DBFS / 20)
    return np.asarray(wave * min(gain, ceiling / true_peak(wave, sample_rate)), dtype=np.float32)


def measure_loudness(wave: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); -inf for silence. The wave (N,) may be of any length."""
    import pyloudnorm  # imports scipy.signal, a second that readers of manifests need not wait

    if not len(wave) or not np.any(wave):
        return -np.inf
    block = int(np.ceil(_LOUDNESS_BLOCK * sample_rate))
    if len(wave) <= block:
        wave = np.tile(wave, block // len(wave) + 1)
    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(sample_rate, block_size=_LOUDNESS_BLOCK).integrated_loudness(wave.astype(np.float64)))


def true_peak(wave: np.ndarray, sample_rate: int) -> float:
    """Largest magnitude of the 4x oversampled wave (N,), at least that of its samples."""
    oversampled = soxr.resample(np.asarray(wave, dtype=np.float32), sample_rate, 4 * sample_rate, quality="LQ")
    return float(max(np.abs(oversampled).max(initial=0.0), np.abs(wave).max(initial=0.0)))


def save(path: str | os.PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a 16-bit PCM wav, whole or not at all (temporary file, then rename). Samples beyond [-1, 1] are limited.

    Raises DataError when the wave is not a finite (N,) array, or the disk is full or not writable.
    """
    path = Path(path)
    write_atomically(path, wav_bytes(to_pcm(finite_mono(wave, path)), sample_rate))


def finite_mono(wave: np.ndarray, path: Path) -> np.ndarray:
    """The wave (N,) that is to be written to `path`. Raises DataError where it is none, or holds what is no number."""
    wave = np.asarray(wave)
    if wave.ndim != 1 or not np.isfinite(wave).all():
        raise DataError(f"cannot write {path}: expected a mono wave (N,) of finite samples, got shape {wave.shape}")
    return wave


def to_pcm(wave: np.ndarray) -> np.ndarray:
    """(N,) in [-1, 1] -> (N,) int16; samples beyond are limited."""
    return np.clip(np.round(wave.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)


def wav_bytes(pcm: np.ndarray, sample_rate: int) -> bytes:
    """The content of a 16-bit wav of samples (N,) int16."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def endless_wav_header(sample_rate: int) -> bytes:
    """The head of a 16-bit mono wav whose end is not known yet; players and `load` read on to the end."""
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", _UNKNOWN_SIZE, b"WAVE") + chunk + struct.pack("<4sI", b"data", _UNKNOWN_SIZE)


def check_file(path: str | os.PathLike) -> None:
    """Raises AudioError when an audio file is missing, no regular file, unreadable, 0 bytes or too large. Reads nothing of it."""
    path = Path(path)
    try:
        if not path.is_file():  # a pipe would never end
            what = "is a folder or device" if path.exists() else "is not there"
            raise AudioError(f"no audio file {path} (it {what}): correct its name, or put the file there", "missing_audio")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot read {path}: {error}; make it readable (chmod +r), or leave it out", "unreadable_audio") from None
    if not size:
        raise AudioError(f"{path} is empty (0 bytes): copy or record it again", "empty_audio")
    if size > MAX_FILE_BYTES:
        detail = f"{size >> 20} MiB, expected at most {MAX_FILE_BYTES >> 20}"
        raise AudioError(f"{path} is too large: {detail}; cut it into several files", "too_large")


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of an audio file. Raises AudioError as `check_file` does."""
    check_file(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error}; make it readable (chmod +r), or leave it out", "unreadable_audio") from None


def _truncation(raw: bytes) -> str:
    """What shows that a file was cut, or "": decoders take the rest of a cut wav, aiff or ogg for the whole."""
    if raw[:4] == b"RIFF" and raw[8:12] == b"WAVE":
        return _wav_truncation(raw)
    if raw[:4] == b"FORM" and len(raw) < (size := int.from_bytes(raw[4:8], "big") + 8):
        return f"its header announces {size} bytes, {len(raw)} are there"
    if raw[:4] == b"OggS":
        page = raw.rfind(b"OggS")
        segments = raw[page + 26] if len(raw) > page + 26 else 255
        end = page + 27 + segments + sum(raw[page + 27 : page + 27 + segments])
        if end > len(raw) or not raw[page + 5] & 4:  # header type 4: end of stream
            return "its last Ogg page does not end the stream"
    return ""


def _wav_truncation(raw: bytes) -> str:
    position = 12
    while position + 8 <= len(raw):
        name, size = struct.unpack_from("<4sI", raw, position)
        position += 8
        if name == b"data":
            streamed = size >= 0xFFFFFFF0  # written to a pipe: the length was not known
            missing = size - (len(raw) - position)
            return f"{size} bytes of samples announced, {len(raw) - position} there" if missing > 0 and not streamed else ""
        position += size + size % 2
    return "it has no samples (no data chunk)"


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file whole or not at all; makes its folder. Raises DataError when the disk is full or the folder is not writable."""
    with atomic_file(path) as file:
        file.write(content)


class _Output(io.FileIO):
    """A file whose failures to write are DataErrors that name what it is to become."""

    def __init__(self, path: Path, becomes: Path):
        self._becomes = becomes
        super().__init__(path, "wb")

    def write(self, content: Any) -> int | None:
        try:
            return super().write(content)
        except OSError as error:
            raise _unwritable(self._becomes, error) from None


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file to write bytes to, which becomes `path` (in a folder that is made) when the block ends well, and is removed otherwise.

    Raises DataError when the disk is full or the folder is not writable; no part of the file is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{threading.get_ident()}.{path.name[:40]}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            output = _Output(temporary, path)
        except OSError as error:
            raise _unwritable(path, error) from None
        with io.BufferedWriter(output) as file:
            yield file
        try:
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {path}: {error.strerror or error}; free space on the disk or make the folder writable, then run again")
