"""The bundle: one folder with everything that speech needs. It is made from the stages' folders and checked before it is used."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, ModelError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.data.manifest import read_corpora
from myxtts.evaluation.yardstick import followed
from myxtts.models.folder import (
    BUNDLE_FILE,
    COMPONENTS,
    MEL_NORM,
    PARAMS,
    TOKENIZER,
    bundle_files,
    listed_components,
    read_json,
    refuse_checkpoint,
    weight_file,
)
from myxtts.serving.card import model_card
from myxtts.text.tokenizer import Tokenizer

FORMAT = 1
DATA_KEYS = ("clips", "hours", "languages", "licence", "consent")  # of a corpus, in bundle.json
CARD = "README.md"
SECTIONS = ("model", "encode", "prepare", "synthesis", "bundle")  # what speaking needs; the bundle stage lists them in dvc.yaml


def make_bundle(config: XTTSConfig, root: Path, metrics: Mapping[str, Any], out: Path) -> Path:
    """Gathers `models/<stage>/*.weights.h5`, `models/dvae/mel_norm.npy` and `models/tokenizer.json` of `root` into `out`.

    Adds the resolved params.yaml, bundle.json and a model card. The folder appears whole or not at all; one that was there is
    replaced. The same inputs give the same bytes. Raises ModelError naming what is missing, or when the disk is full.
    """
    root, out = Path(root), Path(out)
    sources = _sources(root)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for name, source in sources.items():
            shutil.copyfile(source, part / name)
        seal_bundle(part, config, _numbers(metrics), _runs(root), _start(config, root) | _data(root))
        _replace(part, out)
    except OSError as error:
        raise ModelError(f"the bundle {out} could not be written ({error}); free the disk or correct the permissions") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    check_bundle(out)
    return out


def seal_bundle(
    folder: str | Path,
    config: XTTSConfig,
    metrics: Mapping[str, float] | None = None,
    runs: Mapping[str, str] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Adds params.yaml, bundle.json and a model card to a folder of weights, tokenizer and mel_norm.npy; returns bundle.json's values.

    metrics, runs: of the evaluation, and ids of the MLflow runs by stage, where there are some. origin: `imported`, the files of another
    program that it was made from instead of by training, or `start`, the model that training began with (`_start`), and `data`, the
    corpora that it was trained on (`_data`); nothing of what was not.
    """
    folder = Path(folder)
    # what speaking needs and no more: where the corpus lay is nobody's business who gets the bundle
    learnt = {"gpt": {"text_dropout": config.training.gpt.text_dropout}}  # whether guidance has something to go by: speaking asks for it
    XTTSConfig.from_dict({name: config.to_dict()[name] for name in SECTIONS} | {"training": learnt}).dump(folder / PARAMS)
    values = _describe(config, folder, dict(metrics or {}), dict(runs or {})) | dict(origin or {})
    (folder / BUNDLE_FILE).write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / CARD).write_text(model_card(values), encoding="utf-8")
    folder.chmod(0o755)
    return values


def check_bundle(folder: Path, contents: bool = False) -> dict[str, Any]:
    """Returns the values of bundle.json.

    Raises ModelError listing all that is missing, empty, of another size than bundle.json says or, with `contents`, of
    another content.
    """
    folder = Path(folder)
    refuse_checkpoint(folder)
    if not folder.is_dir():
        raise ModelError(f"no bundle folder {folder}: make it (dvc repro bundle), fetch it (dvc pull), or name another")
    values = read_json(folder / BUNDLE_FILE) if (folder / BUNDLE_FILE).is_file() else {"files": {}, "format": FORMAT}
    if values.get("format") != FORMAT:
        raise ModelError(
            f"{folder} is a bundle of format {values.get('format')}; this myxtts reads format {FORMAT}: install the one it was made with"
        )
    expected = bundle_files(listed_components(values, folder / BUNDLE_FILE))
    faults = [f"{name} is missing" for name in (*expected, BUNDLE_FILE) if not (folder / name).is_file()]
    for name, known in _listed_files(values, folder / BUNDLE_FILE).items():
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size != known["bytes"]:
            faults.append(f"{name} holds {path.stat().st_size} bytes instead of {known['bytes']}")
        elif contents and md5(path) != known["md5"]:
            faults.append(f"{name} is not the file that was bundled")
    if faults:
        raise ModelError(f"{folder} is not a whole bundle: {'; '.join(faults)}; make it again (dvc repro bundle) or fetch it (dvc pull)")
    try:
        XTTSConfig.load(folder / PARAMS)
    except ConfigError as error:
        raise ModelError(f"{folder} was made by another version of myxtts ({values.get('myxtts')}): {error}") from None
    return values


