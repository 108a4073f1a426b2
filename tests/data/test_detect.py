"""`myxtts data detect`: each corpus is known for what it is, by looking at a little of it."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import layouts
import pytest

from myxtts.config import DataError
from myxtts.data.sources import detect as detection
from myxtts.data.sources.detect import describe, detect

ROOT = Path(__file__).resolve().parents[2]


def layout_of(corpus: Path) -> str | None:
    findings = detect(corpus)
    return findings[0].layout if findings[0].fits else None


@pytest.mark.parametrize("layout", [name for name in layouts.WRITERS if name != "csv"])
def test_every_layout_is_known(tmp_path, layout):
    layouts.WRITERS[layout](tmp_path / "corpus", layouts.clips())
    assert layout_of(tmp_path / "corpus") == layout
    said = describe(tmp_path / "corpus", detect(tmp_path / "corpus"))
    assert f"use real_speech --corpus {tmp_path / 'corpus'}" in said


def corpus_of(tmp_path: Path, text: str, folder: str = "wavs", name: str = "metadata.csv") -> Path:
    for number in range(9):
        layouts.text(tmp_path / "corpus" / folder / f"{number}.wav", "")
    layouts.text(tmp_path / "corpus" / name, text)
    return tmp_path / "corpus"


def rows(line: str, count: int = 8) -> str:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    return "".join(line.format(n, words[n], words[n].upper(), "ab"[n % 2]) for n in range(count))


@pytest.mark.parametrize(("text", "folder", "layout"), [
    ("{0}|{1}|{2}\n", "wavs", "ljspeech"),
    ("{0}|{3}|{1}\n", "wavs", "piper"),
    ("{0}|{3}|{1}\n", "wav", "piper"),
    ("{0}|{1}\n", "wav", "piper"),
    ("{0}|{1}\n", "wavs", "ljspeech"),
    ("{0}|{1}|{1}|{3}|en\n", "wavs", "metadata"),
    ("{0}|{1}|{2}|{3}\n", "wavs", "metadata"),
])  # fmt: skip
def test_a_metadata_csv_without_a_header_is_one_of_three(tmp_path, text, folder, layout):
    assert layout_of(corpus_of(tmp_path, rows(text), folder)) == layout


def test_tables_with_headers(tmp_path):
    assert layout_of(corpus_of(tmp_path / "a", "audio_file|speaker|text\n" + rows("wavs/{0}.wav|{3}|{1}\n"))) == "coqui"
    assert layout_of(corpus_of(tmp_path / "b", "id|speaker|text\n" + rows("{0}|{3}|{1}\n"))) == "metadata"
    assert layout_of(corpus_of(tmp_path / "c", "text;path\n" + rows("{1};wavs/{0}.wav\n"), name="all.csv")) == "csv"
    assert layout_of(corpus_of(tmp_path / "d", rows('{{"text": "{1}", "path": "wavs/{0}.wav"}}\n'), name="x.jsonl")) == "jsonl"


def test_what_fits_none_names_the_nearest(tmp_path):
    corpus = corpus_of(tmp_path, "sound,words\n" + rows("wavs/{0}.wav,{1}\n"), name="all.csv")
    said = describe(corpus, detect(corpus))
    assert "no layout fits; there are 10 files, 9 of them recordings; tables: all.csv" in said
    assert "nearest is csv" in said and "no column for the audio among sound, words" in said
    corpus = corpus_of(tmp_path / "x", rows("no{0}|{1}\n"))
    assert "0 of the first 8 rows can be used (8 missing_audio)" in describe(corpus, detect(corpus))
    layouts.coqui(tmp_path / "outer" / "inner", layouts.clips())
    said = describe(tmp_path / "outer", detect(tmp_path / "outer"))
    assert f"one folder deeper, {tmp_path / 'outer' / 'inner'} is a corpus of layout coqui" in said
    (tmp_path / "empty").mkdir()
    assert "tables: none" in describe(tmp_path / "empty", detect(tmp_path / "empty"))
    with pytest.raises(DataError, match="no corpus at"):
        detect(tmp_path / "nowhere")


def test_a_huge_folder_is_looked_at_in_part(tmp_path, monkeypatch):
    corpus = tmp_path / "corpus"
    for number in range(400):
        layouts.text(corpus / f"s{number % 4}" / f"{number}.wav", "")
        layouts.text(corpus / f"s{number % 4}" / f"{number}.txt", "Text")
    layouts.text(corpus / "metadata.csv", "x|y|z\n" * 50_000)
    seen = []
    real = os.scandir

    class Counting:
        def __init__(self, path):
            self.entries = real(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            return (seen.append(entry) or entry for entry in self.entries)

    monkeypatch.setattr(detection.os, "scandir", Counting)
    monkeypatch.setattr(detection, "_SHARE", 20)
    monkeypatch.setattr(detection, "_ENTRIES", 50)
    findings = detect(corpus)
    assert findings[0].layout == "folder" and 10 < len(seen) < 200
    assert "more than 20000 lines" in next(finding.evidence for finding in findings if finding.layout == "ljspeech")


def test_the_command(tmp_path):
    layouts.vctk(tmp_path / "corpus", layouts.clips())
    command = [sys.executable, "-m", "myxtts", "data", "detect"]
    said = subprocess.run([*command, "--quiet", str(tmp_path / "corpus")], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout == "vctk\n"
    failed = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert failed.returncode == 1 and "is a corpus of layout vctk" in failed.stderr and "Traceback" not in failed.stderr


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_whose_table_comes_after_thousands_of_clips(tmp_path, kind):
    names = [f"audio/{number:05}.wav" for number in range(5200)]
    table = "".join(f"audio/{number:05}.wav|text {number}\n" for number in reversed(range(5200)))
    archive = tmp_path / f"corpus.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for name in names:
                file.writestr(name, b"")
            file.writestr("audio/film.m4a", bytes(1000))
            file.writestr("metadata.csv", "audio_file|text\n" + table)
    else:
        with tarfile.open(archive, "w:gz") as file:
            for name, content in [*((name, b"") for name in names), ("metadata.csv", ("audio_file|text\n" + table).encode())]:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))
    assert layout_of(archive) == "coqui"


def test_little_of_an_archive_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "_HEAD", 100)
    monkeypatch.setattr(detection, "_HEADS", 250)
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as file:
        for number in range(9):
            file.writestr(f"{number}.m4a", bytes(1000))
            file.writestr(f"{number}.txt", "words\n" * 100)
            file.writestr(f"{number}.wav", bytes(1000))
    detection._sketch(tmp_path / "corpus.zip", tmp_path / "sketch")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "sketch").iterdir()}
    assert sum(sizes.values()) <= 300 and len(sizes) == 18 and not any(name.endswith("m4a") for name in sizes)
