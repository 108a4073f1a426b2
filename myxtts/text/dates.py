"""Dates and times of day in words, as a `Language` record says. What is no valid date or time is left as it is."""

import re
from functools import cache

from myxtts.text.counting import one_of, pad, say_integer
from myxtts.text.languages import Language
from myxtts.text.languages.record import Calendar

_NUMERIC = re.compile(r"(?<![\w/.+-])(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})(?!\w|[/-]\d|\.\d)")


def spell_dates(text: str, language: Language) -> str:
    """2026-11-25, 25.11.2026, 11/25/2026, 25 november, november 25 in a text in lower case with ASCII digits."""
    if not language.calendars:
        return text
    text = _NUMERIC.sub(lambda match: _numeric(match, language), text)
    if language.day_month:
        text = _day_month(language).sub(lambda match: _written(match, language, language.day_month), text)
    if language.month_day:
        text = _month_day(language).sub(lambda match: _written(match, language, language.month_day), text)
    return text


def spell_times(text: str, language: Language) -> str:
    """10:30, 9:05 pm, 10:30:15."""

    def spoken(match: re.Match) -> str:
        hour, minute, second = int(match["hour"]), int(match["minute"] or 0), match["second"]
        mark = language.time_marks.get(match["mark"] or "", "")
        return pad(match, _time(hour, minute, None if second is None else int(second), mark, language), language)

    if "-" in text and language.range_word:
        text = _hours(language).sub(rf"\1{language.space}{language.range_word}{language.space}", text)
    text = _clock(language).sub(spoken, text)
    marked = _marked_hour(language)
    return marked.sub(lambda m: pad(m, f"{language.count(int(m[1]))} {language.time_marks[m[2]]}", language), text) if marked else text


def say_year(digits: str, language: Language) -> str:
    return language.year(int(digits)) if language.year and len(digits) > 2 else say_integer(digits, language)


def _numeric(match: re.Match, language: Language) -> str:
    first, sign, second, third = match.groups()
    if len(first) == 4:
        order = "ymd"
    elif len(third) == 4 and len(first) < 3:
        order = "dmy" if sign == "." or language.date_order == "ymd" else language.date_order
    elif sign == "/" and len(first) == len(third) == 2:
        order = language.date_order
    else:
        return match.group()
    parts = dict(zip(order, (first, second, third), strict=True))
    day, month = int(parts["d"]), int(parts["m"])
    if month > 12 >= day and order != "ymd":
        day, month = month, day
    calendar = _calendar(parts["y"], language)
    if calendar is None or not 1 <= month <= 12 or not 1 <= day <= calendar.days[month - 1]:
        return match.group()
    words = language.date.format(day=_day(day, language), month=calendar.months[month - 1], year=say_year(parts["y"], language))
    return pad(match, words, language)


def _calendar(year: str, language: Language) -> Calendar | None:
    """Two digits are a year of the first calendar."""
    fitting = (calendar for calendar in language.calendars if len(year) == 2 or calendar.years[0] <= int(year) <= calendar.years[1])
    return next(fitting, None) if len(year) in (2, 4) else None


def _day(day: int, language: Language) -> str:
    return language.day(day) if language.day else language.count(day)


@cache
def _months(language: Language) -> dict[str, str]:
    """Every written form of a month -> how it is said in a date."""
    forms: dict[str, str] = {}
    for calendar in language.calendars:
        forms |= {written: calendar.months[number - 1] for written, number in calendar.written.items() if written not in forms}
        forms |= {month: month for month in calendar.months}
    return forms


@cache
def _month_pattern(language: Language) -> str:
    common = {word for calendar in language.calendars for word in calendar.words}
    sure = one_of(month for month in _months(language) if month not in common)
    if not common:
        return rf"(?P<month>{sure})(?!\w)\.?"
    return rf"(?P<month>{sure}|(?:{one_of(common)})(?=,? \d{{4}}(?!\d)|\.?\s*(?:[,;:!?.)]|$)))(?!\w)\.?"


