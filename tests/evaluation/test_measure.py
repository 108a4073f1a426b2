"""`myxtts evaluate`: what it leaves where it ends, and where it is cut short."""

import pytest
from small import small_config

from myxtts.config import ConfigError
from myxtts.evaluation import evaluate
from myxtts.pipeline import measure
from myxtts.pipeline.paths import Paths


def write(config, spoken, processed, out, seed, texts):
    out.mkdir()
    (out / "samples.json").write_text("[]")
    out.with_suffix(".html").write_text("page")
    return {"speech/phone_error_rate": 0.5}


def test_an_evaluation_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    out, paths = tmp_path / "reports" / "measured" / "theirs", Paths(tmp_path)
    monkeypatch.setattr(measure, "comparable", lambda config, paths: {"features": "1"})

    def cut_short(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "evaluate_folder", cut_short)
    with pytest.raises(KeyboardInterrupt):
        measure.measure(small_config(), paths, out, None, tmp_path)
    assert not list(out.parent.iterdir())
    monkeypatch.setattr(evaluate, "evaluate_folder", write)
    means = measure.measure(small_config(), paths, out, None, tmp_path)
    assert means == {"speech/phone_error_rate": 0.5, "features": "1"}
    assert sorted(path.name for path in out.parent.iterdir()) == ["theirs", "theirs.html"]
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "samples.json"]
    with pytest.raises(ConfigError, match="is there already"):
        measure.measure(small_config(), paths, out, None, tmp_path)
