"""A project whose networks are real and tiny, with random weights; its store and its first version are made once for all tests."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small import make_config

from myxtts.serving.bundle import make_bundle
from myxtts.tracking.store import ensure_store, make_client

TEXTS = [("good morning to all of you", "en"), ("the sun is warm today", "en"), ("سلام به همه", "fa")]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A project folder as the training stages leave it."""
    import keras

    from myxtts.models.xtts import XTTS
    from myxtts.text.tokenizer import Tokenizer

    root, config = tmp_path_factory.mktemp("trained"), make_config()
    keras.utils.set_random_seed(3)
    model = XTTS(config.model)
    model.mel_norm = np.linspace(4.0, 6.0, config.model.audio.num_mels).astype(np.float32)
    for name in ("dvae", "gpt", "decoder"):
        (root / "models" / name).mkdir(parents=True)
        model.save_component(name, root / "models" / name)
    model.save_component("speaker_encoder", root / "models" / "decoder")
    np.save(root / "models" / "dvae" / "mel_norm.npy", model.mel_norm)
    Tokenizer.train(TEXTS, vocab_size=96).save(root / "models" / "tokenizer.json")
    (root / "reports").mkdir()
    (root / "reports" / "gpt_run.json").write_text(json.dumps({"run_id": "abc123", "model_id": None, "experiment_id": "1"}))
    return root


@pytest.fixture(scope="session")
def whole_bundle(trained) -> Path:
    return make_bundle(make_config(), trained, {"speech/phone_error_rate": 0.25, "note": "text"}, trained / "models" / "bundle")


@pytest.fixture
def bundle(whole_bundle, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole_bundle, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        make_client(folder).get_experiment_by_name("any")
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path, empty_store, monkeypatch) -> Path:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(empty_store, root / "mlflow.db")
    return root


@pytest.fixture
def client(project):
    return make_client(project)


@pytest.fixture
def run_id(project, client) -> str:
    return client.create_run(ensure_store(project, "voices")).info.run_id


@pytest.fixture
def register(project, run_id, whole_bundle):
    """Registers one more version, with these metrics."""
    from myxtts.serving import registry

    return lambda **metrics: registry.register(whole_bundle, make_config(), run_id, metrics, project)


@pytest.fixture
def loads(monkeypatch):
    """A version is loaded in a fresh process, which takes seconds: most tests only see for which this was asked."""
    from myxtts.serving import promotion

    asked = []
    monkeypatch.setattr(promotion, "_load_once", lambda name, version, root: asked.append(version))
    return asked


@pytest.fixture(scope="session")
def coqui_tokenizer():
    from coqui_checkpoint import TEXTS

    from myxtts.text.tokenizer import Tokenizer

    return Tokenizer.train(TEXTS, vocab_size=100)


@pytest.fixture(scope="session")
def coqui_config(coqui_tokenizer):
    from coqui_checkpoint import make_coqui_config

    return make_coqui_config(coqui_tokenizer)


@pytest.fixture(scope="session")
def coqui_model(coqui_config):
    from coqui_checkpoint import make_coqui_model

    return make_coqui_model(coqui_config)


@pytest.fixture(scope="session")
def coqui_state(coqui_model) -> dict[str, np.ndarray]:
    """Its tensors under the reference's keys."""
    from coqui_state import state_of

    return state_of(coqui_model)


@pytest.fixture
def checkpoint(tmp_path, coqui_state, coqui_config, coqui_tokenizer):
    """A checkpoint that a test may change before it is written."""
    from coqui_checkpoint import Checkpoint

    return Checkpoint(tmp_path, coqui_state, coqui_config, coqui_tokenizer)
