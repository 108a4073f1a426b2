"""MyXTTS's side: the same networks, weights and inputs as `peer.py`, and the same rows. Nothing here knows the reference's answers,
but for the codes that it happened to draw, whose probabilities are compared.
"""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import cases
import keras
import numpy as np
import soundfile
import tensorflow as tf
from cases import CHUNK_SECONDS, GENERATED, INPUT_RATE, REFERENCE_SECONDS, STREAM_CHUNK, STREAMED, TEXT_START, TEXT_STOP, Case
from keras import ops

from myxtts.audio.mel import conditioning_mel, dvae_mel, log_mel, speaker_mel
from myxtts.config import XTTSConfig
from myxtts.config.stages import GuardsConfig
from myxtts.models import coqui
from myxtts.models.hifigan import interpolate
from myxtts.models.xtts import XTTS, assign_weights
from myxtts.synthesis.generate import IMPOSSIBLE, begin, generate_codes, penalised_at_start
from myxtts.synthesis.guards import Guarded
from myxtts.synthesis.sampling import SamplingSettings, candidates
from myxtts.synthesis.stream import faded_chunks, latent_chunks
from myxtts.synthesis.voice import Voice
from myxtts.training.tasks.gpt import GPTTask, reference_sequences

GREEDY = {"temperature": 0.0}
UNGUARDED = GuardsConfig(duration_factor=None, repetition_seconds=None, tail_seconds=None)
SAMPLING = {"temperature": 3.0, "top_k": 12, "top_p": 0.85, "repetition_penalty": 5.0}


class Ours:
    """The model of one case. sampled_codes (1, S): what the reference drew."""

    voice_networks = ""

    def __init__(self, case: Case, sampled_codes: np.ndarray):
        self.case, self.sampled_codes = case, sampled_codes
        self.config = XTTSConfig.from_dict(
            {
                "model": case.model,
                "encode": {"prompt_seconds": CHUNK_SECONDS},
                "prepare": {"trim": "none", "loudness_lufs": None},
                "training": {"gpt": {"coqui_compatible": True}},
                "synthesis": {"vocoder": "decoder", "coqui_compatible": True, "reference_seconds": REFERENCE_SECONDS},
            }
        )
        self.model = XTTS(self.config.model)
        keys = ["mel_stats (80,)"]
        for component, theirs in coqui.names(self.config.model).items():
            keys += self._fill(component, theirs)
        self.model.mel_norm = cases.tensor(case.seed, "mel_stats", (80,))
        self.keys = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()

    def _fill(self, component: str, theirs: dict[str, coqui.Theirs]) -> list[str]:
        """Loads the case's weights into one network; returns "key shape" of each tensor, as the reference has them."""
        shapes = coqui.tensor_shapes(self.config.model, [component])[component]
        shapes = {theirs[name].key: coqui.their_shape(shape, theirs[name].layout) for name, shape in shapes.items()}
        state = {key: cases.tensor(self.case.seed, key, shape) for key, shape in shapes.items()}
        ours = {name: coqui.LAYOUTS[layout].to_ours(state[key]) for name, (key, layout) in theirs.items()}
        assign_weights(self.model.component(component), ours, Path("the case's weights"))
        return [f"{key} {shape}" for key, shape in shapes.items()]

    def settings(self, **changes):
        return self.config.synthesis.model_copy(update=changes)

    @cached_property
    def task(self) -> GPTTask:
        task = GPTTask(self.config, self.model, Path())
        task.start_id, task.stop_id = TEXT_START, TEXT_STOP
        return task

    @property
    def batch(self) -> dict[str, tf.Tensor]:
        """The case's batch with the first of its prompt spans."""
        return self.batches[0]

    @property
    def batches(self) -> list[dict[str, tf.Tensor]]:
        made = {name: tf.constant(value.astype(np.float32 if name == "prompt" else np.int32)) for name, value in self.case.batch.items()}
        return [{**made, "prompt_span": tf.constant(span.astype(np.int32))} for span in self.case.spans]

    @property
    def text(self) -> np.ndarray:
        """(1, T) with START and STOP."""
        return np.concatenate([[[TEXT_START]], self.case.text, [[TEXT_STOP]]], axis=1).astype(np.int32)


