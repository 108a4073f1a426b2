"""BPE tokenizer in the format of XTTS v2 (a Hugging Face `tokenizers` JSON).

A text becomes `[lang]`, then its words in BPE, with `[SPACE]` between them. The GPT adds `[START]` and `[STOP]` itself.
The ids are those of the reference implementation's `VoiceBpeTokenizer` for the same (cleaned) text, but for a literal "[STOP]",
"[SPACE]" or "[en]" in it: the reference takes it for the token, we spell it like any word.

The words are those of the text, or with `units="phones"` their phones in IPA (`myxtts.text.phones`), which the mark `[PHONES]` in the
vocabulary tells: no other program reads texts by such a file alone.

A tokenizer can be extended by languages (`Tokenizer.extend`). Those it knew before keep their ids to the last one: they are
encoded with the vocabulary and the merges of before, although the new languages may share their letters.
"""

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer as BPETokenizer
from tokenizers import models, pre_tokenizers, trainers

from myxtts.config import DataError, ModelError
from myxtts.text import extension
from myxtts.text.languages import LANGUAGES, get_language
from myxtts.text.phones import phones
from myxtts.text.sampling import balance_words, count_words

STOP, UNKNOWN, SPACE, START = "[STOP]", "[UNK]", "[SPACE]", "[START]"
_CONTROL = (STOP, UNKNOWN, SPACE, START)
_PHONES = "[PHONES]"
Units = Literal["letters", "phones"]
_MIN_FREQUENCY = 2  # a pair seen once teaches nothing
_CHUNK = 1000  # times a word is handed to the trainer at once


