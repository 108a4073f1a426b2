"""The application: routes, page, what stands before them; and the process that runs it."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata, resources
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from myxtts.serving.server.errors import add_handlers
from myxtts.serving.server.guard import PAGE_FILES, Guard
from myxtts.serving.server.options import ServeOptions
from myxtts.serving.server.routes import make_routes
from myxtts.serving.server.service import Service
from myxtts.synthesis.speech import Synthesizer

_POLICY = (  # nothing from elsewhere, nothing inline
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
_LOCAL = ("127.0.0.1", "::1", "localhost")


def create_app(synthesizer: Synthesizer, options: ServeOptions) -> FastAPI:
    """The ASGI application of one synthesizer, which from then on belongs to it. Raises ConfigError or DataError for unfit options."""
    service = Service(synthesizer, options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.queue.start()
        yield
        service.queue.close(options.timeout)

    # the pages that FastAPI makes of the schema load scripts from elsewhere
    app = FastAPI(title="MyXTTS", version=metadata.version("myxtts"), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    add_handlers(app)
    app.include_router(make_routes(service))
    _add_page(app)
    app.add_middleware(Guard, options=options, metrics=service.queue.metrics)
    if options.allow_origins:
        exposed = ["X-Sample-Rate", "X-Audio-Seconds", "X-Stopped", "Retry-After"]
        app.add_middleware(
            CORSMiddleware, allow_origins=options.allow_origins, allow_methods=["*"], allow_headers=["*"], expose_headers=exposed
        )
    return app


def _add_page(app: FastAPI) -> None:
    folder = Path(str(resources.files("myxtts.serving.server") / "page"))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers=_HEADERS)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)

    app.mount(PAGE_FILES.rstrip("/"), StaticFiles(directory=folder))


def run(synthesizer: Synthesizer, options: ServeOptions, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, and then ends what is running. Exits 1 where the port is taken."""
    app = create_app(synthesizer, options)
    if host not in _LOCAL and not options.api_key:
        print(f"note: whoever reaches {host} may use this server and delete its voices: --api-key says who may")
    # uvicorn sends itself the signal that ended it, once all is done
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, server_header=False, access_log=False, timeout_graceful_shutdown=int(options.timeout) + 1)
    )
    server.run()
    if not server.started:
        raise SystemExit(1)
