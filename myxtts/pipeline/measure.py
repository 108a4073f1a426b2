"""`myxtts evaluate`: a bundle, a registered version, or what another system has spoken, on the held-out sentences of this project."""

import csv
import io
import tempfile
from pathlib import Path

from myxtts.config import ConfigError, XTTSConfig
from myxtts.pipeline.data_stages import write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.voice_stages import comparable
from myxtts.synthesis.speech import Synthesizer

COLUMNS = ("id", "text", "language", "speaker", "reference")


def sentences(config: XTTSConfig, paths: Paths) -> str:
    """What another system is to speak, as a table with bars (COLUMNS): reference = a recording of the voice to speak with."""
    from myxtts.evaluation.evaluate import choose

    written = io.StringIO()
    table = csv.writer(written, delimiter="|", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    table.writerow(COLUMNS)
    for item in choose(config, paths.processed, config.seed, paths.evaluation_texts):
        utterance = item.utterance
        reference = paths.processed / item.reference.audio
        table.writerow([utterance.id, utterance.text, utterance.language, utterance.speaker, reference])
    return written.getvalue()


def measure(config: XTTSConfig, paths: Paths, out: Path, synthesizer: Synthesizer | None, spoken: Path | None) -> dict[str, float]:
    """Evaluates a synthesizer, with its own settings of synthesis, or the files in `spoken`, into `out` and `<out>.html`.

    Returns the means, which `out/metrics.json` holds too. Raises ConfigError where `out` is there already, DataError where there is
    nothing to evaluate.
    """
    from myxtts.evaluation.evaluate import evaluate, evaluate_folder

    if out.exists() or out.with_suffix(".html").exists():
        raise ConfigError(f"{out} or {out.with_suffix('.html').name} is there already: name another folder by --out, or remove them")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".unfinished-") as folder:  # an evaluation that was cut short leaves nothing
        made = Path(folder) / out.name
        if synthesizer:
            own = XTTSConfig.from_dict(synthesizer.config.to_dict() | {"evaluate": config.to_dict()["evaluate"]})
            means = evaluate(own, synthesizer, paths.processed, made, config.seed, paths.evaluation_texts)
        else:
            means = evaluate_folder(config, spoken, paths.processed, made, config.seed, paths.evaluation_texts)
        means |= comparable(config, paths)
        write_report(made / "metrics.json", means)
        made.replace(out)
        made.with_suffix(".html").replace(out.with_suffix(".html"))
    return means
