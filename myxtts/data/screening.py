"""Which clips are fit to train on: rules for one clip, and rules that need all of them. Each is a parameter of `prepare`.

| reason | parameter | what is wrong |
|---|---|---|
| too_short, too_long | min_seconds, max_seconds | the duration of the sound, trimmed |
| clipped | max_clipped_share | samples stand at the recording's ceiling: it was too loud for its recorder |
| noisy | min_snr_db | the speech is not loud enough over the noise between it |
| narrow_band | min_bandwidth_hz | it was a telephone's, or resampled: nothing sounds above this frequency |
| wrong_text | max_recognition_error | a recogniser hears something else |
| duplicate_audio | max_same_audio | the very same sound stands in other rows; all of them go where their texts or speakers differ |
| duplicate_text | max_same_text | the speaker says the same in other clips |
| odd_rate | max_rate_deviation | characters per second far from what is usual in the language: text and sound do not belong together |
| wrong_speaker | min_speaker_similarity | the voice is not like that of its speaker's other clips |
| few_clips | min_clips_per_speaker | the speaker has too few clips that passed the rest |

The rules are applied in this order; the first that a clip fails is its reason.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from myxtts.audio.speaker import similarity_to_others
from myxtts.config.data import PrepareConfig
from myxtts.data.table import Table

_ENOUGH_TO_COMPARE = 20  # clips of a language whose rates give a median worth the name
_LEAST_SPREAD = 0.1  # of the logarithm of rates: a corpus that was spoken evenly must not refuse a pause


def judge(facts: Mapping[str, Any], settings: PrepareConfig) -> tuple[str, str]:
    """(reason, detail) of the first rule that a clip's measures fail by themselves, or ("", "")."""
    if facts["reason"]:
        return facts["reason"], facts["detail"]
    for reason, name, parameter, is_least, unit in _LIMITS:
        value, limit = facts.get(name), getattr(settings, parameter)
        if value is None or limit is None or (value >= limit if is_least else value <= limit):
            continue
        return reason, f"{_written(value)}{unit}, expected at {'least' if is_least else 'most'} {limit:g} (prepare.{parameter})"
    return "", ""


_LIMITS = (  # reason, measure, parameter, whether that is the least (or the most), unit
    ("too_short", "seconds", "min_seconds", True, " s of sound"),
    ("too_long", "seconds", "max_seconds", False, " s of sound"),
    ("clipped", "clipped_share", "max_clipped_share", False, " of the samples stand at the ceiling"),
    ("noisy", "snr_db", "min_snr_db", True, " dB of speech over noise"),
    ("narrow_band", "bandwidth_hz", "min_bandwidth_hz", True, " Hz of bandwidth"),
    ("wrong_text", "recognition_error", "max_recognition_error", False, " of the phones are heard otherwise"),
)


