"""A small checkpoint of the reference implementation, as files: what the tests of import and export begin with."""

import json
from pathlib import Path

import numpy as np
from coqui_state import state_of
from small import small_config

from myxtts.config import XTTSConfig
from myxtts.models.torch_file import write_torch
from myxtts.models.xtts import COMPONENTS, XTTS, tensor_names
from myxtts.serving.coqui import import_coqui
from myxtts.serving.coqui_config import from_params
from myxtts.synthesis.speech import Synthesizer
from myxtts.text.tokenizer import Tokenizer

TEXTS = [
    ("good morning to all of you, the sun is warm today", "en"),
    ("the quick brown fox jumps over the lazy dog, all of the morning", "en"),
    ("سلام به همه، امروز هوا آفتابی و گرم است و همه به باغ می‌روند", "fa"),
]


def make_coqui_config(tokenizer: Tokenizer) -> XTTSConfig:
    tree = small_config().to_dict()
    tree["model"] |= {"num_text_tokens": tokenizer.size}
    tree["model"]["gpt"] |= {"max_audio_tokens": 24}
    tree["encode"] |= {"prompt_seconds": 1.0}
    tree["prepare"] |= {"cleaners": "coqui", "trim": "none", "loudness_lufs": None}
    tree["synthesis"] |= {"vocoder": "decoder", "coqui_compatible": True, "reference_seconds": 3.0}
    return XTTSConfig.from_dict(tree | {"bundle": {"name": "imported"}})


def make_coqui_model(config: XTTSConfig) -> XTTS:
    model, rng = XTTS(config.model), np.random.default_rng(1)
    for component in COMPONENTS:
        for name, variable in tensor_names(model.component(component)).items():
            scale = 1.0 if variable.ndim < 2 and not name.endswith("bias") else 0.05
            variable.assign(
                np.abs(rng.normal(size=variable.shape)) * scale if "variance" in name else rng.normal(size=variable.shape) * scale
            )
    model.mel_norm = rng.uniform(-6, -5, config.model.audio.num_mels)
    return model


class Checkpoint:
    """The files of a checkpoint in a folder; a test changes them before they are written."""

    def __init__(self, folder: Path, state: dict[str, np.ndarray], config: XTTSConfig, tokenizer: Tokenizer):
        self.folder, self.out = folder, folder / "made" / "imported"
        self.state = {key: value for key, value in state.items() if not key.startswith("dvae.")}
        self.dvae = {key.removeprefix("dvae."): value for key, value in state.items() if key.startswith("dvae.")}
        self.mel_stats = None
        self.config = from_params(config, tokenizer)[0]
        self.tokenizer = tokenizer

    def write(self) -> dict[str, Path | None]:
        write_torch(self.folder / "model.pth", {"model": self.state, "step": 3})
        self.tokenizer.save(self.folder / "vocab.json")
        (self.folder / "config.json").write_text(json.dumps(self.config))
        for name, tree in (("dvae.pth", self.dvae), ("mel_stats.pth", self.mel_stats)):
            if tree is not None:
                write_torch(self.folder / name, tree)
        given = {"model": "model.pth", "config": "config.json", "vocab": "vocab.json"}
        given |= {"dvae": "dvae.pth" if self.dvae is not None else None, "mel_stats": None if self.mel_stats is None else "mel_stats.pth"}
        return {name: self.folder / file if file else None for name, file in given.items()}

    def run(self) -> dict:
        return import_coqui(**self.write(), out=self.out)

    def load(self) -> XTTS:
        return Synthesizer.load(self.out, whole=True).model


def assert_same(model: XTTS, expected: dict[str, np.ndarray], precision: type = np.float32) -> None:
    found = state_of(model)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value.astype(precision).astype(np.float32), err_msg=key)
