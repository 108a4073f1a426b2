"""processed -> tokens: what the GPT cannot learn from is left out by name."""

import numpy as np
import pytest

from myxtts.audio import wave as wave_io
from myxtts.config import DataError, XTTSConfig
from myxtts.data.encode import encode, read_index
from myxtts.data.features import write_mels
from myxtts.data.gpt_batches import gpt_batches
from myxtts.data.manifest import Utterance, read_rejected, write_metadata
from myxtts.data.records import mel_schema, read_records, token_schema
from myxtts.models.dvae import DVAE
from myxtts.text.tokenizer import Tokenizer

KNOWN = "the river runs to the sea"


def tokenizer_of(config, mels):
    """An audio tokenizer whose codebook is what it makes of these clips: a random one may hear one code in all of them."""
    dvae, norm = DVAE(config.model.dvae, config.model.audio.num_mels), np.load(mels / "mel_norm.npy")
    heard = [
        np.asarray(dvae.encode_vectors((record["mel"].astype(np.float32) / norm)[None]))[0]
        for record in read_records(mels / "train.tfrecord", mel_schema(len(norm)))
    ]
    dvae.codebook.assign(np.resize(np.concatenate(heard), dvae.codebook.shape))
    return dvae


@pytest.fixture
def run(config, tmp_path):
    """Encodes clips of noise with these texts, for training and for validation; returns the report."""
    tokenizer = Tokenizer.train([(KNOWN, "en"), ("hallo welt", "de")], 60)

    def run(*texts: str, config: XTTSConfig = config) -> dict[str, float]:
        processed = tmp_path / "processed"
        for split in ("train", "eval"):
            rows = []
            for number, text in enumerate(texts):
                name = f"{split}{number}"
                noise = np.random.default_rng(number).normal(size=12000).astype(np.float32) * 0.1
                (processed / "wavs").mkdir(parents=True, exist_ok=True)
                wave_io.save(processed / "wavs" / f"{name}.wav", noise, 24000)
                rows.append(Utterance(name, f"wavs/{name}.wav", text, text, "ada", "de", 0.5, split, ("", "small")[number % 2]))
            write_metadata(processed / f"metadata_{split}.csv", rows)
        write_mels(config, processed, tmp_path / "mels")
        run.dvae = tokenizer_of(config, tmp_path / "mels")
        return encode(config, processed, tmp_path / "mels", tokenizer, run.dvae, tmp_path / "tokens")

    run.tokenizer, run.tokens = tokenizer, tmp_path / "tokens"
    return run


def test_a_text_with_characters_that_the_tokenizer_lacks_is_rejected_by_their_names(run):
    report = run("hallo welt", "hallő wőltж", KNOWN)
    rejected = read_rejected(run.tokens / "rejected.csv")
    assert [(row.id, row.reason) for row in rejected] == [("train1", "unknown_token"), ("eval1", "unknown_token")]
    assert "'ő' (U+0151), 'ж' (U+0436)" in rejected[0].detail
    assert report["rejected"] == 2 and report["train/clips"] == report["eval/clips"] == 2
    for split in ("train", "eval"):
        records = list(read_records(run.tokens / f"{split}.tfrecord", token_schema()))
        assert [row.id for row in read_index(run.tokens, split)] == [f"{split}0", f"{split}2"]
        assert len(records) == 2 and all(run.tokenizer.unknown_id not in record["text_ids"] for record in records)


def test_each_clip_gets_the_weight_of_its_corpus(run, tmp_path):
    (tmp_path / "processed").mkdir()
    (tmp_path / "processed" / "corpora.json").write_text('{"small": {"weight": 4.0}}')
    run("hallo welt", KNOWN)
    assert [row.weight for row in read_index(run.tokens, "train")] == [1.0, 4.0]
    assert np.load(tmp_path / "mels" / "train_weights.npy").tolist() == [1.0, 4.0]


@pytest.mark.parametrize("name", ["mel_norm.npy", "train_weights.npy"])
def test_files_beside_the_mels_are_written_whole_or_not_at_all(run, tmp_path, name):
    run("hallo welt", KNOWN)
    kept, made = tmp_path / "kept", tmp_path / "mels" / name
    before = made.read_bytes()
    made.write_bytes(b"an older one")
    kept.hardlink_to(made)  # as DVC links what is in its cache
    run("hallo welt", KNOWN)
    assert kept.read_bytes() == b"an older one" and made.read_bytes() == before


