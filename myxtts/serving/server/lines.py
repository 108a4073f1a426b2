"""What the queue asks of the engine: lines that are spoken together."""

from collections.abc import Sequence
from dataclasses import dataclass

from myxtts.config.stages import SynthesisConfig
from myxtts.synthesis import speech as engine
from myxtts.synthesis.speech import Speech, Synthesizer
from myxtts.synthesis.voice import Voice

if hasattr(engine, "Line"):
    Line = engine.Line
else:

    @dataclass(frozen=True)
    class Line:
        """One text to be spoken."""

        text: str
        voice: Voice
        language: str
        seed: int = 0


def speak_all(synthesizer: Synthesizer, lines: Sequence[Line], settings: SynthesisConfig) -> list[Speech]:
    """A Speech for each line: in batches where the engine has them, else one after another."""
    if hasattr(synthesizer, "speak_all"):
        return synthesizer.speak_all(lines, settings)
    return [synthesizer.speak(line.text, line.voice, line.language, line.seed, settings) for line in lines]
