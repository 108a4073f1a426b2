"""How many occurrences of each word a tokenizer is trained on, so that a small language gets merges beside a large one."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from myxtts.text.languages import get_language


def count_words(rows: Iterable[tuple[str, str]]) -> dict[str, Counter[str]]:
    """Occurrences of each word by language code, of (normalised text, language) rows. Memory: the distinct words."""
    words: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, language in rows:
        words[get_language(language).code].update(word for word in text.split(" ") if word)
    return dict(words)


def balance_words(words: Mapping[str, Counter[str]], exponent: float) -> Counter[str]:
    """Occurrences over all languages, as many as there were, shared out in proportion to (occurrences of a language) ** `exponent`.

    Lample & Conneau 2019, section 3.1, there with 0.5; 1 leaves the corpus as it is. A word that was seen once is never made to look
    frequent. Fractions are rounded up or down by a hash of the word, which is right on average, the same in every run, and independent
    of the order of rows.
    """
    totals = {language: counts.total() for language, counts in words.items() if counts}
    if len(totals) < 2 or exponent == 1:
        return sum((words[language] for language in totals), Counter())
    every, shares = sum(totals.values()), {language: total**exponent for language, total in totals.items()}
    balanced: Counter[str] = Counter()
    for language, share in shares.items():
        factor = every * share / sum(shares.values()) / totals[language]
        for word, count in words[language].items():
            wanted = count * factor if count > 1 else min(factor, 1.0)
            if number := int(wanted + _fraction(f"{language} {word}")):
                balanced[word] += number
    return balanced


def _fraction(text: str) -> float:
    """In [0, 1)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
