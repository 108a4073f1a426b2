"""Voices of a server: uploaded, listed, deleted, and kept apart from the rest of the disk."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from running import VOICE, error

from myxtts.config import DataError
from myxtts.serving.server import voices as voices_module
from myxtts.serving.server.errors import Refusal
from myxtts.serving.server.voices import check_name
from myxtts.synthesis.voice import Voice


def upload(client, name, *contents, field="file"):
    return client.post("/v1/voices", data={"name": name}, files=[(field, (f"{n}.wav", content)) for n, content in enumerate(contents)])


def names(client):
    return [voice["name"] for voice in client.get("/v1/voices").json()["voices"]]


def sound(seconds, format="WAV", level=0.2, rate=24000):
    buffer = io.BytesIO()
    wave = level * np.random.default_rng(0).normal(size=int(seconds * rate)).clip(-3, 3)
    soundfile.write(buffer, wave, rate, format=format)
    return buffer.getvalue()


def test_a_voice_is_uploaded_spoken_with_and_deleted(serve, synthesizer, wav, tmp_path):
    with serve() as client:
        assert names(client) == [VOICE]
        answer = upload(client, "Bob", wav)
        assert answer.status_code == 201 and answer.json() == {"name": "Bob"} and names(client) == [VOICE, "Bob"]
        said = [client.post("/v1/speech", json={"text": "good morning", "voice": name}).content for name in (VOICE, "Bob")]
        assert said[0] == said[1], "they are of one recording"
        (tmp_path / "reference.wav").write_bytes(wav)
        ours = Voice.from_audio(tmp_path / "reference.wav", synthesizer)
        assert np.array_equal(Voice.load(tmp_path / "voices" / "Bob.voice").latents, ours.latents)
        assert client.delete("/v1/voices/Bob").status_code == 204 and names(client) == [VOICE]
        for gone in (client.delete("/v1/voices/Bob"), client.post("/v1/speech", json={"text": "good morning", "voice": "Bob"})):
            assert gone.status_code == 404 and "there is no voice 'Bob'; there are: Ada" in error(gone)
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["Ada.voice"]


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_recordings_of_several_formats_are_taken(serve, format):
    with serve() as client:
        assert upload(client, "Bob", sound(1, format)).status_code == 201


def test_several_recordings_make_one_voice(serve, wav, tmp_path):
    with serve() as client:
        assert upload(client, "Both", wav, sound(1.5)).status_code == 201
        assert upload(client, "Second", sound(1.5)).status_code == 201
    first, both, second = (Voice.load(tmp_path / "voices" / f"{name}.voice").embedding for name in (VOICE, "Both", "Second"))
    assert np.allclose(both, (first + second) / 2, atol=1e-5) and not np.allclose(first, second, atol=1e-5)


def test_nothing_is_overwritten_not_even_by_two_at_once(serve, wav, tmp_path):
    with serve() as client:
        before = (tmp_path / "voices" / "Ada.voice").read_bytes()
        answer = upload(client, VOICE, wav)
        assert answer.status_code == 409 and "delete it first" in error(answer)
        with ThreadPoolExecutor(4) as pool:
            statuses = [answer.status_code for answer in pool.map(lambda n: upload(client, "Bob", sound(1 + n / 10)), range(4))]
        assert sorted(statuses) == [201, 409, 409, 409]
        assert (tmp_path / "voices" / "Ada.voice").read_bytes() == before


def test_a_voice_that_was_replaced_on_the_disk_is_read_again(serve, synthesizer, tmp_path):
    asked = {"text": "good morning", "voice": VOICE, "vocoder": "decoder"}
    with serve() as client:
        before = client.post("/v1/speech", json=asked).content
        (tmp_path / "other.wav").write_bytes(sound(1.5))
        synthesizer.voice(tmp_path / "other.wav").save(tmp_path / "voices" / "Ada.voice")
        assert client.post("/v1/speech", json=asked).content != before


@pytest.mark.parametrize("name", ["مریم", "علی\u200cرضا", "Ada 2", "हिन्दी", "a.b-c_d", "7", "Åsa"])
def test_names_of_people_are_names(name):
    assert check_name(f" {name} ") == name


def test_a_name_in_two_spellings_is_one():
    assert check_name("A\u030asa") == check_name("Åsa")


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", "../Ada", "a/b", "a\\b", "/etc/passwd", ".hidden", "~root", "C:x", "$HOME", "a*", "con|", "dot."),
        *("a\0", "a\nb", "\u202eadA", "a\u200b", "x" * 65, "ह" * 64 + "नि" * 9),
    ],
)
def test_what_is_more_than_a_name_is_refused(name):
    with pytest.raises(Refusal) as refused:
        check_name(name)
    assert refused.value.status_code == 422


def test_nothing_leaves_the_folder(serve, wav, tmp_path):
    (tmp_path / "secret.voice").write_bytes(b"not yours")
    with serve() as client:
        for name in ("../secret", "..%2fsecret", "%2e%2e%2fsecret", "../../secret"):
            assert 400 <= upload(client, name, wav).status_code < 500
            assert client.delete(f"/v1/voices/{name}").status_code in (404, 405, 422)
            assert client.post("/v1/speech", json={"text": "good", "voice": name}).status_code == 422
        assert names(client) == [VOICE]
    assert (tmp_path / "secret.voice").read_bytes() == b"not yours"
    assert {path.name for path in tmp_path.iterdir()} == {"secret.voice", "voices"}


def test_bad_recordings_are_refused_with_a_sentence(serve, wav):
    with serve(max_upload_mb=1, max_voice_seconds=4) as client:
        for contents, status, said in [
            ((b"",), 422, "empty"),
            ((b"no audio at all",), 422, "cannot be decoded"),
            ((wav[:-1000],), 422, "truncated"),
            ((sound(0.1),), 422, "needs at least 0.4 s"),
            ((sound(1, level=0),), 422, "needs at least 0.4 s"),
            ((sound(5, rate=8000),), 422, "too large"),
            ((sound(2.5, rate=8000), sound(2.5, rate=8000)), 422, "last 5 s; expected at most 4 s"),
            ((bytes(2 << 20),), 413, "larger than"),
            ((wav,) * 9, 422, "1 to 8 recordings; got 9"),
        ]:
            answer = upload(client, "Bob", *contents)
            assert answer.status_code == status and said in error(answer), answer.text
            assert "/tmp" not in answer.text and "recording0" not in answer.text
        assert names(client) == [VOICE]


def test_bad_forms_are_refused_with_a_sentence(serve, wav):
    with serve() as client:
        for answer, status, said in [
            (upload(client, "Bob", wav, field="audio"), 422, "file is missing"),
            (client.post("/v1/voices", files={"file": ("a.wav", wav)}), 422, "name is missing"),
            (client.post("/v1/voices", data={"name": "Bob"}), 415, "multipart/form-data"),
            (client.post("/v1/voices", json={"name": "Bob"}), 415, "multipart/form-data"),
            (client.post("/v1/voices"), 415, "multipart/form-data"),
            (client.post("/v1/voices", content=b"--", headers={"Content-Type": "multipart/form-data"}), 400, "form"),
            (client.post("/v1/voices", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"}), 400, "form"),
            (client.post("/v1/voices", files={"name": (None, "Bob"), "file": (None, "text")}), 422, "file"),
        ]:
            assert answer.status_code == status and said in error(answer), answer.text


def test_there_is_an_end_of_voices(serve, wav):
    with serve(max_voices=2) as client:
        assert upload(client, "Bob", wav).status_code == 201
        answer = upload(client, "Cyd", wav)
        assert answer.status_code == 409 and "delete one first" in error(answer)


def test_a_voice_of_another_model_and_a_damaged_one_are_said(serve, voices, tmp_path):
    with serve() as client:
        mine = Voice.load(tmp_path / "voices" / "Ada.voice")
        Voice(mine.latents, mine.embedding, "other networks").save(tmp_path / "voices" / "Other.voice")
        (tmp_path / "voices" / "Damaged.voice").write_bytes(b"PK\3\4")
        for name, said in (("Other", "another model"), ("Damaged", "no voice")):
            answer = client.post("/v1/speech", json={"text": "good", "voice": name})
            assert answer.status_code == 422 and said in error(answer) and name in error(answer)


def test_an_upload_waits_in_the_queue_and_leaves_the_networks_to_one_thread(serve, synthesizer, wav, monkeypatch):
    threads = []
    make = voices_module.VoiceStore.make
    monkeypatch.setattr(voices_module.VoiceStore, "make", lambda *given: threads.append(threading.current_thread().name) or make(*given))
    with serve() as client:
        assert upload(client, "Bob", wav).status_code == 201
    assert threads == ["networks"]


def test_the_store_keeps_no_more_voices_in_memory_than_it_says(synthesizer, voices, tmp_path, monkeypatch):
    monkeypatch.setattr(voices_module, "_LOADED", 2)
    store = voices_module.VoiceStore(tmp_path, synthesizer, 10, 60)
    for name in "abc":
        (tmp_path / f"{name}.voice").write_bytes((voices / "Ada.voice").read_bytes())
        store.get(name)
    assert list(store._loaded) == ["b", "c"] and store.get("c") is store.get(" c ")
    with pytest.raises(DataError, match="'d'"):
        (tmp_path / "d.voice").write_bytes(b"")
        store.get("d")
