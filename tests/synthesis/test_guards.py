"""Each guard acts on a failure made for it, says so, and leaves good speech alone."""

import numpy as np
import pytest
from vowels import syllables

from myxtts.config.stages import GuardsConfig, SynthesisConfig
from myxtts.synthesis import takes
from myxtts.synthesis.engine import Engine
from myxtts.synthesis.generate import begin
from myxtts.synthesis.guards import Guarded, coverage, longest_codes, read_twice, repetition
from myxtts.synthesis.speech import Line, Synthesizer
from myxtts.synthesis.takes import without_noise
from myxtts.synthesis.voice import Voice

RATE = 20.0  # codes a second
OFF = GuardsConfig(duration_factor=None, repetition_seconds=None, tail_seconds=None, trim_noise=False)
GREEDY = SynthesisConfig(temperature=0, repetition_penalty=1, engine="tensorflow")


def speech(count, seed=0):
    return np.random.default_rng(seed).integers(0, 1000, count).astype(np.int32)


def test_duration_grows_with_the_text_and_may_be_unbounded():
    assert longest_codes(1.0, 3.0, RATE, 1000) == 100  # 2 s, and three times 1 s
    assert longest_codes(10.0, 3.0, RATE, 300) == 300
    assert longest_codes(1.0, None, RATE, 300) == 300


