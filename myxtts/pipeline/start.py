"""The model that training starts from: a bundle folder, checked before anything is read from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config import ConfigError, ModelError, XTTSConfig
from myxtts.config.model import TRAINING_ONLY
from myxtts.pipeline.attempts import md5
from myxtts.pipeline.paths import Paths
from myxtts.serving.bundle import PARAMS, TOKENIZER, check_bundle

# the networks that each stage trains
COMPONENTS: dict[str, tuple[str, ...]] = {"dvae": ("dvae",), "gpt": ("gpt",), "decoder": ("decoder", "speaker_encoder")}
# what may differ from the start model's; the vocabulary may be larger: see `_check_vocabulary`
FREE = {"model.num_text_tokens", *(f"model.{key}" for key in TRAINING_ONLY)}
# of `prepare`, what a model's text embeddings were trained on
SAME_TEXT = ("prepare.cleaners",)


@dataclass(frozen=True)
class Start:
    """A whole bundle that fits the configuration. `model`: its folder as params.yaml names it."""

    model: str
    folder: Path
    config: XTTSConfig

    def weights(self, component: str) -> Path:
        """Weight file of one network."""
        return self.folder / f"{component}.weights.h5"

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    def mel_norm(self) -> np.ndarray:
        """(M,) float32: what the networks' mels were divided by."""
        from myxtts.models.xtts import load_mel_norm

        return load_mel_norm(self.folder, self.config.model)

    def files(self, stage: str) -> list[Path]:
        """Weight files that a training stage starts from."""
        return [self.weights(component) for component in COMPONENTS[stage]]

    def describe(self, stage: str) -> dict[str, Any]:
        """For the stage's report: where its weights came from."""
        return {"model": self.model, "md5": {path.name: md5(path) for path in self.files(stage)}}


def open_start(config: XTTSConfig, root: Path) -> Start | None:
    """The model that `start.model` names, relative to the project `root`; None where training starts from random weights.

    Raises ModelError where the folder is no whole bundle with an audio tokenizer, ConfigError where the pipeline itself writes there,
    or where its networks, its vocabulary or its text normalisation are not those that `config` describes.
    """
    if config.start.from_scratch:
        return None
    start = _open(config, root)
    _check_sections(config, start)
    _check_vocabulary(config, start)
    return start


def start_sizes(config: XTTSConfig, root: Path) -> dict[str, Any]:
    """`{"model.gpt.num_layers": 30, …}`: preset, vocabulary and all that must be as in the start model; {} where there is none.

    Raises as `open_start` does where the folder cannot be started from whatever the sizes.
    """
    if config.start.from_scratch:
        return {}
    values = _open(config, root).config.flat()
    wanted = {"model.preset", "model.num_text_tokens"}
    return {key: value for key, value in values.items() if key in wanted or (key.startswith("model.") and key not in FREE)}


def _open(config: XTTSConfig, root: Path) -> Start:
    """The start model, whole and with an audio tokenizer, before it is compared with the configuration."""
    folder = root / config.start.model
    _refuse_outputs(config.start.model, folder, Paths(root))
    try:
        check_bundle(folder)
    except ModelError as error:
        raise ModelError(
            f"start.model: {error}. Expected the bundle folder of a model that speaks (`myxtts import-coqui` makes one of a checkpoint)"
        ) from None
    start = Start(config.start.model, folder, XTTSConfig.load(folder / PARAMS))
    if not start.weights("dvae").is_file():
        raise ModelError(
            f"start.model: {folder} has no audio tokenizer (dvae.weights.h5), so its codes for new recordings are unknown; "
            "import it again with --dvae dvae.pth"
        )
    return start


def _refuse_outputs(model: str, folder: Path, paths: Paths) -> None:
    """A start model is an input: what the pipeline makes anew, or deletes, cannot be what it starts from."""
    place = folder.resolve()
    for output in paths.outputs:
        made = output.resolve()
        if place.is_relative_to(made) or made.is_relative_to(place):
            raise ConfigError(
                f"start.model is {model}, in one place with {output.relative_to(paths.root)}, which the pipeline writes: copy the bundle "
                "to data/NAME (then `dvc add data/NAME`) and set start.model to that"
            )


def _check_sections(config: XTTSConfig, start: Start) -> None:
    ours, theirs = config.flat(), start.config.flat()
    compared = [key for key in ours.keys() | theirs.keys() if key.startswith("model.") and key not in FREE]
    differing = sorted(key for key in (*compared, *SAME_TEXT) if ours.get(key) != theirs.get(key))
    if differing:
        lines = "\n".join(f"  {key}: {ours.get(key)!r} in params.yaml, {theirs.get(key)!r} in the model" for key in differing)
        raise ConfigError(
            f"the model {start.model} cannot be the start of what params.yaml describes:\n{lines}\n"
            f"take these values over from {start.folder / PARAMS}, or start from another model"
        )


def _check_vocabulary(config: XTTSConfig, start: Start) -> None:
    """Text rows can be added to a GPT that is trained on, never taken away."""
    ours, theirs = config.model.num_text_tokens, start.config.model.num_text_tokens
    frozen = "gpt" in config.start.frozen
    if ours < theirs or (frozen and ours > theirs):
        expected = f"{theirs}" if frozen else f"at least {theirs}"
        reason = "of a frozen gpt stays as it is" if frozen else "can grow, not shrink"
        raise ConfigError(
            f"model.num_text_tokens is {ours} in params.yaml and {theirs} in the model {start.model}: "
            f"the vocabulary {reason}, so set it to {expected}"
        )


def load_start(stage: str, model: Any, start: Start, paths: Paths) -> None:
    """Puts the start model's weights into the networks that `stage` trains; the GPT grows where the tokenizer was extended."""
    from myxtts.models.xtts import load_weights

    for component in COMPONENTS[stage]:
        if component == "gpt":
            _load_gpt(model.gpt, start, paths)
        else:
            load_weights(model.component(component), start.weights(component))


def _load_gpt(gpt: Any, start: Start, paths: Paths) -> None:
    from myxtts.models.extend import load_grown
    from myxtts.text.tokenizer import Tokenizer

    base = Tokenizer.load(start.tokenizer)
    load_grown(gpt, start.weights("gpt"), Tokenizer.load(paths.tokenizer), base, _text_ids(paths.tokens, set(base.languages)))


def _text_ids(tokens: Path, known: set[str]) -> set[int]:
    """Ids in the training texts of the languages that are not `known`."""
    from myxtts.data.encode import read_index
    from myxtts.data.records import read_records, token_schema
    from myxtts.text.languages import get_language

    new = [get_language(row.language).code not in known for row in read_index(tokens, "train")]
    if not any(new):
        return set()
    records = read_records(tokens / "train.tfrecord", token_schema())
    return {int(index) for record in records if new[int(record["row"])] for index in record["text_ids"]}
