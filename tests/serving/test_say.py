"""The command `say`: a text, a file, standard input; to a file, many files, a pipe or a player."""

import io
import sys

import numpy as np
import pytest
import soundfile
from small import save_random_voice

from myxtts import cli
from myxtts.cli import main
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.voice import Voice

TEXT = "good morning to all of you\nthe sun is warm today"  # its tokenizer knows no full stop


@pytest.fixture(scope="module")
def synthesizer(whole_bundle):
    return Synthesizer.load(whole_bundle)


@pytest.fixture(scope="module")
def voice(synthesizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("voice") / "me.voice"
    save_random_voice(synthesizer, path)
    return path


@pytest.fixture
def say(whole_bundle, voice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(
        ["say", *arguments, "--speaker", str(voice), "--model", str(whole_bundle), "--set", "guards.trim_noise=false"]
    )


@pytest.fixture
def expected(synthesizer, voice):
    """What the Python API says, as a 16-bit file holds it."""

    def speak(text, **changes):
        settings = synthesizer.config.synthesis.model_copy(update=changes)
        wave = synthesizer.speak(text, Voice.load(voice), "en", settings=settings).waveform
        return np.clip(np.round(wave * 32768), -32768, 32767)

    return speak


def samples(source):
    return soundfile.read(source, dtype="int16")[0].astype(float)


class Bytes(io.TextIOWrapper):
    """Standard input or output of bytes."""

    def __init__(self, content=b""):
        super().__init__(io.BytesIO(content))


def test_a_text_a_file_and_standard_input_say_the_same(say, expected, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    say(TEXT, "--out", "a.wav")
    say("--file", "text.txt", "--out", "b.wav")
    monkeypatch.setattr(sys, "stdin", Bytes(TEXT.encode()))
    say("--file", "-", "--out", "new/c.wav")
    wanted = expected(TEXT)
    for path in ("a.wav", "b.wav", "new/c.wav"):
        np.testing.assert_allclose(samples(tmp_path / path), wanted, atol=2)


def test_standard_output_is_the_file(say, tmp_path, monkeypatch):
    say(TEXT, "--out", "a.wav")
    output = Bytes()
    monkeypatch.setattr(sys, "stdout", output)
    say(TEXT, "--out", "-")
    assert output.buffer.getvalue() == (tmp_path / "a.wav").read_bytes()


def test_a_file_is_of_the_format_that_its_name_asks_for(say, expected, tmp_path):
    say(TEXT, "--out", "a.flac")
    np.testing.assert_allclose(samples(tmp_path / "a.flac"), expected(TEXT), atol=2)
    say(TEXT, "--out", "a.MP3")
    assert soundfile.info(tmp_path / "a.MP3").format == "MP3"


def test_no_file_is_replaced_unless_it_is_asked_for(say, tmp_path):
    say(TEXT, "--out", "a.wav")
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    (tmp_path / "a.wav").write_bytes(b"a recording")
    say(TEXT, "--out", "a.wav", "--force")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_what_is_wrong_is_said_before_anything_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "_synthesizer", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.wav").write_bytes(b"a recording")
    (tmp_path / "out.wav").write_bytes(b"speech")
    for wrong in (["say", "a", "--out", "me.wav"], ["say", "a"], ["voice", "--out", "me.wav"]):
        speaker = ["me.wav"] if wrong[0] == "voice" else ["--speaker", "me.wav"]
        with pytest.raises(SystemExit, match=r"(me|out).wav is there already: choose another --out, or replace it by --force"):
            cli.main([wrong[0], *speaker, *wrong[1:]])
    assert (tmp_path / "me.wav").read_bytes() == b"a recording"
    (tmp_path / "out.wav").unlink()  # else it is what all of the following are refused for
    for wrong in (["--file", "nowhere.txt"], [""], ["a", "--out", "a.xyz"], ["a", "--stream", "no-such-player"]):
        with pytest.raises(SystemExit, match=r"^myxtts say: "):
            cli.main(["say", *wrong, "--speaker", "me.wav"])


def test_lines_become_files_with_their_numbers(say, expected, tmp_path, capsys):
    (tmp_path / "text.txt").write_text("good morning\n\nthe sun is warm\n", encoding="utf-8")
    say("--file", "text.txt", "--lines", "--out", "spoken")
    assert sorted(path.name for path in (tmp_path / "spoken").iterdir()) == ["0001.wav", "0003.wav"]
    np.testing.assert_allclose(samples(tmp_path / "spoken/0003.wav"), expected("the sun is warm"), atol=2)
    assert "0003.wav" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"0001.wav is there already"):
        say("--file", "text.txt", "--lines", "--out", "spoken")


def test_a_bad_line_is_named_before_anything_is_said(say, tmp_path):
    (tmp_path / "text.txt").write_text("good morning\n...\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="line 2: there is nothing to speak"):
        say("--file", "text.txt", "--lines", "--out", "spoken")
    assert not (tmp_path / "spoken").exists()


def test_a_stream_is_an_endless_wav_with_all_of_it(say, expected, monkeypatch):
    output = Bytes()
    monkeypatch.setattr(sys, "stdout", output)
    say(TEXT, "--stream", "--vocoder", "decoder")
    raw = output.buffer.getvalue()
    assert raw[:4] == b"RIFF" and raw[4:8] == raw[40:44] == b"\xff\xff\xff\xff"
    assert int.from_bytes(raw[24:28], "little") == 24000
    np.testing.assert_allclose(np.frombuffer(raw[44:], np.int16), expected(TEXT, vocoder="decoder"), atol=4)


def test_what_comes_in_is_spoken_line_by_line_into_a_player(say, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Bytes(TEXT.encode()))
    say("--file", "-", "--stream", "tee heard.wav", "--vocoder", "decoder")
    heard = np.frombuffer((tmp_path / "heard.wav").read_bytes()[44:], np.int16)
    np.testing.assert_allclose(heard, expected(TEXT, vocoder="decoder"), atol=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a text or --file FILE .* got neither"),
        (["a", "--file", "b"], "got both: give one"),
        (["--file", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--file", "latin.txt"], "latin.txt is not UTF-8"),
        (["a", "--stream", "--out", "x.wav"], "leave out --out and --lines"),
        (["a", "--speed", "9"], "speed"),
        (["a", "--set", "guards.tail=1"], "tail_seconds"),
        (["good morning", "--stream", "no-such-player -q"], "player 'no-such-player' is not installed"),
        (["good morning", "--stream", "aplay 'q"], "No closing quotation"),
        (["good morning", "--stream", " "], "player ' ' is not installed"),
        (["good morning", "--out", "x.xyz"], "x.xyz: expected a file name that ends in .wav, .flac, .mp3"),
        ([" ... "], "nothing to speak in ' ... '"),
        (["good morning", "--stream", "false"], "failed with 1"),
    ],
)
def test_what_is_wrong_is_said(say, tmp_path, arguments, message):
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(SystemExit, match=message):
        say(*arguments)


def test_what_the_guards_did_is_told(say, capsys):
    say(TEXT, "--out", "a.wav", "--set", "guards.duration_factor=0.1")
    told = capsys.readouterr()
    assert "cut: the model did not end by itself" in told.out
    assert "a.wav: sentence 1: duration at" in told.err


def test_an_unknown_option_is_answered_with_the_commands_own_usage(capsys):
    with pytest.raises(SystemExit):
        cli.main(["say", "Hello", "--speaker", "me.voice", "--sped", "2"])
    told = capsys.readouterr().err
    assert told.startswith("usage: myxtts say ") and "myxtts say: error: unrecognized arguments: --sped 2" in told
