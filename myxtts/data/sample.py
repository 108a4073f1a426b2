"""The embedded sample: sentences drawn from a small grammar, spoken by eSpeak NG.

The grammar of a language is `<language>.yaml`: `sentences` are templates, and every `<name>` in one is replaced by a draw from
the list `name` under `words`, again and again until none is left.
"""

import ctypes
import multiprocessing
import random
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from myxtts.audio import wave
from myxtts.config import DataError
from myxtts.config.data import SampleConfig
from myxtts.data.manifest import METADATA
from myxtts.text.espeak import espeak_files, open_espeak
from myxtts.text.languages import get_language
from myxtts.text.normalize import normalize

_SEEN_OFTEN = 2  # a held-out sentence is made of words that stand at least so often in other sentences
_CHOICES = 6  # draws of which the one with the rarest words is taken
_WORDS_PER_MINUTE = 165


@dataclass(frozen=True)
class Line:
    """A sentence of the sample and who speaks it."""

    id: str
    text: str
    voice: str
    language: str
    split: str


def make_sample(config: SampleConfig, grammar: Path, out: Path, seed: int) -> dict[str, int]:
    """Writes `out/wavs/*.wav`, `metadata_train.csv` and `metadata_eval.csv` (layout `metadata`); returns clips per split.

    `grammar` is the folder of the grammars. The same arguments give the same bytes. No sentence is spoken twice in a
    language, so an evaluation sentence never stands in the training data. Clips of an earlier sample in `out` are removed.
    Raises DataError when a grammar or voice is missing or too small, eSpeak NG is not installed, or the disk is full.
    """
    library, data = espeak_files("the embedded sample")
    lines = plan_sample(config, grammar, seed)
    for voice in dict.fromkeys(line.voice for line in lines):
        _check_voice(voice, data)
    wavs = Path(out) / "wavs"
    for old in wavs.glob("*.wav"):
        if re.fullmatch(r"[\w-]+_\d{4,}\.wav", old.name):
            old.unlink()
    # one process a voice: the library's sound depends on what it spoke before, so each voice begins afresh
    by_voice = [[line for line in lines if line.voice == voice] for voice in dict.fromkeys(line.voice for line in lines)]
    context = multiprocessing.get_context("spawn")
    workers = min(len(by_voice), multiprocessing.cpu_count())
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        for _ in pool.map(_speak_voice, by_voice, [library] * len(by_voice), [data] * len(by_voice), [wavs] * len(by_voice)):
            pass
    counts = {}
    for split in ("train", "eval"):
        rows = [line for line in lines if line.split == split]
        columns = (f"{r.id}|{r.text}|{normalize(r.text, r.language)}|{r.voice}|{r.language}\n" for r in rows)
        wave.write_atomically(Path(out) / METADATA[split], "".join(columns).encode())
        counts[split] = len(rows)
    return counts


def plan_sample(config: SampleConfig, grammar: Path, seed: int) -> list[Line]:
    """Which voice speaks which sentence, in which split. Pure: needs no eSpeak NG. Raises DataError."""
    voices = list(dict.fromkeys(config.voices))
    shares = dict(zip(voices, _shares(config.sentences, len(voices)), strict=True))
    held_out = dict(zip(voices, _shares(config.held_out, len(voices)), strict=True))
    languages = {voice: get_language(voice.split("+")[0]).code for voice in voices}
    lines: list[Line] = []
    for language in dict.fromkeys(languages.values()):
        speakers = [voice for voice in voices if languages[voice] == language]
        rng = random.Random(f"{seed}/{language}")
        sentences = draw_sentences(load_grammar(Path(grammar), language), sum(shares[v] for v in speakers), rng)
        train, held = _hold_out(sentences, sum(held_out[v] for v in speakers))
        for voice in speakers:
            evaluation, held = held[: held_out[voice]], held[held_out[voice] :]
            taught, train = train[: shares[voice] - held_out[voice]], train[shares[voice] - held_out[voice] :]
            texts = [(text, "train") for text in taught] + [(text, "eval") for text in evaluation]
            name = voice.replace("+", "-")
            lines += [Line(f"{name}_{i:04d}", text, voice, language, split) for i, (text, split) in enumerate(texts, 1)]
    return lines


