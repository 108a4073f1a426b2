"""A corpus folder -> the records that a stage trains on, for whoever trains without the pipeline."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config import DataError, ModelError, XTTSConfig
from myxtts.config.stages import SourceConfig
from myxtts.data.encode import encode
from myxtts.data.features import write_mels
from myxtts.data.manifest import read_split, write_manifest, write_rejected
from myxtts.data.prepare import prepare
from myxtts.data.sources import read_source
from myxtts.models.dvae import DVAE
from myxtts.text.tokenizer import Tokenizer


def prepare_folders(config: XTTSConfig, train_data: Path, val_data: Path, raw: Path, processed: Path) -> dict[str, Any]:
    """Two folders (or one twice), `metadata_train.csv` and `metadata_eval.csv` beside `wavs/`, to processed clips with these splits.

    Raises DataError where one of them gives no clip of its split.
    """
    utterances, rejected = [], []
    for split, folder in (("train", train_data), ("eval", val_data)):
        source = SourceConfig.model_validate(config.data.source.model_dump() | {"layout": "metadata", "path": str(folder)})
        rows, refused = read_source(source, Path.cwd())
        wanted = [row for row in rows if row.split == split]
        if not wanted:
            raise DataError(f"{folder} gives no {split} clip: expected metadata_{split}.csv beside wavs/ ({len(refused)} rows refused)")
        taken = {row.id for row in utterances}  # two folders may both begin at 0001
        utterances += [replace(row, id=f"eval-{row.id}") if row.id in taken else row for row in wanted]
        rejected += refused
    raw.mkdir(parents=True, exist_ok=True)
    write_manifest(raw / "manifest.csv", utterances)
    write_rejected(raw / "rejected.csv", rejected)
    return prepare(config, Path.cwd(), raw, processed)


def make_records(config: XTTSConfig, stage: str, model: Any, train_data: Path, val_data: Path, folder: Path) -> Path:
    """Records of a stage from corpus folders, made in `folder` once: mels for `dvae`, tokens for `gpt` and `decoder`.

    Codes are made with `model.dvae`, whose mel normalisation `model.mel_norm` becomes that of the corpus. Raises ModelError where that
    audio tokenizer was never trained: its codes would mean nothing.
    """
    values = config.to_dict()
    data = {"train": str(train_data.resolve()), "val": str(val_data.resolve()), "prepare": values["prepare"]}
    mels, tokens = folder / "mels", folder / "tokens"
    _once(folder / "mels.json", data | {"audio": values["model"]["audio"]}, lambda: _make_mels(config, train_data, val_data, folder))
    if stage == "dvae":
        model.mel_norm = np.load(mels / "mel_norm.npy")
        return mels
    if not np.any(np.asarray(model.dvae.cluster_size)):
        raise ModelError(
            "this model's audio tokenizer was never trained, so its codes mean nothing: train it first, XTTSTrainer(config, model, "
            "'dvae') on the same folders, or load one (model.load_component('dvae', folder))"
        )
    codebook = hashlib.sha256(np.asarray(model.dvae.codebook).tobytes()).hexdigest()
    wanted = data | {"encode": values["encode"], "num_text_tokens": config.model.num_text_tokens, "codebook": codebook}
    _once(folder / "tokens.json", wanted, lambda: _make_tokens(config, model.dvae, folder))
    return tokens


def _make_mels(config: XTTSConfig, train_data: Path, val_data: Path, folder: Path) -> None:
    prepare_folders(config, train_data, val_data, folder / "raw", folder / "processed")
    write_mels(config, folder / "processed", folder / "mels")


def _make_tokens(config: XTTSConfig, dvae: DVAE, folder: Path) -> None:
    rows = read_split(folder / "processed", "train")
    tokenizer = Tokenizer.train(((row.normalized, row.language) for row in rows), config.model.num_text_tokens)
    tokenizer.save(folder / "tokenizer.json")
    encode(config, folder / "processed", folder / "mels", tokenizer, dvae, folder / "tokens")


def _once(mark: Path, wanted: dict[str, Any], make: Any) -> None:
    """Runs `make` unless `mark` says that it was run for this."""
    text = json.dumps(wanted, sort_keys=True)
    if mark.is_file() and mark.read_text(encoding="utf-8") == text:
        return
    mark.unlink(missing_ok=True)
    make()
    mark.write_text(text, encoding="utf-8")
