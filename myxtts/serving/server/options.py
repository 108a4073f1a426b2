"""What a server is started with."""

import os
import socket
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from myxtts.config import ConfigError
from myxtts.config.base import Section

_ROOM, _BYTES_PER_CHARACTER = 16 << 10, 12  # of a JSON body, beside the text; an escaped pair of surrogates


class ServeOptions(Section):
    """Limits and names of a server; docs/serving.md describes them. Times in seconds."""

    voices: Path = Path("data/voices")
    model: str | None = None  # its name to clients; None = that of its bundle
    language: str | None = None
    api_key: SecretStr | None = Field(None, min_length=8)
    allow_origins: tuple[str, ...] = ()
    max_chars: int = Field(2000, ge=1, le=1_000_000)
    max_queue: int = Field(64, ge=1)
    max_batch: int = Field(8, ge=1)
    gather_seconds: float = Field(0.01, ge=0, le=10)
    timeout: float = Field(120.0, gt=0)
    max_upload_mb: int = Field(20, ge=1, le=2000)
    max_voice_seconds: float = Field(180.0, gt=0)
    max_voices: int = Field(1000, ge=1)

    @property
    def max_json_bytes(self) -> int:
        """Of the body of a request for speech: the longest text, however it is written, and the rest."""
        return _ROOM + _BYTES_PER_CHARACTER * self.max_chars

    @property
    def max_upload_bytes(self) -> int:
        """Of all recordings of one voice together."""
        return self.max_upload_mb << 20


def make_options(**values) -> ServeOptions:
    """Validated options. Raises ConfigError that names the option of the command."""
    try:
        return ServeOptions(**values)
    except ValidationError as error:
        # the key itself is not said
        faults = [f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}" for item in error.errors(include_input=False)]
        raise ConfigError("; ".join(faults)) from None


def check_address(host: str, port: int) -> None:
    """Raises ConfigError where a server could not listen there: before a model is loaded for it. Port 0 = any that is free."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port}: expected a number from 0 (any that is free) to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as tried:
            if os.name == "posix":  # what a server that has just ended left behind is no hindrance
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise ConfigError(
            f"cannot listen at {host}, port {port} ({error.strerror}): end what listens there, or choose another by --port or --host"
        ) from None
