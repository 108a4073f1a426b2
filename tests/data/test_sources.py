"""Layouts: each reads what its users have; every row that cannot be used is returned with its reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myxtts.config import DataError
from myxtts.config.data import LAYOUTS as CONFIGURED
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import Rejected, Utterance, write_metadata
from myxtts.data.sources import LAYOUTS, is_safe_id, lines, safe_id
from myxtts.data.sources import read_source as stream_source


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A corpus with six audio files (never opened here)."""
    (tmp_path / "corpus" / "wavs" / "sub").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "c.flac", "d.ogg", "sub/e.wav"):
        (tmp_path / "corpus" / "wavs" / name).touch()
    (tmp_path / "secret.wav").touch()
    return tmp_path / "corpus"


def read(corpus: Path, layout: str, text: str | bytes | None = None, file: str = "metadata.csv", **source):
    if text is not None:
        (corpus / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(SourceConfig(layout=layout, path=corpus.name, **source), corpus.parent)


def read_source(source: SourceConfig, root: Path) -> tuple[list[Utterance], list[Rejected]]:
    rows = list(stream_source(source, root))
    return [row for row in rows if isinstance(row, Utterance)], [row for row in rows if isinstance(row, Rejected)]


def test_every_configured_layout_has_a_reader():
    assert {*LAYOUTS, "sample", "mix"} == set(CONFIGURED)


def test_ljspeech(corpus):
    rows, rejected = read(corpus, "ljspeech", "a|It cost $5.|It cost five dollars.\nb|Two|two\n", language="fr", speaker="lj")
    assert not rejected
    assert [(r.id, r.audio, r.text, r.normalized, r.speaker, r.language, r.split) for r in rows] == [
        ("a", "corpus/wavs/a.wav", "It cost $5.", "It cost five dollars.", "lj", "fr", ""),
        ("b", "corpus/wavs/b.wav", "Two", "two", "lj", "fr", ""),
    ]


def test_metadata_with_splits_speakers_and_suffixes(corpus):
    (corpus / "metadata_eval.csv").write_text("c|Three|three|ann|en-us\n")
    rows, rejected = read(corpus, "metadata", "a|One|one|bob|en\nd|Four|four|ann|zh\n", file="metadata_train.csv")
    assert not rejected
    assert [(r.id, r.audio[12:], r.speaker, r.language, r.split) for r in rows] == [
        ("a", "a.wav", "bob", "en", "train"),
        ("d", "d.ogg", "ann", "zh-cn", "train"),
        ("c", "c.flac", "ann", "en", "eval"),
    ]


def test_a_processed_corpus_is_read_without_its_escapes(corpus):
    texts = ("Either | or", "C:\\new \\p", "Two\nlines\rand")
    made = [Utterance(name, "", text, text.lower(), "ann", "en", 1.0, corpus="c") for name, text in zip("abc", texts, strict=True)]
    write_metadata(corpus / "metadata_train.csv", made)
    rows, rejected = read(corpus, "metadata")
    assert not rejected
    assert [(row.text, row.normalized) for row in rows] == [(text, text.lower()) for text in texts]
    rows, _ = read(corpus, "metadata", "a|C:\\new \\p|c|ann|en\n", file="metadata_train.csv")  # of others, a backslash is one
    assert rows[0].text == "C:\\new \\p"


def test_coqui_with_header_variants(corpus):
    rows, _ = read(corpus, "coqui", "audio_file|text|speaker_name\nwavs/a.wav|One|ann\nwavs/sub/e.wav|Five|\n", speaker="someone")
    assert [(r.id, r.audio, r.speaker, r.language) for r in rows] == [
        ("a", "corpus/wavs/a.wav", "ann", "en"),
        ("sub=2Fe", "corpus/wavs/sub/e.wav", "someone", "en"),
    ]
    rows, _ = read(corpus, "coqui", "language|speaker|seconds|text|audio_file\nfa|sara|1.0|سلام|wavs/a.wav\n")
    assert (rows[0].text, rows[0].speaker, rows[0].language) == ("سلام", "sara", "fa")


def test_header_in_a_headerless_layout_names_the_columns(corpus):
    rows, rejected = read(corpus, "metadata", "id|speaker|text\na|ann|One\nb|bob|Two\n")
    assert not rejected and [(r.id, r.speaker, r.text) for r in rows] == [("a", "ann", "One"), ("b", "bob", "Two")]


def test_windows_habits(corpus):
    rows, rejected = read(corpus, "coqui", "\ufeffaudio_file|text|speaker\r\nwavs\\a.wav|One|ann\r\n\r\n./wavs/b.wav|Two|ann\r\n")
    assert not rejected and [r.id for r in rows] == ["a", "b"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.wav", "wavs/../../secret.wav", "..", "C:\\a.wav", "\\\\host\\a.wav", "..\\secret.wav"]
)
@pytest.mark.parametrize("layout", ["coqui", "metadata"])
def test_paths_that_leave_the_corpus(corpus, path, layout):
    text = f"audio_file|text\n{path}|One\nwavs/a.wav|Two\n" if layout == "coqui" else f"{path}|One\na|Two\n"
    for follow_links in (False, True):
        rows, rejected = read(corpus, layout, text, follow_links=follow_links)
        assert [r.id for r in rows] == ["a"]
        assert [(r.reason, r.audio) for r in rejected] == [("path_outside_corpus", path)]


def test_dots_that_stay_inside_are_fine(corpus):
    rows, rejected = read(corpus, "coqui", "audio_file|text\nwavs/sub/../a.wav|One\n")
    assert not rejected and rows[0].audio == "corpus/wavs/a.wav"


def test_each_bad_row_has_its_reason(corpus):
    text = f"a|One|one\nb|Two\nzzz|Three|three\na|Again|again\nc||\n|Four|four\nd|Fi|ve|six\n{'x' * 400}|Long|long\nnul\0|Nul|nul\n"
    rows, rejected = read(corpus, "metadata", text)
    assert [r.id for r in rows] == ["a"] and rows[0].text == "One"
    assert [r.reason for r in rejected] == [
        "wrong_column_count",
        "missing_audio",
        "duplicate_id",
        "empty_text",
        "empty_id",
        "wrong_column_count",
        "missing_audio",
        "missing_audio",
    ]
    assert "line 2: expected 3 columns (id|text|normalized), got 2" in rejected[0].detail
    assert "already stands in metadata.csv, line 1" in rejected[2].detail


def test_duplicates_between_train_and_eval_stay_in_train(corpus):
    (corpus / "metadata_eval.csv").write_text("a|One\n")
    rows, rejected = read(corpus, "metadata", "a|One\n", file="metadata_train.csv")
    assert [(r.id, r.split) for r in rows] == [("a", "train")] and rejected[0].reason == "duplicate_id"


def test_unknown_language_of_a_row(corpus):
    _, rejected = read(corpus, "metadata", "a|One|one|ann|tlh\n")
    assert rejected[0].reason == "unknown_language" and "tlh" in rejected[0].detail
    with pytest.raises(DataError, match="unknown language 'tlh'"):
        read(corpus, "metadata", language="tlh")


def test_not_utf8_names_file_offset_and_remedy(corpus):
    with pytest.raises(DataError, match=r"metadata\.csv is not UTF-8: byte 0xe9 at offset 11 \(line 2\).*iconv"):
        read(corpus, "metadata", b"a|One\nb|caf\xe9\n")
    with pytest.raises(DataError, match="byte 0xe9 at offset 5"):
        read(corpus, "metadata", b"\xef\xbb\xbfa|\xe9\n")
    with pytest.raises(DataError, match="iconv -f UTF-16"):
        read(corpus, "metadata", "a|One\n".encode("utf-16"))


def test_missing_corpus_metadata_or_header(corpus, tmp_path):
    with pytest.raises(DataError, match=r"holds no metadata: expected metadata_train\.csv"):
        read(corpus, "coqui")
    with pytest.raises(DataError, match=r"no .*metadata\.csv"):
        read(corpus, "ljspeech")
    with pytest.raises(DataError, match=r"expected a header with audio_file\|text"):
        read(corpus, "coqui", "wavs/a.wav|One|ann\n")
    with pytest.raises(DataError, match="empty file"):
        read(corpus, "coqui", "")
    with pytest.raises(DataError, match=r"set data\.source\.path"):
        read_source(SourceConfig(layout="coqui", path="nowhere"), tmp_path)
    assert read(corpus, "metadata", "\n \n") == ([], [])


def test_corpus_outside_the_project(corpus, tmp_path):
    (tmp_path / "project").mkdir()
    (corpus / "metadata.csv").write_text("a|One\n")
    rows, _ = read_source(SourceConfig(layout="metadata", path="../corpus"), tmp_path / "project")
    assert rows[0].audio == "../corpus/wavs/a.wav"
    rows, _ = read_source(SourceConfig(layout="metadata", path=str(corpus)), tmp_path / "project")
    assert rows[0].audio == "../corpus/wavs/a.wav"


@pytest.mark.parametrize(("limit", "expected"), [(12, (6, 4, 2)), (7, (3, 2, 2)), (3, (1, 1, 1)), (99, (20, 4, 2))])
def test_max_clips_are_spread(tmp_path, limit, expected):
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    lines = [(f"{speaker}{i:02}", speaker, "en") for speaker, count in (("x", 20), ("y", 4), ("z", 2)) for i in range(count)]
    for name, *_ in lines:
        (tmp_path / "corpus" / "wavs" / f"{name}.wav").touch()
    text = "".join(f"{name}|T|t|{speaker}|{language}\n" for name, speaker, language in lines)
    rows, _ = read(tmp_path / "corpus", "metadata", text, max_clips=limit)
    assert tuple(sum(r.speaker == s for r in rows) for s in "xyz") == expected
    assert [r.id for r in rows] == sorted(r.id for r in rows)
    positions = [int(r.id[1:]) for r in rows if r.speaker == "x"]
    assert max(positions) - min(positions) >= 20 - 20 // len(positions) - 1
    assert rows == read(tmp_path / "corpus", "metadata", text, max_clips=limit)[0]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_ids_are_safe_and_stay_different(one, two):
    import unicodedata

    for name in (safe_id(one), safe_id(two)):
        assert "/" not in name and "\\" not in name and "|" not in name and "\0" not in name and not name.startswith((".", "-"))
        assert len(name.encode()) <= 180 and name.isprintable() and is_safe_id(name) == bool(name)
    assert (safe_id(one) == safe_id(two)) == (unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", two))


def test_ids_of_the_usual_kind_stay_readable():
    assert safe_id("LJ001-0001") == "LJ001-0001" and safe_id("سلام_۱") == "سلام_۱"
    assert safe_id("p225/001") == "p225=2F001" and safe_id("..") == "=2E."
    assert safe_id("x" * 500) != safe_id("x" * 501)
    assert not any(map(is_safe_id, ["", "..", "a/b", ".hidden", "-f", "a b", "x" * 181, "a\n"]))


@pytest.mark.parametrize(("name", "count", "speakers"), [("real_speech", 2497, 5), ("voices", 1489, 8)])
def test_shared_corpora(name, count, speakers):
    root = Path(__file__).resolve().parents[2]
    if not (root.parent / "shared" / "data" / name).is_dir():
        pytest.skip(f"needs the shared corpus data/{name} beside the repository")
    rows, rejected = read_source(SourceConfig(layout="coqui", path=f"../shared/data/{name}"), root)
    assert len(rows) == count and not rejected and len({r.speaker for r in rows}) == speakers
    assert (root / rows[0].audio).is_file()


def test_lines_are_numbered_as_an_editor_does(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 5)
    (tmp_path / "it").write_bytes(b"12345\n123456789\n\n1234\n12345")
    assert [(line.number, line.text, line.reason) for line in lines.read_lines(tmp_path / "it")] == [
        (1, "12345", ""),
        (2, "123456", "line_too_long"),
        (4, "1234", ""),
        (5, "12345", ""),
    ]
