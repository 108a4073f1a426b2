"""Telephone numbers, e-mail and web addresses in words."""

import re
from collections import Counter

from myxtts.text.counting import pad, say_digits, say_integer
from myxtts.text.languages import Language

PAUSE = "\ue000"  # stands for a bracket or long dash, until punctuation is settled: private use characters of a text are gone by then
_GROUPS = re.compile(rf"(?<![\w.,+/:-])\+?(?:{PAUSE} ?)?\d+(?:[ .{PAUSE}-]{{1,4}}\d+){{0,6}}(?![\w%:/]|[.,-]\d)")
_BRACKETED = re.compile(rf"(?:\+?\d{{1,3}} ?)?{PAUSE} ?\d{{2,5}} ?{PAUSE}[ \d.-]+")
_ADDRESS = re.compile(
    r"(?<![\w@.])(?:(?P<scheme>(?:https?|ftp)://)?(?P<user>[a-z0-9][\w.+-]{0,63}@)?"
    r"(?P<host>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24})(?P<rest>(?::\d+)?(?:[/?#][\w./?#=&%~@:+-]*)?))(?<![.?:])(?![\w@])",
    re.ASCII,
)
# top level domains by which a bare host is told from two sentences without a space; those that are words (it, in, co) are not among them
_TOP = frozenset(("com", "org", "net", "edu", "gov", "info", "io", "ir", "uk", "dev", "app", "ai", "biz"))


def spell_telephones(text: str, language: Language) -> str:
    """+98 912 345 6789, (555) 123-4567, 021-88776655, 555-1234 in the groups in which the language's readers say them."""

    def spoken(match: re.Match) -> str:
        groups = re.findall(r"\d+", match.group())
        if not _is_telephone(match.group(), groups):
            return match.group()
        plus = [language.phone_plus or language.symbols["+"]] if "+" in match.group() else []
        said = [part for group in groups for part in _group(group, language)]
        words = language.phone_pause.join(said)
        return pad(match, language.space.join([*plus, words]), language)

    return _GROUPS.sub(spoken, text)


def _is_telephone(written: str, groups: list[str]) -> bool:
    digits, signs = len("".join(groups)), set(re.sub(r"\d", "", written))
    if not 7 <= digits <= 19:
        return False
    if PAUSE in signs:
        return digits <= 15 and _BRACKETED.fullmatch(written) is not None
    if "+" in signs:
        return digits <= 15
    if "." in signs:  # 06.12.34.56.78
        return signs == {"."} and written[0] == "0" and len(groups) > 3 and all(len(group) == 2 for group in groups)
    if written[0] == "0":
        return len(groups[0]) > 1 and digits >= 8
    return _by_hyphens(groups) if signs == {"-"} else False


def _by_hyphens(groups: list[str]) -> bool:
    """555-1234 and 6037-9912-3456-7890; 1000-2000 is a range, 10-12-14 a list."""
    if len(groups) == 2:
        return [len(group) for group in groups] == [3, 4] and not groups[1].endswith("00")
    return len({len(group) for group in groups}) > 1 or len(groups[0]) > 2


def _group(group: str, language: Language) -> list[str]:
    """What is said of one written group, in parts; a part begins with the zeros before it."""
    if not language.phone_groups:
        return [say_digits(group, language)]
    rest = group.lstrip("0")
    zeros = say_digits(group[: len(group) - len(rest)], language)
    sizes = next((sizes for pattern, sizes in language.phone_groups.items() if re.fullmatch(pattern, rest)), (1,) * len(rest))
    parts, start = [], 0
    for size in sizes:
        parts.append(say_integer(rest[start : start + size], language))
        start += size
    if zeros:
        parts[:1] = [language.space.join(filter(None, [zeros, *parts[:1]]))]
    return parts


def spell_addresses(text: str, language: Language, removed: Counter[str] | None = None) -> str:
    """name@example.com, https://example.com/page: the signs as words, the scheme left out. Letters of lower case, ASCII digits."""
    if "." not in text or not language.address:
        return text

    def spoken(match: re.Match) -> str:
        host = match["host"]
        if not (match["scheme"] or match["user"] or match["rest"] or host.startswith("www.") or host.rpartition(".")[2] in _TOP):
            return match.group()
        written = match.group()[len(match["scheme"] or "") :]
        body = written.rstrip("/")
        if removed is not None:
            removed.update(written[len(body) :])
        words = "".join(f" {language.address[c]} " if c in language.address else c for c in body)
        return pad(match, re.sub(r"\s+", " ", words).strip(), language)

    return _ADDRESS.sub(spoken, text)
