"""What a machine would be told, asked before there is any data: `myxtts suggest`."""

import math
from collections.abc import Callable

import keras

from myxtts.config import XTTSConfig
from myxtts.config.stages import REMATERIALISE
from myxtts.data.batches import crop_frames
from myxtts.models.discriminators import Discriminators
from myxtts.models.layers import sizes_alone
from myxtts.models.xtts import build_component
from myxtts.training.hardware import Needs, Suggestion, suggest
from myxtts.training.machine import Machine
from myxtts.training.memory import decoder_clip_bytes, dvae_clip_bytes, gpt_clip_bytes, longest_clip
from myxtts.training.tasks import TASKS


def advise(config: XTTSConfig, stage: str, machine: Machine) -> Suggestion:
    """The suggestion for a stage of `config` on a machine, with the longest clips that `config` lets in."""
    settings = getattr(config.training, stage)
    replicas = max(1, machine.gpus) if config.hardware.all_devices else 1
    return suggest(settings, config.hardware, machine, needs_of(config, stage), replicas)


def needs_of(config: XTTSConfig, stage: str) -> Needs:
    """What a stage needs, from the sizes of its networks alone; no weight is allocated."""
    model = config.model
    networks = {"gpt": ("gpt",), "dvae": ("dvae",), "decoder": ("decoder", "speaker_encoder")}[stage]
    with sizes_alone():
        built = [build_component(name, model) for name in networks]
        if stage == "decoder" and config.training.decoder.has_critics:
            built.append(Discriminators(model.decoder))
            built[-1].build_weights()
        frozen = _weights(build_component("gpt", model)) if stage == "decoder" else 0
    variables = TASKS[stage].passes * sum(len(network.trainable_variables) for network in built)
    clip_bytes, modes = _activations(config, stage, built[0])
    return Needs(sum(map(_weights, built)), frozen, variables, clip_bytes, modes=modes)


def _weights(network: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def _activations(config: XTTSConfig, stage: str, network: keras.Model) -> tuple[Callable[[int, str], int], tuple[str, ...]]:
    """(bytes of a clip, ways of recomputation)."""
    model = config.model
    if stage == "gpt":
        clip = longest_clip(config)
        return lambda each, mode: gpt_clip_bytes(model, clip, each, mode), REMATERIALISE
    if stage == "dvae":
        return lambda each, mode: dvae_clip_bytes(model, crop_frames(config), each), ("none",)
    samples = network.output_samples(config.training.decoder.segment_codes)
    return lambda each, mode: decoder_clip_bytes(model, samples, each), ("none",)
