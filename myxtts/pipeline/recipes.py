"""Recipes: complete parameter files, of which params.yaml is made."""

import io
import json
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from myxtts.config import ModelConfig, MyXTTSError, XTTSConfig
from myxtts.config.schema import apply_override
from myxtts.data.sources import LAYOUTS
from myxtts.data.sources.detect import describe, detect
from myxtts.pipeline.start import open_start, start_sizes

VOCABULARY = "model.num_text_tokens"


def use_recipe(root: Path, recipe: str, overrides: list[str], corpus: Path | None = None, layout: str | None = None) -> str:
    """Makes params.yaml the named recipe's copy, with overrides. A params.yaml of the user's own is kept as params.yaml.bak-<n>.

    corpus: recordings that the recipe is to be used on, of this layout, or of the one that is found out; overrides go before it.
    Where the recipe starts from a model, the sizes that it leaves open become that model's. Raises MyXTTSError for an unknown recipe.
    """
    source = root / "recipes" / f"{recipe}.yaml"
    known = recipe_names(root)
    if not known:
        raise MyXTTSError(f"no recipes/*.yaml in {root}: run in the project folder, which has dvc.yaml and recipes/ (a clone of MyXTTS)")
    if recipe not in known:
        raise MyXTTSError(f"no recipe {recipe!r}: expected one of {', '.join(known)}, or edit params.yaml yourself")
    config = XTTSConfig.load(source, overrides)  # what is wrong with them is said before the corpus is looked at
    if corpus is not None:
        overrides = [*_corpus_overrides(corpus, layout, config.data.source.columns), *overrides]
        config = XTTSConfig.load(source, overrides)
    wanted = config.data.source
    if not (root / wanted.path).exists():
        raise MyXTTSError(f"no corpus at {wanted.path}: data.source.path must name its folder, relative to {root}")
    tree = _tree(source, overrides)
    taken = _take_sizes(tree, overrides, root)
    text = _dumped(tree) if overrides or taken else source.read_text(encoding="utf-8")
    open_start(_config(tree, source), root)
    said = f" (taken over from {config.start.model}: {', '.join(f'{key} {value}' for key, value in taken.items())})" if taken else ""
    params = root / "params.yaml"
    if params.is_file() and params.read_text(encoding="utf-8") == text:
        return f"params.yaml is recipe {recipe} already{said}"
    message = f"params.yaml is now recipe {recipe}{said}"
    if params.is_file() and params.read_text(encoding="utf-8") not in {
        (root / "recipes" / f"{name}.yaml").read_text(encoding="utf-8") for name in known
    }:
        number = 1 + max((int(path.name.rpartition("-")[2]) for path in root.glob("params.yaml.bak-*")), default=0)
        kept = params.rename(root / f"params.yaml.bak-{number}")
        message += f"; your own was kept as {kept.name}"
    params.write_text(text, encoding="utf-8")
    return message


def _corpus_overrides(path: Path, layout: str | None, columns: dict[str, str]) -> list[str]:
    """What makes a recipe that of a corpus: its place, its layout where none is given, its language where the texts tell. Says which.

    columns: of `data.source`, which are needed to read the texts. Raises MyXTTSError where no layout fits, or none has the name;
    DataError where there is nothing at `path`.
    """
    if layout is not None and layout not in LAYOUTS:
        raise MyXTTSError(f"no layout {layout!r}: expected one of {', '.join(LAYOUTS)} (myxtts data detect {shlex.quote(str(path))})")
    findings = detect(path, columns)
    best = findings[0] if layout is None else next(finding for finding in findings if finding.layout == layout)
    if layout is None and not best.fits:
        raise MyXTTSError(describe(path, findings))
    doubt = "" if best.fits else ", which does not seem to fit"
    print(f"corpus {path}: layout {best.layout}{doubt}" + (f" ({best.evidence})" if best.evidence else ""))
    values = {"path": str(path), "layout": best.layout}
    if best.language and not best.names_languages:
        values["language"] = best.language
        print(f"language of rows that name none: {best.language}, by the texts (another: --set data.source.language=CODE)")
    return [f"data.source.{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]  # JSON is YAML


def recipe_names(root: Path) -> list[str]:
    """Of the project in `root`."""
    return sorted(path.stem for path in (root / "recipes").glob("*.yaml"))


def recipe_text(source: Path, overrides: list[str]) -> str:
    """The recipe's text; with overrides, its values changed and its comments kept."""
    return _dumped(_tree(source, overrides)) if overrides else source.read_text(encoding="utf-8")


def _take_sizes(tree: dict[str, Any], overrides: list[str], root: Path) -> dict[str, Any]:
    """Puts the start model's sizes into `tree` where it says nothing else; returns those that changed something.

    A recipe is of one model, and cannot know which one a user imported: so the preset is what `--set` says or the model's, and so is
    the vocabulary unless the recipe asks for more rows than the default, as one for a new language does.
    """
    config = _config(tree, "the recipe")
    sizes = start_sizes(config, root)
    given: dict[str, Any] = {}
    for override in overrides:
        apply_override(given, override)
    default = config.model.num_text_tokens == ModelConfig.model_fields["num_text_tokens"].default
    free = {"model.preset", *([VOCABULARY] if default else [])}
    taken = {}
    # the preset first: what it fills in needs no line of its own
    for keys in ({"model.preset"} & sizes.keys(), sizes.keys() - {"model.preset"}):
        now = _config(tree, "the recipe").flat()
        for key in sorted(keys):
            if now.get(key) != sizes[key] and not _says(given if key in free else tree, key):
                apply_override(tree, f"{key}={json.dumps(sizes[key])}")
                taken[key] = sizes[key]
    return taken


def _says(tree: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 140
    return yaml


def _tree(source: Path, overrides: list[str]) -> dict[str, Any]:
    """With its comments."""
    values = _yaml().load(source.read_text(encoding="utf-8"))
    for override in overrides:
        apply_override(values, override)
    return values


def _dumped(tree: dict[str, Any]) -> str:
    out = io.StringIO()
    _yaml().dump(tree, out)
    return out.getvalue()


def _config(tree: dict[str, Any], source: str | Path) -> XTTSConfig:
    return XTTSConfig.from_dict(YAML(typ="safe", pure=True).load(_dumped(tree)), source=str(source))
