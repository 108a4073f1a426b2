"""With what a training goes on otherwise than before: told in the run, and the steps after it are logged anew."""

from typing import Any

from myxtts.training.hardware import describe_split

# of a stage's settings: what of these counts is in the split, or changes no step
SIZES = ("batch_size", "effective_batch_size", "precision", "max_nonfinite")


def settings_that_count(settings: dict[str, Any], split: dict[str, Any]) -> dict[str, Any]:
    """All that decides what the steps give. settings: the stage's section of the configuration. split: `Suggestion.split`."""
    return {
        "settings": {name: value for name, value in settings.items() if name not in SIZES},
        "split": {name: value for name, value in split.items() if name != "rematerialise"},  # which changes no number
    }


def changes(state: dict[str, Any], settings: dict[str, Any], split: dict[str, Any]) -> dict[str, str]:
    """{name: "old -> new"} of what differs from a checkpoint's state, by parameter and as `split`."""
    if not {"settings", "split"} <= state.keys():
        return {}
    now, before = settings_that_count(settings, split), settings_that_count(state["settings"], state["split"])
    pairs = {name: (before["settings"].get(name), value) for name, value in now["settings"].items()}
    found = {name: f"{old} -> {new}" for name, (old, new) in pairs.items() if old != new}
    if now["split"] != before["split"]:
        found["split"] = f"{describe_split(state['split'])} -> {describe_split(split)}"
    return found
