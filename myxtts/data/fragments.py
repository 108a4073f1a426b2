"""Runs of words out of longer clips, each with the codes that speak it: more, and shorter, examples than a corpus has clips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fragment:
    """Tokens [first_token, last_token) of a clip behind its language's, and codes [first_code, last_code) that speak them."""

    clip: int
    first_token: int
    last_token: int
    first_code: int
    last_code: int

    @property
    def codes(self) -> int:
        return self.last_code - self.first_code

    @property
    def tokens(self) -> int:
        """The language's, which stands before every fragment, included."""
        return 1 + self.last_token - self.first_token

    def of(self, record: Mapping[str, np.ndarray], spelling: int) -> dict[str, np.ndarray]:
        """text_ids (T,), codes (S,), places (S,) of the fragment of its clip's record; `spelling`: 0 = codes, then those of `shifted`."""
        whole = np.concatenate([record["codes"], record["shifted"]]).reshape(-1, len(record["codes"]))
        codes, ids = slice(self.first_code, self.last_code), record["text_ids"]
        places = record["places"][codes]
        # what lies before the first word is the language's, as in a whole clip
        places = np.where(places < self.first_token, 0, places - self.first_token + 1)
        return {
            "text_ids": np.concatenate([ids[:1], ids[self.first_token : self.last_token]]),
            "codes": whole[spelling][codes],
            "places": places,
        }


def without_text(made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same codes with no text. Its [STOP] is all that they can look at, whether places were known or not."""
    return made | {"text_ids": made["text_ids"][:0], "places": np.zeros(len(made["codes"]), np.int32)}


def whole_clip(number: int, tokens: int, codes: int) -> Fragment:
    """The fragment that is all of a clip of so many text tokens, its language's included, and codes."""
    return Fragment(number, 1, tokens, 0, codes)


def cut(records: Iterable[Mapping[str, Any]], space: int, count: int, seed: int) -> list[Fragment]:
    """Up to `count` different fragments of each clip, of one word to all but one.

    space: the token that stands between words. Clips without places (encode.align), or of one word, have none.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for number, record in enumerate(records):
        if not len(record["places"]):
            continue
        whole = whole_clip(number, len(record["text_ids"]), len(record["codes"]))
        spaces = np.flatnonzero(record["text_ids"] == space)
        begins, ends = np.concatenate([[0], spaces]) + 1, np.concatenate([spaces, [whole.last_token]])
        drawn = set()
        for _ in range(count if len(begins) > 1 else 0):
            words = int(generator.integers(1, len(begins)))
            first = int(generator.integers(0, len(begins) - words + 1))
            drawn.add((first, first + words - 1))
        parts += [_part(whole, record["places"], int(begins[first]), int(ends[last])) for first, last in sorted(drawn)]
    return parts


def _part(whole: Fragment, places: np.ndarray, first_token: int, last_token: int) -> Fragment:
    """The silence before a clip's first word goes with it, and that behind its last."""
    first = 0 if first_token == whole.first_token else int(np.searchsorted(places, first_token))
    last = whole.last_code if last_token == whole.last_token else int(np.searchsorted(places, last_token))
    return Fragment(whole.clip, first_token, last_token, first, last)
