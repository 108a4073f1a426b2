"""Promotion: a version is judged by the gates of params.yaml, loaded, and given an alias; rollback gives it back."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myxtts.config import ModelError, XTTSConfig
from myxtts.config.stages import EVALUATION_TEXTS, KINDS
from myxtts.serving.gates import Figures, Outcome, check_gates, gates_table, verdict
from myxtts.serving.registry import EVALUATION_SET, MACHINE, METRIC, aliases_of, existing_version, readable_errors, resolve
from myxtts.tracking.delivery import clean_key
from myxtts.tracking.store import locked, make_client, tracking_uri

CHAMPION = "champion"  # the version that others are judged beside
_HISTORY = "history."  # tags of the registered model: history.<alias>.<time>-<any> = version
_LOAD_SECONDS = 900
_LOAD = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1]); print('loaded')"


@dataclass
class _Judge:
    """Figures of versions, as they were recorded or, where these do not compare, as measured here on today's evaluation set."""

    config: XTTSConfig
    client: Any
    root: Path
    processed: Path
    measure: bool

    def outcomes(self, version: str, champion: str | None) -> list[Outcome]:
        mine, theirs = self._recorded(version), self._recorded(champion) if champion else None
        gates = self.config.promotion.gates
        compared = {metric for metric, gate in gates.items() if gate.worse_by is not None} if theirs else set()
        if self.measure or (compared and not self._comparable(mine, theirs, compared)):
            today = self._today()
            mine = self._on(today, version, mine, compared)
            theirs = self._on(today, champion, theirs, compared) if compared else None
        return check_gates(gates, mine, theirs)

    def _comparable(self, mine: Figures, theirs: Figures, compared: set[str]) -> bool:
        """Whether what was recorded of both is of the same sentences, and the champion's is all that is to be compared."""
        same = mine.evaluation_set and mine.evaluation_set == theirs.evaluation_set
        return bool(same) and not _measurable(compared & mine.metrics.keys()) - theirs.metrics.keys()

    def _recorded(self, version: str) -> Figures:
        tags = self.client.get_model_version(self.config.bundle.name, version).tags
        metrics = {key.removeprefix(METRIC): float(value) for key, value in tags.items() if key.startswith(METRIC)}
        languages = tuple(filter(None, tags.get("languages", "").split(", ")))
        return Figures(metrics, tags.get(EVALUATION_SET, ""), tags.get(MACHINE, ""), languages)

    def _today(self) -> str:
        from myxtts.config import DataError
        from myxtts.evaluation.yardstick import evaluation_set

        try:
            return evaluation_set(self.processed, self.config.evaluate, self.config.seed, self.root / EVALUATION_TEXTS)
        except (DataError, OSError) as error:
            raise ModelError(
                f"both versions must be measured on the same sentences, which takes the prepared data, and {error}; "
                "bring it here (dvc pull data/processed, or dvc repro prepare)"
            ) from None

    def _on(self, today: str, version: str, recorded: Figures, compared: set[str]) -> Figures:
        """Figures on today's set: recorded, measured for an earlier promotion, or measured now; with `measure` always now.

        What an evaluation does not measure (the losses of the training, on its own validation set) is the recorded figure of this
        version, and compares only with figures of the same set.
        """
        name, tag = self.config.bundle.name, f"evaluation.{today}"
        same = recorded.evaluation_set == today
        if same and not self.measure and not _measurable(compared) - recorded.metrics.keys():
            return recorded
        kept = self.client.get_model_version(name, version).tags.get(tag)
        if kept and not self.measure:
            values = json.loads(kept)
            numbers, machine = values["metrics"], values["machine"]
        else:
            found = measure_version(self.config, version, self.root, self.processed, today)
            numbers, machine = {key: float(f"{value:.6g}") for key, value in found.metrics.items()}, found.machine
            self.client.set_model_version_tag(name, version, tag, json.dumps({"machine": machine, "metrics": numbers}))
        alone = {key: value for key, value in recorded.metrics.items() if not _measurable({key})}
        own = frozenset() if same else frozenset(alone)
        return Figures({**(recorded.metrics if same else alone), **numbers}, today, machine, recorded.languages, own)


