"""Every DVC stage by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

from myxtts.config import XTTSConfig
from myxtts.pipeline.data_stages import run_encode, run_prepare, run_raw, run_tokenizer, write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.train_stages import run_train_stage
from myxtts.pipeline.voice_stages import run_bundle, run_evaluate

STAGES: dict[str, Callable[[XTTSConfig, Paths], dict[str, Any]]] = {
    "raw": run_raw,
    "prepare": run_prepare,
    "tokenizer": run_tokenizer,
    "dvae": partial(run_train_stage, "dvae"),
    "encode": run_encode,
    "gpt": partial(run_train_stage, "gpt"),
    "decoder": partial(run_train_stage, "decoder"),
    "evaluate": run_evaluate,
    "bundle": run_bundle,
}
OWN_REPORT = ("dvae", "gpt", "decoder", "evaluate", "bundle")  # these write their reports themselves


def run_stage(name: str, config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Runs one stage in the project at `paths.root` and writes `reports/<stage>.json`."""
    report = STAGES[name](config, paths)
    if name not in OWN_REPORT:
        write_report(paths.report(name), report)
    return report
