"""Task 3: GPT latents + speaker embedding -> waveform, against period and scale critics (HiFi-GAN, Kong et al. 2020)."""

import contextlib
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

from myxtts.audio import compare
from myxtts.audio import wave as wave_io
from myxtts.audio.mel import MelConfig, dvae_mel, log_mel, speaker_mel
from myxtts.audio.resampling import resample_tensor
from myxtts.audio.speaker import check_installed, clip_embedding
from myxtts.config import ConfigError, DataError
from myxtts.config.schema import XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.batches import ONE_WORKER, Batch, Batches, Flow, decoder_batches
from myxtts.data.encode import IndexRow, read_index, read_text_marks, rows_by_speaker
from myxtts.data.gpt_batches import gpt_batches
from myxtts.data.records import RecordFile, latent_schema, write_records
from myxtts.models.discriminators import Discriminators
from myxtts.models.xtts import XTTS, weights_digest
from myxtts.training.losses import (
    additive_margin_logits,
    cosine_distance,
    count,
    cross_entropy,
    feature_matching,
    least_squares,
    masked_sum,
)
from myxtts.training.memory import decoder_clip_bytes
from myxtts.training.optim import fits
from myxtts.training.tasks.base import Preview, Task, Terms
from myxtts.training.tasks.gpt import sequences

LATENT_ROWS = 16  # clips at once when latents are computed
QUIETEST = 0.01  # RMS, -40 dBFS: what a segment's spectral convergence is measured against at least
HEARD_CLIPS, PREVIEWED_CLIPS = 8, 2  # of the validation set, vocoded whole


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


@dataclasses.dataclass(frozen=True)
class Vocoded:
    """A validation clip, vocoded whole from its true latents. wave (N,); number: of its latents' record."""

    number: int
    row: IndexRow
    wave: np.ndarray
    path: str  # of the recording


@dataclasses.dataclass(frozen=True)
class Heard:
    """What is heard in a recording: its pitch (F,) in Hz, and its speaker by the yardstick's network, None where it is too short."""

    pitch: np.ndarray
    speaker: np.ndarray | None