def _measurable(metrics: Set[str]) -> set[str]:
    """Those that an evaluation can measure, by the kind of audio in their names."""
    return {metric for metric in metrics if metric.partition("/")[0] in KINDS}


def measure_version(config: XTTSConfig, version: str, root: Path, processed: Path, today: str) -> Figures:
    """Evaluates a registered version on the evaluation set of today's params.yaml, with the version's own synthesis settings."""
    from myxtts.evaluation.evaluate import evaluate
    from myxtts.evaluation.yardstick import machine_name
    from myxtts.synthesis.speech import Synthesizer

    name = config.bundle.name
    print(f"measuring {name} version {version} on {config.evaluate.num_sentences} held-out sentences", flush=True)
    synthesizer = Synthesizer.load(resolve(f"models:/{name}/{version}", root), whole=True)
    values = synthesizer.config.to_dict() | {"evaluate": config.to_dict()["evaluate"]}
    with tempfile.TemporaryDirectory() as out:
        place, texts = Path(out) / "evaluation", root / EVALUATION_TEXTS
        metrics = evaluate(XTTSConfig.from_dict(values), synthesizer, processed, place, config.seed, texts)
    return Figures(metrics, today, machine_name())


def promote(config: XTTSConfig, version: int | str, alias: str, root: Path, processed: Path, measure: bool = False) -> str:
    """Moves an alias to a version that passes the gates of `config.promotion` and loads in a fresh process; returns what was done.

    Gates look at the figures that were recorded when the version was made. Where today's champion was measured on another
    evaluation set, and with `measure` always, both are measured here, on `processed`. The verdict is kept as tags of the version.
    Promotions at the same time do not lose one another: each is in the history that `rollback` goes back through. Raises ModelError,
    and moves nothing, when there is no such version, it fails a gate or does not load.
    """
    client, name = make_client(root), config.bundle.name
    version = existing_version(client, name, version, root)
    _check_alias(alias)
    judge, loaded = _Judge(config, client, root, processed, measure), False
    with readable_errors(f"{name} version {version} could not be promoted"):
        while True:
            before = aliases_of(client, name)
            holder, rival = before.get(alias), before.get(CHAMPION)
            if holder == version:
                return f"{name} version {version} is {alias} already"
            outcomes = judge.outcomes(version, rival if rival != version else None)
            _store_verdict(client, name, version, alias, outcomes, rival)
            _refuse_failures(name, version, alias, outcomes, holder)
            if not loaded:
                _load_or_refuse(client, name, version, alias, root)
                loaded = True
            with locked(tracking_uri(root)):
                now = aliases_of(client, name)
                if (now.get(alias), now.get(CHAMPION)) != (holder, rival):
                    continue  # another was promoted meanwhile: it is that one which this must not be worse than
                client.set_registered_model_alias(name, alias, version)
                _remember(client, name, alias, holder, version)
                break
    table = gates_table(outcomes) + "\n" if outcomes else "no gates in params.yaml (promotion.gates): only loading was tested\n"
    return f"{table}{name} version {version} is {alias} now" + (f"; before it was version {holder}" if holder else "")


def rollback(name: str, alias: str, root: Path) -> str:
    """Gives an alias back to the version that had it before. Raises ModelError when none had, or it does not load."""
    client, loaded = make_client(root), set()
    with readable_errors(f"{alias} of {name} could not be rolled back"):
        while True:
            now, before, undone = _step_back(client, name, alias)
            if before not in loaded:
                _load_once(name, before, root)
                loaded.add(before)
            with locked(tracking_uri(root)):
                if _step_back(client, name, alias) != (now, before, undone):
                    continue  # another was promoted or rolled back meanwhile: it is that one which is to be undone
                client.set_registered_model_alias(name, alias, before)
                for key in undone:
                    client.delete_registered_model_tag(name, key)
                return f"{name} version {before} is {alias} again; version {now} was"


