"""Task 1: the audio tokenizer, mel <-> codes."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops

from myxtts.audio.griffin_lim import griffin_lim
from myxtts.audio.mel import dvae_mel
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow, crop_frames, dvae_batches
from myxtts.data.records import mel_schema, read_records
from myxtts.training.losses import count, masked_sum, sequence_mask
from myxtts.training.memory import dvae_clip_bytes
from myxtts.training.tasks.base import Preview, Task, Terms

SPREAD = 7  # codes between two that dead codebook entries restart from, in one clip


class DVAETask(Task):
    """Reconstruction (mean squared error on normalised log-mels) and commitment; the codebook follows by moving average."""

    stage = "dvae"
    components = ("dvae",)
    monitor = "val/reconstruction_loss"

    @property
    def trainable(self):
        return {"dvae": self.model.dvae.trainable_variables}

    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        return dvae_batches(self.config, path, split, batch_size, split == "train", flow)

    def clip_bytes(self, bytes_each: int, rematerialise: str) -> int:
        return dvae_clip_bytes(self.config.model, crop_frames(self.config), bytes_each)

    def _masks(self, batch: Batch):
        frames = sequence_mask(batch["lengths"], batch["mel"].shape[1])
        per_code = self.config.model.dvae.frames_per_code
        codes = sequence_mask(ops.ceil(batch["lengths"] / per_code), batch["mel"].shape[1] // per_code)
        return frames, codes

    def targets(self, batch: Batch) -> Terms:
        frames, codes = self._masks(batch)
        return {"frames": count(frames), "codes": count(codes), "clips": count(batch["lengths"] > 0)}

    def _terms(self, batch: Batch, training: bool):
        frames, codes = self._masks(batch)
        output = self.model.dvae(batch["mel"], training=training)
        error = ops.mean(ops.square(output.reconstruction - batch["mel"]), axis=-1)
        return output, codes, masked_sum(error, frames), masked_sum(output.commitment, codes)

    def loss(self, objective: str, batch: Batch, counts: Terms):
        output, codes, error, commitment = self._terms(batch, training=True)
        terms = {"reconstruction_loss": error / counts["frames"], "commitment_loss": commitment / counts["codes"]}
        total = terms["reconstruction_loss"] + self.config.model.dvae.commitment_weight * terms["commitment_loss"]
        encoded = ops.stop_gradient(output.encoded)
        used, sums = self.model.dvae.codebook_statistics(encoded, output.codes, codes)
        rows = self._restart_rows(encoded, tf.math.count_nonzero(codes, axis=1, dtype=tf.int32), batch["place"], counts["clips"])
        return total, terms, {"used": used, "sums": sums, "rows": rows}

    def _restart_rows(self, encoded: tf.Tensor, lengths: tf.Tensor, places: tf.Tensor, clips: tf.Tensor) -> tf.Tensor:
        """A real (un-padded) encoder output for each code (K, C), spread over the clips of the whole batch.

        encoded (B, S, C), lengths (B,) in codes, places (B,): where in the whole batch the clips are, clips: how many it has. What is of
        another micro-batch or replica is 0 here: their sum is the same however the batch is split.
        """
        slots, clips = tf.range(self.config.model.dvae.num_codes), tf.maximum(tf.cast(clips, tf.int32), 1)
        mine = tf.equal(places[:, None], (slots % clips)[None, :]) & (lengths > 0)[:, None]  # (B, K)
        row = tf.argmax(mine, axis=0, output_type=tf.int32)
        position = slots // clips * SPREAD % tf.maximum(tf.gather(lengths, row), 1)
        chosen = tf.gather_nd(encoded, tf.stack([row, position], axis=1))
        return tf.where(tf.reduce_any(mine, axis=0)[:, None], chosen, tf.zeros_like(chosen))

    def after_step(self, statistics: Terms, number: tf.Tensor) -> None:
        seed = self.config.seed + tf.cast(number, tf.int32)
        self.model.dvae.update_codebook(statistics["used"], statistics["sums"], statistics["rows"], seed)

    def validation(self, batch: Batch):
        output, codes, error, commitment = self._terms(batch, training=False)
        counts = self.targets(batch)
        used, _ = self.model.dvae.codebook_statistics(output.encoded, output.codes, codes)
        return {
            "reconstruction_loss": (error, counts["frames"]),
            "commitment_loss": (commitment, counts["codes"]),
            "codes_used_per_batch": (count(used > 0), tf.constant(1.0)),
        }

    def previews(self, path: Path) -> list[Preview]:
        mel_config = dvae_mel(self.config.model.audio)
        mel_norm = np.load(path / "mel_norm.npy")
        previews = []
        for number, record in enumerate(read_records(path / "eval.tfrecord", mel_schema(mel_config.num_mels))):
            if number == 2:
                break
            mel = record["mel"].astype(np.float32)
            per_code = self.config.model.dvae.frames_per_code
            whole = mel[: len(mel) // per_code * per_code]
            copy = np.asarray(self.model.dvae.decode(self.model.dvae.encode(whole[None] / mel_norm)))[0] * mel_norm
            iterations = self.config.synthesis.griffin_lim_iterations
            waves = {"copy": griffin_lim(copy, mel_config, iterations), "mel_only": griffin_lim(whole, mel_config, iterations)}
            previews.append(Preview(f"val_{number}", {"original": whole, "copy": copy}, waves, mel_config.sample_rate))
        return previews
