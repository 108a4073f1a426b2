"""The Python API as the tutorial promises it, on a corpus folder: from recordings to weights."""

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
from small import small_config
from small_corpus import write_corpus

from myxtts.config import ModelError, XTTSConfig
from myxtts.data.corpus import make_records
from myxtts.data.records import mel_schema, read_records, token_schema


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("small") / "corpus")


@pytest.fixture(scope="module")
def params(tmp_path_factory) -> Path:
    values = small_config().to_dict()
    for stage in ("dvae", "gpt"):
        values["training"][stage] |= {"epochs": 1, "effective_batch_size": 4, "val_step": 2}
    values["loop"]["log_step"] = 1
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    type(small_config()).from_dict(values).dump(path)
    return path


def test_the_tutorials_lines(tmp_path, monkeypatch, corpus, params):
    monkeypatch.chdir(tmp_path)
    train_path = val_path = corpus

    from myxtts import XTTS, XTTSConfig, XTTSTrainer

    config = XTTSConfig.load(params)
    model = XTTS(config.model)
    with pytest.raises(ModelError, match=r"never trained.*XTTSTrainer\(config, model, 'dvae'\)"):
        XTTSTrainer(config, model).prepare_datasets(train_path, val_path)
    tokenizer = XTTSTrainer(config, model, "dvae")
    tokenizer.prepare_datasets(train_path, val_path)
    tokenizer.train()

    trainer = XTTSTrainer(config, model)
    train_ds, val_ds = trainer.prepare_datasets(train_path, val_path)
    seen, validated = 0, 0
    for epoch in range(config.training.gpt.epochs):
        for batch in train_ds:
            loss = trainer.train_step(batch)
            seen += 1
            if trainer.should_log():
                assert float(loss["mel_loss"]) > 0
        if trainer.should_validate(epoch):
            val_metrics = trainer.validate(val_ds)
            trainer.adjust_scheduler(val_metrics)
            validated += 1
    trainer.save_checkpoint("checkpoints/final_model")
    summary = trainer.summary()
    assert (seen, validated, summary["steps"]) == (len(train_ds), 1, len(train_ds))
    assert summary["epochs"] == 1
    assert (tmp_path / "checkpoints/final_model/gpt.weights.h5").is_file()
    made = list((tmp_path / "checkpoints/data").rglob("made_of.json"))
    assert len(made) == 2  # mels and tokens
    XTTSTrainer(config, model).prepare_datasets(train_path, val_path)
    assert list((tmp_path / "checkpoints/data").rglob("made_of.json")) == made  # records are made once


@pytest.fixture(scope="module")
def trained(corpus, params):
    """A model whose audio tokenizer has codes, trained on other speech than the corpus: its normalisation is another."""
    from myxtts import XTTS

    config = XTTSConfig.load(params)
    keras.utils.set_random_seed(1)
    model = XTTS(config.model)
    model.dvae.cluster_size.assign(np.ones(config.model.dvae.num_codes))
    model.mel_norm = np.linspace(1, 3, 80, dtype=np.float32)
    return config, model


def test_a_trained_tokenizer_goes_on_hearing_in_its_units(tmp_path, corpus, trained):
    """What the GPT learns, and what the decoder vocodes, are codes of mels as that audio tokenizer was trained to hear them."""
    config, model = trained
    made = make_records(config, "gpt", model, corpus, corpus, tmp_path / "data")
    norm = np.load(made.parents[1] / "mels" / "mel_norm.npy")
    np.testing.assert_array_equal(norm, model.mel_norm)
    mel = next(iter(read_records(made.parents[1] / "mels" / "train.tfrecord", mel_schema(80))))["mel"].astype(np.float32)
    per_code = config.model.dvae.frames_per_code
    whole = (mel / model.mel_norm)[None, : len(mel) // per_code * per_code]
    codes = next(iter(read_records(made / "train.tfrecord", token_schema())))["codes"]
    inside = slice(0, whole.shape[1] // per_code // 2)  # the last codes see how the clip is padded
    np.testing.assert_array_equal(codes[inside], np.asarray(model.dvae.encode(whole))[0, inside])


def test_records_are_made_anew_for_all_they_are_made_of_and_old_ones_stay(tmp_path, corpus, trained):
    config, model = trained
    mine = tmp_path / "corpus"
    shutil.copytree(corpus, mine)

    def made() -> Path:
        return make_records(config, "gpt", model, mine, mine, tmp_path / "data")

    first = made()
    assert made() == first
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    metadata = mine / "metadata_train.csv"
    metadata.write_text(metadata.read_text().replace("|one|one", "|two|two"))
    second = made()
    assert second.parents[1] != first.parents[1]
    soundfile.write(mine / "wavs" / "clip1.wav", np.zeros(30000) + 0.1, 24000)
    assert made().parents[1] not in (first.parents[1], second.parents[1])
    model.dvae.codebook.assign(model.dvae.codebook + 0.01)
    third = made()
    assert third.parents[1] == made().parents[1]
    given = tmp_path / "given.json"
    shutil.copy(third / "tokenizer.json", given)
    assert make_records(config, "gpt", model, mine, mine, tmp_path / "data", tokenizer=given) != third
    values = config.to_dict()
    values["data"]["source"]["language"] = "de"
    other = make_records(type(config).from_dict(values), "dvae", model, mine, mine, tmp_path / "data")
    assert other.parent != third.parents[1]
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def test_the_tokenizers_weights_and_what_it_hears_go_together(tmp_path, trained):
    from myxtts import XTTS

    config, model = trained
    model.save_component("dvae", tmp_path)
    other = XTTS(config.model)
    other.load_component("dvae", tmp_path)
    np.testing.assert_array_equal(other.mel_norm, model.mel_norm)


def test_the_pages_lines_make_a_model_that_speaks(tmp_path, corpus, params):
    """As a script without a guard: what makes the records must not start processes that run the script again, and wait for them."""
    page = Path(__file__).resolve().parents[2] / "docs" / "training.md"
    lines = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    assert "prepare_datasets" in lines
    config = XTTSConfig.load(params).to_dict()
    for stage in ("dvae", "gpt", "decoder"):
        config["training"][stage] |= {"max_steps": 2, "effective_batch_size": 4, "val_step": 2}
    XTTSConfig.from_dict(config).dump(tmp_path / "params.yaml")
    for name in ("tts_train", "tts_val"):
        shutil.copytree(corpus, tmp_path / "data" / name)
    (tmp_path / "script.py").write_text(
        lines + 'from myxtts import Synthesizer\nprint("SPEAKS", sorted(Synthesizer.load("checkpoints/final_model").model.components))\n'
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "SPEAKS ['decoder', 'dvae', 'gpt', 'speaker_encoder']" in done.stdout


def test_importing_the_package_imports_no_tensorflow():
    code = "import sys, myxtts; assert 'tensorflow' not in sys.modules; from myxtts import XTTSConfig; print(XTTSConfig.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "XTTSConfig", done.stderr


def test_an_unknown_name_says_what_there_is():
    import myxtts

    with pytest.raises(AttributeError, match="myxtts has no Trainer; it offers XTTS, Synthesizer"):
        myxtts.Trainer  # noqa: B018
