"""Named model sizes. A preset holds only what differs from XTTS v2; params.yaml may override any value."""

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # about 5 M parameters: learns a small corpus on two CPU cores within minutes
    "tiny": {
        "dvae": {"num_codes": 256, "code_dim": 64, "hidden_dim": 128, "num_resnet_blocks": 1},
        "gpt": {
            "num_layers": 5,
            "dim": 192,
            "num_heads": 4,
            "max_text_tokens": 160,
            "max_audio_tokens": 160,
            "conditioning_blocks": 1,
            "conditioning_heads": 4,
            "perceiver_layers": 1,
            "perceiver_heads": 4,
            "perceiver_head_dim": 32,
            "num_latents": 8,
        },
        "decoder": {
            "channels": 96,
            "resblock_kernels": (3, 7),
            "resblock_dilations": (1, 3),
            "discriminator_channels": 8,
            "discriminator_periods": (2, 7),
            "discriminator_scales": 1,
        },
        "speaker_encoder": {"embedding_dim": 64, "filters": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)},
    },
    # about 60 M parameters: a good voice on one small GPU
    "small": {
        "dvae": {"num_codes": 512, "code_dim": 256, "hidden_dim": 256},
        "gpt": {"num_layers": 8, "dim": 512, "num_heads": 8, "conditioning_blocks": 4, "conditioning_heads": 8},
        "decoder": {"channels": 256},
        "speaker_encoder": {"embedding_dim": 256, "filters": (16, 32, 64, 128)},
    },
    # about 200 M parameters: 24 GB of GPU memory at batch 48
    "base": {
        "gpt": {"num_layers": 16, "dim": 768, "num_heads": 12, "conditioning_heads": 12},
    },
    "xtts_v2": {},
}


def preset_values(name: str) -> dict[str, dict[str, Any]]:
    """The preset's sections. Raises ValueError for an unknown name."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
