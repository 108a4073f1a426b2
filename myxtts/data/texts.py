"""The texts of a corpus: normalised, and refused where they cannot be spoken."""

from dataclasses import replace

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.text.normalize import normalize_with_report, unknown_characters


def check_text(row: Utterance, settings: PrepareConfig) -> tuple[Utterance | Rejected, dict[str, int]]:
    """The row with its text normalised (from the corpus' own normalised column where there is one), or why it is refused.

    With it, how often each character was taken out of the text without being spoken.
    """
    text, removed = normalize_with_report(row.normalized or row.text, row.language, settings.cleaners)
    return _checked(row, text, settings), dict(removed)


def _checked(row: Utterance, text: str, settings: PrepareConfig) -> Utterance | Rejected:
    if not any(character.isalpha() for character in text):
        return Rejected(row.id, row.audio, "empty_text", f"nothing to say in {_shown(row.text)}")
    if len(text) > settings.max_text_chars:
        detail = f"{len(text)} characters, expected at most {settings.max_text_chars} (prepare.max_text_chars)"
        return Rejected(row.id, row.audio, "text_too_long", detail)
    unknown = unknown_characters(text, row.language, settings.cleaners)
    if unknown:
        names = " ".join(f"{character!r} (U+{ord(character):04X})" for character in sorted(unknown)[:20])
        detail = f"not known in language {row.language}: {names}, in {_shown(row.text)}"
        return Rejected(row.id, row.audio, "unknown_characters", detail)
    return replace(row, normalized=text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
