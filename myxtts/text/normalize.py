"""Text as it is spoken: Unicode, case, numbers, signs, punctuation; and its split into sentences.

Normalised text holds lower-case letters of its language, single spaces and the language's own punctuation, at most.
What no rule can turn into speech (an emoji, another script) is left in place, so that `unknown_characters` can name it.
"""

import re
import unicodedata
from collections.abc import Callable

from myxtts.config import ConfigError
from myxtts.config.data import CLEANERS
from myxtts.text import coqui_cleaners
from myxtts.text.coqui_tables import COQUI_LANGUAGES
from myxtts.text.languages import ZWNJ, Language, get_language
from myxtts.text.numbers import spell_numbers

_DOUBLE_QUOTES = '“”„‟«»"〝〞〟＂「」『』《》〈〉‹›‚'
_APOSTROPHES = "’‘‛`´ʼʹ′＇ʻ"
_BRACKETS = "()[]{}（）【】〔〕⟨⟩﴾﴿"
_LONG_DASHES = "—―⸺⸻"
_DASHES = "‐‑‒–−﹣－"
_PLAIN_SIGNS = "_*~^<>|\\/•·●▪©®™…"
# every sign in its ASCII form; each language's own form is chosen at the end
_SIGNS = {
    "،": ",",
    "、": ",",
    "，": ",",
    "､": ",",
    "؛": ";",
    "；": ";",
    "：": ":",
    "؟": "?",
    "？": "?",
    "⸮": "?",
    "！": "!",
    "۔": ".",
    "。": ".",
    "｡": ".",
    "।": ".",
    "॥": ".",
    "٪": "%",
    "٫": ".",
    "٬": ",",
    "＋": "+",
    "…": "...",
    "ـ": "",
}
_FOREIGN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "n", "ĳ": "ij"}
_PERSIAN = {"ي": "ی", "ى": "ی", "ې": "ی", "ے": "ی", "ك": "ک", "ڪ": "ک", "ة": "ه", "ہ": "ه", "ھ": "ه", "إ": "ا", "ٱ": "ا"}
_ARABIC = {"ی": "ي", "ک": "ك", "ٱ": "ا", "ہ": "ه", "ھ": "ه", ZWNJ: ""}
_HARAKAT = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]")
_COMPATIBILITY = re.compile("[\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffee\u3000]")  # ligatures, presentation and wide forms


def normalize(text: str, language: str, cleaners: str = "myxtts") -> str:
    """Text -> its spoken form in `language`. Any text is accepted; an unknown language raises DataError.

    cleaners "coqui": as models of the reference implementation were taught (`myxtts.text.coqui_cleaners`), for the languages
    it has; others (Persian) are normalised as with "myxtts". Chinese and Japanese then need `pip install 'myxtts[languages]'`.
    """
    record = get_language(language)
    if _is_coqui(cleaners, record):
        return coqui_cleaners.clean(text, record.code)
    text = _unicode(text)
    text = _CASES.get(record.code, str.lower)(text)
    text = unicodedata.normalize("NFC", text)
    text = _SCRIPTS.get(record.code, _no_joiners)(text)
    text = _signs(text)
    text = _abbreviations(text, record)
    text = spell_numbers(text, record)
    text = _symbols(text, record)
    text = _fold_foreign_letters(text, record)
    return _punctuation(text, record)


def unknown_characters(text: str, language: str, cleaners: str = "myxtts") -> set[str]:
    """Characters of a text normalised with `cleaners` that its language has no letter, sign or sound for."""
    record = get_language(language)
    if _is_coqui(cleaners, record):
        return {character for character in set(text) if not coqui_cleaners.is_legible(character, record.code)}
    return {character for character in set(text) if not record.knows(character)}


def split_sentences(text: str, language: str) -> list[str]:
    """Sentences of a text, normalised or not, each at most the language's `char_limit` characters long.

    Full stops of abbreviations, initials and numbers end no sentence. A sentence over the limit is cut after a clause mark,
    else at a space, else at the limit. Nothing but white space is lost; a piece without letter or digit joins its neighbour.
    """
    record = get_language(language)
    pieces: list[str] = []
    for line in re.split(r"[\r\n]+", text):
        for sentence in _sentences_of_line(line, record):
            pieces += _fit(sentence, record.char_limit)
    sentences: list[str] = []
    for piece in pieces:
        if sentences and not any(c.isalnum() for c in piece) and len(sentences[-1]) + 1 + len(piece) <= record.char_limit:
            sentences[-1] = f"{sentences[-1]} {piece}"
        else:
            sentences.append(piece)
    return sentences


