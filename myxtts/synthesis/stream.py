"""Speech while it is still being generated: the decoder is run on what there is so far, piece by piece.

S latents so far, D width, F frames of the decoder, N samples.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from myxtts.models.hifigan import HiFiGAN
from myxtts.synthesis.generate import Generation

CHUNK_CODES = 20  # 0.93 s at 21.5 codes a second
OVERLAP = 1024  # samples


def latent_chunks(generation: Generation, chunk_codes: int = CHUNK_CODES) -> Iterator[tuple[np.ndarray, bool]]:
    """Yields the latents (chunk_codes or fewer, D) of a generation of one text as they are made, and whether these are the last."""
    sent, last = 0, False
    while not last:
        _, latents = generation.advance(chunk_codes)
        total, last = int(generation.num_latents[0]), generation.finished
        yield latents[: total - sent, 0], last
        sent = total


def vocode_chunks(decoder: HiFiGAN, chunks: Iterable[tuple[np.ndarray, bool]], speaker: np.ndarray) -> Iterator[np.ndarray]:
    """Yields pieces of the wave (N,), which together are the wave of all latents.

    chunks: those of `latent_chunks`; speaker (1, E). A frame is vocoded once the frames that its samples depend on are there, with
    those before it: the cost of a piece does not grow with what was said before, and there is no seam.
    """
    latents, sent = None, 0  # sent: frames that were yielded
    hop, context = decoder.config.hop_length, decoder.context_frames
    for chunk, last in chunks:
        latents = chunk if latents is None else np.concatenate([latents, chunk])
        if not len(latents):
            continue
        frames = decoder.frames(latents[None])  # of a sentence: next to nothing beside the convolutions
        there = frames.shape[1] if last else decoder.settled_frames(len(latents))
        end = there if last else there - context
        if end > sent:
            first = max(0, sent - context)
            wave = np.asarray(decoder.from_frames(frames[:, first:there], speaker))[0]
            yield wave[(sent - first) * hop : (end - first) * hop]
            sent = end


def faded_chunks(
    vocode: Callable[[np.ndarray], np.ndarray], chunks: Iterable[tuple[np.ndarray, bool]], overlap: int = OVERLAP
) -> Iterator[np.ndarray]:
    """`vocode_chunks` as the reference's `inference_stream` does it: each piece vocodes all latents again and is faded into the next.

    vocode: latents (S, D) -> wave (N,). Only the last `overlap` samples are held back, because the decoder had not heard what follows
    them; where two pieces meet, they fade from the earlier wave into the later one. A piece shorter than that waits for the next.
    """
    latents, sent, held = None, 0, None  # held: the last `overlap` samples of the wave that `sent` was cut from
    for chunk, last in chunks:
        latents = chunk if latents is None else np.concatenate([latents, chunk])
        wave = vocode(latents)
        end = len(wave) if last else len(wave) - overlap
        if end - sent < overlap and not last:
            continue
        piece = np.array(wave[sent:end])
        if held is not None:
            rising = np.linspace(0, 1, overlap, dtype=np.float32)
            piece[:overlap] = held * rising[::-1] + piece[:overlap] * rising
        sent, held = end, wave[len(wave) - overlap :]
        yield piece
