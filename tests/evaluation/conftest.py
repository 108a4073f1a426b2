"""A very small model with random weights, and a prepared data set of hummed clips."""

import keras
import numpy as np
import pytest

from myxtts.audio import wave as wave_io
from myxtts.config import XTTSConfig
from myxtts.data.manifest import Utterance, write_metadata

RATE = 24000
TEXTS = {
    "en": ("good morning.", "how are you?", "we like cold water.", "the fox jumps over the dog."),
    "fa": ("سلام، حال شما چطور است؟", "کتاب خوب است.", "من هر روز می‌روم."),
}


def small_config(**sections):
    return XTTSConfig.from_dict(
        {
            "model": {
                "preset": "tiny",
                "num_text_tokens": 96,
                "audio": {"num_mels": 20},
                "dvae": {"num_codes": 16, "code_dim": 8, "hidden_dim": 8, "num_resnet_blocks": 0},
                "gpt": {
                    "num_layers": 1,
                    "dim": 16,
                    "num_heads": 2,
                    "max_text_tokens": 48,
                    "max_audio_tokens": 40,
                    "conditioning_blocks": 1,
                    "conditioning_heads": 2,
                    "perceiver_layers": 1,
                    "perceiver_heads": 2,
                    "perceiver_head_dim": 8,
                    "num_latents": 2,
                },
                "decoder": {"channels": 16, "resblock_kernels": [3], "resblock_dilations": [1], "discriminator_channels": 4},
                "speaker_encoder": {"embedding_dim": 18, "filters": [8, 8, 8, 8], "blocks": [1, 1, 1, 1]},
            },
            "encode": {"prompt_seconds": 0.6},
            "synthesis": {"griffin_lim_iterations": 2},
            "evaluate": {"num_sentences": 5, "num_logged": 2, "num_opinions": 0, "whisper": "never"},
            **sections,
        }
    )


@pytest.fixture(scope="session")
def synthesizer():
    from myxtts.models.xtts import XTTS
    from myxtts.synthesis.speech import Synthesizer
    from myxtts.text.tokenizer import Tokenizer

    config = small_config()
    keras.utils.set_random_seed(4)
    tokenizer = Tokenizer.train([(text, language) for language, texts in TEXTS.items() for text in texts], 96)
    model = XTTS(config.model)
    model.mel_norm = np.linspace(1, 4, config.model.audio.num_mels).astype(np.float32)
    return Synthesizer(config, model, tokenizer)


def hum(seconds, pitch, seed):
    time = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 12)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    return (0.1 * tone + 0.003 * np.random.default_rng(seed).normal(size=len(time))).astype(np.float32)


@pytest.fixture(scope="session")
def processed(tmp_path_factory):
    """Speakers ann (en; 3 held-out clips, 1 trained on), ben (fa; 2 held out), eve (en; one clip in the world)."""
    folder = tmp_path_factory.mktemp("processed")
    rows = {"eval": [], "train": []}

    def add(split, speaker, language, number, seconds, pitch):
        text = TEXTS[language][number % len(TEXTS[language])]
        name = f"{speaker}_{split}_{number}"
        wave_io.save(folder / "wavs" / f"{name}.wav", hum(seconds, pitch, number), RATE)
        rows[split].append(Utterance(name, f"wavs/{name}.wav", text, text, speaker, language, seconds, split))

    for number, seconds in enumerate((0.7, 1.1, 0.9)):
        add("eval", "ann", "en", number, seconds, 200)
    add("train", "ann", "en", 3, 1.4, 200)
    for number, seconds in enumerate((0.8, 1.0)):
        add("eval", "ben", "fa", number, seconds, 110)
    add("eval", "eve", "en", 0, 0.8, 240)
    for split, utterances in rows.items():
        write_metadata(folder / f"metadata_{split}.csv", utterances)
    return folder
