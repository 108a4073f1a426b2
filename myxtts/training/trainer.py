"""XTTSTrainer: one explicit loop under tf.distribute for the three tasks."""

import json
import math
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from myxtts.config import DataError, MyXTTSError, XTTSConfig
from myxtts.data.batches import Batch, Batches, Flow
from myxtts.models.precision import set_precision
from myxtts.models.xtts import XTTS
from myxtts.training import hardware
from myxtts.training.checkpoint import CheckpointFolder, Saved, named_variables
from myxtts.training.history import History
from myxtts.training.logger import RunLogger, log_preview
from myxtts.training.optim import Plateau, make_optimizer
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
        self.config, self.model, self.logger = config, model, logger
        self.task: Task = TASKS[stage](config, model, cache=folder / "cache")
        self.settings = self.task.settings
        self.strategy = strategy or tf.distribute.get_strategy()
        self.checkpoints = CheckpointFolder(folder, config.loop.keep_checkpoints)
        self.history = History(folder / "history.jsonl")
        self.current_step, self.epoch, self.batch_in_epoch = 0, 0, 0
        self.best: dict[str, float] = {}
        self.suggestion: hardware.Suggestion | None = None
        self.train_data: Batches | None = None
        self.val_data: Batches | None = None
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []
        self._last_validation: tuple[int, dict[str, float]] | None = None
        self._window = _Window()

    # -- data and hardware -------------------------------------------------------------------------------------------------------

    def prepare_datasets(self, train_path: str | Path, val_path: str | Path) -> tuple[Batches, Batches]:
        """Training and validation batches from the stage's record folders (`data/mels` for dvae, `data/tokens` for gpt and decoder).

        Splits the effective batch for this machine first. Raises DataError where a record file is missing or empty.
        """
        train_path, self._val_path = Path(train_path), Path(val_path)
        machine = hardware.detect(self.config.hardware)
        with self.strategy.scope():
            self.task.open(train_path)
        self._prepare_networks(self.settings.precision, self.config.hardware.rematerialise)
        parameters = 4 * sum(math.prod(v.shape) for variables in self.task.objectives.values() for v in variables)
        replicas = self.strategy.num_replicas_in_sync
        self.suggestion = hardware.suggest(
            self.settings,
            self.config.hardware,
            machine,
            parameters + self.task.frozen_bytes // 4,
            self.task.bytes_per_example(train_path),
            replicas,
        )
        rows = self.suggestion.batch_size * self.suggestion.grad_accum * replicas
        flow = Flow(self.suggestion.num_workers)
        self.train_data = self.task.batches(train_path, "train", rows, flow)
        # validation passes one micro-batch at a time: memory is sized for that
        self.val_data = self.task.batches(self._val_path, "eval", self.suggestion.batch_size * replicas, flow)
        self._build()
        return self.train_data, self.val_data

    def _prepare_networks(self, precision: str, rematerialise: bool) -> None:
        for network in self.task.networks:
            set_precision(network, precision)
        self.model.gpt.rematerialise = rematerialise

    def _build(self) -> None:
        """Creates optimizers and compiled steps: everything that a restore must find in place."""
        self.total_steps = self.settings.epochs * self.train_data.per_epoch
        if self.settings.max_steps:
            self.total_steps = min(self.total_steps, self.settings.max_steps)
        with self.strategy.scope():
            self.optimizers = {
                name: make_optimizer(self.settings, self.total_steps, variables) for name, variables in self.task.objectives.items()
            }
        self.plateaus = {name: Plateau(optimizer._learning_rate) for name, optimizer in self.optimizers.items()}
        self._step = TrainStep(self.task, self.optimizers, self.strategy, self.suggestion.grad_accum)
        self._validation = ValidationStep(self.task, self.strategy)

    def _variables(self) -> dict[str, tf.Variable]:
        """Every variable that training changes, by name."""
        named = {}
        for name, variables in self.task.objectives.items():
            named |= named_variables(name, variables)
            named |= named_variables(f"optimizer/{name}", self.optimizers[name].variables)
            named[f"schedule/{name}"] = self.plateaus[name].schedule.factor
        for name, scale in self._step.loss_scales.items():
            named |= {f"loss_scale/{name}": scale.value, f"loss_scale/{name}/good_steps": scale.good_steps}
        return named | named_variables("state", self.task.state_variables)

    # -- one step ----------------------------------------------------------------------------------------------------------------

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One optimizer update on a batch. Returns named losses as device scalars; reading one waits for the step."""
        if self.train_data is None:
            raise DataError("prepare_datasets(train_path, val_path) must come before train_step: it sizes the batches")
        logs = self._step(self._distribute(batch))
        self.current_step += 1
        self._pending.append((self.current_step, logs))
        return logs

    def _distribute(self, batch: Batch):
        if self.strategy.num_replicas_in_sync == 1:
            return batch
        rows = next(iter(batch.values())).shape[0] // self.strategy.num_replicas_in_sync

        def share(context: tf.distribute.ReplicaContext):
            number = context.replica_id_in_sync_group
            return {name: value[number * rows : (number + 1) * rows] for name, value in batch.items()}

        return self.strategy.experimental_distribute_values_from_function(share)

    def should_log(self) -> bool:
        return self.current_step % self.config.loop.log_step == 0

    def should_validate(self) -> bool:
        return self.current_step % self.settings.val_step == 0 or self.current_step >= self.total_steps

    def _flush_logs(self) -> dict[str, float]:
        """Reads the waiting step results and logs each at its own step."""
        values: dict[str, float] = {}
        for step, logs in self._pending:
            values = {f"train/{name}": float(value) for name, value in logs.items()}
            rates = {f"train/lr/{name}": float(schedule.schedule(step - 1)) for name, schedule in self.plateaus.items()}
            if self.logger:
                self.logger.metrics(values | rates, step)
        if self._pending and self.logger:
            self.logger.metrics(self._window.close(self.current_step, self.train_data.batch_size), self.current_step)
        self._pending.clear()
        return values

    # -- validation --------------------------------------------------------------------------------------------------------------

    def validate(self, val_ds: Batches | None = None) -> dict[str, float]:
        """Averages over the whole validation set, each value over its own targets."""
        totals: dict[str, list[float]] = {}
        for batch in val_ds or self.val_data:
            for name, (value, count) in self._validation(self._distribute(batch)).items():
                total = totals.setdefault(name, [0.0, 0.0])
                total[0] += float(value)
                total[1] += float(count)
        if not totals:
            raise DataError("the validation set has no batch: give it at least one clip")
        averaged = {name: value / count for name, (value, count) in totals.items() if count}
        return {f"val/{name}": value for name, value in self.task.finish(averaged).items()}

    def _validate_and_save(self) -> None:
        values = self.validate()
        self._last_validation = (self.current_step, values)
        monitored = values[self.task.monitor]
        self.history.add("val", self.current_step, values)
        self._say("val", values)
        for plateau in self.plateaus.values():
            if plateau.update(monitored):
                rate = float(plateau.schedule(self.current_step))
                print(f"step {self.current_step}: plateau, learning rate lowered to {rate:.2e}", flush=True)
        improved = monitored < self.best.get(self.task.monitor, math.inf)
        if improved:
            self.best = {**values, "step": self.current_step}
        if self.logger:
            self.logger.metrics(values | {f"best/{name}": value for name, value in self.best.items() if name != "step"}, self.current_step)
            for preview in self.task.previews(self._val_path):
                log_preview(self.logger, preview, self.current_step)
        if improved:
            self._save(values)

    # -- checkpoints -------------------------------------------------------------------------------------------------------------

    def _save(self, values: dict[str, float] | None = None) -> Saved:
        self._flush_logs()
        if self.logger:
            self.logger.flush()  # before the checkpoint: what is logged is then never behind what is resumed from
        validated = values or (self._last_validation[1] if self._last_validation and self._last_validation[0] == self.current_step else {})
        state = {
            "epoch": self.epoch,
            "batch_in_epoch": self.batch_in_epoch,
            "best": self.best,
            "plateaus": {name: plateau.state() for name, plateau in self.plateaus.items()},
            "batch_rows": self.train_data.batch_size,
            "monitored": validated.get(self.task.monitor),
        }
        saved = self.checkpoints.save(self.current_step, self._variables(), state)
        if self.logger:
            self.logger.checkpoint(self.current_step, saved.path, validated, final=False)
        return saved

    def resume(self) -> bool:
        """Goes on from the newest checkpoint. Returns False if there is none."""
        saved = self.checkpoints.latest()
        if saved is None:
            return False
        if saved.state()["batch_rows"] != self.train_data.batch_size:
            raise MyXTTSError(
                f"{saved.path} was made with {saved.state()['batch_rows']} clips an update, now it is {self.train_data.batch_size}: "
                "the place in the data would be lost; set effective_batch_size back (it is --batch-size times --grad-accum)"
            )
        state = self.checkpoints.restore(saved, self._variables())
        self.current_step, self.epoch, self.batch_in_epoch = state["step"], state["epoch"], state["batch_in_epoch"]
        self.best = state["best"]
        for name, plateau in self.plateaus.items():
            plateau.restore(state["plateaus"][name])
        self.history.cut(self.current_step)
        print(f"resumed {self.task.stage} from {saved.path} (step {self.current_step}, epoch {self.epoch})", flush=True)
        return True

    def save_checkpoint(self, path: str | Path) -> Path:
        """Writes the trained networks' weights alone (`<component>.weights.h5`) to a folder, for synthesis or fine-tuning."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for component in self.task.components:
            self.task.model.save_component(component, folder)
        # nothing of the machine here: equal weights must make an equal folder, or DVC runs all that follows again
        summary = {name: value for name, value in self.summary().items() if name not in ("hardware", "traces")}
        (folder / "training.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        return folder

    # -- the loop ----------------------------------------------------------------------------------------------------------------

    def train(self, resume: bool = True) -> dict[str, Any]:
        """Trains to the end, then loads the best validated weights. Raises Interrupted after a signal, the checkpoint written.

        Raises MyXTTSError if the folder holds checkpoints and `resume` is False: they are not overwritten.
        """
        if self.train_data is None:
            raise DataError("prepare_datasets(train_path, val_path) must come before train")
        if not resume and self.checkpoints.latest():
            raise MyXTTSError(f"{self.checkpoints.folder} already holds checkpoints: resume (--resume), or choose another folder")
        with self.checkpoints.lock(), StopSignals() as signals:
            if resume:
                self.resume()
            self._announce()
            while self.current_step < self.total_steps:
                self._train_epoch(signals)
            if self._last_validation is None and not self.best:
                self._validate_and_save()
            self._load_best()
        self._prepare_networks("float32", rematerialise=False)  # as they are to speak
        if self.logger:
            self.logger.flush()
        return self.summary()

    def _train_epoch(self, signals: StopSignals) -> None:
        stream = iter(self.train_data.epoch(self.epoch, skip=self.batch_in_epoch))
        while self.current_step < self.total_steps:
            with self._window.waiting():
                batch = next(stream, None)
            if batch is None:
                self.epoch, self.batch_in_epoch = self.epoch + 1, 0
                return
            self.train_step(batch)
            self.batch_in_epoch += 1
            self._after_step(signals)

    def _after_step(self, signals: StopSignals) -> None:
        if self.should_log():
            values = self._flush_logs()
            self.history.add("train", self.current_step, values)
            self._say("train", values)
        if self.should_validate():
            self._flush_logs()
            self._validate_and_save()
            self._window.restart(self.current_step)
        if self.current_step % self.config.loop.save_step == 0 or self.current_step >= self.total_steps:
            self._save_unless_saved()
        if signals.received:
            self._save_unless_saved()
            raise Interrupted(f"{signals.received}: saved step {self.current_step}; run the same command again to go on from there")

    def _save_unless_saved(self) -> None:
        latest = self.checkpoints.latest()
        if latest is None or latest.step != self.current_step:
            self._save()

    def _load_best(self) -> None:
        """The weights that validated best are the ones to keep: later ones may have over-fitted."""
        best = self.checkpoints.best()
        if best and best.step != self.current_step:
            self.checkpoints.restore(best, self._variables())
        saved = best or self.checkpoints.latest()
        if self.logger and saved:
            self.logger.checkpoint(saved.step, saved.path, {k: v for k, v in self.best.items() if k != "step"}, final=True)

    # -- words -------------------------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        decision = self.suggestion.to_dict()
        print(
            f"{self.task.stage}: {self.total_steps} steps of {self.settings.effective_batch_size} clips "
            f"({self.suggestion.batch_size} x {self.suggestion.grad_accum}), {self.train_data.num_examples} training clips; "
            + "; ".join(self.suggestion.reasons),
            flush=True,
        )
        if self.logger:
            self.logger.params({f"suggested.{key}": decision[key] for key in ("batch_size", "grad_accum", "num_workers")})
            self.logger.tags({"hardware.reasons": "; ".join(self.suggestion.reasons)})
            self.logger.text(json.dumps(decision, indent=1), "hardware.json")

    def _say(self, kind: str, values: dict[str, float]) -> None:
        shown = "  ".join(f"{name.removeprefix(kind + '/')} {value:.4g}" for name, value in values.items())
        print(f"{self.task.stage} step {self.current_step}/{self.total_steps} {kind}: {shown}", flush=True)

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


class _Window:
    """Throughput and waiting time since the last log."""

    def __init__(self) -> None:
        self.restart()

    def restart(self, step: int | None = None) -> None:
        """Begins anew at `step`: what came before (a validation, say) is no training time."""
        self._start, self._waited, self._last_step = time.perf_counter(), 0.0, step

    def waiting(self) -> "_Window":
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._waited += time.perf_counter() - self._began

    def close(self, step: int, rows: int) -> dict[str, float]:
        elapsed = max(time.perf_counter() - self._start, 1e-9)
        values = {"perf/data_wait_share": self._waited / elapsed}
        if self._last_step is not None:
            rate = (step - self._last_step) / elapsed
            values |= {"perf/steps_per_second": rate, "perf/clips_per_second": rate * rows}
        self.restart(step)
        return values
