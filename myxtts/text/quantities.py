"""Amounts of money, percentages and measures in words: a number with the sign or unit beside it."""

import re
from functools import cache

from myxtts.text.counting import divide, number_pattern, one_of, pad, say, with_noun
from myxtts.text.languages import Language
from myxtts.text.languages.record import Noun


def spell_quantities(text: str, language: Language) -> str:
    """$5 million, 5,50 €, 5 %, 12 km/h in a text in lower case with ASCII digits."""
    if language.currencies:
        before, after = _amounts(language)
        text = before.sub(lambda match: _money(match, language), text)
        text = after.sub(lambda match: _money(match, language), text)
    for pattern in _percentages(language) if "%" in text else ():
        text = pattern.sub(lambda m: pad(m, _percentage(m[1], m["scale"], language), language), text)
    if language.units:
        text = _measures(language).sub(lambda match: _measure(match, language), text)
    return text


@cache
def _scale(language: Language) -> str:
    words = {*language.scales, *language.scales.values()}
    return rf"(?P<scale>(?:\s?(?:{one_of(words)})(?!\w))?)" if words else "(?P<scale>)"


@cache
def _amounts(language: Language) -> tuple[re.Pattern, re.Pattern]:
    number, scale = number_pattern(language), _scale(language)
    signs = one_of(language.currencies)
    word = {sign for sign in language.currencies if sign[0].isalpha() or sign[-1].isalpha()}
    ends = rf"(?P<sign>(?:{signs}))" + (r"(?!(?<=[^\W\d_])\w)" if word else "")
    starts = rf"(?P<sign>(?<!\w)(?<!\d )(?:{one_of(word)})|{one_of(set(language.currencies) - word)})" if word else rf"(?P<sign>{signs})"
    return re.compile(rf"{starts}\s?(?P<number>{number}){scale}"), re.compile(rf"(?P<number>{number}){scale}\s?{ends}")


def _money(match: re.Match, language: Language) -> str:
    return _closed(match, pad(match, _amount(match["sign"], match["number"], match["scale"], language), language))


def _measure(match: re.Match, language: Language) -> str:
    return _closed(match, pad(match, with_noun(match[1], _units(language)[match[2]], language), language))


def _closed(match: re.Match, words: str) -> str:
    """The full stop of an abbreviation is the sentence's too."""
    return f"{words}." if match.group().endswith(".") and not match.string[match.end() :].strip() else words


def _amount(sign: str, written: str, scale: str, language: Language) -> str:
    noun = language.currencies[sign]
    if scale:
        scale = language.scales.get(scale.strip(), scale.strip())
        of = language.space.join(filter(None, (scale, language.amount_of, noun.form(language.plural(5)))))
        return f"{say(written, language)}{language.space}{of}"
    whole, decimals = divide(written, language)
    if sign not in language.subunits or len(decimals) != 2:
        return with_noun(written, noun, language)
    parts = [with_noun(whole, noun, language)] if decimals == "00" or whole.strip("0") else []
    if decimals != "00":
        parts.append(with_noun(str(int(decimals)), language.subunits[sign], language))
    joint = f" {language.symbols['&']} " if language.amount_joint is None else language.amount_joint
    return joint.join(parts)


@cache
def _percentages(language: Language) -> tuple[re.Pattern, re.Pattern]:
    number = number_pattern(language)
    scale = "(?P<scale>)"
    return re.compile(rf"%\s?({number})(?![\d.,]*\d|\s?%){scale}"), re.compile(rf"({number}){scale}\s?%")


def _percentage(written: str, scale: str, language: Language) -> str:
    noun = language.percent or Noun((language.symbols["%"],))
    if language.percent_first:
        return f"{noun.forms[0]}{language.space}{say(written, language)}"
    return with_noun(written, noun, language)


@cache
def _units(language: Language) -> dict[str, Noun]:
    """Superscripts are digits by now."""
    return {written.translate({0xB2: "2", 0xB3: "3"}): noun for written, noun in language.units.items()}


@cache
def _measures(language: Language) -> re.Pattern:
    # a Latin unit in another script (2kg에) ends where its letters end
    end = "(?![/'])(?:(?<=[a-z])(?![a-z0-9_])|(?<![a-z])(?!\\w))" if language.also or language.ranges else "(?![\\w/'])"
    return re.compile(rf"({number_pattern(language)})\s?({one_of(_units(language))}){end}")
