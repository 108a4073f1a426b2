"""The `myxtts` command: parse, call one function, print. Heavy imports live inside the commands."""

import argparse
import errno
import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.arguments import make_parser
from myxtts.config import ConfigError, MyXTTSError, XTTSConfig
from myxtts.config.stages import TRAINED_STAGES
from myxtts.startup import import_tensorflow

if TYPE_CHECKING:
    from myxtts.synthesis.speech import Synthesizer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its start-up notes hide ours


def main(arguments: list[str] | None = None) -> None:
    """Entry point. A MyXTTSError is printed without traceback and exits 1; an interrupt exits 130."""
    options = make_parser().parse_args(arguments)
    try:
        COMMANDS[options.command](options)
    except MyXTTSError as error:
        raise SystemExit(f"myxtts {options.command}: {error}") from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SystemExit(
            f"myxtts {options.command}: the disk is full ({error}): free some space, then run the same command again"
        ) from None
    except KeyboardInterrupt as error:
        print(f"myxtts {options.command}: {str(error) or 'interrupted'}{_go_on(options)}", file=sys.stderr)
        raise SystemExit(130) from None


def _go_on(options: argparse.Namespace) -> str:
    """The command that goes on with an interrupted training."""
    if options.command == "stage":
        return f"\ngo on with: dvc repro {options.name}"
    if options.command == "train":
        return "\ngo on with: " + shlex.join(["myxtts", *sys.argv[1:], *([] if options.resume else ["--resume"])])
    return ""


def _config(options: argparse.Namespace) -> XTTSConfig:
    return XTTSConfig.load(options.params, options.set)


def _params(options: argparse.Namespace) -> None:
    from ruamel.yaml import YAML

    YAML().dump(_config(options).to_dict(), sys.stdout)


def _use(options: argparse.Namespace) -> None:
    from myxtts.pipeline.recipes import use_recipe

    if options.layout and not options.corpus:
        raise MyXTTSError("--layout says how to read --corpus PATH, which is not given; without it: --set data.source.layout=LAYOUT")
    print(use_recipe(Path.cwd(), options.recipe, options.set, options.corpus, options.layout))


def _data(options: argparse.Namespace) -> None:
    from myxtts.data.sources.detect import describe, detect

    findings = detect(options.path)
    if not findings[0].fits:
        raise MyXTTSError(describe(options.path, findings))
    print(findings[0].layout if options.quiet else describe(options.path, findings))


def _stage(options: argparse.Namespace) -> None:
    if options.strict:
        options.set.append("prepare.strict=true")
    config = _config(options)
    if options.name not in ("raw", "prepare", "tokenizer"):
        import_tensorflow()
    from myxtts.pipeline.paths import Paths
    from myxtts.pipeline.stages import run_stage

    report = run_stage(options.name, config, Paths(Path.cwd()))
    if options.name != "prepare":  # which says what a person wants to know of its many figures
        print(json.dumps(report, indent=1, ensure_ascii=False, default=float))


def _pipeline(options: argparse.Namespace) -> None:
    from myxtts.pipeline.project import run_pipeline

    run_pipeline(Path.cwd(), options.set.split(), options.target or None)


def _made(options: argparse.Namespace) -> None:
    from myxtts.pipeline.project import what_was_made

    print(what_was_made(Path.cwd()))


def _plots(options: argparse.Namespace) -> None:
    from myxtts.pipeline.plots import use_offline_page

    print(f"{use_offline_page(Path.cwd())}: the page of dvc plots, which needs no network")


def _train(options: argparse.Namespace) -> None:
    config = _config(options)
    import_tensorflow()
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
    import_tensorflow()
    from myxtts.pipeline.outside import run_worker

    run_worker(options.job)


