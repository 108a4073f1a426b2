import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import DataError
from myxtts.data.batches import Bucket, crop_frames, dvae_batches, gpt_batches, plan_buckets
from myxtts.data.encode import read_index
from myxtts.data.records import mel_schema, read_records


def collect(dataset) -> list[dict[str, np.ndarray]]:
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def same(a: list[dict], b: list[dict]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x[name], y[name]) for x, y in zip(a, b, strict=True) for name in x)


def test_every_clip_comes_once_an_epoch_and_its_text_with_its_codes(config, tokens):
    index = read_index(tokens, "train")
    seen = []
    for batch in collect(gpt_batches(config, tokens, "train", 4, 2, training=True).epoch(0)):
        for row in range(4):
            length = batch["code_lengths"][row]
            if length:
                seen.append(length)
                assert (batch["codes"][row, length:] == 0).all()
                match = next(item for item in index if item.code_length == length)
                assert batch["text_lengths"][row] == match.text_length
            else:
                assert batch["text_lengths"][row] == 0
    assert sorted(seen) == sorted(row.code_length for row in index)


def test_shapes_are_static_one_per_bucket_and_counted(config, tokens):
    batches = gpt_batches(config, tokens, "train", 4, 2, training=True)
    everything = [collect(batches.epoch(epoch)) for epoch in range(3)]
    shapes = {batch["codes"].shape + batch["text_ids"].shape for epoch in everything for batch in epoch}
    assert len(shapes) == batches.traces == 3
    assert {shape[0] for shape in shapes} == {4}
    assert all(len(epoch) == batches.per_epoch for epoch in everything)


def test_epochs_differ_but_each_is_the_same_again_and_can_be_entered_in_the_middle(config, tokens):
    batches = gpt_batches(config, tokens, "train", 2, 2, training=True)
    first = collect(batches.epoch(0))
    assert same(first, collect(gpt_batches(config, tokens, "train", 2, 1, training=True).epoch(0)))
    assert same(first[3:], collect(batches.epoch(0, skip=3)))
    assert not same(first, collect(batches.epoch(1)))


def test_the_reference_is_another_clip_of_the_same_speaker(config, tokens):
    index = read_index(tokens, "train")
    batches = gpt_batches(config, tokens, "train", 4, 2, training=True)
    chosen = {}
    for epoch in range(6):
        for batch in collect(batches.epoch(epoch)):
            for row in np.flatnonzero(batch["code_lengths"]):
                target = next(n for n, item in enumerate(index) if item.code_length == batch["code_lengths"][row])
                reference = int(batch["prompt"][row, 0, 0])
                assert index[reference].speaker == index[target].speaker
                alone = index[target].speaker == "cyd"
                assert (reference == target) == alone
                # only a clip that is its own prompt has codes to mask
                assert (batch["prompt_span"][row].tolist() == [0, 0]) == (not alone)
                chosen.setdefault(target, set()).add(reference)
    assert len(chosen[0]) > 1, "the reference never changes"


def test_validation_is_the_same_every_time(config, tokens):
    batches = gpt_batches(config, tokens, "eval", 4, 2, training=False)
    assert same(collect(batches.epoch(0)), collect(batches.epoch(5)))


def test_dvae_crops_are_normalised_pieces_of_clips(config, mels):
    frames = crop_frames(config)
    assert frames % config.model.dvae.frames_per_code == 0
    clips = [record["mel"].astype(np.float32) / 2.0 for record in read_records(mels / "train.tfrecord", mel_schema(80))]
    batch = collect(dvae_batches(config, mels, "train", 8, 2, training=True).epoch(0))[0]
    assert batch["mel"].shape == (8, frames, 80)
    assert sorted(batch["lengths"]) == [0, 0, 0, 9, *[frames] * 4]
    for mel, length in zip(batch["mel"], batch["lengths"], strict=True):
        assert not length or (mel[length:] == mel[length - 1]).all()
        places = [
            (c, s)
            for c in range(len(clips))
            for s in range(len(clips[c]) - length + 1)
            if np.array_equal(clips[c][s : s + length], mel[:length])
        ]
        assert places or not length
    again = collect(dvae_batches(config, mels, "train", 8, 1, training=True).epoch(1))[0]
    assert not np.array_equal(batch["mel"], again["mel"])


def test_buckets_hold_every_clip():
    codes, text = np.array([5, 9, 17, 40, 41, 80]), np.array([3, 30, 4, 9, 9, 12])
    buckets = plan_buckets(codes, text, 3, Bucket(600, 400))
    assert buckets == [Bucket(24, 32), Bucket(48, 16), Bucket(80, 16)]
    assert plan_buckets(np.array([7, 7]), np.array([2, 3]), 4, Bucket(600, 400)) == [Bucket(8, 8)]


def test_no_bucket_is_wider_than_the_model():
    assert plan_buckets(np.array([81, 82]), np.array([33, 34]), 1, Bucket(83, 35)) == [Bucket(83, 35)]


def test_missing_and_empty_records_say_what_to_do(config, tmp_path, mels):
    with pytest.raises(DataError, match="run the encode stage"):
        gpt_batches(config, tmp_path, "train", 4, 1, training=True)
    np.save(tmp_path / "mel_norm.npy", np.ones(80, np.float32))
    with tf.io.TFRecordWriter(str(tmp_path / "eval.tfrecord")):
        pass
    with pytest.raises(DataError, match="holds no clip"):
        dvae_batches(config, tmp_path, "eval", 4, 1, training=False)