@cache
def _year_pattern(language: Language) -> str:
    """A year after a date, where the language reads it otherwise there (and no word after it says so too)."""
    if not language.and_year:
        return r"(?P<year>(?!))?"
    after = rf"(?!\s?(?:{'|'.join(language.read_before)}))" if language.read_before else ""
    return rf"(?:,? (?P<year>[12]\d{{3}})(?!\w|[.,]\d){after})?"


@cache
def _day_month(language: Language) -> re.Pattern:
    prefix = re.escape(language.day_month.partition("{day}")[0])
    link = f"(?:{language.month_link})?" if language.month_link else ""
    suffixes = "|".join(language.ordinals)
    suffix = rf"(?:{suffixes}|\.)?" if suffixes else r"\.?"
    day = rf"(?<![\w.,:/-])(?:{prefix})?(?<!\w)(?P<day>0?[1-9]|[12]\d|3[01]){suffix}"
    return re.compile(rf"{day}\s{link}{_month_pattern(language)}{_year_pattern(language)}")


@cache
def _month_day(language: Language) -> re.Pattern:
    suffixes = "|".join(language.ordinals)
    suffix = f"(?:{suffixes})?" if suffixes else ""
    day = rf"(?P<day>0?[1-9]|[12]\d|3[01]){suffix}(?!\w|[:/%-]|[.,]\d)"
    months = rf"(?P<month>{one_of(_months(language))})(?!\w)\.?"
    return re.compile(rf"(?<!\w){months} {day}{_year_pattern(language)}")


def _written(match: re.Match, language: Language, template: str) -> str:
    words = template.format(day=_day(int(match["day"]), language), month=_months(language)[match["month"]])
    if match["year"]:
        words = language.and_year.format(date=words, year=say_year(match["year"], language))
    return pad(match, words, language)


@cache
def _hours(language: Language) -> re.Pattern:
    """10:30-12:00, which is from the one to the other."""
    clock = rf"\d{{1,2}}[{re.escape(language.time_sign)}][0-5]\d"
    return re.compile(rf"(?<![\w:.,/+-])({clock})\s?-\s?(?=(?:{clock}|\d{{1,2}})(?!\w|[:.,/-]\w))")


@cache
def _clock(language: Language) -> re.Pattern:
    sign = f"[{re.escape(language.time_sign)}]"
    mark = rf"(?:\s?(?P<mark>{one_of(language.time_marks)})(?!\w))?" if language.time_marks else r"(?P<mark>(?!))?"
    hour = r"(?<![\d:.,/+-])(?P<hour>\d{1,2})"
    return re.compile(rf"{hour}{sign}(?P<minute>[0-5]\d)(?:{sign}(?P<second>[0-5]\d))?(?!\d|[:.,]\d){mark}")


@cache
def _marked_hour(language: Language) -> re.Pattern | None:
    """9 pm"""
    marks = [written for written, spoken in language.time_marks.items() if spoken]
    return re.compile(rf"(?<![\w:.,/+-])([01]?\d|2[0-4])\s?({one_of(marks)})(?!\w)") if marks else None


def _time(hour: int, minute: int, second: int | None, mark: str, language: Language) -> str:
    minutes = language.count(minute, language.minute.gender)
    if language.zero_minute and minute < 10:
        minutes = f"{language.zero_minute} {minutes}"
    template = language.time[2] if second is not None else language.time[minute > 0]
    if second is None and minute == 0:
        template = "{hour}" if mark else language.time_late if language.time_late and not 0 < hour <= 12 else template
    words = template.format(
        hour=language.count(hour, language.hour.gender),
        hours=language.hour.form(language.plural(hour)),
        minute=minutes,
        minutes=language.minute.form(language.plural(minute)),
        second=language.count(second or 0, language.second.gender),
        seconds=language.second.form(language.plural(second or 0)),
    )
    return f"{words} {mark}" if mark else words
