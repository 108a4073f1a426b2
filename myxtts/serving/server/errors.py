"""What a client is told when it is refused: one shape, that of OpenAI, with a sentence of ours."""

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from myxtts.config import MyXTTSError

GONE = 499  # the client did not wait; nobody reads it, but the metrics count it
LOG = logging.getLogger("myxtts.serve")
UPLOAD_ROUTE = "/v1/voices"
OPENAI_ROUTES = "/v1/audio/"  # clients of OpenAI know 400 where ours say 422
_LONGEST_MESSAGE, _LONGEST_VALUE, _MOST_FAULTS = 600, 60, 5
_CODES = {
    400: "bad_request",
    401: "invalid_api_key",
    403: "other_site",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "wrong_content_type",
    422: "invalid_value",
    429: "queue_full",
    GONE: "client_gone",
    500: "internal_error",
    503: "unavailable",
}


class Refusal(HTTPException):
    """An answer that is no speech: HTTP status, a sentence that names the remedy, the field it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, headers: Mapping[str, str] | None = None):
        super().__init__(status, message, dict(headers or {}))
        self.param = param


def error_answer(status: int, message: str, param: str | None = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """`{"error": {"message", "type", "param", "code"}}`."""
    if len(message) > _LONGEST_MESSAGE:  # a text that is refused may be long, and its error repeats it
        message = f"{message[: _LONGEST_MESSAGE // 2]} … {message[-_LONGEST_MESSAGE // 2 :]}"
    message = message.encode("utf-8", "replace").decode()  # half of a surrogate pair is no UTF-8
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": _CODES.get(status, "error")}
    return JSONResponse({"error": error}, status, dict(headers or {}))


def unexpected(error: BaseException, where: str) -> str:
    """Logs an error that is ours; returns the sentence for the client, with the number by which the log is searched."""
    number = uuid.uuid4().hex[:12]
    LOG.error("error %s in %s", number, where, exc_info=error)
    return f"the server failed at this request; its log says why under error {number}"


def add_handlers(app: FastAPI) -> None:
    """Every exception that a route raises becomes an answer in one shape."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(MyXTTSError, _unusable)


def _status(request: Request, status: int) -> int:
    return 400 if status == 422 and request.url.path.startswith(OPENAI_ROUTES) else status


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    message = error.detail
    if error.status_code == 404 and not isinstance(error, Refusal):
        message = f"there is no {request.url.path[:100]!r} here: see docs/serving.md for what there is"
    elif error.status_code == 400 and not isinstance(error, Refusal):
        wanted = "a form (multipart/form-data)" if request.url.path == UPLOAD_ROUTE else "JSON in UTF-8"
        message = f"the body cannot be read as {wanted}: {error.detail}"
    elif error.status_code == 405:
        message = f"{request.method[:20]} is not what {request.url.path[:100]!r} answers: it takes {(error.headers or {}).get('Allow')}"
    return error_answer(_status(request, error.status_code), message, getattr(error, "param", None), error.headers)


async def _unusable(request: Request, error: MyXTTSError) -> JSONResponse:
    return error_answer(_status(request, 422), str(error))


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    wanted = "multipart/form-data" if request.url.path == UPLOAD_ROUTE else "application/json"
    sent = request.headers.get("content-type", "nothing said")
    if not sent.lower().startswith(wanted):
        return error_answer(415, f"expected the content type {wanted}; got {sent[:100]!r}", headers={"Accept": wanted})
    if faults[0]["type"] == "json_invalid":
        return error_answer(400, f"the body is not valid JSON: {faults[0]['ctx']['error']} at character {faults[0]['loc'][-1]}")
    message = "; ".join(_explain(fault) for fault in faults[:_MOST_FAULTS])
    return error_answer(_status(request, 422), message, _place(faults[0]["loc"]))


def _place(location: Iterable[Any]) -> str | None:
    return ".".join(str(part)[:_LONGEST_VALUE] for part in location if part != "body") or None


def _explain(fault: Mapping[str, Any]) -> str:
    """One line for one fault: field, what came, what is allowed."""
    place, said = _place(fault["loc"]), fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"{place}: this server knows no such field; leave it out"
    if fault["type"] == "missing":
        return f"{place or 'the body'} is missing"
    got = ascii(fault["input"]) if isinstance(fault["input"], str | int | float | bool | None) else type(fault["input"]).__name__
    return f"{place or 'the body'}: got {got if len(got) <= _LONGEST_VALUE else got[:_LONGEST_VALUE] + '…'}; {said}"
