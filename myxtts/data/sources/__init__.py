"""Corpus layouts -> rows. A corpus is read where it lies; nothing in it is copied or changed.

Layouts (`data.source.layout`), all UTF-8; `.wav` may be .flac, .ogg, .opus or .mp3 everywhere:

| layout | what it is |
|---|---|
| metadata | `id|text[|normalized[|speaker[|language[|seconds[|corpus]]]]]`, no header, in `metadata_train.csv`, `metadata_eval.csv` (and `metadata_eval_unseen_speaker.csv`) or in `metadata.csv`; `wavs/<id>.wav` |
| ljspeech | `metadata.csv` with `id|text|normalized`; `wavs/<id>.wav` |
| coqui | the files of `metadata`, with a header: `audio_file|text|speaker_name`, optionally `language` and more |
| piper | `metadata.csv` with `id|text` or `id|speaker|text`, no header; `wav/` or `wavs/` |
| vctk | `wav48_silence_trimmed/p225/p225_001_mic1.flac` (or `wav48/p225/p225_001.wav`), `txt/p225/p225_001.txt` |
| libritts | `train-clean-100/SPEAKER/CHAPTER/x.wav`, `x.normalized.txt`, `x.original.txt`; subsets dev-* and test-* are for evaluation |
| common_voice | `train.tsv`, `dev.tsv`, `test.tsv` (or `validated.tsv`), `clips/` |
| jsonl | `*.jsonl` or `*.json`, one object a line: audio (audio_filepath, path, …), text, speaker, language, start and end (or offset and duration), … |
| csv | `*.csv` or `*.tsv` with a header and any separator; the same columns, or as `data.source.columns` names them |
| folder | `x.wav` beside `x.txt` or `x.lab`; a folder is a speaker. `x.txt` may hold labels of Audacity: start, end, text |
| mix | several of these in one folder: `data.source.corpora` |

Rows with a start or an end (csv, jsonl, labels) are segments of a recording. Memory does not grow with the corpus.
"""  # noqa: E501

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from myxtts.config import DataError
from myxtts.config.data import CorpusConfig, SourceConfig
from myxtts.data.manifest import Rejected, Utterance
from myxtts.data.sources import objects, tables, trees
from myxtts.data.sources.archives import SUFFIXES, archive_stem, is_archive, unpack
from myxtts.data.sources.identifiers import is_safe_id, safe_id
from myxtts.data.sources.rows import AUDIO_SUFFIXES, Checker, Corpus, Row
from myxtts.data.sources.seen import SeenIds

__all__ = ["AUDIO_SUFFIXES", "LAYOUTS", "Corpus", "SeenIds", "is_safe_id", "open_corpora", "read_corpora", "read_source", "safe_id"]


class Layout(NamedTuple):
    """How a layout is read and where its audio lies."""

    read: Callable[[Corpus], Iterator[Row]]
    folders: tuple[str, ...] = ("",)


LAYOUTS: dict[str, Layout] = {
    "metadata": Layout(tables.read_metadata_layout, ("wavs", "")),
    "ljspeech": Layout(tables.read_ljspeech, ("wavs", "")),
    "coqui": Layout(tables.read_coqui, ("", "wavs")),
    "piper": Layout(tables.read_piper, ("wav", "wavs", "")),
    "vctk": Layout(trees.read_vctk),
    "libritts": Layout(trees.read_libritts),
    "common_voice": Layout(tables.read_common_voice, ("clips", "")),
    "jsonl": Layout(objects.read_jsonl, ("", "wavs")),
    "csv": Layout(objects.read_csv, ("", "wavs")),
    "folder": Layout(trees.read_folder),
}


def read_source(source: SourceConfig, root: Path) -> Iterator[Utterance | Rejected]:
    """All rows of a corpus, in the order of its metadata: those that can be used, and those that cannot with the reason.

    `root` is the project's folder: `source.path` is relative to it, and so is each `Utterance.audio`. Audio is looked up,
    not opened. Paths are confined to the corpus: absolute ones, those that leave it by `..` and those that leave it by a symbolic
    link (without `follow_links`) are rejected. Of a duplicate id the first row stays. With `max_clips`, the rows are spread evenly over
    the (speaker, language) pairs and within each over the corpus.
    Raises DataError when there is no such corpus (at once), its metadata are not UTF-8 or lack a needed column (while it is read).
    """
    return read_corpora(open_corpora(source, root), source.max_clips if source.layout == "mix" else None)