def load_grammar(folder: Path, language: str) -> dict:
    """Reads and checks a grammar. Raises DataError."""
    path = folder / f"{language}.yaml"
    try:
        grammar = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        sentences, words = grammar["sentences"], grammar["words"]
        names = {name for text in (*sentences, *(t for choices in words.values() for t in choices)) for name in _names(text)}
    except FileNotFoundError:
        raise DataError(f"no grammar {path}: write one like en.yaml beside it, or leave its voices out of data.sample.voices") from None
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no grammar: expected `sentences` (a list) and `words` (lists by name); {error}") from None
    missing = sorted(names - set(words))
    if missing:
        raise DataError(f"{path}: <{missing[0]}> is used, but `words` has no list of that name")
    return grammar


def draw_sentences(grammar: dict, count: int, rng: random.Random) -> list[str]:
    """`count` different sentences, rare words first: each is the one of a few draws whose words were drawn least.

    Raises DataError when the grammar cannot make so many.
    """
    found: dict[str, None] = {}
    seen: Counter[str] = Counter()
    for _ in range(20 * count):
        if len(found) == count:
            break
        draws = [text for text in (_draw(grammar, rng) for _ in range(_CHOICES)) if text and text not in found]
        if draws:
            best = max(draws, key=lambda text: sum(1 / (1 + seen[word]) for word in _words(text)) / len(_words(text)))
            found[best] = None
            seen.update(_words(best))
    if len(found) < count:
        raise DataError(f"the grammar made {len(found)} different sentences, {count} are wanted: lower data.sample.sentences or extend it")
    sentences = list(found)
    rng.shuffle(sentences)
    return sentences


def _draw(grammar: dict, rng: random.Random) -> str:
    """One sentence, or "" where a list gave the same word twice (tea with tea)."""
    text, used = rng.choice(grammar["sentences"]), set()
    while names := _names(text):
        choice = rng.choice(grammar["words"][names[0]])
        if (names[0], choice) in used and not _names(choice):
            return ""
        used.add((names[0], choice))
        text = text.replace(f"<{names[0]}>", choice, 1)
    return text[0].upper() + text[1:]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w\u200c']+", text.lower())


def _names(text: str) -> list[str]:
    return re.findall(r"<(\w+)>", text)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (index < total % parts) for index in range(parts)]


def _hold_out(sentences: list[str], count: int) -> tuple[list[str], list[str]]:
    """(training, held out): the latter made of words that training has often; sentences are in random order already."""
    words = {text: set(_words(text)) for text in sentences}
    seen = Counter(word for text in sentences for word in words[text])
    held: list[str] = []
    for text in sentences:
        if len(held) < count and all(seen[word] > _SEEN_OFTEN for word in words[text]):
            held.append(text)
            seen.subtract(words[text])
    for text in sentences:  # a small sample has no such sentences left
        if len(held) < count and text not in held:
            held.append(text)
    chosen = set(held)
    return [text for text in sentences if text not in chosen], held


def _check_voice(voice: str, data: str) -> None:
    """eSpeak NG takes an unknown variant for none, silently."""
    _, _, variant = voice.partition("+")
    if variant and not (Path(data) / "voices" / "!v" / variant).is_file():
        raise DataError(f"eSpeak NG has no variant {variant!r} (data.sample.voices: {voice!r}); it has f1 to f5, m1 to m8 and others")


def _speak_voice(lines: list[Line], library: str, data: str, wavs: Path) -> None:
    """Speaks and saves one voice's sentences; runs in a process of its own."""
    speaker = _Speaker(library, data, lines[0].voice)
    for line in lines:
        wave.save(wavs / f"{line.id}.wav", speaker.speak(line.text), speaker.sample_rate)


class _Speaker:
    """One voice of eSpeak NG, called through ctypes (speak_lib.h)."""

    _RATE, _UTF8 = 1, 1

    def __init__(self, library: str, data: str, voice: str):
        self._espeak, self.sample_rate = open_espeak(library, data)
        self._espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # its noises are random, seeded with the clock
        self._chunks: list[bytes] = []
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = callback(self._receive)  # kept: the library calls it later
        self._espeak.espeak_SetSynthCallback(self._callback)
        if self._espeak.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"eSpeak NG has no voice {voice!r}: correct data.sample.voices (en-us, en-gb, fa, ... with +f3 and the like)")
        self._espeak.espeak_SetParameter(self._RATE, _WORDS_PER_MINUTE, 0)

    def _receive(self, samples: int | None, count: int, _events: int) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, text: str) -> np.ndarray:
        """Text -> wave (N,) at `sample_rate`."""
        self._chunks.clear()
        encoded = text.encode()
        status = self._espeak.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, self._UTF8, None, None)
        if status != 0 or not self._chunks:
            raise DataError(f"eSpeak NG could not speak {text!r} (status {status})")
        return np.frombuffer(b"".join(self._chunks), dtype=np.int16).astype(np.float32) / 32768
