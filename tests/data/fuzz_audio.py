"""Damaged recordings through `clips.process`, as many as one likes: `python fuzz_audio.py EXAMPLES LAST`, in a process of its own.

A fault in a decoder's native code ends the process; the bytes that it was given then stand in the file LAST. Prints, as
JSON, what it took: `slowest` in seconds of processor time.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import broken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torture import peak_mib

from myxtts.config import XTTSConfig
from myxtts.data import clips
from myxtts.data.clips import ClipSettings, Part, Recording

SHORT = broken.speech(1, 0.5, 8000)  # most mutants decode: they should take no time
ORIGINALS = tuple(
    broken.encode(SHORT, 8000, form, subtype)
    for form, subtype in (
        *(("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")),
        *(("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("CAF", "PCM_16"), ("AU", "ULAW")),
    )
)
EXTREME = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\x01\0\0\0")
HEAD = 200  # most faults lie in what is said of the samples, not in them


@st.composite
def mutants(draw) -> bytes:
    """A good file, or the beginning of one and the end of another, with up to eight bytes, words or pieces changed, cut or put in."""
    raw = bytearray(draw(st.sampled_from(ORIGINALS)))
    if draw(st.integers(0, 9)) == 0:
        other = draw(st.sampled_from(ORIGINALS))
        raw = raw[: draw(st.integers(0, len(raw)))] + other[draw(st.integers(0, len(other))) :]
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 2, 4, 8)))):
        end = min(len(raw), HEAD) if draw(st.booleans()) else len(raw)
        place = draw(st.integers(0, end))
        how = draw(st.integers(0, 4))
        if how == 0:
            raw[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == 1:
            raw[place : place + 4] = draw(st.sampled_from(EXTREME))
        elif how == 2:
            raw[place:place] = draw(st.binary(min_size=1, max_size=40))
        elif how == 3:
            del raw[place : place + draw(st.integers(1, 400))]
        else:
            del raw[place:]
    return bytes(raw)


def main(examples: int, last: Path) -> None:
    shaping = ClipSettings.of(XTTSConfig())
    took, worst, reasons = 0.0, "", Counter()

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        st.one_of(mutants(), mutants(), mutants(), mutants(), mutants(), st.binary(max_size=300)),
        st.sampled_from(((None, None), (0.1, 0.4), (0.3, 9.0))),
    )
    def check(raw: bytes, span: tuple[float | None, float | None]) -> None:
        nonlocal took, worst
        last.write_bytes(raw)
        began = time.process_time()
        ((clip,),) = clips.process([Recording("clip", "clip", (Part(1, "", *span, "words", "en"),), raw)], shaping)
        seconds = time.process_time() - began
        if seconds > took:
            took, worst = seconds, clip.facts["reason"] or "kept"
        reasons[clip.facts["reason"] or ("kept" if clip.wav else "longer than a clip")] += 1
        assert clip.wav or clip.facts["reason"] or clip.facts["seconds"] > shaping.max_seconds
        assert not clip.facts["reason"] or len(clip.facts["detail"]) > 12
        json.dumps(clip.facts, allow_nan=False)

    check()
    print(json.dumps({"slowest": round(took, 3), "of": worst, "peak_mib": round(peak_mib()), "reasons": reasons}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
