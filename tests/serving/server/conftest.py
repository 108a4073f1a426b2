"""A synthesizer of random weights that says the same thing every time, and servers of it."""

import base64
import shutil

import pytest
from recordings import recording
from running import VOICE, client_of

from myxtts.synthesis.speech import Synthesizer


@pytest.fixture(scope="session")
def wav() -> bytes:
    """A recording of a second."""
    return base64.b64decode(recording())


@pytest.fixture(scope="session")
def synthesizer(whole_bundle) -> Synthesizer:
    return Synthesizer.load(whole_bundle)


@pytest.fixture(scope="session")
def voices(synthesizer, wav, tmp_path_factory):
    """A folder with one voice."""
    folder = tmp_path_factory.mktemp("voices")
    (folder / "ada.wav").write_bytes(wav)
    synthesizer.voice(folder / "ada.wav").save(folder / f"{VOICE}.voice")
    (folder / "ada.wav").unlink()
    return folder


@pytest.fixture
def serve(synthesizer, voices, tmp_path):
    """Starts a server with options, on a folder of voices of its own; gives its client."""

    def start(speaker=synthesizer, **options):
        if not (tmp_path / "voices").exists():
            shutil.copytree(voices, tmp_path / "voices")
        return client_of(speaker, tmp_path / "voices", **options)

    return start


@pytest.fixture(scope="module")
def client(synthesizer, voices, tmp_path_factory):
    """A server with the options that users have, for tests that change nothing."""
    with client_of(synthesizer, shutil.copytree(voices, tmp_path_factory.mktemp("copy") / "voices"), language="en") as client:
        yield client
