import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from myxtts.config import DataError
from myxtts.data.batches import Flow, crop_frames, decoder_batches, dvae_batches, one_ahead
from myxtts.data.encode import read_index
from myxtts.data.gpt_batches import gpt_batches
from myxtts.data.records import latent_schema, mel_schema, read_records, write_records


def collect(dataset) -> list[dict[str, np.ndarray]]:
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def same(a: list[dict], b: list[dict]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x[name], y[name]) for x, y in zip(a, b, strict=True) for name in x)


def test_every_clip_comes_once_an_epoch_and_its_text_with_its_codes(config, tokens):
    index = read_index(tokens, "train")
    seen = []
    for batch in collect(gpt_batches(config, tokens, "train", 4, training=True, flow=Flow(2)).epoch(0)):
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
    batches = gpt_batches(config, tokens, "train", 4, training=True, flow=Flow(2))
    everything = [collect(batches.epoch(epoch)) for epoch in range(3)]
    shapes = {batch["codes"].shape + batch["text_ids"].shape for epoch in everything for batch in epoch}
    assert 1 < len(shapes) == batches.traces <= 3
    assert {shape[0] for shape in shapes} == {4}
    assert all(len(epoch) == batches.per_epoch for epoch in everything)


def test_epochs_differ_but_each_is_the_same_again_and_can_be_entered_in_the_middle(config, tokens):
    batches = gpt_batches(config, tokens, "train", 2, training=True, flow=Flow(2))
    first = collect(batches.epoch(0))
    assert same(first, collect(gpt_batches(config, tokens, "train", 2, training=True).epoch(0)))
    assert same(first[3:], collect(batches.epoch(0, skip=3)))
    assert not same(first, collect(batches.epoch(1)))


def test_the_reference_is_another_clip_of_the_same_speaker(config, tokens):
    index = read_index(tokens, "train")
    batches = gpt_batches(config, tokens, "train", 4, training=True, flow=Flow(2))
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
    batches = gpt_batches(config, tokens, "eval", 4, training=False, flow=Flow(2))
    assert same(collect(batches.epoch(0)), collect(batches.epoch(5)))


def test_dvae_crops_are_normalised_pieces_of_clips(config, mels):
    frames = crop_frames(config)
    assert frames % config.model.dvae.frames_per_code == 0
    clips = [record["mel"].astype(np.float32) / 2.0 for record in read_records(mels / "train.tfrecord", mel_schema(80))]
    batch = collect(dvae_batches(config, mels, "train", 8, training=True, flow=Flow(2)).epoch(0))[0]
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
    again = collect(dvae_batches(config, mels, "train", 8, training=True).epoch(1))[0]
    assert not np.array_equal(batch["mel"], again["mel"])


def test_missing_and_empty_records_say_what_to_do(config, tmp_path, mels):
    with pytest.raises(DataError, match="run the encode stage"):
        gpt_batches(config, tmp_path, "train", 4, training=True)
    np.save(tmp_path / "mel_norm.npy", np.ones(80, np.float32))
    with tf.io.TFRecordWriter(str(tmp_path / "eval.tfrecord")):
        pass
    with pytest.raises(DataError, match="holds no clip"):
        dvae_batches(config, tmp_path, "eval", 4, training=False)


def test_shards_of_a_batch_make_the_whole_one_and_nothing_is_read_twice(config, tokens):
    whole = gpt_batches(config, tokens, "train", 4, training=True)
    parts = [gpt_batches(config, tokens, "train", 4, training=True, flow=Flow(shard=(index, 2))) for index in range(2)]
    seen = []
    for number in range(whole.per_epoch):
        halves = [part.load(number) for part in parts]
        for name, value in whole.load(number).items():
            np.testing.assert_array_equal(value, np.concatenate([half[name] for half in halves]))
        seen += [int(row) for half in halves for row, length in zip(half["row"], half["code_lengths"], strict=True) if length]
    assert sorted(seen) == list(range(whole.num_examples))


def test_iterating_again_gives_the_next_epoch_and_a_stream_goes_on_over_epochs(config, tokens):
    batches = gpt_batches(config, tokens, "train", 2, training=True)
    first, second = list(batches), list(batches)
    assert not same(collect(first), collect(second))
    stream = collect(batches.stream(3, 2 * len(batches)))
    assert same(stream, collect(first)[3:] + collect(second))


def test_audio_of_a_batch_counts_real_clips_alone(config, tokens):
    batches = gpt_batches(config, tokens, "train", 4, training=True)
    for number, batch in enumerate(batches):
        seconds = float(tf.reduce_sum(batch["code_lengths"])) / config.model.codes_per_second
        assert batches.seconds(number) == pytest.approx(seconds, rel=1e-6)
    assert 0 < batches.examples.padding < 0.5


