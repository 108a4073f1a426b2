"""Text as it is spoken: Unicode, case, numbers, signs, punctuation.

Normalised text holds lower-case letters of its language (and of `Language.also`: Latin words within Persian or Russian are kept
and learnt like others), single spaces and the language's own punctuation, at most. What no rule can turn into speech (another
script, a sign of mathematics that has no word) is left in place, so that `unknown_characters` can name it. What is taken out without
being spoken is counted by `normalize_with_report`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache

from myxtts.config import ConfigError
from myxtts.config.data import CLEANERS
from myxtts.text import coqui_cleaners
from myxtts.text.characters import fold_foreign_letters, note, tidy, translate
from myxtts.text.contacts import PAUSE, spell_addresses
from myxtts.text.coqui_tables import COQUI_LANGUAGES
from myxtts.text.counting import one_of
from myxtts.text.languages import ZWNJ, Language, get_language
from myxtts.text.numbers import spell_numbers, spell_readings, spell_roman
from myxtts.text.sentences import split_sentences

__all__ = ["normalize", "normalize_with_report", "split_sentences", "unknown_characters"]

_DOUBLE_QUOTES = '“”„‟«»"〝〞〟＂「」『』《》〈〉‹›‚'
_APOSTROPHES = "’‘‛`´ʼʹ′＇ʻ"
_BRACKETS = "()[]{}（）【】〔〕⟨⟩﴾﴿"
_LONG_DASHES = "—―⸺⸻"
_DASHES = "‐‑‒–−﹣－"
_PLAIN_SIGNS = "_*~^<>|\\•·●▪©®™"
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
    "。": ". ",  # ends a sentence and divides no number or address
    "｡": ".",
    "।": ".",
    "॥": ".",
    "٪": "%",
    "٫": ".",
    "٬": ",",
    "＋": "+",
    "…": "...",
    "℃": "°c",
    "ـ": "",
}
_TABLE = dict.fromkeys(_DOUBLE_QUOTES, " ") | dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_BRACKETS, f"{PAUSE} ")
_TABLE = str.maketrans(_TABLE | dict.fromkeys(_LONG_DASHES, f"{PAUSE} ") | dict.fromkeys(_DASHES, "-") | _SIGNS)
_PLAIN = str.maketrans(dict.fromkeys(_PLAIN_SIGNS, " "))
_STRAY = re.compile(r"(?<![-'/])[-'/]+(?=\s*[.,;:!?](?!\d))")
_DASH = re.compile(r"(?<!\d\s)(?<=\s)-(?=\s)|(?<=\s)-(?=\s(?!\d))|--+")  # a pause, but between two numbers
_LOOSE = re.compile(r"(?<![^\W_])'|'(?![^\W_])|(?<![^\W_])-|-(?![^\W_])")  # apostrophes and hyphens that are not inside a word
_LEADING = re.compile(rf"[.,;:!?\s{PAUSE}]+")
_MARKS = re.compile(r"[.,;:!?](?:\s*[.,;:!?])+")
_AFTER_MARKED = re.compile(rf"(?<=[.,;:!?])[\s{PAUSE}]+")
_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(rf"(?<![\s{PAUSE}])[\s{PAUSE}]+(?=[.,;:!?])")
_BEFORE_SURE_MARK = re.compile(rf"(?<![\s{PAUSE}])[\s{PAUSE}]+(?=[.,;:!?](?!\d))")
_STOP_BEFORE_WORD = re.compile(r"\.(?=[^\W\d_]{2})")
_AFTER_MARK = re.compile(r"([,;:!?])(?=[^\W_]|[¿¡])")
_AFTER_STOP = re.compile(r"\.(?=[^\W_]{2})")
_WIDE_SPACE = re.compile(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])|(?<=[.,;:!?]) ")
_JOINERS = re.compile(f"{ZWNJ}+")
_LOOSE_JOINER = re.compile(rf"(?<![^\W\d_]){ZWNJ}|{ZWNJ}(?![^\W\d_])")
_DOTS = re.compile(r"\.{2,}")
_INITIALISM = re.compile(r"(?<![^\W_])(?<![^\W_]\.)(?:[^\W\d_]\.){2,}(?:[^\W\d_](?![^\W_]|\.))?(?!\d|[^\W\d_](?![^\W\d_]))")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d)[{_LONG_DASHES}](?=\d)")
_PICTURES = re.compile("[\u20e3\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")  # arrows, shapes, emoji
_HASHTAG = re.compile(r"#(?=[^\W\d_])")
_OWN_MARKS = ((",", "،，、"), (";", "؛；"), (":", "："), ("?", "؟？"), ("!", "！"), (".", "।。"))


def normalize(text: str, language: str, cleaners: str = "myxtts") -> str:
    """Text -> its spoken form in `language`. Any text is accepted; an unknown language raises DataError.

    cleaners "coqui": as models of the reference implementation were taught (`myxtts.text.coqui_cleaners`), for the languages
    it has; others (Persian) are normalised as with "myxtts". Chinese and Japanese then need `pip install 'myxtts[languages]'`.
    """
    record = get_language(language)
    return coqui_cleaners.clean(text, record.code) if _is_coqui(cleaners, record) else _spoken(text, record, None)


def normalize_with_report(text: str, language: str, cleaners: str = "myxtts") -> tuple[str, Counter[str]]:
    """What `normalize` gives, and how often it took out each character without speaking it or putting another in its place.

    Counted: control and format characters, variation selectors, accents over letters that have none, vowel signs of Persian and
    Arabic, tatweel, quotation marks, brackets, apostrophes and hyphens outside words, marks before the first word, signs that
    have no word (`*`, `_`, `|`), emoji, arrows and shapes. Not counted: white space; a mark or letter that became another form of itself
    (`٬`, `ي`, `é` in English); the second of two marks; what a number, date, amount or address was read from.
    The reference's cleaners (`coqui`) take out straight quotation marks alone.
    """
    record, removed = get_language(language), Counter()
    if not _is_coqui(cleaners, record):
        return _spoken(text, record, removed), removed
    cleaned = coqui_cleaners.clean(text, record.code)
    note(text, {'"'} - set(cleaned), removed)
    return cleaned, removed


def unknown_characters(text: str, language: str, cleaners: str = "myxtts") -> set[str]:
    """Characters of a text normalised with `cleaners` that its language has no letter, sign or sound for."""
    record = get_language(language)
    if _is_coqui(cleaners, record):
        return {character for character in set(text) if not coqui_cleaners.is_legible(character, record.code)}
    return {character for character in set(text) if not record.knows(character)}


def _is_coqui(cleaners: str, language: Language) -> bool:
    if cleaners not in CLEANERS:
        raise ConfigError(f"unknown cleaners {cleaners!r}; expected one of {', '.join(CLEANERS)} (prepare.cleaners)")
    return cleaners == "coqui" and language.code in COQUI_LANGUAGES


def _spoken(text: str, language: Language, removed: Counter[str] | None) -> str:
    """The steps that docs/languages.md lists; each leaves the next one a text of which it knows more."""
    if language.joiner:
        text = _joiner(language).sub(ZWNJ, text)
    text = _pictures(tidy(text, removed), language, removed)
    text = language.lower(spell_readings(spell_roman(text, language), language))
    text = _letters(text, language, removed)
    text = fold_foreign_letters(text, language, removed)
    text = _signs(text, removed)
    text = spell_addresses(text, language, removed)
    text = translate(text, _PLAIN, removed)
    text = _abbreviations(text, language, _dotted_abbreviations(language))
    before = _BEFORE_MARK if language.decimal_comma else _BEFORE_SURE_MARK  # .5 is a number where the full stop is the decimal sign
    text = _MARKS.sub(_strongest_but_abbreviated, before.sub("", text))
    text = _STOP_BEFORE_WORD.sub(". ", text) if language.spaced else text
    text = _abbreviations(text, language, _plain_abbreviations(language))
    text = spell_numbers(text, language)
    text = _abbreviations(text, language, _all_abbreviations(language))  # one that stood at a number (€5 s.) or its unit (5 °Cг-н)
    text = _INITIALISM.sub(lambda match: _initialism(match, language), text) if "." in text else text
    text = fold_foreign_letters(_symbols(text, language, removed), language)  # num2words puts vowel signs on some Arabic numbers
    text = _punctuation(text, language, removed)
    if ZWNJ in text:  # one stood between digits, or before a sign that is now a word
        text = _joiners(text, language, removed)
    return language.joining(text) if language.joining else text


def _pictures(text: str, language: Language, removed: Counter[str] | None) -> str:
    """Without emoji and the like, which nobody reads aloud, but those that the language has a word for."""
    found = set() if text.isascii() else set(_PICTURES.findall(text)) - language.symbols.keys()
    note(text, found, removed)
    return text.translate(dict.fromkeys(map(ord, found), " ")) if found else text


def _letters(text: str, language: Language, removed: Counter[str] | None) -> str:
    """The language's own spelling. Lower-casing may have made new combining marks."""
    if text.isascii() and not language.spelling:
        return text
    text = unicodedata.normalize("NFC", text)
    for written, form in _longer_forms(language):
        text = text.replace(written, form)
    text = text.translate(_letter_forms(language))
    if language.dropped:
        dropped = _dropped(language)
        if removed is not None:
            removed.update(dropped.findall(text))
        text = dropped.sub("", text)
    if ZWNJ in text:
        text = _joiners(text, language, removed)
    return language.spelling(text) if language.spelling else text


