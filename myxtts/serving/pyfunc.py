"""Logging a bundle as an MLflow model: its signature, its requirements, its code."""

import re
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from myxtts.config import XTTSConfig
from myxtts.models.folder import TOKENIZER
from myxtts.text.tokenizer import Tokenizer

_MODEL_FILE = Path(__file__).with_name("pyfunc_model.py")
# of what pyproject.toml requires, this is for making models, not for speaking
_NOT_FOR_SPEECH = ("dvc", "matplotlib")
_READS_PHONES = "espeakng-loader"  # of the extra `sample`


def signature(config: XTTSConfig):
    """What a request holds and what comes back (`pyfunc_model.py`)."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("string", "text"), ColSpec("string", "language", required=False), ColSpec("string", "reference_audio")]),
        outputs=Schema([ColSpec("string", "audio"), ColSpec("long", "sample_rate"), ColSpec("double", "seconds")]),
        params=ParamSchema([ParamSpec("seed", "long", 0), ParamSpec("temperature", "double", config.synthesis.temperature)]),
    )


def requirements(units: str) -> list[str]:
    """`name==version` of the installed packages that speaking needs, with a tokenizer of such `units`. MLflow would take 15 s to infer
    them, and err."""
    names = [_READS_PHONES] if units == "phones" else []
    for requirement in metadata.requires("myxtts") or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
        if "extra ==" not in requirement and name not in _NOT_FOR_SPEECH:
            names.append(name)
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in names]


def log_bundle(bundle: Path, config: XTTSConfig, run_id: str, tags: dict[str, Any]):
    """Logs the bundle as a model of a run, without touching the run's state; returns MLflow's ModelInfo."""
    import mlflow
    from mlflow.models import Model

    with warnings.catch_warnings():  # MLflow asks for type hints and an input example; the signature is given
        warnings.simplefilter("ignore", UserWarning)
        return Model.log(
            artifact_path=None,
            name=config.bundle.name,
            flavor=mlflow.pyfunc,
            run_id=run_id,
            python_model=str(_MODEL_FILE),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(_MODEL_FILE.parents[1])],
            signature=signature(config),
            pip_requirements=requirements(Tokenizer.load(bundle / TOKENIZER).units),
            model_type="voice",
            tags=tags,
        )
