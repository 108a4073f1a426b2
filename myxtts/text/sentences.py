"""The split of a text into sentences short enough to be spoken at once."""

import re
from functools import cache

from myxtts.text.counting import one_of
from myxtts.text.languages import Language, get_language
from myxtts.text.numbers import reading_patterns

_ENDS = re.compile(r"[.!?…؟。！？।]+[\"'”’»)\]」』]*")
_DIGIT = re.compile("[0-9]")
_DIGIT_STOP = re.compile(r"\d\.(?= ?([^\W\d_]*))")
_MONTH_STOP = re.compile(r"(?<!\w)([^\W\d_]+)\.(?=\s\d)")
_UNIT_STOP = re.compile(r"\d\s?([^\W\d_]+\.)(?=\s([^\W\d_]))")
_ROMAN_STOP = re.compile(r"(?<!\w)[IVX]+\.(?=\s([^\W\d_]))")
_CLAUSES = re.compile(r"[,;:،؛，、；：](?=\s)|[，、；：]")


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


def _sentences_of_line(line: str, language: Language) -> list[str]:
    sentences, start = [], 0
    within = _stops_within(line, language)
    for match in _ENDS.finditer(line):
        end = match.end()
        spaced = end == len(line) or line[end].isspace() or match.group()[0] in "。！？"
        if spaced and not (match.group() == "." and (end in within or _is_abbreviation(line[start : match.start()], language))):
            sentences.append(line[start:end].strip())
            start = end
    return [sentence for sentence in (*sentences, line[start:].strip()) if sentence]


def _stops_within(line: str, language: Language) -> set[int]:
    """Where full stops end that belong to a number (5. kapitola, 25. November), a Roman numeral (Karl IV. war) or an abbreviation of
    several parts (z. B.), and are followed by something."""
    if "." not in line:
        return set()
    lower = line.lower()
    stops = {match.end() for match in _ROMAN_STOP.finditer(line) if match[1].islower()}
    spans = [match.span() for match in _parted(language).finditer(lower)] if len(lower) == len(line) else []
    if _DIGIT.search(line):
        stops |= {match.end() for match in _DIGIT_STOP.finditer(line) if match[1].lower() in _months(language)}
        stops |= {match.end() for match in _MONTH_STOP.finditer(line) if match[1].lower() in _months(language)}
        stops |= {match.end() for match in _UNIT_STOP.finditer(line) if match[1].lower() in _stopped_units(language) and match[2].islower()}
    for pattern, words in reading_patterns(language):
        spans += [match.span() for match in pattern.finditer(line) if "." in match.group() and words(match) is not None]
    stops |= {place + 1 for start, end in spans for place in range(start, end) if line[place] == "."}
    return {stop for stop in stops if line[stop:].strip()}


@cache
def _months(language: Language) -> frozenset[str]:
    return frozenset(name for calendar in language.calendars for name in (*calendar.months, *calendar.written))


@cache
def _stopped_units(language: Language) -> frozenset[str]:
    """Units and currencies that are written with a full stop."""
    return frozenset(sign for sign in (*language.units, *language.currencies) if sign.endswith("."))


@cache
def _parted(language: Language) -> re.Pattern:
    names = [name for name in (*language.abbreviations, *language.abbreviations_bare) if "." in name]
    return re.compile(rf"(?<!\w)(?:{one_of(names)})(?!\w)\.?" if names else "(?!)")


def _is_abbreviation(before: str, language: Language) -> bool:
    """Whether a full stop after `before` belongs to its last word."""
    word = re.split(r"\s", before)[-1].strip("\"'“‘«([")
    initial = len(word) == 1 and word.isupper() and word not in "IÉAY"
    return word.lower() in language.abbreviations or word.lower() in language.abbreviations_bare or initial


def _fit(sentence: str, limit: int) -> list[str]:
    pieces = []
    while len(sentence) > limit:
        head = sentence[: limit + 1]
        clause = max((match.end() for match in _CLAUSES.finditer(head[:limit])), default=0)
        space = head.rfind(" ")
        cut = clause if clause > limit // 3 else space if space > 0 else limit
        pieces.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [piece for piece in (*pieces, sentence) if piece]