def _flat(parts: list) -> np.ndarray:
    return np.concatenate([np.asarray(part).ravel() for part in parts])


def mel_dvae(ours: Ours):
    config = dvae_mel(ours.config.model.audio)
    return _flat([log_mel(wave[None], config) / ours.model.mel_norm for wave in ours.case.waves])


def mel_conditioning(ours: Ours):
    config = conditioning_mel(ours.config.model.audio)
    return _flat([log_mel(wave[None], config) / ours.model.mel_norm for wave in ours.case.waves])


def mel_speaker(ours: Ours):
    config = speaker_mel(ours.config.model.speaker_encoder)
    return _flat([log_mel(wave[None], config) for wave in ours.case.waves])


def conditioning_encoder(ours: Ours):
    return ours.model.gpt.conditioning_encoder(ours.case.mel)


def perceiver(ours: Ours):
    return ours.model.gpt.perceiver(ours.case.uniform("frames", 2, 37, ours.config.model.gpt.dim))


def conditioning_latents(ours: Ours):
    return ours.model.gpt.condition(ours.case.mel)


def _training_pass(ours: Ours):
    made = reference_sequences(ours.batch, ours.config, TEXT_START, TEXT_STOP, prompt_masked=True)
    gpt = ours.model.gpt
    latents = gpt.condition(ours.batch["prompt"], training=True)
    return gpt(latents, made.text_ids, made.text_mask, made.audio_ids, made.audio_mask, training=True)


def train_text_logits(ours: Ours):
    logits = _training_pass(ours).text_logits
    return _flat([row[: length + 1] for row, length in zip(logits, ours.case.batch["text_lengths"], strict=True)])


def train_audio_logits(ours: Ours):
    logits = _training_pass(ours).audio_logits
    return _flat([row[: length + 4] for row, length in zip(logits, ours.case.batch["code_lengths"], strict=True)])


def train_losses(ours: Ours):
    terms = [ours.task.loss("gpt", batch, ours.task.targets(batch))[1] for batch in ours.batches]
    return _flat([[term["text_loss"], term["mel_loss"]] for term in terms])


def eval_losses(ours: Ours):
    texts = {f"wrong_{name}": ours.batch[name] for name in ("text_ids", "text_lengths")}  # compared with nothing here
    values = ours.task.validation(ours.batch | texts)
    return np.array([values[name][0] / values[name][1] for name in ("text_loss", "mel_loss")], np.float32)


def second_pass(ours: Ours):
    codes = ours.case.codes
    fed = np.concatenate([[[ours.config.model.start_audio_token]], codes[:, :-1]], axis=1).astype(np.int32)
    output = ours.model.gpt(ours.case.latents, ours.text, np.ones(ours.text.shape, bool), fed, np.ones(fed.shape, bool))
    return output.audio_latents


def dvae_codes(ours: Ours):
    return ours.model.dvae.encode(ours.case.dvae_mel)


def dvae_decode(ours: Ours):
    return ours.model.dvae.decode(ours.case.codes)


def dvae_codebook(ours: Ours):
    dvae = ours.model.dvae
    moved = [dvae.codebook, dvae.cluster_sum, dvae.cluster_size]
    before = [np.array(variable) for variable in moved]
    encoded = dvae.encode_vectors(ours.case.dvae_mel)
    codes = dvae.nearest_codes(encoded)
    counts, sums = dvae.codebook_statistics(encoded, codes, np.ones(codes.shape, bool))
    dvae.update_codebook(counts, sums, ops.reshape(encoded, (-1, encoded.shape[-1])), 0)
    after = _flat([np.array(variable) for variable in moved])
    for variable, value in zip(moved, before, strict=True):
        variable.assign(value)
    return after


def interpolation(ours: Ours):
    x = ours.case.speech_latents
    for scale in ours.model.decoder.scales:
        x = interpolate(x, scale)
    return x


def hifigan(ours: Ours):
    return ours.model.decoder(ours.case.speech_latents, ours.case.embedding)


def speaker_embedding(ours: Ours):
    return ours.model.speaker_encoder(log_mel(ours.case.wave("speaker", 21000)[None], speaker_mel(ours.config.model.speaker_encoder)))


