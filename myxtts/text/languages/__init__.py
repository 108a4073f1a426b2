"""One record for each language: the 17 of XTTS v2 and Persian. docs/languages.md tells how to add one."""

from myxtts.config import DataError
from myxtts.text.languages.ar import ARABIC
from myxtts.text.languages.cs import CZECH
from myxtts.text.languages.de import GERMAN
from myxtts.text.languages.en import ENGLISH
from myxtts.text.languages.es import SPANISH
from myxtts.text.languages.fa import PERSIAN
from myxtts.text.languages.fr import FRENCH
from myxtts.text.languages.hi import HINDI
from myxtts.text.languages.hu import HUNGARIAN
from myxtts.text.languages.it import ITALIAN
from myxtts.text.languages.ja import JAPANESE
from myxtts.text.languages.ko import KOREAN
from myxtts.text.languages.nl import DUTCH
from myxtts.text.languages.pl import POLISH
from myxtts.text.languages.pt import PORTUGUESE
from myxtts.text.languages.record import ZWNJ, Language
from myxtts.text.languages.ru import RUSSIAN
from myxtts.text.languages.tr import TURKISH
from myxtts.text.languages.zh import CHINESE

__all__ = ["LANGUAGES", "ZWNJ", "Language", "get_language"]

LANGUAGES: dict[str, Language] = {
    "en": ENGLISH,
    "es": SPANISH,
    "fr": FRENCH,
    "de": GERMAN,
    "it": ITALIAN,
    "pt": PORTUGUESE,
    "pl": POLISH,
    "tr": TURKISH,
    "ru": RUSSIAN,
    "nl": DUTCH,
    "cs": CZECH,
    "ar": ARABIC,
    "zh-cn": CHINESE,
    "hu": HUNGARIAN,
    "ko": KOREAN,
    "ja": JAPANESE,
    "hi": HINDI,
    "fa": PERSIAN,
}


def get_language(code: str) -> Language:
    """The record of a code such as `fa`, `en-us` or `zh` (= `zh-cn`). Raises DataError naming the known codes."""
    key = code.strip().lower().replace("_", "-") if isinstance(code, str) else ""
    if key not in LANGUAGES:
        key = key.split("-")[0]
    key = {"zh": "zh-cn"}.get(key, key)
    if key not in LANGUAGES:
        raise DataError(f"unknown language {code!r}; expected one of {', '.join(LANGUAGES)}")
    return LANGUAGES[key]
