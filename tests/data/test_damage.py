"""Corpora as they come: every damaged row has its reason, every good row stays, and nothing outside the corpus is read."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from myxtts.config import DataError
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import ManifestWriter, Rejected, Utterance, read_manifest, read_rejected
from myxtts.data.sources import LAYOUTS, read_source
from myxtts.data.sources.lines import MAX_LINE_BYTES

HEADERS = {"coqui": "audio_file|text|speaker\n", "csv": "audio_file,text,speaker\n", "common_voice": "path\tsentence\tclient_id\n"}
FILES = {"common_voice": "validated.tsv", "jsonl": "manifest.jsonl"}
TABLES = ("metadata", "ljspeech", "piper", "coqui", "common_voice", "jsonl", "csv")


def read(corpus: Path, layout: str, **source) -> tuple[list[Utterance], list[Rejected]]:
    rows = list(read_source(SourceConfig(layout=layout, path=corpus.name, **source), corpus.parent))
    return [row for row in rows if isinstance(row, Utterance)], [row for row in rows if isinstance(row, Rejected)]


@pytest.fixture
def corpus(tmp_path) -> Path:
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "corpus" / "wavs" / f"{number}.wav").touch()
    return tmp_path / "corpus"


def line(layout: str, name: int, text: str) -> bytes:
    made = {
        **dict.fromkeys(("metadata", "ljspeech", "piper"), f"{name}|{text}\n"),
        "coqui": f"wavs/{name}.wav|{text}|ann\n",
        "common_voice": f"../wavs/{name}.wav\t{text}\tann\n",
        "jsonl": json.dumps({"audio": f"wavs/{name}.wav", "text": text}, ensure_ascii=False) + "\n",
        "csv": f"wavs/{name}.wav,{text},ann\n",
    }
    return made[layout].encode()


def write(corpus: Path, layout: str, *rows: bytes) -> None:
    if layout == "common_voice":
        (corpus / "clips").mkdir(exist_ok=True)
    (corpus / FILES.get(layout, "metadata.csv")).write_bytes(HEADERS.get(layout, "").encode() + b"".join(rows))


@pytest.mark.parametrize("layout", [layout for layout in TABLES if layout != "common_voice"])
def test_a_damaged_line_costs_that_line(corpus, layout):
    good = [line(layout, number, f"Grüße {number}") for number in range(10)]
    damaged = line(layout, 10, "caf\x00").replace(b"\x00", b"\xe9").replace(b"\\u0000", b"\xe9")
    endless = line(layout, 11, "word " * MAX_LINE_BYTES)
    nul = line(layout, 12, "a\0b") if layout != "jsonl" else b'{"audio": "wavs/12.wav", "text": "a\\u0000b"}\n'
    write(corpus, layout, *good[:3], damaged, endless, nul, *good[3:], line(layout, 0, "Again"))
    rows, rejected = read(corpus, layout)
    assert [row.text for row in rows] == [f"Grüße {number}" for number in range(10)]
    assert [row.reason for row in rejected] == ["bad_encoding", "line_too_long", "bad_encoding", "duplicate_id"]
    first = 4 + (layout in HEADERS)
    assert [f"line {first + n}" in row.detail for n, row in enumerate(rejected[:3])] == [True] * 3
    assert len(rejected[1].detail) < 1000


def test_an_endless_line_takes_no_more_memory_than_a_line_may_have(corpus):
    write(corpus, "metadata", b"0|Zero\n", b"1|" + b"a" * (16 << 20) + b"\n", b"2|Two\n")
    tracemalloc.start()
    rows, rejected = read(corpus, "metadata")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.id for row in rows] == ["0", "2"] and rejected[0].reason == "line_too_long"
    assert peak < 6 * MAX_LINE_BYTES


@pytest.mark.parametrize("layout", ["metadata", "coqui", "jsonl", "csv", "folder"])
@pytest.mark.parametrize("max_clips", [None, 50])
def test_many_times_the_rows_take_no_more_memory(corpus, layout, max_clips):
    peaks = []
    few, many = (1200, 6000) if layout == "csv" else (150, 1500)  # pandas reads a thousand at once
    for count in (few, few, many, many):  # the first brings what is loaded once, and of the last two one may be disturbed
        if layout == "folder":
            for number in range(count):
                for name in (f"{number}.wav", f"{number}.txt"):
                    (corpus / name).write_text("Text")
        else:
            write(corpus, layout, *(line(layout, number, f"Text {number}") for number in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in read_source(SourceConfig(layout=layout, path="corpus", max_clips=max_clips), corpus.parent)) > 20
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks[2:]) < 1.5 * peaks[1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp1256", "cp1251"])
@pytest.mark.parametrize("layout", ["metadata", "coqui", "jsonl", "csv"])
def test_a_file_in_another_encoding_is_refused_with_the_remedy(corpus, layout, encoding):
    word = {"cp1256": "سلام", "cp1251": "Привет"}.get(encoding, "Grüße, çà et là")
    text = HEADERS.get(layout, "") + "".join(line(layout, n, word).decode() for n in range(9))
    (corpus / FILES.get(layout, "metadata.csv")).write_bytes(text.encode(encoding))
    said = {"utf-16": "UTF-16", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}.get(encoding, "WINDOWS-1252")
    with pytest.raises(DataError, match=rf"is not UTF-8: byte 0x.*iconv -f {said} "):
        read(corpus, layout)


def test_a_metadata_file_that_is_none(corpus):
    os.mkfifo(corpus / "metadata.csv")
    with pytest.raises(DataError, match="expected a file"):
        read(corpus, "ljspeech")


def test_line_ends(corpus):
    write(corpus, "metadata", b"\xef\xbb\xbf0|Zero\r\n\r\n1|One\n2|Two")
    assert [(row.id, row.text) for row in read(corpus, "metadata")[0]] == [("0", "Zero"), ("1", "One"), ("2", "Two")]
    write(corpus, "metadata", b"0|Zero\r1|One\r2|Two\r3|Three")
    with pytest.raises(DataError, match="end in CR alone"):
        read(corpus, "metadata")


@pytest.mark.parametrize(("layout", "written", "text"), [
    *((layout, written, text) for layout in ("coqui", "piper", "common_voice") for written, text in (
        ('He said "yes".', 'He said "yes".'),
        ('"Yes," he said.', '"Yes," he said.'),
        ('"Yes', '"Yes'),
        ('"All of it."', "All of it."),
        ('"The ""best"" of all"', 'The "best" of all'),
    )),
    ("coqui", '"one|two"', "one|two"),
    ("common_voice", 'He said \\"yes\\".', 'He said "yes".'),
    ("metadata", '"All of it."', '"All of it."'),
    ("ljspeech", '"Yes', '"Yes'),
    ("csv", '"one, two"', "one, two"),
    ("csv", '"two\nlines"', "two\nlines"),
    ("csv", 'He said "yes".', 'He said "yes".'),
    ("csv", "NA", "NA"),
    ("csv", "a\rb", "a\rb"),
])  # fmt: skip
def test_quotes_as_the_readers_of_each_format_have_them(corpus, layout, written, text):
    (corpus / "clips").mkdir()
    for number in range(2):
        (corpus / "clips" / f"{number}.wav").touch()
    rows = [line(layout, number, value).replace(b"../wavs/", b"") for number, value in ((0, "before"), (1, written))]
    write(corpus, layout, *rows)
    assert [row.text for row in read(corpus, layout)[0]] == ["before", text]


def test_csv_rows_that_are_none_cost_themselves(corpus):
    rows = [line("csv", number, f"Text {number}") for number in range(2500)]
    bad = {5: b'wavs/5.wav,"open,ann\n', 20: b'wavs/20.wav,"open too,ann\n', 1200: b"wavs/9.wav,a,b,c\n", 1201: b"wavs/9.wav\n"}
    for number in range(20, 2500):
        (corpus / "wavs" / f"{number}.wav").touch()
    write(corpus, "csv", *(bad.get(number, row) for number, row in enumerate(rows)))
    used, rejected = read(corpus, "csv")
    assert [row.text for row in used] == [f"Text {number}" for number in range(2500) if number not in bad]
    assert [(row.reason, row.detail.partition(":")[0]) for row in rejected] == [
        ("unclosed_quote", "metadata.csv, line 7"),
        ("unclosed_quote", "metadata.csv, line 22"),
        ("wrong_column_count", "metadata.csv, line 1202"),
        ("wrong_column_count", "metadata.csv, line 1203"),
    ]


def test_objects_that_are_none(corpus):
    bad = ["[1]", '{"audio": ', '{"audio": ["x"], "text": "a"}', '{"audio": "wavs/1.wav", "text": {"a": 1}}', "[" * 100_000, "9" * 5000]
    bad += ['{"audio": "wavs/1.wav", "text": "\\ud800"}', '{"text": "a"}', '{"audio": "wavs/1.wav"}', '{"audio": null, "text": null}']
    bad += ['{"audio": "wavs/1.wav", "text": "a", "split": "perhaps"}']
    write(corpus, "jsonl", line("jsonl", 0, "Zero"), *(f"{row}\n".encode() for row in bad), line("jsonl", 2, "Two"))
    rows, rejected = read(corpus, "jsonl")
    assert [row.id for row in rows] == ["0", "2"]
    reasons = ["bad_json", "bad_json", "bad_value", "empty_text", "bad_json", "bad_json", "bad_encoding", "empty_id", "empty_text"]
    assert [row.reason for row in rejected] == [*reasons, "empty_id", "unknown_split"]


@pytest.mark.parametrize("layout", TABLES)
def test_empty_files_and_headers_alone(corpus, layout):
    write(corpus, layout)
    assert read(corpus, layout) == ([], [])
    (corpus / FILES.get(layout, "metadata.csv")).write_bytes(b"")
    if layout in HEADERS:
        with pytest.raises(DataError, match="expected a header"):
            read(corpus, layout)
        (corpus / FILES.get(layout, "metadata.csv")).write_bytes(b"one|two,three\tfour\n")
        with pytest.raises(DataError, match=r"expected a header|no column for the audio"):
            read(corpus, layout)
    else:
        assert read(corpus, layout) == ([], [])


def test_columns_that_are_named_but_not_there(corpus):
    (corpus / "metadata.csv").write_text("sound,words\nwavs/0.wav,Zero\n")
    with pytest.raises(DataError, match=r"no column for the audio among sound, words .*data\.source\.columns"):
        read(corpus, "csv")
    with pytest.raises(DataError, match=r"no column 'sonud', which data\.source\.columns names"):
        read(corpus, "csv", columns={"audio": "sonud", "text": "words"})
    assert read(corpus, "csv", columns={"audio": "sound", "text": "words"})[0][0].text == "Zero"
    (corpus / "other.csv").touch()
    (corpus / "metadata.csv").rename(corpus / "clips.csv")
    with pytest.raises(DataError, match=r"several \*\.csv .*name the one"):
        read(corpus, "csv")


@pytest.mark.parametrize(
    ("written", "local", "allowed"),
    [
        (
            "[core]\n\tremote = away\n['remote \"away\"']\n    url = /nowhere\n[cache]\n    type = symlink\n    dir = {tmp}/shared\n",
            "",
            "shared",
        ),
        ("[cache]\n    dir = ../shared\n", "", "shared"),
        ('[cache]\n    type = "reflink,symlink"\n        dir = "../shared"\n', "", "shared"),
        ("[cache]\n    dir = ../shared\n", "[cache]\n    dir = {tmp}/mine\n", "mine"),
        ("no section", "[cache]\n    dir = ../mine\n", "mine"),
        ("[cache]\n    dir =\n", "", ""),
        ("[core]\n    dir = ../shared\n", "", ""),
    ],
)
def test_links_into_the_cache_that_dvc_is_set_to(corpus, tmp_path, written, local, allowed):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(written.format(tmp=tmp_path))
    if local:
        (tmp_path / ".dvc" / "config.local").write_text(local.format(tmp=tmp_path))
    for name in ("shared", "mine"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files" / "c0ffee").touch()
        (corpus / "wavs" / f"{name}.wav").symlink_to(tmp_path / name / "files" / "c0ffee")
    write(corpus, "metadata", b"shared|Text\n", b"mine|Text\n")
    rows, rejected = read(corpus, "metadata")
    assert [row.id for row in rows] == ([allowed] if allowed else [])
    assert {row.reason for row in rejected} == {"path_outside_corpus"}


def test_links_out_of_the_corpus(corpus, tmp_path):
    (tmp_path / "secret").mkdir()
    for name in ("a.wav", "a.txt"):
        (tmp_path / "secret" / name).write_text("secret")
    (tmp_path / ".dvc" / "cache").mkdir(parents=True)
    (tmp_path / ".dvc" / "cache" / "c0ffee").touch()
    (corpus / "wavs" / "out.wav").symlink_to(tmp_path / "secret" / "a.wav")
    (corpus / "wavs" / "cached.wav").symlink_to(tmp_path / ".dvc" / "cache" / "c0ffee")
    (corpus / "wavs" / "in.wav").symlink_to("0.wav")
    (corpus / "wavs" / "dead.wav").symlink_to("nowhere.wav")
    (corpus / "wavs" / "loop.wav").symlink_to("loop.wav")
    (corpus / "wavs" / "far").symlink_to(tmp_path / "secret")
    write(corpus, "metadata", *(f"{name}|Text\n".encode() for name in ("out", "far/a", "cached", "in", "dead", "loop")))
    rows, rejected = read(corpus, "metadata")
    assert [row.id for row in rows] == ["cached", "in"]
    assert [row.reason for row in rejected] == ["path_outside_corpus"] * 2 + ["missing_audio"] * 2
    assert "follow_links: true" in rejected[0].detail
    assert [row.id for row in read(corpus, "metadata", follow_links=True)[0]] == ["out", "far=2Fa", "cached", "in"]
    (corpus / "txt").symlink_to(tmp_path / "secret")
    (corpus / "wav48").mkdir()
    with pytest.raises(DataError, match="is a link out of the corpus"):
        read(corpus, "vctk")
    (corpus / "metadata.csv").rename(tmp_path / "secret" / "metadata.csv")
    (corpus / "metadata.csv").symlink_to(tmp_path / "secret" / "metadata.csv")
    with pytest.raises(DataError, match="is a link out of the corpus"):
        read(corpus, "metadata")


def test_an_absolute_path_into_the_corpus_is_one_inside(corpus):
    """As NeMo's manifests have them."""
    paths = [f"{corpus}/wavs/0.wav", f"{corpus}/../secret.wav", f"{corpus}2/wavs/0.wav", f"{corpus}"]
    write(
        corpus,
        "jsonl",
        *(json.dumps({"audio_filepath": path, "text": "Text", "id": str(n)}).encode() + b"\n" for n, path in enumerate(paths)),
    )
    rows, rejected = read(corpus, "jsonl")
    assert [(row.id, row.audio) for row in rows] == [("0", "corpus/wavs/0.wav")]
    assert [row.reason for row in rejected] == ["path_outside_corpus"] * 3