def open_corpora(source: SourceConfig, root: Path, name: str = "", unpacked: Path | None = None) -> list[Corpus]:
    """The corpora that a configuration names, each with its folder; name: of a single one, instead of its folder's.

    unpacked: folder that archives are unpacked to. Raises DataError when a corpus is not there or outside the mix, or an archive cannot
    be unpacked.
    """
    path = Path(root) / source.path
    if source.layout == "mix":
        if is_archive(path) and unpacked:
            path = unpack(path, unpacked / archive_stem(path))
        return [_of_mix(name, settings, path, Path(root), unpacked) for name, settings in source.corpora.items()]
    if source.layout not in LAYOUTS:
        raise DataError(f"layout {source.layout!r} has no files to read; expected one of {', '.join(LAYOUTS)}")
    if is_archive(path) and unpacked:
        name = name or archive_stem(path)
        return [Corpus(name, source, unpack(path, unpacked / name), Path(root), unpacked=True)]
    if not path.is_dir():
        kinds = f"; an archive is one of {', '.join(SUFFIXES)}" if path.is_file() else ""
        raise DataError(f"no corpus at {path}: set data.source.path to its folder (now {source.path!r}){kinds}")
    return [Corpus(name or path.resolve().name, source, path, Path(root))]


def read_corpora(
    corpora: list[Corpus], max_clips: int | None = None, left_out: dict[str, int] | None = None
) -> Iterator[Utterance | Rejected]:
    """Rows of several corpora, one after the other, at most `max_clips` of all together. Ids are unique over all.

    left_out: takes how many clips a limit leaves out, by the corpus' name, "" for those of the limit on all together.
    """
    left_out = {} if left_out is None else left_out
    readers = [_spread(lambda corpus=corpus: _read(corpus), corpus.settings.max_clips, left_out, corpus.name) for corpus in corpora]
    for corpus in corpora:
        Checker(corpus, LAYOUTS[corpus.settings.layout].folders)  # its settings are looked at before a row is read
    return _spread(lambda: (row for reader in readers for row in reader()), max_clips, left_out, "")()


def _of_mix(name: str, settings: CorpusConfig, mix: Path, root: Path, unpacked: Path | None) -> Corpus:
    folder = mix / settings.path
    of_archive = unpacked is not None and mix.is_relative_to(unpacked)
    outside = f"data.source.corpora.{name}.path is {settings.path!r}: expected a path inside data.source.path ({mix})"
    if Path(settings.path).is_absolute() or ".." in Path(settings.path).parts:
        raise DataError(f"{outside}; put the corpus there, or a link to it with follow_links: true")
    follow = settings.follow_links and not of_archive
    if not follow and not folder.resolve().is_relative_to(mix.resolve()):
        raise DataError(f"{outside}; it is a link to {folder.resolve()}: with follow_links: true of this corpus it is read all the same")
    if is_archive(folder) and unpacked:
        return Corpus(name, settings, unpack(folder, unpacked / name), root, f"{name}/", unpacked=True)
    if not folder.is_dir():
        raise DataError(f"no corpus at {folder}: {outside}, the folder or archive of the corpus {name}")
    return Corpus(name, settings, folder, root, f"{name}/", of_archive)


def _read(corpus: Corpus) -> Iterator[Utterance | Rejected]:
    """Rows of one corpus; of a duplicate id the first."""
    layout = LAYOUTS[corpus.settings.layout]
    checker = Checker(corpus, layout.folders)
    rows = layout.read(corpus)
    with SeenIds() as seen, closing(rows):
        for row in rows:
            result = checker.check(row)
            if isinstance(result, Utterance) and (first := seen.add(result.id, row.place)):
                result = Rejected(result.id, result.audio, "duplicate_id", f"{row.place}: the id already stands in {first}")
            yield result


Reader = Callable[[], Iterator[Utterance | Rejected]]


def _spread(read: Reader, max_clips: int | None, left_out: dict[str, int], name: str) -> Reader:
    """`max_clips` of the rows, as many of each (speaker, language) as of any other while they last; order is kept.

    The corpus is read twice, so that no more than the counts is remembered. left_out: takes, under `name`, how many others there are.
    """
    if max_clips is None:
        return read

    def chosen() -> Iterator[Utterance | Rejected]:
        sizes = Counter((row.speaker, row.language) for row in read() if isinstance(row, Utterance))
        shares, left = {}, max_clips
        for position, (group, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
            shares[group] = min(left // (len(sizes) - position), size)
            left -= shares[group]
        left_out[name] = sizes.total() - sum(shares.values())
        seen, taken = Counter(), Counter()
        for row in read():
            if isinstance(row, Utterance):
                group = (row.speaker, row.language)
                place, share = seen[group], shares[group]
                seen[group] += 1
                # of a group of n, those at 0, n/share, 2n/share, …
                if taken[group] >= share or place != taken[group] * sizes[group] // share:
                    continue
                taken[group] += 1
            yield row

    return chosen
