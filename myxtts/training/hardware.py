"""How a stage's effective batch is split for a machine. Decides speed and memory, never what is minimised."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from myxtts.config import ConfigError
from myxtts.config.stages import REMATERIALISE, HardwareConfig, StageTraining
from myxtts.training.machine import Machine
from myxtts.training.memory import GB, Footprint, footprint

MAX_WORKERS = 10  # more readers than this did not help any machine of ours
MARGIN = 0.85  # of the memory: the rest is for fragments, and for what no prediction sees
# clips of a micro-batch that are worth computing activations twice for: below, a GPU waits for its memory and kernels' starts. A CPU
# is as fast with few clips.
WORTH_RECOMPUTING_GPU, WORTH_RECOMPUTING_CPU = 32, 2


@dataclass(frozen=True)
class Needs:
    """What a stage asks of the memory.

    trained, frozen: numbers of weights; variables: of trained tensors; per_clip: (bytes of an activation, recomputation) -> bytes;
    process: bytes that this process holds besides its weights, where it is known.
    """

    trained: int
    frozen: int
    variables: int
    per_clip: Callable[[int, str], int]
    process: int = 0
    modes: tuple[str, ...] = ("none",)  # of recomputation that the stage knows, least work first


@dataclass(frozen=True)
class Suggestion:
    """One decision, with its reasons; `measured_gb` is the peak of the trial step."""

    batch_size: int
    grad_accum: int
    num_workers: int
    prefetch: int
    precision: str
    rematerialise: str
    predicted_gb: float
    footprint: Footprint
    machine: Machine
    reasons: tuple[str, ...]
    replicas: int = 1
    measured_gb: float | None = None
    fits: bool = True  # into what is planned with

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def split(self) -> dict[str, Any]:
        """What of the decision a training goes on with: dropout draws a mask for each micro-batch, and formats round differently."""
        return {name: getattr(self, name) for name in ("batch_size", "grad_accum", "precision", "rematerialise")}

    def with_reason(self, reason: str, **changes: Any) -> "Suggestion":
        return replace(self, reasons=(*self.reasons, reason), **changes)

    def smaller(self, why: str) -> "Suggestion":
        """The next smaller micro-batch of the same effective batch. Raises ConfigError where there is none."""
        if self.batch_size == 1:
            raise ConfigError(
                f"not even one clip fits into the memory ({why}): set hardware.rematerialise: blocks, lower prepare.max_seconds, or train "
                "a smaller model.preset"
            )
        each = self.batch_size * self.grad_accum
        size, accum = split_batch(each, self.batch_size - 1)
        predicted = self.footprint.total(size, accum) / GB
        return self.with_reason(f"backed off to {size} x {accum}: {why}", batch_size=size, grad_accum=accum, predicted_gb=predicted)


def split_batch(effective: int, most: int, replicas: int = 1) -> tuple[int, int]:
    """Largest micro-batch <= `most` that divides the effective batch of one replica -> (batch_size, grad_accum).

    Raises ConfigError where the effective batch cannot be shared evenly by the replicas.
    """
    if effective % replicas:
        raise ConfigError(f"effective_batch_size {effective} is not divisible by {replicas} devices: make it a multiple of {replicas}")
    each = effective // replicas
    size = max(size for size in range(1, each + 1) if each % size == 0 and size <= max(1, most))
    return size, each // size


def suggest(stage: StageTraining, hardware: HardwareConfig, machine: Machine, needs: Needs, replicas: int = 1) -> Suggestion:
    """Precision, recomputation, the split of `stage.effective_batch_size`, workers and prefetch for a machine.

    Raises ConfigError where a given batch_size does not divide, or the replicas cannot share the batch.
    """
    precision, why = _precision(stage, machine)
    reasons = [why]
    given = hardware.rematerialise
    modes = needs.modes if given == "auto" else (given,) if given in needs.modes else ("none",)
    options = [_split(stage, machine, needs, precision, mode, replicas) for mode in modes]
    worth = min(stage.effective_batch_size // replicas, WORTH_RECOMPUTING_GPU if machine.gpus else WORTH_RECOMPUTING_CPU)
    fitting = [option for option in options if option.fits] or options[-1:]
    enough = [option for option in fitting if option.size >= worth]
    chosen = enough[0] if enough else max(fitting, key=lambda option: (option.size, -REMATERIALISE.index(option.mode)))
    fixed = chosen.footprint
    reasons.append(
        f"{machine.memory_gb:.1f} GB for training ({'GPU' if machine.gpus else 'RAM, no GPU'}), {MARGIN:.0%} of it planned with: weights "
        f"{fixed.weights / GB:.2f}, gradients {fixed.gradients / GB:.2f}, optimizer {fixed.optimizer / GB:.2f}, process "
        f"{fixed.buffers / GB:.2f}, and {fixed.per_clip / GB:.3f} GB for each clip of the longest bucket: "
        f"room for {chosen.most if chosen.fits else 'not even one of them'}"
    )
    if len(modes) > 1:
        sizes = ", ".join(f"{option.mode} {option.size}" for option in options)
        reasons.append(f"recomputing {chosen.mode}: the least that gives a micro-batch of {worth} or more, or else the largest ({sizes})")
    elif needs.modes != ("none",):
        reasons.append(f"recomputing {chosen.mode}, as given")
    if stage.batch_size:
        reasons.append(f"batch_size {chosen.size} was given, accumulated {chosen.accum} times")
    else:
        shared = f" on each of {replicas} devices" if replicas > 1 else ""
        whole = f"{stage.effective_batch_size}{shared}"
        reasons.append(f"largest micro-batch that fits and divides {whole}: {chosen.size}, accumulated {chosen.accum} times")
    if machine.gpus > replicas:
        why = "the model was not built in a strategy's scope" if hardware.all_devices else "hardware.all_devices is false"
        reasons.append(f"{replicas} of {machine.gpus} GPUs is used: {why}")
    workers = hardware.num_workers or max(1, min(MAX_WORKERS, machine.cpus))
    reasons.append(
        f"{workers} data workers " + ("as given" if hardware.num_workers else f"for {machine.cpus} cores (at most {MAX_WORKERS})")
    )
    if not chosen.fits:
        reasons.append("this is more than the memory holds: train a smaller model.preset, shorter clips, or on another machine")
    predicted = fixed.total(chosen.size, chosen.accum) / GB
    prefetch = max(2, min(8, workers // 2))
    return Suggestion(
        chosen.size,
        chosen.accum,
        workers,
        prefetch,
        precision,
        chosen.mode,
        predicted,
        fixed,
        machine,
        tuple(reasons),
        replicas,
        fits=chosen.fits,
    )


def go_on(suggestion: Suggestion, state: dict[str, Any], stage: StageTraining, hardware: HardwareConfig, needs: Needs) -> Suggestion:
    """The suggestion with the split of a checkpoint's `state`, unless the configuration or the machine will not have it any more."""
    machine, before, settings = suggestion.machine, state.get("split"), state.get("settings", {})
    if not before or before == suggestion.split:
        return suggestion
    # what was given then may have been backed off from: given again, it asks for nothing new
    given = {name: getattr(stage, name) for name in ("batch_size", "precision") if getattr(stage, name) != settings.get(name)}
    if len(needs.modes) > 1:
        given["rematerialise"] = hardware.rematerialise
    if any(value not in (None, "auto", before[name]) for name, value in given.items()):
        return suggestion
    if before["precision"] == "float16" != stage.precision:  # nothing chooses it by itself
        return suggestion
    if before["batch_size"] * before["grad_accum"] != suggestion.batch_size * suggestion.grad_accum:
        return suggestion
    if before["rematerialise"] not in needs.modes or (before["precision"] == "bfloat16" and not machine.bfloat16):
        return suggestion
    stage = stage.model_copy(update={"batch_size": before["batch_size"], "precision": before["precision"]})
    hardware = hardware.model_copy(update={"rematerialise": before["rematerialise"]})
    same = suggest(stage, hardware, machine, needs, suggestion.replicas)
    if same.predicted_gb > machine.memory_gb:
        return suggestion.with_reason(f"the split of the last checkpoint needs {same.predicted_gb:.1f} GB: it is not gone on with")
    return replace(same, reasons=(*suggestion.reasons, f"going on with the last checkpoint's split: {describe_split(before)}"))


