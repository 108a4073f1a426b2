"""Projects in temporary folders, run by the real dvc, mlflow and command line."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DVC"))} | {
    "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
}  # fmt: skip
PARAMS = """
data: {source: {layout: sample, path: data/sample}, sample: {sentences: 24, held_out: 6, voices: [en-us, fa]}}
model:
  preset: tiny
  num_text_tokens: 96
  audio: {}
  dvae: {num_codes: 32, code_dim: 16, hidden_dim: 24}
  gpt: {num_layers: 1, dim: 32, num_heads: 2, conditioning_heads: 2}
  decoder: {channels: 32, discriminator_channels: 4, discriminator_periods: [2], resblock_kernels: [3]}
  speaker_encoder: {embedding_dim: 16}
seed: 3
start: {model: data/scratch}
prepare: {}
tokenizer: {}
encode: {prompt_seconds: 1.0}
training:
  dvae: {max_steps: 6, effective_batch_size: 8, val_step: 6}
  gpt: {max_steps: 30, effective_batch_size: 8, val_step: 30, num_buckets: 1}
  decoder: {max_steps: 2, effective_batch_size: 2, val_step: 2, segment_codes: 4}
loop: {log_step: 1, save_step: 5}
hardware: {trial_step: false} # a trace more of each network; the demo and tests/training have it
synthesis: {}
evaluate: {num_sentences: 2, num_logged: 1, num_opinions: 0, whisper: never}
bundle: {name: route}
tracking: {}
"""


class Project:
    """A checkout in a temporary folder; its commands run in ENVIRONMENT, with `settings` over it."""

    def __init__(self, root: Path, settings: Mapping[str, str] | None = None):
        self.root = root
        self.settings = dict(settings or {})

    def run(self, *command: str, check: bool = True) -> str:
        environment = ENVIRONMENT | self.settings
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def output(self, *command: str) -> str:
        """What a command that must succeed writes to its standard output."""
        environment = ENVIRONMENT | self.settings
        return subprocess.run(command, cwd=self.root, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

    def repro(self, *arguments: str) -> list[str]:
        """`dvc repro`; the names of the stages that really ran."""
        output = self.run("dvc", "repro", *arguments)
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.root / 'mlflow.db'}")

    def runs(self, stage: str) -> list:
        client = self.client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(experiments, f"tags.`dvc.stage` = '{stage}'")

    def change(self, old: str, new: str) -> None:
        path = self.root / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def checkout(root: Path, params: str, settings: Mapping[str, str] | None = None) -> Project:
    """The repository's code and sample in `root`, under git and DVC, with this params.yaml."""
    for name in ("myxtts", "recipes", "data/sample", "data/scratch", "data/evaluation"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "MLproject", "python_env.yaml", ".gitignore", ".dvcignore", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, root / name)
    (root / "params.yaml").write_text(params)
    made = Project(root, settings)
    made.run("git", "init", "-q")
    made.run("dvc", "init", "-q")
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "start")
    return made
