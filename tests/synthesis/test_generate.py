"""The loop: equal to uncached greedy decoding, rows independent, limits kept, few traces. On a real XTTS with random weights."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.gpt_onnx import GPTSession
from myxtts.models.precision import set_precision
from myxtts.synthesis import generate
from myxtts.synthesis.compiled import trace_count
from myxtts.synthesis.generate import begin, longest_generation

CODES, LATENTS, DIM = 20, 3, 16
GREEDY = SynthesisConfig(temperature=0, repetition_penalty=1)
RANDOM = SynthesisConfig(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1)


engine = None  # each test runs on both


@pytest.fixture(params=["tensorflow", "onnxruntime"], autouse=True)
def _engine(request):
    global engine
    engine = request.param
    yield
    engine = None


def generate_codes(model, *arguments, **named):
    gpt = GPTSession(model.gpt, "float32", 1) if engine == "onnxruntime" else model.gpt
    return generate.generate_codes(model, *arguments, gpt=gpt, **named)


def texts(*lengths, seed=0):
    """Random ids [START]…[STOP] (START = 3, STOP = 0), padded to the longest; and their mask."""
    rng = np.random.default_rng(seed)
    ids, mask = np.zeros((len(lengths), max(lengths)), np.int32), np.zeros((len(lengths), max(lengths)), bool)
    for row, length in enumerate(lengths):
        ids[row, :length] = [3, *rng.integers(4, 60, length - 2), 0]
        mask[row, :length] = True
    return ids, mask


def voice(seed=0, rows=1):
    return np.random.default_rng(seed).normal(size=(rows, LATENTS, DIM)).astype(np.float32)


def stop_bias(model, value):
    """Sets how likely the model finds [STOP]; returns what undoes it."""
    bias = model.gpt.audio_head.bias
    before = np.asarray(bias).copy()
    changed = before.copy()
    changed[model.config.stop_audio_token] = value
    bias.assign(changed)
    return lambda: bias.assign(before)


@pytest.fixture
def never_stopping(model):
    undo = stop_bias(model, -100.0)
    yield model
    undo()


def uncached_greedy(model, latents, ids, count):
    codes = []
    for _ in range(count):
        fed = np.array([[model.config.start_audio_token, *codes]], np.int32)
        logits = np.array(model.gpt(latents, ids, np.ones(ids.shape, bool), fed, np.ones(fed.shape, bool)).audio_logits)[0, -1]
        logits[model.config.start_audio_token] = -np.inf
        codes.append(int(logits.argmax()))
    return codes


def test_greedy_codes_and_latents_equal_a_full_pass(never_stopping):
    model = never_stopping
    ids, mask = texts(7)
    made = generate_codes(model, voice(), ids, mask, GREEDY, seed=0, max_codes=12)
    assert made.codes[0].tolist() == uncached_greedy(model, voice(), ids, 12)
    assert len(set(made.codes[0].tolist())) > 3  # not one code over and over, which proves little
    fed = np.array([[model.config.start_audio_token, *made.codes[0][:-1]]], np.int32)
    output = model.gpt(voice(), ids, mask, fed, np.ones(fed.shape, bool))
    assert made.latents[0].shape == (12, DIM)
    np.testing.assert_allclose(made.latents[0], np.array(output.audio_latents)[0], atol=2e-5)


GUIDED = GREEDY.model_copy(update={"guidance_scale": 3.0})


def guided_greedy(model, latents, ids, count):
    codes, nothing = [], np.array([[ids[0, 0], ids[0, -1]]], np.int32)  # [START][STOP]
    for _ in range(count):
        fed = np.array([[model.config.start_audio_token, *codes]], np.int32)
        known, blind = (
            np.array(model.gpt(latents, text, np.ones(text.shape, bool), fed, np.ones(fed.shape, bool)).audio_logits)[0, -1]
            for text in (ids, nothing)
        )
        logits = blind + 3 * (known - blind)
        logits[model.config.start_audio_token] = -np.inf
        codes.append(int(logits.argmax()))
    return codes


def test_guidance_says_what_the_text_makes_likelier_than_none(never_stopping):
    """Each row equals the two full passes, though one beside it is longer, and one ends earlier."""
    model = never_stopping
    lengths, limits = (7, 30, 12), (14, 20, 9)
    ids, mask = texts(*lengths)
    made = generate_codes(model, voice(rows=3), ids, mask, GUIDED, seed=0, max_codes=limits)
    plain = generate_codes(model, voice(rows=3)[:1], ids[:1], mask[:1], GREEDY, seed=0, max_codes=limits[0])
    for row, (length, limit) in enumerate(zip(lengths, limits, strict=True)):
        said = ids[row : row + 1, :length]
        assert made.codes[row].tolist() == guided_greedy(model, voice(rows=3)[row : row + 1], said, limit)
        fed = np.array([[model.config.start_audio_token, *made.codes[row][:-1]]], np.int32)
        output = model.gpt(voice(rows=3)[row : row + 1], said, np.ones(said.shape, bool), fed, np.ones(fed.shape, bool))
        np.testing.assert_allclose(made.latents[row], np.array(output.audio_latents)[0], atol=2e-5)  # of the text, not of none
    assert made.codes[0].tolist() != plain.codes[0].tolist()


def test_the_evidence_of_a_text_is_how_much_likelier_it_makes_the_codes_that_were_drawn(never_stopping):
    """Against two full passes, with the text and without, of rows of which the middle one ends first; in parts as in one."""
    model, limits, lengths = never_stopping, (9, 6, 12), (9, 20, 14)
    ids, mask = texts(*lengths)
    weighed = RANDOM.model_copy(update={"guidance_scale": 1.5, "candidates": 2})
    gpt = GPTSession(model.gpt, "float32", 1) if engine == "onnxruntime" else None
    made = begin(model, voice(rows=3), ids, mask, weighed, [3, 4, 5], limits, gpt=gpt)
    codes = np.concatenate([made.advance(5)[0], made.advance()[0]])
    for row, (length, limit) in enumerate(zip(lengths, limits, strict=True)):
        fed = np.array([[model.config.start_audio_token, *codes[: limit - 1, row]]], np.int32)
        nothing = ids[row : row + 1][:, [0, length - 1]]
        known, blind = (
            log_softmax(
                np.array(
                    model.gpt(voice(rows=3)[row : row + 1], text, np.ones(text.shape, bool), fed, np.ones(fed.shape, bool)).audio_logits
                )[0],
                axis=1,
            )
            for text in (ids[row : row + 1, :length], nothing)
        )
        expected = (known - blind)[np.arange(limit), codes[:limit, row]]
        np.testing.assert_allclose(made.evidence[:limit, row], expected, atol=2e-4)
        assert np.abs(expected).max() > 0.01
    assert begin(model, voice(rows=3), ids, mask, weighed.model_copy(update={"candidates": 1}), [3, 4, 5], limits, gpt=gpt).evidence is None


def test_guided_rows_do_not_depend_on_their_neighbours(model):
    undo = stop_bias(model, 0.3)
    drawn = RANDOM.model_copy(update={"guidance_scale": 1.5, "repetition_penalty": 2.0})
    ids, mask = texts(5, 40, 11)
    together = generate_codes(model, voice(rows=3), ids, mask, drawn, [4, 5, 6], [9, 70, 30])
    alone = generate_codes(model, voice(rows=3)[1:2], ids[1:2], mask[1:2], drawn, 5, 70)
    undo()
    assert alone.codes[0].tolist() == together.codes[1].tolist() and alone.stopped[0] == together.stopped[1]


def test_a_guided_row_is_heard_where_it_looks_and_not_where_no_text_does(never_stopping):
    model = never_stopping
    session = GPTSession(model.gpt, "float32", 1, watched=(0, 0))
    ids, mask = texts(20)
    known = begin(model, voice(), ids, mask, GUIDED, 0, 12, gpt=session)
    codes, _ = known.advance()
    fed = np.array([[model.config.start_audio_token, *codes[:-1, 0]]], np.int32)
    heads = np.asarray(model.gpt.looks(voice(), ids, mask, fed, np.ones(fed.shape, bool)))
    assert known.looks[:, 0].tolist() == heads[0, 0, 0].tolist() and known.looks.max() > 1


def test_the_repetition_penalty_acts_on_what_guidance_made(never_stopping):
    ids, mask = texts(9)
    strict = GUIDED.model_copy(update={"repetition_penalty": 1e6})
    made = generate_codes(never_stopping, voice(), ids, mask, strict, 0, 12).codes[0].tolist()
    assert len(set(made)) == len(made) and made[0] == guided_greedy(never_stopping, voice(), ids, 1)[0]


def test_a_row_does_not_depend_on_its_neighbours(model):
    """Text lengths, limits, seeds, voices and the batch size all differ; each row equals itself alone."""
    undo = stop_bias(model, 0.3)
    lengths, seeds, limits = (5, 40, 11), (4, 5, 6), (9, 70, 30)
    ids, mask = texts(*lengths)
    together = generate_codes(model, voice(rows=3), ids, mask, RANDOM, seeds, limits)
    for row, length in enumerate(lengths):
        alone = generate_codes(
            model, voice(rows=3)[row : row + 1], ids[row : row + 1, :length], mask[row : row + 1, :length], RANDOM, seeds[row], limits[row]
        )
        assert alone.codes[0].tolist() == together.codes[row].tolist()
        assert alone.stopped[0] == together.stopped[row]
        np.testing.assert_allclose(alone.latents[0], together.latents[row], atol=1e-4)
    undo()


def test_seed_decides(never_stopping):
    ids, mask = texts(7, 7)
    ids[1] = ids[0]
    first, same = (generate_codes(never_stopping, voice(), ids, mask, RANDOM, [1, 2], 20) for _ in range(2))
    assert [row.tolist() for row in first.codes] == [row.tolist() for row in same.codes]
    assert first.codes[0].tolist() != first.codes[1].tolist()
    shared = generate_codes(never_stopping, voice(), ids, mask, RANDOM, 1, 20)
    assert shared.codes[0].tolist() == shared.codes[1].tolist() == first.codes[0].tolist()


def test_text_and_voice_matter(never_stopping):
    ids, mask = texts(7)
    other_ids = ids.copy()
    other_ids[0, 3] = 5 if ids[0, 3] != 5 else 6
    base, text, speaker = (
        generate_codes(never_stopping, latents, chosen, mask, GREEDY, 0, 30).codes[0].tolist()
        for latents, chosen in ((voice(), ids), (voice(), other_ids), (voice(1), ids))
    )
    assert base != text
    assert base != speaker


def test_limits_are_exact_and_reported(never_stopping):
    ids, mask = texts(6, 9)
    made = generate_codes(never_stopping, voice(), ids, mask, RANDOM, 0, [3, 8])
    assert [len(row) for row in made.codes] == [3, 8]
    assert [len(row) for row in made.latents] == [3, 8]
    assert made.stopped == [False, False]
    longest = generate_codes(never_stopping, voice(), ids[:1], mask[:1], RANDOM, 0, 10_000)
    assert len(longest.codes[0]) == longest_generation(never_stopping) == 88


def test_stopping_by_itself_is_reported_and_codes_hold_no_control_tokens(model):
    undo = stop_bias(model, 1.0)
    ids, mask = texts(*[6] * 8)
    made = generate_codes(model, voice(), ids, mask, RANDOM, range(8), 80)
    undo()
    assert all(made.stopped)
    assert len({len(row) for row in made.codes}) > 2
    assert all(len(row) >= 1 and row.max() < CODES and row.dtype == np.int32 for row in made.codes)


def test_a_cut_row_stays_cut_while_others_go_on(model):
    undo = stop_bias(model, 0.5)
    ids, mask = texts(*[6] * 8)
    limits, seeds = [1] * 7 + [80], range(20, 28)
    together = generate_codes(model, voice(), ids, mask, RANDOM, seeds, limits, min_codes=1)
    alone = [generate_codes(model, voice(), ids[i : i + 1], mask[i : i + 1], RANDOM, seeds[i], limits[i]).stopped[0] for i in range(8)]
    undo()
    assert len(together.codes[7]) > 8
    assert together.stopped == alone
    assert not all(alone)


def test_a_stop_right_after_the_last_allowed_code_counts_as_stopped(model):
    undo = stop_bias(model, 100.0)  # stops as soon as it may: min_codes is all that holds it back
    ids, mask = texts(6)
    made = generate_codes(model, voice(), ids, mask, GREEDY, 0, max_codes=5, min_codes=5)
    assert (len(made.codes[0]), made.stopped[0]) == (5, True)
    made = generate_codes(model, voice(), ids, mask, GREEDY, 0, max_codes=30, min_codes=4)
    assert (len(made.codes[0]), made.stopped[0]) == (4, True)
    assert len(generate_codes(model, voice(), ids, mask, GREEDY, 0, max_codes=30).codes[0]) == 1
    undo()


def test_start_is_never_generated(model):
    bias = model.gpt.audio_head.bias
    before = np.asarray(bias).copy()
    tempted = before.copy()
    tempted[model.config.start_audio_token] = 100.0
    bias.assign(tempted)
    ids, mask = texts(6)
    made = generate_codes(model, voice(), ids, mask, GREEDY, 0, 10)
    bias.assign(before)
    assert made.codes[0].max() < CODES


def test_repetition_penalty_acts_on_generated_codes(never_stopping):
    ids, mask = texts(7)
    plain = generate_codes(never_stopping, voice(), ids, mask, GREEDY, 0, 18).codes[0]
    strict = SynthesisConfig(temperature=0, repetition_penalty=1e6)
    penalised = generate_codes(never_stopping, voice(), ids, mask, strict, 0, 18).codes[0]
    assert plain[0] == penalised[0]  # nothing has been generated yet
    assert len(set(penalised.tolist())) > len(set(plain.tolist()))


def test_one_trace_serves_all_texts_of_a_bucket(model):
    if engine != "tensorflow":
        pytest.skip("of the compiled loop")
    generate_codes(model, voice(), *texts(5, 6), RANDOM, 0, 10)
    before = trace_count()
    for lengths, settings, limit in (((30, 8), RANDOM, 60), ((5, 31), GREEDY, 20), ((9, 9), SynthesisConfig(top_k=3), 7)):
        generate_codes(model, voice(), *texts(*lengths), settings, 1, limit)
    assert trace_count() == before
    generate_codes(model, voice(), *texts(9, 9, 9), RANDOM, 0, 10)
    after_three = trace_count()
    assert after_three == before + 1
    generate_codes(model, voice(), *texts(9, 9, 9, 9), RANDOM, 0, 10)
    assert trace_count() == after_three  # three rows were padded to four


def test_a_change_of_precision_is_heard(never_stopping):
    """The compiled loop computes in what the network was set to last, there and back."""
    if engine != "tensorflow":
        pytest.skip("of the compiled loop")
    model, given = never_stopping, (voice(), *texts(7), GREEDY, 0, 12)
    exact = generate_codes(model, *given)
    set_precision(model.gpt, "bfloat16")
    rough = begin(model, *given)
    latents = rough.advance()[1]
    set_precision(model.gpt, "float32")
    assert rough.state.cache.keys[0].dtype == tf.bfloat16
    difference = np.abs(latents[:1, 0] - exact.latents[0][:1]).max()
    assert 1e-4 < difference < 0.2
    np.testing.assert_array_equal(generate_codes(model, *given).latents[0], exact.latents[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_codes": 0}, "max_codes must be at least"),
        ({"max_codes": 4, "min_codes": 5}, "max_codes must be at least min_codes"),
        ({"latents": voice(rows=2)}, r"latents must be \(1 or 3, latents, width\); got \(2, 3, 16\)"),
        ({"text_mask": np.ones((3, 4), bool)}, r"got \(3, 6\) and \(3, 4\)"),
        ({"text_ids": np.ones((3, 51), int), "text_mask": np.ones((3, 51), bool)}, "51 tokens exceeds model.gpt.max_text_tokens"),
    ],
)
def test_what_does_not_fit_is_named(model, change, message):
    ids, mask = texts(6, 6, 6)
    arguments = {"latents": voice(), "text_ids": ids, "text_mask": mask, "settings": GREEDY, "seed": 0, "max_codes": 9}
    with pytest.raises(DataError, match=message):
        generate_codes(model, **{**arguments, **change})


COMPATIBLE = SynthesisConfig(temperature=0, repetition_penalty=1, coqui_compatible=True)


def test_coqui_compatible_penalises_code_1_and_start_from_the_first_step(never_stopping):
    """A code with the highest logit is drawn first, unless it is one of the reference's placeholders."""
    bias, ids_mask = never_stopping.gpt.audio_head.bias, texts(6)
    before = np.asarray(bias).copy()
    for favourite, penalised in ((1, True), (2, False), (never_stopping.config.start_audio_token, True)):
        changed = before.copy()
        changed[favourite] = 100.0
        bias.assign(changed)
        strict = COMPATIBLE.model_copy(update={"repetition_penalty": 1e6})
        made = [generate_codes(never_stopping, voice(), *ids_mask, settings, 0, 1).codes[0][0] for settings in (COMPATIBLE, strict)]
        bias.assign(before)
        assert made[0] == favourite  # [START] too may be drawn
        assert (made[1] != favourite) == penalised


