"""Speech while it is still being generated: the decoder is run on what there is so far, piece by piece.

S latents so far, D width, F frames of the decoder, N samples.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from myxtts.synthesis.guards import Guarded
from myxtts.text.normalize import split_sentences

CHUNK_CODES = 20  # 0.93 s at 21.5 codes a second
FIRST_CHUNK_CODES = 10  # so that the first sound comes early: as many frames of them are held back as the decoder looks ahead
OVERLAP = 1024  # samples


def latent_chunks(speaking: Guarded, chunk_codes: int, first_codes: int | None = None) -> Iterator[tuple[np.ndarray, bool]]:
    """Yields the latents (S, D) of the first row as they are made, and whether these are the last: `first_codes` codes, then
    `chunk_codes` at a time, or fewer."""
    sent, size = 0, first_codes or chunk_codes
    while True:
        speaking.advance(size)
        latents, last = speaking.latents(0), speaking.finished
        yield latents[sent:], last  # of a row that was cut further back than what was sent: none
        if last:
            return
        sent, size = max(sent, len(latents)), chunk_codes


def vocode_chunks(decoder: Any, chunks: Iterable[tuple[np.ndarray, bool]], speaker: np.ndarray, speed: float = 1.0) -> Iterator[np.ndarray]:
    """Yields pieces of the wave (N,), which together are the wave of all latents.

    decoder: HiFiGAN, or what speaks like it (`Engine.decoder`); chunks: those of `latent_chunks`; speaker (1, E). A frame is vocoded
    once the frames that its samples depend on are there, with those before it: the cost of a piece does not grow with what was said
    before, and there is no seam.
    """
    latents, sent = None, 0  # sent: frames that were yielded
    hop, context = decoder.config.hop_length, decoder.context_frames
    for chunk, last in chunks:
        latents = chunk if latents is None else np.concatenate([latents, chunk])
        if not len(latents):
            continue
        frames = np.asarray(decoder.frames(latents[None], speed))  # of a sentence: next to nothing beside the convolutions
        there = frames.shape[1] if last else decoder.settled_frames(len(latents), speed)
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


def arriving(parts: Iterable[str], language: str) -> Iterator[str]:
    """Text that arrives in parts, of any sizes, as texts that can be spoken: whole lines, and sentences once the next one has begun.

    A part that ends with a line break is spoken at once. Nothing but white space is lost.
    """
    waiting = ""
    for part in parts:
        *lines, waiting = (waiting + part).split("\n")
        if any(line.strip() for line in lines):
            yield "\n".join(lines) + "\n"
        *whole, last = split_sentences(waiting, language) or [""]
        if whole:
            yield " ".join(whole)
            waiting = last + waiting[len(waiting.rstrip()) :]
    if waiting.strip():
        yield waiting
