"""Low-rank adapters on the GPT's attention (LoRA, Hu et al. 2021): kernel + alpha / rank · A B, of which A and B alone are trained."""

import keras

from myxtts.config.stages import LoRAConfig
from myxtts.models.gpt import GPT
from myxtts.training.optim import check_patterns, fits

ADAPTER = "*/lora_kernel_?"


def add_adapters(gpt: GPT, config: LoRAConfig) -> None:
    """Puts Keras' own adapters on both projections of every attention. B starts at zero: nothing changes before the first step."""
    for block in gpt.blocks:
        for layer in (block.qkv, block.attention_out):
            if not layer.lora_enabled:
                layer.enable_lora(config.rank, lora_alpha=config.alpha)


def adapted(variables: list[keras.Variable], config: LoRAConfig) -> list[keras.Variable]:
    """Of the GPT's trainable variables, those that are trained with adapters. Raises ConfigError for a pattern that fits nothing."""
    check_patterns("training.gpt.lora.also_train", config.also_train, variables)
    patterns = (ADAPTER, *config.also_train)
    return [variable for variable in variables if any(fits(variable, pattern) for pattern in patterns)]
