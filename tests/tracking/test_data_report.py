"""What a voice was made of stands in its run: the page about the corpus, and its headline figures."""

import json
from pathlib import Path

from processed_files import Processed

from myxtts.config import XTTSConfig
from myxtts.data.report import write_report
from myxtts.pipeline.paths import Paths
from myxtts.pipeline.voice_stages import DATA_FIGURES, log_data
from myxtts.tracking.run import voice_run
from myxtts.tracking.runs import has_better


def test_the_voice_run_has_the_page_and_the_figures_of_its_data(project, client):
    config, paths, corpus = XTTSConfig.from_dict({"model": {"preset": "tiny"}}), Paths(project), Processed(project)
    corpus.keep(30, sound=True, snr_db="31.5").keep(10, speaker="bob").reject("low_snr").write()
    figures = write_report(paths.processed, project, paths.data_page, config.prepare)
    paths.report("prepare").write_text(json.dumps({**figures, "rejected_by_reason": {"low_snr": 1}}))
    with voice_run(config, project) as run:
        log_data(paths, run)
    made = client.get_run(run.run_id)
    assert {name: value for name, value in made.data.metrics.items() if name.startswith("data/")} == {
        f"data/{name}": figures[name] for name in DATA_FIGURES
    }
    assert made.data.metrics["data/clips"] == 40 and made.data.metrics["data/snr_db/median"] == 31.5
    assert Path(client.download_artifacts(run.run_id, "data.html")).read_bytes() == paths.data_page.read_bytes()
    assert not any(has_better(name) for name in made.data.metrics), "no run is the best by its data"
