"""The model card: README.md of a bundle, and the description of a registered version."""

from collections.abc import Iterator, Mapping
from typing import Any

NOT_STATED = "not stated"
MAX_TAG = 4000  # characters; MLflow takes 5000


def model_card(values: Mapping[str, Any]) -> str:
    """README.md of a bundle, from the values of its bundle.json."""
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in sorted(values["metrics"].items()))
    size = sum(file["bytes"] for file in values["files"].values()) / 1e6
    languages = "\n".join(f"- {language}" for language in values["languages"])
    made = f"trained by MyXTTS {values['myxtts']}"
    if "imported" in values:
        made = f"imported by MyXTTS {values['myxtts']} from a checkpoint of {values['imported']['from']}"
    elif "start" in values:
        made += f" from the weights of {values['start']['name']}"
    origin = "\n\n".join(_origin(values))
    return f"""---
library_name: myxtts
pipeline_tag: text-to-speech
language:
{languages}
---

# {values["name"]}

A voice-cloning text-to-speech model (XTTS, preset `{values["preset"]}`, {size:.0f} MB), {made}. It speaks
{", ".join(values["languages"])} with the voice of a reference recording of {values["prompt_seconds"]:g} s, at {values["sample_rate"]} Hz.

## Use

```bash
myxtts say "Your text." --speaker reference.wav --language {values["languages"][0]} --model this/folder --out out.wav
```

Speak only with voices whose owners agreed to it, and say that the speech is synthetic.

## Figures

| metric | value |
|---|---|
{figures or "| (not evaluated) | |"}

{origin}
"""


def version_card(values: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    """The description of a registered version: its card, with what it was made of near the front, for MLflow cuts long ones.

    values: of bundle.json; origin: tags of the version, those of git and DVC among them.
    """
    card = model_card(values).split("---\n", 2)[2].lstrip()  # without the front matter, which is for model hubs
    _, what, rest = card.split("\n\n", 2)  # without the title too: lists of versions show the first line
    rest = rest.replace("this/folder", f"models:/{values['name']}/VERSION")
    made_of = "\n".join(f"- {key}: `{value}`" for key, value in sorted(origin.items()) if key.startswith(("git.", "dvc.", "data.")))
    licence = f"Licence of imported weights: {origin['licence']}.\n\n" if "licence" in origin else ""
    return f"{what}\n\n{licence}## Made of\n\n{made_of or '- outside git and DVC'}\n\n{rest}"


def licence_of(values: Mapping[str, Any]) -> str:
    """The licence of the weights that a bundle was imported from, or that its training began with: `values` are those of bundle.json."""
    while "start" in values:
        values = values["start"]
    if "imported" not in values:
        return "none imported: the weights were trained from random ones"
    return values["imported"].get("licence") or "not stated when they were imported (myxtts import-coqui --licence)"


def data_rights(values: Mapping[str, Any]) -> dict[str, str]:
    """Tags `data.licence` and `data.consent`: what was stated of all corpora of a bundle and of the models that its training began with.

    values: of bundle.json. {} where no data is known.
    """
    corpora = [corpus for made in _lineage(values) for corpus in made.get("data", {}).values()]
    tags = {}
    for right in ("licence", "consent") if corpora else ():
        stated = dict.fromkeys(corpus.get(right) or NOT_STATED for corpus in corpora)
        tags[f"data.{right}"] = "; ".join(stated)[:MAX_TAG]
    return tags


def _lineage(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What is known of a bundle, of the model that its training began with, of that one's, and so on."""
    yield values
    while "start" in values:
        values = values["start"]
        yield values


def _data(values: Mapping[str, Any]) -> Iterator[str]:
    """A section for the corpora of each training that led to the bundle."""
    for number, made in enumerate(_lineage(values)):
        if not made.get("data"):
            continue
        whose = f" of {made['name']}, which training started from" if number else ""
        lines = [
            f"## Data{whose}",
            "",
            "| corpus | languages | clips | hours | licence | consent of the speakers |",
            "|---|---|---|---|---|---|",
        ]
        for name, corpus in made["data"].items():
            size = ", ".join(corpus.get("languages", [])), f"{corpus.get('clips', 0)}", f"{corpus.get('hours', 0):.2f}"
            rights = (corpus.get(right) or NOT_STATED for right in ("licence", "consent"))
            lines.append(f"| {' | '.join(_cell(cell) for cell in (name, *size, *rights))} |")
        yield "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _origin(values: Mapping[str, Any]) -> Iterator[str]:
    """Sections on what the bundle was made of: runs of training, then the model it began with, and so on back to files of others."""
    yield from _data(values)
    if "imported" not in values:
        runs = "\n".join(f"- {stage}: `{run}`" for stage, run in sorted(values["runs"].items())) or "- none recorded"
        yield f"## MLflow runs it was made by\n\n{runs}"
    whose, made = "it was", values
    while "start" in made:
        made = made["start"]
        own = ", ".join(made["frozen"]) or "none"
        yield f"## Model that training started from: {made['name']}\n\n{_files(made)}\n\nNetworks taken over unchanged: {own}."
        whose = f"{made['name']} was"
    if "imported" in made:
        stated = made["imported"].get("licence")
        note = f"Their licence holds for this bundle too{f': {stated}.' if stated else '; see where they came from.'}"
        source = "" if made is values else f" ({made['imported']['from']})"
        yield f"## Files {whose} imported from{source}\n\n{_files(made['imported'])}\n\n{note}"


def _files(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: md5 `{digest}`" for name, digest in sorted(values["md5"].items()))
