"""Files of a prepared corpus -> one HTML page, and the figures that DVC and MLflow keep.

Figures (flat, so that `dvc metrics diff` names each; those of a measure over the kept clips):

| name | meaning |
|---|---|
| clips, hours, speakers, languages | of what is kept |
| rejected, rejected_share | rows of rejected.csv, those of the raw stage among them; of these and the clips |
| seconds, snr_db, loudness_lufs, bandwidth_hz, characters_per_second, each with /median, /p5, /p95 | as in clips.csv, to within one bin |
| clipped_share/p95 | share of samples at full scale that 95 % of the clips do not pass |
| largest_speaker_share | of all seconds that are kept |
| rarest_character_count/<language>, rare_characters/<language>, unseen_letters/<language> | of normalised texts; rare: fewer than 5 times |
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from myxtts.audio.wave import write_atomically
from myxtts.config import DataError
from myxtts.config.data import PrepareConfig
from myxtts.data.engines import cores
from myxtts.data.manifest import CORPORA, REJECTED
from myxtts.data.processed import CHARACTERS, CLIPS, LIMITS
from myxtts.data.report.counts import ClipCounts, RejectCounts, count_clips, count_rejected
from myxtts.data.report.measures import RATE
from myxtts.data.report.page import Report, page, unseen_letters
from myxtts.data.report.warnings import RARE, Finding, find_warnings
from myxtts.data.report.worst import Clip, Norms, pick_clips, played
from myxtts.data.waves import in_threads

MEASURED = ("seconds", "snr_db", "loudness_lufs", "bandwidth_hz", "characters_per_second")


def write_report(processed: Path, root: Path, out: Path, settings: PrepareConfig, notes: Sequence[str] = ()) -> dict[str, float | int]:
    """Writes the page on the corpus in `processed` to `out`, whole or not at all. Returns the figures that are named above.

    root: the project's folder, to which the audio paths of rejected clips are relative; settings: the rules that are drawn;
    notes: what `prepare` noticed, for the page to say first.
    clips.csv is read twice and kept nowhere: memory does not grow with the corpus. The same files give the same bytes.
    Raises DataError where clips.csv, rejected.csv, corpora.json, characters.json or limits.json is missing or broken, or the disk is full;
    a clip that cannot be decoded has no player, and the page says why.
    """
    processed, root, out = Path(processed), Path(root), Path(out)
    corpora, characters = _read_json(processed / CORPORA), _read_json(processed / CHARACTERS)
    rate_limits = _read_json(processed / LIMITS)[RATE]
    rejects = count_rejected(processed / REJECTED)
    counts = count_clips(processed / CLIPS)
    norms = Norms(counts)
    examples = {identifier for rows in rejects.examples.values() for identifier, _, _ in rows}
    worst, rejected = pick_clips(processed / CLIPS, norms, examples)
    findings = [*(Finding(note, "") for note in notes), *find_warnings(counts, rejects, corpora, characters)]

    def play(clip: Clip) -> bytes | str:
        if clip.split:
            return played(processed / clip.audio)
        return played(root / clip.audio, clip.start, clip.end)  # of the recording that it is a part of

    heard = [*worst, *rejected.values()]
    sounds = dict(zip((clip.id for clip in heard), in_threads(play, heard, cores()), strict=True))
    report = Report(counts, rejects, corpora, characters, norms, worst, rejected, findings, settings, rate_limits)
    html = page(report, lambda clip: sounds[clip.id])
    write_atomically(out, html.encode())
    return figures(counts, rejects, characters["used"])


def figures(counts: ClipCounts, rejects: RejectCounts, used: dict[str, dict[str, int]]) -> dict[str, float | int]:
    """The numbers of the table above."""
    clips, seconds, speakers = counts.sums.total()
    result: dict[str, float | int] = {
        "clips": clips,
        "hours": round(seconds / 3600, 4),
        "speakers": speakers,
        "languages": len(counts.sums.by("language")),
        "rejected": rejects.total,
        "rejected_share": round(rejects.total / max(clips + rejects.total, 1), 4),
    }
    for name in MEASURED:
        if counts.kept[name].total:
            for label, share in (("median", 0.5), ("p5", 0.05), ("p95", 0.95)):
                result[f"{name}/{label}"] = round(counts.kept[name].quantile(share), 3)
    if counts.kept["clipped_share"].total:
        result["clipped_share/p95"] = round(counts.kept["clipped_share"].quantile(0.95), 5)
    for _, _, most, _ in counts.sums.speakers(1):
        result["largest_speaker_share"] = round(most / seconds, 4) if seconds else 0.0
    for language, found in sorted(used.items()):
        if found:
            result[f"rarest_character_count/{language}"] = min(found.values())
            result[f"rare_characters/{language}"] = sum(count < RARE for count in found.values())
            result[f"unseen_letters/{language}"] = len(unseen_letters(language, found))
    return result


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no {path}: run the stage that writes it (dvc repro prepare)") from None
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}): run the prepare stage again (dvc repro -f prepare)") from None
