"""A text of any length as pieces that a model can speak at once, and the silences between them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from myxtts.config import DataError
from myxtts.config.stages import SynthesisConfig
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize, split_sentences

# a text as long as its language's character limit takes about so long to say (250 letters of English, 82 of Chinese)
SECONDS_OF_CHAR_LIMIT = 17.0
CLAUSE_SHARE = 0.4  # of the pause between sentences: between two parts of one
BREAK_SECONDS = 1.0  # of a break mark that says no length
LONGEST_BREAK = 30.0  # seconds
_CLAUSE_END = re.compile(r"[,;:،؛](?= )|[，、；：]")
_BREAK = re.compile(r"\[break(?: *(\d+(?:\.\d+)?|\.\d+) *(ms|s))?\]", re.IGNORECASE)
_MEANT = re.compile(r"\[break\b[^\]\n]{0,20}\]", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """What is spoken at once: a normalised sentence, or a part of a long one; its language's code; seconds of silence after it.

    before: seconds of silence that marks at the beginning of its text ask for, in place of the pause after what came before.
    closing: seconds that marks at the end of its text ask for, which are heard where nothing follows too; they are in `pause`.
    """

    text: str
    language: str
    pause: float = 0.0
    before: float | None = None
    closing: float = 0.0

    @property
    def ordinary_seconds(self) -> float:
        """How long it takes to say at an ordinary pace."""
        return SECONDS_OF_CHAR_LIMIT * len(self.text) / get_language(self.language).char_limit


def cut_text(text: str, language: str, cleaners: str, settings: SynthesisConfig, fits: Callable[[Piece], bool]) -> list[Piece]:
    """The pieces of a text, each of which `fits`; none where it holds no words.

    `[break]`, `[break 0.5s]` and `[break 300ms]` stand for so much silence, in place of the pause that would be there. Raises DataError for
    a mark that is none of these, or longer than LONGEST_BREAK.
    """
    _check_breaks(text)
    pieces: list[Piece] = []
    before: float | None = None
    parts = _BREAK.split(text)  # text, number, unit, text, …
    for number, part in enumerate(parts[::3]):
        *lines, last = re.split(r"[\r\n]+", part)
        found = [piece for line in lines for piece in _ended(_line(line, language, cleaners, settings, fits), settings)]
        found += _line(last, language, cleaners, settings, fits)
        pieces += found
        value, unit = parts[3 * number + 1 : 3 * number + 3] or (None, None)
        if 3 * number + 1 == len(parts):
            break
        seconds = _seconds(value, unit)
        if pieces:
            pieces[-1] = replace(pieces[-1], pause=seconds + (0 if found else pieces[-1].pause))  # of several marks in a row, the sum
        else:
            before = seconds + (before or 0)
    if pieces and not found:  # the text ends with a mark
        pieces[-1] = replace(pieces[-1], closing=pieces[-1].pause)
    return [*(replace(piece, before=before) for piece in pieces[:1]), *pieces[1:]]


def without_breaks(text: str) -> str:
    """The text without its break marks, which are of no language."""
    return _BREAK.sub(" ", text)


def breaks_of(text: str) -> str:
    """The break marks of a text alone."""
    return " ".join(match.group() for match in _BREAK.finditer(text))


def marked_seconds(text: str) -> float:
    """Seconds of silence that the break marks of a text ask for together."""
    return sum(_seconds(*match.groups()) for match in _BREAK.finditer(text))


def _seconds(value: str | None, unit: str | None) -> float:
    return BREAK_SECONDS if value is None else float(value) / (1000 if unit.lower() == "ms" else 1)


def _check_breaks(text: str) -> None:
    for mark in (match.group() for pattern in (_MEANT, _BREAK) for match in pattern.finditer(text)):
        known = _BREAK.fullmatch(mark)
        if not known or _seconds(*known.groups()) > LONGEST_BREAK:
            raise DataError(
                f"{mark!r} is no break: expected [break] ({BREAK_SECONDS:g} s), [break 0.5s] or [break 300ms], at most {LONGEST_BREAK:g} s"
            )


def _line(line: str, language: str, cleaners: str, settings: SynthesisConfig, fits: Callable[[Piece], bool]) -> list[Piece]:
    # split as written, for a capital tells an initial from a last word
    sentences = [normalize(sentence, language, cleaners) for sentence in split_sentences(line, language)]
    pieces: list[Piece] = []
    for sentence in sentences:
        if any(map(str.isalnum, sentence)):
            pieces += _divide(Piece(sentence, language, settings.pause_seconds), CLAUSE_SHARE * settings.pause_seconds, fits)
    return pieces


def _ended(pieces: list[Piece], settings: SynthesisConfig) -> list[Piece]:
    """The pieces of a line after which another one comes."""
    return [*pieces[:-1], *(replace(piece, pause=settings.paragraph_pause_seconds) for piece in pieces[-1:])]


def _divide(piece: Piece, clause_pause: float, fits: Callable[[Piece], bool]) -> list[Piece]:
    """Halves a piece, and its halves, until each fits."""
    text = piece.text
    if len(text) < 2 or fits(piece):
        return [piece]
    cut = _middle(text)
    halves = [half for half in (text[:cut].strip(), text[cut:].strip()) if half]
    pauses = [clause_pause] * (len(halves) - 1) + [piece.pause]
    parts = (replace(piece, text=half, pause=pause) for half, pause in zip(halves, pauses, strict=True))
    return [smaller for part in parts for smaller in _divide(part, clause_pause, fits)]


def _middle(sentence: str) -> int:
    """Where to halve it: after a clause mark in its middle half, else at a space, else anywhere; the nearest to the middle."""
    middle, length = len(sentence) // 2, len(sentence)
    clauses = [match.end() for match in _CLAUSE_END.finditer(sentence) if length / 4 <= match.end() <= length * 3 / 4]
    spaces = [index for index, character in enumerate(sentence) if character == " "]
    return min(clauses or spaces or [middle], key=lambda index: abs(index - middle))
