"""A server of this process, on a port of its own, and what is asked of it."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI
from ports import free_port

from myxtts.serving.server.app import create_app
from myxtts.serving.server.options import make_options

VOICE = "Ada"  # that every server has
GOOD = {"text": "good morning", "voice": VOICE, "language": "en"}
ASKED = {"input": "good morning", "voice": VOICE, "model": "tts-1", "response_format": "wav"}  # the same by OpenAI's clients


def error(answer) -> str:
    """The sentence of a refusal, once it is known to have the one shape of errors."""
    body = answer.json()
    assert list(body) == ["error"] and set(body["error"]) == {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text and "/tmp" not in answer.text
    return body["error"]["message"]


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(120)
        assert not thread.is_alive()


@contextlib.contextmanager
def client_of(synthesizer, voices: Path, **options) -> Iterator[httpx2.Client]:
    """A client of a server with these options; `client.service` is what the server works with."""
    app = create_app(synthesizer, make_options(voices=voices, **options))
    with running(app) as address, httpx2.Client(base_url=address, timeout=60) as client:
        client.service = app.state.service
        yield client
