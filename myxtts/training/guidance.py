"""Where in the text the guided heads of a GPT should look at each code.

B batch, S audio positions, T text positions, START and STOP included.
"""

from typing import Any

from keras import ops

DIAGONAL_WIDTH = 0.15  # of a text: how far from an even reading a guided head may look at little cost
PLACE_WIDTH = 1.0  # tokens: how far from the token that is spoken


def near_diagonal(text_mask: Any, audio_mask: Any) -> Any:
    """(B, T), (B, S) boolean -> (B, S, T) in [0, 1]: how near a token's place in the text is to a code's in the clip, 1 = the same.

    A Gaussian of DIAGONAL_WIDTH of the whole, as in equation 8 of Tachibana et al. 2018 ("Efficiently trainable text-to-speech system based
    on deep convolutional networks with guided attention"), there one minus it. Padding is 0.
    """
    places = []
    for mask in (text_mask, audio_mask):
        kept = ops.cast(mask, "float32")
        last = ops.maximum(ops.sum(kept, axis=1, keepdims=True) - 1.0, 1.0)
        places.append(ops.arange(mask.shape[1], dtype="float32")[None] / last)
    apart = places[1][:, :, None] - places[0][:, None, :]  # (B, S, T)
    return _near(apart / DIAGONAL_WIDTH, text_mask, audio_mask)


def near_places(places: Any, text_mask: Any, audio_mask: Any) -> Any:
    """places (B, S) int32: position of the token that is spoken at each code, or -1 where that is not known -> (B, S, T) in [0, 1].

    A Gaussian of PLACE_WIDTH; `near_diagonal` where no place is known.
    """
    apart = ops.cast(places, "float32")[:, :, None] - ops.arange(text_mask.shape[1], dtype="float32")  # (B, S, T)
    near = _near(apart / PLACE_WIDTH, text_mask, audio_mask)
    return ops.where(places[:, :, None] >= 0, near, near_diagonal(text_mask, audio_mask))


def _near(widths_apart: Any, text_mask: Any, audio_mask: Any) -> Any:
    """A Gaussian of (B, S, T) distances, counted in its widths; padding is 0."""
    near = ops.exp(-ops.square(widths_apart) / 2)
    return near * ops.cast(text_mask, "float32")[:, None, :] * ops.cast(audio_mask, "float32")[:, :, None]
