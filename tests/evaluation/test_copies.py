"""The gate of the decoder: which of both copies is better, by every metric, and what is said of it."""

import pytest

from myxtts.config import ModelError, XTTSConfig
from myxtts.evaluation.copies import compare_copies, require_decoder, verdict
from myxtts.evaluation.metrics import METRICS

GRIFFIN_LIM = {name: 4.0 if metric.better == "less" else 0.8 for name, metric in METRICS.items()} | {"phone_error_rate": 0.0}
BETTER = {name: 3.0 if metric.better == "less" else 0.9 for name, metric in METRICS.items()} | {"phone_error_rate": 0.0}


def figures(decoder: dict[str, float], griffin_lim: dict[str, float] = GRIFFIN_LIM) -> dict:
    kinds = {"copy": griffin_lim, "decoder_copy": decoder}
    others = {"speech/mel_distance": 9.0, "copy/real_time_factor": 1.0, "decoder_copy/real_time_factor": 2.0, "machine": "this one"}
    return others | {f"{kind}/{name}": value for kind, values in kinds.items() for name, value in values.items()}


def config(vocoder: str = "decoder", **bundle) -> XTTSConfig:
    return XTTSConfig.from_dict({"synthesis": {"vocoder": vocoder}, "bundle": bundle})


def test_a_decoder_passes_where_it_is_worse_by_nothing():
    assert {item.metric for item in compare_copies(figures(BETTER))} == set(METRICS), "every metric of an evaluation"
    assert verdict(figures(BETTER)) == {"decoder_copy/beats_griffin_lim": 1, "decoder_copy/lost_to_griffin_lim": ""}
    require_decoder(config(), figures(BETTER))


@pytest.mark.parametrize("metric", [name for name in BETTER])
def test_one_metric_is_enough_to_fail_whichever_way_it_points(metric):
    worse = GRIFFIN_LIM[metric] + (0.5 if METRICS[metric].better == "less" else -0.1)
    told = figures(BETTER | {metric: worse})
    assert verdict(told) == {"decoder_copy/beats_griffin_lim": 0, "decoder_copy/lost_to_griffin_lim": metric}
    with pytest.raises(ModelError) as refused:
        require_decoder(config(), told)
    said = str(refused.value)
    assert (
        f"by 1 of {len(METRICS)} metrics: {metric} {worse:.4g} against {GRIFFIN_LIM[metric]:.4g}" in said
        and f"({METRICS[metric].better} is better)" in said
    )
    assert "training.decoder.max_steps" in said and "vocoder: griffin_lim" in said and "decoder_gate: false" in said
    require_decoder(config(vocoder="griffin_lim"), told)
    require_decoder(config(decoder_gate=False), told)


def test_a_metric_that_cannot_judge_the_decoders_copies_is_lost():
    """Noise has no pitch that could be wrong."""
    told = figures({name: value for name, value in BETTER.items() if name != "pitch_error"})
    assert verdict(told)["decoder_copy/lost_to_griffin_lim"] == "pitch_error"
    with pytest.raises(ModelError, match="pitch_error not measurable against 4 cents"):
        require_decoder(config(), told)


def test_what_griffin_lim_lacks_is_not_compared_and_nothing_is_said_to_be_nothing(capsys):
    assert [item.metric for item in compare_copies(figures(BETTER, {"mel_distance": 4.0}))] == ["mel_distance"]
    for told in (figures({}), figures(BETTER, {}), {}):
        assert verdict(told) == {}
        require_decoder(config(), told)
        assert "nothing to compare" in capsys.readouterr().out
