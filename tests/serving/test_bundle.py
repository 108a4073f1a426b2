import json
import shutil
import stat
from pathlib import Path

import pytest
from small import make_config

from myxtts.config import ModelError, XTTSConfig
from myxtts.serving.bundle import check_bundle, feature_fingerprint, make_bundle
from myxtts.serving.card import data_rights, licence_of


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_holds_all_that_the_synthesizer_reads(whole_bundle):
    from myxtts.synthesis.speech import Synthesizer

    values = check_bundle(whole_bundle, contents=True)
    assert values["metrics"] == {"speech/phone_error_rate": 0.25}
    assert values["runs"] == {"gpt": "abc123"}
    assert values["languages"] == ["en", "fa"]
    assert XTTSConfig.load(whole_bundle / "params.yaml") == make_config()
    assert Synthesizer.load(whole_bundle).model.mel_norm[0] == 4.0
    card = (whole_bundle / "README.md").read_text()
    assert "speech/phone_error_rate | 0.25" in card and "`abc123`" in card and "- fa\n" in card


def test_a_bundle_knows_whether_its_model_met_clips_without_their_texts(trained, tmp_path):
    """Or a model made for guidance would be warned of it wherever it speaks."""
    config = make_config()
    learnt = config.training.model_copy(update={"gpt": config.training.gpt.model_copy(update={"text_dropout": 0.1})})
    make_bundle(config.model_copy(update={"training": learnt}), trained, {}, tmp_path / "out")
    assert XTTSConfig.load(tmp_path / "out" / "params.yaml").training.gpt.text_dropout == 0.1


