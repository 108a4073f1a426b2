"""What `myxtts say` does: texts from the command line, a file or standard input; speech to a file, to many, to a pipe or a player."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from myxtts.audio.formats import format_of
from myxtts.audio.wave import endless_wav_header, to_pcm, wav_bytes
from myxtts.config import ConfigError, DataError

if TYPE_CHECKING:  # what is wrong with a command is said before TensorFlow is imported
    from myxtts.synthesis.speech import Line, Speech, Synthesizer
    from myxtts.synthesis.voice import Voice

STANDARD = "-"  # in place of a file: standard input or output
OUT = "out.wav"  # where no file is named


def take_text(
    text: str | None, file: str | None, out: str | None = None, lines: bool = False, stream: str | None = None, force: bool = False
) -> str | Iterator[str]:
    """What is to be spoken, once all that can be wrong with the command is checked: from standard input into a stream, as it comes.

    Raises ConfigError and DataError as `read_text` does, and for a text without words, a player that is not there, an `out` that is no
    sound, or that is there already and is not to be replaced.
    """
    if stream and (out or lines):
        raise ConfigError("--stream says where the speech goes: leave out --out and --lines")
    if out and out != STANDARD and not lines:
        format_of(out)
    if not (stream or lines):
        check_free(out or OUT, force)
    if stream and stream != STANDARD:
        player_command(stream)
    if stream and file == STANDARD and text is None:
        return standard_lines()
    found = read_text(text, file)
    if not any(map(str.isalnum, found)):
        raise DataError(f"there is nothing to speak in {found[:80]!r}: expected a text with words")
    return found


def check_free(out: str | Path, force: bool) -> None:
    """Raises ConfigError where a file would be overwritten: it may be the recording that is spoken with."""
    if str(out) != STANDARD and Path(out).exists() and not force:
        raise ConfigError(f"{out} is there already: choose another --out, or replace it by --force")


def read_text(text: str | None, file: str | None) -> str:
    """The text of the command line, or of a file ("-": standard input). Raises ConfigError for both or neither, DataError for no UTF-8."""
    if (text is None) == (file is None):
        got = "neither" if text is None else "both"
        raise ConfigError(f"expected a text or --file FILE (- = standard input); got {got}: give one of them")
    if file is None:
        return text
    try:
        raw = sys.stdin.buffer.read() if file == STANDARD else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): give a text file in UTF-8") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def standard_lines() -> Iterator[str]:
    """Standard input as it comes, a line at a time."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace")


def say_file(synthesizer: "Synthesizer", line: "Line", out: str) -> None:
    """Speaks a text into one file of the format that its name asks for, or to standard output as WAV."""
    speech = synthesizer.speak_all([line])[0]
    if out == STANDARD:
        sys.stdout.buffer.write(wav_bytes(to_pcm(speech.waveform), speech.sample_rate))
    else:
        speech.save(out)
        print(_summary(out, speech))
    _tell(speech, out)


def say_lines(synthesizer: "Synthesizer", text: str, voice: "Voice", language: str, seed: int, folder: Path) -> None:
    """Speaks each line of a text that is not empty into a file of its own, 0001.wav and on, many at a time.

    Raises DataError, naming the line, where one cannot be spoken: before anything is said; and where the folder has such a file.
    """
    texts = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not texts:
        raise DataError("there is no line to speak: expected one text a line")
    digits = max(4, len(str(texts[-1][0])))
    names = [folder / f"{number:0{digits}}.wav" for number, _ in texts]
    if taken := [path for path in names if path.exists()]:
        raise DataError(f"{taken[0]} is there already: choose another --out, or remove it")
    for number, line in texts:
        try:
            synthesizer.pieces(line, language)
        except DataError as error:
            raise DataError(f"line {number}: {error}") from None
    from myxtts.synthesis.speech import Line

    group = 4 * synthesizer.config.synthesis.batch_size  # enough that batches hold sentences of one length, few enough that files come soon
    for first in range(0, len(texts), group):
        lines = [Line(line, voice, language, seed) for _, line in texts[first : first + group]]
        for path, speech in zip(names[first:], synthesizer.speak_all(lines), strict=False):
            speech.save(path)
            print(_summary(path, speech))
            _tell(speech, path)


def say_stream(synthesizer: "Synthesizer", text: str | Iterable[str], voice: "Voice", language: str, seed: int, player: str) -> None:
    """Speaks into a command that plays what it reads ("-": into standard output) while it is being generated, as a WAV without end.

    Raises ConfigError where the command cannot be started or fails. One that is closed early has heard enough.
    """
    with _player(player) as pipe:
        try:
            pipe.write(endless_wav_header(synthesizer.sample_rate))
            for piece in synthesizer.stream(text, voice, language, seed):
                pipe.write(to_pcm(np.clip(piece, -1, 1)).tobytes())
                pipe.flush()
        except BrokenPipeError:
            if player == STANDARD:  # Python would try once more when it ends, and say so
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def player_command(player: str) -> list[str]:
    """The words of a command that plays what it reads. Raises ConfigError where it is none, or not installed."""
    try:
        command = shlex.split(player)
    except ValueError as error:
        raise ConfigError(f"the player {player!r} cannot be started ({error}): expected a command that plays WAV, say 'aplay -q'") from None
    if not command or not shutil.which(command[0]):
        name = command[0] if command else player
        raise ConfigError(f"the player {name!r} is not installed: expected a command that plays WAV, say 'aplay -q', or - for a pipe")
    return command


@contextlib.contextmanager
def _player(command: str) -> Iterator[BinaryIO | IO[bytes]]:
    if command == STANDARD:
        yield sys.stdout.buffer
        return
    try:
        process = subprocess.Popen(player_command(command), stdin=subprocess.PIPE)
    except OSError as error:
        raise ConfigError(
            f"the player {command!r} cannot be started ({error}): expected a command that plays WAV, say 'aplay -q'"
        ) from None
    try:
        yield process.stdin
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        code = process.wait()
    if code:
        raise ConfigError(f"the player {command!r} failed with {code}: expected a command that plays WAV from its standard input")


def _summary(path: str | Path, speech: "Speech") -> str:
    note = "" if speech.stopped else "  (cut: the model did not end by itself)"
    return f"{path}: {speech.seconds:.2f} s at {speech.sample_rate} Hz{note}"


def _tell(speech: "Speech", path: str | Path) -> None:
    for item in speech.interventions:
        print(f"{path}: {item}", file=sys.stderr)
