"""`myxtts train`: the same training outside DVC, on folders of the user's, into a folder of the user's."""

import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, DataError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.pipeline.crew import follow_parent, in_crew, is_chief, run_crew
from myxtts.pipeline.data_stages import run_encode, run_mels, run_tokenizer, write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.start import open_start
from myxtts.pipeline.train_stages import log_datasets, run_training, take_over
from myxtts.pipeline.voice_stages import evaluate_voice

STALE_AFTER = {"dvae": ("encode", "gpt", "decoder"), "gpt": ("decoder",)}
# switches that let through what was refused: `--resume` takes them from the command that resumes too, or nobody could go on
PERMISSIONS = (("bundle", "decoder_gate", False), ("start", "retrain_dvae_under_frozen_gpt", True))
OF_A_NETWORK = ("epochs", "batch_size", "lr", "grad_accum")  # options of `with_overrides` that are not the machine's


def with_overrides(
    config: XTTSConfig,
    stages: tuple[str, ...],
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    grad_accum: int | None = None,
    num_workers: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
) -> XTTSConfig:
    """The configuration with the command line's values in place of params.yaml's, for the stages that are trained.

    `--batch-size` is the micro-batch of each of `--workers` and `--grad-accum` how many make an update: together they are the effective
    batch.
    """
    values = config.to_dict()
    for stage in stages:
        section = values["training"][stage]
        if epochs is not None:
            section |= {"epochs": epochs, "max_steps": None}
        if lr is not None:
            section["learning_rate"] = lr
        if batch_size is not None:
            section |= {"batch_size": batch_size, "effective_batch_size": batch_size * (grad_accum or 1) * (workers or 1)}
        elif grad_accum is not None:
            whole = section["effective_batch_size"]
            if whole % (grad_accum * (workers or 1)):
                raise ConfigError(
                    f"--grad-accum {grad_accum} (times --workers) does not divide the effective batch {whole} of {stage}: "
                    "give --batch-size too"
                )
            section["batch_size"] = whole // grad_accum // (workers or 1)
    hardware = {"num_workers": num_workers, "workers": workers, "cluster": cluster}
    values["hardware"] |= {name: value for name, value in hardware.items() if value is not None}
    return XTTSConfig.from_dict(values, source="command line")


def train_outside(
    config: XTTSConfig,
    train_data: Path,
    val_data: Path,
    folder: Path,
    stages: Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    resume: bool = False,
    track: bool = True,
) -> Path:
    """Prepares, encodes and trains `stages` in order, everything under `folder`. Returns `folder/final_model`.

    `train_data` holds metadata_train.csv + wavs/, `val_data` metadata_eval.csv + wavs/ (they may be one folder); `options` are those of
    `with_overrides`; `stages`: all three by default. With `resume` configuration, options and stages are those of the command before, but
    for what is given anew, which is for `stages`, or else for the first network that is not finished; it goes on from its last checkpoint.
    What is finished and unchanged is not done again.
    A start model (`config.start`) is meant relative to the current folder; what it has frozen is taken over even if `stages` leaves it out.
    Raises DataError if `folder` holds a training and `resume` is False, none and `resume` is True, or another corpus' training.
    """
    work = _Work.open(_with_absolute_start(config), train_data, val_data, folder, resume)
    meant = stages or _in_hand(work, options or {})
    stages = tuple(stages or work.values.get("stages", TRAINED_STAGES))
    config = with_overrides(work.config, tuple(meant or stages), **(options or {}))
    open_start(config, folder)
    work.remember(config, stages)
    paths = Paths(folder)
    stages = tuple(stage for stage in TRAINED_STAGES if stage in (*stages, *config.start.frozen))
    work.once("prepare", {}, lambda: _prepare(config, train_data, val_data, paths))
    work.once("tokenizer", {}, lambda: run_tokenizer(config, paths))
    for stage in stages:
        if stage != "dvae":
            if not (paths.model("dvae") / "dvae.weights.h5").is_file():
                raise DataError(f"{stage} needs a trained dvae in {folder}: train it first (--stage dvae), or leave --stage out")
            work.once("encode", {}, lambda: run_encode(config, paths))
        settings = config.to_dict()["training"][stage]
        work.once(stage, settings, lambda stage=stage: _train(stage, config, paths, folder / "checkpoints" / stage, track))
    return _final_model(config, paths, stages, track)


def _with_absolute_start(config: XTTSConfig) -> XTTSConfig:
    """The same, with the start model found from any folder: the steps know the training's folder alone."""
    if config.start.from_scratch:
        return config
    values = config.to_dict()
    values["start"]["model"] = str(Path(config.start.model).resolve())
    return XTTSConfig.from_dict(values)


def _in_hand(work: "_Work", options: dict[str, Any]) -> tuple[str, ...]:
    """The network that options of `--resume` without `--stage` are for: the first that is not finished; () in a new folder.

    Raises ConfigError where all are finished.
    """
    given = ", ".join(f"--{name.replace('_', '-')}" for name in OF_A_NETWORK if options.get(name) is not None)
    if "stages" not in work.values or not given:
        return ()
    unfinished = [stage for stage in TRAINED_STAGES if stage in work.values["stages"] and stage not in work.values["done"]]
    if not unfinished:
        raise ConfigError(f"every network in {work.path.parent} is finished: name the one that {given} is for (--stage gpt)")
    print(f"{given}: for {unfinished[0]}, which is not finished; others keep their options (--stage names them)", flush=True)
    return (unfinished[0],)


