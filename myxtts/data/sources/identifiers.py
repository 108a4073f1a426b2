"""Ids as file names.

What is no letter, digit, `.`, `_` or `-` (and a leading dot) is written `=XX`, the hexadecimal of its UTF-8 bytes (`p225/001` ->
`p225=2F001`), so that different ids stay different; one longer than 180 bytes is cut and ends in a hash of the whole. A segment of a
recording has `=t<start>-<end>` behind that, in milliseconds; no escape begins with a t.
"""

import hashlib
import re
import unicodedata

_MAX_ID_BYTES = 180
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


def safe_id(identifier: str, suffix: str = "") -> str:
    """An id as a file name: injective, without separators, never hidden, at most 180 bytes, `suffix` at its end. "" stays ""."""
    room = _MAX_ID_BYTES - len(suffix)
    if len(identifier) <= room and _PLAIN.fullmatch(identifier):
        return identifier + suffix
    identifier = unicodedata.normalize("NFC", identifier)
    escaped = re.sub(r"[^\w.\-]", lambda match: "".join(f"={byte:02X}" for byte in _bytes(match.group())), identifier)
    if escaped.startswith((".", "-")):
        escaped = f"={ord(escaped[0]):02X}{escaped[1:]}"
    encoded = escaped.encode()
    if len(encoded) <= room:
        return escaped + suffix if escaped else ""
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: room - 17].decode(errors='ignore')}={digest}{suffix}"


def is_safe_id(identifier: str) -> bool:
    """Whether an id is what `safe_id` makes."""
    return bool(re.fullmatch(r"(?![.\-])[\w.\-=]+", identifier)) and len(identifier.encode()) <= _MAX_ID_BYTES


def segment_suffix(start: float | None, end: float | None) -> str:
    """What tells the segments of a recording apart: `=t1500-2750` from 1.5 s to 2.75 s; "" for a whole recording."""
    if start is None and end is None:
        return ""
    return f"=t{round((start or 0) * 1000)}-{'' if end is None else round(end * 1000)}"


def _bytes(text: str) -> bytes:
    # a file name that is not UTF-8, and half of a pair in JSON, come as lone surrogates
    return text.encode("utf-8", "surrogatepass")
