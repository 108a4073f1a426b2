"""Every layout, from a corpus in exactly its form to prepared clips; mixes, segments, and the rows that are damaged."""

import json
from collections import Counter
from pathlib import Path

import layouts
import pytest
import soundfile

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import Rejected, Utterance, read_manifest, read_metadata
from myxtts.data.prepare import prepare
from myxtts.data.raw import make_raw
from myxtts.data.sources import LAYOUTS, read_source

# what the cleaning rules think of six clips is not asked here
ANY = {
    **dict.fromkeys(("max_clipped_share", "min_snr_db", "min_bandwidth_hz", "max_rate_deviation", "max_same_audio", "max_same_text")),
    "trim": "energy",
    "min_clips_per_speaker": 1,
}
# of each layout: clips for evaluation that the corpus itself names, and whether it says who speaks
EVALUATED = {"metadata": 1, "libritts": 1, "common_voice": 2, "jsonl": 1}
WITHOUT_SPEAKERS = ("ljspeech",)


@pytest.fixture(scope="module")
def clips() -> list[layouts.Clip]:
    return layouts.clips()


def config(**source) -> XTTSConfig:
    return XTTSConfig.from_dict({"data": {"source": source}, "prepare": ANY, "hardware": {"num_workers": 1}})


def read(corpus: Path, layout: str, **source) -> tuple[list[Utterance], list[Rejected]]:
    rows = list(read_source(SourceConfig(layout=layout, path=corpus.name, **source), corpus.parent))
    return [row for row in rows if isinstance(row, Utterance)], [row for row in rows if isinstance(row, Rejected)]


def touch(corpus: Path, *names: str) -> Path:
    for name in names:
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).touch()
    return corpus


