"""The voices that a server has: the files `NAME.voice` of one folder."""

import tempfile
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from myxtts.audio.wave import decode
from myxtts.config import ConfigError, DataError
from myxtts.serving.server.errors import Refusal
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import VOICE_SUFFIX, Voice

MAX_RECORDINGS = 8  # of one voice
_LOADED = 64  # voices that are kept in memory, of some 100 KB each
_LONGEST_NAME, _MOST_BYTES = 64, 200  # of a name; a file's name has 255 bytes
_JOINERS = " -_.\u200c"  # the last: a letter of Persian spelling
_DECODED_BYTES = 256 << 20


def check_name(name: str) -> str:
    """The name under which a voice is kept, in NFC. Raises Refusal where it is more than a name: it becomes that of a file."""
    name = unicodedata.normalize("NFC", name.strip())
    good = all(character in _JOINERS or unicodedata.category(character)[0] in "LMN" for character in name)
    if not good or not name or not name[0].isalnum() or name[-1] == "." or len(name) > _LONGEST_NAME or len(name.encode()) > _MOST_BYTES:
        raise Refusal(
            422,
            f"the name of a voice is 1 to {_LONGEST_NAME} letters, digits, spaces, '-', '_' and '.', the first a letter or digit; got "
            f"{name[:80]!a}",
            "name",
        )
    return name


def _is_name(text: str) -> bool:
    try:
        return check_name(text) == text
    except Refusal:
        return False


class VoiceStore:
    """Named voices. `make` is for the thread that owns the networks, the rest for any."""

    def __init__(self, folder: Path, synthesizer: Synthesizer, max_voices: int, max_seconds: float):
        self.folder, self.synthesizer, self.max_voices, self.max_seconds = folder, synthesizer, max_voices, max_seconds
        self._loaded: OrderedDict[str, tuple[tuple[int, int], Voice]] = OrderedDict()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--voices {folder} cannot be made ({error}): name a folder that this user may write to") from None

    def names(self) -> list[str]:
        """All voices, in the order of the alphabet."""
        return sorted(path.stem for path in self.folder.glob(f"*{VOICE_SUFFIX}") if _is_name(path.stem))

    def get(self, name: str) -> Voice:
        """A voice by its name. Raises Refusal (404) where there is none, DataError where it is damaged or of another model."""
        path = self._path(name)
        name = path.stem
        try:
            state = path.stat()
        except FileNotFoundError:
            raise self._unknown(name) from None
        stamp = (state.st_mtime_ns, state.st_size)
        with self._lock:
            if name in self._loaded and self._loaded[name][0] == stamp:
                self._loaded.move_to_end(name)
                return self._loaded[name][1]
        try:
            voice = Voice.load(path)
            self.synthesizer.check_voice(voice)
        except DataError as error:
            raise DataError(f"the voice {name!r} cannot be used: {_without_place(error, path, name)}") from None
        with self._lock:
            self._loaded[name] = stamp, voice
            if len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return voice

    def check_free(self, name: str) -> None:
        """Raises Refusal (409) where a voice has this name, or there are too many."""
        if self._path(name).exists():
            raise Refusal(409, f"there is a voice {name!r} already: delete it first, or choose another name", "name")
        if len(self.names()) >= self.max_voices:
            raise Refusal(409, f"there are {self.max_voices} voices, as many as this server keeps: delete one first")

    def check_recordings(self, recordings: Sequence[tuple[str, bytes]]) -> None:
        """Raises DataError or Refusal where a recording (its name, its content) cannot be decoded, or all are too long together."""
        if not 1 <= len(recordings) <= MAX_RECORDINGS:
            raise Refusal(422, f"a voice is made of 1 to {MAX_RECORDINGS} recordings; got {len(recordings)}", "file")
        seconds = 0.0
        for name, content in recordings:
            if not content:
                raise Refusal(422, f"the recording {name!r} is empty (0 bytes): choose it again", "file")
            samples, rate = decode(content, name, max_seconds=self.max_seconds, max_bytes=_DECODED_BYTES)
            seconds += len(samples) / rate
        if seconds > self.max_seconds:
            raise Refusal(422, f"the recordings last {seconds:.0f} s; expected at most {self.max_seconds:g} s: cut them", "file")

    def make(self, name: str, recordings: Sequence[tuple[str, bytes]]) -> None:
        """Makes a voice of recordings and keeps it. Raises as the checks do, and DataError where they hold too little sound."""
        self.check_free(name)  # again, for it waited in line
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"recording{number}" for number in range(len(recordings))]
            for path, (_, content) in zip(paths, recordings, strict=True):
                path.write_bytes(content)
            try:
                voice = self.synthesizer.voice(paths)
            except DataError as error:
                for path, (said, _) in zip(paths, recordings, strict=True):
                    error = _without_place(error, path, said)
                raise DataError(str(error)) from None
        voice.save(self._path(name))

    def delete(self, name: str) -> None:
        """Removes a voice. Raises Refusal (404) where there is none."""
        path = self._path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise self._unknown(path.stem) from None
        with self._lock:
            self._loaded.pop(path.stem, None)

    def _path(self, name: str) -> Path:
        return self.folder / f"{check_name(name)}{VOICE_SUFFIX}"

    def _unknown(self, name: str) -> Refusal:
        known = ", ".join(self.names()[:20]) or "none yet: upload a recording (POST /v1/voices)"
        return Refusal(404, f"there is no voice {name!r}; there are: {known}", "voice")


def _without_place(error: DataError, path: Path, said: str) -> DataError:
    """Where a file lay on the server is nothing to the client."""
    return DataError(str(error).replace(str(path), said))
