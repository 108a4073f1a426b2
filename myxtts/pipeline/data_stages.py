"""The stages that make data: raw, prepare, tokenizer, encode."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, DataError, XTTSConfig
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.start import Start, open_start


def write_report(path: Path, values: dict[str, Any]) -> None:
    """A stage's numbers, for `dvc metrics show` and for the run: whole or not at all, in a folder that is made.

    Raises DataError when the disk is full or the folder is not writable.
    """
    from myxtts.data.manifest import write_json

    write_json(path, values)


def run_raw(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """The corpus as a manifest; the embedded sample is spoken first."""
    from myxtts.data.raw import make_raw

    return make_raw(config, paths.root, paths.raw)


def run_prepare(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """raw -> processed clips, the page about them, and their mels."""
    from myxtts.data import report as data_report
    from myxtts.data.prepare import check_strict, prepare

    open_start(config, paths.root)  # refused before the clips are read, not after
    report = prepare(config, paths.root, paths.raw, paths.processed, paths.cache)
    notes = [*report["text_notes"], *report["split_notes"]]
    report |= data_report.write_report(paths.processed, paths.root, paths.data_page, config.prepare, notes)
    print(_said(report, paths))
    check_strict(config, report, paths.processed)
    return report | {"mels": run_mels(config, paths)}


def _said(report: dict[str, Any], paths: Paths) -> str:
    """What a person wants to know of a prepared corpus."""
    from myxtts.data.manifest import counted

    reasons = counted(report["rejected_by_reason"])
    where = [paths.processed / "rejected.csv"] * bool(reasons) + [paths.data_page]
    lines = [f"{report['clips']} clips, {report['hours']:.2f} h", f"{report['rejected']} rows rejected{f': {reasons}' if reasons else ''}"]
    return "\n".join([*lines, *(f"see {path.relative_to(paths.root)}" for path in where)])


def run_mels(config: XTTSConfig, paths: Paths) -> dict[str, float]:
    """Mels of a processed data set, in the units of the start model where there is one."""
    from myxtts.data.features import write_mels

    start = open_start(config, paths.root)
    return write_mels(config, paths.processed, paths.mels, start.mel_norm() if start else None, paths.cache)


def run_tokenizer(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Trains the text tokenizer on the training clips' texts, or takes over the start model's, with room for new languages.

    Raises DataError where a text that it was trained on has characters that it does not know.
    """
    from myxtts.data.coverage import coverage
    from myxtts.data.manifest import METADATA, has_split, iter_split
    from myxtts.text.tokenizer import Tokenizer

    start = open_start(config, paths.root)
    paths.tokenizer.parent.mkdir(parents=True, exist_ok=True)
    taken_over = {}
    if start:
        taken_over = _take_tokenizer(config, start, paths)
    else:
        texts = ((row.normalized, row.language) for row in iter_split(paths.processed, "train"))
        made_of = config.tokenizer
        Tokenizer.train(texts, config.model.num_text_tokens, made_of.balance, made_of.units).save(paths.tokenizer)
    tokenizer = Tokenizer.load(paths.tokenizer)
    covered = {split: coverage(tokenizer, iter_split(paths.processed, split)) for split in METADATA if has_split(paths.processed, split)}
    _check_coverage(covered, tokenizer.languages if not start else taken_over["added_languages"], bool(start))
    every = covered["train"].pop("")
    for values in covered.values():
        values.pop("", None)
    return {
        "size": tokenizer.size,
        "units": tokenizer.units,
        "tokens_per_text": every["tokens_per_text"],
        "characters_per_token": every["characters_per_token"],
        "tokens_per_second": every["tokens_per_second"],
        "languages": sorted(covered["train"]),
        "coverage": covered,
        **taken_over,
    }


def _check_coverage(covered: dict[str, dict[str, dict[str, Any]]], learnt: Iterable[str], started: bool) -> None:
    """covered: by split and language; learnt: languages whose texts the tokenizer was trained on; started: from a model that has one."""
    for split, languages in covered.items():
        unknown = {name: values["clips_with_unknown"] for name, values in languages.items() if name and values["clips_with_unknown"]}
        if split == "train" and (wrong := sorted(unknown.keys() & set(learnt))):
            raise DataError(f"the tokenizer does not know characters of {', '.join(wrong)}, which it was trained on: a fault of myxtts")
        for name, clips in unknown.items():
            taught = name in learnt or not started
            why = "no training clip has" if taught else "the start model's tokenizer does not know"
            print(
                f"warning: {clips} of {languages[name]['clips']} clips of {split} in {name} have characters that {why}; encode leaves them "
                "out (data/tokens/rejected.csv names the characters)"
            )


def _take_tokenizer(config: XTTSConfig, start: Start, paths: Paths) -> dict[str, Any]:
    """The start model's tokenizer, extended where the corpus has a language it lacks. Returns what was added."""
    from myxtts.data.manifest import iter_split
    from myxtts.text.languages import get_language
    from myxtts.text.tokenizer import Tokenizer

    base = Tokenizer.load(start.tokenizer)
    if base.units != config.tokenizer.units:
        raise ConfigError(f"the model {start.model} reads {base.units}: set tokenizer.units to that; it is {config.tokenizer.units}")
    added = sorted({get_language(row.language).code for row in iter_split(paths.processed, "train")} - set(base.languages))
    if not added:
        shutil.copyfile(start.tokenizer, paths.tokenizer)
        return {"start": {"model": start.model}, "added_tokens": 0, "added_languages": []}
    if "gpt" in config.start.frozen:
        raise ConfigError(
            f"the model {start.model} does not speak {', '.join(added)} and its gpt is frozen, so it will not learn to: "
            "take gpt out of start.frozen, or leave these languages out of the corpus"
        )
    texts = ((row.normalized, row.language) for row in iter_split(paths.processed, "train"))
    tokenizer = base.extend(texts, config.model.num_text_tokens, config.tokenizer.balance)  # texts in languages it knows teach it nothing
    tokenizer.save(paths.tokenizer)
    return {"start": {"model": start.model}, "added_tokens": tokenizer.size - base.size, "added_languages": added}


def run_encode(config: XTTSConfig, paths: Paths) -> dict[str, Any]:
    """Codes, token ids and reference mels of every clip."""
    from myxtts.data.encode import encode
    from myxtts.models.xtts import build_component, load_weights
    from myxtts.text.tokenizer import Tokenizer

    dvae = build_component("dvae", config.model)
    load_weights(dvae, paths.model("dvae") / "dvae.weights.h5")
    return encode(config, paths.processed, paths.mels, Tokenizer.load(paths.tokenizer), dvae, paths.tokens)
