"""The `myxtts` command: parse, call one function, print. Heavy imports live inside the commands."""

import argparse
import errno
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from myxtts.config import MyXTTSError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its start-up notes hide ours

RUN_STAGES = (*TRAINED_STAGES, "voice")


def main(arguments: list[str] | None = None) -> None:
    """Entry point. A MyXTTSError is printed without traceback and exits 1; an interrupt exits 130."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MyXTTSError as error:
        raise SystemExit(f"myxtts {options.command}: {error}") from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SystemExit(
            f"myxtts {options.command}: the disk is full ({error}): free some space, then run the same command again"
        ) from None
    except KeyboardInterrupt as error:
        print(f"myxtts {options.command}: {error or 'interrupted'}{_go_on(options)}", file=sys.stderr)
        raise SystemExit(130) from None


def _go_on(options: argparse.Namespace) -> str:
    """The command that goes on with an interrupted training."""
    if options.command == "stage":
        return f"\ngo on with: dvc repro {options.name}"
    if options.command == "train":
        return "\ngo on with: " + shlex.join(["myxtts", *sys.argv[1:], *([] if options.resume else ["--resume"])])
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="myxtts", description="Train, compare, register and speak with XTTS voice-cloning models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    _add_project_commands(command)
    _add_train_command(command)
    _add_machine_commands(command)
    _add_speech_commands(command)
    _add_run_commands(command)
    return parser


Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]


def _add_params_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--params", default="params.yaml", metavar="FILE", help="configuration (default: params.yaml)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one value; may be repeated")


def _add_project_commands(command: Command) -> None:
    _add_params_options(command("params", _params, "validate params.yaml and print the resolved configuration"))

    sub = command("use", _use, "make params.yaml a copy of recipes/NAME.yaml (your own is kept)")
    found = ", ".join(sorted(path.stem for path in Path("recipes").glob("*.yaml")))
    sub.add_argument("recipe", metavar="NAME", help=f"here: {found or 'none, for there is no recipes/ folder; run in the project folder'}")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of it; may be repeated")

    sub = command("stage", _stage, "run one DVC stage here (dvc.yaml calls this; use `dvc repro STAGE` yourself)")
    sub.add_argument("name", choices=["raw", "prepare", "tokenizer", "dvae", "encode", "gpt", "decoder", "evaluate", "bundle"])
    _add_params_options(sub)

    sub = command("pipeline", _pipeline, "dvc repro, as `mlflow run .` and `make demo` call it")
    sub.add_argument("--set", default="", metavar="'K=V …'", help="overrides, separated by spaces")
    sub.add_argument("--target", default="", metavar="STAGE", help="only this stage and what it needs")

    command("made", _made, "what the pipeline made, its figures and how to open it")

    sub = command("schema", _schema, "print the JSON Schema of params.yaml")
    sub.add_argument("--out", type=Path, metavar="FILE", help="write it there instead")


def _add_train_command(command: Command) -> None:
    sub = command("train", _train, "train outside DVC: your folders in, a folder with final_model out")
    sub.add_argument("--train-data", required=True, type=Path, metavar="DIR", help="folder with metadata_train.csv and wavs/")
    sub.add_argument("--val-data", required=True, type=Path, metavar="DIR", help="folder with metadata_eval.csv and wavs/")
    results = Path("checkpoints_main")
    sub.add_argument("--checkpoint-dir", type=Path, default=results, metavar="DIR", help=f"all results (default: {results})")
    sub.add_argument(
        "--stage",
        action="append",
        choices=TRAINED_STAGES,
        help="only this network; may be repeated (default: all; with --resume those of before)",
    )
    sub.add_argument("--epochs", type=int, metavar="N")
    sub.add_argument("--batch-size", type=int, metavar="N", help="clips per micro-batch")
    sub.add_argument("--grad-accum", type=int, metavar="N", help="micro-batches per update")
    sub.add_argument("--lr", type=float, metavar="RATE")
    sub.add_argument("--num-workers", type=int, metavar="N", help="readers of the data")
    sub.add_argument("--workers", type=int, metavar="N", help="processes that train one network together (default: 1)")
    sub.add_argument("--cluster", choices=["local", "ray"], help="where they run (default: local)")
    resume = "go on in --checkpoint-dir, with the options it was started with unless given anew"
    sub.add_argument("--resume", action="store_true", help=resume)
    sub.add_argument("--no-tracking", action="store_true", help="no MLflow run")
    _add_params_options(sub)

    sub = command("worker", _worker, "one process of `myxtts train --workers` (which calls it)")
    sub.add_argument("job", type=Path)


def _add_machine_commands(command: Command) -> None:
    sub = command("suggest", _suggest, "batch, accumulation, workers, precision and memory for this machine, or another")
    sub.add_argument("--gpu-memory", type=float, metavar="GB", help="of each GPU of another machine (default: ask this one)")
    sub.add_argument("--gpus", type=int, metavar="N", help="how many that machine has (default: 1)")
    sub.add_argument("--cpus", type=int, metavar="N", help="its cores (default: those of this machine)")
    sub.add_argument("--model", metavar="PRESET", help="tiny, small, base or xtts_v2, all else at its default (default: params.yaml)")
    sub.add_argument("--stage", action="append", choices=TRAINED_STAGES, help="only this network; may be repeated")
    sub.add_argument("--json", action="store_true", help="machine-readable")
    _add_params_options(sub)

    command("doctor", _doctor, "check this machine: GPU, precision, memory, disk, limits, versions, speed")


def _add_speech_commands(command: Command) -> None:
    sub = command("say", _say, "speak a text with a reference voice")
    sub.add_argument("text")
    sub.add_argument("--speaker", required=True, action="append", metavar="AUDIO", help="recording of the voice; may be repeated")
    sub.add_argument("--language", default="en", metavar="CODE")
    sub.add_argument("--out", type=Path, default=Path("out.wav"), metavar="WAV")
    sub.add_argument("--model", default="models/bundle", metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--temperature", type=float, metavar="T", help="0 = greedy (default: the model's)")
    sub.add_argument("--vocoder", choices=["griffin_lim", "decoder"], help="(default: the model's)")

    sub = command(
        "import-coqui", _import_coqui, "make a bundle of an XTTS v2 checkpoint of Coqui TTS (released, fine-tuned, or its trainer's)"
    )
    sub.add_argument("--model", required=True, metavar="FILE", help="model.pth")
    sub.add_argument("--config", required=True, metavar="FILE", help="config.json")
    sub.add_argument("--vocab", required=True, metavar="FILE", help="vocab.json")
    sub.add_argument("--dvae", metavar="FILE", help="dvae.pth: the audio tokenizer, needed to train on the model")
    sub.add_argument("--mel-stats", metavar="FILE", help="mel_stats.pth (default: the checkpoint's own)")
    sub.add_argument("--out", required=True, metavar="BUNDLE", help="folder to make, say data/xtts_v2")

    sub = command("export-coqui", _export_coqui, "write a bundle as a checkpoint that Coqui TTS loads")
    sub.add_argument("--model", required=True, metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder to make")


def _add_run_commands(command: Command) -> None:
    sub = command("runs", _runs, "the runs of this project, with what their parameters differ in")
    sub.add_argument("--stage", choices=RUN_STAGES, help="only these")
    sub.add_argument("--metric", action="append", default=[], metavar="NAME", help="a column; may be repeated (default: what is watched)")
    sub.add_argument("--sort", metavar="METRIC", help="the best of these first (default: the newest)")
    sub.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default: 50)")
    _add_params_options(sub)

    sub = command("best", _best, "the best checkpoint over all runs")
    sub.add_argument("--metric", required=True, metavar="NAME", help="say val/mel_loss; lower is better but for accuracies and the like")
    sub.add_argument("--stage", choices=RUN_STAGES, help="where several stages measure it")
    _add_params_options(sub)

    sub = command("compare", _compare, "two runs side by side, as one page: parameters, metrics, curves, pictures, sound")
    sub.add_argument("first", metavar="RUN", help="id of a run, or the beginning of it")
    sub.add_argument("second", metavar="RUN")
    sub.add_argument("--out", type=Path, metavar="FILE", help="default: reports/compare/<first>-<second>.html")
    _add_params_options(sub)

    sub = command("sync", _sync, "deliver to MLflow what waited for it while it was away")
    sub.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="--checkpoint-dir of `myxtts train` outside checkpoints/")

    command("relocate", _relocate, "after the repository was moved: where the artifacts of its runs are now")

    sub = command("registry", _registry, "versions of the registered model: list, promote, rollback")
    sub.add_argument("action", choices=["list", "promote", "rollback"])
    sub.add_argument("version", nargs="?", help="for promote: the version number")
    sub.add_argument("--to", default="champion", metavar="ALIAS", help="alias to move (default: champion)")
    _add_params_options(sub)


def _import_tensorflow() -> None:
    """Imports TensorFlow without its start-up notes (no CUDA, oneDNN is on): they are printed before any log level counts.

    They go to a file, which is shown if the import fails.
    """
    with tempfile.TemporaryFile() as notes:
        kept = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _config(options: argparse.Namespace) -> XTTSConfig:
    return XTTSConfig.load(options.params, options.set)


def _params(options: argparse.Namespace) -> None:
    from ruamel.yaml import YAML

    YAML().dump(_config(options).to_dict(), sys.stdout)


def _use(options: argparse.Namespace) -> None:
    from myxtts.pipeline.recipes import use_recipe

    print(use_recipe(Path.cwd(), options.recipe, options.set))


def _stage(options: argparse.Namespace) -> None:
    config = _config(options)
    if options.name not in ("raw", "tokenizer"):
        _import_tensorflow()
    from myxtts.pipeline.paths import Paths
    from myxtts.pipeline.stages import run_stage

    print(json.dumps(run_stage(options.name, config, Paths(Path.cwd())), indent=1, ensure_ascii=False, default=float))


def _pipeline(options: argparse.Namespace) -> None:
    from myxtts.pipeline.project import run_pipeline

    run_pipeline(Path.cwd(), options.set.split(), options.target or None)


def _made(options: argparse.Namespace) -> None:
    from myxtts.pipeline.project import what_was_made

    print(what_was_made(Path.cwd()))


def _train(options: argparse.Namespace) -> None:
    config = _config(options)
    _import_tensorflow()
    from myxtts.pipeline.outside import train_outside

    names = ("epochs", "batch_size", "lr", "grad_accum", "num_workers", "workers", "cluster")
    changes = {name: getattr(options, name) for name in names}
    final = train_outside(
        config,
        options.train_data,
        options.val_data,
        options.checkpoint_dir,
        options.stage,
        changes,
        options.resume,
        not options.no_tracking,
    )
    print(f"{'final model, which speaks' if (final / 'bundle.json').is_file() else 'weights'}: {final}")


def _worker(options: argparse.Namespace) -> None:
    _import_tensorflow()
    from myxtts.pipeline.outside import run_worker

    run_worker(options.job)


def _suggest(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    config = XTTSConfig.from_dict({"model": {"preset": options.model}}, source="--model") if options.model else _config(options)
    _import_tensorflow()
    from myxtts.pipeline.doctor import describe, suggestions

    found = suggestions(config, options.gpu_memory, options.gpus, options.cpus, tuple(options.stage or TRAINED_STAGES))
    print(json.dumps({stage: asdict(item) for stage, item in found.items()}, indent=1) if options.json else describe(found))
    if not all(item.fits for item in found.values()):
        raise SystemExit(1)


def _doctor(options: argparse.Namespace) -> None:
    _import_tensorflow()
    from myxtts.pipeline.doctor import examine, report

    findings = examine(Path.cwd())
    print(report(findings))
    if any(finding.remedy for finding in findings):
        raise SystemExit(1)


def _say(options: argparse.Namespace) -> None:
    from myxtts.serving.registry import resolve

    bundle = resolve(options.model, Path.cwd())
    _import_tensorflow()
    from myxtts.synthesis.speech import Synthesizer

    synthesizer = Synthesizer.load(bundle)
    changes = {name: value for name in ("temperature", "vocoder") if (value := getattr(options, name)) is not None}
    tree = synthesizer.config.to_dict()
    settings = XTTSConfig.from_dict(tree | {"synthesis": tree["synthesis"] | changes}, source="command line").synthesis
    speech = synthesizer.speak(options.text, synthesizer.voice(options.speaker), options.language, options.seed, settings)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    speech.save(options.out)
    note = "" if speech.stopped else "  (cut: the model did not end by itself)"
    print(f"{options.out}: {speech.seconds:.2f} s at {speech.sample_rate} Hz{note}")


def _import_coqui(options: argparse.Namespace) -> None:
    _import_tensorflow()
    from myxtts.serving.coqui import import_coqui

    summary = import_coqui(options.model, options.config, options.vocab, options.dvae, options.mel_stats, options.out)
    print(json.dumps(summary, indent=1, ensure_ascii=False))


def _export_coqui(options: argparse.Namespace) -> None:
    from myxtts.serving.registry import resolve

    bundle = resolve(options.model, Path.cwd())
    _import_tensorflow()
    from myxtts.serving.coqui import export_coqui

    print(json.dumps(export_coqui(bundle, options.out), indent=1, ensure_ascii=False))


def _registry(options: argparse.Namespace) -> None:
    from myxtts.serving import registry

    config = _config(options)
    name, root = config.bundle.name, Path.cwd()
    if options.action == "list":
        print(registry.table(registry.list_versions(name, root)))
    elif options.action == "promote":
        if options.version is None:
            raise MyXTTSError("promote needs a version number: see `myxtts registry list`")
        print(registry.promote(name, options.version, options.to, root))
    else:
        print(registry.rollback(name, options.to, root))


def _runs(options: argparse.Namespace) -> None:
    from myxtts.tracking import runs

    columns = dict.fromkeys([*([options.sort] if options.sort else []), *options.metric])
    print(runs.runs_table(runs.find_runs(_config(options), Path.cwd(), options.stage, options.sort, options.limit), list(columns)))


def _best(options: argparse.Namespace) -> None:
    from myxtts.tracking import runs

    print(runs.describe_best(runs.best(_config(options), Path.cwd(), options.metric, options.stage), Path.cwd()))


def _compare(options: argparse.Namespace) -> None:
    from myxtts.tracking.compare import compare

    print(compare(_config(options), Path.cwd(), options.first, options.second, options.out))


def _sync(options: argparse.Namespace) -> None:
    from myxtts.tracking.spool import sync
    from myxtts.tracking.store import make_client

    result = sync(Path.cwd(), make_client(Path.cwd()), options.folders)
    print(result.describe())
    if result.waiting:
        raise SystemExit(1)


def _relocate(options: argparse.Namespace) -> None:
    from myxtts.tracking.relocate import relocate

    print(f"{relocate(Path.cwd())} places of artifacts corrected")


def _schema(options: argparse.Namespace) -> None:
    from myxtts.config.schema import json_schema

    if options.out:
        options.out.write_text(json_schema(), encoding="utf-8")
    else:
        print(json_schema(), end="")


if __name__ == "__main__":
    main()