def _suggest(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    config = XTTSConfig.from_dict({"model": {"preset": options.model}}, source="--model") if options.model else _config(options)
    import_tensorflow()
    from myxtts.pipeline.doctor import describe, suggestions

    found = suggestions(config, options.gpu_memory, options.gpus, options.cpus, tuple(options.stage or TRAINED_STAGES))
    print(json.dumps({stage: asdict(item) for stage, item in found.items()}, indent=1) if options.json else describe(found))
    if not all(item.fits for item in found.values()):
        raise SystemExit(1)


def _doctor(options: argparse.Namespace) -> None:
    import_tensorflow()
    from myxtts.pipeline.doctor import examine, report

    findings = examine(Path.cwd())
    print(report(findings))
    if any(finding.remedy for finding in findings):
        raise SystemExit(1)


def _synthesizer(model: str, changes: Sequence[str] = (), whole: bool = False) -> "Synthesizer":
    from myxtts.serving.registry import resolve

    bundle = resolve(model, Path.cwd())
    import_tensorflow()
    from myxtts.synthesis.speech import Synthesizer

    return Synthesizer.load(bundle, changes, whole)


def _say(options: argparse.Namespace) -> None:
    from myxtts.serving import say

    text = say.take_text(options.text, options.file, options.out, options.lines, options.stream, options.force)
    names = ("temperature", "speed", "candidates", "weights", "vocoder")
    changes = [f"{name}={value}" for name in names if (value := getattr(options, name)) is not None]
    synthesizer = _synthesizer(options.model, [*changes, *options.set])
    from myxtts.synthesis.speech import Line

    voice, language, seed = synthesizer.voice(options.speaker), options.language, options.seed
    if options.stream:
        say.say_stream(synthesizer, text, voice, language, seed, options.stream)
    elif options.lines:
        say.say_lines(synthesizer, text, voice, language, seed, Path(options.out or "spoken"))
    else:
        say.say_file(synthesizer, Line(text, voice, language, seed), options.out or say.OUT)


def _evaluate(options: argparse.Namespace) -> None:
    from myxtts.pipeline.paths import Paths

    config, paths = _config(options), Paths(Path.cwd())
    import_tensorflow()
    from myxtts.pipeline import measure

    if options.list:
        print(measure.sentences(config, paths), end="")
        return
    synthesizer = None if options.spoken else _synthesizer(options.model, whole=True)
    name = (options.spoken or Path(options.model.replace(":", "").replace("@", "-"))).name
    out = options.out or paths.reports / "measured" / name
    means = measure.measure(config, paths, out, synthesizer, options.spoken)
    for metric, value in means.items():
        print(f"{metric:<45} {value if isinstance(value, str) else format(value, '.4g')}")
    print(f"the page: {out.with_suffix('.html')}")


def _voice(options: argparse.Namespace) -> None:
    from myxtts.serving.say import check_free

    check_free(options.out, options.force)
    synthesizer = _synthesizer(options.model)
    voice = synthesizer.voice(options.paths, options.weights)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    voice.save(options.out)
    print(f"{options.out}: speak with it by myxtts say --speaker {shlex.quote(str(options.out))}")


def _serve(options: argparse.Namespace) -> None:
    lacking = [name for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client") if importlib.util.find_spec(name) is None]
    if lacking:
        raise ConfigError(f"the server needs {', '.join(lacking)}: pip install -c constraints.txt -e '.[serve]' (make setup does)")
    from myxtts.serving.server.options import check_address, make_options

    check_address(options.host, options.port)
    names = ("voices", "language", "max_chars", "max_queue", "max_batch", "timeout", "max_upload_mb", "max_voice_seconds", "max_voices")
    limits = {name: getattr(options, name) for name in names}
    key = options.api_key or os.environ.get("MYXTTS_API_KEY") or None
    wanted = make_options(
        **limits,
        api_key=key,
        allow_origins=tuple(options.allow_origin),
        gather_seconds=options.gather_ms / 1000,
        model=options.model if ":/" in options.model else None,  # a folder of this machine is nobody's business
    )
    synthesizer = _synthesizer(options.model, [f"weights={options.weights}"] if options.weights else [])
    from myxtts.serving.server.app import run

    run(synthesizer, wanted, options.host, options.port)


def _import_coqui(options: argparse.Namespace) -> None:
    import_tensorflow()
    from myxtts.serving.coqui import import_coqui

    summary = import_coqui(options.model, options.config, options.vocab, options.dvae, options.mel_stats, options.out, options.licence)
    print(json.dumps(summary, indent=1, ensure_ascii=False))


def _export_coqui(options: argparse.Namespace) -> None:
    from myxtts.serving.registry import resolve

    bundle = resolve(options.model, Path.cwd())
    import_tensorflow()
    from myxtts.serving.coqui import export_coqui

    print(json.dumps(export_coqui(bundle, options.out), indent=1, ensure_ascii=False))


def _export_onnx(options: argparse.Namespace) -> None:
    from myxtts.serving.registry import resolve

    bundle = resolve(options.model, Path.cwd())
    import_tensorflow()
    from myxtts.serving.onnx_export import export_onnx

    print(json.dumps(export_onnx(bundle, options.out, options.weights), indent=1, ensure_ascii=False))


def _registry(options: argparse.Namespace) -> None:
    from myxtts.serving import registry

    config = _config(options)
    figures = list(config.promotion.gates) or ["gpt/mel_loss", "speech/phone_error_rate", "speech/speaker_similarity"]
    print(registry.table(registry.list_versions(config.bundle.name, Path.cwd()), figures, options.all))


def _promote(options: argparse.Namespace) -> None:
    from myxtts.pipeline.paths import Paths
    from myxtts.pipeline.reproduce import uncommitted
    from myxtts.serving.promotion import promote
    from myxtts.serving.registry import version_number

    root, config, version = Path.cwd(), _config(options), version_number(options.version)
    if options.evaluate:
        import_tensorflow()
    print(promote(config, version, options.to, root, Paths(root).processed, options.evaluate))
    if note := uncommitted(f"models:/{config.bundle.name}/{version}", root):
        print(f"note: {note}")


def _rollback(options: argparse.Namespace) -> None:
    from myxtts.serving.promotion import rollback

    print(rollback(_config(options).bundle.name, options.alias, Path.cwd()))


def _listen(options: argparse.Namespace) -> None:
    if bool(options.key) != bool(options.answers) or bool(options.key) == bool(options.sources):
        raise MyXTTSError("expected systems to make a test of, or --key FILE --answers CSV … to take answers in")
    import_tensorflow()
    from myxtts.pipeline import listen

    config, root = _config(options), Path.cwd()
    if options.key:
        print(listen.take_in(config, root, options.key, options.answers))
    else:
        print(listen.make(config, root, options.sources, options.out, options.kind, options.count, options.seed))


def _reproduce(options: argparse.Namespace) -> None:
    from myxtts.pipeline.reproduce import reproduce

    source = f"models:/{_config(options).bundle.name}/{options.source}" if options.source.isdigit() else options.source
    result = reproduce(source, Path.cwd(), options.out)
    print(result.describe())
    if result.differences:
        raise SystemExit(1)


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


COMMANDS = {
    "params": _params,
    "use": _use,
    "data": _data,
    "stage": _stage,
    "pipeline": _pipeline,
    "made": _made,
    "plots": _plots,
    "schema": _schema,
    "train": _train,
    "worker": _worker,
    "suggest": _suggest,
    "doctor": _doctor,
    "say": _say,
    "evaluate": _evaluate,
    "voice": _voice,
    "serve": _serve,
    "import-coqui": _import_coqui,
    "export-coqui": _export_coqui,
    "export-onnx": _export_onnx,
    "runs": _runs,
    "best": _best,
    "compare": _compare,
    "listen": _listen,
    "sync": _sync,
    "relocate": _relocate,
    "registry": _registry,
    "promote": _promote,
    "rollback": _rollback,
    "reproduce": _reproduce,
}


if __name__ == "__main__":
    main()
