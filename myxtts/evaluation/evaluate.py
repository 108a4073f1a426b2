"""How good a model is: held-out sentences recorded, copied by the audio tokenizer and the decoder, and spoken by the whole model.

N samples, S codes, T text tokens, F frames, M mel bands. Each kind of audio is bounded by the one before it: the recording bounds
the copies, and the copies bound the speech, so that the metrics of all of them show which network loses what.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.audio import wave as wave_io
from myxtts.audio.mel import dvae_mel, log_mel_numpy
from myxtts.audio.recognition import heard_phones
from myxtts.config import DataError, XTTSConfig
from myxtts.config.stages import KINDS
from myxtts.data.bars import bar
from myxtts.data.manifest import Utterance, write_json
from myxtts.evaluation.alignment import alignment_head
from myxtts.evaluation.choice import SPEECH_OF, Chosen, choose_sentences
from myxtts.evaluation.metrics import METRICS
from myxtts.evaluation.pictures import draw_spectrograms
from myxtts.evaluation.yardstick import followed
from myxtts.synthesis.compiled import trace_count
from myxtts.synthesis.generate import longest_generation
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice

ALIGNED = 16  # clips by which the head that follows the text is found
PICTURED = ("ground_truth", "copy", *SPEECH_OF.values())


@dataclass
class Row:
    """One evaluated sentence. `omitted` says for each metric (or kind of audio) that could not be had, why."""

    utterance: Utterance
    reference: Utterance
    speech: str = "speech"  # the kind of audio that its spoken sentence is
    waves: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    omitted: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    codes: int = 0
    speech_seconds: float = 0.0
    work_seconds: float = 0.0
    files: list[str] = field(default_factory=list)
    heard: str = ""  # phones that the recogniser heard in the speech, where it knows the language


def evaluate(config: XTTSConfig, synthesizer: Synthesizer, processed: Path, out: Path, seed: int) -> dict[str, float]:
    """Measures `evaluate.num_sentences` held-out clips, spread over languages and speakers, and writes a report.

    processed: a prepared data set (metadata_*.csv, wavs/). Into `out`: README.md, samples.json (every sentence with its metrics,
    and the reason for what was not measured), and for the first `evaluate.num_logged` sentences audio/*.wav and pictures/*.png.
    Where it has clips of speakers that were never trained on, as many sentences of these are spoken besides: speech_unseen_speaker.
    Returns the means, `<kind>/<metric>` (KINDS, METRICS), `speech/stopped_share`, `speech/real_time_factor` (without
    compilation), `speech/length_ratio`, `sentences` and `sentences_unseen_speaker`. Deterministic for one seed, but for the real time
    factor. Raises DataError if there is nothing to evaluate.
    """
    chosen = choose_sentences(processed, config.evaluate.num_sentences, seed)
    if not any(item.speech == "speech" for item in chosen):
        raise DataError(f"{processed} has no evaluation clips (metadata_eval.csv is empty): raise prepare.eval_fraction, or add some")
    voices, logged = _Voices(synthesizer, processed), Counter()
    aligned = _alignment(synthesizer, processed, chosen, voices)
    synthesizer.engine.alignment_head = followed(aligned)
    synthesizer.engine.prepare(config.synthesis)
    results = []
    for item in bar(chosen, "evaluate", "sentence"):
        row = _evaluate_row(config, synthesizer, processed, item, voices, seed)
        logged[item.speech] += 1
        if logged[item.speech] <= config.evaluate.num_logged:
            _write_media(row, out, synthesizer.sample_rate)
        row.waves.clear()
        results.append(row)
    means = _means(results) | aligned
    _write_report(config, results, means, out, seed)
    return means


class _Voices:
    """The voice for a sentence; a reference that serves several sentences is heard once."""

    def __init__(self, synthesizer: Synthesizer, processed: Path):
        self.synthesizer, self.processed = synthesizer, processed
        self.known: dict[str, Voice] = {}

    def of(self, reference: Utterance) -> Voice:
        if reference.id not in self.known:
            self.known[reference.id] = self.synthesizer.voice(self.processed / reference.audio)
        return self.known[reference.id]


def _evaluate_row(config: XTTSConfig, synthesizer: Synthesizer, processed: Path, chosen: Chosen, voices: _Voices, seed: int) -> Row:
    voice = voices.of(chosen.reference)
    row = Row(chosen.utterance, chosen.reference, chosen.speech)
    wave = wave_io.load(processed / chosen.utterance.audio, synthesizer.sample_rate)[0]
    row.waves["ground_truth"] = wave
    if chosen.speech == "speech":  # copies bound it; those of other speakers would say the same of the same networks
        _copy(row, config, synthesizer, voice, seed)
    try:
        _speak(row, config, synthesizer, voice, seed)
    except DataError as error:
        row.omitted[row.speech] = str(error)
    _measure(row, synthesizer.sample_rate)
    return row


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
    wave = row.waves["ground_truth"]
    codes = clip_codes(synthesizer, wave)
    row.waves["copy"] = _fit(synthesizer.vocode_codes(codes, config.synthesis.griffin_lim_iterations, seed), len(wave))
    try:
        row.waves["decoder_copy"] = _fit(decoder_copy(synthesizer, row.utterance, codes, voice), len(wave))
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
    row.waves[row.speech] = speech.waveform
    row.stopped, row.codes = speech.stopped, sum(map(len, speech.codes))
    row.speech_seconds, row.work_seconds = speech.seconds, speech.timings["total"]
    row.metrics[f"{row.speech}/length_ratio"] = speech.seconds / (len(row.waves["ground_truth"]) / synthesizer.sample_rate)


def _measure(row: Row, sample_rate: int) -> None:
    """Every metric on every kind of audio, as far as it can judge that."""
    truth = row.waves["ground_truth"]
    if row.speech in row.waves and row.utterance.language in METRICS["phone_error_rate"].languages:
        with contextlib.suppress(DataError):  # not installed: the metric says so
            row.heard = heard_phones(row.waves[row.speech], sample_rate)
    for name, metric in METRICS.items():
        if metric.languages and row.utterance.language not in metric.languages:
            row.omitted[name] = f"{name} judges {', '.join(metric.languages)}; this sentence is {row.utterance.language}"
            continue
        for kind, wave in row.waves.items():
            if kind == "ground_truth" and (metric.needs == "reference" or row.speech != "speech"):
                continue
            if kind == row.speech and metric.copies_only:
                continue
            try:
                if metric.needs == "text":
                    value = metric.function(wave, sample_rate, row.utterance.normalized)
                else:
                    value = metric.function(wave, truth, sample_rate, aligned=kind == row.speech)
            except DataError as error:
                row.omitted[f"{kind}/{name}"] = str(error)
            else:
                row.metrics[f"{kind}/{name}"] = value


def _fit(wave: np.ndarray, samples: int) -> np.ndarray:
    """A copy is up to one code longer than its original: cut, or filled with silence, to (samples,)."""
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def _means(rows: list[Row]) -> dict[str, float]:
    """Means over the sentences that have the metric; shares and factors over all that were spoken."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.metrics.items():
            values[name].append(value)
    means = {name: float(np.mean(values[name])) for name in sorted(values)}
    for kind in SPEECH_OF.values():
        means |= _shares([row for row in rows if row.speech == kind], kind)
    return means


def _shares(rows: list[Row], kind: str) -> dict[str, float]:
    if not rows:
        return {}
    spoken = [row for row in rows if kind not in row.omitted]
    means = {f"{kind}/judged_share": _judged_share(rows, kind), f"{kind}/stopped_share": sum(row.stopped for row in spoken) / len(rows)}
    if kind == "speech" and (duration := sum(row.speech_seconds for row in spoken)):
        means["speech/real_time_factor"] = sum(row.work_seconds for row in spoken) / duration
    return means | {"sentences" + kind.removeprefix("speech"): len(rows)}


def _judged_share(rows: list[Row], kind: str = "speech") -> float:
    """Sentences that were spoken and judged by every metric, by all. Means are over what could be judged: a model could hide its failures.

    A metric that could judge none of them (its package is missing) says nothing of the model.
    """
    lacking = [{name for name in row.omitted if name == kind or name.startswith(f"{kind}/")} for row in rows]
    never = set.intersection(*lacking) - {kind}
    return sum(not names - never for names in lacking) / len(rows)


def _write_media(row: Row, out: Path, sample_rate: int) -> None:
    name = row.utterance.id
    for kind, wave in row.waves.items():
        if not len(wave):
            continue
        (out / "audio").mkdir(parents=True, exist_ok=True)
        wave_io.save(out / "audio" / f"{name}_{kind}.wav", wave, sample_rate)
        row.files.append(f"audio/{name}_{kind}.wav")
    panels = {kind: row.waves[kind] for kind in PICTURED if len(row.waves.get(kind, ())) > sample_rate // 20}
    try:
        draw_spectrograms(out / "pictures" / f"{name}.png", row.utterance.text, panels, sample_rate)
        row.files.append(f"pictures/{name}.png")
    except DataError as error:
        row.omitted["picture"] = str(error)


def _write_report(config: XTTSConfig, rows: list[Row], means: dict[str, float], out: Path, seed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = sorted({name for row in rows for name in row.metrics})
    samples = [_sample(row, names) for row in rows]
    write_json(out / "samples.json", samples)
    wave_io.write_atomically(out / "README.md", _readme(config, samples, means, seed).encode())


def _sample(row: Row, names: list[str]) -> dict[str, Any]:
    """A row of samples.json, the same keys in each: a metric that was not measured is null."""
    return {
        "id": row.utterance.id,
        "text": row.utterance.text,
        "normalized": row.utterance.normalized,
        "heard": row.heard,
        "language": row.utterance.language,
        "speaker": row.utterance.speaker,
        "set": row.utterance.split,
        "reference": row.reference.id,
        "stopped": row.stopped,
        "codes": row.codes,
        "speech_seconds": round(row.speech_seconds, 3),
        "work_seconds": round(row.work_seconds, 3),
        **{name: round(row.metrics[name], 4) if name in row.metrics else None for name in names},
        "omitted": row.omitted,
        "files": row.files,
    }


def _readme(config: XTTSConfig, samples: list[dict[str, Any]], means: dict[str, float], seed: int) -> str:
    """What lies in the folder and what the numbers mean, for someone who finds it without us."""
    settings = ", ".join(f"{name} {value}" for name, value in config.synthesis.model_dump().items())
    lines = [
        "# Evaluation",
        "",
        f"{len(samples)} held-out sentences, seed {seed}. Synthesis: {settings}.",
        "`set` of a sentence: `eval` = of speakers that were trained on, `eval_unseen_speaker` = of speakers that never were.",
        "",
        "Kinds of audio (`audio/<id>_<kind>.wav`; spectrograms of three of them in `pictures/<id>.png`):",
        "",
        *(f"- `{kind}`: {meaning}" for kind, meaning in KINDS.items()),
        "",
        "Metrics:",
        "",
        *(f"- `{name}` ({metric.unit}, {metric.better} is better): {metric.meaning}" for name, metric in METRICS.items()),
        "",
        "Besides: `judged_share`: sentences that were spoken and that every metric could judge; `stopped_share`: those that the model "
        "ended by itself; `length_ratio`: duration by the recording's, near 1 is "
        "right; `real_time_factor`: seconds of work for a second of speech, without compilation.",
        "",
        "| metric | mean |",
        "|---|---|",
        *(f"| `{name}` | {value:.4g} |" for name, value in means.items()),
        "",
        "Sentences (each one's metrics are in `samples.json`):",
        "",
        "| id | set | language | speaker | reference | text | stopped |",
        "|---|---|---|---|---|---|---|",
    ]
    for sample in samples:
        text = sample["text"].replace("|", "\\|")
        named = (sample[name] for name in ("id", "set", "language", "speaker", "reference"))
        cells = (*named, text, "yes" if sample["stopped"] else "no")
        lines.append(f"| {' | '.join(cells)} |")
    reasons = Counter((name, reason) for sample in samples for name, reason in sample["omitted"].items())
    if reasons:
        lines += ["", "Not measured:", ""]
        lines += [f"- `{name}` in {count} of {len(samples)}: {reason}" for (name, reason), count in sorted(reasons.items())]
    return "\n".join(lines) + "\n"
