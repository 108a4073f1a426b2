"""Room for new tokens in a trained GPT: the rows of its text embedding and text head grow with an extended tokenizer.

V text vocabulary, D width. A new row begins where the old model already stands for the same letters, so that training starts from
something it knows instead of noise:

| new id | its row is the mean of the rows of |
|---|---|
| a piece of a word | the old tokens that its letters encoded to before |
| a language's tag | the old languages' tags |
| a letter the old vocabulary lacked (or only such), the marker | all old tokens that spell the new texts, or else all single letters |
| an id beyond the tokenizer | all old tokens |

The marker that begins an extension is used by no text. Old rows keep their bits, and with them every output for old texts.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from myxtts.config import DataError, ModelError
from myxtts.models.gpt import GPT
from myxtts.models.tensor_files import read_weights
from myxtts.models.xtts import assign_weights
from myxtts.text.tokenizer import Tokenizer

# the axis of each tensor that counts text tokens
TEXT_AXES = {"text_embedding": 0, "text_head/kernel": 1, "text_head/bias": 0}


def load_grown(gpt: GPT, path: Path, tokenizer: Tokenizer, base: Tokenizer, used: Collection[int] = ()) -> None:
    """Reads a weight file into `gpt`, whose vocabulary may be larger than the file's.

    tokenizer: that of `gpt`, `base` or an extension of it; base: that of the weight file; used: ids of `tokenizer` that occur in
    texts of the new languages. Raises ModelError as `load_weights` does, and where the tokenizer does not fit.
    """
    if tokenizer.size > gpt.num_text_tokens:
        raise ModelError(
            f"the tokenizer holds {tokenizer.size} ids, more than the {gpt.num_text_tokens} text rows of this GPT: "
            "set model.num_text_tokens to at least that"
        )
    values = read_weights(path)
    if TEXT_AXES.keys() <= values.keys() and len(values["text_embedding"]) <= gpt.num_text_tokens:
        values = grow_text_rows(values, tokenizer, base, gpt.num_text_tokens, used)
    assign_weights(gpt, values, path)


def grow_text_rows(
    values: dict[str, np.ndarray], tokenizer: Tokenizer, base: Tokenizer, rows: int, used: Collection[int] = ()
) -> dict[str, np.ndarray]:
    """`values` with text_embedding (V, D), text_head/kernel (D, V) and text_head/bias (V,) of `rows` tokens; the others as they are.

    Rows below `base.size` keep their bits. The rest are means as the table above says, also where the old tensors already had
    unused rows for them. Raises ModelError where the old tensors have fewer rows than the old tokenizer, or more than `rows`.
    """
    old = len(values["text_embedding"])
    if not base.size <= old <= rows:
        raise ModelError(f"cannot grow a text embedding of {old} rows, with a tokenizer of {base.size} ids, to {rows} rows")
    if tokenizer.size == base.size and rows == old:
        return values
    sources = _sources(tokenizer, base, rows, used)
    grown = dict(values)
    for name, axis in TEXT_AXES.items():
        kept = np.moveaxis(values[name], axis, 0)[: base.size]
        # many ids have the same sources, and those of the unused ones are the whole vocabulary: each mean is taken once
        means = {ids: kept[list(ids)].mean(axis=0, dtype=np.float64) for ids in set(sources)}
        new = np.stack([means[ids] for ids in sources]).astype(kept.dtype) if sources else kept[:0]
        grown[name] = np.ascontiguousarray(np.moveaxis(np.concatenate([kept, new]), 0, axis))
    return grown


def _sources(tokenizer: Tokenizer, base: Tokenizer, rows: int, used: Collection[int]) -> list[tuple[int, ...]]:
    """For each id from base.size to rows, the old ids whose rows its own is the mean of."""
    everything = tuple(range(base.size))
    tags = set(map(tokenizer.tag_id, tokenizer.languages))
    old_tags = tuple(sorted(map(base.tag_id, base.languages)))
    pieces = {index: tuple(tokenizer.pieces(index, base.size)) for index in range(base.size, tokenizer.size)}
    letters = tuple(_spelling(base, used, pieces)) or everything
    found = []
    for index in range(base.size, rows):
        if index >= tokenizer.size:
            found.append(everything)
        elif index in tags:
            found.append(old_tags or everything)
        else:
            found.append(pieces[index] or letters)
    return found


def _spelling(base: Tokenizer, used: Iterable[int], pieces: Mapping[int, Collection[int]]) -> list[int]:
    """The old ids that spell texts of the ids `used`, or else all single letters; control tokens, tags and spaces left out."""
    spelt = {index: text for index in range(base.size) if (text := _text(base, index)) not in ("", "\ufffd")}
    old = {piece for index in used for piece in pieces.get(index, (index,))}
    return sorted(old & spelt.keys()) or sorted(index for index, text in spelt.items() if len(text) == 1)


def _text(tokenizer: Tokenizer, index: int) -> str:
    """What a token spells: nothing for control tokens, tags, spaces and the holes that a vocabulary may have between its ids."""
    try:
        return tokenizer.decode([index]).strip()
    except DataError:
        return ""
