"""The arguments of the `myxtts` command: its subcommands and their options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from myxtts.config.stages import TRAINED_STAGES

RUN_STAGES = (*TRAINED_STAGES, "voice")


class _Command(argparse.ArgumentParser):
    """What it does not know it says itself, with its own usage, and does not leave to `myxtts`."""

    def parse_known_args(self, args=None, namespace=None):
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="myxtts", description="Train, compare, register and speak with XTTS voice-cloning models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Command)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    _add_project_commands(command)
    _add_train_command(command)
    _add_machine_commands(command)
    _add_speech_commands(command)
    _add_serve_command(command)
    _add_run_commands(command)
    return parser


Command = Callable[[str, str], argparse.ArgumentParser]


def _add_params_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--params", default="params.yaml", metavar="FILE", help="configuration (default: params.yaml)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one value; may be repeated")


def _add_project_commands(command: Command) -> None:
    _add_params_options(command("params", "validate params.yaml and print the resolved configuration"))

    sub = command("use", "make params.yaml a copy of recipes/NAME.yaml (your own is kept)")
    found = ", ".join(sorted(path.stem for path in Path("recipes").glob("*.yaml")))
    sub.add_argument("recipe", metavar="NAME", help=f"here: {found or 'none, for there is no recipes/ folder; run in the project folder'}")
    sub.add_argument(
        "--corpus", type=Path, metavar="PATH", help="your recordings: their layout is found out, and where the texts tell, their language"
    )
    sub.add_argument("--layout", metavar="LAYOUT", help="of the corpus, where you know better")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of it; may be repeated")

    sub = command("data", "which layout a corpus has, and how to use it")
    sub.add_argument("action", choices=["detect"])
    sub.add_argument("path", type=Path, metavar="PATH", help="its folder, or an archive: zip, tar, tar.gz, tar.bz2, tar.xz")
    sub.add_argument("--quiet", action="store_true", help="print nothing but the layout")

    sub = command("stage", "run one DVC stage here (dvc.yaml calls this; use `dvc repro STAGE` yourself)")
    sub.add_argument("name", choices=["raw", "prepare", "tokenizer", "dvae", "encode", "gpt", "decoder", "evaluate", "bundle"])
    sub.add_argument("--strict", action="store_true", help="prepare: fail if any row of the corpus is rejected (prepare.strict)")
    _add_params_options(sub)

    sub = command("pipeline", "dvc repro, as `mlflow run .` and `make demo` call it")
    sub.add_argument("--set", default="", metavar="'K=V …'", help="overrides, separated by spaces")
    sub.add_argument("--target", default="", metavar="STAGE", help="only this stage and what it needs")

    command("made", "what the pipeline made, its figures and how to open it")

    command("plots", "make `dvc plots show` and `diff` of this checkout draw without a network (`make setup` calls it)")

    sub = command("schema", "print the JSON Schema of params.yaml")
    sub.add_argument("--out", type=Path, metavar="FILE", help="write it there instead")


def _add_train_command(command: Command) -> None:
    sub = command("train", "train outside DVC: your folders in, a folder with final_model out")
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

    sub = command("worker", "one process of `myxtts train --workers` (which calls it)")
    sub.add_argument("job", type=Path)


def _add_machine_commands(command: Command) -> None:
    sub = command("suggest", "batch, accumulation, workers, precision and memory for this machine, or another")
    sub.add_argument("--gpu-memory", type=float, metavar="GB", help="of each GPU of another machine (default: ask this one)")
    sub.add_argument("--gpus", type=int, metavar="N", help="how many that machine has (default: 1)")
    sub.add_argument("--cpus", type=int, metavar="N", help="its cores (default: those of this machine)")
    sub.add_argument("--model", metavar="PRESET", help="tiny, small, base or xtts_v2, all else at its default (default: params.yaml)")
    sub.add_argument("--stage", action="append", choices=TRAINED_STAGES, help="only this network; may be repeated")
    sub.add_argument("--json", action="store_true", help="machine-readable")
    _add_params_options(sub)

    command("doctor", "check this machine: GPU, precision, memory, disk, limits, versions, speed")


def _add_speech_commands(command: Command) -> None:
    sub = command("say", "speak texts with a reference voice")
    sub.add_argument("text", nargs="?")
    sub.add_argument("--file", metavar="FILE", help="the text is in this file; - = standard input")
    sub.add_argument(
        "--speaker", required=True, action="append", metavar="AUDIO", help="recording of the voice, or *.voice; may be repeated"
    )
    sub.add_argument("--language", default="en", metavar="CODE", help="a code, or auto: that of the text (default: en)")
    sub.add_argument("--out", metavar="WAV", help="file to write; - = standard output; with --lines a folder (default: out.wav)")
    sub.add_argument("--force", action="store_true", help="replace the file that is there")
    sub.add_argument("--lines", action="store_true", help="each line into a file of its own, 0001.wav and on")
    sub.add_argument(
        "--stream",
        nargs="?",
        const="-",
        metavar="PLAYER",
        help="speak while it is generated, into a command that plays WAV (--stream 'aplay -q'), or to standard output",
    )
    sub.add_argument("--model", default="models/bundle", metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--temperature", type=float, metavar="T", help="0 = greedy (default: the model's)")
    sub.add_argument("--speed", type=float, metavar="X", help="2 = twice as fast (default: the model's)")
    sub.add_argument("--candidates", type=int, metavar="K", help="versions of each sentence, of which the best is kept")
    sub.add_argument("--weights", choices=["float32", "bfloat16", "int8"], help="of the GPT: int8 is the fastest on a CPU")
    sub.add_argument("--vocoder", choices=["griffin_lim", "decoder"], help="(default: the model's)")
    sub.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting of synthesis, say guards.tail_seconds=0.5"
    )

    sub = command("evaluate", "measure a bundle, or what another system has spoken, on this project's held-out sentences")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--model", default="models/bundle", metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    what.add_argument("--spoken", type=Path, metavar="DIR", help="audio files named by the ids that --list gives")
    what.add_argument("--list", action="store_true", help="print the sentences: id, text, language, speaker, recording of the voice")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder to make, and DIR.html (default: reports/measured/NAME)")
    _add_params_options(sub)

    sub = command("voice", "save a voice, from recordings of a person or between saved voices")
    sub.add_argument("paths", nargs="+", metavar="AUDIO", help="recordings of one person, or *.voice to be mixed")
    sub.add_argument("--weights", nargs="+", type=float, metavar="W", help="share of each saved voice (default: all alike)")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="*.voice to write")
    sub.add_argument("--force", action="store_true", help="replace the file that is there")
    sub.add_argument("--model", default="models/bundle", metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")

    sub = command("import-coqui", "make a bundle of an XTTS v2 checkpoint of Coqui TTS (released, fine-tuned, or its trainer's)")
    sub.add_argument("--model", required=True, metavar="FILE", help="model.pth")
    sub.add_argument("--config", required=True, metavar="FILE", help="config.json")
    sub.add_argument("--vocab", required=True, metavar="FILE", help="vocab.json")
    sub.add_argument("--dvae", metavar="FILE", help="dvae.pth: the audio tokenizer, needed to train on the model")
    sub.add_argument("--mel-stats", metavar="FILE", help="mel_stats.pth (default: the checkpoint's own)")
    sub.add_argument("--licence", default="", metavar="NAME", help="of these weights: it is said in the card of every model made from them")
    sub.add_argument("--out", required=True, metavar="BUNDLE", help="folder to make, say data/xtts_v2")

    sub = command("export-coqui", "write a bundle as a checkpoint that Coqui TTS loads")
    sub.add_argument("--model", required=True, metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder to make")

    sub = command("export-onnx", "write a bundle as ONNX graphs, which speak without TensorFlow (docs/onnx.md)")
    sub.add_argument("--model", required=True, metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder to make")
    sub.add_argument("--weights", choices=["float32", "int8"], default="float32", help="of the GPT (default: float32)")


def _add_serve_command(command: Command) -> None:
    sub = command("serve", "speak over HTTP, with a page to try it on (docs/serving.md)")
    sub.add_argument("--model", default="models/bundle", metavar="BUNDLE", help="a bundle folder, or models:/myxtts@champion")
    sub.add_argument("--weights", choices=["float32", "bfloat16", "int8"], help="of the GPT: int8 is the fastest on a CPU")
    sub.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="on which it listens (default: this machine only)")
    sub.add_argument("--port", type=int, default=8000, metavar="N", help="(default: 8000)")
    voices = Path("data/voices")
    sub.add_argument(
        "--voices", type=Path, default=voices, metavar="DIR", help=f"folder of *.voice, uploads are kept there (default: {voices})"
    )
    sub.add_argument(
        "--language", metavar="CODE", help="of requests that name none (default: the model's only one, or where the text tells)"
    )
    sub.add_argument("--api-key", metavar="KEY", help="what requests must bring (default: MYXTTS_API_KEY of the environment, else nothing)")
    sub.add_argument("--allow-origin", action="append", default=[], metavar="URL", help="site whose pages may ask; may be repeated")
    sub.add_argument("--max-chars", type=int, default=2000, metavar="N", help="of a text (default: 2000)")
    sub.add_argument("--max-queue", type=int, default=64, metavar="N", help="requests that may wait; others get 429 (default: 64)")
    sub.add_argument("--max-batch", type=int, default=8, metavar="N", help="requests that are spoken together (default: 8)")
    sub.add_argument("--gather-ms", type=float, default=10.0, metavar="MS", help="that a request waits for others to join it (default: 10)")
    sub.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="that a request may take (default: 120)")
    sub.add_argument("--max-upload-mb", type=int, default=20, metavar="MB", help="of the recordings of a voice (default: 20)")
    sub.add_argument("--max-voice-seconds", type=float, default=180.0, metavar="SECONDS", help="of these recordings (default: 180)")
    sub.add_argument("--max-voices", type=int, default=1000, metavar="N", help="that are kept (default: 1000)")


def _add_run_commands(command: Command) -> None:
    sub = command("runs", "the runs of this project, with what their parameters differ in")
    sub.add_argument("--stage", choices=RUN_STAGES, help="only these")
    sub.add_argument("--metric", action="append", default=[], metavar="NAME", help="a column; may be repeated (default: what is watched)")
    sub.add_argument("--sort", metavar="METRIC", help="the best of these first (default: the newest)")
    sub.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default: 50)")
    _add_params_options(sub)

    sub = command("best", "the best checkpoint over all runs")
    sub.add_argument("--metric", required=True, metavar="NAME", help="say val/mel_loss; lower is better but for accuracies and the like")
    sub.add_argument("--stage", choices=RUN_STAGES, help="where several stages measure it")
    _add_params_options(sub)

    sub = command("compare", "two runs side by side, as one page: parameters, metrics, curves, pictures, sound")
    sub.add_argument("first", metavar="RUN", help="id of a run, or the beginning of it")
    sub.add_argument("second", metavar="RUN")
    sub.add_argument("--out", type=Path, metavar="FILE", help="default: reports/compare/<first>-<second>.html")
    _add_params_options(sub)

    sub = command("listen", "a blind listening test as one page, of voice runs or evaluation folders; and what people answered")
    sub.add_argument("sources", nargs="*", metavar="SYSTEM", help="id of a voice run, or a folder of an evaluation")
    sub.add_argument("--kind", choices=["ab", "mos"], default="ab", help="ab: which of two is better; mos: 1 to 5 (default: ab)")
    sub.add_argument("--count", type=int, default=20, metavar="N", help="sentences at most (default: 20)")
    sub.add_argument("--seed", type=int, default=0, help="which sentences (default: 0)")
    page = Path("listening.html")
    sub.add_argument("--out", type=Path, default=page, metavar="FILE", help=f"page to make, and FILE.key.json (default: {page})")
    sub.add_argument("--key", type=Path, metavar="FILE", help="key of a test whose answers are to be taken in")
    sub.add_argument("--answers", nargs="+", type=Path, default=[], metavar="CSV", help="what the listeners' pages downloaded")
    _add_params_options(sub)

    sub = command("sync", "deliver to MLflow what waited for it while it was away")
    sub.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="--checkpoint-dir of `myxtts train` outside checkpoints/")

    command("relocate", "after the repository was moved: where the artifacts of its runs are now")

    sub = command("registry", "the versions of the registered model, with their aliases and figures")
    sub.add_argument("action", choices=["list"])
    sub.add_argument("--all", action="store_true", help="all figures, not only those that params.yaml has gates for")
    _add_params_options(sub)

    sub = command("promote", "give a version an alias, once it passes the gates of params.yaml and loads")
    sub.add_argument("version", metavar="VERSION", help="its number: see `myxtts registry list`")
    sub.add_argument("--to", default="champion", metavar="ALIAS", help="alias to move (default: champion)")
    sub.add_argument("--evaluate", action="store_true", help="measure it and today's champion here and now, instead of as recorded")
    _add_params_options(sub)

    sub = command("rollback", "give an alias back to the version that had it before")
    sub.add_argument("--alias", default="champion", metavar="ALIAS", help="(default: champion)")
    _add_params_options(sub)

    sub = command("reproduce", "check out what a version was made of, with its data, and prove that it gives that version")
    sub.add_argument("source", metavar="VERSION", help="3, models:/myxtts/3, or models:/myxtts@champion")
    sub.add_argument("--out", type=Path, metavar="FOLDER", help="worktree to make (default: beside this folder)")
    _add_params_options(sub)
