"""Promotion and rollback: gates, aliases, and that none of several at the same time is lost."""

import threading

import mlflow
import pytest
from small import make_config

from myxtts.config import ModelError, TrackingError
from myxtts.evaluation import yardstick
from myxtts.serving import promotion, registry
from myxtts.serving.gates import Figures

REAL_LOAD = promotion._load_once
ERROR_RATE = "speech/phone_error_rate"


@pytest.fixture
def promote(project, tmp_path):
    def run(version, gates=None, alias="champion", measure=False):
        settings = make_config(promotion={"gates": gates or {}})
        return promotion.promote(settings, version, alias, project, tmp_path / "processed", measure)

    return run


@pytest.fixture
def champion(client):
    return lambda: int(client.get_registered_model("myxtts").aliases["champion"])


@pytest.fixture
def measured(monkeypatch):
    """Evaluation is asked for these figures, {version: {metric: value}}, and says for which versions."""
    figures, asked = {}, []

    def measure(config, version, root, processed, today):
        asked.append(int(version))
        return Figures(figures[int(version)], today, "this machine")

    monkeypatch.setattr(promotion, "measure_version", measure)
    monkeypatch.setattr(yardstick, "evaluation_set", lambda *_: "today")
    return figures, asked


def test_promotion_and_rollback_move_the_alias(project, register, loads, promote):
    for _ in range(3):
        register()
    assert promote(1).endswith("myxtts version 1 is champion now")
    assert promote("3").endswith("before it was version 1")
    assert "already" in promote(3)
    aliases = {item["version"]: item["aliases"] for item in registry.list_versions("myxtts", project)}
    assert aliases == {3: ["candidate", "champion"], 2: [], 1: []}
    assert "version 1 is champion again" in promotion.rollback("myxtts", "champion", project)
    with pytest.raises(ModelError, match="none to go back to"):
        promotion.rollback("myxtts", "champion", project)
    assert loads == ["1", "3", "1"]
    text = registry.table(registry.list_versions("myxtts", project))
    assert text.splitlines()[0].split() == ["version", "created", "aliases"] and "champion" in text


def test_rollback_goes_past_versions_that_were_deleted_and_knows_aliases_set_by_hand(project, client, register, loads, promote, champion):
    for _ in range(4):
        register()
    client.set_registered_model_alias("myxtts", "champion", "1")  # on MLflow's page
    for version in (2, 3, 4):
        promote(version)
    client.delete_model_version("myxtts", "3")
    for expected in (2, 1):
        promotion.rollback("myxtts", "champion", project)
        assert champion() == expected


def test_a_version_that_fails_a_gate_is_refused_with_the_table_and_its_verdict_is_kept(client, register, loads, promote, champion):
    register(**{ERROR_RATE: 0.2})
    register(**{ERROR_RATE: 0.6})
    promote(1, {ERROR_RATE: {"max": 0.5}})
    with pytest.raises(ModelError, match=rf"refused because of {ERROR_RATE}; version 1 stays champion") as refusal:
        promote(2, {ERROR_RATE: {"max": 0.5}})
    assert "REFUSED: above 0.5" in str(refusal.value) and "promotion.gates" in str(refusal.value)
    assert champion() == 1 and loads == ["1"]
    tags = client.get_model_version("myxtts", "2").tags
    assert tags["promotion.champion"].startswith("refused") and "beside version 1" in tags["promotion.champion"]
    assert tags[f"gate.champion.{ERROR_RATE}"] == "0.6 (max 0.5): REFUSED: above 0.5"
    assert client.get_model_version("myxtts", "1").tags["promotion.champion"].startswith("passed")
    promote(2, {ERROR_RATE: {"max": 0.7}})
    assert champion() == 2 and client.get_model_version("myxtts", "2").tags["promotion.champion"].startswith("passed")


def test_figures_of_one_evaluation_set_are_compared_as_recorded(register, loads, promote, champion, measured):
    for value in (0.2, 0.21, 0.4):
        register(**{ERROR_RATE: value, "evaluation_set": "set1"})
    gates = {ERROR_RATE: {"worse_by": 0.05}}
    assert "no champion yet" in promote(1, gates)
    assert "0.21" in promote(2, gates)
    with pytest.raises(ModelError, match=r"worse than the champion by 0.19"):
        promote(3, gates)
    assert champion() == 2 and measured[1] == []


