"""What a user imports: bundle -> Synthesizer, recordings -> Voice, text -> Speech."""

import shutil

import numpy as np
import pytest

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import conditioning_mel, log_mel_numpy
from myxtts.config import DataError, ModelError, XTTSConfig
from myxtts.config.stages import SynthesisConfig
from myxtts.models.folder import bundle_files
from myxtts.synthesis import voice as voice_module
from myxtts.synthesis.engine import Engine
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.takes import max_codes
from myxtts.synthesis.texts import Piece
from myxtts.synthesis.voice import Voice, reference_mels
from myxtts.text.tokenizer import Tokenizer

RATE = 24000
TEXT = "Good morning! How are you? We like water."


@pytest.fixture(scope="module")
def synthesizer(bundle):
    return Synthesizer.load(bundle, whole=True)


def humming(seconds, pitch=120.0, seed=0):
    """A harmonic tone that wobbles, with breath."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (pitch * time + 3 * np.sin(2 * np.pi * 2 * time))
    tone = sum(np.sin(k * phase) / k for k in range(1, 15)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    return (0.1 * tone + 0.003 * np.random.default_rng(seed).normal(size=len(time))).astype(np.float32)


@pytest.fixture
def recording(tmp_path):
    def write(wave, name="clip.wav"):
        wave_io.save(tmp_path / name, wave, RATE)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def voice(synthesizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("voice") / "me.wav"
    wave_io.save(path, humming(1.0), RATE)
    return synthesizer.voice(path)


def code_lists(spoken):
    return [codes.tolist() for codes in spoken.codes]


# --- bundle


def test_a_loaded_bundle_speaks_like_the_model_that_was_saved(bundle, model, synthesizer, voice):
    original = Synthesizer(synthesizer.config, model, synthesizer.tokenizer)
    assert code_lists(original.speak(TEXT, voice, "en", seed=5)) == code_lists(synthesizer.speak(TEXT, voice, "en", seed=5))


@pytest.mark.parametrize("name", bundle_files())
def test_a_missing_file_is_named(bundle, tmp_path, name):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}:"):
        Synthesizer.load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere; it does not exist"):
        Synthesizer.load(tmp_path / "nowhere")


def test_a_tokenizer_of_another_training_is_refused(bundle, model, synthesizer):
    bigger = Tokenizer.train([(f"w{chr(97 + i)}{chr(97 + j)} " * 3, "en") for i in range(26) for j in range(26)], 300)
    with pytest.raises(ModelError, match=rf"tokenizer holds {bigger.size} tokens, the model embeds 96"):
        Synthesizer(synthesizer.config, model, bigger)


# --- voice


def test_voice_shapes(voice):
    assert voice.latents.shape == (1, 3, 16)
    assert voice.embedding.shape == (1, 18)
    assert np.linalg.norm(voice.embedding) == pytest.approx(1, abs=1e-5)


def test_a_voice_does_not_depend_on_the_level_of_the_recording(synthesizer, recording):
    clip = humming(1.2)
    plain, quiet, other = (synthesizer.voice(recording(wave)) for wave in (clip, clip * 0.4, humming(1.2, pitch=250)))
    difference = np.abs(plain.latents - other.latents).max()
    assert difference > 0.1
    assert np.abs(plain.latents - quiet.latents).max() < 0.02 * difference


def test_silence_around_a_recording_is_no_part_of_the_voice(synthesizer, recording):
    """A reference of 0.6 s behind a second of silence would otherwise be silence."""
    clip, silence = humming(1.2), np.zeros(RATE, np.float32)
    framed = voice_module._reference_wave(recording(np.concatenate([silence, clip, silence])), synthesizer.config)
    assert len(clip) <= len(framed) < len(clip) + 0.2 * RATE
    prompt, _ = voice_module.reference_mels(framed, synthesizer.config, synthesizer.model.mel_norm)
    assert (prompt[10:].max(axis=1) > prompt.max() - 3).all()


def test_several_recordings_are_averaged(synthesizer, recording):
    low, high = recording(humming(1.0), "low.wav"), recording(humming(1.0, pitch=250), "high.wav")
    one, two, both = synthesizer.voice(low), synthesizer.voice(str(high)), Voice.from_audio([low, high], synthesizer)
    np.testing.assert_allclose(both.latents, (one.latents + two.latents) / 2, atol=1e-5)
    np.testing.assert_allclose(both.embedding, (one.embedding + two.embedding) / 2, atol=1e-5)


def joining(synthesizer, seconds):
    """The same model, with `synthesis.reference_seconds`."""
    values = synthesizer.config.to_dict()
    values["synthesis"]["reference_seconds"] = seconds
    return Synthesizer(XTTSConfig.from_dict(values), synthesizer.model, synthesizer.tokenizer)


def test_reference_seconds_cuts_joined_recordings_into_pieces(synthesizer):
    """1.0 s and 1.1 s in pieces of 0.6 s: three whole ones, and 0.3 s too short to count; or 1.6 s: two, and one of 0.4 s."""
    waves = [humming(1.0)[:22050], humming(1.1, pitch=250)[: int(1.1 * 22050)]]
    for seconds, lengths in ((30.0, [0.6, 0.6, 0.6]), (1.6, [0.6, 0.6, 0.4]), (0.5, [0.5])):
        config = joining(synthesizer, seconds).config
        prompts, speakers = voice_module.joined_mels(waves, config, synthesizer.model.mel_norm)
        assert [len(prompt) for prompt in prompts] == [1 + int(length * 22050) // 256 for length in lengths]
        assert [len(mel) for mel in speakers] == [101, 111]  # each recording whole
    joined = np.concatenate(waves)[int(0.6 * 22050) : 2 * int(0.6 * 22050)]
    middle = log_mel_numpy(joined, conditioning_mel(config.model.audio)) / synthesizer.model.mel_norm
    prompts, _ = voice_module.joined_mels(waves, joining(synthesizer, 30.0).config, synthesizer.model.mel_norm)
    np.testing.assert_allclose(prompts[1], middle, atol=1e-5)


def test_of_each_joined_recording_the_first_thirty_seconds_count(synthesizer):
    """For the latents as for the speaker embedding."""
    long = np.random.default_rng(0).normal(size=31 * 22050).astype(np.float32) * 0.1
    short = long[: 22050 // 2]
    config, norm = joining(synthesizer, 3600.0).config, synthesizer.model.mel_norm
    found, expected = (voice_module.joined_mels([wave, short], config, norm) for wave in (long, long[: 30 * 22050]))
    for mine, wanted in zip(found, expected, strict=True):
        assert len(mine) == len(wanted) and all(map(np.array_equal, mine, wanted))


def test_a_voice_of_joined_recordings_is_the_mean_over_the_pieces(synthesizer, recording):
    paths = [recording(humming(0.9), "low.wav"), recording(humming(1.0, pitch=250), "high.wav")]
    other = joining(synthesizer, 30.0)
    voice = other.voice(paths)
    waves = [voice_module._reference_wave(path, other.config) for path in paths]
    prompts, speakers = voice_module.joined_mels(waves, other.config, other.model.mel_norm)
    assert len(prompts) == 3
    latents = np.mean([np.asarray(other.model.gpt.condition(prompt[None])) for prompt in prompts], axis=0)
    np.testing.assert_allclose(voice.latents, latents, atol=1e-6)
    embeddings = [np.asarray(other.model.speaker_encoder(mel[None])) for mel in speakers]
    np.testing.assert_allclose(voice.embedding, np.mean(embeddings, axis=0), atol=1e-6)
    assert np.abs(voice.latents - synthesizer.voice(paths).latents).max() > 0.01


def test_reference_mels_are_as_long_as_in_training(synthesizer):
    config, norm = synthesizer.config, synthesizer.model.mel_norm
    for seconds in (0.45, 0.6, 2.0):
        prompt, speaker = reference_mels(humming(seconds), config, norm)
        assert prompt.shape == (1 + int(0.6 * 22050) // 256, 20)
        assert speaker.shape == (1 + int(0.6 * 16000) // 160, 64)
    doubled = reference_mels(humming(0.6), config, 2 * norm)[0]
    np.testing.assert_allclose(2 * doubled, reference_mels(humming(0.6), config, norm)[0], rtol=1e-5)


@pytest.mark.parametrize("wave", [humming(0.3), np.zeros(RATE, np.float32)], ids=["short", "silent"])
def test_too_little_sound_is_an_error(synthesizer, recording, wave):
    with pytest.raises(DataError, match=r"clip.wav holds 0\.[0-3]\d s of sound; a voice needs at least 0\.4 s"):
        synthesizer.voice(recording(wave))


def test_no_recording_is_an_error(synthesizer, tmp_path):
    with pytest.raises(DataError, match="at least one recording"):
        synthesizer.voice([])
    with pytest.raises(DataError, match=r"missing\.wav"):
        synthesizer.voice(tmp_path / "missing.wav")


# --- speech


def test_sentences_fill_the_waveform_with_pauses_between(synthesizer, voice):
    spoken = synthesizer.speak(TEXT, voice, "en", seed=1)
    assert [sentence.text for sentence in spoken.sentences] == ["good morning!", "how are you?", "we like water."]
    assert spoken.sample_rate == RATE
    assert spoken.waveform.dtype == np.float32
    assert 0.01 < np.abs(spoken.waveform).max() <= 1
    assert spoken.sentences[0].start == 0
    assert spoken.sentences[-1].end == pytest.approx(spoken.seconds)
    for before, after in zip(spoken.sentences[:-1], spoken.sentences[1:], strict=True):
        assert after.start - before.end == pytest.approx(SynthesisConfig().pause_seconds)
        gap = spoken.waveform[round(before.end * RATE) : round(after.start * RATE)]
        assert len(gap) == SynthesisConfig().pause_seconds * RATE
        assert not gap.any()
    for sentence in spoken.sentences:
        expected = (len(sentence.codes) * 4 - 1) * 256 / 22050  # frames between the first and the last of the mel
        assert sentence.end - sentence.start == pytest.approx(expected, abs=2e-4)


def test_seed_decides_and_neighbours_do_not(synthesizer, voice):
    whole, again = (synthesizer.speak(TEXT, voice, "en", seed=1) for _ in range(2))
    np.testing.assert_array_equal(whole.waveform, again.waveform)
    assert code_lists(synthesizer.speak("How are you?", voice, "en", seed=1)) == code_lists(whole)[1:2]
    assert code_lists(synthesizer.speak(TEXT, voice, "en", seed=2)) != code_lists(whole)


def test_more_sentences_than_one_batch(synthesizer, voice):
    text = "We like water. " * (SynthesisConfig().batch_size + 2)
    spoken = synthesizer.speak(text, voice, "en")
    assert len(spoken.sentences) == SynthesisConfig().batch_size + 2
    assert len({tuple(codes) for codes in code_lists(spoken)}) == 1  # one seed: the same sentence is the same everywhere


def test_persian_is_spoken_with_its_own_letters(synthesizer, voice):
    spoken = synthesizer.speak("سلام! من به مدرسه می‌روم.", voice, "fa")
    assert [sentence.text for sentence in spoken.sentences] == ["سلام!", "من به مدرسه می‌روم."]


def test_settings_override_those_of_the_bundle(synthesizer, voice):
    greedy = synthesizer.config.synthesis.model_copy(update={"temperature": 0.0})
    first, second = (synthesizer.speak("We like water.", voice, "en", seed, greedy) for seed in (1, 2))
    assert code_lists(first) == code_lists(second)


def test_the_decoder_vocodes_latents(synthesizer, voice):
    settings = synthesizer.config.synthesis.model_copy(update={"vocoder": "decoder"})
    spoken = synthesizer.speak("We like water.", voice, "en", 1, settings)
    assert code_lists(spoken) == code_lists(synthesizer.speak("We like water.", voice, "en", 1))
    assert len(spoken.waveform) == synthesizer.model.decoder.output_samples(len(spoken.codes[0]))
    other = Voice(voice.latents, -voice.embedding)
    assert np.abs(synthesizer.speak("We like water.", other, "en", 1, settings).waveform - spoken.waveform).max() > 0


def test_vocoded_codes_have_the_mel_that_they_stand_for(synthesizer):
    from myxtts.audio.mel import dvae_mel, log_mel_numpy

    model = synthesizer.model
    model.dvae.to_mel.bias.assign(np.full(20, -4.0))  # times mel_norm: a fall over the bands
    codes = np.random.default_rng(0).integers(0, 20, 12).astype(np.int32)
    wave = synthesizer.vocode_codes(codes, iterations=16)
    assert np.abs(wave).max() <= 1
    config = dvae_mel(synthesizer.config.model.audio)
    heard = log_mel_numpy(wave_io.resample(wave, RATE, 22050), config)[2:45]
    meant = (np.asarray(model.dvae.decode(codes[None]))[0] * model.mel_norm)[2:45]
    difference = heard - meant
    difference -= difference.mean()  # the wave was scaled to full scale
    model.dvae.to_mel.bias.assign(np.zeros(20))
    assert np.abs(meant - meant.mean()).mean() > 0.8
    assert np.abs(difference).mean() < 0.4


def test_codes_that_are_no_sound_are_left_out_of_a_wave(synthesizer):
    codes, start = np.arange(8, dtype=np.int32), synthesizer.config.model.start_audio_token
    marked = np.insert(codes, 3, start)
    np.testing.assert_array_equal(synthesizer.vocode_codes(marked, iterations=1), synthesizer.vocode_codes(codes, iterations=1))


def test_a_long_sentence_is_divided_into_what_the_model_can_speak(synthesizer):
    """50 text tokens and 88 codes (4.1 s) are the limits here."""
    clause = "the lazy dog jumps over the fox"
    pieces = synthesizer.prepare_text(f"{clause}, {clause}, {clause}, {clause}.", "en")
    assert " ".join(pieces) == f"{clause}, {clause}, {clause}, {clause}."
    assert all(piece.endswith((",", ".")) for piece in pieces)  # cut at the clause marks
    letters = synthesizer.prepare_text("water" * 40, "en")
    assert "".join(letters) == "water" * 40
    for piece in pieces + letters:
        assert len(synthesizer.text_ids(piece, "en")) <= 50
        assert len(piece) * 17 / 250 <= 0.75 * 88 / synthesizer.config.model.codes_per_second


def test_lines_and_initials_decide_sentences_before_case_is_lost(synthesizer):
    assert synthesizer.prepare_text("Good morning\nMr. J. Fox likes dogs.", "en") == ["good morning", "mister j. fox likes dogs."]


def test_timings_and_save(synthesizer, voice, tmp_path):
    spoken = synthesizer.speak("We like water.", voice, "en")
    assert set(spoken.timings) == {"text", "generate", "vocode", "total"}
    parts = spoken.timings["text"] + spoken.timings["generate"] + spoken.timings["vocode"]
    assert spoken.timings["total"] == pytest.approx(parts)
    assert spoken.real_time_factor == pytest.approx(spoken.timings["total"] / spoken.seconds)
    spoken.save(tmp_path / "out.wav")
    wave, rate = wave_io.load(tmp_path / "out.wav")
    assert rate == RATE
    np.testing.assert_allclose(wave, spoken.waveform, atol=1e-4)


def test_stopped_tells_of_any_cut_sentence(synthesizer, voice):
    bias = synthesizer.model.gpt.audio_head.bias
    before = np.asarray(bias).copy()
    for value, stopped in ((-100.0, False), (100.0, True)):
        changed = before.copy()
        changed[synthesizer.config.model.stop_audio_token] = value
        bias.assign(changed)
        synthesizer.engine = Engine(synthesizer.model)  # a new one, for it copies the weights
        spoken = synthesizer.speak("We like water.", voice, "en")
        assert spoken.stopped is stopped
        assert len(spoken.codes[0]) == (1 if stopped else limit(synthesizer, "we like water.", "en"))
    bias.assign(before)
    synthesizer.engine = Engine(synthesizer.model)


def limit(synthesizer, text, language):
    return max_codes(synthesizer, Piece(text, language), SynthesisConfig())


def test_the_guard_grows_with_the_text(synthesizer):
    per_second = synthesizer.config.model.codes_per_second
    assert limit(synthesizer, "a" * 5, "en") == pytest.approx(3 * per_second, abs=2)  # 2 s, and 3 * 17 / 250 s a letter
    assert limit(synthesizer, "a", "en") < limit(synthesizer, "a" * 5, "en") < limit(synthesizer, "好" * 5, "zh-cn")
    assert limit(synthesizer, "a" * 500, "en") == 88


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("Good Ω or Я?", "en", r"does not know 'ω' \(U\+03C9\), 'я' \(U\+044F\), first in 'good ω or я\?' .*: remove"),
        ("hello", "de", r"this model speaks en, fa; it was not trained on 'de'"),
        ("hello", "klingon", r"this model speaks en, fa; it was not trained on 'klingon'"),
        ("", "en", "nothing to speak in ''"),
        ("  ?! ", "en", r"nothing to speak"),
    ],
)
def test_what_cannot_be_spoken_is_named(synthesizer, voice, text, language, message):
    with pytest.raises(DataError, match=message):
        synthesizer.speak(text, voice, language)
