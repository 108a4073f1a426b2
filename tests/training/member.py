"""One process of a training over several devices or workers: python member.py FOLDER RECORDS STAGE DEVICES [STEPS [MEMORY]]

DEVICES logical CPUs in this process, which may use MEMORY GB; TF_CONFIG makes it a worker among others. Prints the losses of every step
as JSON lines, and writes the trained weights to FOLDER/final where it is the chief.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import tensorflow as tf
from small import small_config

from myxtts.config import XTTSConfig


def configured(stage: str, steps: int, memory: float | None) -> XTTSConfig:
    """No dropout: replicas draw their own."""
    values = small_config().to_dict()
    values["model"]["gpt"]["dropout"] = 0.0
    values["loop"] |= {"log_step": 1, "save_step": 4}
    # two devices sum in another order than one: only in float32 is the difference small enough to compare
    values["training"][stage] |= {
        "effective_batch_size": 4,
        "learning_rate": 3e-3,
        "max_steps": steps,
        "val_step": 5,
        "precision": "float32",
    }
    if memory:
        values["hardware"] |= {"memory_gb": memory, "trial_step": False}
    return XTTSConfig.from_dict(values)


class Printer:
    journal_id = "printed"

    def metrics(self, values, step, timestamp=None):
        kept = {name: value for name, value in values.items() if name.startswith(("train/", "val/"))}
        if kept:
            print("POINT " + json.dumps({"step": step, "values": kept}), flush=True)

    def __getattr__(self, name):
        return lambda *arguments, **options: None


def main() -> None:
    folder, records, stage, devices = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    steps = int(sys.argv[5]) if len(sys.argv) > 5 else 8
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    from myxtts.models.xtts import XTTS
    from myxtts.training.scale import make_strategy
    from myxtts.training.trainer import XTTSTrainer

    config = configured(stage, steps, float(sys.argv[6]) if len(sys.argv) > 6 else None)
    strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU")) if devices > 1 else make_strategy(config.hardware)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = XTTS(config.model)
    trainer = XTTSTrainer(config, model, stage, folder / "checkpoints", Printer(), strategy)
    trainer.prepare_datasets(records, records)
    trainer.task.previews = lambda path: []
    trainer.train()
    if trainer.crew.is_chief:
        trainer.save_checkpoint(folder / "final")
    print(f"END {trainer.crew.index} of {trainer.crew.workers}, {trainer.crew.replicas} replicas", flush=True)
    print(f"SPLIT {trainer.suggestion.batch_size} x {trainer.suggestion.grad_accum}, {trainer.crew.neighbours} neighbours", flush=True)


if __name__ == "__main__":
    main()
