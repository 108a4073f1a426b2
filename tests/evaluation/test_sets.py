"""Further sets of sentences, what another system has spoken, and the page about all of it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from myxtts.audio import wave as wave_io
from myxtts.config import DataError
from myxtts.config.stages import EVALUATION_SETS, EVALUATION_TEXTS, EvaluateConfig
from myxtts.data.manifest import Utterance, read_split, write_metadata
from myxtts.evaluation.choice import choose_sentences
from myxtts.evaluation.evaluate import evaluate, evaluate_folder
from myxtts.text.normalize import normalize, unknown_characters

RATE = 24000
SEED = 7


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    english = "short:\n- Good dog.\n- Yes.\nlong:\n- How are you? The fox jumps over the dog.\nnumbers: [At 9.]\n"
    persian = "short:\n- سلام.\nlong:\n- سلام، حال شما چطور است؟ کتاب خوب است.\nnumbers: []\n"
    (folder / "en.yaml").write_text(english, encoding="utf-8")
    (folder / "fa.yaml").write_text(persian, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def two_languages(processed, tmp_path_factory):
    """The prepared data, with a speaker who is heard in both languages."""
    folder = tmp_path_factory.mktemp("two_languages")
    (folder / "wavs").symlink_to(processed / "wavs")
    rows = [Utterance(**{**vars(row), "speaker": "ann" if row.language == "fa" else row.speaker}) for row in read_split(processed, "eval")]
    write_metadata(folder / "metadata_eval.csv", rows)
    shutil.copy(processed / "metadata_train.csv", folder)
    return folder


def settings(**values) -> EvaluateConfig:
    return EvaluateConfig(num_sentences=2, num_logged=1, num_opinions=0, whisper="never", **values)


def test_texts_are_dealt_over_languages_to_voices_that_speak_them(two_languages, texts):
    chosen = choose_sentences(two_languages, settings(sets=("short", "long", "numbers"), sentences_per_set=3), SEED, texts)
    added = [item for item in chosen if not item.utterance.audio]
    assert {item.utterance.id for item in added if item.speech == "speech_short"} == {"short_en_01", "short_en_02", "short_fa_01"}
    assert {item.utterance.language for item in added if item.speech == "speech_long"} == {"en", "fa"}
    (number,) = [item for item in added if item.speech == "speech_numbers"]
    assert number.utterance.text == "At 9." and number.utterance.normalized == "at nine."
    for item in added:
        assert item.reference.speaker == item.utterance.speaker and item.reference.language == item.utterance.language
    assert choose_sentences(two_languages, settings(), SEED, texts) == chosen[:2], "the held-out sentences stay what they were"


def test_cross_lingual_takes_the_voice_from_another_language(two_languages, processed):
    wanted = settings(sets=("cross_lingual",), sentences_per_set=4)
    chosen = [item for item in choose_sentences(two_languages, wanted, SEED) if item.speech == "speech_cross_lingual"]
    assert chosen and all(item.utterance.speaker == item.reference.speaker == "ann" for item in chosen)
    assert all(item.utterance.language != item.reference.language and item.utterance.audio for item in chosen)
    of_one = choose_sentences(processed, wanted, SEED)  # each of its speakers has one language
    assert not any(item.speech == "speech_cross_lingual" for item in of_one)


def test_the_texts_that_come_along_are_alike_in_every_language():
    """As many of each kind, said with words alone: a number that was not read would be spoken as whatever is left of it."""
    folder = Path(__file__).parents[2] / EVALUATION_TEXTS
    files = {path.stem: YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}
    assert {"en", "fa", "ru", "es", "fr", "it"} <= set(files)
    for language, lists in files.items():
        assert {name: len(texts) for name, texts in lists.items()} == {"short": 12, "long": 4, "numbers": 12}, language
        for text in (text for texts in lists.values() for text in texts):
            said = normalize(text, language)
            assert said and not unknown_characters(said, language) and not re.search(r"[0-9۰-۹]", said), f"{language}: {text!r}: {said!r}"
        assert not any(re.search("[0-9۰-۹]", text) for name in ("short", "long") for text in lists[name])
        assert all(re.search("[0-9۰-۹]", text) for text in lists["numbers"]), language


def test_missing_texts_are_said_and_broken_ones_refused(two_languages, texts, tmp_path, capsys):
    shutil.copy(texts / "fa.yaml", tmp_path)
    chosen = choose_sentences(two_languages, settings(sets=("short",)), SEED, tmp_path)
    assert [item.utterance.id for item in chosen if item.speech == "speech_short"] == ["short_fa_01"]
    assert f"no texts in en, for {tmp_path} has no en.yaml" in capsys.readouterr().out
    (tmp_path / "en.yaml").write_text("short: [", encoding="utf-8")
    with pytest.raises(DataError, match="is no file of texts"):
        choose_sentences(two_languages, settings(sets=("short",)), SEED, tmp_path)


@pytest.fixture(scope="module")
def report(synthesizer, two_languages, texts, tmp_path_factory):
    config = synthesizer.config.model_copy(update={"evaluate": settings(sets=EVALUATION_SETS, sentences_per_set=2)})
    out = tmp_path_factory.mktemp("reports") / "evaluation"
    return evaluate(config, synthesizer, two_languages, out, SEED, texts), out, config


def test_each_set_is_a_kind_of_speech_with_what_can_be_measured(report):
    means, out, _ = report
    for name in EVALUATION_SETS:
        assert f"speech_{name}/failure_rate" in means and means[f"sentences_{name}"] >= 1
    assert "speech_cross_lingual/mel_distance" in means and "speech_short/mel_distance" not in means
    if "speech/speaker_similarity" in means:
        assert "speech_long/speaker_similarity" in means and "ground_truth_cross_lingual/phone_error_rate" in means
    samples = json.loads((out / "samples.json").read_text(encoding="utf-8"))
    assert {sample["set"] for sample in samples} == {"eval", *EVALUATION_SETS}


def test_the_page_holds_its_sounds_and_pictures_and_asks_for_nothing(report):
    _, out, _ = report
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    sources = re.findall(r"src='([^']{0,30})", page)
    assert sources and all(source.startswith(("data:audio/mpeg;base64,", "data:image/png;base64,")) for source in sources)
    assert "http" not in re.sub(r"base64,[^']+", "", page)
    samples = json.loads((out / "samples.json").read_text(encoding="utf-8"))
    assert all(sample["id"] in page for sample in samples)
    lines = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    line = next(line for line in lines if line["metric"] == "copy/mel_distance" and not line["language"])
    assert f"{line['mean']:.3g}" in page and line["low"] <= line["mean"] <= line["high"]


def test_a_folder_of_files_is_measured_by_the_same_ruler(report, two_languages, texts, tmp_path):
    """What our own model said, given as files, has the figures that it had."""
    _, out, config = report
    samples = json.loads((out / "samples.json").read_text(encoding="utf-8"))
    logged = [sample for sample in samples if sample["files"]]
    for sample in logged:
        kind = "speech" if sample["set"] == "eval" else f"speech_{sample['set']}"
        shutil.copy(out / "audio" / f"{sample['id']}_{kind}.wav", tmp_path / f"{sample['id']}.wav")
    evaluate_folder(config, tmp_path, two_languages, tmp_path / "measured", SEED, texts)
    again = {sample["id"]: sample for sample in json.loads((tmp_path / "measured" / "samples.json").read_text(encoding="utf-8"))}
    for sample in logged:
        kind = "speech" if sample["set"] == "eval" else f"speech_{sample['set']}"
        for metric in ("phone_error_rate", "mel_distance", "speaker_similarity", "length_ratio"):
            if sample.get(f"{kind}/{metric}") is not None:
                figure = f"{kind}/{metric}"
                assert again[sample["id"]][figure] == pytest.approx(sample[figure], abs=0.02), (sample["id"], metric)
    unspoken = [sample for name, sample in again.items() if name not in {item["id"] for item in logged}]
    assert unspoken and all("no file" in " ".join(sample["omitted"].values()) for sample in unspoken)


def test_a_folder_of_other_files_is_refused(report, two_languages, texts, tmp_path):
    _, _, config = report
    wave_io.save(tmp_path / "hello.wav", np.zeros(RATE, np.float32), RATE)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"holds no file of the .* sentences: expected names such as .*\.wav"):
            evaluate_folder(config, folder, two_languages, tmp_path / "out", SEED, texts)
