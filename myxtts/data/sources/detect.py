"""Which layout a folder or archive has: every layout's reader is tried on its first rows, every tree's pattern on its first files.

No more than a few thousand files and a part of each table are looked at, so it is quick on a folder of any size; of an archive, the names
of all entries.
"""

import os
import shlex
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from myxtts.config import DataError
from myxtts.config.data import CorpusConfig
from myxtts.data.bars import bar
from myxtts.data.manifest import Utterance, counted
from myxtts.data.sources import LAYOUTS
from myxtts.data.sources.archives import check_name, is_archive, naming_damage, read_entries, top_folder
from myxtts.data.sources.lines import scan
from myxtts.data.sources.rows import AUDIO_SUFFIXES, Checker, Corpus
from myxtts.data.sources.tables import METADATA_COLUMNS, split_quoted
from myxtts.text.guess import guess_language
from myxtts.text.languages import LANGUAGES

_ENTRIES = 5000  # files that are looked at
_SHARE = 500  # of them in one folder inside
_ROWS = 200  # rows of a table, recordings of a tree
_LINES = 20_000  # of a table, to count them
_ARCHIVE_ENTRIES = 1_000_000
_HEAD = 1 << 20  # bytes of a table or text in an archive
_HEADS = 256 << 20  # of all of them
_TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".lab")
_TABLES = {"csv": (".csv", ".tsv"), "jsonl": (".jsonl", ".json")}
_TREES = ("vctk", "libritts", "folder")


@dataclass
class Finding:
    """What one layout makes of a corpus: `usable` of `tried` rows or recordings; `evidence` in words."""

    layout: str
    usable: int = 0
    tried: int = 0
    evidence: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    near: bool = False  # nothing was read, but there are tables of its kind
    texts: list[str] = field(default_factory=list)  # some
    named: int = 0  # usable rows that name their language

    @property
    def language(self) -> str | None:
        """The language of its texts, where their script tells."""
        return guess_language(self.texts)

    @property
    def names_languages(self) -> bool:
        """Whether each of its rows does."""
        return self.named == self.usable

    @property
    def fits(self) -> bool:
        return self.usable > 0 and 2 * self.usable >= self.tried


def detect(path: Path, columns: Mapping[str, str] | None = None) -> list[Finding]:
    """What every layout makes of a corpus, the best first; the first fits, or none does. columns: `data.source.columns`.

    Raises DataError when there is nothing at `path`, or an archive is damaged or refused.
    """
    if is_archive(path):
        with tempfile.TemporaryDirectory() as folder:
            _sketch(path, Path(folder))
            return _of_folder(top_folder(Path(folder)), columns)
    if path.is_file():
        raise DataError(f"{path} is a file; expected a corpus: give its folder, {path.parent}, or an archive (zip, tar, tar.gz, …)")
    if not path.is_dir():
        raise DataError(f"no corpus at {path}: expected a folder, or an archive (zip, tar, tar.gz, tar.bz2, tar.xz)")
    return _of_folder(path, columns)


def describe(path: Path, findings: list[Finding]) -> str:
    """The findings in words, with the command that uses the best."""
    fitting = [finding for finding in findings if finding.fits]
    if not fitting:
        nearest = next((item for item in findings if item.near or (item.tried if item.layout not in _TREES else item.usable)), None)
        lines = [f"{path}: no layout fits; {_what_is_there(path)}"]
        if nearest:
            lines.append(f"nearest is {nearest.layout}: {_said(nearest)}")
        hint = _inner_folder(path)
        lines += [f"one folder deeper, {hint[0]} is a corpus of layout {hint[1]}"] if hint else []
        lines.append("layouts: README.md, or the first lines of myxtts/data/sources/__init__.py")
        return "\n".join(lines)
    lines = [f"{finding.layout:13}{_said(finding)}" for finding in fitting]
    best = fitting[0].layout
    if len(fitting) > 1:
        lines.append(f"taken: {best}, which {_WHY.get(best, 'fits best')}")
    use = f"use it: myxtts use real_speech --corpus {shlex.quote(str(path))}"
    if fitting[0].names_languages:
        lines += [use, "its rows name their language"]
    elif fitting[0].language:
        lines += [use, f"language of rows that name none: {fitting[0].language}, by the texts"]
    else:
        lines += [f"{use} --set data.source.language=CODE", f"CODE, of rows that name no language: one of {', '.join(LANGUAGES)}"]
    return "\n".join(lines)


_WHY = {
    "ljspeech": "reads two or three columns, the third a normalised form of the second, and wavs/",
    "piper": "has speakers in the second of three columns, or two columns and wav/",
    "metadata": "reads columns without a header, and wavs/",
    "coqui": "has a header with audio_file and text between |",
}


