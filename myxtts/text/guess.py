"""Which language texts are in, where their script or its most frequent words tell."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

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
