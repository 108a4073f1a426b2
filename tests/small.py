"""A configuration small enough for tests, and a voice for it."""

import numpy as np

from myxtts.config import XTTSConfig


def small_config(**training: dict) -> XTTSConfig:
    """Networks of a few thousand weights, everything else as users have it."""
    return XTTSConfig.from_dict(
        {
            "model": {
                "preset": "tiny",
                "num_text_tokens": 100,
                "dvae": {"num_codes": 32, "code_dim": 8, "hidden_dim": 16},
                "gpt": {"num_layers": 1, "dim": 32, "num_heads": 2, "conditioning_heads": 2, "perceiver_head_dim": 8, "num_latents": 2},
                "decoder": {"channels": 32, "discriminator_channels": 4, "discriminator_periods": [2], "resblock_kernels": [3]},
                "speaker_encoder": {"embedding_dim": 16},
            },
            "encode": {"prompt_seconds": 0.5},
            "training": {"gpt": {"num_buckets": 3}, "dvae": {"crop_seconds": 0.3}} | training,
        }
    )


def make_config(**sections) -> XTTSConfig:
    model = {
        "preset": "tiny",
        "num_text_tokens": 96,
        "gpt": {"num_layers": 1, "dim": 32, "num_heads": 2, "conditioning_heads": 2, "max_audio_tokens": 24, "num_latents": 2},
        "dvae": {"hidden_dim": 16, "code_dim": 16, "num_codes": 32},
        "decoder": {"channels": 16},
    }
    return XTTSConfig.from_dict({"model": model, "synthesis": {"griffin_lim_iterations": 2, "temperature": 0.9}, **sections})


def save_random_voice(synthesizer, path) -> None:
    """Writes a *.voice of random numbers that is one of this model's."""
    from myxtts.synthesis.voice import Voice

    gpt, encoder = synthesizer.config.model.gpt, synthesizer.config.model.speaker_encoder
    random = np.random.default_rng(0)
    parts = random.normal(size=(1, gpt.num_latents, gpt.dim)), random.normal(size=(1, encoder.embedding_dim))
    Voice(*(part.astype(np.float32) for part in parts), synthesizer.voice_networks).save(path)