def describe_split(split: dict[str, Any]) -> str:
    """`Suggestion.split` in words."""
    return f"{split['batch_size']} x {split['grad_accum']} in {split['precision']}, recomputing {split['rematerialise']}"


def _precision(stage: StageTraining, machine: Machine) -> tuple[str, str]:
    if stage.precision != "auto":
        return stage.precision, f"precision {stage.precision}, as given"
    device = "GPU" if machine.gpus else "CPU"
    if machine.bfloat16:
        return "bfloat16", f"precision bfloat16: this {device} computes in it, with the range of float32"
    return "float32", f"precision float32: this {device} has no instructions for bfloat16"


@dataclass(frozen=True)
class _Split:
    mode: str
    most: int
    size: int
    accum: int
    fits: bool
    footprint: Footprint


def _split(stage: StageTraining, machine: Machine, needs: Needs, precision: str, mode: str, replicas: int) -> _Split:
    half = precision != "float32"
    per_clip = needs.per_clip(2 if half else 4, mode)
    needed = footprint(
        needs.trained, needs.frozen, needs.variables, needs.process, per_clip, machine.gpus > 0, half, stage.ema_decay is not None
    )
    free = MARGIN * machine.memory_gb * GB - needed.fixed
    most = max(1, int(free // max(1, per_clip)))
    if most < stage.effective_batch_size // replicas:
        most = max(1, int((free - needed.accumulation) // max(1, per_clip)))
    size, accum = split_batch(stage.effective_batch_size, stage.batch_size or most, replicas)
    if stage.batch_size and size != stage.batch_size:
        raise ConfigError(
            f"batch_size {stage.batch_size} does not divide effective_batch_size {stage.effective_batch_size} / {replicas} device(s): "
            f"use {size}, or change effective_batch_size"
        )
    return _Split(mode, most, size, accum, free >= per_clip, needed)
