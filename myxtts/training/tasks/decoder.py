"""Task 3: GPT latents + speaker embedding -> waveform, against period and scale critics (HiFi-GAN, Kong et al. 2020)."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from filelock import FileLock
from keras import ops

from myxtts.audio.mel import MelConfig, dvae_mel, log_mel
from myxtts.config.schema import XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow, decoder_batches, gpt_batches
from myxtts.data.encode import read_index, read_text_marks, rows_by_speaker
from myxtts.data.records import latent_schema, read_records, write_records
from myxtts.models.discriminators import Discriminators
from myxtts.models.xtts import XTTS, weights_digest
from myxtts.training.losses import additive_margin_logits, count, cross_entropy, feature_matching, least_squares, masked_sum
from myxtts.training.memory import decoder_clip_bytes
from myxtts.training.tasks.base import Preview, Task, Terms
from myxtts.training.tasks.gpt import sequences

LATENT_ROWS = 16  # clips at once when latents are computed


def write_latents(config: XTTSConfig, model: XTTS, tokens: Path, out: Path) -> None:
    """Runs the frozen GPT over both splits by teacher forcing, once, and keeps the latents as records in `out`."""
    for split in ("train", "eval"):
        path = out / f"{split}.tfrecord"
        if not path.is_file():
            numbers: list[int] = []
            rows = _latents(config, model, tokens, split, numbers)
            write_records(out / f"{split}.unfinished", latent_schema(config.model.gpt.dim), rows)
            np.save(out / f"{split}_rows.npy", np.array(numbers, np.int32))
            (out / f"{split}.unfinished").replace(path)  # last: where it is, its row numbers are too


def _latents(config: XTTSConfig, model: XTTS, tokens: Path, split: str, numbers: list[int]) -> Iterator[dict]:
    """latents[s] is the GPT state that predicts code s, as generation takes it and as the reference's second pass gives it.

    `numbers` collects the index rows of the records, in their order.
    """
    index = read_index(tokens, split)
    marks = read_text_marks(tokens)
    batches = gpt_batches(config, tokens, split, LATENT_ROWS, training=False)

    @tf.function(autograph=False)
    def run(batch: Batch) -> tf.Tensor:
        made = sequences(batch, config, *marks)
        latents = model.gpt.condition(batch["prompt"])
        return model.gpt(latents, made.text_ids, made.text_mask, made.audio_ids, made.audio_mask).audio_latents

    for batch in bar(batches, f"latents {split}", "batch", batches.per_epoch):
        latents, lengths, rows = run(batch).numpy(), batch["code_lengths"].numpy(), batch["row"].numpy()
        for position in np.flatnonzero(lengths):
            row = int(rows[position])
            numbers.append(row)
            path = str((tokens / index[row].audio).resolve())
            yield {"latents": latents[position, : lengths[position]], "row": row, "path": path}


class DecoderTask(Task):
    """Generator (with the speaker encoder) and discriminators take turns within one step."""

    stage = "decoder"
    components = ("decoder", "speaker_encoder")
    monitor = "val/mel_loss"
    passes = 2

    def compute(self, path: Path) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        # of this GPT for these tokens: with others the latents are others
        self.latents = self.cache / hashlib.sha256(" ".join([self._gpt, *self._read_by_the_gpt(path)]).encode()).hexdigest()[:12]
        with FileLock(self.cache / ".lock"):  # another trainer of this folder is refused only when it trains
            write_latents(self.config, self.model, path, self.latents)

    def _read_by_the_gpt(self, path: Path) -> list[str]:
        """Digests of texts, codes and prompts."""
        names = ("{}.tfrecord", "{}_index.json", "{}_prompts.npy")
        return [self._content(path / name.format(split)) for name in names for split in ("train", "eval")]

    @functools.cached_property
    def _gpt(self) -> str:
        return weights_digest(self.model.gpt)[:16]

    def features(self, path: Path) -> dict[str, str]:
        return super().features(path) | {"gpt": self._gpt}

    def open(self, path: Path) -> None:
        speakers = rows_by_speaker(read_index(path, "train"))
        self.prototypes = keras.Variable(
            keras.initializers.GlorotUniform()((len(speakers), self.config.model.speaker_encoder.embedding_dim)), name="speaker_prototypes"
        )
        self.discriminators = Discriminators(self.config.model.decoder)
        self.discriminators.build_weights()
        self.num_samples = self.model.decoder.output_samples(self.settings.segment_codes)

    @property
    def networks(self):
        return [*super().networks, self.discriminators]

    @property
    def mel(self) -> MelConfig:
        """The mel of the reconstruction loss: as the DVAE's, over the whole band of the output rate."""
        rate = self.config.model.audio.output_sample_rate
        return dataclasses.replace(dvae_mel(self.config.model.audio), sample_rate=rate, fmax=rate / 2)

    @property
    def trainable(self):
        generator = [*self.model.decoder.trainable_variables, *self.model.speaker_encoder.trainable_variables, self.prototypes]
        return {"discriminator": self.discriminators.trainable_variables, "generator": generator}

    @property
    def frozen_networks(self):
        return [self.model.gpt]

    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        return decoder_batches(self.config, self.latents, path, split, self.num_samples, batch_size, split == "train", flow)

    def clip_bytes(self, bytes_each: int, rematerialise: str) -> int:
        return decoder_clip_bytes(self.config.model, self.num_samples, bytes_each)

    def targets(self, batch: Batch) -> Terms:
        return {"rows": count(batch["lengths"] > 0)}

    def _generate(self, batch: Batch, training: bool):
        """(fake wave (B, N), embedding (B, E)). `training` moves the speaker encoder's batch statistics: once in a step is enough."""
        embedding = self.model.speaker_encoder(batch["speaker_mel"], training=training)
        return self.model.decoder(batch["latents"], embedding, training=training), embedding

    def _mel_distance(self, wave, other):
        """Mean absolute difference of log-mels, per row -> (B,)."""
        return ops.mean(ops.abs(log_mel(wave, self.mel) - log_mel(other, self.mel)), axis=(1, 2))

    def loss(self, objective: str, batch: Batch, counts: Terms):
        rows, real = batch["lengths"] > 0, batch["wave"]
        fake, embedding = self._generate(batch, training=objective == "generator")
        if objective == "discriminator":
            fake = ops.stop_gradient(fake)
            critic_real, critic_fake = self.discriminators(real), self.discriminators(fake)
            per_row = least_squares([logits for logits, _ in critic_real], 1.0) + least_squares([logits for logits, _ in critic_fake], 0.0)
            total = masked_sum(per_row, rows) / counts["rows"]
            return total, {"discriminator_loss": total}, {}
        critic_real, critic_fake = self.discriminators(real), self.discriminators(fake)
        speaker = cross_entropy(additive_margin_logits(embedding, self.prototypes, batch["speaker"]), batch["speaker"])
        per_row = {
            "mel_loss": self._mel_distance(fake, real),
            "feature_loss": feature_matching([f for _, f in critic_real], [f for _, f in critic_fake], fake.shape[0]),
            "adversarial_loss": least_squares([logits for logits, _ in critic_fake], 1.0),
            "speaker_loss": speaker,
        }
        terms = {name: masked_sum(value, rows) / counts["rows"] for name, value in per_row.items()}
        weights = self.settings
        total = (
            weights.mel_weight * terms["mel_loss"]
            + weights.feature_weight * terms["feature_loss"]
            + weights.adversarial_weight * terms["adversarial_loss"]
            + weights.speaker_weight * terms["speaker_loss"]
        )
        return total, terms, {}

    def validation(self, batch: Batch):
        rows = batch["lengths"] > 0
        fake, _ = self._generate(batch, training=False)
        return {"mel_loss": (masked_sum(self._mel_distance(fake, batch["wave"]), rows), count(rows))}

    def previews(self, path: Path) -> list[Preview]:
        """Two validation clips, vocoded whole from their true latents."""
        rate = self.config.model.audio.output_sample_rate
        speakers, index = np.load(path / "eval_speakers.npy", mmap_mode="r"), read_index(path, "eval")
        previews = []
        for number, record in enumerate(read_records(self.latents / "eval.tfrecord", latent_schema(self.config.model.gpt.dim))):
            if number == 2:
                break
            row = int(record["row"])
            embedding = self.model.speaker_encoder(speakers[row : row + 1].astype(np.float32))
            wave = np.asarray(self.model.decoder(record["latents"][None].astype(np.float32), embedding))[0]
            mel = np.asarray(log_mel(wave[None], self.mel))[0]
            previews.append(Preview(f"val_{number}", {"decoder": mel}, {"decoder": wave}, rate).of(index[row], path))
        return previews
