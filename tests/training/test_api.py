"""The Python API as the tutorial promises it, on a corpus folder: from recordings to weights."""

import subprocess
import sys
from pathlib import Path

import pytest
from chirps import write_corpus
from small import small_config

from myxtts.config import ModelError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("chirps") / "corpus")


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
    made = (tmp_path / "checkpoints/data/tokens.json").stat().st_mtime_ns
    XTTSTrainer(config, model).prepare_datasets(train_path, val_path)
    assert (tmp_path / "checkpoints/data/tokens.json").stat().st_mtime_ns == made  # records are made once


def test_importing_the_package_imports_no_tensorflow():
    code = "import sys, myxtts; assert 'tensorflow' not in sys.modules; from myxtts import XTTSConfig; print(XTTSConfig.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "XTTSConfig", done.stderr


def test_an_unknown_name_says_what_there_is():
    import myxtts

    with pytest.raises(AttributeError, match="myxtts has no Trainer; it offers XTTS, Synthesizer"):
        myxtts.Trainer  # noqa: B018
