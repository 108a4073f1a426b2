"""Where everything lies in a project: one place that knows."""

from dataclasses import dataclass
from pathlib import Path

from myxtts.config.stages import EVALUATION_TEXTS, TRAINED_STAGES


@dataclass(frozen=True)
class Paths:
    """Folders and files of one project (or of one `myxtts train`, which keeps its own)."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def processed(self) -> Path:
        return self.root / "data" / "processed"

    @property
    def mels(self) -> Path:
        return self.root / "data" / "mels"

    @property
    def tokens(self) -> Path:
        return self.root / "data" / "tokens"

    @property
    def tokenizer(self) -> Path:
        return self.root / "models" / "tokenizer.json"

    @property
    def bundle(self) -> Path:
        return self.root / "models" / "bundle"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def evaluation(self) -> Path:
        return self.reports / "evaluation"

    @property
    def evaluation_texts(self) -> Path:
        """Texts of the sets that nobody recorded (evaluate.sets)."""
        return self.root / EVALUATION_TEXTS

    @property
    def cache(self) -> Path:
        """What was made of clips, kept over runs and shared by the workspaces of DVC's experiments."""
        from myxtts.tracking.store import main_checkout

        return main_checkout(self.root) / "cache"

    @property
    def data_page(self) -> Path:
        """The page about the prepared corpus."""
        return self.reports / "data.html"

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that the stages write: what none of them may be given to start from."""
        made = (self.raw, self.processed, self.mels, self.tokens, self.tokenizer, self.bundle, self.reports)
        return (*made, *map(self.model, TRAINED_STAGES))

    def model(self, stage: str) -> Path:
        """Folder of a trained network: `models/dvae`, `models/gpt`, `models/decoder`."""
        return self.root / "models" / stage

    def report(self, stage: str) -> Path:
        return self.reports / f"{stage}.json"

    def link(self, stage: str) -> Path:
        """File that names the MLflow run of a stage (`dvae`, `gpt`, `decoder`, `voice`)."""
        return self.reports / f"{stage}_run.json"