def _of_folder(folder: Path, columns: Mapping[str, str] | None = None) -> list[Finding]:
    files = list(islice(_files(folder), _ENTRIES))
    findings = [_try_table(layout, folder, columns) for layout in LAYOUTS if layout not in _TREES]
    findings += [_TREE_PROBES[layout](folder, files) for layout in _TREES]
    metadata = _plain_metadata(folder)
    return sorted(findings, key=lambda finding: _rank(finding, metadata), reverse=True)


def _rank(finding: Finding, metadata: str) -> tuple:
    """Whether it fits; of those that do, the one that says most of the corpus; of others, the nearest."""
    order = ("common_voice", "vctk", "libritts", metadata, "coqui", "jsonl", "metadata", "ljspeech", "piper", "csv", "folder")
    place = -order.index(finding.layout)
    rows = 0 if finding.layout in _TREES else finding.tried  # recordings without texts are in every corpus of tables
    return (finding.fits, place if finding.fits else finding.usable, rows, finding.near, finding.tried, place)


def _try_table(layout: str, folder: Path, columns: Mapping[str, str] | None) -> Finding:
    """The first rows of a layout of tables, checked as the raw stage does."""
    finding = Finding(layout)
    corpus = Corpus(folder.name, CorpusConfig(layout=layout, columns=dict(columns or {})), folder, folder.parent, look=_LINES)
    checker = Checker(corpus, LAYOUTS[layout].folders)
    tables: set[str] = set()
    try:
        for row in islice(LAYOUTS[layout].read(corpus), _ROWS):
            tables.add(row.file)
            finding.tried += 1
            result = checker.check(row)
            if isinstance(result, Utterance):
                finding.usable += 1
                finding.texts.append(result.text)
                finding.named += bool(row.cells.get("language"))
            else:
                finding.reasons[result.reason] += 1
    except DataError as error:
        finding.evidence = str(error)
        finding.near = any(name.name.endswith(_TABLES.get(layout, ())) for name in islice(folder.iterdir(), _ENTRIES))
        return finding
    counts = [_count(folder / name) for name in sorted(tables)]
    finding.evidence = ", ".join(counts)
    return finding


def _count(table: Path) -> str:
    seen = scan(table, limit=_LINES)
    return f"{table.name} of {'' if seen.whole else 'more than '}{seen.lines} lines"


def _plain_metadata(folder: Path) -> str:
    """Which of ljspeech, piper and metadata a metadata.csv without header is: all three can read `id|text`."""
    table = folder / "metadata.csv"
    if not table.is_file() or (folder / "metadata_train.csv").is_file():
        return "metadata"
    seen = Counter()
    texts = {"second": set(), "same": 0}
    try:
        with table.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(10_000).lower().split("|")
            if len(first) > 1 and first[0].strip() in ("id", "audio_file"):
                return "coqui" if "audio_file" in first else "metadata"
            file.seek(0)
            for line in islice(file, _ROWS):
                cells = [cell.strip() for cell in split_quoted(line.rstrip("\r\n")[:10_000], "|")]
                seen[len(cells)] += 1
                if len(cells) == 3:
                    texts["second"].add(cells[1])
                    texts["same"] += _likeness(cells[1], cells[2])
    except OSError:
        return "metadata"
    columns = max(seen, key=seen.get, default=0)
    if columns == 3:
        # a speaker stands in many rows; a text has words in common with its normalised form
        return "ljspeech" if texts["same"] * 2 >= seen[3] else "piper" if 2 * len(texts["second"]) <= seen[3] + 1 else "ljspeech"
    if columns == 2:
        return "piper" if (folder / "wav").is_dir() and not (folder / "wavs").is_dir() else "ljspeech"
    return "metadata" if columns <= len(METADATA_COLUMNS) else "ljspeech"


def _likeness(one: str, two: str) -> bool:
    first, second = ({word.strip(".,!?;:'\"") for word in text.lower().split()} for text in (one, two))
    return bool(first & second) and 2 * len(first & second) >= min(len(first), len(second))


def _probe_vctk(folder: Path, files: list[str]) -> Finding:
    """Of some texts of some speakers, those that have a recording."""
    audio = [name for name in ("wav48_silence_trimmed", "wav48") if (folder / name).is_dir()]
    speakers = sorted(path.name for path in islice((folder / "txt").iterdir(), 20)) if audio and (folder / "txt").is_dir() else []
    texts = [path for speaker in speakers for path in islice((folder / "txt" / speaker).glob("*.txt"), 20)]
    endings = [f"{microphone}{suffix}" for microphone in ("_mic1", "_mic2", "") for suffix in AUDIO_SUFFIXES]
    stems = [folder / audio[0] / text.parent.name / text.stem for text in texts]
    usable = sum(any(stem.with_name(stem.name + ending).is_file() for ending in endings) for stem in stems)
    evidence = f"{usable} of {len(texts)} texts in txt/ have a recording in {audio[0]}/" if texts else ""
    return Finding("vctk", usable, len(texts), evidence, texts=_heads(texts))