def test_versions_of_different_evaluation_sets_are_measured_on_todays(client, register, loads, promote, champion, measured):
    figures, asked = measured
    register(**{ERROR_RATE: 0.5, "evaluation_set": "yesterday"})
    register(**{ERROR_RATE: 0.3, "evaluation_set": "today"})
    register(**{ERROR_RATE: 0.3, "evaluation_set": "today"})
    gates = {ERROR_RATE: {"worse_by": 0.05}}
    promote(1, gates)
    figures[1] = {ERROR_RATE: 0.1}  # its recorded 0.5 was on other, harder sentences
    with pytest.raises(ModelError, match=r"worse than the champion by 0.2"):
        promote(2, gates)
    assert champion() == 1 and asked == [1], "what was measured on today's set already is not measured again"
    with pytest.raises(ModelError, match=r"worse than the champion by 0.2"):
        promote(3, gates)
    assert asked == [1], "the champion's figures on today's set are kept"
    figures[1], figures[2] = {ERROR_RATE: 0.3}, {ERROR_RATE: 0.31}
    assert "0.31" in promote(2, gates, measure=True)
    assert champion() == 2 and asked == [1, 2, 1]


def test_what_an_evaluation_does_not_measure_is_judged_by_itself(register, loads, promote, champion, measured):
    """Losses of a training are of its own validation set: recorded ones count for max and min, and compare with none of another set."""
    figures, _ = measured
    register(**{ERROR_RATE: 0.3, "gpt/wrong_text_gap": 9.0, "evaluation_set": "yesterday"})
    register(**{ERROR_RATE: 0.3, "gpt/wrong_text_gap": 2.0, "evaluation_set": "the day before"})
    gates = {"gpt/wrong_text_gap": {"min": 1.0, "worse_by": 0.1}, ERROR_RATE: {"worse_by": 0.05}}
    promote(1, gates)
    figures[1] = figures[2] = {ERROR_RATE: 0.3}
    assert "each was measured on its own training's validation set" in promote(2, gates)
    assert champion() == 2
    with pytest.raises(ModelError, match=r"gap .*REFUSED: below 30"):
        promote(1, {"gpt/wrong_text_gap": {"min": 30}, ERROR_RATE: {"worse_by": 0.05}})


def test_a_champion_that_lacks_what_is_to_be_compared_is_measured(register, loads, promote, champion, measured):
    """It was registered before the metric was there."""
    figures, asked = measured
    similarity = "speech/speaker_similarity"
    register(**{ERROR_RATE: 0.3, "evaluation_set": "today"})
    register(**{ERROR_RATE: 0.3, similarity: 0.5, "evaluation_set": "today"})
    promote(1)
    figures[1] = {ERROR_RATE: 0.3, similarity: 0.9}
    with pytest.raises(ModelError, match=r"worse than the champion by 0\.4"):
        promote(2, {similarity: {"worse_by": 0.1}})
    assert asked == [1] and champion() == 1