class Tokenizer:
    """Text <-> token ids. Text is expected normalised (`myxtts.text.normalize`); a character never trained on is `[UNK]`."""

    def __init__(self, bpe: BPETokenizer):
        vocabulary = bpe.get_vocab(with_added_tokens=True)
        missing = [token for token in _CONTROL if token not in vocabulary]
        if missing:
            raise ModelError(f"this is no XTTS tokenizer: expected the tokens {', '.join(_CONTROL)}, missing {', '.join(missing)}")
        self._bpe = _spelling(bpe)
        self._markers = extension.markers(vocabulary)
        content = json.loads(bpe.to_str()) if self._markers else {}
        self._before = {marker: _spelling(_from_content(extension.before(content, marker))) for marker in self._markers}
        self._vocabulary = vocabulary
        self.units: Units = "phones" if _PHONES in vocabulary else "letters"
        self._tokens = {index: token for token, index in vocabulary.items()}
        added = {token.content for token in bpe.get_added_tokens_decoder().values()} - {*_CONTROL, _PHONES}
        tags = {
            token[1:-1]: vocabulary[token] for token in added if re.fullmatch(r"\[[^\[\]]+\]", token) and not extension.is_marker(token)
        }
        self.languages: tuple[str, ...] = tuple(sorted(tags.keys() & LANGUAGES.keys()))
        self.other_tags: tuple[str, ...] = tuple(sorted(tags.keys() - LANGUAGES.keys()))  # of languages unknown here, or of none: `[PAD]`
        unspoken = {vocabulary[token] for token in (STOP, START, _PHONES) if token in vocabulary}
        self._control = unspoken | set(self._markers) | set(tags.values())

    @classmethod
    def train(cls, rows: Iterable[tuple[str, str]], vocab_size: int, balance: float = 0.5, units: Units = "letters") -> "Tokenizer":
        """Learns BPE from (normalised text, language) rows; the order of the rows does not matter.

        balance: exponent by which the languages' shares are evened out (`balance_words`); 1 = as they are in the rows.
        units: what is learnt from: the texts' letters, or their phones.

        `vocab_size` is an upper bound on `size`: a small corpus runs out of pairs first. Every character of the rows is
        in the vocabulary, so none of them is `[UNK]`. Raises DataError for no rows, or a bound too small for the characters.
        """
        counts = count_words((_in_units(text, language, units), language) for text, language in rows)
        if not any(counts.values()):
            raise DataError("no text to train a tokenizer on: expected rows of (normalised text, language)")
        special = [*_CONTROL, *[_PHONES] * (units == "phones"), *(f"[{language}]" for language in sorted(counts))]
        bpe = BPETokenizer(models.BPE(unk_token=UNKNOWN))
        bpe.pre_tokenizer = pre_tokenizers.Whitespace()
        alphabet = {
            character
            for words in counts.values()
            for word in words
            for piece, _ in bpe.pre_tokenizer.pre_tokenize_str(word)
            for character in piece
        }
        if len(alphabet) + len(special) > vocab_size:
            raise DataError(
                f"a vocabulary of {vocab_size} tokens cannot hold the corpus' {len(alphabet)} characters and {len(special)} special "
                f"tokens; set model.num_text_tokens to at least {len(alphabet) + len(special)} (some hundreds more for words)"
            )
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=special,
            min_frequency=_MIN_FREQUENCY,
            show_progress=False,
            initial_alphabet=sorted(alphabet),
        )
        words = sorted(balance_words(counts, balance).items())
        repeated = (" ".join([word] * min(_CHUNK, count - start)) for word, count in words for start in range(0, count, _CHUNK))
        bpe.train_from_iterator(repeated, trainer)
        return cls(bpe)

    def extend(self, rows: Iterable[tuple[str, str]], size: int, balance: float = 0.5) -> "Tokenizer":
        """A tokenizer that knows the new languages of (normalised text, language) rows too; old ids and old encodings stay.

        Above the highest id come one marker, the languages' tags, the characters that were missing, and tokens of BPE merges
        learnt from the rows as the old vocabulary divides them. `size` is an upper bound on the new `size`. Rows in languages
        that the tokenizer knows teach it nothing; the order of rows does not matter. balance: as in `train`, among the new languages.
        Raises DataError for no row in a new language, or a bound that cannot hold marker, tags and characters.
        """
        new = ((text, language) for text, language in rows if get_language(language).code not in self.languages)
        counts = count_words((_in_units(text, language, self.units), language) for text, language in new)
        if not counts:
            raise DataError(f"no row is in a new language: the tokenizer knows {', '.join(self.languages)} already; expected others")
        known = set("".join(word for words in counts.values() for word in words))
        pieces: Counter[str] = Counter()
        for word, count in balance_words(counts, balance).items():
            for piece, _ in self._bpe.pre_tokenizer.pre_tokenize_str(word):
                pieces[piece] += count
        special = [f"[EXTENSION {len(self._markers) + 1}]", *(f"[{code}]" for code in sorted(counts))]
        characters = sorted(character for character in known - set(self._vocabulary) if not character.isspace())
        budget = size - self.size - len(special) - len(characters)
        if budget < 0:
            raise DataError(
                f"a vocabulary of {size} tokens cannot hold the {self.size} of before, {len(special)} special tokens and "
                f"{len(characters)} new characters; set model.num_text_tokens to at least {size - budget} (some hundreds more for words)"
            )
        content = json.loads(self._bpe.to_str())
        spelled = extension.extend(content, special, characters, [])
        divided: Counter[tuple[str, ...]] = Counter()
        for encoding, count in zip(_spelling(_from_content(spelled)).encode_batch(list(pieces)), pieces.values(), strict=True):
            divided[tuple(encoding.tokens)] += count
        merges = extension.learn_merges(divided, spelled["model"]["vocab"], budget, _MIN_FREQUENCY)
        return Tokenizer(_from_content(extension.extend(content, special, characters, merges)))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Tokenizer":
        """Reads a tokenizer.json of this project or of XTTS. Raises ModelError when it is missing or not one."""
        path = Path(path)
        try:
            content = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ModelError(f"no tokenizer at {path}: train one (dvc repro tokenizer) or correct the path") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"cannot read {path}: {error}; expected a tokenizer.json") from None
        try:
            bpe = BPETokenizer.from_str(content)
        except Exception as error:
            raise ModelError(f"{path} is not a tokenizer.json of Hugging Face `tokenizers`: {error}") from None
        return cls(bpe)

    def save(self, path: str | os.PathLike) -> None:
        """Writes tokenizer.json, whole or not at all; equal tokenizers give equal bytes. Raises ModelError."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(self._bpe.to_str(pretty=True), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise ModelError(f"cannot write {path}: {error.strerror or error}; free space or make the folder writable") from None

    def encode(self, normalized_text: str, language: str) -> list[int]:
        """Ids of `[lang]` and the text, without `[START]` and `[STOP]`. Raises DataError for a language it was not trained on.

        Where `units` are phones, also where eSpeak NG is not installed.
        """
        code = get_language(language).code
        if code not in self.languages:
            raise DataError(
                f"the tokenizer does not know the language {code!r}; it was trained on {', '.join(self.languages) or 'none'}: "
                "train it again on a corpus with that language"
            )
        ids = [self.tag_id(code)]
        words = _in_units(normalized_text, code, self.units).split(" ")
        for index, encoding in enumerate(self._reader(code).encode_batch(words)):
            if index:
                ids.append(self._vocabulary[SPACE])
            ids.extend(encoding.ids)
        return ids

    def plain(self, code: str) -> str:
        """A tokenizer.json with which `tokenizers` alone encodes the words of a language as here: that of when its tag was the newest."""
        return self._reader(code).to_str(pretty=True)

    def _reader(self, code: str) -> BPETokenizer:
        """A language is encoded as when its tag was the newest."""
        tag = self.tag_id(code)
        return next((self._before[marker] for marker in self._markers if tag < marker), self._bpe)

    def tag_id(self, code: str) -> int:
        """The id of `[code]`, for one of `languages`."""
        return self._vocabulary[f"[{code}]"]

    def unknown_characters(self, normalized_text: str, language: str) -> list[str]:
        """The characters of a text, or of its phones, that become `[UNK]`, in code point order. Raises DataError as `encode` does."""
        code = get_language(language).code
        read = _in_units(normalized_text, code, self.units)
        reader = self._reader(code)
        return sorted(character for character in set(read) if self.unknown_id in reader.encode(character).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; language, start and stop tokens are left out, `[UNK]` becomes U+FFFD. Raises DataError."""
        spoken = {self._vocabulary[SPACE]: " ", self.unknown_id: "\ufffd"}
        parts = []
        for index in map(int, ids):
            if index not in self._tokens:
                raise DataError(f"token id {index} is not in the vocabulary (0..{self.size - 1}): wrong tokenizer for these ids?")
            if index not in self._control:
                parts.append(spoken.get(index, self._tokens[index]))
        return "".join(parts)

    def pieces(self, token_id: int, before: int) -> list[int]:
        """The ids below `before` that a token's text had before an extension: what its embedding may start from the mean of.

        before: the first id of the extension (its marker, the size of the tokenizer before). [UNK]s are left out: a tag, a marker and
        a new character have no pieces. Raises DataError for an id that is no token, or a `before` that is no marker.
        """
        if token_id not in self._tokens:
            raise DataError(f"token id {token_id} is not in the vocabulary (0..{self.size - 1})")
        if before not in self._before:
            expected = ", ".join(map(str, self._markers)) or "none: the tokenizer was never extended"
            raise DataError(f"no extension begins at id {before}; expected one of {expected}")
        if token_id in self._control or self._tokens[token_id] in _CONTROL:
            return []
        return [index for index in self._before[before].encode(self._tokens[token_id]).ids if index != self.unknown_id]

    @property
    def added_languages(self) -> tuple[str, ...]:
        """Those of `languages` that came by an extension."""
        return tuple(language for language in self.languages if self._markers and self.tag_id(language) > min(self._markers))

    @property
    def languages_of_two_readings(self) -> tuple[str, ...]:
        """Languages of before an extension, some of whose texts have other ids where its merges are applied to every language.

        `encode` does not, but other readers of the file do: `tokenizers` itself, and the reference implementation. A language counts
        where a token of a later extension has letters of it alone and was spelled otherwise before.
        """
        return tuple(language for language in self.languages if self._read_otherwise(language))

    def _read_otherwise(self, language: str) -> bool:
        tag, knows = self.tag_id(language), get_language(language).knows
        marker = next((marker for marker in self._markers if tag < marker), self.size)
        later = (self._tokens[index] for index in range(marker, self.size) if index in self._tokens and index not in self._control)
        texts = [text for text in later if all(map(knows, text))]
        return any(self._bpe.encode(text).ids != self._before[marker].encode(text).ids for text in texts)

    @property
    def size(self) -> int:
        """Highest id + 1: the rows an embedding needs (the ids of XTTS have holes)."""
        return max(self._tokens) + 1

    @property
    def space_id(self) -> int:
        return self._vocabulary[SPACE]

    @property
    def start_id(self) -> int:
        return self._vocabulary[START]

    @property
    def stop_id(self) -> int:
        return self._vocabulary[STOP]

    @property
    def unknown_id(self) -> int:
        return self._vocabulary[UNKNOWN]


def name_characters(characters: Iterable[str]) -> str:
    """For a message: 'ő' (U+0151), …; some look alike, others like nothing."""
    return ", ".join(f"{character!r} (U+{ord(character):04X})" for character in characters)


def _in_units(text: str, language: str, units: Units) -> str:
    return phones(text, language) if units == "phones" else text


def _spelling(bpe: BPETokenizer) -> BPETokenizer:
    """A "[STOP]" in a user's text is spelled like any word, never taken for the token."""
    bpe.encode_special_tokens = True
    return bpe


def _from_content(content: dict[str, Any]) -> BPETokenizer:
    return BPETokenizer.from_str(json.dumps(content, ensure_ascii=False))