def _probe_libritts(folder: Path, files: list[str]) -> Finding:
    return _pairs("libritts", folder, [name for name in files if name.count("/") >= 2], (".normalized.txt", ".original.txt"))


def _probe_folder(folder: Path, files: list[str]) -> Finding:
    return _pairs("folder", folder, files, (".txt", ".lab"))


def _pairs(layout: str, folder: Path, files: list[str], endings: tuple[str, ...]) -> Finding:
    stems = sorted({os.path.splitext(name)[0] for name in files if name.lower().endswith(AUDIO_SUFFIXES)})[:_ROWS]  # noqa: PTH122
    paths = [next((path for ending in endings if (path := folder / f"{stem}{ending}").is_file()), None) for stem in stems]
    both = sum(path is not None for path in paths)
    evidence = f"{both} of {len(stems)} recordings have a {' or '.join(endings)} beside them"
    return Finding(layout, both, len(stems), evidence, texts=_heads(filter(None, paths)))


def _heads(paths: Iterable[Path]) -> list[str]:
    """The beginnings of some texts, as far as they can be read."""
    texts = []
    for path in islice(filter(Path.is_file, paths), _ROWS):
        try:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                texts.append(file.read(1000))
        except OSError:
            continue
    return texts


_TREE_PROBES: dict[str, Callable[[Path, list[str]], Finding]] = {"vctk": _probe_vctk, "libritts": _probe_libritts, "folder": _probe_folder}


def _files(folder: Path) -> Iterator[str]:
    """Paths of files below a folder, breadth first, some of each folder; links to folders are left out."""
    waiting, seen = deque([""]), 0
    while waiting and seen < 10 * _ENTRIES:
        here = waiting.popleft()
        try:
            with os.scandir(folder / here) as entries:
                for entry in islice(entries, _SHARE if here else _ENTRIES):
                    seen += 1
                    path = f"{here}/{entry.name}" if here else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif not entry.name.startswith("."):
                        yield path
        except OSError:
            continue


def _sketch(archive: Path, folder: Path) -> None:
    """An archive's entries as empty recordings, the beginnings of tables, and of some texts. Others are left out."""
    room = _HEADS
    entries = bar(read_entries(archive), archive.name, "entry", delay=3, leave=False)
    for number, entry in enumerate(entries):
        if number == _ARCHIVE_ENTRIES:
            print(f"note: only the first {number:,} entries of {archive} are looked at", file=sys.stderr)
            break
        name = check_name(archive, entry.name)
        path = folder / name
        if entry.kind != "file" or not name.lower().endswith((*AUDIO_SUFFIXES, *_TEXT_SUFFIXES)) or path.exists():
            continue
        if any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if room > 0 and not name.lower().endswith(AUDIO_SUFFIXES):
            with naming_damage(archive), entry.open() as file:
                head = file.read(_HEAD)
            path.write_bytes(head if len(head) < _HEAD else head[: head.rfind(b"\n") + 1])
            room -= len(head)


def _said(finding: Finding) -> str:
    """Its evidence and what became of the rows that were tried."""
    parts = [finding.evidence]
    if finding.layout not in _TREES and finding.tried:
        refused = counted(dict(finding.reasons.most_common(3)))
        parts.append(f"{finding.usable} of the first {finding.tried} rows can be used" + (f" ({refused})" if refused else ""))
    return "; ".join(part for part in parts if part)


def _what_is_there(path: Path) -> str:
    if not path.is_dir():
        return "an archive"
    names = list(islice(_files(path), _ENTRIES))
    audio = sum(name.lower().endswith(AUDIO_SUFFIXES) for name in names)
    tables = [name for name in names if "/" not in name and name.endswith((".csv", ".tsv", ".json", ".jsonl", ".txt"))]
    more = "more than " if len(names) >= _ENTRIES else ""
    return f"there are {more}{len(names)} files, {audio} of them recordings; tables: {', '.join(tables[:5]) or 'none'}"


def _inner_folder(path: Path) -> tuple[str, str] | None:
    """A folder inside that is a corpus."""
    if not path.is_dir():
        return None
    for folder in islice(sorted(inner for inner in path.iterdir() if inner.is_dir()), 5):
        best = _of_folder(folder)[0]
        if best.fits:
            return str(folder), best.layout
    return None