class DecoderTask(Task):
    """Generator (with the speaker encoder) and discriminators take turns within one step; without a weight of theirs there are none.

    A speaker encoder whose weights are all `frozen` is held: its batch norms use and keep their running statistics, and nothing learns to
    classify by it. Weights of the terms: config.training.decoder.
    """

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
        self.discriminators = None
        if self.settings.has_critics:
            self.discriminators = Discriminators(self.config.model.decoder)
            self.discriminators.build_weights()
        self.num_samples = self.model.decoder.output_samples(self.settings.segment_codes)
        self._recordings: dict[int, Heard] = {}  # what is heard in the recordings, by the number of the latents' record
        self._told = False  # that the yardstick is not installed
        self._refuse_short_segments()

    def _refuse_short_segments(self) -> None:
        """Raises ConfigError where a segment is too short for one of the spectra that it is compared by."""
        audio, speaker = self.config.model.audio, speaker_mel(self.config.model.speaker_encoder)
        rate = audio.output_sample_rate
        spectra = {"STFT distance": compare.SHORTEST, "mel loss": 1 + self.mel.n_fft // 2}
        if self.settings.consistency_weight:
            spectra["speaker encoder"] = int(np.ceil((1 + speaker.n_fft // 2) * rate / speaker.sample_rate))
        name = max(spectra, key=spectra.get)
        if self.num_samples < spectra[name]:
            raise ConfigError(
                f"training.decoder.segment_codes {self.settings.segment_codes} is {self.num_samples} samples at {rate} Hz; "
                f"the {name} needs {spectra[name]}: raise it"
            )

    @property
    def networks(self):
        return [*super().networks, *([self.discriminators] if self.discriminators else [])]

    @functools.cached_property
    def encoder_is_held(self) -> bool:
        """True where the speaker encoder is frozen as a whole."""
        variables = self.model.speaker_encoder.trainable_variables
        return all(any(fits(variable, pattern) for pattern in self.settings.frozen) for variable in variables)

    @property
    def mel(self) -> MelConfig:
        """The mel of the reconstruction loss: as the DVAE's, over the whole band of the output rate."""
        rate = self.config.model.audio.output_sample_rate
        return dataclasses.replace(dvae_mel(self.config.model.audio), sample_rate=rate, fmax=rate / 2)

    @property
    def trainable(self):
        generator = [*self.model.decoder.trainable_variables, *self.model.speaker_encoder.trainable_variables]
        generator += [] if self.encoder_is_held else [self.prototypes]  # nobody reads what is learnt by an encoder that stays
        critics = {"discriminator": self.discriminators.trainable_variables} if self.discriminators else {}
        return critics | {"generator": generator}

    @property
    def frozen_networks(self):
        return [self.model.gpt]

    def prepare_networks(self, precision: str, rematerialise: str) -> None:
        super().prepare_networks(precision, rematerialise)
        self.model.decoder.unfold()  # a model that has spoken

    def batches(self, path: Path, split: str, batch_size: int, flow: Flow = ONE_WORKER) -> Batches:
        return decoder_batches(self.config, self.latents, path, split, self.num_samples, batch_size, split == "train", flow)

    def clip_bytes(self, bytes_each: int, rematerialise: str) -> int:
        return decoder_clip_bytes(self.config.model, self.num_samples, bytes_each)

    def targets(self, batch: Batch) -> Terms:
        return {"rows": count(batch["lengths"] > 0)}

    def _generate(self, batch: Batch, training: bool):
        """(fake wave (B, N), embedding (B, E)). `training` moves the speaker encoder's batch statistics: once in a step is enough."""
        embedding = self.model.speaker_encoder(batch["speaker_mel"], training=training and not self.encoder_is_held)
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
        per_row = {"mel_loss": self._mel_distance(fake, real)}
        if self.discriminators:
            critic_real, critic_fake = self.discriminators(real), self.discriminators(fake)
            per_row["feature_loss"] = feature_matching([f for _, f in critic_real], [f for _, f in critic_fake], fake.shape[0])
            per_row["adversarial_loss"] = least_squares([logits for logits, _ in critic_fake], 1.0)
        if self.settings.stft_weight:
            per_row["stft_loss"] = compare.stft_distance(fake, real, QUIETEST)
        if not self.encoder_is_held:
            per_row["speaker_loss"] = cross_entropy(additive_margin_logits(embedding, self.prototypes, batch["speaker"]), batch["speaker"])
        if self.settings.consistency_weight:
            per_row["consistency_loss"] = self._consistency(fake, real)
        terms = {name: masked_sum(value, rows) / counts["rows"] for name, value in per_row.items()}
        return sum(self._weights[name] * value for name, value in terms.items()), terms, {}

    @property
    def _weights(self) -> dict[str, float]:
        """Of the generator's terms."""
        settings = self.settings
        return {
            "mel_loss": settings.mel_weight,
            "stft_loss": settings.stft_weight,
            "feature_loss": settings.feature_weight,
            "adversarial_loss": settings.adversarial_weight,
            "speaker_loss": settings.speaker_weight,
            "consistency_loss": settings.consistency_weight,
        }

    def _consistency(self, fake, real):
        """How unlike the voice of the true segments (B, N) that of the generated ones is, to the speaker encoder -> (B,).

        Speaker consistency loss (Casanova et al. 2022, "YourTTS", equation 2; its weight there is 9). A segment is shorter than what the
        encoder is trained on, and its words colour the embedding: so the generated one is compared with the true one of the same length
        and words, not with the embedding of a clip, and neither is padded.
        """
        return cosine_distance(self._heard_speaker(fake), ops.stop_gradient(self._heard_speaker(real)))

    def _heard_speaker(self, wave):
        """Embeddings (B, E) of waves (B, N) at the output rate, by the encoder in inference mode. No gradient reaches its weights: it must
        not learn to call different voices alike."""
        encoder, mel = self.model.speaker_encoder, speaker_mel(self.config.model.speaker_encoder)
        heard = log_mel(resample_tensor(wave, self.config.model.audio.output_sample_rate, mel.sample_rate), mel)
        held = [ops.stop_gradient(ops.convert_to_tensor(variable.value)) for variable in encoder.trainable_variables]
        state = [ops.convert_to_tensor(variable.value) for variable in encoder.non_trainable_variables]
        return encoder.stateless_call(held, state, heard, training=False)[0]

    def validation(self, batch: Batch):
        rows = batch["lengths"] > 0
        real, (fake, _) = batch["wave"], self._generate(batch, training=False)
        per_row = {"mel_loss": self._mel_distance(fake, real), "stft_loss": compare.stft_distance(fake, real)}
        if self.settings.consistency_weight:
            per_row["consistency_loss"] = self._consistency(fake, real)
        return {name: (masked_sum(value, rows), count(rows)) for name, value in per_row.items()}

    def hear(self, path: Path) -> dict[str, float]:
        """Of up to HEARD_CLIPS validation clips: pitch_error, in cents, and speaker_similarity, the cosine of copy and recording.

        The similarity is judged by a network that has no part in the training (audio/speaker.py), for the speaker encoder here learns
        while it would judge, and the decoder learns to please it. What cannot be judged (no pitch, less than 0.82 s) counts nowhere.
        """
        rate = self.config.model.audio.output_sample_rate
        found: dict[str, list[float]] = {"pitch_error": [], "speaker_similarity": []}
        for clip in self._vocode(path, HEARD_CLIPS):
            if clip.number not in self._recordings:
                recording = wave_io.load(clip.path, rate)[0]
                self._recordings[clip.number] = Heard(compare.pitch_track(recording, rate), self._speaker(recording))
            known, speaker = self._recordings[clip.number], self._speaker(clip.wave)
            with contextlib.suppress(DataError):
                found["pitch_error"].append(compare.pitch_distance(compare.pitch_track(clip.wave, rate), known.pitch))
            if known.speaker is not None and speaker is not None:
                found["speaker_similarity"].append(float(known.speaker @ speaker))
        return {name: float(np.mean(values)) for name, values in found.items() if values}

    def _speaker(self, wave: np.ndarray) -> np.ndarray | None:
        """The yardstick's embedding (D,) of a wave (N,), None where it is too short or the network is not installed."""
        try:
            check_installed()
        except DataError as error:
            if not self._told:
                print(f"decoder: val/speaker_similarity is not measured: {error}", flush=True)
            self._told = True
            return None
        return clip_embedding(wave, self.config.model.audio.output_sample_rate)

    def _vocode(self, path: Path, clips: int) -> Iterator[Vocoded]:
        """Up to `clips` clips of the validation set, spread over it, each with itself as reference of its voice."""
        speakers, index = np.load(path / "eval_speakers.npy", mmap_mode="r"), read_index(path, "eval")
        records = RecordFile(self.latents / "eval.tfrecord", latent_schema(self.config.model.gpt.dim))
        for number in np.unique(np.linspace(0, len(records) - 1, clips).astype(int)) if len(records) else ():
            record = records[int(number)]
            row = int(record["row"])
            embedding = self.model.speaker_encoder(speakers[row : row + 1].astype(np.float32))
            wave = np.asarray(self.model.decoder(record["latents"][None].astype(np.float32), embedding))[0]
            yield Vocoded(int(number), index[row], wave, record["path"])

    def previews(self, path: Path) -> list[Preview]:
        """Two validation clips, vocoded whole from their true latents."""
        rate, previews = self.config.model.audio.output_sample_rate, []
        for number, clip in enumerate(self._vocode(path, PREVIEWED_CLIPS)):
            mel = np.asarray(log_mel(clip.wave[None], self.mel))[0]
            previews.append(Preview(f"val_{number}", {"decoder": mel}, {"decoder": clip.wave}, rate).of(clip.row, path))
        return previews
