"""XTTSConfig: one validated tree over params.yaml."""

import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from myxtts.config.base import Section
from myxtts.config.data import DataConfig, EncodeConfig, PrepareConfig, TokenizerConfig
from myxtts.config.errors import ConfigError
from myxtts.config.model import ModelConfig
from myxtts.config.stages import (
    BundleConfig,
    EvaluateConfig,
    HardwareConfig,
    LoopConfig,
    PromotionConfig,
    StartConfig,
    SynthesisConfig,
    TrackingConfig,
    TrainingConfig,
)


class XTTSConfig(Section):
    """Everything a run is made of."""

    seed: int = Field(20, ge=0, lt=2**31)
    start: StartConfig = StartConfig()
    data: DataConfig = DataConfig()
    prepare: PrepareConfig = PrepareConfig()
    model: ModelConfig = ModelConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    encode: EncodeConfig = EncodeConfig()
    training: TrainingConfig = TrainingConfig()
    loop: LoopConfig = LoopConfig()
    hardware: HardwareConfig = HardwareConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    bundle: BundleConfig = BundleConfig()
    promotion: PromotionConfig = PromotionConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _shifts_within_a_code(self) -> "XTTSConfig":
        if self.encode.shifts > self.model.dvae.frames_per_code:
            raise ValueError(
                f"encode.shifts is {self.encode.shifts}; a code stands for {self.model.dvae.frames_per_code} frames "
                "(model.dvae.frames_per_code), so no more places are different"
            )
        return self

    @model_validator(mode="after")
    def _fragments_of_aligned_clips(self) -> "XTTSConfig":
        if self.training.gpt.fragments and not self.encode.align:
            raise ValueError("training.gpt.fragments needs to know which words are spoken where: set encode.align: true, or fragments: 0")
        return self

    @classmethod
    def load(cls, path: str | Path = "params.yaml", overrides: Iterable[str] = ()) -> "XTTSConfig":
        """Reads params.yaml (YAML 1.2, as DVC does) and applies `section.key=value` overrides.

        Raises ConfigError with path, value and what is allowed; an unknown key is named with its nearest valid one.
        """
        path = Path(path)
        yaml = YAML(typ="safe", pure=True)
        try:
            values = yaml.load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            # a remedy that is there: outside a project there is no recipe to make it of
            recipe = ", or make it of a recipe (myxtts use demo)" if (path.parent / "recipes").is_dir() else ""
            raise ConfigError(f"no {path}: run in the project folder, which has params.yaml and recipes/{recipe}") from None
        except (YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid YAML in UTF-8: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path} must hold sections (a mapping); it holds {type(values).__name__}")
        overrides = list(overrides)
        for override in overrides:
            apply_override(values, override)
        return cls.from_dict(values, source=f"{path} with {', '.join(overrides)}" if overrides else str(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "configuration") -> "XTTSConfig":
        """Validates a plain tree. Raises ConfigError."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_explain(cls, item) for item in error.errors()]
            raise ConfigError(f"{source} is not valid:\n" + "\n".join(f"  {line}" for line in lines)) from None

    def synthesis_with(self, changes: Mapping[str, Any], source: str = "configuration") -> SynthesisConfig:
        """The settings of synthesis with some changed, as one request wants them. Raises ConfigError."""
        tree = self.to_dict()
        return (
            type(self).from_dict(tree | {"synthesis": tree["synthesis"] | dict(changes)}, source).synthesis if changes else self.synthesis
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain, resolved tree (presets filled in), of JSON types."""
        return self.model_dump(mode="json")

    def flat(self) -> dict[str, Any]:
        """`{"training.gpt.learning_rate": 0.0003, …}`, as MLflow logs it."""
        return dict(_flatten("", self.to_dict()))

    def dump(self, path: str | Path) -> None:
        """Writes the resolved tree as YAML that `load` reads back to an equal configuration."""
        with Path(path).open("w", encoding="utf-8") as file:
            _writer().dump(self.to_dict(), file)


def _writer() -> YAML:
    yaml = YAML()
    yaml.default_flow_style = False
    return yaml


def json_schema() -> str:
    """The JSON Schema of params.yaml, as `docs/params.schema.json` holds it."""
    return json.dumps(XTTSConfig.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def apply_override(values: dict[str, Any], override: str) -> None:
    """Sets `section.key=value` in a plain tree; the value is read as YAML. Raises ConfigError."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r} must look like section.key=value")
    node = values
    *parents, last = key.strip().split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"override {override!r}: {parent!r} is a value, not a section")
    try:
        node[last] = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigError(f"override {override!r}: the value is not valid YAML: {error}") from None


def _flatten(prefix: str, value: Any):
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else key, child)
    else:
        yield prefix, value


def _explain(root: type[BaseModel], item: Mapping[str, Any]) -> str:
    """One line for one pydantic error: path, value received, what is allowed."""
    location = [str(part) for part in item["loc"]]
    path = ".".join(location) or "(top level)"
    if item["type"] == "extra_forbidden":
        valid = _keys_at(root, location[:-1])
        near = difflib.get_close_matches(location[-1], valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
        return f"{path}: unknown key; {hint}"
    message = item["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list, as [one, two]")
    return f"{path}: got {item['input']!r}; {message}" if not isinstance(item["input"], dict) else f"{path}: {message}"


def _keys_at(root: type[BaseModel], location: list[str]) -> list[str]:
    model = root
    for part in location:
        if part not in model.model_fields:  # the key of a mapping: what follows is a key of its values' section
            continue
        annotation = model.model_fields[part].annotation
        candidates = [a for a in (annotation, *typing.get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not candidates:
            return []
        model = candidates[0]
    return list(model.model_fields)