def _joiners(text: str, language: Language, removed: Counter[str] | None) -> str:
    """Zero width non-joiners stand between two letters of a language that has them, and nowhere else."""
    if ZWNJ in language.letters:
        text = _JOINERS.sub(ZWNJ, text)
        kept = _LOOSE_JOINER.sub("", text)
    else:
        kept = text.replace(ZWNJ, "")
    if removed is not None and len(kept) < len(text):
        removed[ZWNJ] += len(text) - len(kept)
    return kept


@cache
def _longer_forms(language: Language) -> list[tuple[str, str]]:
    return [(written, form) for written, form in language.letter_forms.items() if len(written) > 1]


@cache
def _letter_forms(language: Language) -> dict[int, str]:
    return str.maketrans({written: form for written, form in language.letter_forms.items() if len(written) == 1})


@cache
def _joiner(language: Language) -> re.Pattern:
    return re.compile(language.joiner)


@cache
def _dropped(language: Language) -> re.Pattern:
    return re.compile(language.dropped)


def _signs(text: str, removed: Counter[str] | None) -> str:
    """One form for each sign: ASCII punctuation, one apostrophe, one hyphen; quotes go, brackets and long dashes become pauses."""
    note(text, set(_BRACKETS).intersection(text), removed)
    text = translate(_BETWEEN_DIGITS.sub("-", text), _TABLE, removed)
    text = _DASH.sub(f"{PAUSE} ", text)
    if removed is not None:
        removed.update("".join(_STRAY.findall(text)))
    return _STRAY.sub("", text)


