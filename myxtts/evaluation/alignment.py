"""Which head of the GPT follows the text: by it the guards of synthesis see where a sentence ends.

L layers, H heads, S codes, T text tokens.
"""

from collections.abc import Sequence

import numpy as np

from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice

SHORTEST = 12  # codes that tell something


def alignment_head(synthesizer: Synthesizer, clips: Sequence[tuple[np.ndarray, np.ndarray, Voice]]) -> dict[str, float]:
    """The head whose looks go through the text as time goes by, over clips of their text ids (T,), codes (S,) and a voice.

    Returns gpt/alignment_layer, gpt/alignment_head and gpt/alignment_correlation: the mean correlation of the token that the head
    looks at most with the position of the code, 1 where it reads evenly; {} where no clip is long enough to tell.
    """
    scores = [_follows(synthesizer, *clip) for clip in clips if len(clip[1]) >= SHORTEST]
    if not scores:
        return {}
    mean = np.mean(scores, axis=0)  # (L, H)
    layer, head = np.unravel_index(int(mean.argmax()), mean.shape)
    return {"gpt/alignment_layer": int(layer), "gpt/alignment_head": int(head), "gpt/alignment_correlation": float(mean.max())}


def _follows(synthesizer: Synthesizer, text: np.ndarray, codes: np.ndarray, voice: Voice) -> np.ndarray:
    """(L, H): correlation of each head's looks with the time."""
    fed = np.concatenate([[synthesizer.config.model.start_audio_token], codes[:-1]]).astype(np.int32)[None]  # (1, S)
    text = np.asarray(text, np.int32)[None]  # (1, T)
    looks = synthesizer.model.gpt.looks(voice.latents, text, np.ones(text.shape, bool), fed, np.ones(fed.shape, bool))
    looks = np.asarray(looks, np.float64)[:, 0]  # (L, H, S)
    time = np.arange(looks.shape[2]) - (looks.shape[2] - 1) / 2
    centred = looks - looks.mean(axis=2, keepdims=True)
    spread = np.sqrt(np.square(centred).sum(axis=2) * np.square(time).sum())
    return np.where(spread > 0, (centred * time).sum(axis=2) / np.maximum(spread, 1e-9), 0.0)