def _voice(ours: Ours) -> Voice:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.wav" for number in range(2)]
        for path, wave in zip(paths, ours.case.recordings, strict=True):
            soundfile.write(path, wave, INPUT_RATE, subtype="PCM_16")
        return Voice.from_audio(paths, ours)  # which looks at `config`, `model` and `voice_networks`


def voice_latents(ours: Ours):
    return _voice(ours).latents


def voice_embedding(ours: Ours):
    return _voice(ours).embedding


def _arguments(ours: Ours, count: int) -> dict:
    """Exactly `count` codes: [STOP] neither before nor after."""
    mask = np.ones(ours.text.shape, bool)
    limits = {"seed": 0, "max_codes": count, "min_codes": count}
    return {"model": ours.model, "latents": ours.case.latents, "text_ids": ours.text, "text_mask": mask, **limits}


def greedy(ours: Ours, penalty: float = 1.0):
    settings = ours.settings(**GREEDY, repetition_penalty=penalty)
    return generate_codes(**_arguments(ours, GENERATED), settings=settings).codes[0]


def sampling_probabilities(ours: Ours):
    """The codes that the reference drew are fed; at each step, the whole distribution they were drawn from."""
    model, codes, settings = ours.config.model, ours.sampled_codes, ours.settings(**SAMPLING)
    fed = np.concatenate([[[model.start_audio_token]], codes[:, :-1]], axis=1)
    output = ours.model.gpt(ours.case.latents, ours.text, np.ones(ours.text.shape, bool), fed, np.ones(fed.shape, bool))
    logits = np.array(output.audio_logits[0])  # (S, A)
    logits[:, model.stop_audio_token] += IMPOSSIBLE
    penalised = penalised_at_start(ours.model, settings)[0]
    rows = []
    for step, code in enumerate(codes[0]):
        probabilities, ids = candidates(logits[step : step + 1], penalised[None], SamplingSettings.of(settings))
        row = np.zeros(len(penalised), np.float32)
        row[ids.numpy()[0]] = probabilities.numpy()[0]
        rows.append(row / row.sum())
        penalised = penalised | (np.arange(len(penalised)) == code)
    return np.stack(rows)


def speech(ours: Ours):
    settings = ours.settings(**GREEDY, repetition_penalty=5.0)
    made = generate_codes(**_arguments(ours, 31), settings=settings)
    return ours.model.decoder(made.latents[0][None], ours.case.embedding)


def _stream(ours: Ours) -> list[np.ndarray]:
    generation = begin(**_arguments(ours, STREAMED), settings=ours.settings(**GREEDY, repetition_penalty=5.0))
    vocode = lambda latents: np.asarray(ours.model.decoder(latents[None], ours.case.embedding))[0]  # noqa: E731
    return list(faded_chunks(vocode, latent_chunks(Guarded(generation, UNGUARDED, 21.5, [0]), STREAM_CHUNK)))


def stream(ours: Ours):
    return np.concatenate(_stream(ours))


def stream_lengths(ours: Ours):
    return np.array([len(chunk) for chunk in _stream(ours)])


COMPUTE: dict[str, Callable] = {
    function.__name__: function
    for function in (
        mel_dvae,
        mel_conditioning,
        mel_speaker,
        conditioning_encoder,
        perceiver,
        conditioning_latents,
        train_text_logits,
        train_audio_logits,
        train_losses,
        eval_losses,
        second_pass,
        dvae_codes,
        dvae_decode,
        dvae_codebook,
        interpolation,
        hifigan,
        speaker_embedding,
        voice_latents,
        voice_embedding,
        greedy,
        sampling_probabilities,
        speech,
        stream,
        stream_lengths,
    )
} | {"greedy_penalty_5": partial(greedy, penalty=5.0), "greedy_penalty_10": partial(greedy, penalty=10.0)}


def compute(case: Case, sampled_codes: np.ndarray) -> tuple[dict[str, np.ndarray], str]:
    """Every row of a case, and the digest of the state dict's keys and shapes."""
    keras.mixed_precision.set_dtype_policy("float32")
    ours = Ours(case, sampled_codes)
    return {name: np.asarray(COMPUTE[name](ours)) for name in cases.ROWS}, ours.keys
