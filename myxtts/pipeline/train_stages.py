"""The training stages: dvae, gpt, decoder. One function, three tasks."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config import XTTSConfig
from myxtts.pipeline.attempts import attempt_folder, fingerprint, is_recorded, mark_finished
from myxtts.pipeline.crew import follow_parent, in_crew, is_chief, run_crew
from myxtts.pipeline.data_stages import write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.start import Start, load_start, open_start

# what each stage needs to have been trained before it, and the records it reads
NEEDS: dict[str, tuple[str, ...]] = {"dvae": (), "gpt": ("dvae",), "decoder": ("dvae", "gpt")}
# what shapes a training beside its data; how the data were made shows in them
DATA_CODE = ("batches", "encode", "fragments", "gpt_batches", "order", "records")
CODE = ("config", "audio", "models", *(f"data/{name}.py" for name in DATA_CODE), "training")
# the losses that dvc.yaml plots: a stage that trained nothing has these curves too, without a point
CURVES = {"dvae": "reconstruction_loss", "gpt": "mel_loss", "decoder": "mel_loss"}


def records_of(stage: str, paths: Paths) -> Path:
    return paths.mels if stage == "dvae" else paths.tokens


def stage_fingerprint(stage: str, config: XTTSConfig, paths: Paths) -> str:
    """Over all that shapes the stage's result: its parameters, its data, the networks before it or started from, the code."""
    values = config.to_dict()
    params = {
        "stage": stage,
        "seed": config.seed,
        "model": values["model"],
        "encode": values["encode"],
        "training": {k: v for k, v in values["training"][stage].items() if k not in ("batch_size", "max_nonfinite")},
    }
    package = Path(__file__).resolve().parents[1]
    dependencies = [records_of(stage, paths), *(paths.model(name) / f"{name}.weights.h5" for name in NEEDS[stage])]
    if start := open_start(config, paths.root):
        dependencies += [*start.files(stage), *([start.tokenizer, paths.tokenizer] if stage == "gpt" else [])]
    return fingerprint(params, [*dependencies, *(package / room for room in CODE)])


def build_model(stage: str, config: XTTSConfig, paths: Paths):
    """XTTS with fresh weights from the seed, or those of the start model, and the networks before this stage loaded."""
    import keras

    from myxtts.models.xtts import XTTS

    keras.utils.set_random_seed(config.seed)
    model = XTTS(config.model)
    model.mel_norm = np.load(paths.mels / "mel_norm.npy")
    for name in NEEDS[stage]:
        model.load_component(name, paths.model(name))
    if start := open_start(config, paths.root):
        load_start(stage, model, start, paths)
    elif stage == "gpt":
        _begin(model, config, paths)
    return model


def _begin(model: Any, config: XTTSConfig, paths: Paths) -> None:
    """The weights that `training.gpt` wants instead of random ones."""
    from myxtts.data.encode import read_index
    from myxtts.models.initial import start_from_codebook, start_reading

    if config.training.gpt.codebook_start:
        start_from_codebook(model.gpt, model.dvae, config.seed)
    if config.training.gpt.reading_start:
        rows = read_index(records_of("gpt", paths), "train")
        start_reading(model.gpt, sum(row.text_length for row in rows) / max(1, sum(row.code_length for row in rows)), config.seed)


def run_training(stage: str, config: XTTSConfig, paths: Paths, checkpoints: Path, run: Any, resume: bool = True) -> dict[str, Any]:
    """Trains one network in `checkpoints` and puts model, report and curves into their places."""
    from myxtts.training.scale import make_strategy, set_determinism
    from myxtts.training.trainer import XTTSTrainer

    set_determinism(config.hardware)
    strategy = make_strategy(config.hardware)
    with strategy.scope():
        model = build_model(stage, config, paths)
    trainer = XTTSTrainer(config, model, stage, checkpoints, run, strategy)
    trainer.prepare_datasets(records_of(stage, paths), records_of(stage, paths))
    summary = trainer.train(resume=resume)
    if not trainer.crew.is_chief:
        return {}
    trainer.save_checkpoint(paths.model(stage))
    trainer.journal.write_curves(paths.reports / "curves", stage, config.loop.log_step)
    report = {
        "best": {name.removeprefix("val/"): value for name, value in summary["best"].items()},
        "steps": summary["steps"],
        "parameters": summary["trained_parameters"],
        "batch_size": summary["hardware"]["batch_size"],
        "grad_accum": summary["hardware"]["grad_accum"],
        "traces": summary["traces"]["train"],
    }
    if start := open_start(config, paths.root):
        report |= {"frozen": False, "start": start.describe(stage)}
    write_report(paths.report(stage), report)
    return report


