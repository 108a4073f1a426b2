"""Answers that are sent while they are being made."""

import asyncio
from collections.abc import Mapping

import numpy as np
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from myxtts.audio.formats import FORMATS
from myxtts.audio.wave import to_pcm
from myxtts.serving.server.queue import SpeechStream
from myxtts.serving.server.service import Service
from myxtts.serving.server.sound import sse_delta, sse_end, stream_head


class SpeechAnswer(Response):
    """The pieces of a stream as a wav whose length is not known, as bare samples, or (`events`) as OpenAI's server-sent events.

    first: the first piece, which is made before the answer begins, so that what cannot be spoken gets a status that says so.
    """

    def __init__(self, service: Service, request: Request, stream: SpeechStream, first: np.ndarray | None, kind: str, events: bool):
        super().__init__(media_type="text/event-stream" if events else FORMATS[kind].media_type, headers=sound_headers(service))
        del self.headers["content-length"]
        self.service, self.request, self.stream, self.first, self.kind, self.events = service, request, stream, first, kind, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Asks for a piece when the one before is sent: a client that reads slowly is not worked ahead for."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            head, piece = stream_head(self.kind, self.service.synthesizer.sample_rate), self.first
            while piece is not None:
                sound = head + to_pcm(piece).tobytes()
                await self._send(send, sse_delta(sound) if self.events else sound, more=True)
                head, piece = b"", await self.service.wait(self.request, self.stream.next())
            await self._send(send, sse_end() if self.events else head, more=False)
        finally:
            self.stream.close()

    async def _send(self, send: Send, body: bytes, more: bool) -> None:
        """Raises ClientDisconnect where the client does not take it within the time limit."""
        try:
            async with asyncio.timeout(self.service.options.timeout):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise ClientDisconnect from None


async def stream_speech(service: Service, request: Request, stream: SpeechStream, kind: str, events: bool = False) -> SpeechAnswer:
    """The answer to a request for a stream, once its first piece is there. Raises as `Service.wait` does."""
    try:
        first = await service.wait(request, stream.next())
    except BaseException:
        stream.close()
        raise
    return SpeechAnswer(service, request, stream, first, kind, events)


def sound_headers(service: Service, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What bare samples do not say."""
    return {"X-Sample-Rate": str(service.synthesizer.sample_rate), "Cache-Control": "no-store", **(more or {})}
