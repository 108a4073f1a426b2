"""The routes. docs/serving.md describes them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from myxtts.audio.formats import FORMATS
from myxtts.serving.server.errors import Refusal
from myxtts.serving.server.schemas import OpenAISpeechRequest, SpeechRequest
from myxtts.serving.server.service import Service
from myxtts.serving.server.sound import STREAMED, encode
from myxtts.serving.server.streaming import sound_headers, stream_speech
from myxtts.serving.server.voices import check_name
from myxtts.synthesis.speech import Speech

_UPLOADS = 2  # in memory at once: a recording may be some 100 MB when it is decoded
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def make_routes(service: Service) -> APIRouter:
    """All but the page."""
    router = APIRouter()
    _add_state_routes(router, service)
    _add_voice_routes(router, service)
    _add_speech_routes(router, service)
    return router


def _add_state_routes(router: APIRouter, service: Service) -> None:
    options = service.options

    @router.get("/health")
    def health() -> JSONResponse:
        """Whether it works, and what a client may ask for."""
        alive = service.queue.alive
        state = {
            "status": "ready" if alive else "stopped",
            "model": service.model,
            "languages": service.languages,
            "language": service.language,
            "sample_rate": service.synthesizer.sample_rate,
            "formats": list(FORMATS),
            "options": service.option_defaults(),
            "limits": {
                "characters": options.max_chars,
                "upload_bytes": options.max_upload_bytes,
                "voice_seconds": options.max_voice_seconds,
            },
            "key_needed": options.api_key is not None,
            "waiting": service.queue.length,
        }
        return JSONResponse(state, 200 if alive else 503)

    @router.get("/metrics")
    def metrics() -> PlainTextResponse:
        """For Prometheus."""
        return PlainTextResponse(service.queue.metrics.text(), media_type=_PROMETHEUS)

    @router.get("/v1/models")
    def models() -> dict:
        """The one model, as OpenAI lists models."""
        return {"object": "list", "data": [{"id": service.model, "object": "model", "created": 0, "owned_by": "myxtts"}]}


def _add_voice_routes(router: APIRouter, service: Service) -> None:
    voices, uploads = service.voices, asyncio.Semaphore(_UPLOADS)

    @router.get("/v1/voices")
    def list_voices() -> dict:
        """Names of the voices."""
        return {"voices": [{"name": name} for name in voices.names()]}

    @router.post("/v1/voices", status_code=201)
    async def add_voice(request: Request, name: Annotated[str, Form()], file: Annotated[list[UploadFile], File()]) -> dict:
        """A voice made of one or more recordings of a person."""
        name = check_name(name)
        voices.check_free(name)
        async with uploads:
            recordings = [((part.filename or "recording")[:80], await part.read()) for part in file]
            await run_in_threadpool(voices.check_recordings, recordings)
            await service.wait(request, service.queue.call(lambda: voices.make(name, recordings)))
        return {"name": name}

    @router.delete("/v1/voices/{name}", status_code=204)
    def delete_voice(name: str) -> Response:
        """Removes a voice."""
        voices.delete(name)
        return Response(status_code=204)


def _add_speech_routes(router: APIRouter, service: Service) -> None:
    @router.post("/v1/speech", response_class=Response)
    async def speak(request: Request, wanted: SpeechRequest) -> Response:
        """A text spoken, as a file or as it is made."""
        if wanted.stream and wanted.format not in STREAMED:
            raise Refusal(422, f"a stream is {' or '.join(STREAMED)}; got format {wanted.format!r}", "format")
        settings = await run_in_threadpool(service.settings, wanted.options())
        line = await run_in_threadpool(service.line, wanted.text, wanted.voice, wanted.language, wanted.seed)
        if wanted.stream:
            return await stream_speech(service, request, service.open_stream(line, settings), wanted.format)
        return await _whole(service, await service.wait(request, service.queue.speak(line, settings)), wanted.format)

    @router.post("/v1/audio/speech", response_class=Response)
    async def speak_as_openai(request: Request, wanted: OpenAISpeechRequest) -> Response:
        """The same, asked for as OpenAI's clients do."""
        kind = wanted.response_format
        if wanted.stream_format and kind not in STREAMED:
            raise Refusal(422, f"a stream is {' or '.join(STREAMED)}; got response_format {kind!r}", "response_format")
        settings = await run_in_threadpool(service.settings, wanted.options())
        line = await run_in_threadpool(service.line, wanted.input, wanted.voice_name, wanted.language, wanted.seed)
        if wanted.stream_format:
            stream = service.open_stream(line, settings)
            return await stream_speech(service, request, stream, kind, events=wanted.stream_format == "sse")
        return await _whole(service, await service.wait(request, service.queue.speak(line, settings)), kind)


async def _whole(service: Service, speech: Speech, kind: str) -> Response:
    content = await run_in_threadpool(encode, speech.waveform, speech.sample_rate, kind)
    about = {"X-Audio-Seconds": f"{speech.seconds:.3f}", "X-Stopped": str(speech.stopped).lower()}
    return Response(content, media_type=FORMATS[kind].media_type, headers=sound_headers(service, about))