def _step_back(client, name: str, alias: str) -> tuple[str, str, list[str]]:
    """(version that has the alias, version that had it before, history tags that going back there undoes). Raises ModelError."""
    now = aliases_of(client, name).get(alias)
    if now is None:
        raise ModelError(f"no version of {name} is {alias}: promote one first (myxtts promote VERSION)")
    there = {str(item.version) for item in client.search_model_versions(f"name = '{name}'")}
    history, undone = _history(client, name, alias), []
    while history and (history[-1][1] == now or history[-1][1] not in there):  # versions may have been deleted
        undone.append(history.pop()[0])
    if not history:
        raise ModelError(f"{name} version {now} is the first {alias}: there is none to go back to; promote another version")
    return now, history[-1][1], undone


def _history(client, name: str, alias: str) -> list[tuple[str, str]]:
    """(tag, version) of each promotion to an alias, the oldest first."""
    tags = client.get_registered_model(name).tags
    return sorted((key, version) for key, version in tags.items() if key.startswith(f"{_HISTORY}{alias}."))


def _remember(client, name: str, alias: str, holder: str | None, version: str) -> None:
    """Each promotion writes a tag of its own, so that none can overwrite another's; one that was made by hand is caught up."""
    history = _history(client, name, alias)
    last = int(history[-1][0].rpartition(".")[2].partition("-")[0]) if history else 0  # clocks of clients differ
    when = max(time.time_ns(), last + 1)
    for entry in [*([holder] if holder and (not history or history[-1][1] != holder) else []), version]:
        client.set_registered_model_tag(name, f"{_HISTORY}{alias}.{when:020d}-{uuid.uuid4().hex[:4]}", entry)
        when += 1


def _store_verdict(client, name: str, version: str, alias: str, outcomes: Sequence[Outcome], holder: str | None) -> None:
    good = all(item.passed for item in outcomes)
    tags = {f"promotion.{alias}": f"{'passed' if good else 'refused'} {_now()}{f', beside version {holder}' if holder else ''}"}
    for item in outcomes:
        theirs = "" if item.champion is None else f"; champion {item.champion:.6g}"
        tags[clean_key(f"gate.{alias}.{item.metric}")] = f"{item.value} ({item.rule}{theirs}): {verdict(item)}"
    for key in client.get_model_version(name, version).tags:
        if key.startswith(f"gate.{alias}.") and key not in tags:  # of gates that are no more
            client.delete_model_version_tag(name, version, key)
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


def _load_or_refuse(client, name: str, version: str, alias: str, root: Path) -> None:
    try:
        _load_once(name, version, root)
    except ModelError:
        client.set_model_version_tag(name, version, f"promotion.{alias}", f"refused {_now()}: it does not load")
        raise


def _refuse_failures(name: str, version: str, alias: str, outcomes: Sequence[Outcome], holder: str | None) -> None:
    if failed := [item.metric for item in outcomes if not item.passed]:
        stays = f"version {holder} stays {alias}" if holder else f"{name} has no {alias}"
        raise ModelError(
            f"{name} version {version} is refused because of {', '.join(failed)}; {stays}.\n{gates_table(outcomes)}\n"
            "train a better one, or change the gates (promotion.gates in params.yaml)"
        )


def _check_alias(alias: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", alias) or re.fullmatch(r"v\d+|latest", alias, re.IGNORECASE):
        raise ModelError(f"{alias!r} cannot be an alias: expected letters, digits, - and _, and not `latest` or `v1`, which MLflow keeps")


def _load_once(name: str, version: str, root: Path) -> None:
    """Loads a version as a server would: in a fresh process, through MLflow, with the code it carries."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, f"models:/{name}/{version}"],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name} version {version} was not loaded within {_LOAD_SECONDS} s; the alias stays where it is") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(
            f"{name} version {version} does not load, so the alias stays where it is: {reason}; bundle it again (dvc repro bundle)"
        )
