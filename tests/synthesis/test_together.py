"""Many lines in one call, candidates, speed, weights, languages found out, and text that arrives in parts."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from myxtts.config import ConfigError, DataError, ModelError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt_onnx import int8_blocks
from myxtts.synthesis import speech, takes
from myxtts.synthesis.generate import generate_codes
from myxtts.synthesis.speech import Line, Synthesizer
from myxtts.synthesis.stream import arriving
from myxtts.synthesis.voice import Voice


@pytest.fixture(scope="module")
def synthesizer(bundle):
    return Synthesizer.load(bundle, whole=True)


def voice(seed):
    rng = np.random.default_rng(seed)
    return Voice(rng.normal(size=(1, 3, 16)).astype(np.float32), rng.normal(size=(1, 18)).astype(np.float32))


def changed(synthesizer, **changes):
    settings = synthesizer.config.synthesis
    return SynthesisConfig.model_validate(settings.model_dump() | {"vocoder": "decoder"} | changes)


LINES = [
    ("We like cold water! Good morning.", 1, "en", 4),
    ("سلام، حال شما چطور است؟", 2, "fa", 5),
    ("The quick brown fox.", 3, "en", 4),
    ("Good morning, how are you today? The dog jumps over.", 1, "en", 9),
]


@pytest.mark.parametrize("engine", ["tensorflow", "onnxruntime"])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_lines_together_are_what_each_is_alone(synthesizer, engine, batch_size):
    settings = changed(synthesizer, engine=engine, batch_size=batch_size)
    lines = [Line(text, voice(speaker), language, seed) for text, speaker, language, seed in LINES]
    together = synthesizer.speak_all(lines, settings)
    for line, said in zip(lines, together, strict=True):
        alone = synthesizer.speak(line.text, line.voice, line.language, line.seed, settings)
        assert [row.tolist() for row in said.codes] == [row.tolist() for row in alone.codes]
        assert [(item.text, item.start, item.end) for item in said.sentences] == [(i.text, i.start, i.end) for i in alone.sentences]
        np.testing.assert_allclose(said.waveform, alone.waveform, atol=1e-4)
    assert sum(said.timings["total"] for said in together) > 0


def test_both_engines_say_the_same(synthesizer):
    spoken = [
        synthesizer.speak(LINES[3][0], voice(1), "en", 3, changed(synthesizer, engine=engine)) for engine in ("tensorflow", "onnxruntime")
    ]
    assert [row.tolist() for row in spoken[0].codes] == [row.tolist() for row in spoken[1].codes]
    np.testing.assert_allclose(spoken[0].waveform, spoken[1].waveform, atol=1e-4)


def test_similar_lengths_share_a_batch(synthesizer, monkeypatch):
    seen = []
    original = takes.guarded
    monkeypatch.setattr(
        takes, "guarded", lambda s, jobs, settings: seen.append([len(j.piece.text) for j in jobs]) or original(s, jobs, settings)
    )
    text = " ".join(["Good morning.", "The quick brown fox jumps over the lazy dog."] * 4)
    synthesizer.speak(text, voice(1), "en", settings=changed(synthesizer, batch_size=4))
    assert seen == [[44] * 4, [13] * 4]


def test_a_bad_line_is_refused_before_anything_is_said(synthesizer, monkeypatch):
    monkeypatch.setattr(takes, "guarded", lambda *_: pytest.fail("spoke"))
    with pytest.raises(DataError, match="nothing to speak"):
        synthesizer.speak_all([Line("Good morning.", voice(1), "en"), Line("...", voice(1), "en")])


def test_the_best_of_several_candidates_is_kept(synthesizer, monkeypatch):
    settings, scores = changed(synthesizer, candidates=3), {}

    def score(_, take, __):
        return scores.setdefault((take.job.piece.text, take.job.seed), np.random.default_rng(take.job.seed + 2).random())

    monkeypatch.setattr(takes, "_score", score)
    spoken = synthesizer.speak("Good morning.", voice(1), "en", seed=5, settings=settings)
    assert len(scores) == 3
    (_, seed), _ = max(scores.items(), key=lambda item: item[1])
    alone = synthesizer.speak("Good morning.", voice(1), "en", seed=seed, settings=changed(synthesizer))
    assert spoken.codes[0].tolist() == alone.codes[0].tolist()
    assert seed != 5  # the first is not simply taken


def test_a_score_falls_with_what_is_wrong(synthesizer):
    """Off its pace, cut, not read to the end, in another voice, or what no text made likelier: each costs."""
    job = takes.Job(synthesizer.pieces("Good morning, how are you today?", "en")[0], voice(1), 0)
    ordinary = round(job.piece.ordinary_seconds * synthesizer.config.model.codes_per_second)
    wave = np.random.default_rng(0).normal(size=24000).astype(np.float32) * 0.1

    def score(codes=ordinary, stopped=True, interventions=(), covered=1.0, evidence=None, speaker=job.voice):
        spoken = takes.Job(job.piece, speaker, 0), np.zeros(codes, int), None
        take = takes.Take(*spoken, stopped, list(interventions), covered, evidence, wave)
        return takes._score(synthesizer, take, changed(synthesizer))

    good = score()
    assert good == score(codes=round(1.3 * ordinary)) == score(covered=None)
    assert good - score(codes=4 * ordinary) == pytest.approx(np.log(4 / 1.5), abs=0.05)
    assert good - score(stopped=False, interventions=["x"]) == pytest.approx(1.5)
    assert good - score(covered=0.25) == pytest.approx(0.75)
    assert score(evidence=1.5) - good == pytest.approx(3.0) and score(evidence=0.0) == good
    assert good != score(speaker=voice(7))


@pytest.mark.parametrize("vocoder", ["decoder", "griffin_lim"])
def test_a_candidate_without_a_code_is_silence_and_not_chosen(synthesizer, monkeypatch, vocoder):
    """A guard may cut all of it (a short text that never came to its second saying): that is no reason to lose the others."""
    generate = takes._generate

    def first_empty(*arguments):
        spoken = generate(*arguments)
        for take in spoken:
            if take.job.seed == 5:
                take.codes, take.latents = take.codes[:0], take.latents[:0]
        return spoken

    monkeypatch.setattr(takes, "_generate", first_empty)
    one, two = (
        synthesizer.speak("Good morning.", voice(1), "en", seed=5, settings=changed(synthesizer, candidates=count, vocoder=vocoder))
        for count in (1, 2)
    )
    assert not len(one.sentences[0].codes) and one.seconds == 0
    assert len(two.sentences[0].codes) and two.seconds > 0


def test_guided_candidates_are_chosen_by_how_much_likelier_their_text_makes_them(synthesizer, monkeypatch):
    monkeypatch.setattr(takes, "_likeness", lambda *_: 0.0)
    heard, finish = [], takes._finish

    def finished(synthesizer, take, settings):
        finish(synthesizer, take, settings)
        heard.append(take)

    monkeypatch.setattr(takes, "_finish", finished)
    for guidance in (1.0, 2.0):
        heard.clear()
        synthesizer.speak("Good morning.", voice(1), "en", settings=changed(synthesizer, candidates=3, guidance_scale=guidance))
        assert len(heard) == 3 and all((take.evidence is None) == (guidance == 1) for take in heard)
    assert len({take.evidence for take in heard}) == 3, "each its own"


@pytest.mark.parametrize("vocoder", ["decoder", "griffin_lim"])
def test_speed_changes_the_length_alone(synthesizer, vocoder):
    plain, fast, slow = (
        synthesizer.speak("Good morning.", voice(1), "en", settings=changed(synthesizer, vocoder=vocoder, speed=speed))
        for speed in (1, 2, 0.5)
    )
    assert plain.codes[0].tolist() == fast.codes[0].tolist() == slow.codes[0].tolist()
    assert fast.seconds == pytest.approx(plain.seconds / 2, abs=0.05)
    assert slow.seconds == pytest.approx(plain.seconds * 2, abs=0.05)


def test_a_stream_is_as_fast(synthesizer):
    settings = changed(synthesizer, speed=1.3)
    whole = synthesizer.speak(LINES[3][0], voice(1), "en", settings=settings).waveform
    streamed = np.concatenate(list(synthesizer.stream(LINES[3][0], voice(1), "en", settings=settings, chunk_codes=4, first_chunk_codes=2)))
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


def test_breaks_are_heard(synthesizer):
    spoken = synthesizer.speak("Good morning. [break 700ms] We like water.", voice(1), "en", settings=changed(synthesizer))
    first, second = spoken.sentences
    assert second.start - first.end == pytest.approx(0.7, abs=1e-3)
    assert not np.any(spoken.waveform[round(first.end * 24000) + 1 : round(second.start * 24000) - 1])


def test_text_that_arrives_in_parts_is_spoken_as_the_whole(synthesizer):
    text = "Good morning, how are you today? We like Mr. Fox. The dog jumps over!"
    settings = changed(synthesizer)
    whole = synthesizer.speak(text, voice(1), "en", settings=settings).waveform
    parts = (text[place : place + 5] for place in range(0, len(text), 5))
    np.testing.assert_allclose(np.concatenate(list(synthesizer.stream(parts, voice(1), "en", settings=settings))), whole, atol=1e-4)


def test_a_sentence_is_spoken_once_the_next_has_begun_or_its_line_ended():
    heard, given = [], []

    def parts():
        for part in ("Good mor", "ning. How", " are you", "?\n", "Mr", ". Fox is", " fine."):
            given.append(part)
            yield part

    for text in arriving(parts(), "en"):
        heard.append((text.strip(), len(given)))
    assert heard == [("Good morning.", 2), ("How are you?", 4), ("Mr. Fox is fine.", 7)]


def test_a_language_is_found_out_where_it_is_asked_for(synthesizer):
    for text, language in (("Good morning.", "en"), ("سلام، حال شما چطور است؟", "fa")):
        assert {item.language for item in synthesizer.speak(text, voice(1), "auto").sentences} == {language}


def test_int8_weights_are_close_and_smaller():
    kernel = np.random.default_rng(0).normal(size=(96, 40)).astype(np.float32)
    values, scales = int8_blocks(kernel)
    assert values.shape == (40, 3, 32) and values.dtype == np.uint8
    back = ((values.astype(np.float32) - 128) * scales[:, :, None]).reshape(40, 96).T
    assert np.abs(back - kernel).max() <= scales.max() / 2 + 1e-6
    uneven, _ = int8_blocks(kernel[:50])
    assert uneven.shape == (40, 4, 16)  # filled up with zeros
    assert not int8_blocks(np.zeros((16, 2), np.float32))[1].any()


@pytest.mark.parametrize("weights", ["int8", "bfloat16"])
def test_rounded_weights_speak_nearly_as_float32(synthesizer, weights):
    """Not the same codes on a random network, whose choices hang by a thread; but the first latents are."""
    ids = np.array([[3, 10, 20, 30, 0]])
    given = (synthesizer.model, voice(1).latents, ids, np.ones(ids.shape, bool), SynthesisConfig(temperature=0), 0, 10)
    exact, rough = (generate_codes(*given, gpt=synthesizer.engine.gpt(changed(synthesizer, weights=name))) for name in ("float32", weights))
    difference = np.abs(exact.latents[0][0] - rough.latents[0][0]).max()
    assert 1e-5 < difference < 0.15 * np.abs(exact.latents[0][0]).max()


def test_bfloat16_weights_take_half_the_bytes(synthesizer):
    gpt = synthesizer.engine.gpt(changed(synthesizer, weights="bfloat16"))
    assert {variable.dtype for variable in gpt.trainable_variables} == {"bfloat16"}
    assert gpt is synthesizer.engine.gpt(changed(synthesizer, weights="bfloat16")) is not synthesizer.model.gpt
    assert {variable.dtype for variable in synthesizer.model.gpt.trainable_variables} == {"float32"}
    assert len(synthesizer.speak("Good morning.", voice(1), "en", settings=changed(synthesizer, weights="bfloat16")).waveform)


def test_weights_that_an_engine_lacks_are_refused():
    with pytest.raises(ValueError, match="weights: int8 needs engine: onnxruntime, got tensorflow"):
        SynthesisConfig(engine="tensorflow", weights="int8")


def test_without_its_blocks_in_tensorflow_a_model_says_the_same(synthesizer, bundle):
    lean = Synthesizer.load(bundle)
    assert not lean.model.gpt.blocks and synthesizer.model.gpt.blocks
    for weights in ("float32", "int8"):
        settings = changed(synthesizer, weights=weights)
        spoken, same = (item.speak(LINES[3][0], voice(1), "en", settings=settings) for item in (synthesizer, lean))
        np.testing.assert_array_equal(spoken.waveform, same.waveform)
    assert lean.voice_networks == synthesizer.voice_networks
    for changes in ({"engine": "tensorflow"}, {"weights": "bfloat16"}):
        with pytest.raises(ModelError, match=r"loaded for ONNX Runtime alone.*whole=True"):
            lean.speak("Good morning.", voice(1), "en", settings=changed(synthesizer, **changes))


def test_a_damaged_file_is_refused_without_its_blocks_too(bundle, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "damaged"))
    with h5py.File(folder / "gpt.weights.h5", "r+") as file:
        del file["block_1/mlp_in/kernel"]
    with pytest.raises(ModelError, match="1 missing: block_1/mlp_in/kernel"):
        Synthesizer.load(folder)


def test_a_line_without_words_does_not_end_a_stream(synthesizer):
    settings = changed(synthesizer)
    heard = list(synthesizer.stream(["Good morning.\n", "...\n", "[break]\n", "We like water.\n"], voice(1), "en", settings=settings))
    whole = synthesizer.speak("Good morning.\n...\n[break]\nWe like water.", voice(1), "en", settings=settings).waveform
    np.testing.assert_allclose(np.concatenate(heard), whole, atol=1e-4)
    with pytest.raises(DataError, match="nothing to speak"):
        list(synthesizer.stream(["...\n"], voice(1), "en"))


def test_breaks_before_a_text_and_between_parts_that_arrive_are_heard(synthesizer):
    settings = changed(synthesizer)
    plain = synthesizer.speak("We like water.", voice(1), "en", settings=settings)
    late = synthesizer.speak("[break 500ms] We like water.", voice(1), "en", settings=settings)
    np.testing.assert_array_equal(late.waveform, np.concatenate([np.zeros(12000, np.float32), plain.waveform]))
    assert late.sentences[0].start == 0.5
    text = ["Good morning. ", "[break 2s] We like", " water."]
    heard = np.concatenate(list(synthesizer.stream(text, voice(1), "en", settings=settings)))
    np.testing.assert_allclose(heard, synthesizer.speak("".join(text), voice(1), "en", settings=settings).waveform, atol=1e-4)
    assert len(heard) > 48000


def test_breaks_at_the_end_and_where_parts_meet_are_heard(synthesizer):
    settings = changed(synthesizer)
    plain = synthesizer.speak("Good morning.", voice(1), "en", settings=settings).waveform
    closed = synthesizer.speak("Good morning. [break 500ms]", voice(1), "en", settings=settings)
    np.testing.assert_array_equal(closed.waveform, np.concatenate([plain, np.zeros(12000, np.float32)]))
    assert closed.sentences[-1].end == pytest.approx(len(plain) / 24000)

    def streamed(*parts: str) -> np.ndarray:
        return np.concatenate(list(synthesizer.stream(parts, voice(1), "en", settings=settings)))

    np.testing.assert_allclose(streamed("Good morning.\n", "[break 500ms]\n"), closed.waveform, atol=1e-4)
    once, twice = (streamed("Good morning. [break 500ms]\n", f"{mark}We like water.\n") for mark in ("", "[break 1s] "))
    assert len(twice) - len(once) == 24000


def test_what_is_no_voice_is_refused(synthesizer):
    with pytest.raises(DataError, match=r"expected a Voice, got 'me\.wav': make one of a recording by synthesizer\.voice"):
        synthesizer.speak("Good morning.", "me.wav", "en")


def test_the_language_of_a_stream_is_that_of_what_came_so_far(synthesizer, monkeypatch):
    asked = []
    monkeypatch.setattr(speech, "guess_among", lambda text, languages: asked.append(text) or "en")
    list(synthesizer.stream(["Good morning.\n", "We like water.\n"], voice(1), "auto", settings=changed(synthesizer)))
    assert asked == ["Good morning.\n", "Good morning.\nWe like water.\n"]


@pytest.mark.parametrize("vocoder", ["decoder", "griffin_lim"])
def test_a_word_of_one_code_is_heard_at_any_speed(synthesizer, vocoder):
    """Nor does a guard say a time beyond its end."""
    settings = changed(synthesizer, vocoder=vocoder, speed=4, guards={"duration_factor": 1.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(takes, "max_codes", lambda *_: 1)
        spoken = synthesizer.speak("Good morning.", voice(1), "en", settings=settings)
    assert len(spoken.codes[0]) <= 1 and len(spoken.waveform)
    (item,) = spoken.sentences[0].interventions
    assert item.seconds == pytest.approx(1 / synthesizer.config.model.codes_per_second / 4)


def test_settings_may_be_changed_as_a_bundle_is_loaded(bundle):
    plain, other = Synthesizer.load(bundle), Synthesizer.load(bundle, ["engine=tensorflow", "guards.tail_seconds=0.25"])
    assert not plain.model.gpt.blocks and other.model.gpt.blocks  # what these need, and no more
    assert other.config.synthesis.guards.tail_seconds == 0.25
    with pytest.raises(ConfigError, match=r"synthesis\.wights"):
        Synthesizer.load(bundle, ["wights=int8"])


def test_a_break_mark_is_no_word_of_a_language(synthesizer):
    assert synthesizer.language_code("auto", "سلام، خوبی؟ [break 500ms] [break]") == "fa"
