"""The three tasks of training, by stage."""

from myxtts.training.tasks.base import Task
from myxtts.training.tasks.decoder import DecoderTask
from myxtts.training.tasks.dvae import DVAETask
from myxtts.training.tasks.gpt import GPTTask

TASKS: dict[str, type[Task]] = {"dvae": DVAETask, "gpt": GPTTask, "decoder": DecoderTask}
