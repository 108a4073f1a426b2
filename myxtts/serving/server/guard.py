"""What stands before every route: key, origin, size of the body; and behind it: the count, and a sentence in place of a traceback."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myxtts.serving.server.errors import GONE, UPLOAD_ROUTE, Refusal, error_answer, unexpected
from myxtts.serving.server.metrics import Metrics
from myxtts.serving.server.options import ServeOptions

_OPEN = ("/", "/health", "/favicon.ico")  # without a key: the page asks for it itself
PAGE_FILES = "/page/"
_BODY_SECONDS = 30.0  # without another piece of a body
_DRAINED_BYTES = 64 << 20  # read and thrown away, so that a client that sends too much gets to read why


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, options: ServeOptions, metrics: Metrics):
        self.app, self.options, self.metrics = app, options, metrics
        self.key = options.api_key.get_secret_value().encode() if options.api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), None

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            limit = self.options.max_upload_bytes + (64 << 10) if scope["path"] == UPLOAD_ROUTE else self.options.max_json_bytes
            limited = _limited(receive, Headers(scope=scope), limit)
            if refusal:
                await error_answer(refusal.status_code, refusal.detail, headers=refusal.headers)(scope, receive, counted)
            else:
                await self.app(scope, limited, counted)
        except ClientDisconnect:
            status = GONE
        except Exception as error:
            message = unexpected(error, f"{scope['method']} {scope['path']}")
            if status is None:
                await error_answer(500, message)(scope, receive, counted)
            else:  # the head says 200: only a cut connection tells the client
                raise
        finally:
            self.metrics.answered(_route(scope), status or GONE, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Refusal | None:
        """Why a request is not let in, whatever it asks for."""
        headers, path = Headers(scope=scope), scope["path"]
        origin = headers.get("origin")
        if origin and scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._allowed(origin, headers):
            return Refusal(
                403,
                f"a page of {origin[:100]!r} may not use this server: start it with --allow-origin, or, behind a proxy, have that pass "
                "the Host header on",
            )
        if self.key is None or path in _OPEN or path.startswith(PAGE_FILES):
            return None
        given = headers.get("authorization", "")
        if hmac.compare_digest(given.removeprefix("Bearer ").encode("utf-8", "surrogateescape"), self.key):
            return None
        return Refusal(
            401, "expected the header `Authorization: Bearer KEY` with the key of this server", headers={"WWW-Authenticate": "Bearer"}
        )

    def _allowed(self, origin: str, headers: Mapping[str, str]) -> bool:
        return bool({"*", origin} & set(self.options.allow_origins)) or urlsplit(origin).netloc == headers.get("host")


def _route(scope: Scope) -> str:
    """The route's pattern, not what was asked for: the names of metrics must not grow with what clients make up."""
    if scope["path"].startswith(PAGE_FILES):
        return PAGE_FILES
    return getattr(scope.get("route"), "path", None) or "other"


def _limited(receive: Receive, headers: Headers, limit: int) -> Receive:
    """`receive`, which raises a Refusal where the body is longer than `limit` bytes or stops coming."""
    announced = headers.get("content-length", "")
    seen, ended = 0, False

    async def read() -> Message:
        nonlocal seen, ended
        if ended:  # from here on this waits for the client to go away
            return await receive()
        message = await _piece(receive)
        seen += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if seen > limit or (announced.isdigit() and int(announced[:20]) > limit):
            drained = seen
            while not ended and drained < _DRAINED_BYTES:
                message = await _piece(receive)
                drained += len(message.get("body", b""))
                ended = not message.get("more_body", False)
            raise Refusal(413, f"the body is larger than the {limit} bytes that this route takes: send less at once")
        return message

    return read


async def _piece(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await receive()
    except TimeoutError:
        raise Refusal(408, f"nothing more of the body came for {_BODY_SECONDS:g} s: send it at once") from None
