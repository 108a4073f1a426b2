"""What a tokenizer makes of texts: how much it does not know, and how many tokens a second of speech takes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from myxtts.data.manifest import Utterance
from myxtts.text.languages import get_language
from myxtts.text.tokenizer import Tokenizer


@dataclass
class _Sums:
    clips: int = 0
    clips_with_unknown: int = 0
    seconds: float = 0.0
    characters: int = 0
    tokens: int = 0  # without the language's tag
    unknown: int = 0
    used: set[int] = field(default_factory=set)


def coverage(tokenizer: Tokenizer, rows: Iterable[Utterance]) -> dict[str, dict[str, Any]]:
    """By language: clips, unknown_rate (tokens that are [UNK], as a share), clips_with_unknown, tokens_per_second, tokens_per_text,
    characters_per_token, and vocabulary_share, the share of the vocabulary that its texts use. `""` sums up all languages.

    Reads the rows once, one by one. A language that the tokenizer does not know counts as unknown from end to end.
    """
    sums: dict[str, _Sums] = defaultdict(_Sums)
    for row in rows:
        code = get_language(row.language).code
        ids = tokenizer.encode(row.normalized, code)[1:] if code in tokenizer.languages else [tokenizer.unknown_id] * len(row.normalized)
        unknown = ids.count(tokenizer.unknown_id)
        for name in (code, ""):
            found = sums[name]
            found.clips += 1
            found.clips_with_unknown += unknown > 0
            found.seconds += row.seconds or 0.0
            found.characters += len(row.normalized)
            found.tokens += len(ids)
            found.unknown += unknown
            found.used.update(ids)
    return {name: _rates(sums[name], tokenizer) for name in sorted(sums)}


def _rates(sums: _Sums, tokenizer: Tokenizer) -> dict[str, Any]:
    tokens = max(1, sums.tokens)
    return {
        "clips": sums.clips,
        "unknown_rate": sums.unknown / tokens,
        "clips_with_unknown": sums.clips_with_unknown,
        "tokens_per_second": round(sums.tokens / sums.seconds, 4) if sums.seconds else None,
        "tokens_per_text": round(sums.tokens / sums.clips, 4),
        "characters_per_token": round(sums.characters / tokens, 4),
        "vocabulary_share": round(len(sums.used - {tokenizer.unknown_id}) / tokenizer.size, 4),
    }