def take_over(stage: str, start: Start, paths: Paths) -> dict[str, Any]:
    """A frozen stage: the start model's networks, byte for byte, where training would have put its own.

    Nothing is trained, so there is neither a checkpoint nor an MLflow run: the link names none, and the report says where the
    weights came from.
    """
    from myxtts.tracking.record import NullRun

    folder = paths.model(stage)
    folder.mkdir(parents=True, exist_ok=True)
    for file in start.files(stage):
        shutil.copyfile(file, folder / file.name)
    if stage == "dvae":
        np.save(folder / "mel_norm.npy", start.mel_norm())
    (folder / "training.json").write_text(json.dumps({"stage": stage, "frozen": True, "steps": 0, "best": {}}, indent=1), encoding="utf-8")
    curves = paths.reports / "curves"
    curves.mkdir(parents=True, exist_ok=True)
    for kind in ("train", "val"):
        (curves / f"{stage}_{kind}.csv").write_text(f"step,{CURVES[stage]}\n", encoding="utf-8")
    NullRun().write_link(paths.link(stage))
    report = {"best": {}, "steps": 0, "frozen": True, "start": start.describe(stage)}
    write_report(paths.report(stage), report)
    print(f"{stage}: frozen, taken over from {start.model}", flush=True)
    return report


def run_train_stage(stage: str, config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """A DVC training stage: finds its checkpoint folder and its MLflow run again, trains, links the run. A frozen one is taken over."""
    if stage in config.start.frozen:
        return take_over(stage, open_start(config, paths.root), paths)
    from myxtts.tracking.run import stage_run
    from myxtts.tracking.store import main_checkout
    from myxtts.training.checkpoint import CheckpointFolder

    if config.hardware.workers > 1 and not in_crew():
        run_crew(sys.argv[1:], config.hardware, paths.root / "checkpoints" / stage / "workers")
        return json.loads(paths.report(stage).read_text(encoding="utf-8"))
    follow_parent()
    mark = stage_fingerprint(stage, config, paths)
    main = main_checkout(paths.root)
    attempt = attempt_folder(main / "checkpoints" / stage / mark, lambda md5: is_recorded(md5, f"models/{stage}", paths.root, main))
    if not is_chief():
        return run_training(stage, config, paths, attempt, None)
    lock = CheckpointFolder(attempt, config.loop).lock()  # before the run: a second trainer must not end the first one's
    with lock, stage_run(config, stage, paths.root, attempt, inputs={"checkpoint.fingerprint": mark}) as run:
        log_datasets(run, stage, paths)
        if paths.data_page.is_file():  # no dependency: a page that says the same in other words is no reason to train again
            run.artifact(paths.data_page)
        report = run_training(stage, config, paths, attempt, run)
        for name in ("train", "val"):
            run.artifact(paths.reports / "curves" / f"{stage}_{name}.csv", "curves")
        run.artifact(paths.report(stage), "reports")
        run.write_link(paths.link(stage))
    mark_finished(attempt, paths.model(stage) / f"{stage}.weights.h5")
    return report


def log_datasets(run: Any, stage: str, paths: Paths) -> None:
    """Names the stage's record files as the run's inputs, with the fields of a record and the figures of their clips."""
    from myxtts.data.encode import read_index
    from myxtts.data.manifest import profile
    from myxtts.data.records import mel_schema, token_schema

    folder = records_of(stage, paths)
    schema = mel_schema(int(np.load(paths.mels / "mel_norm.npy").size)) if stage == "dvae" else token_schema()
    fields = {name: (field.dtype, field.shape) for name, field in schema.items()}
    for split, context in (("train", "training"), ("eval", "validation")):
        digest = fingerprint({}, [folder / f"{split}.tfrecord"])
        kept = None if stage == "dvae" else {row.id for row in read_index(folder, split)}  # encode rejects clips too
        run.dataset(f"{folder.name}-{split}", digest, str(folder), context, profile(paths.processed, split, kept), fields)