class _Work:
    """`work.json`: what a folder is trained with, options of the command line included, and which of its steps are finished."""

    def __init__(self, path: Path, values: dict[str, Any]):
        self.path, self.values = path, values
        self.config = XTTSConfig.from_dict(values["config"], source=str(path))

    @classmethod
    def open(cls, config: XTTSConfig, train_data: Path, val_data: Path, folder: Path, resume: bool) -> "_Work":
        path = folder / "work.json"
        data = {"train_data": str(train_data.resolve()), "val_data": str(val_data.resolve())}
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"done": {}}
        if not resume:
            if values["done"]:
                raise DataError(f"{folder} already holds a training: go on with --resume, or choose another --checkpoint-dir")
            return cls(path, {**data, "config": config.to_dict(), "done": {}})
        if not path.is_file():
            raise DataError(f"nothing to resume in {folder}: no {path.name} there; is it the right --checkpoint-dir? Or leave --resume out")
        if not values["done"]:  # nothing was made yet: a wrong path may be corrected
            values |= data
        for section, name, allowed in PERMISSIONS:
            if getattr(getattr(config, section), name) is allowed:
                values["config"].setdefault(section, {})[name] = allowed
        if {name: values[name] for name in data} != data:
            raise DataError(
                f"{folder} was started on {values['train_data']} and {values['val_data']}: give the same, or another --checkpoint-dir"
            )
        return cls(path, values)

    def remember(self, config: XTTSConfig, stages: tuple[str, ...]) -> None:
        """What `--resume` goes on with: a command line is typed once. Written when it is known to be a good one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.values |= {"config": config.to_dict(), "stages": stages}
        write_report(self.path, self.values)

    def once(self, step: str, settings: dict[str, Any], run: Any) -> None:
        """Runs a step unless it is finished with these settings. What was made of its result before is then no longer finished."""
        if self.values["done"].get(step) == settings:
            return
        run()
        self.values["done"][step] = settings
        for later in STALE_AFTER.get(step, ()):
            self.values["done"].pop(later, None)
        write_report(self.path, self.values)


def _prepare(config: XTTSConfig, train_data: Path, val_data: Path, paths: Paths) -> None:
    from myxtts.data.corpus import prepare_folders

    prepare_folders(config, train_data, val_data, paths.raw, paths.processed, paths.cache)
    run_mels(config, paths)


def _train(stage: str, config: XTTSConfig, paths: Paths, checkpoints: Path, track: bool) -> dict[str, Any]:
    from myxtts.tracking.record import NullRun
    from myxtts.tracking.run import stage_run
    from myxtts.training.checkpoint import CheckpointFolder

    if stage in config.start.frozen:
        return take_over(stage, open_start(config, paths.root), paths)
    if config.hardware.workers > 1 and not in_crew():
        job = checkpoints / "job.json"
        write_report(job, {"stage": stage, "config": config.to_dict(), "root": str(paths.root.resolve()), "track": track})
        run_crew(["worker", str(job)], config.hardware, checkpoints / "workers")
        return json.loads(paths.report(stage).read_text(encoding="utf-8"))
    follow_parent()
    if not is_chief():
        return run_training(stage, config, paths, checkpoints, None)
    # held before the run is: a second trainer must not end the first one's. The project's dvc.lock says nothing of data outside it
    lock = CheckpointFolder(checkpoints, config.loop).lock()
    with lock, stage_run(config, stage, Path.cwd(), checkpoints, lineage=False) if track else nullcontext(NullRun()) as run:
        log_datasets(run, stage, paths)
        report = run_training(stage, config, paths, checkpoints, run)
        run.write_link(paths.link(stage))
    return report


def run_worker(job: Path) -> None:
    """One of several processes that train a stage: what `_train` wrote for them."""
    values = json.loads(job.read_text(encoding="utf-8"))
    config, paths = XTTSConfig.from_dict(values["config"], source=str(job)), Paths(Path(values["root"]))
    _train(values["stage"], config, paths, job.parent, values["track"])


def _refuse_codes_of_another_dvae(config: XTTSConfig, work: Path, final: Path) -> None:
    """Raises ConfigError where the dvae was trained anew after the gpt: a bundle of both would speak codes that mean something else now."""
    done = json.loads(work.read_text(encoding="utf-8"))["done"]
    if "gpt" not in done and not config.start.retrain_dvae_under_frozen_gpt:
        raise ConfigError(
            f"dvae is trained, but the gpt in {work.parent} learnt the codes of the dvae before, whose code space that changed; {final} "
            "stays as it was. Train gpt and decoder on the new codes (--resume --stage gpt --stage decoder), or have all bundled as it is "
            "(--resume --set start.retrain_dvae_under_frozen_gpt=true)"
        )


def _final_model(config: XTTSConfig, paths: Paths, stages: tuple[str, ...], track: bool) -> Path:
    """`final_model`: an evaluated bundle once all three networks are there, the trained weights alone before that.

    Raises ModelError where the model speaks by a decoder that Griffin-Lim surpasses (`bundle.decoder_gate`).
    """
    from myxtts.evaluation.copies import require_decoder
    from myxtts.serving.bundle import make_bundle
    from myxtts.tracking.record import NullRun
    from myxtts.tracking.run import voice_run

    final = paths.root / "final_model"
    if all((paths.model(stage) / "training.json").is_file() for stage in TRAINED_STAGES):
        _refuse_codes_of_another_dvae(config, paths.root / "work.json", final)
        link = paths.link("voice") if paths.link("voice").is_file() else None
        with voice_run(config, Path.cwd(), link=link, lineage=False) if track else nullcontext(NullRun()) as run:
            metrics = evaluate_voice(config, paths, run)
        require_decoder(config, metrics)
        return make_bundle(config, paths.root, metrics, final)
    final.mkdir(exist_ok=True)
    for stage in stages:
        for file in paths.model(stage).iterdir():
            shutil.copy2(file, final / file.name)
    return final