def test_sound_codes_are_those_that_the_audio_tokenizer_has(never_stopping):
    """[START] may be drawn, and is none of them."""
    model = never_stopping
    bias = model.gpt.audio_head.bias
    before = np.asarray(bias).copy()
    tempted = before.copy()
    tempted[model.config.start_audio_token] = 3.0
    bias.assign(tempted)
    settings = SynthesisConfig(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1, coqui_compatible=True)
    made = generate_codes(model, voice(), *texts(6, 9), settings, [1, 2], 20)
    bias.assign(before)
    for codes, sound in zip(made.codes, made.sound_codes, strict=True):
        assert model.config.start_audio_token in codes and 0 < len(sound) < len(codes)
        assert sound.tolist() == [code for code in codes if code != model.config.start_audio_token]
        assert model.dvae.decode(sound[None]).shape[1] == len(sound) * model.config.dvae.frames_per_code


def test_coqui_compatible_keeps_the_latent_that_predicted_stop(model):
    undo = stop_bias(model, 100.0)
    ids, mask = texts(6)
    ours, theirs = (generate_codes(model, voice(), ids, mask, s, 0, max_codes=9, min_codes=4) for s in (GREEDY, COMPATIBLE))
    at_limit = generate_codes(model, voice(), ids, mask, COMPATIBLE, 0, max_codes=4, min_codes=4)
    undo()
    assert (at_limit.stopped[0], len(at_limit.latents[0])) == (True, 4)
    assert len(ours.codes[0]) == len(theirs.codes[0]) == len(ours.latents[0]) == 4
    assert len(theirs.latents[0]) == 5
    fed = np.array([[model.config.start_audio_token, *theirs.codes[0]]], np.int32)
    whole = np.array(model.gpt(voice(), ids, mask, fed, np.ones(fed.shape, bool)).audio_latents)[0]
    np.testing.assert_allclose(theirs.latents[0], whole, atol=2e-5)
