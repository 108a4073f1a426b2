"""The raw stage: manifest and report for any corpus, the sample spoken on demand, the corpus never at risk."""

from pathlib import Path

import pytest

from myxtts.config import DataError, XTTSConfig
from myxtts.data.manifest import read_manifest, read_rejected
from myxtts.data.raw import make_raw

PROJECT = Path(__file__).resolve().parents[2]


def config(**source) -> XTTSConfig:
    return XTTSConfig.from_dict({"data": {"source": source}})


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "corpus" / "wavs").mkdir(parents=True)
    (tmp_path / "corpus" / "wavs" / "a.wav").touch()
    (tmp_path / "corpus" / "metadata.csv").write_text("a|One\nb|Two\nc\nd|\n")
    return tmp_path


def test_manifest_and_report(project):
    before = sorted(project.rglob("*"))
    counts = make_raw(config(layout="metadata", path="corpus"), project, project / "data" / "raw")
    assert counts == {"clips": 1, "rejected": 3, "rejected_by_reason": {"empty_text": 1, "missing_audio": 1, "wrong_column_count": 1}}
    rows = read_manifest(project / "data" / "raw" / "manifest.csv")
    assert [(row.id, row.audio) for row in rows] == [("a", "corpus/wavs/a.wav")]
    assert [row.id for row in read_rejected(project / "data" / "raw" / "rejected.csv")] == ["b", "c", "d"]
    assert [path for path in sorted(project.rglob("*")) if "data" not in path.parts[-3:]] == before


def test_what_a_limit_leaves_out_is_counted(project):
    for name in ("one", "two"):
        (project / "mix" / name / "wavs").mkdir(parents=True)
        for number in range(10):
            (project / "mix" / name / "wavs" / f"{number}.wav").touch()
        (project / "mix" / name / "metadata.csv").write_text("".join(f"{number}|Text\n" for number in range(11)))

    def counts(**source) -> tuple[int, int, int | None]:
        made = make_raw(config(**source), project, project / "raw")
        return made["clips"], made["rejected"], made.get("left_out_by_max_clips")

    assert counts(layout="metadata", path="mix/one") == (10, 1, None)
    assert counts(layout="metadata", path="mix/one", max_clips=4) == (4, 1, 6)
    assert counts(layout="metadata", path="mix/one", max_clips=40) == (10, 1, 0)
    corpora = {"a": {"layout": "metadata", "path": "one", "max_clips": 4}, "b": {"layout": "metadata", "path": "two"}}
    assert counts(layout="mix", path="mix", corpora=corpora) == (14, 2, 6)
    assert counts(layout="mix", path="mix", corpora=corpora, max_clips=5) == (5, 2, 15)


def test_zero_usable_rows_counts_the_reasons(project):
    (project / "corpus" / "wavs" / "a.wav").unlink()
    with pytest.raises(DataError, match=r"1 empty_text, 2 missing_audio, 1 wrong_column_count; .*rejected\.csv"):
        make_raw(config(layout="metadata", path="corpus"), project, project / "raw")
    assert len(read_rejected(project / "raw" / "rejected.csv")) == 4
    (project / "corpus" / "metadata.csv").write_text("")
    with pytest.raises(DataError, match="it has no rows"):
        make_raw(config(layout="metadata", path="corpus"), project, project / "raw")


@pytest.mark.parametrize("out", ["corpus", "."])
def test_a_corpus_in_the_output_folder_is_refused(project, out):
    with pytest.raises(DataError, match="move the corpus elsewhere"):
        make_raw(config(layout="metadata", path="corpus"), project, project / out)


def test_the_sample_is_spoken_into_the_folder(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra `sample`")
    sample = {"sentences": 8, "held_out": 2, "voices": ["fa"]}
    tree = {"data": {"source": {"path": str(PROJECT / "data" / "sample")}, "sample": sample}}
    counts = make_raw(XTTSConfig.from_dict(tree), tmp_path, tmp_path / "data" / "raw")
    assert counts["clips"] == 8 and not counts["rejected"]
    rows = read_manifest(tmp_path / "data" / "raw" / "manifest.csv")
    assert [row.split for row in rows] == ["train"] * 6 + ["eval"] * 2
    assert rows[0].audio == "data/raw/wavs/fa_0001.wav" and (tmp_path / rows[0].audio).is_file()
    assert {(row.speaker, row.language) for row in rows} == {("fa", "fa")}
    tree["data"]["source"]["max_clips"] = 3
    assert make_raw(XTTSConfig.from_dict(tree), tmp_path, tmp_path / "data" / "raw")["clips"] == 3