def _written(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def screen(table: Table, settings: PrepareConfig) -> dict[str, tuple[float, float]]:
    """Applies the rules that need all clips to the rows that are still used.

    Returns {language: (low, high)}: the characters per second that max_rate_deviation allowed, where it is set and a language has clips
    enough to compare.
    """
    rate_limits: dict[str, tuple[float, float]] = {}
    table.run("CREATE INDEX by_sound ON rows (sound) WHERE reason = ''")
    if settings.max_same_audio is not None:
        _refuse_same_sound(table, settings.max_same_audio)
    if settings.max_same_text is not None:
        _refuse_same_text(table, settings.max_same_text)
    if settings.max_rate_deviation is not None:
        rate_limits = _refuse_odd_rates(table, settings.max_rate_deviation)
    if settings.min_speaker_similarity is not None:
        _refuse_other_voices(table, settings.min_speaker_similarity)
    _refuse_few(table, settings.min_clips_per_speaker)
    return rate_limits


def _refuse_same_sound(table: Table, most: int) -> None:
    """Where the texts or speakers of one sound differ, nobody can say which is right."""
    several = "COUNT(DISTINCT normalized) > 1 OR COUNT(DISTINCT speaker) > 1"
    differ = f"SELECT sound FROM rows WHERE reason = '' AND sound <> '' GROUP BY sound HAVING {several}"
    table.run(
        "UPDATE rows SET reason = 'duplicate_audio', detail = 'the very same sound stands in other rows with another text or speaker: "
        f"expected one of each for a sound; correct the rows' WHERE reason = '' AND sound IN ({differ})"
    )
    _refuse_further(table, "sound", most, "duplicate_audio", "the very same sound as {first}", "max_same_audio", "sound <> ''")


def _refuse_same_text(table: Table, most: int) -> None:
    _refuse_further(
        table, "speaker, language, normalized", most, "duplicate_text", "the same speaker and text as {first}", "max_same_text", "1"
    )


def _refuse_further(table: Table, keys: str, most: int, reason: str, said: str, parameter: str, where: str) -> None:
    """Of the rows that agree in `keys`, the first `most` stay."""
    start, end = said.split("{first}")
    table.run(
        f"UPDATE rows SET reason = ?, detail = ? || found.first || ? || ' (prepare.{parameter}: ' || ? || ')' FROM ("
        f"SELECT number AS n, FIRST_VALUE(id) OVER w AS first, ROW_NUMBER() OVER w AS place FROM rows WHERE reason = '' AND {where} "
        f"WINDOW w AS (PARTITION BY {keys} ORDER BY number)) AS found WHERE rows.number = found.n AND found.place > ?",
        (reason, start, end, most, most),
    )


def _refuse_odd_rates(table: Table, most: float) -> dict[str, tuple[float, float]]:
    """Distance from the median of the language's log-rates, in units of 1.4826 MAD: robust standard deviations.

    Returns {language: (low, high)} in characters per second.
    """
    limits: dict[str, tuple[float, float]] = {}
    for (language,) in table.base.execute("SELECT DISTINCT language FROM rows WHERE reason = ''").fetchall():
        of_language = "reason = '' AND rate IS NOT NULL AND language = ?"
        (count,) = table.run(f"SELECT COUNT(*) FROM rows WHERE {of_language}", (language,)).fetchone()
        if count < _ENOUGH_TO_COMPARE:
            continue
        middle = f"FROM rows WHERE {of_language} ORDER BY 1 LIMIT 1 OFFSET ?"
        (median,) = table.run(f"SELECT rate {middle}", (language, count // 2)).fetchone()
        (spread,) = table.run(f"SELECT ABS(rate - ?) {middle}", (median, language, count // 2)).fetchone()
        width = most * max(1.4826 * spread, _LEAST_SPREAD)
        limits[language] = low, high = math.exp(median - width), math.exp(median + width)
        table.run(
            "UPDATE rows SET reason = 'odd_rate', detail = printf('%.1f characters a second, expected %.1f to %.1f in this language "
            "(prepare.max_rate_deviation): text and sound do not belong together', EXP(rate), ?, ?) "
            f"WHERE {of_language} AND ABS(rate - ?) > ?",
            (low, high, language, median, width),
        )
    return limits


def _refuse_other_voices(table: Table, least: float) -> None:
    """Two passes: the sum of each speaker's voices (D,), then each clip beside that of the others."""
    sums: dict[str, np.ndarray] = {}
    counts: Counter[str] = Counter()
    for row in table.rows("reason = ''"):
        if voice := row.facts.get("voice"):
            sums[row.utterance.speaker] = sums.get(row.utterance.speaker, 0) + np.array(voice)
            counts[row.utterance.speaker] += 1
    for row in table.rows("reason = ''"):
        if not (voice := row.facts.get("voice")):
            continue
        name = row.utterance.speaker
        similarity = similarity_to_others(np.array(voice), sums[name], counts[name])
        if similarity < least:
            detail = (
                f"the voice is {similarity:.2f} like that of the other clips of {name}, expected at least {least:g} "
                "(prepare.min_speaker_similarity): is the speaker's name right?"
            )
            table.update(row.number, reason="wrong_speaker", detail=detail)


def _refuse_few(table: Table, least: int) -> None:
    table.run(
        "UPDATE rows SET reason = 'few_clips', detail = 'speaker ' || speaker || ': usable clips ' || found.clips || ', expected at "
        "least ' || ? || ' (prepare.min_clips_per_speaker)' FROM (SELECT speaker AS s, COUNT(*) AS clips FROM rows WHERE reason = '' "
        "GROUP BY speaker HAVING COUNT(*) < ?) AS found WHERE reason = '' AND rows.speaker = found.s",
        (least, least),
    )
