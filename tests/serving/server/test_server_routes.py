"""What the server answers: speech for good requests, a sentence for bad ones."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from running import ASKED, GOOD, VOICE, error
from stand_ins import stand_in

from myxtts.audio.wave import to_pcm
from myxtts.config import ConfigError, DataError
from myxtts.serving.server.app import create_app
from myxtts.serving.server.options import make_options


def read(answer):
    assert answer.status_code == 200, answer.text
    wave, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    return wave, rate


# --- speech


def test_speech_is_what_the_synthesizer_says(client, synthesizer):
    wave, rate = read(client.post("/v1/speech", json=GOOD | {"seed": 4}))
    said = synthesizer.speak("good morning", client.service.voices.get(VOICE), "en", seed=4)
    assert rate == said.sample_rate and wave.tolist() == to_pcm(said.waveform).tolist() and len(wave)


def test_a_request_chooses_seed_and_settings(client):
    answers = [client.post("/v1/speech", json=GOOD | change).content for change in ({}, {}, {"seed": 1}, {"vocoder": "decoder"})]
    assert answers[0] == answers[1] and len(set(answers)) == 3
    greedy = [client.post("/v1/speech", json=GOOD | {"temperature": 0, "seed": seed, "vocoder": "decoder"}).content for seed in (1, 2)]
    assert greedy[0] == greedy[1], "greedy speech knows no seed"


@pytest.mark.parametrize(("kind", "said"), [("wav", "audio/wav"), ("flac", "audio/flac"), ("mp3", "audio/mpeg"), ("opus", "audio/ogg")])
def test_formats_hold_the_same_speech(client, kind, said):
    answer = client.post("/v1/speech", json=GOOD | {"format": kind})
    wave, rate = read(answer)
    whole, _ = read(client.post("/v1/speech", json=GOOD))
    assert answer.headers["content-type"].startswith(said) and rate == 24000
    assert len(wave) / rate == pytest.approx(float(answer.headers["x-audio-seconds"]), abs=0.06)
    if kind in ("wav", "flac"):
        assert wave.tolist() == whole.tolist()


def test_pcm_is_the_bare_samples(client):
    answer = client.post("/v1/speech", json=GOOD | {"format": "pcm"})
    assert np.frombuffer(answer.content, "<i2").tolist() == read(client.post("/v1/speech", json=GOOD))[0].tolist()
    assert answer.headers["x-sample-rate"] == "24000"


def test_the_language_is_that_of_the_request_or_of_the_server_or_as_the_text_tells(client, serve):
    english = client.post("/v1/speech", json=GOOD).content
    assert client.post("/v1/speech", json={"text": GOOD["text"], "voice": VOICE}).content == english
    with serve() as undecided:
        assert undecided.post("/v1/speech", json={"text": GOOD["text"], "voice": VOICE}).content == english
        persian = {"text": "سلام به همه", "voice": VOICE}
        assert undecided.post("/v1/speech", json=persian).content == client.post("/v1/speech", json=persian | {"language": "fa"}).content
        answer = undecided.post("/v1/speech", json={"text": "12 + 34", "voice": VOICE})
        assert answer.status_code == 422 and "does not show which of en, fa it is: name the language" in error(answer)


def test_openai_clients_are_answered(client):
    assert read(client.post("/v1/audio/speech", json=ASKED))[0].tolist() == read(client.post("/v1/speech", json=GOOD))[0].tolist()
    as_object = client.post("/v1/audio/speech", json=ASKED | {"voice": {"id": VOICE}, "language": "en", "seed": 3})
    assert as_object.content == client.post("/v1/speech", json=GOOD | {"seed": 3}).content
    default = client.post("/v1/audio/speech", json={key: ASKED[key] for key in ("input", "voice", "model")})
    assert default.headers["content-type"] == "audio/mpeg" and len(read(default)[0])
    (model,) = client.get("/v1/models").json()["data"]
    assert model["id"] == "myxtts" and model["object"] == "model"


def test_health_says_what_can_be_asked_for(client):
    health = client.get("/health").json()
    assert health["status"] == "ready" and health["languages"] == ["en", "fa"] and health["sample_rate"] == 24000
    assert health["options"]["temperature"] == 0.9 and not health["key_needed"] and health["limits"]["characters"] == 2000


def test_metrics_count_what_was_done(serve):
    with serve() as client:
        seconds = float(client.post("/v1/speech", json=GOOD).headers["x-audio-seconds"])
        client.post("/v1/speech", json=GOOD | {"text": ""})
        client.get("/v1/no/such/../../route")
        lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert figures['myxtts_requests_total{route="/v1/speech",status="200"}'] == "1.0"
    assert figures['myxtts_requests_total{route="/v1/speech",status="422"}'] == "1.0"
    assert figures['myxtts_requests_total{route="other",status="404"}'] == "1.0"
    assert float(figures["myxtts_audio_seconds_total"]) == pytest.approx(seconds, abs=1e-3)
    work = float(figures["myxtts_work_seconds_total"])
    assert work > 0 and float(figures["myxtts_real_time_factor"]) == pytest.approx(work / seconds, rel=1e-2)
    assert figures["myxtts_batch_lines_count"] == "1.0" and figures["myxtts_queue_length"] == "0.0"
    assert float(figures["process_resident_memory_bytes"]) > 1e8


# --- refusals


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"text": ""}, 422, "text"),
        ({"text": " \n "}, 422, "nothing to speak"),
        ({"text": "?!…"}, 422, "nothing to speak"),
        ({"text": "good\0morning"}, 422, "U+0000"),
        ({"text": "x" * 2001}, 422, "2001 characters; expected at most 2000"),
        ({"text": "x" * 100_000}, 413, "larger than the 40384 bytes"),
        ({"text": "雪"}, 422, "does not know"),
        ({"text": 7}, 422, "text: got 7"),
        ({"text": None}, 422, "text"),
        ({"text": ["good"]}, 422, "text: got list"),
        ({"voice": "Nobody"}, 404, "there is no voice 'Nobody'; there are: Ada"),
        ({"voice": "../Ada"}, 422, "name of a voice"),
        ({"voice": "Ada\0"}, 422, "name of a voice"),
        ({"voice": "Ada.voice/../Ada"}, 422, "name of a voice"),
        ({"voice": ""}, 422, "voice"),
        ({"language": "xx"}, 422, "speaks en, fa"),
        ({"language": "de"}, 422, "speaks en, fa"),
        ({"language": "e" * 50}, 422, "language"),
        ({"seed": -1}, 422, "seed"),
        ({"seed": 2**31}, 422, "seed"),
        ({"seed": 10**30}, 422, "seed"),
        ({"seed": 1.5}, 422, "seed"),
        ({"seed": "1"}, 422, "seed"),
        ({"temperature": 2.5}, 422, "less than or equal to 2"),
        ({"temperature": -1}, 422, "greater than or equal to 0"),
        ({"top_p": 0}, 422, "top_p"),
        ({"vocoder": "harp"}, 422, "vocoder"),
        ({"format": "aac"}, 422, "format"),
        ({"format": "mp3", "stream": True}, 422, "a stream is wav or pcm"),
        ({"stream": "yes"}, 422, "stream"),
        ({"txt": "good"}, 422, "txt: this server knows no such field"),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence(client, change, status, said):
    answer = client.post("/v1/speech", json=GOOD | change)
    assert answer.status_code == status and said in error(answer)
    assert len(answer.text) < 1500, "a refused text is not sent back"


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "application/json", 422, "body"),
        (b"{", "application/json", 400, "not valid JSON"),
        (b"\xff\xfe", "application/json", 400, "not valid JSON"),
        (b'{"text": "\xff", "voice": "Ada"}', "application/json", 400, "JSON"),
        (b"[" * 20_000, "application/json", 400, "JSON"),
        (b"[]", "application/json", 422, "body"),
        (b"null", "application/json", 422, "body"),
        (b"{}", "application/json", 422, "text is missing; voice is missing"),
        (b'{"text": "\\ud800", "voice": "Ada"}', "application/json", 422, "unicode"),
        (b'{"text": "good", "voice": "Ada", "temperature": NaN}', "application/json", 422, "temperature"),
        (b'{"text": "good", "voice": "Ada", "temperature": 1e999}', "application/json", 422, "temperature"),
        (json.dumps(GOOD).encode(), "text/plain", 415, "expected the content type application/json"),
        (json.dumps(GOOD).encode(), "multipart/form-data; boundary=x", 415, "application/json"),
    ],
)
def test_a_bad_body_is_refused_with_a_sentence(client, body, kind, status, said):
    answer = client.post("/v1/speech", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status and said in error(answer)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": "x" * 2001}, 400, "at most 2000"),
        ({"voice": "alloy"}, 404, "there is no voice 'alloy'"),
        ({"voice": {"name": "Ada"}}, 400, "voice"),
        ({"response_format": "aac"}, 400, "'mp3', 'opus', 'flac', 'wav' or 'pcm'"),
        ({"response_format": "mp3", "stream_format": "sse"}, 400, "a stream is wav or pcm"),
        ({"instructions": "whisper"}, 400, "instructions"),
        ({"language": "de"}, 400, "speaks en, fa"),
    ],
)
def test_openai_clients_are_refused_as_they_know_it(client, change, status, said):
    answer = client.post("/v1/audio/speech", json=ASKED | change)
    assert answer.status_code == status and said in error(answer)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/speech", 405), ("PUT", "/v1/voices", 405), ("GET", "/nothing", 404), ("GET", "/page/../app.py", 404), ("BREW", "/", 405)],
)
def test_what_is_not_there_is_said(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status and path.rsplit("/", 1)[1] in error(answer)


def test_a_body_in_pieces_is_measured_too(client):
    sent = client.post("/v1/speech", content=(b" " * 4096 for _ in range(20)), headers={"Content-Type": "application/json"})
    assert sent.status_code == 413 and "larger" in error(sent)
    assert client.post("/v1/speech", json=GOOD).status_code == 200


# --- who may ask


def test_with_a_key_only_who_has_it_is_answered(serve):
    with serve(api_key="a-secret-key") as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer \xff"}):
            for method, path in (("POST", "/v1/speech"), ("GET", "/v1/voices"), ("GET", "/metrics"), ("GET", "/v1/models")):
                answer = client.request(method, path, headers={key: value.encode("latin-1") for key, value in headers.items()})
                assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer" and "KEY" in error(answer)
        assert client.post("/v1/speech", json=GOOD, headers={"Authorization": "Bearer a-secret-key"}).status_code == 200
        assert client.get("/health").json()["key_needed"] and client.get("/").status_code == 200
        assert "a-secret-key" not in client.get("/health").text


def test_pages_of_other_sites_are_kept_out_unless_they_are_named(serve, client):
    elsewhere = {"Origin": "https://elsewhere.example"}
    answer = client.post("/v1/speech", json=GOOD, headers=elsewhere)
    assert answer.status_code == 403 and "--allow-origin" in error(answer)
    assert client.delete(f"/v1/voices/{VOICE}", headers=elsewhere).status_code == 403
    assert "access-control-allow-origin" not in client.get("/health", headers=elsewhere).headers
    assert client.post("/v1/speech", json=GOOD, headers={"Origin": str(client.base_url).rstrip("/")}).status_code == 200
    with serve(allow_origins=("https://elsewhere.example",)) as open_client:
        answer = open_client.post("/v1/speech", json=GOOD, headers=elsewhere)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://elsewhere.example"


# --- many at once, and what goes wrong


def test_requests_that_come_together_are_spoken_together(serve, synthesizer):
    mixed, speaker = stand_in(synthesizer, seconds=0.2)
    with serve(mixed, max_batch=8) as client, ThreadPoolExecutor(16) as pool:
        statuses = list(
            pool.map(lambda n: client.post("/v1/speech", json=GOOD | {"text": "good" if n % 4 else "雪"}).status_code, range(16))
        )
    assert statuses.count(200) == 12 and statuses.count(422) == 4
    assert sum(map(len, speaker.turns)) == 12, "a bad request never comes as far as the networks"
    assert max(map(len, speaker.turns)) > 1 and len(speaker.turns) <= 6


def test_a_batch_of_the_real_model_says_what_each_says_alone(client):
    texts = ["good morning", "the sun is warm today", "good morning to all of you"]
    alone = [client.post("/v1/speech", json=GOOD | {"text": text}).content for text in texts]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda text: client.post("/v1/speech", json=GOOD | {"text": text}).content, texts))
    for one, other in zip(alone, together, strict=True):
        (first, _), (second, _) = soundfile.read(io.BytesIO(one)), soundfile.read(io.BytesIO(other))
        assert len(first) == len(second) and np.allclose(first, second, atol=1e-3)


def test_a_full_queue_is_said_with_429_and_when_to_come_again(serve, synthesizer):
    mixed, speaker = stand_in(synthesizer)
    speaker.go.clear()
    with serve(mixed, max_queue=2, gather_seconds=0) as client, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.post, "/v1/speech", json=GOOD)]
        speaker.at_work.wait(120)
        waiting += [pool.submit(client.post, "/v1/speech", json=GOOD) for _ in range(2)]
        while client.get("/health").json()["waiting"] < 2:
            pass
        answer = client.post("/v1/speech", json=GOOD)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1 and "2 requests wait" in error(answer)
        streamed = client.post("/v1/speech", json=GOOD | {"stream": True})
        assert streamed.status_code == 429
        speaker.go.set()
        assert [future.result().status_code for future in waiting] == [200] * 3


def test_what_takes_too_long_is_given_up_with_503(serve, synthesizer):
    mixed, speaker = stand_in(synthesizer)
    speaker.go.clear()
    with serve(mixed, timeout=1.5) as client:
        answer = client.post("/v1/speech", json=GOOD)
        assert answer.status_code == 503 and "within 1.5 s" in error(answer) and answer.headers["retry-after"]
        speaker.go.set()
        assert client.post("/v1/speech", json=GOOD).status_code == 200


def test_an_error_that_nobody_foresaw_is_a_500_with_the_number_of_its_log(serve, synthesizer, caplog):
    mixed, _ = stand_in(synthesizer)
    with serve(mixed) as client:
        answer = client.post("/v1/speech", json=GOOD | {"text": "worse"})
        assert answer.status_code == 500 and "nobody foresaw" not in answer.text
        number = error(answer).split()[-1]
        assert client.post("/v1/speech", json=GOOD).status_code == 200
    (record,) = [record for record in caplog.records if record.name == "myxtts.serve"]
    assert number in record.getMessage() and record.exc_info[0] is ZeroDivisionError


def test_a_client_that_goes_away_is_not_spoken_for(serve, synthesizer):
    mixed, speaker = stand_in(synthesizer)
    speaker.go.clear()
    with serve(mixed, gather_seconds=0) as client:
        running = threading.Thread(target=client.post, args=("/v1/speech",), kwargs={"json": GOOD | {"text": "first"}})
        running.start()
        speaker.at_work.wait(120)
        with pytest.raises(Exception, match="timed out"):
            client.post("/v1/speech", json=GOOD | {"text": "gone"}, timeout=0.3)
        while client.get("/health").json()["waiting"]:
            pass
        speaker.go.set()
        running.join()
        assert client.post("/v1/speech", json=GOOD | {"text": "last"}).status_code == 200
        assert 'status="499"} 1.0' in client.get("/metrics").text
    assert speaker.turns == [["first"], ["last"]]


# --- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_queue": 0}, "--max-queue"),
        ({"timeout": 0}, "--timeout"),
        ({"api_key": "short"}, "--api-key"),
        ({"max_batch": -1}, "--max-batch"),
    ],
)
def test_options_out_of_range_are_named(options, said, tmp_path):
    with pytest.raises(ConfigError, match=said) as refused:
        make_options(voices=tmp_path, **options)
    assert "short" not in str(refused.value).split("--api-key")[0]


def test_a_server_of_a_language_that_the_model_does_not_speak_does_not_start(synthesizer, tmp_path):
    with pytest.raises(DataError, match="speaks en, fa"):
        create_app(synthesizer, make_options(voices=tmp_path, language="de"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--voices"):
        create_app(synthesizer, make_options(voices=tmp_path / "file"))
