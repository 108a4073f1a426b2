"""A training in a process of its own, to be killed: python trainee.py FOLDER TOKENS STEPS

Prints a line for each thing it begins (`step 3`, `validate`, `save 5`), so that whoever kills it knows what it was doing. Writes its
final weights to FOLDER/final and its metrics to the MLflow store of FOLDER.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from small import small_config

from myxtts.config import XTTSConfig


def configured(steps: int) -> XTTSConfig:
    """Everything on that has a state: dropout, moving averages, warm-up, plateau, a checkpoint now and then."""
    values = small_config().to_dict()
    values["loop"] |= {"log_step": 3, "save_step": 5, "keep_checkpoints": 2}
    values["tracking"]["flush_seconds"] = 0.2
    values["training"]["gpt"] |= {
        "effective_batch_size": 4,
        "batch_size": 2,
        "learning_rate": 3e-3,
        "max_steps": steps,
        "val_step": 7,
        "ema_decay": 0.9,
        "schedule": {"kind": "plateau", "warmup_steps": 4, "patience": 1, "factor": 0.7},
    }
    return XTTSConfig.from_dict(values)


def tell(thing, name: str, what) -> None:
    """Prints `what()` before each call of a method."""
    method = getattr(thing, name)

    def told(*arguments, **options):
        print(what(), flush=True)
        return method(*arguments, **options)

    setattr(thing, name, told)


def main() -> None:
    folder, tokens, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    from myxtts.models.xtts import XTTS
    from myxtts.tracking.run import stage_run
    from myxtts.training.scale import set_determinism
    from myxtts.training.trainer import XTTSTrainer

    config = configured(steps)
    set_determinism(config.hardware)
    keras.utils.set_random_seed(config.seed)
    checkpoints = folder / "checkpoints" / "gpt"
    with stage_run(config, "gpt", folder, checkpoints, lineage=False) as run:
        trainer = XTTSTrainer(config, XTTS(config.model), "gpt", checkpoints, run)
        trainer.prepare_datasets(tokens, tokens)
        trainer.task.previews = lambda path: []
        tell(trainer, "_train_steps", lambda: "begin")
        tell(trainer, "train_step", lambda: f"step {trainer.current_step + 1}")
        tell(trainer, "validate", lambda: "validate")
        tell(trainer.checkpoints, "save", lambda: "save")
        tell(trainer.checkpoints, "_prune", lambda: "prune")
        trainer.train()
        trainer.save_checkpoint(folder / "final")
    print("done", flush=True)


if __name__ == "__main__":
    main()