def test_loops_and_links_in_a_tree(tmp_path):
    corpus = tmp_path / "corpus"
    (tmp_path / "secret").mkdir()
    (corpus / "ann" / "deep").mkdir(parents=True)
    for folder in (tmp_path / "secret", corpus / "ann" / "deep"):
        (folder / "x.wav").touch()
        (folder / "x.txt").write_text("Text")
    (corpus / "ann" / "deep" / "loop").symlink_to(corpus)
    (corpus / "again").symlink_to("ann")
    (corpus / "self").symlink_to("self")
    (corpus / "out").symlink_to(tmp_path / "secret")
    (corpus / "y.wav").touch()
    (corpus / "y.txt").symlink_to(tmp_path / "secret" / "x.txt")
    (corpus / "z.wav").touch()
    (corpus / "z.lab").symlink_to("nowhere")
    os.mkfifo(corpus / "y.lab")  # whoever opens it waits for ever
    rows, rejected = read(corpus, "folder")
    assert [(row.id, row.speaker) for row in rows] == [("ann=2Fdeep=2Fx", "ann")]
    assert sorted((row.reason, row.audio) for row in rejected) == [
        ("missing_text", "y.wav"),
        ("path_outside_corpus", "out"),
        ("path_outside_corpus", "y.txt"),
        ("unreadable_text", "z.wav"),
    ]
    assert {row.id for row in read(corpus, "folder", follow_links=True)[0]} == {"ann=2Fdeep=2Fx", "out=2Fx", "y"}


