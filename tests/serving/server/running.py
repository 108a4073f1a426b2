"""A server of this process, on a port of its own."""

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


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextlib.contextmanager
def client_of(synthesizer, voices: Path, **options) -> Iterator[httpx2.Client]:
    """A client of a server with these options; `client.service` is what the server works with."""
    app = create_app(synthesizer, make_options(voices=voices, **options))
    with running(app) as address, httpx2.Client(base_url=address, timeout=60) as client:
        client.service = app.state.service
        yield client
