"""What the routes share: from a request to a line that can be spoken, and waiting for it no longer than is right."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from myxtts.config.stages import SynthesisConfig
from myxtts.serving.server.errors import Refusal
from myxtts.serving.server.options import ServeOptions
from myxtts.serving.server.queue import QueueClosed, QueueFull, SpeechQueue, SpeechStream
from myxtts.serving.server.schemas import OPTIONS
from myxtts.serving.server.voices import VoiceStore
from myxtts.synthesis.speech import AUTO, Line, Synthesizer

Result = TypeVar("Result")


class Service:
    """A synthesizer with its queue and its voices. Raises ConfigError where the options do not fit the model."""

    def __init__(self, synthesizer: Synthesizer, options: ServeOptions):
        self.synthesizer, self.options = synthesizer, options
        self.queue = SpeechQueue(synthesizer, options.max_queue, options.max_batch, options.gather_seconds)
        self.voices = VoiceStore(options.voices, synthesizer, options.max_voices, options.max_voice_seconds)
        self.model = options.model or synthesizer.config.bundle.name
        self.languages = tuple(synthesizer.tokenizer.languages)
        self.language = options.language and synthesizer.language_code(options.language)
        if not self.language and len(self.languages) == 1:
            self.language = self.languages[0]
        # both read all weights once: not while a client waits
        _ = synthesizer.voice_networks
        synthesizer.engine.prepare(synthesizer.config.synthesis)

    def line(self, text: str, voice: str, language: str | None, seed: int) -> Line:
        """A request as the engine takes it, known to be good: one bad line would spoil its batch. Blocks for some milliseconds.

        Raises Refusal or DataError.
        """
        if len(text) > self.options.max_chars:
            limit = self.options.max_chars
            raise Refusal(422, f"the text has {len(text)} characters; expected at most {limit}: send it in parts", "text")
        found = self.voices.get(voice)
        code = self.synthesizer.language_code(language or self.language or AUTO, text)
        self.synthesizer.prepare_text(text, code)
        return Line(text=text, voice=found, language=code, seed=seed)

    def settings(self, changes: Mapping[str, Any]) -> SynthesisConfig:
        """The bundle's settings with those that a request asks for. Raises ConfigError, and ModelError where its networks lack one."""
        settings = self.synthesizer.config.synthesis_with(changes, source="the request")
        if settings.vocoder == "griffin_lim":
            self.synthesizer.model.component("dvae")
        return settings

    def option_defaults(self) -> dict[str, Any]:
        """What a request may choose, and what is taken where it does not."""
        known = self.synthesizer.config.synthesis.model_dump(mode="json")
        return {name: known[name] for name in OPTIONS if name in known}

    async def wait(self, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """What becomes of work in the queue, which is dropped where the client goes away, or waits too long.

        Raises Refusal (429, 503), ClientDisconnect, and what the work raises.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
        try:
            done, _ = await asyncio.wait({task, gone}, timeout=self.options.timeout, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                return task.result()
            if gone in done:
                raise ClientDisconnect
            message = f"the speech was not ready within {self.options.timeout:g} s: send a shorter text, stream it, or try again later"
            raise Refusal(503, message, headers={"Retry-After": "10"})
        except (QueueFull, QueueClosed) as error:
            raise self._no_room(error) from None
        finally:
            for waiting in (task, gone):
                waiting.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    def open_stream(self, line: Line, settings: SynthesisConfig) -> SpeechStream:
        """A place for a stream. Raises Refusal (429, 503)."""
        try:
            return self.queue.open_stream(line, settings)
        except (QueueFull, QueueClosed) as error:
            raise self._no_room(error) from None

    def _no_room(self, error: QueueFull | QueueClosed) -> Refusal:
        if isinstance(error, QueueFull):
            headers = {"Retry-After": str(error.retry_after)}
            return Refusal(429, f"{self.options.max_queue} requests wait already: {error}", headers=headers)
        return Refusal(503, f"{error}: try again in a minute", headers={"Retry-After": "60"})


async def _gone(request: Request) -> None:
    """Ends when the client is not there any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
