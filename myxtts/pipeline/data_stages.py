"""The stages that make data: raw, prepare, tokenizer, encode."""

import json
from pathlib import Path
from typing import Any

from myxtts.config import XTTSConfig
from myxtts.pipeline.paths import Paths


def write_report(path: Path, values: dict[str, Any]) -> None:
    """A stage's numbers, for `dvc metrics show` and for the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False, default=float) + "\n", encoding="utf-8")


def run_raw(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """The corpus as a manifest; the embedded sample is spoken first."""
    from myxtts.data.raw import make_raw

    return make_raw(config, paths.root, paths.raw)


def run_prepare(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """raw -> processed clips, and their mels."""
    from myxtts.data.prepare import prepare

    report = prepare(config, paths.root, paths.raw, paths.processed)
    return report | {"mels": run_mels(config, paths)}


def run_mels(config: XTTSConfig, paths: Paths) -> dict[str, float]:
    """Mels of a processed data set."""
    from myxtts.data.features import write_mels

    return write_mels(config, paths.processed, paths.mels)


def run_tokenizer(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Trains the text tokenizer on the training clips' texts."""
    from myxtts.data.manifest import read_split
    from myxtts.text.tokenizer import Tokenizer

    rows = read_split(paths.processed, "train")
    tokenizer = Tokenizer.train(((row.normalized, row.language) for row in rows), config.model.num_text_tokens)
    paths.tokenizer.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(paths.tokenizer)
    lengths = [len(tokenizer.encode(row.normalized, row.language)) for row in rows]
    return {
        "size": tokenizer.size,
        "tokens_per_text": sum(lengths) / len(lengths),
        "characters_per_token": sum(len(row.normalized) for row in rows) / max(1, sum(lengths)),
        "languages": sorted({row.language for row in rows}),
    }


def run_encode(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Codes, token ids and reference mels of every clip."""
    from myxtts.data.encode import encode
    from myxtts.models.xtts import XTTS
    from myxtts.text.tokenizer import Tokenizer

    model = XTTS(config.model)
    model.load_component("dvae", paths.model("dvae"))
    return encode(config, paths.processed, paths.mels, Tokenizer.load(paths.tokenizer), model.dvae, paths.tokens)
