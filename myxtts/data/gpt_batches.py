"""Batches of the GPT's training: texts, codes and reference voices of whole clips, and of fragments of them."""

import math
from pathlib import Path

import numpy as np

from myxtts.config import DataError, XTTSConfig
from myxtts.data.batches import ONE_WORKER, Batches, Examples, Flow, References, Values
from myxtts.data.encode import IndexRow, read_index, read_space
from myxtts.data.fragments import Fragment, cut, whole_clip, without_text
from myxtts.data.order import Bucket, padding_share, plan_buckets, times_due
from myxtts.data.records import RecordFile, token_schema


def gpt_buckets(config: XTTSConfig, index: list[IndexRow]) -> list[Bucket]:
    """The buckets of the GPT's batches for the whole clips of one split."""
    return _buckets(config, np.array([row.code_length for row in index]), np.array([row.text_length for row in index]))


def _buckets(config: XTTSConfig, codes: np.ndarray, texts: np.ndarray) -> list[Bucket]:
    return plan_buckets(codes, texts, config.training.gpt.num_buckets, longest_clip(config))


def longest_clip(config: XTTSConfig) -> Bucket:
    """What the model has room for; its limits count the start and stop tokens that it adds."""
    return Bucket(config.model.gpt.max_audio_tokens - 2, config.model.gpt.max_text_tokens - 2)


def _fragments(config: XTTSConfig, tokens: Path, index: list[IndexRow], records: RecordFile, training: bool) -> list[Fragment]:
    """What is trained on: every clip whole, and `training.gpt.fragments` of each. Validation has whole clips."""
    whole = [whole_clip(number, row.text_length, row.code_length) for number, row in enumerate(index)]
    count = config.training.gpt.fragments if training else 0
    return whole + cut(records, read_space(tokens), count, config.seed) if count else whole


def gpt_batches(config: XTTSConfig, tokens: Path, split: str, batch_size: int, training: bool, flow: Flow = ONE_WORKER) -> Batches:
    """Batches of text_ids (B, T), text_lengths, codes (B, S), code_lengths, places (B, S), prompt (B, F, M), prompt_span (B, 2), row (B,).

    Ids carry no start or stop tokens; lengths count what is there. `prompt_span` = codes [start, end) of the example that the prompt
    itself was cut from, (0, 0) where the prompt comes from another clip. `places`: which text id is spoken at each code, -1 = not known.
    In training a share `training.gpt.text_dropout` of the examples has a text of length 0.
    `row`: the clip. For validation also wrong_text_ids, wrong_text_lengths: the text of the next clip in the bucket, whatever batch that
    one is in; length 0 where there is none.
    """
    index = read_index(tokens, split)
    if not index:
        raise DataError(f"no {split} clip in {tokens}: see rejected.csv there")
    records = RecordFile(tokens / f"{split}.tfrecord", token_schema())
    fragments = _fragments(config, tokens, index, records, training)
    codes, texts = (np.array([getattr(fragment, name) for fragment in fragments]) for name in ("codes", "tokens"))
    buckets = _buckets(config, codes, texts)
    bucket_of = np.searchsorted([bucket.codes for bucket in buckets], codes)
    references = References(tokens, split, index, "prompts")
    own_codes = math.ceil(config.encode.prompt_seconds * config.model.codes_per_second)

    def wrong_text(number: int, bucket: int) -> Values:
        members = np.flatnonzero(bucket_of == bucket_of[number])  # its own, whichever it was batched with
        other = int(members[(np.searchsorted(members, number) + 1) % len(members)])
        ids = records[other]["text_ids"] if other != number else np.zeros(0, np.int32)
        return {"wrong_text_ids": _pad(ids, buckets[bucket].text), "wrong_text_lengths": np.int32(len(ids))}

    def example(number: int, draws: np.ndarray, bucket: int) -> Values:
        fragment = fragments[number]
        record, clip = records[fragment.clip], fragment.clip
        reference = references.choose(clip, draws[0])
        own = np.clip(own_codes - fragment.first_code, 0, fragment.codes) if reference == clip else 0
        spellings = 1 + len(record["shifted"]) // max(1, len(record["codes"]))
        spelling, rest = divmod(draws[1] * spellings, 1)  # what is left of a draw is one
        made = fragment.of(record, int(spelling) if training else 0)
        if training and rest < config.training.gpt.text_dropout:
            made = without_text(made)
        values = {} if training else wrong_text(number, bucket)
        return values | {
            "text_ids": _pad(made["text_ids"], buckets[bucket].text),
            "text_lengths": np.int32(len(made["text_ids"])),
            "codes": _pad(made["codes"], buckets[bucket].codes),
            "code_lengths": np.int32(len(made["codes"])),
            "places": _pad(made["places"], buckets[bucket].codes, -1),
            "prompt": references.read(reference),
            "prompt_span": np.array([0, own], np.int32),
            "row": np.int32(clip),
        }

    signature = {"text_ids": ("int32", (None,)), "text_lengths": ("int32", ()), "codes": ("int32", (None,)), "code_lengths": ("int32", ())}
    signature |= {"places": ("int32", (None,)), "prompt": ("float32", references.shape)}
    signature |= {"prompt_span": ("int32", (2,)), "row": ("int32", ())}
    if not training:
        signature |= {"wrong_text_ids": ("int32", (None,)), "wrong_text_lengths": ("int32", ())}
    times = times_due(bucket_of, np.array([index[fragment.clip].weight for fragment in fragments])) if training else None
    padding = padding_share(codes, texts, bucket_of, buckets, batch_size, times)
    examples = Examples(example, bucket_of, signature, codes, 1 / config.model.codes_per_second, padding, times)
    return Batches(examples, batch_size, config.seed, training, flow)


def _pad(ids: np.ndarray, width: int, filler: int = 0) -> np.ndarray:
    return np.pad(ids, (0, width - len(ids)), constant_values=filler)