def test_the_widest_batch(config, tokens):
    batches = gpt_batches(config, tokens, "train", 4, training=True)
    shapes = [batches.load(number)["codes"].shape[1] for number in range(len(batches))]
    assert batches.load(batches.widest())["codes"].shape[1] == max(shapes)


def test_no_stream_leaves_a_tuner_behind_that_its_end_waits_for(config, tokens):
    batches = gpt_batches(config, tokens, "train", 2, training=True)
    for dataset in (batches.epoch(0), batches.stream(0, 1)):
        assert dataset.options().autotune.enabled is False


def test_one_ahead_gives_every_batch_once_in_order_and_passes_errors_on():
    taken = []

    def batches():
        for number in range(4):
            taken.append(number)
            yield {"number": number}
        raise DataError("a damaged record")

    given = []
    with pytest.raises(DataError, match="damaged"):
        for batch in one_ahead(batches()):
            given.append(batch["number"])
    assert given == taken == [0, 1, 2, 3]
    assert next(one_ahead(batches())) == {"number": 0}
    assert list(one_ahead([])) == []
    assert list(one_ahead([{"a": 1}, {"a": 2}])) == [{"a": 1}, {"a": 2}]


@pytest.fixture
def weighted(tokens, tmp_path):
    """The same clips, each of a corpus whose weight is 3, 1, 0.5, 3, …"""
    shutil.copytree(tokens, tmp_path / "tokens")
    path = tmp_path / "tokens" / "train_index.json"
    rows = json.loads(path.read_text())
    for number, row in enumerate(rows):
        row["weight"] = (3.0, 1.0, 0.5)[number % 3]
    path.write_text(json.dumps(rows))
    return tmp_path / "tokens"


def test_weights_of_the_index_say_how_often_a_clip_is_trained_on(config, weighted):
    batches = gpt_batches(config, weighted, "train", 4, training=True)
    assert len(batches) == 3 and batches.num_examples == 11
    seen = np.zeros(11)
    for number in range(40 * len(batches)):
        batch = batches.load(number)
        np.add.at(seen, batch["row"][batch["code_lengths"] > 0], 1 / 40)
    assert seen.sum() == pytest.approx(11)
    np.testing.assert_allclose(seen, batches.examples.times, atol=0.25)
    assert seen[::3].mean() > 2 * seen[1::3].mean() > 3 * seen[2::3].mean()
    later = gpt_batches(config, weighted, "train", 4, training=True).load(100)
    assert all(np.array_equal(value, later[name]) for name, value in batches.load(100).items())  # entered in the middle
    assert batches.weighting() != gpt_batches(config, weighted.parent / "tokens", "eval", 4, training=True).weighting()
    held_out = gpt_batches(config, weighted, "train", 4, training=False)
    assert held_out.examples.times is None and held_out.weighting() == {"corpus_weights": "equal"}


def test_weights_hold_for_the_audio_tokenizer_too(config, mels, tmp_path):
    shutil.copytree(mels, tmp_path / "mels")
    assert dvae_batches(config, mels, "train", 2, training=True).examples.times is None
    np.save(tmp_path / "mels" / "train_weights.npy", np.array([2, 1, 1, 0.5, 0.5], np.float32))
    np.testing.assert_allclose(dvae_batches(config, tmp_path / "mels", "train", 2, training=True).examples.times, [2, 1, 1, 0.5, 0.5])
    assert dvae_batches(config, tmp_path / "mels", "train", 2, training=False).examples.times is None


def test_weights_hold_for_the_decoder_too_whatever_order_its_records_are_in(config, weighted, tmp_path):
    latents, order = tmp_path / "latents", np.arange(11)[::-1]
    index, width = read_index(weighted, "train"), config.model.gpt.dim
    records = ({"latents": np.zeros((index[n].code_length, width)), "row": n, "path": "x.wav"} for n in order)
    write_records(latents / "train.tfrecord", latent_schema(width), records)
    np.save(latents / "train_rows.npy", order)
    batches = decoder_batches(config, latents, weighted, "train", 64, 4, training=True)
    usable = [n for n in order if index[n].code_length >= config.training.decoder.segment_codes]
    weights = np.array([index[n].weight for n in usable])
    np.testing.assert_allclose(batches.examples.times, weights * len(weights) / weights.sum())
    assert decoder_batches(config, latents, weighted, "train", 64, 4, training=False).examples.times is None
