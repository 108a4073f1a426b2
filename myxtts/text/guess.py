"""Which language texts are in, where their script or its most frequent words tell."""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from myxtts.config import DataError
from myxtts.text.languages import get_language

_OF_SCRIPT = {"HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh-cn", "CYRILLIC": "ru"}
# of languages that share a script: what stands in every text of some length, and in none of the others
_WORDS = {
    "ARABIC": {
        "fa": "از به در که را این است با برای آن می نمی هم یک های شد بود اند",
        "ar": "في على إلى الى أن ان عن هذا هذه التي الذي كان لا هو هي مع ما من قد لم",
    },
    "DEVANAGARI": {"hi": "है हैं में और से का के ने पर नहीं था"},
}
_WORD_SHARE = 0.06  # of the words; of running Persian, a fifth are among them, and of running Arabic
_CLEARLY = 2  # times as many as of the next language
_FREQUENT = 0.002  # share of letters from which on a letter is no slip
_LOCK = threading.Lock()
_KEYBOARD = str.maketrans("يك", "یک")  # Persian that was typed on an Arabic one


def guess_language(texts: Iterable[str]) -> str | None:
    """The code of the language of texts; None where nothing tells: in Latin script, and where it is a neighbour of one that we know.

    So Urdu is not taken for Persian, nor Ukrainian or Bulgarian for Russian, Marathi or Nepali for Hindi.
    """
    text = unicodedata.normalize("NFKC", " ".join(texts).lower())
    letters = Counter(filter(str.isalpha, text))
    frequent = {letter: count for letter, count in letters.items() if count >= _FREQUENT * letters.total()}
    scripts = Counter()
    for letter, count in frequent.items():
        scripts[unicodedata.name(letter, "?").split()[0]] += count
    script = max(scripts, key=scripts.get, default="")
    if script in _WORDS:
        return _by_words(text, _WORDS[script])
    code = _OF_SCRIPT.get(script)
    if script == "CJK" and scripts["HIRAGANA"] + scripts["KATAKANA"]:  # Japanese with more Chinese characters than its own
        code = "ja"
    if code is None or (code == "ru" and "ы" not in frequent):  # which Ukrainian, Bulgarian, Macedonian and Serbian lack
        return None
    return code if all(map(get_language(code).knows, frequent)) else None


def _by_words(text: str, languages: dict[str, str]) -> str | None:
    words = Counter(re.findall(r"[^\W\d_]+", re.sub(r"[\u064b-\u065f\u0670]", "", text).replace("\u093c", "")))
    typed = Counter()
    for word, count in words.items():
        typed[word.translate(_KEYBOARD)] += count
    shares = {}
    for code, frequent in languages.items():
        counts = typed if code == "fa" else words
        shares[code] = sum(counts[word] for word in frequent.split()) / max(words.total(), 1)
    best, *others = sorted(shares, key=shares.get, reverse=True)
    clear = shares[best] >= _WORD_SHARE and all(shares[best] >= _CLEARLY * shares[other] for other in others)
    return best if clear else None


def guess_among(text: str, languages: Sequence[str]) -> str:
    """The code, among `languages`, of the language of a text: by its script and words, by its letters where only one of the languages
    has them all, else by the statistics of py3langid.

    One language alone is it whatever the text says. Raises DataError where nothing tells, or the package that could is not installed.
    """
    if len(languages) == 1:
        return languages[0]
    if (code := guess_language([text])) in languages:
        return code
    letters = {letter for letter in text.lower() if letter.isalpha()}
    writing = [code for code in languages if letters and letters <= set(get_language(code).letters)]
    if len(writing) == 1:
        return writing[0]
    unclear = f"the text does not show which of {', '.join(languages)} it is: name the language"
    identifier = _identifier()
    if identifier is None:
        raise DataError(f"{unclear}, or pip install 'myxtts[languages]'")
    with _LOCK:  # the identifier is narrowed to the languages in place
        identifier.set_languages(None)
        known = {code.partition("-")[0]: code for code in languages if code.partition("-")[0] in identifier.labels}
        if not known or not letters:
            raise DataError(unclear)
        identifier.set_languages(list(known))
        return known[identifier.classify(text)[0]]


@cache
def _identifier() -> Any:
    """The network of py3langid, which is BSD-3-Clause and needs NumPy alone; None where it is not installed."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE)
