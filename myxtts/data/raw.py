"""data/raw: which clips there are. The corpus itself stays where it is; the embedded sample is spoken into the folder, an archive
unpacked there."""

import shutil
from pathlib import Path
from typing import Any

from myxtts.config import DataError, XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.manifest import CORPORA, REJECTED, ManifestWriter, counted, write_json
from myxtts.data.sample import make_sample
from myxtts.data.sources import Corpus, open_corpora, read_corpora


def make_raw(config: XTTSConfig, root: Path, out: Path) -> dict[str, Any]:
    """Writes `out/manifest.csv`, `out/rejected.csv` and `out/corpora.json`; returns counts: clips, rejected, and rejected_by_reason;
    where `max_clips` is set, also left_out_by_max_clips: usable rows that it leaves out, which stand in neither file.

    `root` is the project's folder, to which paths in the configuration and the manifest are relative. With the layout
    `sample`, sentences are first spoken to `out/wavs`; an archive is first unpacked to `out/unpacked`. Any number of rows takes the same
    memory.
    Raises DataError when the corpus cannot be read or none of its rows can be used (rejected.csv is written all the same).
    """
    root, out, source = Path(root), Path(out), config.data.source
    name, unpacked = "", out / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    if source.layout == "sample":
        make_sample(config.data.sample, root / source.path, out, config.seed)
        name = "sample"
        # a limit on the clips holds for the sample too
        source = SourceConfig.model_validate(source.model_dump() | {"layout": "metadata", "path": str(out.resolve())})
    elif (root / source.path).resolve().is_relative_to(out.resolve()):
        raise DataError(
            f"the corpus ({source.path}) lies where this stage writes ({out}): the stage's folder is emptied on every run; "
            "move the corpus elsewhere and set data.source.path"
        )
    corpora = open_corpora(source, root, name, unpacked)
    left_out: dict[str, int] = {}
    with ManifestWriter(out) as manifest:
        for row in read_corpora(corpora, source.max_clips if source.layout == "mix" else None, left_out):
            manifest.write(row)
    _write_corpora(out / CORPORA, corpora, config.data.source)
    reasons = dict(sorted(manifest.reasons.items()))
    if not manifest.clips:
        raise no_usable_rows(reasons, out / REJECTED)
    counts = {"clips": manifest.clips, "rejected": manifest.reasons.total(), "rejected_by_reason": reasons}
    return counts | ({"left_out_by_max_clips": sum(left_out.values())} if left_out else {})


def no_usable_rows(reasons: dict[str, int], report: Path) -> DataError:
    """The error for a corpus of which nothing is left."""
    said = counted(reasons) or "it has no rows"
    setting = "language" if 2 * reasons.get("unknown_characters", 0) > sum(reasons.values()) else "layout"
    return DataError(f"no usable clip in the corpus: {said}; each row's reason stands in {report}. Is data.source.{setting} the right one?")


def _write_corpora(path: Path, corpora: list[Corpus], source: SourceConfig) -> None:
    """What is known of each corpus before its clips are looked at; its path as it is configured."""
    values = {}
    for corpus in corpora:
        settings = source.corpora.get(corpus.name, source)
        values[corpus.name] = {
            "layout": settings.layout,
            "path": settings.path,
            "licence": settings.licence,
            "consent": settings.consent,
            "weight": getattr(settings, "weight", 1.0),
        }
    write_json(path, values)