def test_trees_with_damage(tmp_path):
    corpus = tmp_path / "corpus"
    for layout in ("vctk", "libritts"):
        with pytest.raises(DataError, match="is no VCTK") if layout == "vctk" else pytest.raises(DataError, match="no corpus"):
            read(tmp_path if layout == "vctk" else corpus, layout)
    for name in ("good", "latin", "long", "silent", "empty"):
        (corpus / "wav48" / "p225").mkdir(parents=True, exist_ok=True)
        (corpus / "txt" / "p225").mkdir(parents=True, exist_ok=True)
        (corpus / "wav48" / "p225" / f"p225_{name}.wav").touch()
    for name, text in (("good", b"Text."), ("latin", b"caf\xe9"), ("long", b"a" * (MAX_LINE_BYTES + 1)), ("empty", b" \n"), ("lost", b"x")):
        (corpus / "txt" / "p225" / f"p225_{name}.txt").write_bytes(text)
    rows, rejected = read(corpus, "vctk")
    assert [(row.id, row.speaker, row.audio) for row in rows] == [("p225_good", "p225", "corpus/wav48/p225/p225_good.wav")]
    assert {row.id: row.reason for row in rejected} == {
        "p225_latin": "bad_encoding",
        "p225_long": "text_too_long",
        "p225_silent": "missing_text",
        "p225_empty": "empty_text",
        "p225_lost": "missing_audio",
    }


