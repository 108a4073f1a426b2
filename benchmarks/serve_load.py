"""Does `myxtts serve` hold? Many requests, some of them malformed, from several clients at once:

    python benchmarks/serve_load.py [--requests 1000] [--clients 8] [--malformed 5] [--warm-up 200] [--model BUNDLE]

The server is a process of its own; without --model it has tiny networks of random weights. Every good request must be answered by speech,
every malformed one by a 4xx, and memory must stay flat. First come `warm-up` requests of the same kinds, for a length of text that was
never seen is compiled. Exits 1 where the server did not hold.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

VOICE, LANGUAGE = "load", "en"
WORDS = ("good", "morning", "to", "all", "of", "you", "the", "sun", "is", "warm", "today")
START_SECONDS, ANSWER_SECONDS = 120, 120
FLAT = 1.03  # memory at the end, as a share of that after a fifth of the requests
JSON = {"Content-Type": "application/json"}
TINY = {
    "model": {
        "preset": "tiny",
        "num_text_tokens": 96,
        "gpt": {"num_layers": 1, "dim": 32, "num_heads": 2, "conditioning_heads": 2, "max_audio_tokens": 24, "num_latents": 2},
        "dvae": {"hidden_dim": 16, "code_dim": 16, "num_codes": 32},
        "decoder": {"channels": 16},
    },
    "synthesis": {"griffin_lim_iterations": 2, "vocoder": "decoder"},
}


def tiny_bundle(folder: Path) -> Path:
    """A bundle of random weights."""
    import numpy as np

    from myxtts.config import XTTSConfig
    from myxtts.models.xtts import XTTS
    from myxtts.serving.bundle import seal_bundle
    from myxtts.text.tokenizer import Tokenizer

    config = XTTSConfig.from_dict(TINY)
    model = XTTS(config.model)
    model.mel_norm = np.linspace(4.0, 6.0, config.model.audio.num_mels).astype(np.float32)
    model.save(folder)
    Tokenizer.train([(" ".join(WORDS), LANGUAGE)] * 2, vocab_size=config.model.num_text_tokens).save(folder / "tokenizer.json")
    seal_bundle(folder, config)
    return folder


@contextlib.contextmanager
def server(model: Path, folder: Path, *options: str) -> Iterator[tuple[int, psutil.Process]]:
    """`myxtts serve` as a process, ready; ends it by SIGTERM, which it must obey with status 0. Yields its port and itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "myxtts", "serve", "--model", str(model), "--port", str(port), "--voices", str(folder / "voices")]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while ask(port, "GET", "/health")[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server did not start:\n" + (folder / "serve.log").read_text()[-3000:])
            time.sleep(0.2)
        yield port, psutil.Process(process.pid)
        process.send_signal(signal.SIGTERM)
        if code := process.wait(60):
            raise SystemExit(f"the server ended with {code}:\n" + (folder / "serve.log").read_text()[-3000:])
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """(status, content) of one request; (0, why) where there was no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode()
    finally:
        connection.close()


def form(name: str, content: bytes, field: str = "file") -> tuple[bytes, dict[str, str]]:
    """A multipart form with a recording, and its header."""
    part = b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = part % (b"name", b"", name.encode()) + part % (field.encode(), b'; filename="a.wav"', content) + b"--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}


def recording() -> bytes:
    """A second of noise as WAV."""
    import io
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(random.Random(0).randbytes(48000))
    return buffer.getvalue()


def good_request(port: int, rng: random.Random) -> tuple[int, bytes]:
    """Speech of one to twelve words, whole or streamed, asked for in our way or in OpenAI's."""
    text = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
    if rng.random() < 0.2:
        asked = {"input": text, "voice": VOICE, "model": "tts-1", "response_format": rng.choice(["wav", "pcm", "flac", "mp3", "opus"])}
        return ask(port, "POST", "/v1/audio/speech", json.dumps(asked).encode(), JSON)
    asked = {"text": text, "voice": VOICE, "language": LANGUAGE, "seed": rng.randrange(100), "stream": rng.random() < 0.25}
    if rng.random() < 0.2:
        asked["temperature"] = rng.choice([0, 0.5, 1.0])
    return ask(port, "POST", "/v1/speech", json.dumps(asked).encode(), JSON)


def _raw(content: bytes) -> Callable[[int], tuple[int, bytes]]:
    """A request that http.client would not send."""

    def send(port: int) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return (int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0), answer

    return send


def _body(content: bytes, headers: dict[str, str] = JSON, path: str = "/v1/speech", method: str = "POST"):
    return lambda port: ask(port, method, path, content, headers)


def _change(path: str = "/v1/speech", **values):
    asked = {"voice": VOICE, "text": "good morning"} if path == "/v1/speech" else {"voice": VOICE, "input": "good morning"}
    return _body(json.dumps(asked | values).encode(), path=path)


MALFORMED = {
    "empty text": _change(text=""),
    "no words": _change(text=" … "),
    "NUL": _change(text="good\0morning"),
    "text too long": _change(text="good " * 1000),
    "body too large": _change(text="good " * 400_000),
    "unknown characters": _change(text="雪"),
    "text is a number": _change(text=7),
    "no such voice": _change(voice="nobody"),
    "voice is a path": _change(voice="../../etc/passwd"),
    "no such language": _change(language="xx"),
    "seed out of range": _change(seed=10**30),
    "temperature out of range": _change(temperature=99),
    "unknown field": _change(txt="good"),
    "stream of mp3": _change(stream=True, format="mp3"),
    "OpenAI, empty": _change("/v1/audio/speech", input=""),
    "OpenAI, unknown format": _change("/v1/audio/speech", response_format="aac"),
    "cut JSON": _body(b'{"text": "good'),
    "nested JSON": _body(b"[" * 30_000),
    "no UTF-8": _body(b"\xff\xfe\x00"),
    "half a surrogate": _body(b'{"text": "\\ud800", "voice": "load"}'),
    "NaN": _body(b'{"text": "good", "voice": "load", "temperature": NaN}'),
    "no body": _body(b""),
    "wrong type": _body(b'{"text": "good", "voice": "load"}', {"Content-Type": "text/plain"}),
    "wrong method": _body(b"", method="PUT"),
    "no such route": _body(b"{}", path="/v1/spech"),
    "form is JSON": _body(b"{}", path="/v1/voices"),
    "form is cut": _body(form("x", b"y")[0][:40], form("x", b"y")[1], "/v1/voices"),
    "recording is text": _body(*form("new", b"this is no sound"), "/v1/voices"),
    "recording is empty": _body(*form("new", b""), "/v1/voices"),
    "voice exists": _body(*form(VOICE, recording()), "/v1/voices"),
    "voice's name is a path": _body(*form("../new", recording()), "/v1/voices"),
    "no such voice to delete": _body(b"", {}, "/v1/voices/nobody", "DELETE"),
    "other site": _body(b"{}", JSON | {"Origin": "https://elsewhere.example"}),
    "no HTTP": _raw(b"good morning\r\n\r\n"),
    "header without colon": _raw(b"GET / HTTP/1.1\r\nHost x\r\n\r\n"),
    "two lengths": _raw(b"POST /v1/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
}


def load(port: int, process: psutil.Process, requests: int, clients: int, malformed: float, warm_up: int, seed: int = 0) -> dict:
    """Sends `warm_up` requests, then `requests`, of which `malformed` percent are no good, by `clients` threads.

    Returns answers by kind (`good 200`, `bad 422`, …), the first wrong ones, resident memory in MB, batch sizes and seconds.
    """
    ask(port, "POST", "/v1/voices", *form(VOICE, recording()))
    _send(port, warm_up, clients, malformed, seed + 1)
    memory = {0: process.memory_info().rss}
    before, began = batches(port), time.monotonic()
    answers, wrong = _send(port, requests, clients, malformed, seed, memory, process)
    seconds = time.monotonic() - began
    memory[requests] = process.memory_info().rss
    after = batches(port)
    return {
        "answers": dict(sorted(answers.items())),
        "wrong": wrong[:5],
        "memory_mb": {done: round(size / 2**20, 1) for done, size in sorted(memory.items())},
        "requests_a_second": requests / seconds,
        "lines_a_batch": (after["sum"] - before["sum"]) / max(after["count"] - before["count"], 1),
        "batches": {size: after[size] - before[size] for size in after if size not in ("sum", "count")},
    }


def _send(port, count, clients, malformed, seed, memory=None, process=None) -> tuple[collections.Counter, list[str]]:
    rng = random.Random(seed)
    kinds = list(MALFORMED)
    bad = set(rng.sample(range(count), round(count * malformed / 100)))
    chosen = {number: kinds[place % len(kinds)] for place, number in enumerate(sorted(bad))}
    numbers, lock = iter(range(count)), threading.Lock()
    answers, wrong = collections.Counter(), []

    def client() -> None:
        while (number := next_number()) is not None:
            kind = chosen.get(number, "good")
            mine = random.Random(f"{seed} {number}")
            status, content = good_request(port, mine) if kind == "good" else MALFORMED[kind](port)
            right = 400 <= status < 500 if number in bad else status == 200 and len(content) > 44
            with lock:
                answers[f"{'bad' if number in bad else 'good'} {status}"] += 1
                if not right:
                    wrong.append(f"{kind}: {status} {content[:200]!r}")

    def next_number() -> int | None:
        with lock:
            number = next(numbers, None)
            if memory is not None and number is not None and number and number % max(count // 5, 1) == 0:
                memory[number] = process.memory_info().rss
            return number

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, wrong


def batches(port: int) -> dict[str, float]:
    """Of the server's metrics: batches so far, their lines, and how many had up to so many lines."""
    found = {}
    for line in ask(port, "GET", "/metrics")[1].decode().splitlines():
        if line.startswith("myxtts_batch_lines_"):
            name, value = line.removeprefix("myxtts_batch_lines_").rsplit(" ", 1)
            found[f"up to {name.split(chr(34))[1]}" if name.startswith("bucket") else name] = float(value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--malformed", type=float, default=5.0, help="percent")
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--model", type=Path, help="a bundle that speaks English (default: a tiny one of random weights)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or tiny_bundle(Path(folder))
        with server(model, Path(folder), "--language", LANGUAGE) as (port, process):
            result = load(port, process, options.requests, options.clients, options.malformed, options.warm_up)
    print(json.dumps(result, indent=1))
    memory = list(result["memory_mb"].values())
    if result["wrong"] or memory[-1] > FLAT * memory[1]:
        raise SystemExit("the server did not hold")


if __name__ == "__main__":
    main()
