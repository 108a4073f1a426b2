"""A corpus folder -> the records that a stage trains on, for whoever trains without the pipeline."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from myxtts.config import DataError, ModelError, XTTSConfig
from myxtts.config.data import SourceConfig
from myxtts.data.encode import encode
from myxtts.data.features import write_mels
from myxtts.data.manifest import ManifestWriter, Utterance, iter_split
from myxtts.data.prepare import check_strict, prepare
from myxtts.data.sources import SeenIds, read_source
from myxtts.models.xtts import weights_digest
from myxtts.text.tokenizer import Tokenizer


def prepare_folders(config: XTTSConfig, train_data: Path, val_data: Path, raw: Path, processed: Path, cache: Path) -> dict[str, Any]:
    """Two folders (or one twice), `metadata_train.csv` and `metadata_eval.csv` beside `wavs/`, to processed clips with these splits.

    cache: folder of what is kept of earlier clips. Raises DataError where one of them gives no clip of its split.
    """
    with ManifestWriter(raw) as manifest, SeenIds() as taken:
        for split, folder in (("train", train_data), ("eval", val_data)):
            if not folder.is_dir():
                raise DataError(f"no folder {folder} for the {split} clips: expected metadata_{split}.csv beside wavs/ in it")
            values = config.data.source.model_dump() | {"layout": "metadata", "path": str(folder), "corpora": {}}
            before = manifest.clips
            again = split == "eval" and folder.resolve() == train_data.resolve()  # its rejected rows are counted already
            for row in read_source(SourceConfig.model_validate(values), Path.cwd()):
                if isinstance(row, Utterance):
                    if row.split != split:
                        continue
                    while taken.add(row.id, split):  # two folders may both begin at 0001
                        row = replace(row, id=f"eval-{row.id}")
                elif again:
                    continue
                manifest.write(row)
            if manifest.clips == before:
                refused = manifest.reasons.total()
                raise DataError(f"{folder} gives no {split} clip: expected metadata_{split}.csv beside wavs/ ({refused} rows refused)")
    summary = prepare(config, Path.cwd(), raw, processed, cache)
    check_strict(config, summary, processed)
    return summary


def make_records(
    config: XTTSConfig, stage: str, model: Any, train_data: Path, val_data: Path, folder: Path, tokenizer: str | Path | None = None
) -> Path:
    """Records of a stage from corpus folders: mels for `dvae`, tokens for `gpt` and `decoder`. Returns their folder, inside `folder`.

    Made once for each state of the corpus and of what encodes it (`model.dvae`, `model.mel_norm`, `tokenizer`), in a folder of its own:
    what another training reads is never written over. tokenizer: the file to use; by default one is trained on the corpus.
    For `dvae` on a model whose audio tokenizer was never trained, `model.mel_norm` becomes that of the corpus. Raises ModelError where
    codes are wanted of one that was never trained: they would mean nothing.
    """
    trained = bool(np.any(np.asarray(model.dvae.cluster_size)))
    if stage != "dvae" and not trained:
        raise ModelError(
            "this model's audio tokenizer was never trained, so its codes mean nothing: train it first, XTTSTrainer(config, model, "
            "'dvae') on the same folders, or load one (model.load_component('dvae', folder))"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # another training may want the same
        corpus = _mels(config, model.mel_norm if trained else None, train_data, val_data, folder)
        if stage == "dvae":
            model.mel_norm = np.load(corpus / "mels" / "mel_norm.npy")
            return corpus / "mels"
        return _tokens(config, model, corpus, Path(tokenizer) if tokenizer else None)


def _mels(config: XTTSConfig, mel_norm: np.ndarray | None, train_data: Path, val_data: Path, folder: Path) -> Path:
    """The folder with `processed` and `mels` of a corpus. mel_norm (M,): what networks that were trained hear; None = the corpus' own."""
    values = config.to_dict()
    wanted = {
        "train": _state(train_data, "train"),
        "eval": _state(val_data, "eval"),
        **{name: values[name] for name in ("data", "prepare")},
        "audio": values["model"]["audio"],
    }

    own = _place(folder, wanted) / "mels" / "mel_norm.npy"
    if mel_norm is not None and not (own.is_file() and np.array_equal(np.load(own), mel_norm)):  # not trained on this very corpus
        wanted["mel_norm"] = mel_norm.tolist()

    def run(place: Path) -> None:
        # in this process: others would begin by importing the user's script, and wait in it for this one
        alone = config.model_copy(update={"hardware": config.hardware.model_copy(update={"num_workers": 1})})
        prepare_folders(alone, train_data, val_data, place / "raw", place / "processed", folder / "cache")
        write_mels(config, place / "processed", place / "mels", mel_norm, folder / "cache")

    return _once(folder, wanted, run)


def _tokens(config: XTTSConfig, model: Any, corpus: Path, tokenizer: Path | None) -> Path:
    values = config.to_dict()
    wanted = {
        "encode": values["encode"],
        "limits": [config.model.gpt.max_text_tokens, config.model.gpt.max_audio_tokens],
        "num_text_tokens": config.model.num_text_tokens,
        "balance": config.tokenizer.balance,
        "units": config.tokenizer.units,
        "dvae": weights_digest(model.dvae),
        "tokenizer": tokenizer.read_text(encoding="utf-8") if tokenizer else None,
    }

    def run(place: Path) -> None:
        texts = ((row.normalized, row.language) for row in iter_split(corpus / "processed", "train"))
        made_of = config.tokenizer
        used = (
            Tokenizer.load(tokenizer) if tokenizer else Tokenizer.train(texts, config.model.num_text_tokens, made_of.balance, made_of.units)
        )
        used.save(place / "tokenizer.json")
        encode(config, corpus / "processed", corpus / "mels", used, model.dvae, place)

    return _once(corpus / "tokens", wanted, run)


def _state(corpus: Path, split: str) -> dict[str, Any]:
    """What a corpus folder holds, without reading its audio: the list of its clips, and size and time of every file of `wavs`."""
    metadata = corpus / f"metadata_{split}.csv"
    files = sorted(path for path in (corpus / "wavs").rglob("*") if path.is_file())
    listing = "\n".join(f"{path.relative_to(corpus)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    texts = metadata.read_bytes() if metadata.is_file() else b""  # the reader will say what is missing
    return {"path": str(corpus.resolve()), "sha256": hashlib.sha256(texts + b"\n" + listing.encode()).hexdigest()}


def _place(folder: Path, wanted: dict[str, Any]) -> Path:
    return folder / hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]


def _once(folder: Path, wanted: dict[str, Any], make: Callable[[Path], Any]) -> Path:
    """A folder of what `wanted` names, whole or not there; `make` fills it. `made_of.json` in it says what it was made of."""
    place, part = _place(folder, wanted), folder / "unfinished"
    if not place.is_dir():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        (part / "made_of.json").write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        part.rename(place)
    return place