def test_what_may_not_be_read(corpus, monkeypatch):
    """Permissions do not hold for root, who runs tests in containers: so the system calls answer as they would for others."""
    write(corpus, "metadata", b"0|Zero\n", b"1|One\n")
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: _refuse() if str(path).endswith("wavs/0.wav") else real(path))
    rows, rejected = read(corpus, "metadata")
    assert [row.id for row in rows] == ["1"] and rejected[0].reason == "unreadable_audio"
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: _refuse() if str(path).endswith("wavs") else scan(path))
    assert [row.reason for row in read(corpus, "folder")[1]] == ["unreadable_folder"]
    monkeypatch.setattr(Path, "open", lambda *_, **__: _refuse())
    with pytest.raises(DataError, match=r"cannot read .*metadata\.csv: Permission denied"):
        read(corpus, "metadata")


def _refuse():
    raise PermissionError(13, "Permission denied")


def test_a_name_that_is_no_unicode(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    try:
        for name in (b"caf\xe9.wav", b"caf\xe9.txt"):
            (corpus / os.fsdecode(name)).write_text("Text")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    _, rejected = read(corpus, "folder")
    assert [(row.reason, row.id) for row in rejected] == [("bad_encoding", "caf=ED=B3=A9")]
    with ManifestWriter(tmp_path / "raw") as manifest:
        manifest.write(rejected[0])
    assert read_rejected(tmp_path / "raw" / "rejected.csv") == rejected


def test_no_half_manifest_is_left(tmp_path):
    row = Utterance("a", "a.wav", "A", "", "ann", "en")
    with ManifestWriter(tmp_path) as manifest:
        manifest.write(row)
    with pytest.raises(ZeroDivisionError), ManifestWriter(tmp_path) as manifest:
        manifest.write(Rejected("b", "b.wav", "bad", ""))
        raise ZeroDivisionError
    assert read_manifest(tmp_path / "manifest.csv") == [row] and read_rejected(tmp_path / "rejected.csv") == []
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"), ManifestWriter(tmp_path / "file"):
        pass


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(deadline=None, max_examples=25)
@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(raw=b'"')
@example(raw=b'","\n"')
@example(raw=b"\xef\xbb\xbf")
@example(raw=b"\0" * 40)
def test_any_bytes_give_rows_or_a_reason(tmp_path_factory, layout, raw):
    """As a whole file and behind a header; what comes out can be written, and read back."""
    for header in (b"", HEADERS.get(layout, "").encode()):
        folder = tmp_path_factory.mktemp("any")
        corpus = folder / "corpus"
        (corpus / "txt" / "p1").mkdir(parents=True)
        (corpus / "wav48" / "p1").mkdir(parents=True)
        for name in ("a", "p1/b", "wav48/p1/p1_1"):
            (corpus / name).parent.mkdir(exist_ok=True)
            (corpus / f"{name}.wav").touch()
            for path in (corpus / f"{name}.txt", corpus / f"{name}.normalized.txt", corpus / name.replace("wav48", "txt")):
                path.with_suffix(".txt").write_bytes(raw)
        (corpus / FILES.get(layout, "metadata.csv")).write_bytes(header + raw)
        try:
            with ManifestWriter(folder) as manifest:
                for row in read_source(SourceConfig(layout=layout, path="corpus"), folder):
                    manifest.write(row)
        except DataError as error:
            assert str(error)
        else:
            assert len(read_manifest(folder / "manifest.csv")) == manifest.clips
            assert len(read_rejected(folder / "rejected.csv")) == manifest.reasons.total()
