"""Weights that a GPT's training from scratch begins with, where random ones take a small corpus too long to leave.

D width of the GPT, d of one head, K codes, C width of a code, W waves, P positions.
"""

import numpy as np

from myxtts.config import ModelError
from myxtts.models.dvae import DVAE
from myxtts.models.gpt import GPT

STDDEV = 0.02  # of the embeddings, as of random ones
OWN = 0.3  # share of a code's random weights that it keeps: codes that stand side by side can be told apart from the first step
SHORTEST, LONGEST = 8.0, 600.0  # wavelengths of the position waves, in codes
READING_LAYERS = 3  # their first two heads read the text
AHEAD = (1.0, 4.0)  # codes that each of them reads ahead of the code it is at
BACK = (1.5, 4.0)  # codes, and text tokens, that each of the two heads behind them looks back
SHARPNESS = 0.7  # of the first layer's heads: what stands beside the positions grows from layer to layer
GROWTH = (1.0, 1.5, 1.9)


def start_from_codebook(gpt: GPT, dvae: DVAE, seed: int) -> None:
    """Embeddings and output weights of codes become projections of the audio tokenizer's codebook: codes that sound alike start alike.

    A code is seen some hundred times in an hour of speech; from random weights what is learnt of one says nothing of its neighbours.
    Raises ModelError where a code is wider than the GPT.
    """
    book = dvae.codebook.numpy()  # (K, C)
    if book.shape[1] > gpt.config.dim:
        raise ModelError(f"training.gpt.codebook_start: codes of width {book.shape[1]} do not fit a GPT of width {gpt.config.dim}")
    book = book - book.mean(axis=0)
    book *= STDDEV * np.sqrt(gpt.config.dim / book.shape[1]) / max(book.std(), 1e-12)
    generator = np.random.default_rng(seed)
    embedding, head = gpt.audio_embedding.numpy(), gpt.audio_head.kernel.numpy()  # (K + 2, D), (D, K + 2)
    for rows in (embedding, head.T):
        rows[: len(book)] = OWN * rows[: len(book)] + book @ _orthonormal(generator, gpt.config.dim, book.shape[1]).T
    gpt.audio_embedding.assign(embedding)
    gpt.audio_head.kernel.assign(head)


def start_reading(gpt: GPT, tokens_per_code: float, seed: int) -> None:
    """Heads of the first layers start by reading the text at an even pace, `tokens_per_code` text tokens a code, and by looking back.

    Positions of text and codes become sines and cosines, as of Vaswani et al. 2017, each in a space of its own. Two heads' queries read
    the codes' space, their keys the text's, and are alike where both are at the same time of the clip; as Ping et al. 2018 ("Deep Voice 3",
    section 3.5) start theirs, with equal projections for query and key, and text positions at the speaker's rate. Two others look at the
    codes just before a code, and at the tokens just before a token: what was just said. Everything is trained on.
    Raises ModelError where text has no length, or heads are too narrow for a wave.
    """
    if tokens_per_code <= 0:
        raise ModelError(f"training.gpt.reading_start: expected text tokens, got {tokens_per_code:g} of them a code")
    dim, width = gpt.config.dim, gpt.config.dim // gpt.config.num_heads
    if width < 4:
        raise ModelError(f"training.gpt.reading_start: expected heads of width 4 or more, got {width}: lower model.gpt.num_heads")
    waves = width // 4  # pairs of sine and cosine: half of a head
    omega = 2 * np.pi / np.geomspace(SHORTEST, LONGEST, waves)
    spaces = _orthonormal(np.random.default_rng(seed), dim, 4 * waves)
    of_text, of_audio = spaces[:, : 2 * waves], spaces[:, 2 * waves :]  # (D, 2W) each
    loudness = STDDEV * np.sqrt(dim / waves)
    gpt.text_position_embedding.assign(loudness * _waves(np.arange(gpt.text_positions) / tokens_per_code, omega) @ of_text.T)
    gpt.audio_position_embedding.assign(loudness * _waves(np.arange(gpt.audio_positions), omega) @ of_audio.T)
    # of each head (D, 2W or 4W): what its query reads, and its key
    reading = [(of_audio @ _later(ahead, omega), of_text) for ahead in AHEAD]
    both = np.concatenate([of_audio, of_text], axis=1)
    looking = [np.concatenate([of_audio @ _later(-b, omega), of_text @ _later(-b / tokens_per_code, omega)], axis=1) for b in BACK]
    heads = [*reading, *((query, both) for query in looking)][: gpt.config.num_heads]
    for block, growth in zip(gpt.blocks[:READING_LAYERS], GROWTH, strict=False):
        kernel = block.qkv.kernel.numpy()  # (D, 3D): the heads' queries, keys and values
        for head, parts in enumerate(heads):
            for place, part in zip((0, dim), parts, strict=True):
                # the rest of the head stays random: where query and key are both 0, nothing is ever learnt
                kernel[:, place + head * width :][:, : part.shape[1]] = growth * SHARPNESS * part
        block.qkv.kernel.assign(kernel)


def _orthonormal(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(generator.normal(size=(rows, columns)))[0]


def _waves(positions: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """(P,), (W,) -> (P, 2W)."""
    phase = positions[:, None] * omega
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)


def _later(shift: float, omega: np.ndarray) -> np.ndarray:
    """(2W, 2W): what turns the waves of a position into those of `shift` later."""
    cosines, sines = np.diag(np.cos(omega * shift)), np.diag(np.sin(omega * shift))
    return np.block([[cosines, sines], [-sines, cosines]])