def _is_coqui(cleaners: str, language: Language) -> bool:
    if cleaners not in CLEANERS:
        raise ConfigError(f"unknown cleaners {cleaners!r}; expected one of {', '.join(CLEANERS)} (prepare.cleaners)")
    return cleaners == "coqui" and language.code in COQUI_LANGUAGES


def _unicode(text: str) -> str:
    """NFC, wide and presentation forms resolved, every digit ASCII, control characters gone."""
    text = unicodedata.normalize("NFC", text)
    text = _COMPATIBILITY.sub(lambda match: unicodedata.normalize("NFKC", match.group()) if match.group() != "﷼" else "﷼", text)
    text = re.sub(r"(\d*)([\u00bc-\u00be\u2150-\u215e])", _fraction, text)
    return "".join(_character(c) for c in text)


def _character(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Nd", "No"):
        digit = unicodedata.digit(character, None)
        return character if digit is None else str(digit)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Cs", "Cn", "Co") and character != ZWNJ else character


def _fraction(match: re.Match) -> str:
    """3½ -> 3.5"""
    value = f"{int(match[1][-15:] or 0) + unicodedata.numeric(match[2]):.3f}".rstrip("0")
    return f"{match[1][:-15]}{value}"


def _no_joiners(text: str) -> str:
    return text.replace(ZWNJ, "")


def _turkish_case(text: str) -> str:
    return text.replace("İ", "i").replace("I", "ı").lower()


def _persian(text: str) -> str:
    """Persian letters for Arabic ones, no diacritics, ZWNJ between a stem and its affixes and nowhere else."""
    text = text.replace("هٔ", f"ه{ZWNJ}ی").replace("ۀ", f"ه{ZWNJ}ی")  # the ezafe of a final he is spoken
    text = _HARAKAT.sub("", text).translate(str.maketrans(_PERSIAN))
    text = re.sub(rf"{ZWNJ}+", ZWNJ, text)
    text = re.sub(rf"(?<![^\W\d_]){ZWNJ}|{ZWNJ}(?![^\W\d_])", "", text)
    text = re.sub(r"(?<!\w)(ن?می) (?=\w\w+(?:م|د|ند|ست)(?!\w))", rf"\1{ZWNJ}", text)
    text = re.sub(r"(?<=[^\W\d_]) (?=(?:ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان|ترین)(?!\w))", ZWNJ, text)
    return re.sub(r"(?<=ه) (?=ی(?!\w))", ZWNJ, text)


def _arabic(text: str) -> str:
    return _HARAKAT.sub("", text).translate(str.maketrans(_ARABIC))


_CASES: dict[str, Callable[[str], str]] = {"tr": _turkish_case}
_SCRIPTS: dict[str, Callable[[str], str]] = {"fa": _persian, "ar": _arabic}


def _signs(text: str) -> str:
    """One form for each sign: ASCII punctuation, one apostrophe, one hyphen; quotes go, brackets and long dashes become pauses."""
    table = dict.fromkeys(_DOUBLE_QUOTES, " ") | dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_BRACKETS, ", ")
    table |= dict.fromkeys(_LONG_DASHES, ", ") | dict.fromkeys(_DASHES, "-") | _SIGNS
    return re.sub(r"(?<=\s)-+(?=\s)|--+", ", ", text.translate(str.maketrans(table)))


def _abbreviations(text: str, language: Language) -> str:
    if not language.abbreviations:
        return text
    names = "|".join(map(re.escape, sorted(language.abbreviations, key=len, reverse=True)))

    def spoken(match: re.Match) -> str:
        words = language.abbreviations[match[1]]
        return words if match.string[match.end() :].strip() else f"{words}."  # the last full stop is the sentence's too

    return re.sub(rf"(?<![\w.])({names})\.(?=\s|$|,)", spoken, text)


