"""Which vocoder makes the better copy of a held-out clip: the decoder of its GPT latents, or Griffin-Lim of its codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myxtts.config import ModelError, XTTSConfig
from myxtts.evaluation.metrics import METRICS

GRIFFIN_LIM, DECODER = "copy", "decoder_copy"  # kinds of audio


@dataclass(frozen=True)
class Comparison:
    """A metric's means of both copies. decoder: None where it could judge none of the decoder's, say for want of any voiced frame."""

    metric: str
    griffin_lim: float
    decoder: float | None

    @property
    def decoder_lost(self) -> bool:
        """True where the decoder's copy is the worse one; equal figures are no loss (two copies may both be heard without a fault)."""
        if self.decoder is None:
            return True
        better = METRICS[self.metric].better
        return self.decoder > self.griffin_lim if better == "less" else self.decoder < self.griffin_lim

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        measured = "not measurable" if self.decoder is None else f"{self.decoder:.4g}"
        return f"{self.metric} {measured} against {self.griffin_lim:.4g} {metric.unit} ({metric.better} is better)"


def compare_copies(metrics: Mapping[str, Any]) -> list[Comparison]:
    """Every metric that an evaluation has of Griffin-Lim's copies, beside the decoder's.

    [] where it has none of either, as of a model without an audio tokenizer, or where no clip could be copied by the decoder.
    """
    ours, theirs = ({name: metrics[f"{kind}/{name}"] for name in METRICS if f"{kind}/{name}" in metrics} for kind in (DECODER, GRIFFIN_LIM))
    return [Comparison(name, value, ours.get(name)) for name, value in theirs.items()] if ours else []


def verdict(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """`decoder_copy/beats_griffin_lim`, 1 or 0, and `decoder_copy/lost_to_griffin_lim`, the names of the metrics that it is worse by.

    {} where there is nothing to compare.
    """
    compared = compare_copies(metrics)
    if not compared:
        return {}
    lost = [item.metric for item in compared if item.decoder_lost]
    return {f"{DECODER}/beats_griffin_lim": int(not lost), f"{DECODER}/lost_to_griffin_lim": ", ".join(lost)}


def require_decoder(config: XTTSConfig, metrics: Mapping[str, Any]) -> None:
    """Refuses a model that speaks by its decoder while Griffin-Lim copies better (`bundle.decoder_gate`). Says so if nothing was compared.

    metrics: of `evaluate`. Raises ModelError with both figures of each metric that the decoder is worse by.
    """
    if config.synthesis.vocoder != "decoder" or not config.bundle.decoder_gate:
        return
    compared = compare_copies(metrics)
    if not compared:
        print(f"bundle.decoder_gate: nothing to compare, for the evaluation has no metric of both {GRIFFIN_LIM} and {DECODER}", flush=True)
        return
    lost = [str(item) for item in compared if item.decoder_lost]
    if lost:
        raise ModelError(
            f"the decoder makes worse copies of held-out clips than Griffin-Lim by {len(lost)} of {len(compared)} metrics: "
            f"{'; '.join(lost)}. Train it longer (training.decoder.max_steps), speak by synthesis.vocoder: griffin_lim, or bundle it as "
            "it is with bundle.decoder_gate: false"
        )
