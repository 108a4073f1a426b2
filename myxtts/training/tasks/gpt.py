"""Task 2: text and reference voice -> codes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops

from myxtts.audio.griffin_lim import griffin_lim
from myxtts.audio.mel import dvae_mel
from myxtts.config.schema import XTTSConfig
from myxtts.config.stages import REMATERIALISE
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow
from myxtts.data.encode import prompt_frames, read_index, read_text_marks
from myxtts.data.gpt_batches import gpt_batches, gpt_buckets
from myxtts.data.records import read_records, token_schema
from myxtts.synthesis.generate import generate_codes
from myxtts.training.adapters import adapted, add_adapters
from myxtts.training.guidance import near_places
from myxtts.training.losses import count, cross_entropy, masked_sum, sequence_mask
from myxtts.training.memory import ClipShape, gpt_clip_bytes
from myxtts.training.tasks.base import Preview, Task, Terms

REFERENCE_STOPS = 4  # stop targets of a clip in the reference's training: it counts three codes more than there are, and appends one


@dataclass(frozen=True)
class Sequences:
    """Inputs and targets with start and stop tokens. Masks: True = real."""

    text_ids: tf.Tensor  # (B, T+2): START t1..tn STOP
    text_mask: tf.Tensor
    text_targets: tf.Tensor  # (B, T+2): t1..tn STOP, then nothing
    text_target_mask: tf.Tensor
    audio_ids: tf.Tensor  # (B, S+1): START c1..cm
    audio_mask: tf.Tensor
    audio_targets: tf.Tensor  # (B, S+1): c1..cm STOP
    audio_target_mask: tf.Tensor


def _wrap(ids: tf.Tensor, lengths: tf.Tensor, real: tf.Tensor, start: int, stop: int) -> tuple[tf.Tensor, tf.Tensor]:
    """ids (B, L) of `lengths` -> (B, L+2): START ids STOP, then STOP as filler; and their lengths, 0 where a row is not `real`."""
    size = ids.shape[1]
    inside = sequence_mask(lengths, size)
    body = ops.where(inside, ids, ops.full_like(ids, stop))
    rows = ops.ones_like(body[:, :1])
    return ops.concatenate([rows * start, body, rows * stop], axis=1), ops.where(real, lengths + 2, 0)


def sequences(batch: Batch, config: XTTSConfig, start: int, stop: int) -> Sequences:
    """Adds start and stop tokens, shifts targets, masks padding and the codes that the prompt itself was cut from."""
    model = config.model
    real = batch["code_lengths"] > 0  # the rest fills the batch up
    text, text_lengths = _wrap(batch["text_ids"], batch["text_lengths"], real, start, stop)
    codes, code_lengths = _wrap(batch["codes"], batch["code_lengths"], real, model.start_audio_token, model.stop_audio_token)
    text_mask = sequence_mask(text_lengths, text.shape[1])
    # a clip whose text was left out (text_dropout) is no example of one
    text_target_mask = sequence_mask(ops.where(batch["text_lengths"] > 0, text_lengths - 1, 0), text.shape[1])
    text_targets = ops.concatenate([text[:, 1:], text[:, -1:]], axis=1)
    audio_ids, audio_targets = codes[:, :-1], codes[:, 1:]
    audio_mask = sequence_mask(ops.maximum(code_lengths - 1, 0), audio_ids.shape[1])
    positions = ops.arange(audio_ids.shape[1])[None, :]
    in_prompt = (positions >= batch["prompt_span"][:, :1]) & (positions < batch["prompt_span"][:, 1:])
    return Sequences(text, text_mask, text_targets, text_target_mask, audio_ids, audio_mask, audio_targets, audio_mask & ~in_prompt)


def reference_sequences(batch: Batch, config: XTTSConfig, start: int, stop: int, prompt_masked: bool) -> Sequences:
    """`sequences` as coqui-tts 0.28.0 makes them (its GPT.forward), faults included: for comparison, not for training.

    prompt_masked: True in training; its validation leaves every target in. Rows of filler (length 0) stay without targets.
    """
    model = config.model
    made = sequences(batch, config, start, stop)
    codes, lengths = batch["codes"], batch["code_lengths"]
    width = codes.shape[1] + REFERENCE_STOPS
    # STOP four times, not once
    stops = ops.full((codes.shape[0], width), model.stop_audio_token, dtype=codes.dtype)
    targets = ops.where(sequence_mask(lengths, width), ops.concatenate([codes, stops[:, :REFERENCE_STOPS]], axis=1), stops)
    audio_ids = ops.concatenate([ops.full_like(targets[:, :1], model.start_audio_token), targets[:, :-1]], axis=1)
    audio_mask = sequence_mask(ops.where(lengths > 0, lengths + REFERENCE_STOPS, 0), width)
    target_mask = audio_mask & ~_in_reference_prompt(batch, config, width) if prompt_masked else audio_mask
    # the targets' mask (START t1..tn) is that of the inputs too: codes never see the text's STOP, which they do see when speaking
    text_mask = made.text_target_mask
    return Sequences(made.text_ids, text_mask, made.text_targets, made.text_target_mask, audio_ids, audio_mask, targets, target_mask)


def _in_reference_prompt(batch: Batch, config: XTTSConfig, width: int) -> tf.Tensor:
    """(B, width) boolean: targets that the reference takes for the prompt's own codes.

    Of the last clip of a batch only, for its loop variable is used after the loop; and the span counts mel frames but is applied to
    codes, so it lies `frames_per_code` times too far behind and is as many times too long.
    """
    span = batch["prompt_span"] * config.model.dvae.frames_per_code
    positions = ops.arange(width)[None, :]
    clips = ops.arange(batch["codes"].shape[0])
    last = ops.equal(clips, ops.max(ops.where(batch["code_lengths"] > 0, clips, -1)))  # filler rows lie behind the last clip
    return (positions >= span[:, :1]) & (positions < span[:, 1:]) & last[:, None]


def _places(batch: Batch, made: Sequences) -> tf.Tensor:
    """(B, S+1): where in [START text STOP] each code is spoken, the STOP at its STOP; -1 where that is not known."""
    width, lengths = made.audio_ids.shape[1], batch["code_lengths"][:, None]
    known = batch["places"] >= 0
    places = ops.where(known, batch["places"] + 1, -1)  # behind START
    places = ops.pad(places, ((0, 0), (0, width - places.shape[1])), constant_values=-1)
    at_stop = (ops.arange(width)[None] == lengths) & known[:, :1]
    return ops.where(at_stop, batch["text_lengths"][:, None] + 1, places)


class GPTTask(Task):
    """Cross-entropy of codes, and of text with a small weight (xtts_v2: 0.01)."""

    stage = "gpt"
    components = ("gpt",)
    monitor = "val/mel_loss"
    recomputation = REMATERIALISE

    def open(self, path: Path) -> None:
        self.start_id, self.stop_id = read_text_marks(path)
        bucket = gpt_buckets(self.config, read_index(path, "train"))[-1]
        self.longest = ClipShape(bucket.text, bucket.codes, prompt_frames(self.config))
        if self.settings.lora:
            add_adapters(self.model.gpt, self.settings.lora)

    def features(self, path: Path) -> dict[str, str]:
        return super().features(path) | {"text_marks": f"{self.start_id}, {self.stop_id}"}

    @property
    def trainable(self):
        variables = self.model.gpt.trainable_variables
        return {"gpt": adapted(variables, self.settings.lora) if self.settings.lora else variables}

    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        return gpt_batches(self.config, path, split, batch_size, split == "train", flow)

    def clip_bytes(self, bytes_each: int, rematerialise: str) -> int:
        return gpt_clip_bytes(self.config.model, self.longest, bytes_each, rematerialise)

    def _sequences(self, batch: Batch, training: bool) -> Sequences:
        if self.settings.coqui_compatible:
            return reference_sequences(batch, self.config, self.start_id, self.stop_id, prompt_masked=training)
        return sequences(batch, self.config, self.start_id, self.stop_id)

    def targets(self, batch: Batch, training: bool = True) -> Terms:
        made = self._sequences(batch, training)
        return {"text": count(made.text_target_mask), "audio": count(made.audio_target_mask)}

    def _losses(self, batch: Batch, training: bool):
        """(sequences, cross-entropy of text (B, T), of codes (B, S), hits of codes (B, S) boolean, astray), padding included."""
        made = self._sequences(batch, training)
        gpt = self.model.gpt
        latents = gpt.condition(batch["prompt"], training=training)
        guided = training and self.settings.alignment_weight > 0
        near = near_places(_places(batch, made), made.text_mask, made.audio_mask) if guided else None
        output = gpt(latents, made.text_ids, made.text_mask, made.audio_ids, made.audio_mask, training=training, near=near)
        text, audio = cross_entropy(output.text_logits, made.text_targets), cross_entropy(output.audio_logits, made.audio_targets)
        hits = ops.equal(ops.argmax(output.audio_logits, axis=-1), ops.cast(made.audio_targets, "int32"))
        return made, text, audio, hits, output.astray

    def loss(self, objective: str, batch: Batch, counts: Terms):
        made, text, audio, hits, astray = self._losses(batch, training=True)
        # a batch of nothing but own-prompt clips shorter than the prompt has no audio target at all
        audio_count = ops.maximum(counts["audio"], 1.0)
        terms = {
            "text_loss": masked_sum(text, made.text_target_mask) / ops.maximum(counts["text"], 1.0),
            "mel_loss": masked_sum(audio, made.audio_target_mask) / audio_count,
            "mel_accuracy": count(hits & made.audio_target_mask) / audio_count,
        }
        total = self.settings.text_loss_weight * terms["text_loss"] + self.settings.mel_loss_weight * terms["mel_loss"]
        if astray is not None:
            terms["alignment_loss"] = masked_sum(astray, made.audio_target_mask) / audio_count
            total = total + self.settings.alignment_weight * terms["alignment_loss"]
        return total, terms, {}

    def validation(self, batch: Batch):
        made, text, audio, hits, _ = self._losses(batch, training=False)
        swapped = {**batch, "text_ids": batch["wrong_text_ids"], "text_lengths": batch["wrong_text_lengths"]}
        _, _, wrong, *_ = self._losses(swapped, training=False)
        texts, targets = made.text_target_mask, made.audio_target_mask
        comparable = targets & (batch["wrong_text_lengths"] > 0)[:, None]
        return {
            "text_loss": (masked_sum(text, texts), count(texts)),
            "mel_loss": (masked_sum(audio, targets), count(targets)),
            "mel_accuracy": (count(hits & targets), count(targets)),
            "comparable_mel_loss": (masked_sum(audio, comparable), count(comparable)),
            "wrong_text_mel_loss": (masked_sum(wrong, comparable), count(comparable)),
        }

    def finish(self, values: dict[str, float]) -> dict[str, float]:
        """Adds `wrong_text_gap`: how much worse the codes are predicted from another clip's text. 0 = the text is ignored.

        Left out where no bucket holds two clips.
        """
        comparable = values.pop("comparable_mel_loss", None)
        return values if comparable is None else {**values, "wrong_text_gap": values["wrong_text_mel_loss"] - comparable}

    def previews(self, path: Path) -> list[Preview]:
        """Two validation sentences, spoken with their prompts, beside the codes of the true clip."""
        mel_config, norm = dvae_mel(self.config.model.audio), self.model.mel_norm
        prompts, index = np.load(path / "eval_prompts.npy", mmap_mode="r"), read_index(path, "eval")
        previews = []
        for number, record in enumerate(read_records(path / "eval.tfrecord", token_schema())):
            if number == 2:
                break
            latents = self.model.gpt.condition(prompts[number : number + 1].astype(np.float32))
            ids = np.array([[self.start_id, *record["text_ids"], self.stop_id]], np.int32)
            most = min(self.config.model.gpt.max_audio_tokens - 2, 2 * len(record["codes"]) + 20)
            spoken = generate_codes(self.model, latents, ids, np.ones_like(ids, bool), self.config.synthesis, seed=number, max_codes=most)
            codes = {"true_codes": record["codes"], "spoken": spoken.sound_codes[0]}
            codes = {name: row for name, row in codes.items() if len(row)}
            mels = {name: np.asarray(self.model.dvae.decode(row[None]))[0] * norm for name, row in codes.items()}
            iterations = self.config.synthesis.griffin_lim_iterations
            waves = {name: griffin_lim(mel, mel_config, iterations) for name, mel in mels.items()}
            looks = {name: self._alignment(latents, ids, row) for name, row in codes.items()}
            facts = {"codes": len(spoken.codes[0]), "true_codes": len(record["codes"]), "stopped": bool(spoken.stopped[0])}
            preview = Preview(f"val_{number}", mels, waves, mel_config.sample_rate, looks, facts=facts)
            previews.append(preview.of(index[number], path))
        return previews

    def _alignment(self, latents: np.ndarray, text_ids: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Attention of codes (S,) to text_ids (1, T) -> (S, T)."""
        fed = np.concatenate([[self.config.model.start_audio_token], codes[:-1]])[None].astype(np.int32)
        text_mask, audio_mask = np.ones(text_ids.shape, bool), np.ones(fed.shape, bool)
        return np.asarray(self.model.gpt.alignment(latents, text_ids, text_mask, fed, audio_mask))[0]
