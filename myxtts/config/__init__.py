"""The configuration: one Pydantic tree over params.yaml."""

from myxtts.config.errors import ConfigError, DataError, ModelError, MyXTTSError, TrackerAway, TrackingError
from myxtts.config.model import AudioConfig, DecoderConfig, DVAEConfig, GPTConfig, ModelConfig, SpeakerEncoderConfig
from myxtts.config.schema import XTTSConfig

__all__ = [
    "AudioConfig",
    "ConfigError",
    "DVAEConfig",
    "DataError",
    "DecoderConfig",
    "GPTConfig",
    "ModelConfig",
    "ModelError",
    "MyXTTSError",
    "SpeakerEncoderConfig",
    "TrackerAway",
    "TrackingError",
    "XTTSConfig",
]
