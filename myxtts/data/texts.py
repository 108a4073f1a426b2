"""The texts of a corpus: normalised, and refused where they cannot be spoken."""

from dataclasses import replace

from myxtts.config.data import PrepareConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.text.normalize import normalize, unknown_characters


def check_text(row: Utterance, settings: PrepareConfig) -> Utterance | Rejected:
    """The row with its text normalised (from the corpus' own normalised column where there is one), or why it is refused."""
    text = normalize(row.normalized or row.text, row.language, settings.cleaners)
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