def test_every_layout_has_a_corpus_here():
    assert set(layouts.WRITERS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_a_corpus_in_its_layout_is_prepared(tmp_path, clips, layout):
    layouts.WRITERS[layout](tmp_path / "corpus", clips)
    what = config(layout=layout, path="corpus", licence="CC0", **layouts.SETTINGS.get(layout, {}))
    counts = make_raw(what, tmp_path, tmp_path / "raw")
    assert counts == {"clips": 6, "rejected": 0, "rejected_by_reason": {}}
    rows = read_manifest(tmp_path / "raw" / "manifest.csv")
    assert sorted(row.text for row in rows) == sorted(clip.text for clip in clips)
    assert len({row.speaker for row in rows}) == (1 if layout in WITHOUT_SPEAKERS else 2)
    assert Counter(row.split for row in rows)["eval"] == EVALUATED.get(layout, 0)
    assert {(row.language, row.corpus) for row in rows} == {("en", "corpus")}
    spoken = {row.text: soundfile.info(tmp_path / row.audio).duration for row in rows}
    assert all(abs(spoken[clip.text] - len(clip.wave) / clip.rate) < 0.1 for clip in clips)  # each text beside its own recording
    about = json.loads((tmp_path / "raw" / "corpora.json").read_text())
    assert about["corpus"] == {"layout": layout, "path": "corpus", "licence": "CC0", "consent": "", "weight": 1.0}
    prepare(what, tmp_path, tmp_path / "raw", tmp_path / "processed")
    prepared = [row for split in ("train", "eval") for row in read_metadata(tmp_path / "processed" / f"metadata_{split}.csv")]
    assert sorted(row.id for row in prepared) == sorted(row.id for row in rows)
    assert all((tmp_path / "processed" / row.audio).is_file() for row in prepared)


def test_several_corpora_with_weights(tmp_path, clips):
    layouts.ljspeech(tmp_path / "all" / "one", clips[:3])
    layouts.folder(tmp_path / "all" / "two" / "deeper", clips)
    corpora = {
        "lj": {"layout": "ljspeech", "path": "one", "speaker": clips[3].speaker, "weight": 2.5, "consent": "asked"},
        "ours": {"layout": "folder", "path": "two/deeper", "language": "fa", "max_clips": 4, "licence": "own"},
    }
    few = [row for row in read_source(SourceConfig(layout="mix", path="all", corpora=corpora, max_clips=3), tmp_path)]
    assert Counter(row.corpus for row in few) == {"lj": 1, "ours": 2}  # of three speakers, as many of each
    what = config(layout="mix", path="all", corpora=corpora)
    assert make_raw(what, tmp_path, tmp_path / "raw")["clips"] == 7
    rows = read_manifest(tmp_path / "raw" / "manifest.csv")
    assert Counter((row.corpus, row.language) for row in rows) == {("lj", "en"): 3, ("ours", "fa"): 4}
    # one name in two corpora is two people
    assert {row.speaker for row in rows} == {f"lj/{clips[3].speaker}", f"ours/{clips[0].speaker}", f"ours/{clips[3].speaker}"}
    assert rows[0].id == f"lj=2F{clips[0].id}" and len({row.id for row in rows}) == 7
    about = json.loads((tmp_path / "raw" / "corpora.json").read_text())
    assert [(name, value["weight"], value["licence"], value["consent"]) for name, value in about.items()] == [
        ("lj", 2.5, "", "asked"),
        ("ours", 1.0, "own", ""),
    ]


def test_a_corpus_of_a_mix_that_gives_no_clip_is_named(tmp_path, clips):
    layouts.ljspeech(tmp_path / "all" / "one", clips)
    layouts.ljspeech(tmp_path / "all" / "two", clips)
    corpora = {"lj": {"layout": "ljspeech", "path": "one"}, "ours": {"layout": "folder", "path": "two", "language": "fa"}}
    what = config(layout="mix", path="all", corpora=corpora)
    make_raw(what, tmp_path, tmp_path / "raw")
    notes = prepare(what, tmp_path, tmp_path / "raw", tmp_path / "processed")["text_notes"]
    assert notes[0].startswith("corpus ours gives no clip: are its layout (folder) and language (fa) right?") and len(notes) == 1


@pytest.mark.parametrize("path", ["../one", "/etc", "two/../../one"])
def test_a_mix_stays_in_its_folder(tmp_path, path):
    touch(tmp_path, "one/x.wav", "all/two/x.wav")
    corpora = {"it": {"layout": "folder", "path": path, "follow_links": path.startswith("two")}}
    with pytest.raises(DataError, match=r"expected a path inside data\.source\.path"):
        read(tmp_path / "all", "mix", corpora=corpora)
    (tmp_path / "all" / "link").symlink_to(tmp_path / "one")
    with pytest.raises(DataError, match="follow_links"):
        read(tmp_path / "all", "mix", corpora={"it": {"layout": "folder", "path": "link"}})


def test_segments_of_a_recording(tmp_path):
    corpus = touch(tmp_path / "corpus", "talk.wav")
    lines = [
        '{"audio": "talk.wav", "text": "One", "start": 1.5, "end": 2.75}',
        '{"audio_filepath": "talk.wav", "text": "Two", "offset": 2, "duration": 3}',  # they may overlap
        '{"audio": "talk.wav", "text": "Rest", "start": "7"}',
        '{"audio": "talk.wav", "text": "Whole", "duration": 9}',
        '{"audio": "talk.wav", "text": "Back", "start": 3, "end": 2}',
        '{"audio": "talk.wav", "text": "Before", "start": -1, "end": 2}',
        '{"audio": "talk.wav", "text": "Never", "start": 1, "end": NaN}',
        '{"audio": "talk.wav", "text": "Soon", "start": "soon", "end": 2}',
        '{"audio": "talk.wav", "text": "Again", "start": 1.5, "end": 2.75}',
    ]
    (corpus / "metadata.jsonl").write_text("\n".join(lines))
    rows, rejected = read(corpus, "jsonl")
    assert [(row.id, row.start, row.end) for row in rows] == [
        ("talk=t1500-2750", 1.5, 2.75),
        ("talk=t2000-5000", 2.0, 5.0),
        ("talk=t7000-", 7.0, None),
        ("talk", None, None),
    ]
    assert [row.reason for row in rejected] == ["bad_segment"] * 4 + ["duplicate_id"]
    assert "line 5: expected 0 <= start < end, got start 3, end 2" in rejected[0].detail
    (corpus / "metadata.jsonl").unlink()
    (corpus / "metadata.csv").write_text("audio;begin;end;text\ntalk.wav;0.5;1;One, two\n")
    assert [(row.text, row.start, row.end) for row in read(corpus, "csv")[0]] == [("One, two", 0.5, 1.0)]


def test_labels_of_audacity(tmp_path):
    corpus = touch(tmp_path / "corpus", "ann/talk.wav", "ann/word.wav")
    labels = "0.500000\t1.250000\tOne\n\\\t100.0\t200.0\n2,5\t3,5\tTwo\n4.0\t4.0\tA point\n5.0\t6.0\t\nfive\n"
    (corpus / "ann" / "talk.txt").write_text(labels)
    (corpus / "ann" / "word.lab").write_text("\ufeffsaid\nin lines\n")
    rows, rejected = read(corpus, "folder")
    assert [(row.id, row.speaker, row.text, row.start, row.end) for row in rows] == [
        ("ann=2Ftalk=t500-1250", "ann", "One", 0.5, 1.25),
        ("ann=2Ftalk=t2500-3500", "ann", "Two", 2.5, 3.5),
        ("ann=2Fword", "ann", "said in lines", None, None),
    ]
    assert [(row.reason, row.detail[:22]) for row in rejected] == [
        ("bad_segment", "ann/talk.txt, line 4: "),
        ("empty_text", "ann/talk.txt, line 5: "),
        ("bad_segment", "ann/talk.txt, line 6: "),
    ]


def test_forms_of_published_corpora(tmp_path):
    """VCTK without its first microphone, one subset of LibriTTS, Common Voice without splits, Piper with one speaker."""
    corpus = touch(tmp_path / "vctk", "wav48_silence_trimmed/p280/p280_001_mic2.flac", "wav48_silence_trimmed/p225/p225_001_mic1.flac")
    touch(corpus, "wav48_silence_trimmed/p225/p225_001_mic2.flac")
    for name in ("p280/p280_001", "p225/p225_001"):
        layouts.text(corpus / "txt" / f"{name}.txt", "Please call Stella.\n")
    assert [(row.id, row.audio[-15:]) for row in read(corpus, "vctk")[0]] == [
        ("p225_001", "225_001_mic1.flac"[-15:]),
        ("p280_001", "80_001_mic2.flac"[-15:]),
    ]
    corpus = touch(tmp_path / "test-other", "1089/134686/1089_134686_000001_000000.wav", "1089/134686/1089_134686_000002_000000.wav")
    layouts.text(corpus / "1089/134686/1089_134686_000001_000000.original.txt", "Dr. Who")
    rows, rejected = read(corpus, "libritts")
    assert [(row.id, row.speaker, row.split, row.text, row.normalized) for row in rows] == [
        ("1089_134686_000001_000000", "1089", "eval", "Dr. Who", "")
    ]
    assert [row.reason for row in rejected] == ["missing_text"]
    corpus = touch(tmp_path / "cv", "clips/a.mp3", "clips/b.mp3", "clips/c.mp3")
    lines = ["client_id\tpath\tsentence\tlocale", "9f\ta\tسلام\tfa", "9f\tb.mp3\tHello\ten", "9f\tc.mp3\tx\ttlh"]
    layouts.text(corpus / "validated.tsv", "\n".join(lines))
    rows, rejected = read(corpus, "common_voice")
    assert [(row.id, row.audio, row.language, row.split) for row in rows] == [
        ("a", "cv/clips/a.mp3", "fa", ""),
        ("b", "cv/clips/b.mp3", "en", ""),
    ]
    assert [row.reason for row in rejected] == ["unknown_language"]
    layouts.text(corpus / "train.tsv", "\n".join([lines[0], lines[2], lines[3]]))
    layouts.text(corpus / "test.tsv", lines[0] + "\n")
    rows, rejected = read(corpus, "common_voice")  # what validated.tsv holds besides is trained on, and nothing comes twice
    assert [(row.id, row.split) for row in rows] == [("b", "train"), ("a", "train")]
    assert [row.reason for row in rejected] == ["unknown_language"]
    corpus = touch(tmp_path / "piper", "wav/a.wav", "wav/b.wav")
    layouts.text(corpus / "metadata.csv", "a|One\nb.wav|Two\n")
    assert [(row.id, row.text, row.speaker) for row in read(corpus, "piper", speaker="me")[0]] == [("a", "One", "me"), ("b", "Two", "me")]


def test_a_configured_name_is_never_replaced_by_a_usual_one(tmp_path):
    corpus = touch(tmp_path / "corpus", "a.wav", "b.wav", "c.wav")
    objects = [
        {"audio": "a.wav", "text": "[raw]", "text_clean": "One"},
        {"audio": "b.wav", "text": "[raw]", "sentence": "Two"},
        {"wav": "c.wav", "text_clean": "Three"},
    ]
    (corpus / "metadata.jsonl").write_text("\n".join(map(json.dumps, objects)))
    rows, rejected = read(corpus, "jsonl", columns={"text": "text_clean", "audio": "audio"})
    assert [(row.id, row.text) for row in rows] == [("a", "One")]
    assert [row.reason for row in rejected] == ["empty_text", "missing_audio"]
    assert "line 2: no 'text_clean', which data.source.columns names: there are audio, text, sentence" in rejected[0].detail
    assert "no 'audio'" in rejected[1].detail
    with pytest.raises(DataError, match=r"no object has 'text_claen'.* there are audio, text, text_clean, sentence, wav"):
        read(corpus, "jsonl", columns={"text": "text_claen"})


def test_suffixes_of_published_corpora_in_capitals(tmp_path):
    libritts = touch(tmp_path / "libri", *(f"train-clean-100/1/2/1_2_{name}" for name in ("3.WAV", "3.normalized.TXT", "4.WAV")))
    (libritts / "train-clean-100/1/2/1_2_3.normalized.TXT").write_text("Three")
    rows, rejected = read(libritts, "libritts")
    assert [(row.id, row.audio[-9:], row.text) for row in rows] == [("1_2_3", "1_2_3.WAV", "Three")]
    assert [(row.id, row.reason) for row in rejected] == [("1_2_4", "missing_text")]
    vctk = touch(tmp_path / "vctk", "wav48/p1/p1_001.WAV", "txt/p1/p1_001.TXT", "wav48/p1/p1_002.WAV", "txt/p1/p1_003.TXT")
    (vctk / "txt/p1/p1_001.TXT").write_text("One")
    rows, rejected = read(vctk, "vctk")
    assert [(row.id, row.text) for row in rows] == [("p1_001", "One")]
    assert [(row.id, row.reason) for row in rejected] == [("p1_002", "missing_text"), ("p1_003", "missing_audio")]


def test_folders_that_are_splits_are_no_speakers(tmp_path):
    names = ("Train/alice/a", "Train/bob/b", "test/carol/c", "dev/d")
    corpus = touch(tmp_path / "corpus", *(f"{name}.wav" for name in names))
    for name in names:
        layouts.text(corpus / f"{name}.txt", "Words.")
    rows, _ = read(corpus, "folder", speaker="me")
    assert sorted((row.speaker, row.split) for row in rows) == [("alice", "train"), ("bob", "train"), ("carol", "eval"), ("me", "eval")]
    (corpus / "Train").rename(corpus / "Tariq")  # Dev may be a person too
    assert {row.speaker for row in read(corpus, "folder")[0]} == {"Tariq", "test", "dev"}


@pytest.mark.parametrize(
    ("written", "lies", "found"),
    [
        ("a", "wavs/a.WAV", True),
        ("a.wav", "wavs/a.WAV", True),
        ("a.WAV", "wavs/a.wav", False),
        ("آب", "wavs/آب.wav", True),
        ("café.mp3", "wavs/cafe\u0301.MP3", True),
        ("b", "wavs/a.WAV", False),
    ],
)
def test_other_spellings_of_a_file(tmp_path, written, lies, found):
    corpus = touch(tmp_path / "corpus", lies)
    layouts.text(corpus / "metadata.csv", f"{written}|One|one\n")
    rows, rejected = read(corpus, "ljspeech")
    assert [row.audio for row in rows] == [f"corpus/{lies}"] * found and [row.reason for row in rejected] == ["missing_audio"] * (not found)


def test_which_tables_are_read(tmp_path, capsys):
    """Never some of them in silence, nor one for what it is not."""
    corpus = touch(tmp_path / "corpus", "a.wav", "b.wav", "c.wav")
    layouts.text(corpus / "cv-valid-train.csv", "filename,text\na.wav,One\n")
    layouts.text(corpus / "cv-valid-test.csv", "filename,text\nb.wav,Two\n")
    assert [(row.id, row.split) for row in read(corpus, "csv")[0]] == [("a", "train"), ("b", "eval")]
    assert capsys.readouterr().out == ""
    layouts.text(corpus / "speakers.csv", "name,age\nann,30\n")
    read(corpus, "csv")
    assert capsys.readouterr().out == "note: not read, for others name the splits: speakers.csv\n"
    layouts.text(corpus / "metadata.csv", "filename,text\nc.wav,Three\n")
    with pytest.raises(DataError, match=r"holds metadata.csv and cv-valid-test.csv, cv-valid-train.csv: which .* Name it train"):
        read(corpus, "csv")


def test_what_has_another_form_is_refused_with_the_remedy(tmp_path):
    corpus = touch(tmp_path / "corpus", "a.wav")
    for text in ('[{"audio": "a.wav", "text": "One"}]', '\ufeff[\n {"audio": "a.wav", "text": "One"}\n]'):
        layouts.text(corpus / "metadata.json", text)
        with pytest.raises(DataError, match=r"is one JSON array; expected one object a line: jq"):
            read(corpus, "jsonl")
    layouts.text(corpus / "metadata.csv", "file|text|normalized\na|One|one\n")
    assert [row.id for row in read(corpus, "ljspeech")[0]] == ["a"]
    layouts.text(corpus / "metadata.csv", "file|One|one\na|One|one\n")  # no header: a clip of that name
    assert [row.reason for row in read(corpus, "ljspeech")[1]] == ["missing_audio"]
