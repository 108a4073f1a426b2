"""Speech that is sent while it is made."""

import base64
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from running import ASKED, GOOD, error
from stand_ins import stand_in

from myxtts.audio.wave import load, to_pcm

LONG = GOOD | {"text": "good morning to all of you\nthe sun is warm today", "vocoder": "decoder"}


def samples(content):
    return np.frombuffer(content, "<i2")


def test_a_stream_says_what_the_whole_says_in_pieces(client):
    whole = soundfile.read(io.BytesIO(client.post("/v1/speech", json=LONG).content), dtype="int16")[0]
    with client.stream("POST", "/v1/speech", json=LONG | {"stream": True, "format": "pcm"}) as answer:
        assert answer.status_code == 200 and answer.headers["transfer-encoding"] == "chunked" and "content-length" not in answer.headers
        pieces = list(answer.iter_raw())
    streamed = samples(b"".join(pieces))
    assert len(pieces) > 1 and len(streamed) == len(whole)
    assert np.abs(streamed.astype(int) - whole).max() <= 33  # a thousandth of full scale


def test_a_streamed_wav_is_read_by_libsndfile_and_by_us(client, tmp_path):
    content = client.post("/v1/speech", json=LONG | {"stream": True}).content
    bare = client.post("/v1/speech", json=LONG | {"stream": True, "format": "pcm"}).content
    assert content[:4] == b"RIFF" and content[4:8] == content[40:44] == b"\xff" * 4 and content[44:] == bare
    (tmp_path / "streamed.wav").write_bytes(content)
    wave, rate = load(tmp_path / "streamed.wav")
    assert rate == 24000 and to_pcm(wave).tolist() == samples(bare).tolist()


def test_openai_clients_get_streams_as_bytes_or_events(client):
    asked = ASKED | {"input": LONG["text"], "vocoder": "decoder", "response_format": "pcm"}
    bare = client.post("/v1/speech", json=LONG | {"stream": True, "format": "pcm"}).content
    assert client.post("/v1/audio/speech", json=asked | {"stream_format": "audio"}).content == bare
    answer = client.post("/v1/audio/speech", json=asked | {"stream_format": "sse"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.strip().split("\n\n")]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == bare and len(events) > 2


def test_what_cannot_be_spoken_is_said_before_the_stream_begins(client):
    answer = client.post("/v1/speech", json=LONG | {"stream": True, "text": "?"})
    assert answer.status_code == 422 and "nothing to speak" in error(answer)


def test_the_first_piece_comes_before_the_last_is_made(serve, synthesizer):
    mixed, speaker = stand_in(synthesizer, pieces=3)
    with serve(mixed) as client, client.stream("POST", "/v1/speech", json=GOOD | {"stream": True, "format": "pcm"}) as answer:
        pieces = answer.iter_raw()
        speaker.go.clear()
        first = next(pieces)
        assert set(samples(first)) == {0} and len(speaker.turns) < 3
        speaker.go.set()
        assert len(first) + len(b"".join(pieces)) == 3 * 10 * 2


def test_many_streams_and_files_at_once_are_all_whole(client):
    alone = {
        text: client.post("/v1/speech", json=GOOD | {"text": text, "vocoder": "decoder"}).content for text in ("good morning", "the sun")
    }
    asked = [(text, stream) for text in alone for stream in (True, False)] * 3

    def ask(case):
        text, stream = case
        return client.post("/v1/speech", json=GOOD | {"text": text, "vocoder": "decoder", "stream": stream}).content[44:]

    with ThreadPoolExecutor(12) as pool:
        for (text, _), content in zip(asked, pool.map(ask, asked), strict=True):
            assert np.abs(samples(content).astype(int) - samples(alone[text][44:])).max() <= 33


@pytest.mark.parametrize("how", ["goes away", "stops reading"])
def test_a_client_that_is_gone_frees_its_place(serve, synthesizer, how):
    mixed, speaker = stand_in(synthesizer)

    def stream(self, text, *given):
        try:
            for _ in range(100_000):
                speaker.turns.append(text)
                yield np.zeros(300_000, np.float32)  # the buffers between the two are soon full
        finally:
            speaker.closed.append(text)

    mixed.__class__.stream = stream
    with serve(mixed, max_queue=1, timeout=0.5) as client:
        with client.stream("POST", "/v1/speech", json=GOOD | {"stream": True, "format": "pcm"}) as answer:
            pieces = answer.iter_raw(1000)  # kept: dropped, it closes the connection
            assert next(pieces)
            assert client.post("/v1/speech", json=GOOD).status_code == 429
            if how == "stops reading":
                until(lambda: speaker.closed)
        until(lambda: speaker.closed == ["good morning"])
        turns = len(speaker.turns)
        assert client.post("/v1/speech", json=GOOD).status_code == 200
        assert len(speaker.turns) <= turns + 1 and client.service.queue.open_streams == 0
        assert 'status="499"} 1.0' in client.get("/metrics").text


def until(holds, seconds=120):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stream_that_fails_is_cut_and_not_ended(serve, synthesizer):
    mixed, _ = stand_in(synthesizer)

    def stream(self, *given):
        yield np.zeros(10, np.float32)
        raise ZeroDivisionError

    mixed.__class__.stream = stream
    with serve(mixed) as client:
        with pytest.raises(Exception, match=r"incomplete|closed"):
            client.post("/v1/speech", json=GOOD | {"stream": True})
        assert client.post("/v1/speech", json=GOOD).status_code == 200
