"""The stages of the finished voice: evaluate and bundle. They share one MLflow run, the row a user compares."""

import json
from typing import Any

from myxtts.config import TrackingError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.data.manifest import METADATA, has_split, profile
from myxtts.pipeline.data_stages import write_report
from myxtts.pipeline.paths import Paths

# figures of reports/prepare.json that the voice run has as metrics data/…: the others are on the page and in `dvc metrics`
DATA_FIGURES = (
    *("clips", "hours", "speakers", "languages", "rejected_share", "seconds/median", "snr_db/median", "loudness_lufs/median"),
    *("bandwidth_hz/median", "characters_per_second/median", "largest_speaker_share"),
)


def _links(paths: Paths) -> dict[str, dict[str, Any]]:
    return {stage: json.loads(paths.link(stage).read_text(encoding="utf-8")) for stage in TRAINED_STAGES if paths.link(stage).is_file()}


def _reports(paths: Paths) -> dict[str, dict[str, Any]]:
    return {stage: json.loads(paths.report(stage).read_text(encoding="utf-8")) for stage in TRAINED_STAGES}


def _best_of_stages(paths: Paths) -> dict[str, float]:
    return {f"{stage}/{name}": value for stage, report in _reports(paths).items() for name, value in report["best"].items()}


def _start_tags(paths: Paths) -> dict[str, str]:
    """Which networks began as another model's, and which of them still are."""
    tags = {}
    for stage, report in _reports(paths).items():
        if "start" in report:
            tags["myxtts.start.model"] = report["start"]["model"]
            tags[f"myxtts.start.{stage}"] = f"{'frozen' if report['frozen'] else 'trained on'} {json.dumps(report['start']['md5'])}"
    return tags


def load_synthesizer(config: XTTSConfig, paths: Paths):
    """The trained networks, straight from the stages' folders."""
    from myxtts.models.xtts import XTTS
    from myxtts.synthesis.speech import Synthesizer
    from myxtts.text.tokenizer import Tokenizer

    model = XTTS(config.model)
    for component, stage in (("dvae", "dvae"), ("gpt", "gpt"), ("decoder", "decoder"), ("speaker_encoder", "decoder")):
        model.load_component(component, paths.model(stage))
    return Synthesizer(config, model.fold(), Tokenizer.load(paths.tokenizer))


def run_evaluate(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Evaluation, in the voice run."""
    from myxtts.tracking.run import voice_run

    with voice_run(config, paths.root) as run:
        log_data(paths, run)
        return evaluate_voice(config, paths, run)


def log_data(paths: Paths, run: Any) -> None:
    """The page about the corpus, and its headline figures: what a voice was made of stands beside how well it speaks.

    Neither is a dependency of the stage: the same clips described in other words are no reason to speak again.
    """
    figures = json.loads(paths.report("prepare").read_text(encoding="utf-8"))
    run.metrics({f"data/{name}": figures[name] for name in DATA_FIGURES if name in figures}, step=0)
    run.artifact(paths.data_page)


def evaluate_voice(config: XTTSConfig, paths: Paths, run: Any) -> dict[str, Any]:
    """Speaks and copies held-out sentences, measures them, logs all of it to `run`, which then names the stages' runs."""
    from myxtts.evaluation.choice import SPEECH_OF
    from myxtts.evaluation.copies import verdict
    from myxtts.evaluation.evaluate import evaluate

    run.tags(
        {f"myxtts.run.{stage}": run.known_as(link["run_id"]) for stage, link in _links(paths).items() if link["run_id"]}
        | _start_tags(paths)
    )
    metrics = evaluate(config, load_synthesizer(config, paths), paths.processed, paths.evaluation, config.seed, paths.evaluation_texts)
    metrics |= verdict(metrics) | _best_of_stages(paths)
    metrics |= comparable(config, paths)
    for split in (split for split in METADATA if split in SPEECH_OF):
        if split == "eval" or has_split(paths.processed, split):
            run.dataset(
                f"processed-{split}", metrics["evaluation_set"], str(paths.processed), "evaluation", profile(paths.processed, split)
            )
    write_report(paths.report("evaluate"), metrics)
    run.metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)}, step=0)
    for folder in ("audio", "pictures"):
        for path in sorted((paths.evaluation / folder).glob("*")):
            run.artifact(path, f"evaluation/{folder}")
    run.table(json.loads((paths.evaluation / "samples.json").read_text(encoding="utf-8")), "samples.json")
    run.table(json.loads((paths.evaluation / "summary.json").read_text(encoding="utf-8")), "summary.json")
    run.artifact(paths.evaluation.with_suffix(".html"), "evaluation")
    run.artifact(paths.report("evaluate"), "reports")
    run.write_link(paths.link("voice"))
    return metrics


def comparable(config: XTTSConfig, paths: Paths) -> dict[str, str]:
    """What tells whether the figures of two models may be compared."""
    from myxtts.evaluation.yardstick import evaluation_set, machine_name

    tested_on = evaluation_set(paths.processed, config.evaluate, config.seed, paths.evaluation_texts)
    return {"evaluation_set": tested_on, "machine": machine_name()}


def run_bundle(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """One folder with everything that speech needs, registered as a version of the model.

    Raises ModelError where the model speaks by a decoder that Griffin-Lim surpasses (`bundle.decoder_gate`).
    """
    from myxtts.evaluation.copies import require_decoder
    from myxtts.serving.bundle import make_bundle
    from myxtts.serving.registry import register
    from myxtts.tracking.run import voice_run

    metrics = json.loads(paths.report("evaluate").read_text(encoding="utf-8"))
    require_decoder(config, metrics)  # before the voice run is opened: its evaluation stays a good one
    with voice_run(config, paths.root, link=paths.link("voice")) as run:
        if run.away:
            raise TrackingError(
                f"registering takes the MLflow server: {run.away}. What was trained and evaluated is kept: when it is back, "
                "dvc repro goes on here"
            )
        make_bundle(config, paths.root, metrics, paths.bundle)
        version = register(paths.bundle, config, run.run_id, metrics, paths.root)
        run.tags({"myxtts.version": f"{config.bundle.name}/{version}"})
    registered = {"name": config.bundle.name, "version": int(version), "uri": f"models:/{config.bundle.name}/{version}"}
    write_report(paths.reports / "registered.json", registered)
    return registered
