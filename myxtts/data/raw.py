"""data/raw: which clips there are. The corpus itself stays where it is; the embedded sample is spoken into the folder."""

from collections import Counter
from pathlib import Path
from typing import Any

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import MANIFEST, REJECTED, write_manifest, write_rejected
from myxtts.data.sample import make_sample
from myxtts.data.sources import read_source


def make_raw(config: XTTSConfig, root: Path, out: Path) -> dict[str, Any]:
    """Writes `out/manifest.csv` and `out/rejected.csv`; returns counts: clips, rejected, and rejected_by_reason.

    `root` is the project's folder, to which paths in the configuration and the manifest are relative. With the layout
    `sample`, sentences are first spoken to `out/wavs`.
    Raises DataError when the corpus cannot be read or none of its rows can be used (rejected.csv is written all the same).
    """
    root, out, source = Path(root), Path(out), config.data.source
    if source.layout == "sample":
        make_sample(config.data.sample, root / source.path, out, config.seed)
        # a limit on the clips holds for the sample too
        source = SourceConfig(
            layout="metadata", path=str(out.resolve()), language=source.language, speaker=source.speaker, max_clips=source.max_clips
        )
    elif (root / source.path).resolve().is_relative_to(out.resolve()):
        raise DataError(
            f"the corpus ({source.path}) lies where this stage writes ({out}): the stage's folder is emptied on every run; "
            "move the corpus elsewhere and set data.source.path"
        )
    utterances, rejected = read_source(source, root)
    write_rejected(out / REJECTED, rejected)
    write_manifest(out / MANIFEST, utterances)
    reasons = dict(sorted(Counter(row.reason for row in rejected).items()))
    if not utterances:
        raise no_usable_rows(reasons, out / REJECTED)
    return {"clips": len(utterances), "rejected": len(rejected), "rejected_by_reason": reasons}


def no_usable_rows(reasons: dict[str, int], report: Path) -> DataError:
    """The error for a corpus of which nothing is left."""
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "it has no rows"
    return DataError(f"no usable clip in the corpus: {counted}; each row's reason stands in {report}. Is data.source.layout the right one?")
