"""What a machine would be told, asked before there is any data: `myxtts suggest`."""

import math

import keras

from myxtts.config import XTTSConfig
from myxtts.config.stages import REMATERIALISE
from myxtts.data.batches import crop_frames
from myxtts.models.discriminators import Discriminators
from myxtts.models.xtts import build_component, parameter_counts
from myxtts.training.hardware import Machine, Needs, Suggestion, suggest
from myxtts.training.memory import decoder_clip_bytes, dvae_clip_bytes, gpt_clip_bytes, longest_clip


def advise(config: XTTSConfig, stage: str, machine: Machine) -> Suggestion:
    """The suggestion for a stage of `config` on a machine, with the longest clips that `config` lets in."""
    settings = getattr(config.training, stage)
    replicas = max(1, machine.gpus) if config.hardware.all_devices else 1
    return suggest(settings, config.hardware, machine, needs_of(config, stage), replicas)


def needs_of(config: XTTSConfig, stage: str) -> Needs:
    """What a stage needs, from the sizes of its networks alone; no weight is allocated."""
    model, counts = config.model, parameter_counts(config.model)
    if stage == "gpt":
        clip = longest_clip(config)
        return Needs(counts["gpt"], 0, lambda each, mode: gpt_clip_bytes(model, clip, each, mode), REMATERIALISE)
    if stage == "dvae":
        return Needs(counts["dvae"], 0, lambda each, mode: dvae_clip_bytes(model, crop_frames(config), each))
    with keras.StatelessScope(initialize_variables=False):
        critics = Discriminators(model.decoder)
        critics.build_weights()
        samples = build_component("decoder", model).output_samples(config.training.decoder.segment_codes)
    trained = counts["decoder"] + counts["speaker_encoder"] + sum(math.prod(variable.shape) for variable in critics.trainable_variables)
    return Needs(trained, counts["gpt"], lambda each, mode: decoder_clip_bytes(model, samples, each))
