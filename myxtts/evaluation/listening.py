"""Blind listening tests of people: a page that holds all of it, and what their answers say.

Systems are evaluation folders (`samples.json`, `audio/`). The page knows clips by tokens alone; which system a token is of stands in a key
file beside it, that stays with whoever made the test. N answers.
"""

import csv
import hashlib
import io
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from myxtts.audio import wave as wave_io
from myxtts.config import ConfigError, DataError
from myxtts.data.manifest import write_json
from myxtts.evaluation.page import mp3_url
from myxtts.evaluation.summary import bootstrap

Kind = Literal["ab", "mos"]
RECORDING = "recording"  # the hidden anchor of a MOS test
LOUDNESS_LUFS = -23.0  # the louder of two always sounds better
COLUMNS = ("test", "kind", "listener", "position", "first", "second", "answer", "seconds")
ANSWERS = {"ab": ("first", "same", "second"), "mos": ("1", "2", "3", "4", "5")}


@dataclass(frozen=True)
class Answer:
    """One answer. systems: of the clips in the order they were heard; value: of ANSWERS."""

    listener: str
    sentence: str
    systems: tuple[str, ...]
    value: str


def make_test(systems: Mapping[str, Path], out: Path, kind: Kind, count: int, seed: int) -> int:
    """Writes the page `out` and the key `<out>.key.json`; returns how many trials there are.

    systems: name -> evaluation folder. kind: ab = each sentence by each pair of systems; mos = each sentence by each system, and the
    recording itself where there is one. count: sentences at most, those that all systems have the audio of. Raises DataError where there
    are none, or a folder is not one of an evaluation, ConfigError for too few systems, or where a file is there already.
    """
    if len(systems) < (2 if kind == "ab" else 1):
        raise ConfigError("an A/B test compares two systems or more: name their runs or evaluation folders")
    key_file = out.with_suffix(".key.json")
    if out.exists() or key_file.exists():
        raise ConfigError(f"{out} or {key_file.name} is there already, perhaps with answers under way: name another file by --out")
    heard = {name: _sentences(folder, kind) for name, folder in systems.items()}
    shared = sorted(set.intersection(*(set(sentences) for sentences in heard.values())))
    if not shared:
        raise DataError("these evaluations have no sentence in common that was kept as audio: raise evaluate.num_logged, use one set")
    random.Random(seed).shuffle(shared)
    test = hashlib.sha256(json.dumps([sorted(systems), shared[:count], kind, seed]).encode()).hexdigest()[:8]
    key: dict[str, list[str]] = {}
    trials = [trial for sentence in sorted(shared[:count]) for trial in _trials(heard, sentence, kind, f"{test} {seed}", key)]
    page = resources.files("myxtts.evaluation").joinpath("listening_page", "listen.html").read_text(encoding="utf-8")
    # "</" would end the script that holds it
    content = json.dumps({"id": test, "kind": kind, "trials": trials}, ensure_ascii=False).replace("</", "<\\/")
    wave_io.write_atomically(out, page.replace("/*TEST*/", content).encode())
    write_json(key_file, {"test": test, "kind": kind, "systems": {name: str(folder) for name, folder in systems.items()}, "clips": key})
    return len(trials)


def read_answers(key: Mapping[str, Any], files: Iterable[Path]) -> list[Answer]:
    """Answers from downloaded files. Raises DataError naming file and line for one of another test, an unknown clip or answer."""
    answers, seen = [], set()
    for path in files:
        try:
            rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}; give the CSV that the page downloads") from None
        for number, row in enumerate(rows, 2):
            answer = _answer(row, key, f"{path}, line {number}")
            if (mark := (answer.listener, answer.sentence, answer.systems)) not in seen:  # a file sent twice counts once
                seen.add(mark)
                answers.append(answer)
    if not answers:
        raise DataError("there is no answer in these files: give the CSVs that the page downloads")
    return answers


def opinions(answers: Sequence[Answer], seed: int = 0) -> dict[str, dict[str, float]]:
    """{system: {mos, low, high, answers}} of a MOS test; the interval is over answers (`bootstrap`)."""
    scores: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        scores[answer.systems[0]].append(float(answer.value))
    named = {}
    for system, values in sorted(scores.items()):
        low, high = bootstrap(values, seed)
        named[system] = {"mos": float(np.mean(values)), "low": low, "high": high, "answers": len(values)}
    return named