def _listed_files(values: Mapping[str, Any], source: Path) -> dict[str, dict[str, Any]]:
    files = values.get("files")
    if not isinstance(files, dict) or not all(isinstance(known, dict) and {"bytes", "md5"} <= known.keys() for known in files.values()):
        raise ModelError(
            f"{source}: expected files, each with bytes and md5; make the bundle again (dvc repro bundle) or fetch it (dvc pull)"
        )
    return files


def feature_fingerprint(config: XTTSConfig, mel_norm: bytes) -> str:
    """Twelve hex digits over what turns audio into mels: networks of different fingerprints do not fit together."""
    model = config.model
    values = {
        "audio": model.audio.model_dump(),
        "speaker": [model.speaker_encoder.num_mels, model.speaker_encoder.sample_rate],
        "frames_per_code": model.dvae.frames_per_code,
        "prompt_seconds": config.encode.prompt_seconds,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode() + mel_norm).hexdigest()[:12]


def _sources(root: Path) -> dict[str, Path]:
    models = root / "models"
    folders = {name: models / ("decoder" if name == "speaker_encoder" else name) for name in COMPONENTS}
    wanted = {weight_file(name): folder / weight_file(name) for name, folder in folders.items()}
    wanted |= {MEL_NORM: models / "dvae" / MEL_NORM, TOKENIZER: models / TOKENIZER}
    missing = [os.path.relpath(path, root) for path in wanted.values() if not path.is_file()]
    if missing:
        raise ModelError(f"a bundle needs {', '.join(missing)} in {root}, which are not there: run their stages (dvc repro), or dvc pull")
    return wanted


def _describe(config: XTTSConfig, folder: Path, metrics: dict[str, float], runs: dict[str, str]) -> dict[str, Any]:
    components = [name for name in COMPONENTS if (folder / weight_file(name)).is_file()]
    return {
        "format": FORMAT,
        "name": config.bundle.name,
        "myxtts": metadata.version("myxtts"),
        "preset": config.model.preset,
        "languages": list(Tokenizer.load(folder / TOKENIZER).languages),
        "sample_rate": config.model.audio.output_sample_rate,
        "prompt_seconds": config.encode.prompt_seconds,
        "feature_fingerprint": feature_fingerprint(config, (folder / MEL_NORM).read_bytes()),
        "metrics": metrics,
        "runs": runs,
        "components": components,
        "alignment_head": followed(metrics),
        "files": {name: {"bytes": (folder / name).stat().st_size, "md5": md5(folder / name)} for name in bundle_files(components)},
    }


def _start(config: XTTSConfig, root: Path) -> dict[str, Any]:
    """{"start": …}: the start model's name, its files, which networks are still its own, and what its bundle says of where it came from.

    Whose weights these were, and under which licence, must be known of whatever is trained from them. Its folder is not named: where
    it lay here is nobody's business who gets the bundle.
    """
    if config.start.from_scratch:
        return {}
    described = check_bundle(root / config.start.model)
    files = {name: file["md5"] for name, file in described["files"].items() if name != PARAMS}
    origin = {name: described[name] for name in ("imported", "start", "data") if name in described}
    return {"start": {"name": described["name"], "frozen": list(config.start.frozen), "md5": files, **origin}}


def _data(root: Path) -> dict[str, Any]:
    """{"data": …}: by what right each corpus is used, and how much of it there is; {} where the data is not here.

    Not where a corpus lay: that is nobody's business who gets the bundle.
    """
    corpora = read_corpora(root / "data" / "processed")
    return {"data": {name: {key: values[key] for key in DATA_KEYS if key in values} for name, values in corpora.items()}} if corpora else {}


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float)) and value == value}


def _runs(root: Path) -> dict[str, str]:
    """MLflow runs of the stages, as their link files name them."""
    found = {}
    for stage in TRAINED_STAGES:
        link = root / "reports" / f"{stage}_run.json"
        if link.is_file() and (run_id := read_json(link).get("run_id")):
            found[stage] = run_id
    return found


def md5(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    digest = hashlib.md5()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_md5(folder: Path) -> str:
    """Of all files of a folder: the hash by which DVC knows it, without its `.dir` ending."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    listing = [{"md5": md5(path), "relpath": name} for name, path in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def _replace(part: Path, out: Path) -> None:
    """Puts a folder in the place of another; what was there stays if the move fails."""
    old = part.with_name(part.name + ".old")
    if out.exists():
        out.rename(old)
    try:
        part.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