def test_training_clips_are_coded_from_several_places_within_a_code_and_each_is_met(run, config, tmp_path):
    """One code stands for four frames: the second spelling is what the tokenizer says of the clip without its first two frames."""
    twice = XTTSConfig.from_dict({**config.to_dict(), "encode": {"shifts": 2}})
    run(*[KNOWN] * 3, config=twice)
    tokens, mel_norm = tmp_path / "tokens", np.load(tmp_path / "mels" / "mel_norm.npy")
    records = list(read_records(tokens / "train.tfrecord", token_schema()))
    for record, mel in zip(records, read_records(tmp_path / "mels" / "train.tfrecord", mel_schema(len(mel_norm))), strict=True):
        moved = mel["mel"].astype(np.float32)[2:] / mel_norm
        moved = np.pad(moved, ((0, 64 - len(moved)), (0, 0)), mode="edge")
        np.testing.assert_array_equal(record["shifted"], np.asarray(run.dvae.encode(moved[None]))[0, : len(record["codes"])])

    def met(split, training, count):
        batches = gpt_batches(twice, tokens, split, 1, training)
        return {tuple(batches.load(number)["codes"][0, : len(records[0]["codes"])].tolist()) for number in range(count)}

    spelt = [record[name] for record in records for name in ("codes", "shifted")]
    assert met("train", True, 40) == {tuple(codes.tolist()) for codes in spelt} and len(met("train", True, 40)) > 3
    for split in ("eval", "train"):  # what is compared is always spelt from the start
        plain = {tuple(record["codes"].tolist()) for record in read_records(tokens / f"{split}.tfrecord", token_schema())}
        assert met(split, False, 3) == plain
    assert not any(len(record["shifted"]) for record in read_records(tokens / "eval.tfrecord", token_schema()))


def test_training_clips_are_aligned_with_their_texts_when_asked(run, config, tmp_path, monkeypatch):
    """The first text has fewer tokens than its clip has codes, the second more."""
    monkeypatch.setattr("myxtts.data.places.STEPS", 3)
    report = run("hallo", "tlew ollah tlew", config=XTTSConfig.from_dict({**config.to_dict(), "encode": {"align": True}}))
    short, long = read_records(tmp_path / "tokens" / "train.tfrecord", token_schema())
    assert len(short["places"]) == len(short["codes"]) and not len(long["places"])
    assert short["places"][0] == 0 and short["places"][-1] == len(short["text_ids"]) - 1 and set(np.diff(short["places"])) <= {0, 1}
    assert report["align/clips"] == 1
    assert not any(len(record["places"]) for record in read_records(tmp_path / "tokens" / "eval.tfrecord", token_schema()))
    places = gpt_batches(config, tmp_path / "tokens", "train", 2, False).load(0)["places"]
    assert {-1, 0} <= set(np.asarray(places).ravel().tolist())


def test_no_clip_left_is_an_error_that_says_why(run):
    with pytest.raises(DataError, match=r"no training clip fits the model \(1 text_too_long, 1 unknown_token\): see .*rejected\.csv"):
        run("ж", "hallo " * 200)
    assert len(read_rejected(run.tokens / "rejected.csv")) == 2


def test_few_codes_are_warned_of_with_what_can_be_done(run, config, capsys):
    """A frozen audio tokenizer cannot be trained longer."""
    tree = config.to_dict()
    tree["model"]["dvae"]["num_codes"] = 1024
    run("hallo", config=XTTSConfig.from_dict(tree))
    said = capsys.readouterr().out
    assert "of 1024 codes are used: the audio tokenizer has collapsed" in said and "train the dvae longer" in said
    run("hallo", config=XTTSConfig.from_dict(tree | {"start": {"model": "data/theirs", "frozen": ["dvae"]}}))
    said = capsys.readouterr().out
    assert "the audio tokenizer of data/theirs has collapsed, or does not fit" in said and "--dvae" in said and "longer" not in said
