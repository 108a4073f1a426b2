"""How good a model is: held-out sentences recorded, copied by the audio tokenizer and the decoder, and spoken by the whole model.

N samples, S codes, T text tokens, F frames, M mel bands, D numbers of an embedding. Each kind of audio is bounded by the one before it: the
recording bounds the copies, and the copies bound the speech, so that the metrics of all of them show which network loses what. What another
system has spoken, a folder of files, is measured with the same ruler.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.config import DataError, XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.engines import cores
from myxtts.data.manifest import Utterance
from myxtts.evaluation.alignment import alignment_head
from myxtts.evaluation.choice import Chosen, choose_sentences
from myxtts.evaluation.report import write_media, write_report
from myxtts.evaluation.rows import Row, measure
from myxtts.evaluation.sound import Sound
from myxtts.evaluation.summary import flat, shares, summarise
from myxtts.evaluation.yardstick import followed
from myxtts.synthesis.compiled import trace_count
from myxtts.synthesis.generate import longest_generation
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice

ALIGNED = 16  # clips by which the head that follows the text is found
AT_ONCE = 16  # sentences whose audio is in memory together
SPOKEN_FORMATS = (".wav", ".flac", ".ogg", ".opus", ".mp3")
Fill = Callable[[Row], None]  # adds the kinds of audio that a system makes of a row's sentence


def evaluate(
    config: XTTSConfig, synthesizer: Synthesizer, processed: Path, out: Path, seed: int, texts: Path | None = None
) -> dict[str, float]:
    """Measures `evaluate.num_sentences` held-out clips, spread over languages and speakers, and the other sets; writes a report.

    processed: a prepared data set (metadata_*.csv, wavs/). texts: the folder of the texts of `evaluate.sets`. Into `out`: README.md,
    samples.json (every sentence with its metrics, and the reason for what was not measured), summary.json (means with their intervals),
    and for the first `evaluate.num_logged` sentences of each set audio/*.wav and pictures/*.png; beside it `<out>.html`, a page with all
    of it.
    Where it has clips of speakers that were never trained on, as many sentences of these are spoken besides: speech_unseen_speaker.
    Returns the means, `<kind>/<metric>` and `<kind>/<language>/<metric>` (KINDS, METRICS), `speech/stopped_share`,
    `speech/real_time_factor` (without compilation), `speech/length_ratio`, `sentences` and `sentences_unseen_speaker`. Deterministic for
    one seed, but for the real time factor. Raises DataError if there is nothing to evaluate.
    """
    chosen = choose(config, processed, seed, texts)
    voices = _Voices(synthesizer, processed)
    aligned = _alignment(synthesizer, processed, chosen, voices)
    synthesizer.engine.alignment_head = followed(aligned)
    synthesizer.engine.prepare(config.synthesis)

    def fill(row: Row) -> None:
        voice = voices.of(row.reference)
        if row.speech == "speech":  # copies bound it; those of other speakers would say the same of the same networks
            _copy(row, config, synthesizer, voice, seed)
        try:
            _speak(row, config, synthesizer, voice, seed)
        except DataError as error:
            row.omitted[row.speech] = str(error)

    settings = ", ".join(f"{name} {value}" for name, value in config.synthesis.model_dump().items())
    return _evaluate(config, chosen, processed, out, seed, synthesizer.sample_rate, fill, f"Synthesis: {settings}.", aligned)


def evaluate_folder(config: XTTSConfig, folder: Path, processed: Path, out: Path, seed: int, texts: Path | None = None) -> dict[str, float]:
    """The same of what any system has spoken: `folder/<id>.wav` (or another of SPOKEN_FORMATS) for the sentences of `sentences`.

    A sentence without a file counts as not spoken. There are no copies, no stopped_share of meaning (all count as stopped) and no real
    time factor. Raises DataError if there is nothing to evaluate, or no file of any of the sentences.
    """
    chosen, rate = choose(config, processed, seed, texts), config.model.audio.output_sample_rate
    files = {path.stem: path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in SPOKEN_FORMATS} if folder.is_dir() else {}
    if not any(item.utterance.id in files for item in chosen):
        raise DataError(
            f"{folder} holds no file of the {len(chosen)} sentences: expected names such as {chosen[0].utterance.id}.wav "
            f"({', '.join(SPOKEN_FORMATS)}); myxtts evaluate --list writes the sentences, and whose voice each is in"
        )

    def fill(row: Row) -> None:
        if row.utterance.id not in files:
            row.omitted[row.speech] = f"no file {row.utterance.id}.wav"
            return
        _spoken(row, wave_io.load(files[row.utterance.id], rate)[0], rate)
        row.stopped = True

    return _evaluate(config, chosen, processed, out, seed, rate, fill, f"Spoken by another system: files of {Path(folder).name}.")


def choose(config: XTTSConfig, processed: Path, seed: int, texts: Path | None) -> list[Chosen]:
    """The sentences of an evaluation. Raises DataError where there are none."""
    chosen = choose_sentences(processed, config.evaluate, seed, texts)
    if not any(item.speech == "speech" for item in chosen):
        raise DataError(f"{processed} has no evaluation clips (metadata_eval.csv is empty): raise prepare.eval_fraction, or add some")
    return chosen


def _evaluate(
    config: XTTSConfig,
    chosen: Sequence[Chosen],
    processed: Path,
    out: Path,
    seed: int,
    rate: int,
    fill: Fill,
    made_by: str,
    found: Mapping[str, float] | None = None,
) -> dict[str, float]:
    recordings = _Recordings(processed, rate)
    known = _known_voices(chosen, recordings)
    numbers, rows = Counter(), []
    with ThreadPoolExecutor(cores()) as judges, bar(None, "evaluate", "sentence", len(chosen)) as progress:
        for start in range(0, len(chosen), AT_ONCE):  # judged after they are spoken, so that the judges cost the speech no time
            made = [_made(item, recordings, fill) for item in chosen[start : start + AT_ONCE]]
            for row in made:
                row.number = numbers[row.speech]
                numbers[row.speech] += 1
            jobs = [judges.submit(measure, row, config.evaluate, _without(known, row.utterance)) for row in made]
            for row, job in zip(made, jobs, strict=True):
                job.result()
                if row.number < config.evaluate.num_logged:
                    write_media(row, out, rate)
                row.sounds.clear()
                progress.update()
            rows += made
    lines = summarise(rows, seed)
    means = flat(lines) | shares(rows) | dict(found or {})
    write_report(rows, lines, means, out, seed, made_by)
    return means


def _made(item: Chosen, recordings: "_Recordings", fill: Fill) -> Row:
    row = Row(item.utterance, item.reference, item.speech)
    if row.recorded:
        row.sounds["ground_truth"] = recordings.of(row.utterance)
    else:
        row.voice = recordings.of(row.reference)
    fill(row)
    return row


class _Recordings:
    """Recordings by clip; what was heard in one that serves several sentences is kept."""

    def __init__(self, processed: Path, rate: int):
        self.processed, self.rate = processed, rate
        self._embedded: dict[str, np.ndarray | None] = {}

    def of(self, utterance: Utterance) -> Sound:
        sound = Sound(wave_io.load(self.processed / utterance.audio, self.rate)[0], self.rate, utterance.language)
        if (known := self._embedded.get(utterance.audio)) is not None:
            sound.embedding = known
        return sound

    def embedding(self, utterance: Utterance) -> np.ndarray | None:
        """(D,), or None where the clip is too short or the network is missing."""
        if utterance.audio not in self._embedded:
            try:
                self._embedded[utterance.audio] = self.of(utterance).embedding
            except DataError:
                self._embedded[utterance.audio] = None
        return self._embedded[utterance.audio]


def _known_voices(chosen: Sequence[Chosen], recordings: _Recordings) -> dict[str, dict[str, np.ndarray]]:
    """Of each speaker the embeddings of its evaluated and reference clips, by their audio."""
    known: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for utterance in (row for item in chosen for row in (item.utterance, item.reference) if row.audio):
        embedding = recordings.embedding(utterance)
        if embedding is not None:
            known[utterance.speaker][utterance.audio] = embedding
    return known


def _without(known: dict[str, dict[str, np.ndarray]], utterance: Utterance) -> dict[str, np.ndarray]:
    """The mean voice of each speaker, this sentence's own recording left out; a speaker of whom nothing is left is left out."""
    voices = {}
    for speaker, clips in known.items():
        others = [embedding for audio, embedding in clips.items() if audio != utterance.audio]
        if others:
            mean = np.mean(others, axis=0)
            voices[speaker] = mean / np.linalg.norm(mean)
    return voices


class _Voices:
    """The voice for a sentence; a reference that serves several sentences is heard once."""

    def __init__(self, synthesizer: Synthesizer, processed: Path):
        self.synthesizer, self.processed = synthesizer, processed
        self.known: dict[str, Voice] = {}

    def of(self, reference: Utterance) -> Voice:
        if reference.id not in self.known:
            self.known[reference.id] = self.synthesizer.voice(self.processed / reference.audio)
        return self.known[reference.id]


def _alignment(synthesizer: Synthesizer, processed: Path, chosen: Sequence[Chosen], voices: _Voices) -> dict[str, float]:
    """The head that follows the text, found on the recordings themselves."""
    clips, longest = [], longest_generation(synthesizer.model)
    for item in [item for item in chosen if item.speech == "speech"][:ALIGNED]:
        codes = clip_codes(synthesizer, wave_io.load(processed / item.utterance.audio, synthesizer.sample_rate)[0])
        text = synthesizer.text_ids(item.utterance.normalized, item.utterance.language)
        if len(codes) <= longest and len(text) <= synthesizer.config.model.gpt.max_text_tokens:
            clips.append((np.array(text), codes, voices.of(item.reference)))
    return alignment_head(synthesizer, clips)


def _copy(row: Row, config: XTTSConfig, synthesizer: Synthesizer, voice: Voice, seed: int) -> None:
    truth = row.sounds["ground_truth"]
    codes = clip_codes(synthesizer, truth.wave)

    def add(kind: str, wave: np.ndarray) -> None:
        row.sounds[kind] = Sound(_fit(wave, len(truth.wave)), truth.sample_rate, truth.language)

    add("copy", synthesizer.vocode_codes(codes, config.synthesis.griffin_lim_iterations, seed))
    try:
        add("decoder_copy", decoder_copy(synthesizer, row.utterance, codes, voice))
    except DataError as error:
        row.omitted["decoder_copy"] = str(error)


def clip_codes(synthesizer: Synthesizer, wave: np.ndarray) -> np.ndarray:
    """Wave (N,) at the synthesizer's rate -> codes (S,) int32 of the audio tokenizer."""
    mel_config = dvae_mel(synthesizer.config.model.audio)
    mel = log_mel_numpy(wave_io.resample(wave, synthesizer.sample_rate, mel_config.sample_rate), mel_config)  # (F, M)
    return np.asarray(synthesizer.model.dvae.encode((mel / synthesizer.model.mel_norm)[None]))[0]


def decoder_copy(synthesizer: Synthesizer, utterance: Utterance, codes: np.ndarray, voice: Voice) -> np.ndarray:
    """Codes (S,) -> wave (N,), by the GPT's latents of the true codes and the decoder: what the decoder is trained to do.

    Raises DataError where text or codes exceed what the GPT was made for.
    """
    longest = longest_generation(synthesizer.model)
    if len(codes) > longest:
        raise DataError(f"the clip has {len(codes)} codes, the model takes {longest} (model.gpt.max_audio_tokens)")
    text = np.asarray([synthesizer.text_ids(utterance.normalized, utterance.language)], np.int32)  # (1, T)
    if text.shape[1] > (limit := synthesizer.config.model.gpt.max_text_tokens):
        raise DataError(f"the text has {text.shape[1]} tokens, the model takes {limit} (model.gpt.max_text_tokens)")
    fed = np.concatenate([[synthesizer.config.model.start_audio_token], codes[:-1]]).astype(np.int32)[None]  # (1, S)
    output = synthesizer.model.gpt(voice.latents, text, np.ones(text.shape, bool), fed, np.ones(fed.shape, bool))
    return synthesizer.vocode_latents(np.asarray(output.audio_latents)[0], voice)  # latents (S, D): the states that predict the codes


def _speak(row: Row, config: XTTSConfig, synthesizer: Synthesizer, voice: Voice, seed: int) -> None:
    utterance, traces = row.utterance, trace_count()
    speech = synthesizer.speak(utterance.text, voice, utterance.language, seed, config.synthesis)
    if trace_count() > traces:  # that call held compilation: once more for its time, the speech is the same
        speech = synthesizer.speak(utterance.text, voice, utterance.language, seed, config.synthesis)
    _spoken(row, speech.waveform, synthesizer.sample_rate)
    row.stopped, row.codes, row.work_seconds = speech.stopped, sum(map(len, speech.codes)), speech.timings["total"]


def _spoken(row: Row, wave: np.ndarray, rate: int) -> None:
    row.sounds[row.speech] = Sound(wave, rate, row.utterance.language)
    row.speech_seconds = len(wave) / rate
    if row.recorded:
        row.metrics[f"{row.speech}/length_ratio"] = row.speech_seconds / row.sounds["ground_truth"].seconds


def _fit(wave: np.ndarray, samples: int) -> np.ndarray:
    """A copy is up to one code longer than its original: cut, or filled with silence, to (samples,)."""
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))
