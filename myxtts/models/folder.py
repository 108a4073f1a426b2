"""The folder of a whole model, a bundle: the names of its files, and which networks it holds. No network is needed to import this."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from myxtts.config import ModelError

COMPONENTS = ("dvae", "gpt", "decoder", "speaker_encoder")
PARAMS, TOKENIZER, MEL_NORM = "params.yaml", "tokenizer.json", "mel_norm.npy"
BUNDLE_FILE = "bundle.json"  # describes the others


def weight_file(component: str) -> str:
    return f"{component}.weights.h5"


def bundle_files(components: Iterable[str] = COMPONENTS) -> tuple[str, ...]:
    """Names of the files of a bundle with these networks, without those that describe it."""
    return (PARAMS, TOKENIZER, MEL_NORM, *map(weight_file, components))


def listed_components(values: Mapping[str, Any], source: Path) -> tuple[str, ...]:
    """Networks that the values of a bundle.json list; all where they list none. Raises ModelError for anything but names of networks."""
    listed = values.get("components", COMPONENTS)
    if not isinstance(listed, (list, tuple)) or not listed or any(name not in COMPONENTS for name in listed):
        raise ModelError(
            f"{source}: components is {str(listed)[:100]}, expected a list of {', '.join(COMPONENTS)}; make the bundle again, or fetch it "
            "(dvc pull)"
        )
    return tuple(name for name in COMPONENTS if name in listed)


def refuse_checkpoint(folder: Path) -> None:
    """Raises ModelError where `folder` is a checkpoint of Coqui TTS, or its folder: neither is a bundle, but one can be made of it."""
    place = folder.parent if folder.suffix == ".pth" else folder
    weights = [folder] if folder.suffix == ".pth" else sorted(folder.glob("*.pth"))
    if not weights or not (place / "config.json").is_file() or (place / BUNDLE_FILE).is_file():
        return
    model = place / "model.pth" if place / "model.pth" in weights else weights[0]
    dvae = f" --dvae {place / 'dvae.pth'}" if (place / "dvae.pth").is_file() else ""
    raise ModelError(
        f"{folder} is a checkpoint of Coqui TTS; expected a MyXTTS bundle: make one of it (myxtts import-coqui --model {model} --config "
        f"{place / 'config.json'} --vocab {place / 'vocab.json'}{dvae} --out data/NAME) and give that"
    )


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file. Raises ModelError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); make it again (dvc repro) or fetch it (dvc pull)") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path} must hold a JSON object; make it again (dvc repro)")
    return values
