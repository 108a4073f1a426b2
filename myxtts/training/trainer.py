"""XTTSTrainer: one explicit loop under tf.distribute for the three tasks."""

import json
import math
import shutil
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import tensorflow as tf

from myxtts.config import DataError, MyXTTSError, XTTSConfig
from myxtts.data.batches import Batch, Batches, Flow, one_ahead
from myxtts.models.xtts import XTTS
from myxtts.training import hardware, trial
from myxtts.training.averages import averaged, put_averages
from myxtts.training.checkpoint import CheckpointError, CheckpointFolder, DamagedCheckpoint, Saved, named_variables
from myxtts.training.decisions import changes, settings_that_count
from myxtts.training.guard import Guard
from myxtts.training.journal import Journal
from myxtts.training.logger import RunLogger
from myxtts.training.machine import detect
from myxtts.training.optim import Plateau, make_groups
from myxtts.training.reporting import Reporter
from myxtts.training.scale import Crew
from myxtts.training.signals import Interrupted, StopSignals
from myxtts.training.step import TrainStep, ValidationStep
from myxtts.training.tasks import TASKS, Task


class XTTSTrainer:
    """Trains one network of a model.

    `stage`: `dvae`, `gpt` or `decoder`. `checkpoint_dir`: folder of this training's checkpoints. `logger`: where metrics, pictures and
    audio go (None = nowhere but the terminal). With a `strategy`, build the model inside its scope.
    """

    def __init__(
        self,
        config: XTTSConfig,
        model: XTTS,
        stage: str = "gpt",
        checkpoint_dir: str | Path | None = None,
        logger: RunLogger | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        if stage not in TASKS:
            raise MyXTTSError(f"unknown stage {stage!r}: expected one of {', '.join(TASKS)}")
        folder = Path(checkpoint_dir or Path("checkpoints") / stage)
        self.config, self.model = config, model
        self.task: Task = TASKS[stage](config, model, cache=folder / "cache")
        self.settings = self.task.settings
        self.strategy = strategy or tf.distribute.get_strategy()
        self.crew = Crew(self.strategy)
        self.logger = logger if self.crew.is_chief else None
        self.checkpoints = CheckpointFolder(folder, config.loop)
        self.journal = Journal(folder / "history.jsonl")
        self.report = Reporter(self.task, self.journal, self.logger, self.crew.is_chief)
        self.current_step = 0
        self.best: dict[str, float] = {}
        self.suggestion: hardware.Suggestion | None = None
        self.train_data: Batches | None = None
        self.val_data: Batches | None = None
        self._validated: tuple[int, dict[str, float]] = (-1, {})  # step and values of the last validation
        self._stop: StopSignals | None = None
        self._finished = False

    # -- data and hardware -------------------------------------------------------------------------------------------------------

    def prepare_datasets(
        self, train_path: str | Path, val_path: str | Path, tokenizer: str | Path | None = None
    ) -> tuple[Batches, Batches]:
        """Training and validation batches, the effective batch split for this machine.

        The paths are the stage's record folders (`data/mels` for dvae, `data/tokens` for gpt and decoder), or corpus folders
        (metadata_train.csv and metadata_eval.csv beside wavs/), whose records are first made in `data`, beside the checkpoint folder,
        with the text `tokenizer` file of a model that is trained further, by default with one trained on them.
        Raises DataError where a record file or corpus is missing or empty.
        """
        self._train_path, self._val_path = Path(train_path), Path(val_path)
        if not (self._train_path / "train.tfrecord").is_file():
            # by name: a stage of the pipeline never comes here, so its result does not depend on that code
            corpus = import_module("myxtts.data.corpus")
            with self.crew.chief_first():
                folder, paths = self.checkpoints.folder.parent / "data", (self._train_path, self._val_path)
                self._train_path = self._val_path = corpus.make_records(self.config, self.task.stage, self.model, *paths, folder, tokenizer)
        with self.crew.chief_first():
            self.task.compute(self._train_path)
        with self.strategy.scope():
            self.task.open(self._train_path)
        self._take(self._suggest())
        return self.train_data, self.val_data

    def _suggest(self) -> hardware.Suggestion:
        given = self.settings, self.config.hardware
        machine = detect(self.config.hardware, self.crew.replicas // self.crew.workers, self.crew.neighbours)
        machine, needs = self.crew.agree(machine, self.task.needs)
        suggestion = hardware.suggest(*given, machine, needs, self.crew.replicas)
        return hardware.go_on(suggestion, self.checkpoints.newest_state(), *given, needs)

    def _take(self, suggestion: hardware.Suggestion) -> None:
        """Makes batches, optimizers and compiled steps for a suggestion: everything that a restore must find in place."""
        self.suggestion = suggestion
        self.task.prepare_networks(suggestion.precision, suggestion.rematerialise)
        flow = Flow(suggestion.num_workers, suggestion.prefetch, self.crew.shard)
        rows = suggestion.batch_size * suggestion.grad_accum * self.crew.replicas
        self.train_data = self.task.batches(self._train_path, "train", rows, flow)
        # validation passes one micro-batch at a time: memory is sized for that
        self.val_data = self.task.batches(self._val_path, "eval", suggestion.batch_size * self.crew.replicas, flow)
        self.total_steps = self.settings.epochs * self.train_data.per_epoch
        if self.settings.max_steps:
            self.total_steps = min(self.total_steps, self.settings.max_steps)
        with self.strategy.scope():
            self.groups = {
                name: make_groups(self.settings, self.total_steps, name, variables, suggestion.precision)
                for name, variables in self.task.objectives.items()
            }
            self._step = TrainStep(self.task, self.groups, self.strategy, suggestion.grad_accum)
            self._validation = ValidationStep(self.task, self.strategy)
        self.optimizers = {group.name: group.optimizer for groups in self.groups.values() for group in groups}
        self.plateaus = {name: Plateau(optimizer._learning_rate) for name, optimizer in self.optimizers.items()}
        kept = self.checkpoints.folder / "nonfinite" if self.crew.is_chief else None
        self.guard = Guard(kept, self.settings.max_nonfinite, partial(self.train_data.load, whole=True))
        self.report.follow(self.train_data, self.guard, self.plateaus, self.total_steps)

    def _prove(self) -> None:
        """Takes the largest micro-batch that really fits, by rehearsed steps on the longest bucket."""
        if self.config.hardware.trial_step:
            self.suggestion = trial.prove(self.suggestion, self._rehearse, self._take, self.crew.any)

    def _rehearse(self) -> float:
        """Peak memory of a step on the longest bucket, in GB. Nothing is changed by it. Raises OutOfMemory."""
        data = self.train_data
        batch = self.crew.distribute({name: tf.constant(value) for name, value in data.load(data.widest()).items()})
        return trial.rehearse(self._step, batch, self.task.moving_variables, self.suggestion.machine)

    def _variables(self) -> dict[str, tf.Variable]:
        """Every variable that training changes, by name."""
        named = {}
        for objective, variables in self.task.objectives.items():
            named |= named_variables(objective, variables)
        for name, optimizer in self.optimizers.items():
            named |= named_variables(f"optimizer/{name}", optimizer.variables)
            named[f"schedule/{name}"] = self.plateaus[name].schedule.factor
        for name, scale in self._step.loss_scales.items():
            named |= {f"loss_scale/{name}": scale.value, f"loss_scale/{name}/good_steps": scale.good_steps}
        return named | named_variables("state", self.task.state_variables)

    # -- one step ----------------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Whole passes over the training data so far."""
        return self.current_step // self.train_data.per_epoch

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One optimizer update on a batch. Returns named losses as device scalars; reading one waits for the step."""
        self._need_data("train_step")
        logs = self._step(self.crew.distribute(batch))
        self.current_step += 1
        return logs

    def _need_data(self, method: str) -> None:
        if self.train_data is None:
            raise DataError(f"prepare_datasets(train_path, val_path) must come before {method}: it sizes the batches")

    def should_log(self) -> bool:
        return self.current_step % self.config.loop.log_step == 0

    def should_validate(self, epoch: int | None = None) -> bool:
        """True at every `val_step`-th step and at the last one; with `epoch` (0, 1, …), when that epoch is over."""
        if epoch is not None:
            return self.current_step >= (epoch + 1) * self.train_data.per_epoch and self._validated[0] != self.current_step
        return self.current_step % self.settings.val_step == 0 or self.current_step >= self.total_steps

    # -- validation --------------------------------------------------------------------------------------------------------------

    def validate(self, val_ds: Batches | None = None) -> dict[str, float]:
        """Averages over the whole validation set, each value over its own targets; of the averaged weights where `ema_decay` is set.

        With them what the task hears in a few whole clips of the validation folder, which the chief alone listens to.
        Raises Interrupted if a signal comes meanwhile: the process may have no time for the rest.
        """
        totals: dict[str, list[float]] = {}
        with averaged(self.groups):
            for batch in val_ds or self.val_data:
                for name, (value, count) in self._validation(self.crew.distribute(batch)).items():
                    total = totals.setdefault(name, [0.0, 0.0])
                    total[0] += float(value)
                    total[1] += float(count)
                # of several workers none may leave the others alone in the middle of it
                if self._stop and self._stop.received and self.crew.workers == 1:
                    raise Interrupted(self._stop.received)
            if not totals:
                raise DataError("the validation set has no batch: give it at least one clip")
            means = {name: value / count for name, (value, count) in totals.items() if count}
            means |= self.task.hear(self._val_path) if self.crew.is_chief else {}
        return {f"val/{name}": value for name, value in self.task.finish(means).items()}

    def adjust_scheduler(self, val_metrics: dict[str, float]) -> bool:
        """The plateau rule (`schedule.kind: plateau`) on the result of `validate`. Returns True if a learning rate was lowered."""
        lowered = [name for name, plateau in self.plateaus.items() if plateau.update(val_metrics[self.task.monitor])]
        for name in lowered:
            rate = float(self.plateaus[name].schedule(self.current_step))
            self.report.tag(f"decision.plateau.{self.current_step}", f"learning rate of {name} lowered to {rate:.2e}")
        return bool(lowered)

    def _validate_and_save(self) -> None:
        values = self.validate()
        self._validated = self.current_step, values
        self.adjust_scheduler(values)
        improved = values[self.task.monitor] < self.best.get(self.task.monitor, math.inf)
        if improved:
            self.best = {**values, "step": self.current_step}
        self.report.validated(self.current_step, values, self.best)
        with averaged(self.groups):
            self.report.previews(self.current_step, self._val_path)
        if improved:
            self._save()

    # -- checkpoints -------------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Writes a checkpoint. A disk that is full ends no training: the checkpoints before are whole, and the next one may fit."""
        self.report.flush()
        if not self.crew.is_chief:
            return
        if self.logger:
            self.logger.flush()  # before the checkpoint: what is logged is then never behind what is resumed from
        self.journal.sync()
        validated = self._validated[1] if self._validated[0] == self.current_step else {}
        state = {
            "best": self.best,
            "plateaus": {name: plateau.state() for name, plateau in self.plateaus.items()},
            "guard": self.guard.state(),
            **self._made_with(),
            "settings": self.settings.model_dump(mode="json"),
            "split": self.suggestion.split,
            "validated": validated,
            "monitored": validated.get(self.task.monitor),
        }
        try:
            saved = self.checkpoints.save(self.current_step, self._variables(), state)
        except CheckpointError as error:
            latest = self.checkpoints.latest()
            kept = f"the last good one is {latest.path}" if latest else "there is none before it"
            self.report.tag(f"checkpoint.failed.{self.current_step}", f"{error}; training goes on, {kept}")
            return
        if self.report.once("checkpoint", self.current_step):
            self._record(saved, validated, final=False)

    def _made_with(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be gone on from."""
        features = self.task.features(self._train_path) | self.train_data.weighting()
        return {"batch_rows": self.train_data.batch_size, "features": features}

    def resume(self) -> bool:
        """Goes on from the newest whole checkpoint. Returns False if there is none.

        Raises MyXTTSError if it was made with other features or another effective batch, DamagedCheckpoint if none is whole.
        """
        with self.crew.chief_first():  # which puts damaged ones aside
            found = self.checkpoints.restore_newest(self._variables(), self._made_with())
        if found is None:
            return False
        saved, state = found
        self.current_step, self.best = state["step"], state["best"]
        for name, plateau in self.plateaus.items():
            plateau.restore(state["plateaus"][name])
        self.guard.restore(state["guard"])
        if state["validated"]:
            self._validated = self.current_step, state["validated"]
        self.report.console.say(f"resumed {self.task.stage} from {saved.path} (step {self.current_step}, epoch {self.epoch})")
        for name, change in changes(state, self.settings.model_dump(mode="json"), self.suggestion.split).items():
            self.report.tag(f"decision.{name}.{self.current_step}", change)
        return True

    def save_checkpoint(self, path: str | Path) -> Path:
        """Writes the trained networks' weights (`<component>.weights.h5`) to a folder, and what belongs to them: the audio tokenizer's
        mel normalisation, the text tokenizer where the records were made of corpus folders. Returns the folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        with averaged(self.groups if not self._finished else {}):
            for component in self.task.components:
                self.model.save_component(component, folder)
        for tokenizer in self._train_path.glob("tokenizer.json"):
            shutil.copyfile(tokenizer, folder / tokenizer.name)
        # nothing of the machine here: equal weights must make an equal folder, or DVC runs all that follows again
        summary = {name: value for name, value in self.summary().items() if name not in ("hardware", "traces")}
        (folder / "training.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        return folder

    # -- the loop ----------------------------------------------------------------------------------------------------------------

    def train(self, resume: bool = True) -> dict[str, Any]:
        """Trains to the end, then loads the best validated weights. Raises Interrupted after a signal, the checkpoint written.

        Raises MyXTTSError if the folder holds checkpoints and `resume` is False: they are not overwritten.
        """
        self._need_data("train")
        if not resume and self.checkpoints.latest():
            raise MyXTTSError(f"{self.checkpoints.folder} already holds checkpoints: resume (--resume), or choose another folder")
        with self.crew.lock(self.checkpoints), StopSignals() as self._stop:
            self._prove()
            if resume:
                self.resume()
            self.report.begin(self.current_step, settings_that_count(self.settings.model_dump(mode="json"), self.suggestion.split))
            self.report.announce(self.suggestion, self.settings.effective_batch_size)
            try:
                self._train_steps()
            finally:
                self.report.console.stop()
            self._load_best()
        self.task.prepare_networks("float32", "none")  # as they are to speak
        if self.logger:
            self.logger.flush()
        return self.summary()

    def _train_steps(self) -> None:
        # stopped between a step and its validation; or begun on a model that speaks, which may be better than all that follows
        begun_on_a_model = self.current_step == 0 and not self.config.start.from_scratch
        if self._validated[0] != self.current_step and (begun_on_a_model or (self.current_step and self.should_validate())):
            self._guarded(self._validate_and_save)
        stream = one_ahead(self.train_data.stream(self.current_step, max(self.current_step, self.total_steps)))
        self.report.meter.restart(self.current_step)
        while self.current_step < self.total_steps:
            with self.report.meter.spent("waiting"):
                batch = next(stream)
            logs = self.train_step(batch)
            self.report.add(self.current_step, logs)
            self._after_step()
        if self._validated[0] < 0 and not self.best:
            self._validate_and_save()

    def _after_step(self) -> None:
        due_to_log = self.should_log() or self.current_step >= self.total_steps
        # several workers must stop at the same step, and asking each other at every one would cost more than it gives
        self._leave_if_asked(due_to_log or self.crew.workers == 1)
        if due_to_log:
            self.report.close_window(self.current_step)
        if self.should_validate():
            self.report.flush()
            self._guarded(self._validate_and_save)
            self.report.meter.restart(self.current_step)
        if self.current_step % self.config.loop.save_step == 0 or self.current_step >= self.total_steps:
            self._save_unless_saved()

    def _guarded(self, validate: Any) -> None:
        """Validation, which a signal cuts short: it is done again when the training goes on."""
        try:
            validate()
        except Interrupted:
            self._leave_if_asked(True)

    def _leave_if_asked(self, ask: bool) -> None:
        if ask and self.crew.any(self._stop.received is not None):
            self._save_unless_saved()
            signal = self._stop.received or "another worker"
            raise Interrupted(f"{signal}: saved step {self.current_step}; training goes on from there")

    def _save_unless_saved(self) -> None:
        latest = self.checkpoints.latest()
        if latest is None or latest.step != self.current_step:
            self._save()

    def _load_best(self) -> None:
        """The weights that validated best are the ones to keep: later ones may have over-fitted."""
        self.crew.together()  # the chief may be writing the last one still
        best = self.checkpoints.best()
        try:
            if best:
                state = best.state() if best.step == self.current_step else self.checkpoints.restore(best, self._variables())
                self.best = {**state["validated"], "step": best.step}
        except DamagedCheckpoint as error:
            self.report.tag("best.damaged", f"{error}; the weights of the last step are kept in its place")
            best, self.best = None, {**self._validated[1], "step": self._validated[0]}
        put_averages(self.groups)
        self._finished = True
        saved = best or self.checkpoints.latest()
        if self.logger and saved:
            self._record(saved, {name: value for name, value in self.best.items() if name != "step"}, final=True)

    def _record(self, saved: Saved, values: dict[str, float], final: bool) -> None:
        """A checkpoint in the run, with its validation; with the time of these points, for they are there already."""
        self.logger.checkpoint(saved.step, saved.path, values, final, self.journal.validated(saved.step))

    def summary(self) -> dict[str, Any]:
        """Steps, best validation values, parameters, traces and the hardware decision."""
        trained = sum(math.prod(v.shape) for variables in self.task.objectives.values() for v in variables)
        return {
            "stage": self.task.stage,
            "steps": self.current_step,
            "epochs": self.epoch,
            "best": self.best,
            "trained_parameters": trained,
            "traces": {"train": self._step.traces, "validation": self._validation.traces},
            "hardware": self.suggestion.to_dict(),
        }
