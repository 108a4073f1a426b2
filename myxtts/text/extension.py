"""Vocabulary extension: a tokenizer's JSON grown by new languages, and cut back to what it was.

An extension is a block of ids above the older ones: the marker `[EXTENSION 1]` (2 for the next), the tags of the new languages,
their new characters, then tokens that further BPE merges make. The JSON remains a plain one of Hugging Face `tokenizers`;
the blocks are read off the markers.
"""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from itertools import pairwise
from typing import Any

_MARKER = re.compile(r"\[EXTENSION (\d+)\]")
Pair = tuple[str, str]


def markers(vocabulary: Mapping[str, int]) -> list[int]:
    """Ids of the extension markers, oldest first."""
    return sorted(index for token, index in vocabulary.items() if is_marker(token))


def is_marker(token: str) -> bool:
    return _MARKER.fullmatch(token) is not None


def before(content: Mapping[str, Any], bound: int) -> dict[str, Any]:
    """The tokenizer JSON without the ids from `bound` (a marker) on, nor the merges that lead to them."""
    vocabulary = content["model"]["vocab"]
    merges = [pair for pair in content["model"]["merges"] if vocabulary["".join(_pair(pair))] < bound]
    model = dict(content["model"]) | {"vocab": {token: index for token, index in vocabulary.items() if index < bound}, "merges": merges}
    added = [token for token in content["added_tokens"] if token["id"] < bound]
    return dict(content) | {"added_tokens": added, "model": model}


def extend(content: Mapping[str, Any], special: list[str], plain: list[str], merges: list[Pair]) -> dict[str, Any]:
    """The tokenizer JSON with new ids: `special` tokens (the marker, tags), `plain` ones (characters), what `merges` make."""
    vocabulary = dict(content["model"]["vocab"])
    added = list(content["added_tokens"])
    free = 1 + max((*vocabulary.values(), *(token["id"] for token in added)))
    for token in (*special, *plain, *("".join(pair) for pair in merges)):
        if token not in vocabulary:
            vocabulary[token] = free
            free += 1
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    added += [{"id": vocabulary[token], "content": token, **flags} for token in special]
    model = dict(content["model"])
    model |= {"vocab": vocabulary, "merges": [*map(_pair, model["merges"]), *map(list, merges)]}
    return dict(content) | {"added_tokens": added, "model": model}


def learn_merges(words: Mapping[tuple[str, ...], int], known: Container[str], budget: int, min_frequency: int = 2) -> list[Pair]:
    """BPE (Sennrich et al. 2016) continued from words already divided into tokens.

    words: tokens of a word -> how often it occurs. known: tokens that no merge may lead to, for they are there already and
    have their own merges. budget: how many new tokens there may be. The pair that occurs most often is merged first, of equal
    ones the first in code point order; pairs rarer than `min_frequency` are left. Only the words that hold a merged pair are
    counted again.
    """
    texts, frequencies = [list(word) for word in words], list(words.values())
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, tokens in enumerate(texts):
        for pair in pairwise(tokens):
            counts[pair] += frequencies[number]
            where[pair].add(number)
    queue = [(-count, pair) for pair, count in counts.items() if "".join(pair) not in known]
    heapq.heapify(queue)
    merges: dict[Pair, None] = {}  # in order; a pair comes up again where another merge makes a token that was made already
    made: set[str] = set()
    while queue and len(made) < budget:
        count, pair = heapq.heappop(queue)
        if -count != counts[pair]:
            continue  # counted anew since: stands in the queue once more
        if -count < min_frequency:
            break
        merges[pair] = None
        made.add("".join(pair))
        for other in _merge_everywhere(pair, texts, frequencies, counts, where):
            if counts[other] > 0 and "".join(other) not in known:
                heapq.heappush(queue, (-counts[other], other))
    return list(merges)


def _merge_everywhere(
    pair: Pair, texts: list[list[str]], frequencies: list[int], counts: Counter[Pair], where: defaultdict[Pair, set[int]]
) -> set[Pair]:
    """Merges a pair in all words that hold it, keeps the counts true, returns the pairs whose count changed."""
    changed: set[Pair] = set()
    for number in where.pop(pair):
        old, new = texts[number], _merged(texts[number], pair)
        for tokens, sign in ((old, -1), (new, 1)):
            for other in pairwise(tokens):
                counts[other] += sign * frequencies[number]
                changed.add(other)
        for other in set(pairwise(old)) - {pair}:
            where[other].discard(number)
        for other in pairwise(new):
            where[other].add(number)
        texts[number] = new
    return changed


def _merged(tokens: list[str], pair: Pair) -> list[str]:
    merged, position = [], 0
    while position < len(tokens):
        here = position + 1 < len(tokens) and (tokens[position], tokens[position + 1]) == pair
        merged.append("".join(pair) if here else tokens[position])
        position += 2 if here else 1
    return merged


def _pair(merge: str | list[str]) -> list[str]:
    """A merge is written "a b" in older files, ["a", "b"] in newer ones."""
    return merge.split(" ") if isinstance(merge, str) else merge
