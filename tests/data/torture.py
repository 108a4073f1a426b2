"""A corpus of broken, hostile and strange input, one of each kind, beside good clips; and a run over it that says what it took.

`KINDS` is the table: what a kind writes into the corpus, and what must become of its row.
"""

import json
import math
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import broken as b
import numpy as np

KEPT = "kept"
GOOD = 12


@dataclass(frozen=True)
class Made:
    """What became of a row that is kept."""

    samples: np.ndarray  # (N,) at 24 kHz
    text: str
    normalized: str
    speaker: str
    row: dict[str, str]  # of clips.csv
    id: str


@dataclass(frozen=True)
class Kind:
    """One kind of input. expect: KEPT or the reason of rejected.csv, or those that are as good.

    audio: seed -> content of the file; place: puts something else in its place; neither: good speech. says: what the detail holds.
    holds: what must be true of a clip that is kept. removed: characters that characters.json must count.
    """

    name: str
    expect: str | tuple[str, ...]
    audio: Callable[[int], bytes] | None = None
    place: Callable[[Path, int], None] | None = None
    file: str = "{name}.wav"
    text: str = ""
    line: str = "wavs/{file}|{text}|ann|en"
    id: str = ""
    says: tuple[str, ...] = ()
    holds: Callable[[Made], bool] | None = None
    removed: str = ""

    @property
    def path(self) -> str:
        return self.file.format(name=self.name)

    @property
    def identifier(self) -> str:
        return self.id or self.name

    @property
    def reasons(self) -> tuple[str, ...]:
        return (self.expect,) if isinstance(self.expect, str) else self.expect


def lasts(seconds: float, within: float = 0.15) -> Callable[[Made], bool]:
    return lambda made: abs(len(made.samples) / 24000 - seconds) <= within


def measured(**values: str) -> Callable[[Made], bool]:
    return lambda made: lasts(b.SECONDS)(made) and values.items() <= made.row.items()


def says(text: str) -> Callable[[Made], bool]:
    return lambda made: made.normalized == text


def no_offset(made: Made) -> bool:
    return abs(float(made.samples.mean())) < 1e-3 and lasts(b.SECONDS)(made)


_SPOKEN = lasts(b.SECONDS)
_TRAVERSAL = "../" * 8 + "etc/passwd"
_KEPT_TEXT = "words of a kind that has a name."

