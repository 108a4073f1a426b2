"""Phones of a text, in IPA, by eSpeak NG: text units for corpora too small to teach a model how a language is spelled.

An hour of speech holds most of its words once; their letters teach little about those of another text (English), or leave the
vowels out (Persian, Arabic). What eSpeak NG takes a word for is not always right, and is then wrong in the same way in training and
in speech.
"""

import ctypes
import re
import threading
from functools import cache, lru_cache

from myxtts.config import DataError
from myxtts.text.espeak import espeak_files, open_espeak
from myxtts.text.languages import LANGUAGES, get_language

_CODES = {"en": "en-us", "zh-cn": "cmn", "pt": "pt-br"}  # where eSpeak NG's name is not the language's code
_UNREAD = ("ja",)  # eSpeak NG reads kana alone
PHONE_LANGUAGES = tuple(code for code in LANGUAGES if code not in _UNREAD)
_UTF8, _IPA = 1, 2  # speak_lib.h
_SWITCH = re.compile(r"\([a-z-]+\)")  # where a word is read by another language's rules: (en)…(fa)
_MARKS = re.escape("".join(sorted(set("".join(language.punctuation for language in LANGUAGES.values())) - set("'’-"))))
_MARK = re.compile(rf"\s*((?:[{_MARKS}]|(?<!\w)-|-(?!\w))+)\s*")
_SHARED = str.maketrans("،؛؟。，！？；：、", ",;?.,!?;:,")  # one token for a pause in all languages
_LOCK = threading.Lock()  # the library has one voice, and state


@lru_cache(maxsize=4096)
def phones(text: str, language: str) -> str:
    """Normalised text -> IPA, words divided by blanks, stress marked before the vowel, the marks of the sentence kept.

    "good morning, all." -> "ɡˈʊd mˈɔːɹnɪŋ, ˈɔːl." Raises DataError for a language that eSpeak NG cannot read (PHONE_LANGUAGES), or
    where it is not installed.
    """
    code = get_language(language).code
    if code not in PHONE_LANGUAGES:
        raise DataError(
            f"there are no phones of {code!r}: eSpeak NG reads {', '.join(PHONE_LANGUAGES)}; set tokenizer.units to letters, and "
            "model.num_text_tokens to 512, for a language of thousands of characters to some hundreds more than these"
        )
    said = []
    for index, part in enumerate(_MARK.split(text)):
        if index % 2:  # a mark
            said.append(part.replace(" ", "").translate(_SHARED) + " ")
        elif part.strip():
            said.append(_spell(part, _CODES.get(code, code)))
    return "".join(said).strip()


def _spell(words: str, voice: str) -> str:
    """Words without marks -> IPA."""
    with _LOCK:
        library = _library()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"this eSpeak NG has no voice {voice!r}: install the espeakng-loader that this project names")
        rest, clauses = ctypes.c_char_p(words.encode()), []
        while rest.value is not None:  # the library moves it on by a clause
            clauses.append((library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA) or b"").decode())
    return " ".join(_SWITCH.sub("", " ".join(clauses)).split())


@cache
def _library() -> ctypes.CDLL:
    library, _ = open_espeak(*espeak_files("reading texts by their phones (tokenizer.units: phones)"))
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    return library
