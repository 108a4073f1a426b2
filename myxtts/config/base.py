"""The base of every configuration section."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen, and closed: an unknown key is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
