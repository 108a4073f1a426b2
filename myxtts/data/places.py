"""Where in its text a clip is at each of its codes: learnt from the clips themselves, without a recogniser.

B batch, F frames, M mel bands, S codes, T text tokens.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from myxtts.data.bars import bar
from myxtts.data.records import RecordFile
from myxtts.models.aligner import PRIOR_WIDTH, Aligner

STEPS, BATCH, RATE = 1000, 32, 1e-3
SKIP = -1.0  # log score of no token at all at a code, before it is normalised: the blank of CTC, dear enough to be rare


class Places:
    """An aligner of a corpus' clips: which of its text ids is spoken at each code.

    mels: un-normalised log-mels, of which clip i is record numbers[i]; texts: the clips' text ids (T,). A clip with more tokens than codes
    has no place for each: it teaches nothing and gets none.
    """

    def __init__(
        self, mels: RecordFile, numbers: Sequence[int], texts: Sequence[np.ndarray], mel_norm: np.ndarray, per_code: int, tokens: int
    ):
        self._mels, self._numbers, self._texts, self._norm, self._per_code = mels, numbers, texts, mel_norm, per_code
        self.aligner = Aligner(tokens, len(mel_norm), per_code)
        signature = [tf.TensorSpec(shape, dtype) for shape, dtype in (((None, None, len(mel_norm)), "float32"), ((None, None), "int32"))]
        signature += [tf.TensorSpec((None,), "int32")] * 2
        self._optimizer = keras.optimizers.Adam(RATE, clipnorm=1.0)
        self._step = tf.function(self._update, input_signature=signature)
        self._scored = tf.function(self._scores, input_signature=signature)

    def learn(self, lengths: Sequence[int], seed: int) -> float:
        """Trains the aligner, the clips having `lengths` codes. Returns the last mean loss, in nats a code; nan where no clip fits."""
        order = [i for i in np.argsort(lengths, kind="stable") if len(self._texts[i]) <= lengths[i]]
        batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]  # of like lengths: little padding
        if not batches:
            return float("nan")
        draws = np.random.default_rng(seed).integers(len(batches), size=STEPS)
        losses = [self._step(*self._batch(batches[draw])) for draw in bar(draws, "align: learn", "step", STEPS)]
        return float(np.mean(losses[-max(1, STEPS // 10) :]))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields for each clip int32 (S,), rising from 0 to T - 1 in steps of 0 or 1; empty where T exceeds S."""
        for clip in bar(range(len(self._texts)), "align", "clip", len(self._texts)):
            mel, ids, codes, tokens = self._batch([clip])
            if tokens[0] > codes[0]:
                yield np.zeros(0, np.int32)
            else:
                yield best_path(np.asarray(self._scored(mel, ids, codes, tokens))[0])

    def _batch(self, clips: Sequence[int]) -> tuple[np.ndarray, ...]:
        """mel (B, F, M), text ids (B, T), how many codes and how many tokens each has (B,)."""
        mels = [self._mel(self._numbers[clip]) for clip in clips]
        texts = [self._texts[clip] for clip in clips]
        mel = np.zeros((len(clips), max(map(len, mels)), len(self._norm)), np.float32)
        ids = np.zeros((len(clips), max(map(len, texts))), np.int32)
        for row, (sound, text) in enumerate(zip(mels, texts, strict=True)):
            mel[row, : len(sound)], ids[row, : len(text)] = sound, text
        codes = np.array([len(sound) // self._per_code for sound in mels], np.int32)
        return mel, ids, codes, np.array([len(text) for text in texts], np.int32)

    def _mel(self, number: int) -> np.ndarray:
        """(F, M) of whole codes, each band's mean 0: a loud recording is read as a quiet one."""
        mel = self._mels[number]["mel"].astype(np.float32) / self._norm
        mel = np.pad(mel, ((0, -len(mel) % self._per_code), (0, 0)), mode="edge")
        return mel - mel.mean(axis=0)

    def _scores(self, mel: tf.Tensor, ids: tf.Tensor, codes: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """(B, S, T): log of how likely each token is at each code, times a prior of an even reading."""
        scores = self.aligner(mel, ids, tf.sequence_mask(tokens, tf.shape(ids)[1]))
        reading, time = (
            (tf.range(tf.shape(scores)[axis], dtype=tf.float32) + 0.5)[None] / tf.cast(length, tf.float32)[:, None]
            for axis, length in ((2, tokens), (1, codes))
        )
        apart = time[:, :, None] - reading[:, None, :]
        return tf.nn.log_softmax(scores - tf.square(apart / PRIOR_WIDTH) / 2, axis=2)

    def _update(self, mel: tf.Tensor, ids: tf.Tensor, codes: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """One step on all monotonic paths at once: connectionist temporal classification whose labels are the tokens' places."""
        with tf.GradientTape() as tape:
            scores = self._scores(mel, ids, codes, tokens)
            logits = tf.concat([tf.fill(tf.shape(scores[:, :, :1]), SKIP), scores], axis=2)
            labels = tf.where(tf.sequence_mask(tokens, tf.shape(ids)[1]), tf.range(1, tf.shape(ids)[1] + 1)[None], 0)  # 1 to T
            path = tf.nn.ctc_loss(tf.sparse.from_dense(labels), tf.transpose(logits, (1, 0, 2)), None, codes, blank_index=0)
            loss = tf.reduce_mean(path / tf.cast(codes, tf.float32))
        weights = self.aligner.trainable_variables
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        return loss


def best_path(scores: np.ndarray) -> np.ndarray:
    """The likeliest way through (S, T) log scores, S >= T, that begins at the first token, skips none and ends at the last: int32 (S,)."""
    codes, tokens = scores.shape
    best = np.full(tokens, -np.inf)
    best[0] = scores[0, 0]
    moved = np.zeros((codes, tokens), bool)  # whether the best way to here came from the token before
    for code in range(1, codes):
        before = np.concatenate([[-np.inf], best[:-1]])
        moved[code] = before > best
        best = np.maximum(before, best) + scores[code]
    path = np.full(codes, tokens - 1, np.int32)
    for code in range(codes - 1, 0, -1):
        path[code - 1] = path[code] - moved[code, path[code]]
    return path
