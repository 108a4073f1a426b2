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
        return {"frames": count(frames), "codes": count(codes)}

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
        return total, terms, {"used": used, "sums": sums, "rows": self._restart_rows(encoded, codes)}

    def _restart_rows(self, encoded: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """As many real (un-padded) encoder outputs as there are codes (K, C), spread over the micro-batch.

        Those of the first replica alone: statistics are summed over replicas, and a sum of vectors is no encoder output.
        """
        rows = tf.boolean_mask(tf.reshape(encoded, [-1, encoded.shape[-1]]), tf.reshape(mask, [-1]))
        available = tf.maximum(tf.shape(rows)[0], 1)
        rows = tf.pad(rows, [[0, tf.maximum(0, 1 - tf.shape(rows)[0])], [0, 0]])
        number = self.config.model.dvae.num_codes
        rows = tf.gather(rows, tf.range(number) * available // number)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(tf.equal(replica, 0), rows, tf.zeros_like(rows))

    def combine(self, earlier: Terms, later: Terms) -> Terms:
        return {"used": earlier["used"] + later["used"], "sums": earlier["sums"] + later["sums"], "rows": later["rows"]}

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
