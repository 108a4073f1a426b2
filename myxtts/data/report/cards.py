"""Clips to be listened to: those that are worst, and some of each reason of being rejected."""

import base64
from collections.abc import Callable, Mapping, Sequence

from myxtts.data.report.charts import bars, shown
from myxtts.data.report.counts import RejectCounts
from myxtts.data.report.measures import MEASURES, RATE
from myxtts.data.report.worst import OF_ONE_MEASURE, WORST, Clip, Norms

Played = Callable[[Clip], bytes | str]  # MP3, or why there is none
_BEFORE = {"seconds": "", "snr_db": "SNR ", "loudness_lufs": "", "bandwidth_hz": "up to ", RATE: "", "clipped_share": "at full scale "}


def rejected_rows(rejects: RejectCounts, kept: int, rows: Mapping[str, Clip], played: Played) -> str:
    """Bars of the reasons, and examples to each. kept: how many clips are; rows: of clips.csv, by id, as far as there are any."""
    if not rejects.total:
        return "<p>None.</p>"
    counted = [(reason, count, f"{count:,} ({count / (kept + rejects.total):.1%})") for reason, count in rejects.reasons.items()]
    said = (
        f"<p>Shares are of {kept + rejects.total:,} rows: those kept and those rejected. Rows that the raw stage could not read are among "
        "them, of the whole corpus even where data.source.max_clips takes a part of it; what max_clips left out is not. All rejected rows "
        "are in data/processed/rejected.csv; here are some of each reason.</p>"
    )
    return bars(counted, "rejected") + said + "".join(_reason(reason, rejects, rows, played) for reason in rejects.reasons)


def _reason(reason: str, rejects: RejectCounts, rows: Mapping[str, Clip], played: Played) -> str:
    cards = []
    for identifier, audio, detail in rejects.examples[reason]:
        clip = rows.get(identifier)
        text = f'<p dir="auto">{shown(clip.text)}</p>' if clip else ""
        player = _player(played(clip)) if clip else ""
        cards.append(f'<li>{text}<p class="soft" dir="auto">{shown(detail, 500)}</p>{_names(identifier, audio, clip)}{player}</li>')
    head = f"{shown(reason)}: {len(cards)} of {rejects.reasons[reason]:,}"
    first = " open" if reason == next(iter(rejects.reasons)) else ""
    return f'<details{first}><summary>{head}</summary><ul class="cards">{"".join(cards)}</ul></details>'


def worst_clips(clips: Sequence[Clip], norms: Norms, played: Played) -> str:
    """The worst clips, the worst first, and how they were found."""
    least = ", ".join(f"{item.title} {item.worded(item.least_spread)}" for item in MEASURES.values() if item.low_is or item.high_is)
    said = (
        f"<p>At most {WORST} of the clips that are kept, the worst first. A clip is as bad as the measure that lies furthest from the "
        "median of all kept clips (characters per second: of its language), counted in robust standard deviations: 1.4826 times the median "
        "distance from the median. Low is bad for SNR and bandwidth, high for samples at full scale, both for loudness and characters per "
        f"second. Of one measure there are more than {OF_ONE_MEASURE} only where the others have too few. What is played is the processed "
        f'clip; what was measured is the recording.</p><p class="soft">A deviation counts as at least: {least}.</p>'
    )
    cards = "".join(_worst(clip, norms, played) for clip in clips)
    return said + (f'<ol class="cards">{cards}</ol>' if cards else "<p>No clip lies on the bad side of any median.</p>")


def _worst(clip: Clip, norms: Norms, played: Played) -> str:
    measure, norm = MEASURES[clip.measure], norms.of(clip.measure, clip.language)
    word, side = (measure.high_is, "above") if clip.deviations > 0 else (measure.low_is, "below")
    values = ", ".join(f"{before}{MEASURES[name].worded(clip.values[name])}" for name, before in _BEFORE.items() if name in clip.values)
    return (
        f"<li><b>{shown(word)}</b>: {measure.title} {measure.figure(clip.values[clip.measure])}, {abs(clip.deviations):.1f} "
        f'deviations {side} the median {measure.worded(norm.median)}<p dir="auto">{shown(clip.text)}</p>{_names(clip.id, clip.audio, clip)}'
        f'<p class="soft">{values}</p>{_player(played(clip))}</li>'
    )


def _names(identifier: str, audio: str, clip: Clip | None) -> str:
    who = f"<bdi>{shown(clip.speaker, 60)}</bdi>, {shown(clip.language)}, " if clip else ""
    return f'<p class="soft">{who}<bdi><code>{shown(identifier, 120)}</code></bdi> (<bdi>{shown(audio, 200)}</bdi>)</p>'


def _player(sound: bytes | str) -> str:
    if isinstance(sound, str):
        return f'<p class="soft">Cannot be played: {shown(sound)}.</p>'
    return f'<audio controls preload="metadata" src="data:audio/mpeg;base64,{base64.b64encode(sound).decode()}"></audio>'