def _symbols(text: str, language: Language) -> str:
    words = {sign: word for sign, word in language.symbols.items() if sign != "minus"}
    words |= {sign: several for sign, (_, several) in language.currencies.items()}
    pad = " " if language.spaced else ""
    text = text.translate(str.maketrans({sign: f"{pad}{word}{pad}" for sign, word in words.items()}))
    return text.translate(str.maketrans(dict.fromkeys(_PLAIN_SIGNS, " ")))


def _fold_foreign_letters(text: str, language: Language) -> str:
    """A letter that the language lacks loses its accent (garçon -> garcon in English) if what remains is known."""

    def fold(character: str) -> str:
        if language.knows(character) or not (character.isalpha() or unicodedata.combining(character)):
            return character
        if unicodedata.combining(character):
            return ""
        bare = "".join(c for c in unicodedata.normalize("NFD", character) if not unicodedata.combining(c))
        bare = "".join(_FOREIGN.get(c, c) for c in bare)
        return bare if bare and all(map(language.knows, bare)) else character

    return "".join(map(fold, text))


def _punctuation(text: str, language: Language) -> str:
    """Apostrophes and hyphens inside words only, one mark where several meet, spacing as written, the language's own marks."""
    text = re.sub(r"(?<![^\W_])'|'(?![^\W_])|(?<![^\W_])-|-(?![^\W_])", " ", text)
    if "¿" not in language.punctuation:
        text = re.sub("[¿¡]", " ", text)
    text = re.sub(r"[.,;:!?](?:\s*[.,;:!?])+", _strongest, text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"^[.,;:!?\s]+", "", text)
    text = re.sub(r" (?=[.,;:!?])", "", text)
    if language.spaced:
        text = re.sub(r"([,;:!?])(?=[^\W_]|[¿¡])", r"\1 ", text)
        text = re.sub(r"\.(?=[^\W_]{2})", ". ", text)
    else:
        text = re.sub(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])", "", text)
    return _own_marks(text, language)


def _strongest(match: re.Match) -> str:
    marks = re.sub(r"\s", "", match.group())
    mark = next((mark for mark in "?!." if mark in marks), marks[0])
    if set(marks) == {"."} and len(marks) > 1:
        mark = "..."
    return f"{mark} "


def _own_marks(text: str, language: Language) -> str:
    own = language.punctuation
    for ascii_mark, forms in ((",", "،，、"), (";", "؛；"), (":", "："), ("?", "؟？"), ("!", "！"), (".", "।。")):
        form = next((form for form in own if form in forms or form == ascii_mark), ",")
        if ascii_mark == "." and form != ".":
            text = re.sub(r"\.+", form, text)
        text = text.replace(ascii_mark, form)
    return text


_ENDS = re.compile(r"[.!?…؟。！？।]+[\"'”’»)\]」』]*")


def _sentences_of_line(line: str, language: Language) -> list[str]:
    sentences, start = [], 0
    for match in _ENDS.finditer(line):
        end = match.end()
        spaced = end == len(line) or line[end].isspace() or match.group()[0] in "。！？"
        if spaced and not (match.group() == "." and _is_abbreviation(line[start : match.start()], language)):
            sentences.append(line[start:end].strip())
            start = end
    return [sentence for sentence in (*sentences, line[start:].strip()) if sentence]


def _is_abbreviation(before: str, language: Language) -> bool:
    """Whether a full stop after `before` belongs to its last word."""
    word = re.split(r"\s", before)[-1].strip("\"'“‘«([")
    initial = len(word) == 1 and word.isupper() and word not in "IÉAY"
    return word.lower() in language.abbreviations or initial


def _fit(sentence: str, limit: int) -> list[str]:
    pieces = []
    while len(sentence) > limit:
        head = sentence[: limit + 1]
        clause = max((match.end() for match in re.finditer(r"[,;:،؛，、；：](?=\s)|[，、；：]", head[:limit])), default=0)
        space = head.rfind(" ")
        cut = clause if clause > limit // 3 else space if space > 0 else limit
        pieces.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [piece for piece in (*pieces, sentence) if piece]