def _abbreviations(text: str, language: Language, patterns: list) -> str:
    for pattern, spoken in patterns:

        def say(match: re.Match, spoken=spoken) -> str:
            words = spoken[match[1]]
            # the last full stop is the sentence's too
            if match.group().endswith(".") and not match.string[match.end() :].strip():
                return f"{words}."
            return f"{words} " if match.string[match.end() : match.end() + 1].isalpha() else words

        text = pattern.sub(say, text)
    return text


@cache
def _dotted_abbreviations(language: Language) -> list:
    """Those with a full stop inside come first: a stop between two words is given its space after them."""
    return _abbreviation_patterns(language, lambda name: "." in name)


@cache
def _plain_abbreviations(language: Language) -> list:
    return _abbreviation_patterns(language, lambda name: "." not in name)


@cache
def _all_abbreviations(language: Language) -> list:
    return _abbreviation_patterns(language, lambda name: True)


def _abbreviation_patterns(language: Language, chosen: Callable[[str], bool]) -> list:
    patterns = []
    for names, end in (
        (language.abbreviations, r"\.(?!\.|[^\W\d_](?![^\W\d_]))"),  # not "e.g.x", but "e.g.so"
        (language.abbreviations_bare, r"(?![^\W\d_])(?:\.(?![^\W\d_]|\.))?"),
    ):
        names = {name: spoken for name, spoken in names.items() if chosen(name)}
        measures = one_of(name for name in names if name in language.units)  # 5 m. is no monsieur
        others = one_of(name for name in names if name not in language.units)
        if found := "|".join(filter(None, (others, rf"(?<!\d)(?<!\d )(?:{measures})" if measures else ""))):
            patterns.append((re.compile(rf"(?<![^\W\d_])(?<![^\W\d_]\.)({found}){end}"), names))
    return patterns