def preferences(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """{first, second, better, same, worse, p} of each pair of an A/B test, "better" = the first by name is.

    p: of the sign test, two-sided, ties left out (Dixon & Mood 1946): how often chance alone would prefer one so much or more.
    """
    from scipy.stats import binomtest

    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: {"better": 0, "same": 0, "worse": 0})
    for answer in answers:
        pair = tuple(sorted(answer.systems))
        preferred = None if answer.value == "same" else answer.systems[answer.value == "second"]
        counts[pair]["same" if preferred is None else "better" if preferred == pair[0] else "worse"] += 1
    rows = []
    for (first, second), count in sorted(counts.items()):
        decided = count["better"] + count["worse"]
        p = float(binomtest(count["better"], decided).pvalue) if decided else 1.0
        rows.append({"first": first, "second": second, **count, "p": p})
    return rows


def _answer(row: Mapping[str, str | None], key: Mapping[str, Any], where: str) -> Answer:
    missing = [name for name in COLUMNS if row.get(name) is None]
    if missing:
        raise DataError(f"{where}: no {', '.join(missing)}; expected the columns {', '.join(COLUMNS)}")
    if row["test"] != key["test"] or row["kind"] != key["kind"]:
        raise DataError(f"{where}: an answer to test {row['test']!r}, and the key is of {key['test']!r}: give the key beside its page")
    tokens = [row["first"], row["second"]] if key["kind"] == "ab" else [row["first"]]
    if unknown := [token for token in tokens if token not in key["clips"]]:
        raise DataError(f"{where}: the clip {unknown[0]!r} is not in the key")
    if row["answer"] not in ANSWERS[key["kind"]]:
        raise DataError(f"{where}: the answer {row['answer']!r}; expected one of {', '.join(ANSWERS[key['kind']])}")
    systems, sentences = zip(*(key["clips"][token] for token in tokens), strict=True)
    return Answer(row["listener"], sentences[0], systems, row["answer"])


def _sentences(folder: Path, kind: Kind) -> dict[str, dict[str, Any]]:
    """{id: text, and the audio of the speech, and for a MOS test of the recording} of the sentences that were kept as audio."""
    try:
        samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is no folder of an evaluation ({error}): expected one with samples.json and audio/") from None
    found = {}
    for sample in samples:
        files = {Path(name).stem.removeprefix(f"{sample['id']}_"): folder / name for name in sample["files"] if name.endswith(".wav")}
        speech = next((path for name, path in files.items() if name.startswith("speech")), None)
        if speech is not None and speech.is_file():
            recording = files.get("ground_truth") if kind == "mos" else None
            found[sample["id"]] = {"text": sample["text"], "speech": speech, RECORDING: recording}
    return found


def _trials(
    heard: Mapping[str, dict[str, dict[str, Any]]], sentence: str, kind: Kind, secret: str, key: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """The trials of one sentence; their clips' tokens go into the key."""
    clips = {name: sentences[sentence]["speech"] for name, sentences in heard.items()}
    if kind == "mos" and (recording := next((s[sentence][RECORDING] for s in heard.values() if s[sentence][RECORDING]), None)):
        clips[RECORDING] = recording
    text, ready = next(iter(heard.values()))[sentence]["text"], {}
    for name, path in clips.items():
        token = hashlib.sha256(f"{secret} {name} {sentence}".encode()).hexdigest()[:12]
        key[token] = [name, sentence]
        ready[name] = {"token": token, "src": _sound(path)}
    groups = itertools.combinations(ready.values(), 2) if kind == "ab" else ([clip] for clip in ready.values())
    return [{"text": text, "clips": list(group)} for group in groups]


def _sound(path: Path) -> str:
    """A clip at the common loudness, as a data URL of an MP3."""
    wave, rate = wave_io.load(path)
    loudness = wave_io.measure_loudness(wave, rate)
    if np.isfinite(loudness):  # silence has none
        wave = wave * 10 ** ((LOUDNESS_LUFS - loudness) / 20)
        wave = wave / max(1.0, float(np.abs(wave).max()))
    return mp3_url(wave, rate)
