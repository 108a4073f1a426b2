"""processed -> tokens: codes of the audio tokenizer, token ids of the text, reference mels of every clip."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from myxtts.audio.mel import conditioning_mel, fit_frames, log_mel_numpy, speaker_mel
from myxtts.config import DataError, XTTSConfig
from myxtts.data.bars import bar
from myxtts.data.manifest import Rejected, Utterance, corpus_weights, counted, read_split, write_rejected
from myxtts.data.records import RecordFile, mel_schema, read_records, token_schema, write_records
from myxtts.data.waves import SPLITS, waves
from myxtts.models.dvae import DVAE
from myxtts.text.tokenizer import Tokenizer, name_characters

COLLAPSED = 0.1  # share of the codebook below which it is of no use


@dataclass(frozen=True)
class IndexRow:
    """What the batch path must know of a clip without reading its record."""

    id: str
    audio: str  # relative to the folder of the index
    speaker: str
    language: str
    text_length: int
    code_length: int
    text: str = ""  # as it was written, for people to read
    weight: float = 1.0  # of its corpus: how often it is trained on, compared with others


def prompt_frames(config: XTTSConfig) -> int:
    """Frames of the reference mel that the GPT is conditioned on."""
    mel = conditioning_mel(config.model.audio)
    return 1 + int(config.encode.prompt_seconds * mel.sample_rate) // mel.hop_length


def speaker_frames(config: XTTSConfig) -> int:
    """Frames of the reference mel that the speaker encoder hears."""
    mel = speaker_mel(config.model.speaker_encoder)
    return 1 + int(config.encode.prompt_seconds * mel.sample_rate) // mel.hop_length


def encode(config: XTTSConfig, processed: Path, mels: Path, tokenizer: Tokenizer, dvae: DVAE, out: Path) -> dict[str, float]:
    """Writes for each split `<split>.tfrecord`, `<split>_index.json`, `<split>_prompts.npy` (rows, F, M) and `<split>_speakers.npy`.

    A prompt is kept un-padded in time: a clip shorter than the prompt is repeated, so no network ever sees padding in a
    reference (the reference implementation's zero padding shifts its GroupNorm statistics).
    Clips whose text has characters that the tokenizer does not know, or whose text or codes exceed the model's limits, go to
    `rejected.csv`. Raises DataError if no training clip is left.
    """
    out.mkdir(parents=True, exist_ok=True)
    mel_norm = np.load(mels / "mel_norm.npy")
    rejected: list[Rejected] = []
    report: dict[str, float] = {}
    weights = corpus_weights(processed)
    for split in SPLITS:
        rows = read_split(processed, split)
        shifts = config.encode.shifts if split == "train" else 1
        codes = list(_codes(rows, mels / f"{split}.tfrecord", dvae, mel_norm, shifts))
        kept, records = _select(config, rows, codes, tokenizer, rejected, weights)
        if kept and split == "train" and config.encode.align:
            report |= _align(config, rows, kept, records, mels, mel_norm, tokenizer.size)
        kept = [replace(row, audio=os.path.relpath(processed / row.audio, out)) for row in kept]
        if not kept and split == "train":
            write_rejected(out / "rejected.csv", rejected)
            reasons = counted(dict(sorted(Counter(row.reason for row in rejected).items())))
            raise DataError(
                f"no training clip fits the model ({reasons}): see {out / 'rejected.csv'}; too long: raise model.gpt.max_text_tokens or "
                "max_audio_tokens; unknown_token: correct the texts or their language"
            )
        write_records(out / f"{split}.tfrecord", token_schema(), records)
        (out / f"{split}_index.json").write_text(json.dumps([asdict(row) for row in kept], ensure_ascii=False, indent=0), encoding="utf-8")
        _write_references(config, kept, mel_norm, out, split)
        report |= _split_report(split, kept, records, config)
    _warn_of_few_codes(report["train/codes_used"], config)
    write_rejected(out / "rejected.csv", rejected)
    marks = {"start_id": tokenizer.start_id, "stop_id": tokenizer.stop_id, "space_id": tokenizer.space_id}
    (out / "text.json").write_text(json.dumps(marks), encoding="utf-8")
    report["rejected"] = len(rejected)
    return report


def _warn_of_few_codes(used: float, config: XTTSConfig) -> None:
    codes = config.model.dvae.num_codes
    if used >= COLLAPSED * codes:
        return
    fault, remedy = "has collapsed", "train the dvae longer, or on more varied speech"
    if "dvae" in config.start.frozen:  # nothing here trains it
        fault = f"of {config.start.model} has collapsed, or does not fit this speech"
        remedy = "was it imported with the --dvae and --mel-stats that belong to it, and is the corpus more than a few clips?"
    print(
        f"warning: only {used} of {codes} codes are used: the audio tokenizer {fault}, and what is trained on its codes means nothing; "
        f"{remedy}"
    )


def read_index(tokens: Path, split: str) -> list[IndexRow]:
    """The index of one split. Raises DataError if it is missing."""
    path = tokens / f"{split}_index.json"
    if not path.is_file():
        raise DataError(f"no {path.name} in {tokens}: run the encode stage (dvc repro encode)")
    return [IndexRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def read_text_marks(tokens: Path) -> tuple[int, int]:
    """(start, stop) ids of the text tokens that `tokens` was made with."""
    marks = _read_marks(tokens)
    return marks["start_id"], marks["stop_id"]


def read_space(tokens: Path) -> int:
    """The id of the token between words."""
    return _read_marks(tokens)["space_id"]


def _read_marks(tokens: Path) -> dict[str, int]:
    return json.loads((tokens / "text.json").read_text(encoding="utf-8"))


def rows_by_speaker(index: list[IndexRow]) -> dict[str, list[int]]:
    """Row numbers of each speaker's clips, speakers sorted by name."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(index):
        groups[row.speaker].append(number)
    return dict(sorted(groups.items()))


def _codes(rows: list[Utterance], path: Path, dvae: DVAE, mel_norm: np.ndarray, shifts: int) -> Iterator[np.ndarray]:
    """Yields codes (shifts, S) of each clip, counted from its start and from later frames of its first code.

    Clips are padded to a multiple of 64 frames so that few shapes are compiled.
    """
    import tensorflow as tf

    step = 64
    compiled = tf.function(dvae.encode, reduce_retracing=False)
    per_code = dvae.config.frames_per_code
    for record in bar(read_records(path, mel_schema(len(mel_norm))), "codes", "clip", len(rows)):
        mel = record["mel"].astype(np.float32) / mel_norm
        frames = len(mel)
        padded = np.pad(mel, ((0, -frames % step), (0, 0)), mode="edge")
        places = np.arange(len(padded)) + (np.arange(shifts) * per_code // shifts)[:, None]
        yield np.asarray(compiled(padded[np.minimum(places, len(padded) - 1)]))[:, : -(-frames // per_code)]


def _select(
    config: XTTSConfig,
    rows: list[Utterance],
    codes: list[np.ndarray],
    tokenizer: Tokenizer,
    rejected: list[Rejected],
    weights: Mapping[str, float],
) -> tuple[list[IndexRow], list[dict[str, np.ndarray]]]:
    limits = config.model.gpt
    kept, records = [], []
    for row, clip_codes in zip(rows, codes, strict=True):
        text_ids = tokenizer.encode(row.normalized, row.language)
        if tokenizer.unknown_id in text_ids:
            # the model never hears what such a character sounds like: it would learn that [UNK] is said in any way
            named = name_characters(tokenizer.unknown_characters(row.normalized, row.language))
            rejected.append(Rejected(row.id, row.audio, "unknown_token", f"the tokenizer does not know {named}; expected letters it knows"))
        elif len(text_ids) + 2 > limits.max_text_tokens:
            rejected.append(
                Rejected(row.id, row.audio, "text_too_long", f"{len(text_ids)} tokens; max_text_tokens {limits.max_text_tokens}")
            )
        elif clip_codes.shape[1] + 2 > limits.max_audio_tokens:
            detail = f"{clip_codes.shape[1]} codes; max_audio_tokens {limits.max_audio_tokens}"
            rejected.append(Rejected(row.id, row.audio, "audio_too_long", detail))
        else:
            nothing = np.zeros(0, np.int32)
            spelt = {"codes": clip_codes[0], "shifted": clip_codes[1:].ravel()}
            records.append({"text_ids": text_ids, **spelt, "places": nothing, "row": len(kept)})
            lengths = len(text_ids), clip_codes.shape[1]
            kept.append(IndexRow(row.id, row.audio, row.speaker, row.language, *lengths, row.text, weights.get(row.corpus, 1.0)))
    return kept, records


def _align(
    config: XTTSConfig, rows: list[Utterance], kept: list[IndexRow], records: list[dict], mels: Path, mel_norm: np.ndarray, tokens: int
) -> dict[str, float]:
    """Finds `places` of the records of the clips `kept` of training clips `rows`. Returns what the report says of it."""
    import keras

    from myxtts.data.places import Places

    keras.utils.set_random_seed(config.seed)
    number_of = {row.id: number for number, row in enumerate(rows)}
    texts = [np.asarray(record["text_ids"], np.int32) for record in records]
    file = RecordFile(mels / "train.tfrecord", mel_schema(len(mel_norm)))
    places = Places(file, [number_of[row.id] for row in kept], texts, mel_norm, config.model.dvae.frames_per_code, tokens)
    loss = places.learn([row.code_length for row in kept], config.seed)
    for record, found in zip(records, places, strict=True):
        record["places"] = found
    aligned = sum(len(record["places"]) > 0 for record in records)
    if aligned < len(records):
        print(f"align: {len(records) - aligned} of {len(records)} training clips have more text tokens than codes: no places for them")
    return {"align/clips": aligned} | ({"align/loss": loss} if aligned else {})


def _write_references(config: XTTSConfig, kept: list[IndexRow], mel_norm: np.ndarray, out: Path, split: str) -> None:
    """The two reference mels of each clip, in memory-mapped arrays: any row can be read without the others."""
    prompt_config, speaker_config = conditioning_mel(config.model.audio), speaker_mel(config.model.speaker_encoder)
    shapes = {
        "prompts": (len(kept), prompt_frames(config), prompt_config.num_mels),
        "speakers": (len(kept), speaker_frames(config), speaker_config.num_mels),
    }
    arrays = {
        name: np.lib.format.open_memmap(out / f"{split}_{name}.npy", mode="w+", dtype=np.float16, shape=shape)
        for name, shape in shapes.items()
    }
    low, high = waves(kept, out, speaker_config.sample_rate), waves(kept, out, prompt_config.sample_rate)
    for number, (wave_16k, wave) in enumerate(zip(bar(low, f"references {split}", "clip", len(kept)), high, strict=True)):
        arrays["prompts"][number] = fit_frames(log_mel_numpy(wave, prompt_config) / mel_norm, shapes["prompts"][1])
        arrays["speakers"][number] = fit_frames(log_mel_numpy(wave_16k, speaker_config), shapes["speakers"][1])
    for array in arrays.values():
        array.flush()


def _split_report(split: str, kept: list[IndexRow], records: list[dict], config: XTTSConfig) -> dict[str, float]:
    if not kept:
        return {f"{split}/clips": 0}
    histogram = np.bincount(np.concatenate([record["codes"] for record in records]), minlength=config.model.dvae.num_codes)
    share = histogram / histogram.sum()
    used = share[share > 0]
    return {
        f"{split}/clips": len(kept),
        f"{split}/speakers": len({row.speaker for row in kept}),
        f"{split}/codes": int(histogram.sum()),
        f"{split}/codes_used": int((histogram > 0).sum()),
        f"{split}/code_perplexity": float(np.exp(-np.sum(used * np.log(used)))),
        f"{split}/longest_text": max(row.text_length for row in kept),
        f"{split}/longest_codes": max(row.code_length for row in kept),
    }