def _initialism(match: re.Match, language: Language) -> str:
    """u.s. is two letters, u s, and no sentence ends there but at the end of the text."""
    *_, last = letters = match.group().rstrip(".").split(".")
    after = match.string[match.end() :]
    ends = match.group().endswith(".") and not after.strip() and last not in language.abbreviations
    return f"{' '.join(letters)}{'.' * ends}{' ' * after[:1].isalpha()}"


def _symbols(text: str, language: Language, removed: Counter[str] | None) -> str:
    if "#" in text and (hashtag := language.symbols.get("hashtag")):
        text = _HASHTAG.sub(f"{language.space}{hashtag}{language.space}", text)
    return translate(text, _symbol_table(language), removed)


@cache
def _symbol_table(language: Language) -> dict[int, str]:
    words = {sign: noun.form(language.plural(5)) for sign, noun in language.currencies.items() if not sign.isalnum()} | language.symbols
    table = {sign: f"{language.space}{word}{language.space}" for sign, word in words.items() if len(sign) == 1}
    return str.maketrans({"/": " "} | table)


def _punctuation(text: str, language: Language, removed: Counter[str] | None) -> str:
    """Apostrophes and hyphens inside words only, one mark where several meet, spacing as written, the language's own marks."""
    if removed is not None:
        removed.update(_LOOSE.findall(text))
    text = _LOOSE.sub(" ", text)
    if "¿" not in language.punctuation and ("¿" in text or "¡" in text):
        note(text, {"¿", "¡"}, removed)
        text = text.replace("¿", " ").replace("¡", " ")
    if leading := _LEADING.match(text):
        note(leading.group(), set(".,;:!?"), removed)
        text = text[leading.end() :]
    text = text.rstrip(f"{PAUSE} ")  # no pause after the last word
    text = _AFTER_MARKED.sub(" ", _BEFORE_MARK.sub("", text)).replace(PAUSE, ",")
    text = _SPACES.sub(" ", _MARKS.sub(_strongest, text))
    text = _BEFORE_MARK.sub("", text).strip()
    text = _AFTER_STOP.sub(". ", _AFTER_MARK.sub(r"\1 ", text)) if language.spaced else _WIDE_SPACE.sub("", text)
    if language.sentence_end[0] != ".":
        text = _DOTS.sub(".", text)  # its own full stop has no form of three
    if "." in text:  # a sign between an abbreviation or initialism and its full stop is gone by now
        text = _abbreviations(_abbreviations(text, language, _dotted_abbreviations(language)), language, _plain_abbreviations(language))
        text = _INITIALISM.sub(lambda match: _initialism(match, language), text)
        text = text if language.spaced else _WIDE_SPACE.sub("", text)
    return _own_marks(text, language)


def _strongest_but_abbreviated(match: re.Match) -> str:
    """ "etc.," is left until the abbreviations are spoken."""
    return match.group() if match.group()[:-1] == "." and match.group()[-1] in ",;:" else _strongest(match)


def _strongest(match: re.Match) -> str:
    marks = "".join(match.group().split())
    if len(marks) == 2 and marks[0] == "." and marks[1] in ",;:":
        return f"{marks[1]} "  # the full stop was an abbreviation's
    mark = next((mark for mark in "?!." if mark in marks), marks[0])
    if set(marks) == {"."} and len(marks) > 1:
        mark = "..."
    return f"{mark} "


def _own_marks(text: str, language: Language) -> str:
    for ascii_mark, form in _mark_forms(language):
        text = re.sub(r"\.+", form, text) if ascii_mark == "." else text.replace(ascii_mark, form)
    return text


@cache
def _mark_forms(language: Language) -> list[tuple[str, str]]:
    """ASCII mark -> the language's own, a comma where it has none; those that stay are not listed."""
    forms = []
    for ascii_mark, others in _OWN_MARKS:
        form = next((form for form in language.punctuation if form in others or form == ascii_mark), ",")
        if form != ascii_mark:
            forms.append((ascii_mark, form))
    return forms
