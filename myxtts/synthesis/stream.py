"""Speech while it is still being generated: the decoder is run on what there is so far, and the pieces are joined by cross-fades.

S latents so far, D width, N samples. After the reference's `inference_stream`: each chunk vocodes all latents again, so the decoder hears
the whole past; only the last OVERLAP samples are held back, because the decoder had not heard what follows them.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

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


def vocode_chunks(
    vocode: Callable[[np.ndarray], np.ndarray], chunks: Iterable[tuple[np.ndarray, bool]], overlap: int = OVERLAP
) -> Iterator[np.ndarray]:
    """Yields pieces of the wave, which together are as long as `vocode` of all latents.

    vocode: latents (S, D) -> wave (N,); chunks: those of `latent_chunks`. Where two pieces meet, `overlap` samples fade from the earlier
    wave into the later one. A piece that would be shorter than that waits for the next.
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
