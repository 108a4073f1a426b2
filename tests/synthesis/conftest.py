"""A real model with random weights, small enough to be built in a second."""

import keras
import numpy as np
import pytest

from myxtts.config import XTTSConfig

SENTENCES = (
    ("good morning, how are you today?", "en"),
    ("the quick brown fox jumps over the lazy dog.", "en"),
    ("we like cold water!", "en"),
    ("سلام، حال شما چطور است؟", "fa"),
    ("من هر روز به مدرسه می‌روم.", "fa"),
    ("کتاب خوب، چراغ راه است.", "fa"),
)
CODES = 20


def small_config(**sections):
    return XTTSConfig.from_dict(
        {
            "model": {
                "preset": "tiny",
                "num_text_tokens": 96,
                "audio": {"num_mels": 20},
                "dvae": {"num_codes": CODES, "code_dim": 8, "hidden_dim": 8, "num_resnet_blocks": 1},
                "gpt": {
                    "num_layers": 2,
                    "dim": 16,
                    "num_heads": 2,
                    "max_text_tokens": 50,
                    "max_audio_tokens": 90,
                    "conditioning_blocks": 1,
                    "conditioning_heads": 2,
                    "perceiver_layers": 1,
                    "perceiver_heads": 2,
                    "perceiver_head_dim": 8,
                    "num_latents": 3,
                },
                "decoder": {"channels": 16, "resblock_kernels": [3], "resblock_dilations": [1], "discriminator_channels": 4},
                "speaker_encoder": {"embedding_dim": 18, "filters": [8, 8, 8, 8], "blocks": [1, 1, 1, 1]},
            },
            "encode": {"prompt_seconds": 0.6},
            "synthesis": {"griffin_lim_iterations": 2, "temperature": 1.0},
            **sections,
        }
    )


def make_model(config, seed=3):
    from myxtts.models.xtts import XTTS

    keras.utils.set_random_seed(seed)
    model = XTTS(config.model)
    # initial weights of .02 make all codes equally likely, whatever came before: wide ones make codes depend on text and past
    rng = np.random.default_rng(seed)
    for weight in model.gpt.trainable_variables:
        if len(weight.shape) == 2:
            weight.assign(rng.normal(size=weight.shape) * 0.5)
    model.mel_norm = np.linspace(1, 2, config.model.audio.num_mels).astype(np.float32)
    return model


@pytest.fixture(scope="session")
def model():
    return make_model(small_config())


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, model):
    """A folder as the bundle stage writes it."""
    from myxtts.text.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("bundle")
    small_config().dump(folder / "params.yaml")
    Tokenizer.train(SENTENCES, 96).save(folder / "tokenizer.json")
    model.save(folder)
    return folder
