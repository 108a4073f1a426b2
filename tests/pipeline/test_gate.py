"""The bundle stage refuses a decoder before it opens the voice run, whose evaluation stays a good one."""

import json

import pytest

from myxtts.config import ModelError, XTTSConfig
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.voice_stages import run_bundle


class Opened(Exception):
    pass


def test_a_worse_decoder_stops_the_bundle_stage_unless_it_does_not_speak_or_is_let_through(tmp_path, monkeypatch):
    def opened(*_, **__):
        raise Opened

    monkeypatch.setattr("myxtts.tracking.run.voice_run", opened)
    paths = Paths(tmp_path)
    paths.report("evaluate").parent.mkdir(parents=True)
    paths.report("evaluate").write_text(json.dumps({"copy/mel_distance": 4.0, "decoder_copy/mel_distance": 6.5, "machine": "a"}))

    def bundle(vocoder: str, **settings) -> None:
        run_bundle(XTTSConfig.from_dict({"synthesis": {"vocoder": vocoder}, "bundle": settings}), paths)

    with pytest.raises(ModelError, match=r"mel_distance 6\.5 against 4 dB"):
        bundle("decoder")
    for let_through in (("griffin_lim", {}), ("decoder", {"decoder_gate": False})):
        with pytest.raises(Opened):
            bundle(let_through[0], **let_through[1])
    assert not (tmp_path / "models").exists()