def test_the_same_inputs_give_the_same_bytes_and_replace_the_old_bundle(trained, whole_bundle, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale.txt").write_text("of another time")
    make_bundle(make_config(), trained, {"speech/phone_error_rate": 0.25}, out)
    assert content(out) == content(whole_bundle)
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "no temporary folder is left"
    assert stat.S_IMODE(out.stat().st_mode) == 0o755


def test_the_card_says_by_what_right_each_corpus_is_used(trained, tmp_path):
    """Of the corpora of the model that training began with too."""
    root = Path(shutil.copytree(trained, tmp_path / "root"))
    (root / "data/processed").mkdir(parents=True)
    corpora = {
        "read": {"layout": "vctk", "path": "/home/me/vctk", "licence": "CC BY 4.0", "consent": "signed | all", "weight": 2.0}
        | {"clips": 400, "hours": 1.234, "languages": ["en", "fa"]},
        "mine": {"licence": "", "consent": "", "clips": 2, "hours": 0.5, "languages": ["fa"]},
    }
    (root / "data/processed/corpora.json").write_text(json.dumps(corpora))
    first = make_bundle(make_config(bundle={"name": "first"}), root, {}, tmp_path / "first")
    card = (first / "README.md").read_text()
    assert "## Data\n" in card and "| read | en, fa | 400 | 1.23 | CC BY 4.0 | signed \\| all |" in card
    assert "| mine | fa | 2 | 0.50 | not stated | not stated |" in card
    assert "/home/me" not in card + (first / "bundle.json").read_text()
    assert data_rights(check_bundle(first)) == {"data.licence": "not stated; CC BY 4.0", "data.consent": "not stated; signed | all"}
    (root / "data/processed/corpora.json").write_text(json.dumps({"later": {"licence": "CC0", "clips": 1, "hours": 0.1}}))
    second = make_bundle(make_config(start={"model": str(first)}), root, {}, tmp_path / "second")
    card = (second / "README.md").read_text()
    assert card.index("| later |") < card.index("## Data of first, which training started from") < card.index("| read |")
    assert data_rights(check_bundle(second))["data.licence"] == "CC0; not stated; CC BY 4.0"


def test_a_bundle_of_unknown_data_claims_nothing(whole_bundle):
    values = check_bundle(whole_bundle)
    assert "data" not in values and data_rights(values) == {} and "## Data" not in (whole_bundle / "README.md").read_text()


def test_a_model_made_from_another_says_which_and_whose(trained, bundle, tmp_path):
    """Through as many trainings as there were: the licence of what was imported holds to the end."""
    values = json.loads((bundle / "bundle.json").read_text())
    imported = {"from": "Coqui TTS (XTTS)", "md5": {"model.pth": "0123abc"}, "licence": "CPML 1.0"}
    (bundle / "bundle.json").write_text(json.dumps(values | {"name": "released", "imported": imported}))
    start = {"model": str(bundle), "frozen": ["dvae"]}
    first = make_bundle(make_config(start=start, bundle={"name": "first"}), trained, {}, tmp_path / "first")
    second = make_bundle(make_config(start={"model": str(first)}, bundle={"name": "second"}), trained, {}, tmp_path / "second")
    known = check_bundle(first)["start"]
    assert (known["name"], known["frozen"], known["imported"]) == ("released", ["dvae"], imported)
    assert known["md5"]["gpt.weights.h5"] == values["files"]["gpt.weights.h5"]["md5"]
    assert check_bundle(second)["start"]["start"] == known
    assert str(tmp_path) not in (second / "bundle.json").read_text()
    for folder, said in ((first, "from the weights of released"), (second, "from the weights of first")):
        card = (folder / "README.md").read_text()
        assert said in card and values["files"]["gpt.weights.h5"]["md5"] in card
        assert "Files released was imported from (Coqui TTS (XTTS))" in card and "`0123abc`" in card
        assert card.count("Their licence holds for this bundle too: CPML 1.0.") == 1 and "`abc123`" in card
    assert licence_of(check_bundle(second)) == "CPML 1.0"
    assert licence_of({"start": {"imported": {}}}).startswith("not stated") and licence_of({}).startswith("none imported")


def test_missing_parts_are_named_and_the_old_bundle_stays(trained, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(trained / "models", root / "models")
    (root / "models" / "gpt" / "gpt.weights.h5").unlink()
    (root / "models" / "decoder" / "speaker_encoder.weights.h5").unlink()
    out = root / "models" / "bundle"
    before = content(out) if out.exists() else None
    with pytest.raises(ModelError, match=r"models/gpt/gpt.weights.h5, models/decoder/speaker_encoder.weights.h5.*dvc repro"):
        make_bundle(make_config(), root, {}, out)
    assert (content(out) if out.exists() else None) == before


def test_a_full_disk_leaves_the_old_bundle_and_no_part(trained, bundle, monkeypatch):
    before = content(bundle)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("myxtts.serving.bundle.shutil.copyfile", full)
    with pytest.raises(ModelError, match="No space left"):
        make_bundle(make_config(), trained, {}, bundle)
    assert content(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_everything_wrong_with_a_bundle_is_listed_at_once(bundle):
    (bundle / "tokenizer.json").unlink()
    (bundle / "mel_norm.npy").write_bytes(b"")
    with pytest.raises(ModelError, match=r"tokenizer.json is missing; mel_norm.npy holds 0 bytes"):
        check_bundle(bundle)


def test_a_changed_weight_is_found_when_asked_for(bundle):
    path = bundle / "gpt.weights.h5"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    check_bundle(bundle)
    with pytest.raises(ModelError, match=r"gpt.weights.h5 is not the file that was bundled"):
        check_bundle(bundle, contents=True)


def test_other_folders_are_refused(bundle, tmp_path):
    with pytest.raises(ModelError, match="no bundle folder"):
        check_bundle(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"bundle.json is missing"):
        check_bundle(tmp_path)
    values = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        check_bundle(bundle)
    (bundle / "bundle.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        check_bundle(bundle)


@pytest.mark.parametrize(
    "change",
    [{"components": None}, {"components": "gpt"}, {"components": []}, {"components": [None]}, {"components": ["gpt", "vocoder"]}],
)
def test_components_that_are_none_are_named_by_all_who_read_them(bundle, change):
    from myxtts.synthesis.speech import Synthesizer

    values = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(values | change))
    for read in (check_bundle, Synthesizer.load):
        with pytest.raises(ModelError, match=r"bundle\.json: components is .*, expected a list of dvae, gpt, decoder, speaker_encoder"):
            read(bundle)


@pytest.mark.parametrize("files", [None, [], {"gpt.weights.h5": 3}, {"gpt.weights.h5": {"bytes": 3}}])
def test_files_that_are_listed_otherwise_are_refused(bundle, files):
    values = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(values | {"files": files}))
    with pytest.raises(ModelError, match="expected files, each with bytes and md5"):
        check_bundle(bundle)


def test_the_feature_fingerprint_follows_the_mels():
    plain = feature_fingerprint(make_config(), b"norm")
    assert plain == feature_fingerprint(make_config(seed=9), b"norm")
    assert plain != feature_fingerprint(make_config(), b"other")
    assert plain != feature_fingerprint(make_config(encode={"prompt_seconds": 2.0}), b"norm")
