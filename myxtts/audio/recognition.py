"""What is heard in a recording: phones, and how far they are from those of a text.

N samples. Recogniser and pronunciations: hama (Apache-2.0), whose weights are in its package; they know English.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np

from myxtts.audio.wave import resample
from myxtts.config import DataError

LANGUAGES = ("en",)
RECOGNISER_SAMPLE_RATE = 16000
RECOGNISER_MINIMUM_SECONDS = 0.1
APOSTROPHES = re.compile("['’ʼ]")


def check_installed() -> None:
    """Raises DataError, naming the remedy, where the recogniser is not installed."""
    _phone_tools()


def knows(language: str) -> bool:
    """Whether the recogniser hears this language: a code such as "en" or "en-us"."""
    return re.split("[-_]", language.lower())[0] in LANGUAGES


def recognition_error(wave: np.ndarray, sample_rate: int, text: str, language: str) -> float | None:
    """`phone_error` for the rule `prepare.max_recognition_error`: None where the recogniser does not know the language.

    language: a code such as "en" or "en-us". A text without letters that are spoken gives None too. Raises DataError where the
    recogniser is not installed: ask `check_installed` once, before the first clip.
    """
    if not knows(language) or not _words(text):
        return None
    return phone_error(wave, sample_rate, text)


def phone_error(wave: np.ndarray, sample_rate: int, text: str) -> float:
    """Edit distance between the phones heard in an English `wave` and the phones of `text`, by the number of the latter.

    0 = every phone as written; about 0.1 for a clear recording, for recogniser and pronunciation model err as well; 1 where nothing is
    heard; above 1 when more is heard than was written. wave (N,) is resampled from sample_rate Hz; text is spelled-out words
    (normalised: numbers are not read). Raises DataError if the text holds no word or the packages are not installed.
    """
    return phones_error(heard_phones(wave, sample_rate).split(), text)


def phones_error(heard: list[str], text: str) -> float:
    """The same for phones that were heard already (`heard_phones`)."""
    jiwer = _phone_tools()[0]
    expected = text_phones(text)
    if not expected:
        raise DataError(f"phone_error_rate needs a text with words; it got {text!r}; drop this row")
    return float(jiwer.wer(" ".join(expected), " ".join(heard))) if heard else 1.0


def text_phones(text: str) -> list[str]:
    """The phones of an English text, as its pronunciation model says; errors as `phone_error`."""
    return [phone for word in _words(text) for phone in _phones_of_word(word)]


def heard_phones(wave: np.ndarray, sample_rate: int) -> str:
    """What the recogniser hears in an English `wave` (N,), as phones with blanks between; errors as `phone_error`."""
    _, recogniser, _ = _phone_tools()
    return " ".join(_phones_of_wave(recogniser, np.asarray(wave, np.float32), sample_rate))


@lru_cache(maxsize=1)
def _phone_tools() -> tuple[Any, Any, Any]:
    """jiwer, and hama's phone recogniser and pronunciation model, loaded once."""
    try:
        import hama
        import jiwer
    except ImportError as error:
        raise DataError(
            "recognising phones (phone_error_rate, prepare.max_recognition_error) expects the packages hama and jiwer; "
            f"{error.name} is not installed: pip install 'myxtts[evaluation]'"
        ) from None
    return jiwer, hama.ASRModel(), hama.G2PModel()


def _words(text: str) -> list[str]:
    # the pronunciation model reads punctuation as if it were a foreign script, and knows "dont" but not "don't"
    plain = APOSTROPHES.sub("", text.lower())
    return "".join(" " if unicodedata.category(c)[0] in "PSC" else c for c in plain).split()


@lru_cache(maxsize=100_000)
def _phones_of_word(word: str) -> tuple[str, ...]:
    """A network reads each word, some 20 ms: every kind of audio of a sentence, and its metrics, ask for the same."""
    phones = (phone.phoneme for phone in _phone_tools()[2](word).alignments)
    return tuple(phone for phone in phones if phone.strip())


def _phones_of_wave(recogniser: Any, wave: np.ndarray, sample_rate: int) -> list[str]:
    if len(wave) < RECOGNISER_MINIMUM_SECONDS * sample_rate:
        return []
    # resampled here: hama would interpolate linearly, and alias
    return list(recogniser(resample(wave, sample_rate, RECOGNISER_SAMPLE_RATE), RECOGNISER_SAMPLE_RATE).phonemes)
