"""`myxtts train`: the same training outside DVC, on folders of the user's, into a folder of the user's."""

from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, DataError, XTTSConfig
from myxtts.config.stages import SourceConfig
from myxtts.pipeline.data_stages import run_encode, run_mels, run_tokenizer, write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.train_stages import run_training

ORDER = ("dvae", "gpt", "decoder")


def with_overrides(
    config: XTTSConfig,
    stages: tuple[str, ...],
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    grad_accum: int | None = None,
    num_workers: int | None = None,
) -> XTTSConfig:
    """The configuration with the command line's values in place of params.yaml's, for the stages that are trained.

    `--batch-size` is the micro-batch and `--grad-accum` how many make an update: together they are the effective batch.
    """
    values = config.to_dict()
    for stage in stages:
        section = values["training"][stage]
        if epochs is not None:
            section |= {"epochs": epochs, "max_steps": None}
        if lr is not None:
            section["learning_rate"] = lr
        if batch_size is not None:
            section |= {"batch_size": batch_size, "effective_batch_size": batch_size * (grad_accum or 1)}
        elif grad_accum is not None:
            whole = section["effective_batch_size"]
            if whole % grad_accum:
                raise ConfigError(
                    f"--grad-accum {grad_accum} does not divide the effective batch {whole} of {stage}: give --batch-size too"
                )
            section["batch_size"] = whole // grad_accum
    if num_workers is not None:
        values["hardware"]["num_workers"] = num_workers
    return XTTSConfig.from_dict(values, source="command line")


def train_outside(
    config: XTTSConfig,
    train_data: Path,
    val_data: Path,
    folder: Path,
    stages: tuple[str, ...] = ORDER,
    resume: bool = False,
    track: bool = True,
) -> Path:
    """Prepares, encodes and trains `stages` in order, everything under `folder`. Returns `folder/final_model`.

    `train_data` holds metadata_train.csv + wavs/, `val_data` metadata_eval.csv + wavs/ (they may be one folder). What an earlier call
    with `resume` finished is not done again. Raises DataError if `folder` holds a training and `resume` is False.
    """
    paths = Paths(folder)
    marker = folder / "work.json"
    if marker.is_file() and not resume:
        raise DataError(f"{folder} already holds a training: go on with --resume, or choose another --checkpoint-dir")
    folder.mkdir(parents=True, exist_ok=True)
    if not paths.mels.is_dir():
        _prepare(config, train_data, val_data, paths)
    write_report(marker, {"train_data": str(train_data), "val_data": str(val_data), "stages": list(stages)})
    if not paths.tokenizer.is_file():
        run_tokenizer(config, paths)
    for stage in stages:
        if stage != "dvae" and not (paths.tokens / "train.tfrecord").is_file():
            run_encode(config, paths)
        if not (paths.model(stage) / "training.json").is_file():
            _train(stage, config, paths, folder / "checkpoints" / stage, track)
    return _final_model(config, paths, stages)


def _prepare(config: XTTSConfig, train_data: Path, val_data: Path, paths: Paths) -> None:
    """The two folders as one raw manifest, each with its own split, then the usual prepare."""
    from myxtts.data.manifest import write_manifest, write_rejected
    from myxtts.data.prepare import prepare
    from myxtts.data.sources import read_source

    utterances, rejected = [], []
    for split, folder in (("train", train_data), ("eval", val_data)):
        source = SourceConfig.model_validate(config.data.source.model_dump() | {"layout": "metadata", "path": str(folder)})
        rows, refused = read_source(source, Path.cwd())
        wanted = [row for row in rows if row.split == split]
        if not wanted:
            raise DataError(f"{folder} gives no {split} clip: expected metadata_{split}.csv beside wavs/ ({len(refused)} rows refused)")
        utterances += wanted
        rejected += refused
    paths.raw.mkdir(parents=True, exist_ok=True)
    write_manifest(paths.raw / "manifest.csv", utterances)
    write_rejected(paths.raw / "rejected.csv", rejected)
    prepare(config, Path.cwd(), paths.raw, paths.processed)
    run_mels(config, paths)


def _train(stage: str, config: XTTSConfig, paths: Paths, checkpoints: Path, track: bool) -> dict[str, Any]:
    from myxtts.tracking.record import NullRun
    from myxtts.tracking.run import stage_run
    from myxtts.training.hardware import allow_memory_growth

    allow_memory_growth()
    if not track:
        return run_training(stage, config, paths, checkpoints, NullRun())
    with stage_run(config, stage, Path.cwd(), checkpoints) as run:
        return run_training(stage, config, paths, checkpoints, run)


def _final_model(config: XTTSConfig, paths: Paths, stages: tuple[str, ...]) -> Path:
    """`final_model`: a bundle once all three networks are there, the trained weights alone before that."""
    import shutil

    from myxtts.serving.bundle import make_bundle

    final = paths.root / "final_model"
    if all((paths.model(stage) / "training.json").is_file() for stage in ORDER):
        make_bundle(config, paths.root, {}, final)
        return final
    final.mkdir(exist_ok=True)
    for stage in stages:
        for file in paths.model(stage).iterdir():
            shutil.copy2(file, final / file.name)
    return final