FILES = (  # what does not decode, or lies
    Kind("wav_cut_in_header", "truncated_audio", b.cut(b.wav, 20), says=("data chunk",)),
    Kind("wav_cut_in_samples", "truncated_audio", b.cut(b.wav, 0.5), says=("announced",)),
    Kind("wav_without_samples", "empty_audio", b.cut(b.patched(b.wav, "<I", 40, 0), 44), says=("no samples",)),
    Kind("wav_claims_4_gb", "truncated_audio", b.patched(b.wav, "<I", 40, 0xFFFF0000), says=("4294901760",)),
    Kind("wav_of_unknown_length", KEPT, b.patched(b.wav, "<I", 40, 0xFFFFFFFF), holds=_SPOKEN),
    Kind("wav_of_1_hz", "bad_audio", b.patched(b.wav, "<II", 24, 1, 2), says=("1 samples a second", "4000")),
    Kind("wav_of_4_ghz", "bad_audio", b.patched(b.wav, "<I", 24, 4_000_000_000)),
    Kind("wav_of_0_channels", "bad_audio", b.patched(b.wav, "<H", 22, 0)),
    Kind("wav_of_65535_channels", "bad_audio", b.patched(b.wav, "<H", 22, 65535)),
    Kind("wav_of_0_bits", "bad_audio", b.patched(b.wav, "<HH", 32, 0, 0)),
    Kind("wav_of_unknown_codec", "bad_audio", b.patched(b.wav, "<H", 20, 0x1234)),
    Kind("flac_cut_in_header", "bad_audio", b.cut(b.flac, 20), file="{name}.flac"),
    Kind("flac_cut_in_frames", ("truncated_audio", "bad_audio"), b.cut(b.flac, 0.5), file="{name}.flac"),
    Kind("flac_claims_days", ("too_long", "too_large"), b.flac_claims(2**36 - 1), file="{name}.flac"),
    Kind("flac_claims_an_hour", ("too_long", "too_large"), b.flac_claims(3600 * b.RATE), file="{name}.flac"),
    Kind("ogg_cut_in_header", "truncated_audio", b.cut(b.ogg, 40), file="{name}.ogg"),
    Kind("ogg_cut_in_pages", "truncated_audio", b.cut(b.ogg, 0.5), file="{name}.ogg"),
    Kind("ogg_claims_hours", ("too_long", "too_large"), b.ogg_claims(2**40), file="{name}.ogg"),
    Kind("opus_cut_in_pages", "truncated_audio", b.cut(b.opus, 0.6), file="{name}.opus"),
    Kind("mp3_cut_in_header", "bad_audio", b.cut(b.mp3, 10), file="{name}.mp3"),
    Kind("mp3_cut_in_frames", "truncated_audio", b.cut(b.mp3, 0.5), file="{name}.mp3"),
    Kind("mp3_claims_hours", ("too_long", "too_large", "truncated_audio"), b.mp3_claims(2**31), file="{name}.mp3"),
    Kind("mp3_behind_a_tag_that_claims_128_mb", ("bad_audio", KEPT), b.with_id3(2**27), file="{name}.mp3"),
    Kind("an_hour_of_silence_in_kilobytes", ("too_long", "too_large"), b.hours_of_silence, file="{name}.flac", says=("3600",)),
    Kind("eight_channels_at_192_khz_of_silence", "too_large", b.silence_of_channels, file="{name}.flac", says=("MiB",)),
    Kind("random_bytes", "bad_audio", lambda seed: np.random.default_rng(seed).bytes(9000), says=("9000 bytes",)),
    Kind("text_as_wav", "bad_audio", b.given(b"hello " * 99), says=("ffmpeg",)),
    Kind("html_as_mp3", "bad_audio", b.given(b"<!DOCTYPE html><html><h1>404 Not Found</h1></html>"), file="{name}.mp3", says=("web page",)),
    Kind(
        "pointer_of_git_lfs",
        "bad_audio",
        b.given(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
        says=("git lfs pull",),
    ),
    Kind("zip_as_wav", "bad_audio", b.given(b"PK\x03\x04" + bytes(400)), says=("zip archive",)),
    Kind("m4a_as_wav", "bad_audio", b.given(bytes(3) + b"\x20ftypM4A " + bytes(400)), says=("M4A", "ffmpeg")),
    Kind("zeros_only", "bad_audio", b.given(bytes(4000))),
    Kind("zero_bytes", "empty_audio", b.given(b""), says=("0 bytes",)),
    Kind("one_byte", "bad_audio", b.given(b"R")),
)

FORMATS = (  # what is well, though it looks strange
    Kind("flac_named_wav", KEPT, b.flac, holds=_SPOKEN),
    Kind("wav_named_mp3", KEPT, b.wav, file="{name}.mp3", holds=_SPOKEN),
    Kind("mp3_named_flac", KEPT, b.mp3, file="{name}.flac", holds=lasts(b.SECONDS, 0.25)),
    Kind("opus_named_ogg", KEPT, b.opus, file="{name}.ogg", holds=_SPOKEN),
    Kind("upper_case_suffix", KEPT, b.wav, file="{name}.WAV", holds=_SPOKEN),
    Kind("no_suffix", KEPT, b.wav, file="{name}", holds=_SPOKEN),
    Kind("chunks_around_the_samples", KEPT, b.with_chunk_before, holds=_SPOKEN),
    Kind("big_endian_wav", KEPT, b.as_file("WAV", "PCM_16", "BIG"), holds=_SPOKEN),
    Kind("big_endian_aiff", KEPT, b.as_file("AIFF", "PCM_16", "BIG"), file="{name}.aiff", id="?", holds=_SPOKEN),
    Kind("rf64", KEPT, b.as_file("RF64", "PCM_16"), holds=_SPOKEN),
    Kind("wave_64", KEPT, b.as_file("W64", "PCM_16"), holds=_SPOKEN),
    Kind("sun_au", KEPT, b.as_file("AU", "PCM_16"), file="{name}.au", id="?", holds=_SPOKEN),
    Kind("pcm_24", KEPT, b.as_file("WAV", "PCM_24"), holds=_SPOKEN),
    Kind("pcm_u8", KEPT, lambda seed: b.encode(8 * b.speech(seed), subtype="PCM_U8"), holds=_SPOKEN),
    Kind("float_64", KEPT, b.as_file("WAV", "DOUBLE"), holds=_SPOKEN),
    Kind("a_law", KEPT, b.as_file("WAV", "ALAW"), holds=_SPOKEN),
    Kind("mu_law", KEPT, b.as_file("WAV", "ULAW"), holds=_SPOKEN),
    Kind("ima_adpcm", KEPT, b.as_file("WAV", "IMA_ADPCM"), holds=_SPOKEN),
    Kind("ms_adpcm", KEPT, b.as_file("WAV", "MS_ADPCM"), holds=_SPOKEN),
)

SAMPLES = (  # what decodes, and what is in it
    Kind("nan", "bad_audio", b.mixed(b.with_value(math.nan)), says=("NaN", "16-bit")),
    Kind("infinity", "bad_audio", b.mixed(b.with_value(math.inf)), says=("infinite",)),
    Kind("huge_floats", "bad_audio", b.mixed(lambda x: b.beside(1, 1)(x * np.float32(3e38) * 8)), says=("float",)),
    Kind("floats_of_16_bit_range", KEPT, b.mixed(lambda x: 32768 * x), holds=_SPOKEN),
    Kind("denormals", "silent", b.mixed(lambda x: x * 1e-42), says=("LUFS",)),
    Kind("silence", "silent", b.mixed(np.zeros_like)),
    Kind("constant_offset", "silent", b.mixed(lambda x: np.full_like(x, 0.5))),
    Kind("offset", KEPT, b.mixed(lambda x: x + 0.3), holds=no_offset),
    Kind("silence_with_one_click", ("too_short", "noisy"), b.mixed(b.click)),
    Kind("clipped_to_a_square", "clipped", b.mixed(lambda x: np.clip(300 * x, -1, 1)), says=("max_clipped_share",)),
    Kind("eight_channels", KEPT, b.mixed(b.beside(*[1.0] * 7)), holds=measured(channels="8")),
    Kind("one_dead_channel", KEPT, b.mixed(b.beside(0)), holds=measured(channels="2")),
    Kind("channels_that_cancel", "silent", b.mixed(b.beside(-1)), says=("cancel",)),
    Kind("192_khz", KEPT, b.mixed(lambda x: x, rate=192000), holds=measured(sample_rate="192000")),
    Kind("telephone_8_khz", "narrow_band", b.mixed(lambda x: x, rate=8000), says=("min_bandwidth_hz",)),
    Kind("telephone_at_48_khz", "narrow_band", b.upsampled),
    Kind("noise_only", ("noisy", "clipped"), b.mixed(b.noise, seconds=3.0), says=("min_snr_db",)),
    Kind("chirp", "noisy", b.mixed(b.chirp, seconds=3.0)),
    Kind("too_short", "too_short", b.mixed(lambda x: x, seconds=0.2), says=("min_seconds",)),
    Kind("one_sample", ("too_short", "silent"), lambda seed: b.encode(np.full(1, 0.5, np.float32))),
    Kind("too_long", "too_long", b.mixed(lambda x: x, seconds=12.5), says=("max_seconds",)),
)

PLACES = (  # where the file should be, and how it is called
    Kind("missing_file", "missing_audio", place=lambda path, seed: None),
    Kind("folder_in_its_place", "missing_audio", place=b.folder),
    Kind("pipe_in_its_place", "missing_audio", place=b.pipe),
    Kind("device_in_its_place", ("missing_audio", "path_outside_corpus"), place=b.link_to("/dev/zero")),
    Kind("broken_link", "missing_audio", place=b.link_to("nowhere.wav")),
    Kind("link_to_itself", "missing_audio", place=b.link_to("link_to_itself.wav")),
    Kind("link_to_a_good_clip", "duplicate_audio", place=b.link_to("good00.wav"), text="Good words, 0."),
    Kind(
        "link_out_of_the_corpus",
        "path_outside_corpus",
        place=b.link_to("../../outside.wav"),
    ),
    Kind("folder_that_holds_itself", "missing_audio", place=b.looped_folder, line=f"wavs/{'loop/' * 60}good00.wav|Words|ann|en", id="?"),
    Kind("unreadable_file", "unreadable_audio", place=b.unreadable, says=("chmod",)),
    Kind("name_too_long", "missing_audio", place=lambda path, seed: None, file="n" * 300 + ".wav", id="?"),
    Kind("name_of_255_bytes", KEPT, b.wav, file="m" * 251 + ".wav", id="?", holds=_SPOKEN),
    Kind("name_of_emoji", KEPT, b.wav, file="🎤 clip.wav", id="=F0=9F=8E=A4=20clip", holds=_SPOKEN),
    Kind("name_in_persian", KEPT, b.wav, file="صدا.wav", id="صدا", holds=_SPOKEN),
    Kind("name_with_override_mark", KEPT, b.wav, file="\u202evaw.wav", id="=E2=80=AEvaw", holds=_SPOKEN),
    Kind("name_with_spaces_and_quotes", KEPT, b.wav, file='it\'s "a" clip.wav', id="it=27s=20=22a=22=20clip", holds=_SPOKEN),
    Kind("name_that_is_an_option", KEPT, b.wav, file="-rf.wav", id="=2Drf", holds=_SPOKEN),
    Kind("hidden_name", KEPT, b.wav, file=".hidden.wav", id="=2Ehidden", holds=_SPOKEN),
    Kind("path_with_backslash", KEPT, b.wav, line=r"wavs\{file}|{text}|ann|en", holds=_SPOKEN),
    Kind("path_that_climbs_out", "path_outside_corpus", line=f"{_TRAVERSAL}|Words|ann|en", id="?"),
    Kind("absolute_path", "path_outside_corpus", line="/etc/hostname.wav|Words|ann|en", id="?"),
    Kind("drive_of_windows", "path_outside_corpus", line=r"C:\clips\a.wav|Words|ann|en", id="?"),
    Kind("address_of_a_server", "missing_audio", line="https://example.org/a.wav|Words|ann|en", id="?"),
    Kind("nul_in_the_path", ("missing_audio", "bad_encoding"), line="wavs/a\0b.wav|Words|ann|en", id="?"),
    Kind("one_id_twice", "duplicate_id", line="wavs/good00.wav|Other words|ann|en", id="good00", says=("line",)),
    Kind("one_id_in_two_normal_forms_first", KEPT, file="caf\u00e9.wav", id="caf\u00e9"),
    Kind("one_id_in_two_normal_forms", "duplicate_id", file="cafe\u0301.wav", id="caf\u00e9"),
    Kind("ids_that_differ_by_case_one", KEPT, file="Case.wav", id="Case", holds=_SPOKEN),
    Kind("ids_that_differ_by_case_two", KEPT, file="case.wav", id="case", holds=_SPOKEN),
)

ROWS = (  # texts and lines
    Kind("empty_text", "empty_text", line="wavs/{file}||ann|en"),
    Kind("blank_text", "empty_text", text=" \t \u00a0"),
    Kind("only_punctuation", "empty_text", text="?!… — «»"),
    Kind("only_emoji", "empty_text", text="😀👍🏽👩\u200d👩\u200d👧"),
    Kind("only_marks", "empty_text", text="\u200e\u200f\u202a\u202c"),
    Kind("emoji_between_words", KEPT, text="Some words 😀 here", holds=says("some words here"), removed="😀"),
    Kind("unknown_script", "unknown_characters", text="Some words 世界 here", says=("U+4E16",)),
    Kind("replacement_character", "unknown_characters", text="caf\ufffd words here", says=("U+FFFD",)),
    Kind("nul_in_text", (KEPT, "bad_encoding"), text="Words of \0a kind"),
    Kind("mark_of_byte_order_in_text", KEPT, text="\ufeffBomb is \ufeffnot", holds=says("bomb is not"), removed="\ufeff"),
    Kind(
        "direction_marks",
        KEPT,
        text="Left \u200eand\u200f right \u202eturns\u202c",
        holds=says("left and right turns"),
        removed="\u200e\u200f\u202e",
    ),
    Kind(
        "zero_width_characters",
        KEPT,
        text="Ze\u200bro \u2060wid\u00adth \u200dis it",
        holds=says("zero width is it"),
        removed="\u200b\u2060\u00ad",
    ),
    Kind("private_use_characters", KEPT, text="Private \ue000use is it", holds=says("private use is it"), removed="\ue000"),
    Kind("no_characters", KEPT, text="Never \ufdd0a sign \U0010ffff", holds=says("never a sign"), removed="\ufdd0\U0010ffff"),
    Kind(
        "flood_of_combining_marks",
        KEPT,
        text="Za" + "\u0336\u0301" * 500 + "lgo comes here",
        holds=says("zalgo comes here"),
        removed="\u0336",
    ),
    Kind("wide_letters_and_ligatures", KEPT, text="Ｗｉｄｅ ﬁsh swim", holds=says("wide fish swim")),
    Kind(
        "quotes",
        KEPT,
        text='He said "stop" and ‘go’',
        holds=lambda made: '"stop"' in made.text and made.normalized == "he said stop and go",
        removed='"',
    ),
    Kind("quote_that_does_not_close", KEPT, text='"Stop he said now', holds=lambda made: made.text.startswith('"')),
    Kind("tabs", KEPT, text="Tabs\tin\t\tsome words", holds=says("tabs in some words")),
    Kind("carriage_return_inside", (KEPT, "wrong_column_count"), text="Old\rlines of it"),
    Kind("other_line_ends_inside", KEPT, text="Li\u2028ne one\u0085two\x0bthree", holds=says("li ne one two three")),
    Kind("line_ends_of_windows", KEPT, text="Words at an end", line="wavs/{file}|{text}|ann|en\r", holds=says("words at an end")),
    Kind("pipe_in_text", "wrong_column_count", text="Words | and words", says=("expected 4 columns", "got 5")),
    Kind("too_few_columns", "wrong_column_count", line="wavs/{file}|Words", says=("expected 4 columns", "got 2")),
    Kind("newline_in_text", "wrong_column_count", line="wavs/{file}|Words that go\non here|ann|en", says=("expected 4 columns",)),
    Kind("no_separator", "wrong_column_count", line="wavs/{file} Words that go on", id="?"),
    Kind("only_separators", ("empty_id", "empty_text"), line="|||", id="?"),
    Kind("line_of_a_megabyte", ("text_too_long", "line_too_long"), text="word " * 200_000),
    Kind("digits_without_end", "text_too_long", text="9" * 100_000),
    Kind("letters_without_a_space", "text_too_long", text="a" * 100_000),
    Kind("dots_without_end", ("empty_text", "text_too_long"), text=". , " * 25_000),
    Kind("too_much_text_for_the_sound", "odd_rate", text="so many words that nobody can say them in a second " * 4),
    Kind("same_text_twice", "duplicate_text", text="Good words, 1."),
    Kind("same_sound_twice", "duplicate_audio", lambda seed: b.wav(2), text="Good words, 2."),
    Kind("same_sound_other_text_one", "duplicate_audio", lambda seed: b.wav(9999), says=("another text",)),
    Kind("same_sound_other_text_two", "duplicate_audio", lambda seed: b.wav(9999), says=("another text",)),
    Kind("unknown_language", "unknown_language", line="wavs/{file}|{text}|ann|tlh", says=("tlh",)),
    Kind("language_that_is_a_path", "unknown_language", line="wavs/{file}|{text}|ann|../../en"),
    Kind("speaker_with_one_clip", "few_clips", line="wavs/{file}|{text}|bob|en", says=("bob", "min_clips_per_speaker")),
    Kind("speaker_of_sql", "few_clips", line="wavs/{file}|{text}|'); DROP TABLE rows;--|en"),
    Kind("speaker_of_format_signs", "few_clips", line="wavs/{file}|{text}|%s%n{{0}}\U0001f600|en"),
    Kind("text_of_sql", KEPT, text="Words'); DROP TABLE rows", holds=lambda made: "DROP TABLE" in made.text),
    Kind("text_of_a_table_formula", KEPT, text="=SUM(A) is a sum", holds=lambda made: made.text.startswith("=SUM")),
)

KINDS = (*FILES, *FORMATS, *SAMPLES, *PLACES, *ROWS)


def build(root: Path, kinds: tuple[Kind, ...] = KINDS) -> None:
    """Writes `root/corpus` (layout coqui, the metadata with a byte order mark): good clips before and behind one row of each kind."""
    wavs = root / "corpus" / "wavs"
    wavs.mkdir(parents=True)
    (root / "outside.wav").write_bytes(b.wav(5000))
    good = [_good(wavs, number) for number in range(GOOD)]
    rows = [_write(wavs, kind, 100 + number) for number, kind in enumerate(kinds)]
    lines = ["audio_file|text|speaker|language", *good[: GOOD // 2], *rows, *good[GOOD // 2 :]]
    (root / "corpus" / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode() + b"\n")


def _good(wavs: Path, number: int) -> str:
    (wavs / f"good{number:02}.wav").write_bytes(b.wav(number))
    return f"wavs/good{number:02}.wav|Good words, {number}.|ann|en"


def _write(wavs: Path, kind: Kind, seed: int) -> str:
    if kind.place:
        kind.place(wavs / kind.path, seed)
    elif kind.audio or "{file}" in kind.line:
        (wavs / kind.path).write_bytes((kind.audio or b.wav)(seed))
    text = kind.text or "Words of " + kind.name.replace("_", " ").translate(_WORDS)
    return kind.line.format(file=kind.path, text=text, name=kind.name)


_WORDS = str.maketrans(dict(zip("0123456789", ("oh", "one", "two", "three", "four", "five", "six", "seven", "ate", "nine"), strict=True)))


def run(root: Path, out: str = "processed", workers: int = 1, **settings: Any) -> dict[str, Any]:
    """The raw and the prepare stage over `root/corpus`, into `root/<out>`; the cache lies in `root/<out>.cache`."""
    from myxtts.config import XTTSConfig
    from myxtts.data.prepare import check_strict, prepare
    from myxtts.data.raw import make_raw

    tree = {"data": {"source": {"layout": "coqui", "path": "corpus"}}, "prepare": settings, "hardware": {"num_workers": workers}}
    config = XTTSConfig.from_dict(tree)
    raw = root / f"{out}.raw"
    make_raw(config, root, raw)
    summary = prepare(config, root, raw, root / out, root / f"{out}.cache")
    check_strict(config, summary, root / out)
    return summary


def peak_mib() -> float:
    """The most memory that this process has had. Not `ru_maxrss`: on Linux that begins with what the process that started this one had."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":  # in a process of its own: nothing else counts for its memory
    summary = run(Path(sys.argv[1]))
    print(json.dumps(summary | {"peak_mib": peak_mib()}))