@pytest.mark.parametrize("period", [1, 2, 7, 15])
def test_a_pattern_that_follows_itself_is_cut_to_its_first_time(period):
    start, pattern = speech(30), speech(period, 1)
    codes = np.concatenate([start, np.tile(pattern, 80 // period + 3)])
    guard, kept, what = repetition(codes, 40, 15)
    assert guard == "repetition" and f"{period} codes repeat" in what
    assert 30 + period <= kept <= len(codes) - 40
    assert repetition(codes[: 30 + 30], 40, 15) is None  # not yet


def test_a_repetition_may_have_a_slip_and_speech_is_none():
    codes = np.concatenate([speech(30), np.tile(speech(4, 1), 30)])
    codes[-7] += 1
    assert repetition(codes, 40, 15)[0] == "repetition"
    assert repetition(speech(200), 40, 15) is None
    assert repetition(np.concatenate([speech(50), np.full(20, 3), speech(50, 2)]), 40, 15) is None  # a pause within
    assert repetition(speech(3), 40, 15) is None


def reading(tokens, codes_each=2):
    return np.repeat(np.arange(tokens), codes_each)


def test_codes_that_rest_at_the_end_of_the_text_are_a_tail():
    looks = np.concatenate([reading(30), np.full(25, 29)])
    guard, kept, _ = read_twice(looks, 30, 10)
    assert guard == "tail" and kept == 56 + 10  # from when it reached the last two tokens
    assert read_twice(looks[:64], 30, 10) is None
    assert read_twice(np.full(60, 29), 30, 10) is None  # a head that always looks there has read nothing


def test_codes_that_begin_the_text_anew_are_cut_where_they_do():
    looks = np.concatenate([reading(30), reading(10)])
    guard, kept, _ = read_twice(looks, 30, 1000)
    assert guard == "restart" and kept == 60
    assert read_twice(looks[:63], 30, 1000) is None  # a glance
    assert read_twice(np.concatenate([reading(15), reading(10)]), 30, 1000) is None  # it had not got far
    glance = reading(30)
    glance[3] = 29
    assert all(read_twice(glance[:length], 30, 1000) is None for length in range(1, 61))


def test_coverage_counts_what_was_read_and_not_what_was_leapt_over():
    assert coverage(reading(30), 30) == 1
    assert coverage(np.concatenate([reading(12), np.arange(22, 30)]), 30) == pytest.approx(16 / 26)
    assert coverage(np.zeros(0, int), 30) == 0


class Told:
    """A generation that says what it is told, with looks."""

    evidence = None

    def __init__(self, codes, looks, stopped=False):
        self.all, self.all_looks, self.done, self.ended_by = codes, looks, 0, False
        self.rows, self.limits, self._stopped = 1, np.array([len(codes)]), stopped

    finished = property(lambda self: self.ended_by or self.done >= len(self.all))
    ended = property(lambda self: np.array([self.finished]))
    lengths = num_latents = property(lambda self: np.array([self.done]))
    stopped = property(lambda self: np.array([self._stopped and self.done >= len(self.all) and not self.ended_by]))
    looks = property(lambda self: None if self.all_looks is None else self.all_looks[: self.done, None])

    def end(self, row):
        self.ended_by = True

    def advance(self, steps):
        new = self.all[self.done : self.done + steps]
        self.done += len(new)
        return new[:, None], np.tile(new[:, None, None].astype(np.float32), (1, 1, 4))


@pytest.mark.parametrize(
    ("codes", "looks", "guard", "at"),
    [
        (np.concatenate([speech(30), np.full(100, 5)]), None, "repetition", (31, 40)),
        (speech(130), np.concatenate([reading(30), np.full(70, 29)]), "tail", (66, 76)),
        (speech(130), np.concatenate([reading(30), reading(30), np.zeros(10, int)]), "restart", (60, 61)),
        (speech(40), None, "duration", (40, 40)),
    ],
)
def test_a_generation_is_ended_by_its_guard_which_is_reported(codes, looks, guard, at):
    generation = Told(codes, looks)
    speaking = Guarded(generation, GuardsConfig(tail_seconds=0.5), RATE, [30])
    speaking.advance()
    (item,) = speaking.interventions[0]
    assert item.guard == guard and item.seconds == pytest.approx(len(speaking.codes(0)) / RATE)
    assert at[0] <= len(speaking.codes(0)) == len(speaking.latents(0)) <= at[1]
    assert not speaking.stopped(0)
    assert generation.done < len(codes) or guard == "duration"
    free = Guarded(Told(codes, looks), OFF, RATE, [30])
    free.advance()
    assert len(free.codes(0)) == len(codes)
    assert [item.guard for item in free.interventions[0]] == ["duration"]  # the limit itself is no guard's to lift


def test_good_speech_is_left_alone():
    codes, looks = speech(65), np.concatenate([reading(30), np.full(5, 29)])
    speaking = Guarded(Told(codes, looks, stopped=True), GuardsConfig(tail_seconds=0.5), RATE, [30])
    speaking.advance()
    assert speaking.stopped(0) and not speaking.interventions[0] and len(speaking.codes(0)) == 65


@pytest.mark.parametrize("engine", ["tensorflow", "onnxruntime"])
def test_a_model_that_repeats_itself_is_cut_and_its_neighbour_goes_on(model, engine):
    """Real networks: a row is driven into one code over and over by its bias."""
    bias = model.gpt.audio_head.bias
    before = np.asarray(bias).copy()
    changed = before.copy()
    changed[7], changed[model.config.stop_audio_token] = 60.0, -100.0
    bias.assign(changed)
    latents = np.random.default_rng(0).normal(size=(1, 3, 16)).astype(np.float32)
    ids = np.array([[3, 5, 6, 0], [3, 9, 6, 0]])
    gpt = Engine(model).gpt(SynthesisConfig(engine=engine))
    generation = begin(model, latents, ids, np.ones(ids.shape, bool), GREEDY, 0, [80, 20], gpt=gpt)
    speaking = Guarded(generation, GuardsConfig(repetition_seconds=1.5), RATE, [4, 4])
    speaking.advance()
    bias.assign(before)
    assert [item.guard for item in speaking.interventions[0]] == ["repetition"]
    assert len(speaking.codes(0)) < 12
    assert len(speaking.codes(1)) == 20  # too short to be judged
    assert int(generation.lengths[0]) < 60


def test_noise_after_the_last_speech_is_cut():
    wave = syllables(2.0, 24000)
    noise = np.random.default_rng(0).normal(size=48000).astype(np.float32) * 0.003
    long = np.concatenate([wave, noise])
    kept = without_noise(long, 24000)
    assert len(wave) * 0.9 < kept < len(wave) + 0.6 * 24000
    assert without_noise(long[:kept], 24000) == kept
    assert without_noise(noise, 24000) == len(noise)  # no speech at all: nothing is known


def test_what_guards_did_is_in_the_speech(bundle):
    synthesizer = Synthesizer.load(bundle, whole=True)
    bias = synthesizer.model.gpt.audio_head.bias
    changed = np.asarray(bias).copy()
    changed[synthesizer.config.model.stop_audio_token] = -100.0
    bias.assign(changed)
    rng = np.random.default_rng(2)
    voice = Voice(rng.normal(size=(1, 3, 16)).astype(np.float32), rng.normal(size=(1, 18)).astype(np.float32))
    spoken = synthesizer.speak("We like cold water!", voice, "en")
    assert not spoken.stopped
    assert [item.guard for item in spoken.sentences[0].interventions] == ["duration"]
    assert spoken.interventions[0].startswith("sentence 1: duration at ")


def twice(codes_each=4, tokens=30):
    """Looks of a text that is said twice, [START] [lang] text text [STOP]: the second begins at token 16."""
    return np.repeat(np.arange(tokens), codes_each)


def test_what_was_said_before_a_short_text_is_left_out():
    looks = twice()
    looks[20] = 17  # a glance ahead
    codes = speech(len(looks))
    generation = Told(codes, looks, stopped=True)
    speaking = Guarded(generation, GuardsConfig(), RATE, [30], [16])
    speaking.advance(40)
    assert not len(speaking.codes(0)) and not len(speaking.latents(0))  # nothing wanted has come yet
    speaking.advance()
    np.testing.assert_array_equal(speaking.codes(0), codes[64:])
    assert len(speaking.latents(0)) == len(codes) - 64
    assert speaking.covered(0) == 1 and speaking.stopped(0)


def test_the_evidence_of_a_text_is_that_of_all_that_was_kept():
    looks, each = twice(), np.repeat([[1.0], [3.0]], [64, 56], axis=0)
    plain, again, never, cut = (Told(speech(len(looks)), seen, stopped=True) for seen in (looks, looks, np.minimum(looks, 14), looks))
    for told in (plain, again, never, cut):
        told.evidence = each
    known = []
    for told, heard_from, guards in ((plain, 0, {}), (again, 16, {}), (never, 16, {"tail_seconds": None})):
        speaking = Guarded(told, GuardsConfig(**guards), RATE, [30], [heard_from])
        speaking.advance()
        known.append(speaking.evidence(0))
    assert known == [pytest.approx((64 + 3 * 56) / 120)] * 3, "whether it was said a second time or not"
    speaking = Guarded(cut, GuardsConfig(), RATE, [30])
    speaking.advance()
    speaking._kept[0] = 64
    assert speaking.evidence(0) == 1.0, "nothing of what was cut"
    assert Guarded(Told(speech(3), None), GuardsConfig(), RATE, [30]).evidence(0) is None


def test_a_text_that_is_not_said_a_second_time_is_kept_as_it_is():
    looks = np.minimum(twice(), 14)
    speaking = Guarded(Told(speech(len(looks)), looks, stopped=True), GuardsConfig(), RATE, [30], [16])
    speaking.advance()
    assert len(speaking.codes(0)) == len(looks)
    assert speaking.covered(0) == 1


def test_a_tail_after_the_second_time_is_told_from_its_own_beginning():
    looks = np.concatenate([twice(), np.full(60, 29)])
    speaking = Guarded(Told(speech(len(looks)), looks), GuardsConfig(tail_seconds=0.5), RATE, [30], [16])
    speaking.advance()
    (item,) = speaking.interventions[0]
    assert item.guard == "tail" and item.seconds == pytest.approx(len(speaking.codes(0)) / RATE) == pytest.approx((112 + 10 - 64) / RATE)


def test_short_texts_alone_are_said_twice_and_only_where_a_head_follows(bundle, monkeypatch):
    synthesizer, seen = Synthesizer.load(bundle), []
    original = takes.begin

    def spy(model, latents, text_ids, *arguments, **named):
        seen.append([int((row > 0).sum()) for row in text_ids])
        return original(model, latents, text_ids, *arguments, **named)

    monkeypatch.setattr(takes, "begin", spy)
    rng = np.random.default_rng(2)
    voice = Voice(rng.normal(size=(1, 3, 16)).astype(np.float32), rng.normal(size=(1, 18)).astype(np.float32))
    settings = synthesizer.config.synthesis
    for head, short_words in ((None, 3), ((0, 1), 0), ((0, 1), 3)):
        synthesizer.engine.alignment_head = head
        changed = settings.model_copy(update={"short_words": short_words})
        synthesizer.speak_all([Line("Good morning.", voice, "en"), Line("The quick brown fox jumps over the dog.", voice, "en")], changed)
    once, off, twice_said = seen
    assert once == off and twice_said[0] == once[0]  # the long one
    assert twice_said[1] > 1.7 * once[1]


def test_a_short_text_that_is_begun_a_third_time_or_hums_after_the_first_is_cut():
    third = np.concatenate([twice(2), np.repeat(np.arange(16, 30), 2)])
    speaking = Guarded(Told(speech(len(third)), third), GuardsConfig(), RATE, [30], [16])
    speaking.advance()
    assert [item.guard for item in speaking.interventions[0]] == ["restart"] and len(speaking.codes(0)) == 60 - 32
    hum = np.concatenate([np.repeat(np.arange(15), 2), np.full(100, 15)])
    speaking = Guarded(Told(speech(len(hum)), hum), GuardsConfig(tail_seconds=0.5), RATE, [30], [16])
    speaking.advance()
    assert [item.guard for item in speaking.interventions[0]] == ["tail"] and len(speaking.codes(0)) < 45


@pytest.mark.parametrize("steps", [1, 5, 10, 20])
def test_guards_cut_at_one_place_however_many_steps_are_asked_for(steps):
    codes = np.concatenate([speech(30), np.full(100, 5)])
    whole, parts = (Guarded(Told(codes, None), GuardsConfig(), RATE, [30]) for _ in range(2))
    whole.advance()
    while not parts.finished:
        parts.advance(steps)
    np.testing.assert_array_equal(parts.codes(0), whole.codes(0))


def test_a_cut_before_the_second_saying_leaves_nothing_of_the_first():
    codes, looks = np.concatenate([speech(30), np.full(100, 5)]), np.concatenate([np.arange(30) // 2, np.full(10, 14), np.full(90, 20)])
    speaking = Guarded(Told(codes, looks), GuardsConfig(tail_seconds=None), RATE, [30], [16])
    speaking.advance()
    assert speaking.interventions[0][0].guard == "repetition" and not len(speaking.codes(0))
