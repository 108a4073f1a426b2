"""Coverage of texts by a tokenizer, and the report of the stage that makes one."""

from types import SimpleNamespace

import pytest

from myxtts.config import DataError, XTTSConfig
from myxtts.data.coverage import coverage
from myxtts.data.manifest import Utterance, write_metadata
from myxtts.pipeline import data_stages
from myxtts.pipeline.paths import Paths
from myxtts.text.tokenizer import Tokenizer


def rows(*texts: str, language: str = "en", seconds: float = 2.0) -> list[Utterance]:
    return [Utterance(f"{language}{i}", "", text, text, "s", language, seconds) for i, text in enumerate(texts)]


def test_figures_of_each_language():
    tokenizer = Tokenizer.train([("abc", "en"), ("ab c", "en"), ("de", "cs")], 100)  # ab and abc become tokens at the most
    found = coverage(tokenizer, iter([*rows("a c", "axx"), *rows("de", language="cs", seconds=0.5), *rows("ab", language="fa")]))
    english = found["en"]
    assert english["clips"] == 2 and english["clips_with_unknown"] == 1
    assert english["unknown_rate"] == pytest.approx(2 / 6)  # a [SPACE] c, a [UNK] [UNK]
    assert english["tokens_per_second"] == 6 / 4 and english["tokens_per_text"] == 3 and english["characters_per_token"] == 1
    assert english["vocabulary_share"] == pytest.approx(3 / tokenizer.size, abs=1e-4)  # a, [SPACE], c
    assert found["cs"]["tokens_per_second"] == len(tokenizer.encode("de", "cs")[1:]) / 0.5 and found["cs"]["unknown_rate"] == 0
    assert found["fa"]["unknown_rate"] == 1  # a language that the tokenizer lacks
    assert found[""]["clips"] == 4 and found[""]["clips_with_unknown"] == 2
    assert coverage(tokenizer, rows("a", seconds=None))["en"]["tokens_per_second"] is None


@pytest.fixture
def project(tmp_path):
    paths = Paths(tmp_path)
    paths.processed.mkdir(parents=True)
    write_metadata(paths.processed / "metadata_train.csv", [*rows("the cat", "the dog"), *rows("der hund", language="de")])
    write_metadata(paths.processed / "metadata_eval.csv", rows("the čat"))
    return paths


def test_the_report_covers_training_and_every_evaluation_set(project, capsys):
    config = XTTSConfig.from_dict({"model": {"num_text_tokens": 80}})
    report = data_stages.run_tokenizer(config, project)
    assert report["languages"] == ["de", "en"] and report["size"] <= 80
    assert {name: values["unknown_rate"] for name, values in report["coverage"]["train"].items()} == {"de": 0, "en": 0}
    assert report["coverage"]["eval"]["en"]["unknown_rate"] > 0 and "eval_unseen_speaker" not in report["coverage"]
    said = capsys.readouterr().out
    assert "warning: 1 of 1 clips of eval in en have characters that no training clip has; encode leaves them out" in said
    assert said.count("warning") == 1
    write_metadata(project.processed / "metadata_eval_unseen_speaker.csv", rows("the hat"))
    assert data_stages.run_tokenizer(config, project)["coverage"]["eval_unseen_speaker"]["en"]["clips"] == 1


def test_an_evaluation_sets_language_that_training_lacks_blames_no_start_model(project, capsys):
    write_metadata(project.processed / "metadata_eval_unseen_speaker.csv", rows("سلام", language="fa"))
    data_stages.run_tokenizer(XTTSConfig.from_dict({"model": {"num_text_tokens": 80}}), project)
    said = capsys.readouterr().out
    assert "1 of 1 clips of eval_unseen_speaker in fa have characters that no training clip has" in said and "start model" not in said


def test_balance_is_that_of_the_params(project):
    words = [f"{a}{b}{c}" for a in "bdgkl" for b in "aeiou" for c in "mnprs"]
    large = [" ".join(words[i : i + 5]) for i in range(0, 120, 5)] * 20
    write_metadata(project.processed / "metadata_train.csv", [*rows(*large), *rows(*["příští školní"] * 3, language="cs")])
    tokens = {}
    for balance in (0.0, 1.0):
        config = XTTSConfig.from_dict({"model": {"num_text_tokens": 64}, "tokenizer": {"balance": balance}})
        tokens[balance] = data_stages.run_tokenizer(config, project)["coverage"]["train"]["cs"]["tokens_per_text"]
    assert tokens[0.0] < tokens[1.0]


def test_the_report_covers_a_start_models_vocabulary_and_its_extension(project, tmp_path, monkeypatch, capsys):
    Tokenizer.train([("the rat sat", "en")] * 3, 60).save(tmp_path / "start.json")
    start = SimpleNamespace(model="data/theirs", tokenizer=tmp_path / "start.json")
    monkeypatch.setattr(data_stages, "open_start", lambda *_: start)
    report = data_stages.run_tokenizer(XTTSConfig.from_dict({"model": {"num_text_tokens": 100}}), project)
    assert report["added_languages"] == ["de"] and report["coverage"]["train"]["de"]["unknown_rate"] == 0
    assert report["coverage"]["train"]["en"]["clips_with_unknown"] == 2  # the extension's letters are not English's
    assert "2 of 2 clips of train in en have characters that the start model's tokenizer does not know" in capsys.readouterr().out


def test_unknown_characters_in_what_was_learnt_from_are_a_fault(project, monkeypatch):
    poor = Tokenizer.train([("the", "en"), ("the", "de")], 60)
    monkeypatch.setattr(Tokenizer, "train", lambda *_: poor)
    with pytest.raises(DataError, match="does not know characters of de, en, which it was trained on"):
        data_stages.run_tokenizer(XTTSConfig.from_dict({"model": {"num_text_tokens": 80}}), project)