def test_a_promotion_that_fails_in_the_registry_leaves_no_history(project, client, register, loads, promote, champion, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for _ in range(3):
        register()
    promote(1)
    promote(2)

    def refuse(*arguments, **named):
        raise MlflowException("no permission")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", refuse)
        with pytest.raises(TrackingError, match="no permission"):
            promote(3)
    assert champion() == 2
    assert "version 1 is champion again" in promotion.rollback("myxtts", "champion", project)


def test_a_rollback_undoes_what_was_promoted_meanwhile_and_nothing_older(project, register, promote, champion, monkeypatch):
    for _ in range(3):
        register()
    monkeypatch.setattr(promotion, "_load_once", lambda *_: None)
    promote(1)
    promote(2)
    meanwhile = [3]

    def load(name, version, root):
        if meanwhile and version == "1":
            promote(meanwhile.pop())

    monkeypatch.setattr(promotion, "_load_once", load)
    assert "version 2 is champion again; version 3 was" in promotion.rollback("myxtts", "champion", project)
    assert champion() == 2


def test_the_verdict_says_when_a_version_does_not_load(client, register, loads, promote, monkeypatch):
    register(**{ERROR_RATE: 0.2})

    def fail(*_):
        raise ModelError("no module named torch")

    monkeypatch.setattr(promotion, "_load_once", fail)
    with pytest.raises(ModelError):
        promote(1, {ERROR_RATE: {"max": 0.5}})
    assert "does not load" in client.get_model_version("myxtts", "1").tags["promotion.champion"]


def test_without_the_data_that_a_comparison_takes_nothing_moves(register, loads, promote, champion):
    register(**{ERROR_RATE: 0.5, "evaluation_set": "one"})
    register(**{ERROR_RATE: 0.3, "evaluation_set": "other"})
    promote(1)
    with pytest.raises(ModelError, match=r"no metadata_eval.csv in .*dvc pull data/processed"):
        promote(2, {ERROR_RATE: {"worse_by": 0.05}})
    assert champion() == 1


def test_any_alias_is_judged_beside_the_champion(client, register, loads, promote, champion):
    for value in (0.2, 0.4):
        register(**{ERROR_RATE: value, "evaluation_set": "set1"})
    gates = {ERROR_RATE: {"worse_by": 0.05}}
    promote(1, gates)
    with pytest.raises(ModelError, match=r"worse than the champion by 0\.2"):
        promote(2, gates, alias="staging")
    assert "staging now" in promote(1, gates, alias="staging")
    assert int(client.get_registered_model("myxtts").aliases["staging"]) == 1 and champion() == 1


def test_promotions_at_the_same_time_lose_none(project, register, monkeypatch, promote, champion):
    """Both see the old champion, load, and move the alias: whoever is second must be judged beside the first, and remember it."""
    for value in (0.3, 0.2, 0.1):
        register(**{ERROR_RATE: value, "evaluation_set": "set1"})
    monkeypatch.setattr(promotion, "_load_once", lambda *_: None)
    promote(1)
    both = threading.Barrier(2)
    monkeypatch.setattr(promotion, "_load_once", lambda *_: both.wait(timeout=300))
    threads = [threading.Thread(target=promote, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = champion()
    (second,) = {2, 3} - {last}
    monkeypatch.setattr(promotion, "_load_once", lambda *_: None)
    for expected in (second, 1):
        promotion.rollback("myxtts", "champion", project)
        assert champion() == expected


def test_the_second_of_two_promotions_must_not_be_worse_than_the_first(register, monkeypatch, promote, champion):
    """Version 2 is no worse than the champion it was judged beside, but worse than the one promoted while it was loaded."""
    for value in (0.3, 0.29, 0.1):
        register(**{ERROR_RATE: value, "evaluation_set": "set1"})
    gates = {ERROR_RATE: {"worse_by": 0.05}}
    monkeypatch.setattr(promotion, "_load_once", lambda *_: None)
    promote(1, gates)

    def meanwhile(name, version, root):
        if version == "2":
            promote(3, gates)

    monkeypatch.setattr(promotion, "_load_once", meanwhile)
    with pytest.raises(ModelError, match=r"worse than the champion by 0.19"):
        promote(2, gates)
    assert champion() == 3


def test_promotions_through_a_server_which_cannot_be_asked_to_wait_lose_none(project, client, register, loads, promote, champion):
    """Without a lock both write: the alias goes to the last, and both are in the history, in whichever order."""
    for _ in range(3):
        register()
    promote(1)
    for version in ("2", "3"):
        promotion._remember(client, "myxtts", "champion", "1", version)
    client.set_registered_model_alias("myxtts", "champion", "3")
    client.set_registered_model_alias("myxtts", "champion", "2")
    seen = [champion()]
    while True:
        try:
            promotion.rollback("myxtts", "champion", project)
        except ModelError:
            break
        seen.append(champion())
    assert set(seen) == {1, 2, 3} and seen[-1] == 1


def test_a_version_that_does_not_load_is_refused_and_the_champion_stays(client, register, run_id, loads, promote, champion, monkeypatch):
    register()
    promote(1)
    external = mlflow.create_external_model(name="ckpt-1", source_run_id=run_id)
    version = client.create_model_version("myxtts", f"models:/{external.model_id}", model_id=external.model_id).version
    monkeypatch.setattr(promotion, "_load_once", REAL_LOAD)
    with pytest.raises(ModelError, match="does not load, so the alias stays"):
        promote(version)
    assert champion() == 1


def test_wrong_names_are_answered_with_what_there_is(project, register, loads, promote):
    register()
    with pytest.raises(ModelError, match="registered are: 1"):
        promote(7)
    with pytest.raises(ModelError, match="latest"):
        promote(1, alias="latest")
    with pytest.raises(ModelError, match="promote one first"):
        promotion.rollback("myxtts", "champion", project)
    assert loads == []
