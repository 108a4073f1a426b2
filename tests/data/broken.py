"""Recordings as they should not be, for the torture corpus: bytes of audio files, damaged, lying or strange. All are small on disk."""

import io
import os
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from vowels import syllables

RATE = 16000
SECONDS = 1.2


@cache
def speech(seed: int, seconds: float = SECONDS, rate: int = RATE, level: float = 0.05) -> np.ndarray:
    """(N,): syllables with a breath of noise in each, so that nothing looks like a telephone's."""
    voice = syllables(seconds, rate, seed=seed)
    breath = np.random.default_rng(seed).standard_normal(len(voice)) * np.sin(5 * np.pi * np.arange(len(voice)) / rate) ** 2
    return (2 * level * (voice + 0.01 * breath)).astype(np.float32)


def encode(samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype: str | None = "PCM_16", endian: str | None = None) -> bytes:
    """(N,) or (N, C) at `rate` Hz -> the content of an audio file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype, endian=endian)
    return buffer.getvalue()


def as_file(form: str, subtype: str | None, endian: str | None = None) -> Callable[[int], bytes]:
    """A maker of good speech in a format of libsndfile."""
    return lambda seed: encode(speech(seed), RATE, form, subtype, endian)


wav, flac, ogg, opus, mp3 = (
    as_file(*kind) for kind in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"))
)


def cut(make: Callable[[int], bytes], share: float) -> Callable[[int], bytes]:
    """The first bytes of what `make` makes: a share of them, or a number."""
    return lambda seed: (raw := make(seed))[: round(share * len(raw)) if share < 1 else int(share)]


def patched(make: Callable[[int], bytes], form: str, offset: int, *values: int) -> Callable[[int], bytes]:
    """Numbers written over what `make` makes, at an offset."""

    def patch(seed: int) -> bytes:
        raw = bytearray(make(seed))
        struct.pack_into(form, raw, offset, *values)
        return bytes(raw)

    return patch


def mixed(change: Callable[[np.ndarray], np.ndarray], rate: int = RATE, subtype: str = "FLOAT", **options) -> Callable[[int], bytes]:
    """A wav of changed speech."""
    return lambda seed: encode(change(speech(seed, rate=rate, **options)), rate, "WAV", subtype)


def given(content: bytes) -> Callable[[int], bytes]:
    return lambda seed: content


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Puts one value in the middle of the samples."""

    def put(samples: np.ndarray) -> np.ndarray:
        samples = samples.copy()
        samples[len(samples) // 2] = value
        return samples

    return put


def click(samples: np.ndarray) -> np.ndarray:
    return with_value(0.9)(np.zeros_like(samples))


def chirp(samples: np.ndarray) -> np.ndarray:
    """A tone that glides from 200 to 6000 Hz."""
    time = np.arange(len(samples)) / RATE
    return (0.3 * np.sin(2 * np.pi * (200 + 2900 * time / time[-1]) * time)).astype(np.float32)


def noise(samples: np.ndarray) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)


def beside(*others: float) -> Callable[[np.ndarray], np.ndarray]:
    """(N,) -> (N, 1 + len(others)): the same sound in more channels, each times a factor."""
    return lambda samples: np.stack([samples, *(factor * samples for factor in others)], axis=1)


def upsampled(seed: int) -> bytes:
    """Speech of a telephone (8 kHz) at 48 kHz."""
    import soxr

    return encode(soxr.resample(speech(seed, rate=8000), 8000, 48000, quality="HQ"), 48000)


def flac_claims(samples: int) -> Callable[[int], bytes]:
    """A FLAC whose STREAMINFO announces `samples` (36 bits)."""

    def patch(seed: int) -> bytes:
        raw = bytearray(flac(seed))
        fields = int.from_bytes(raw[18:26], "big")
        raw[18:26] = (fields >> 36 << 36 | samples).to_bytes(8, "big")
        return bytes(raw)

    return patch


def mp3_claims(frames: int) -> Callable[[int], bytes]:
    """An MP3 whose Xing header announces `frames`."""

    def patch(seed: int) -> bytes:
        raw = bytearray(mp3(seed))
        place = max(raw.find(b"Info"), raw.find(b"Xing"))
        assert place > 0 and raw[place + 7] & 1, "no number of frames in the header"
        struct.pack_into(">I", raw, place + 8, frames)
        return bytes(raw)

    return patch


def ogg_claims(samples: int) -> Callable[[int], bytes]:
    """An Ogg Vorbis file whose last page says that it ends at `samples`, with the right checksum."""

    def patch(seed: int) -> bytes:
        raw = bytearray(ogg(seed))
        page = raw.rfind(b"OggS")
        struct.pack_into("<qI", raw, page + 6, samples, struct.unpack_from("<I", raw, page + 14)[0])
        raw[page + 22 : page + 26] = bytes(4)
        raw[page + 22 : page + 26] = _ogg_checksum(raw[page:]).to_bytes(4, "little")
        return bytes(raw)

    return patch


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of polynomial 0x04C11DB7, neither reflected nor inverted (RFC 3533)."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def hours_of_silence(seed: int) -> bytes:
    """An hour in a few kilobytes."""
    return encode(np.zeros(3600 * 8000, np.int16), 8000, "FLAC")


def silence_of_channels(seed: int) -> bytes:
    """Eight channels at 192 kHz for 100 seconds: 600 MiB once decoded, a few kilobytes of FLAC."""
    return encode(np.zeros((100 * 192000, 8), np.int16), 192000, "FLAC")


def with_chunk_before(seed: int) -> bytes:
    """A wav with a LIST chunk of odd length before its samples, and an unknown one behind them."""
    raw = wav(seed)
    listed = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    return raw[:36] + listed + raw[36:] + b"junk" + struct.pack("<I", 4) + b"rest"


def with_id3(size: int) -> Callable[[int], bytes]:
    """An MP3 behind an ID3 tag that says that it is `size` bytes long; 300 are."""
    digits = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return lambda seed: b"ID3\x04\x00\x00" + digits + bytes(300) + mp3(seed)


# what stands in a corpus in place of a file ------------------------------------------------------------------------------------------


def folder(path: Path, seed: int) -> None:
    path.mkdir()


def pipe(path: Path, seed: int) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path, int], None]:
    return lambda path, seed: path.symlink_to(target)


def looped_folder(path: Path, seed: int) -> None:
    """wavs/loop -> wavs: the file is there below any number of `loop/` that the system follows."""
    (path.parent / "loop").symlink_to(".")


def unreadable(path: Path, seed: int) -> None:
    path.write_bytes(wav(seed))
    path.chmod(0)
