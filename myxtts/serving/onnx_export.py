"""A bundle as ONNX graphs with all that a program needs to speak with them, for whoever deploys without TensorFlow: docs/onnx.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from myxtts.config import ModelError
from myxtts.config.stages import SynthesisConfig
from myxtts.models.folder import TOKENIZER
from myxtts.models.gpt_onnx import Weights, gpt_graph
from myxtts.models.hifigan_onnx import whole_decoder_graph
from myxtts.serving.bundle import check_bundle
from myxtts.serving.card import data_rights, licence_of
from myxtts.serving.new_folder import new_folder, refuse_existing
from myxtts.synthesis.generate import longest_generation, penalised_at_start
from myxtts.synthesis.guards import DURATION_SECONDS
from myxtts.synthesis.speech import Synthesizer
from myxtts.synthesis.texts import SECONDS_OF_CHAR_LIMIT
from myxtts.text.languages import get_language
from myxtts.text.tokenizer import Tokenizer

FORMAT = 1
GPT_FILE, DECODER_FILE, CONFIG_FILE = "gpt.onnx", "decoder.onnx", "config.json"


def export_onnx(bundle: str | Path, out: str | Path, weights: Weights = "float32") -> dict[str, Any]:
    """Writes gpt.onnx and decoder.onnx, each with its weights beside it in `.data`, tokenizers and config.json into the new folder `out`.

    The GPT's graph makes prefix and steps (`gpt_graph`), the decoder's turns all latents of a sentence into a wave
    (`whole_decoder_graph`); voices are files of `Voice.save`. weights: of the GPT; the decoder's are float32. The folder appears whole
    or not at all, and the same bundle gives the same bytes. Returns a summary: notes on what speaks otherwise than the bundle, the
    files with their bytes. Raises ModelError where the bundle is not whole, `out` holds something or cannot be written, or for unknown
    weights; DataError where the disk is full.
    """
    bundle, out = Path(bundle), Path(out)
    if weights not in get_args(Weights):
        raise ModelError(f"weights of an ONNX export are one of {', '.join(get_args(Weights))}; got {weights!r}: choose one of them")
    refuse_existing(out)
    described = check_bundle(bundle)
    synthesizer = Synthesizer.load(bundle, whole=True)
    tokenizers = _tokenizers(synthesizer.tokenizer)
    values = _config(synthesizer, described, weights, tokenizers)
    shared = {name: values[name] for name in ("format", "voice_networks", "sample_rate", "weights")}
    with new_folder(out) as part:
        graph = gpt_graph(synthesizer.model.gpt, weights)
        graph.metadata |= _strings(values["gpt"] | shared)
        graph.save(part / GPT_FILE)
        graph = whole_decoder_graph(synthesizer.model.decoder)
        graph.metadata |= _strings(values["decoder"] | shared | {"weights": "float32"})
        graph.save(part / DECODER_FILE)
        for name, content in dict.fromkeys(tokenizers.values()):
            (part / name).write_text(content, encoding="utf-8")
        (part / CONFIG_FILE).write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return {
        "notes": _notes(synthesizer.config.synthesis),
        "folder": str(out),
        "weights": weights,
        "languages": list(tokenizers),
        "bytes": {path.name: path.stat().st_size for path in sorted(out.iterdir())},
    }


def _tokenizers(tokenizer: Tokenizer) -> dict[str, tuple[str, str]]:
    """Of each language the name and content of its file: one for all, and one more for each extension of the vocabulary."""
    contents = {code: tokenizer.plain(code) for code in tokenizer.languages}
    # the newest first: it is the bundle's own
    newest = sorted(dict.fromkeys(contents.values()), key=len, reverse=True)
    names = {content: TOKENIZER if not number else f"tokenizer_{number}.json" for number, content in enumerate(newest)}
    return {code: (names[content], content) for code, content in contents.items()}


def _config(
    synthesizer: Synthesizer, described: Mapping[str, Any], weights: Weights, tokenizers: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """config.json. described: the values of bundle.json."""
    config, tokenizer = synthesizer.config, synthesizer.tokenizer
    return {
        "format": FORMAT,
        "made_of": {"name": described["name"], "myxtts": described["myxtts"], "licence": licence_of(described), **data_rights(described)},
        "weights": weights,
        "voice_networks": synthesizer.voice_networks,
        "sample_rate": synthesizer.sample_rate,
        "codes_per_second": config.model.codes_per_second,
        "gpt": _gpt(synthesizer),
        "decoder": {"latent_dim": config.model.gpt.dim, "speaker_dim": config.model.speaker_encoder.embedding_dim},
        "text": {
            "cleaners": config.prepare.cleaners,
            "units": tokenizer.units,
            "start": tokenizer.start_id,
            "stop": tokenizer.stop_id,
            "space": tokenizer.space_id,
            "unknown": tokenizer.unknown_id,
            "seconds_of_char_limit": SECONDS_OF_CHAR_LIMIT,
            "languages": {
                code: {"tag": tokenizer.tag_id(code), "tokenizer": name, "char_limit": get_language(code).char_limit}
                for code, (name, _) in tokenizers.items()
            },
        },
        "sampling": _sampling(synthesizer),
    }


def _gpt(synthesizer: Synthesizer) -> dict[str, int]:
    model = synthesizer.config.model
    gpt, sizes = synthesizer.model.gpt, model.gpt
    return {
        "num_layers": sizes.num_layers,
        "num_heads": sizes.num_heads,
        "head_dim": sizes.dim // sizes.num_heads,
        "dim": sizes.dim,
        "num_latents": sizes.num_latents,
        "num_text_tokens": gpt.num_text_tokens,
        "num_audio_tokens": gpt.num_audio_tokens,
        "text_positions": gpt.text_positions,
        "audio_positions": gpt.audio_positions,
        "max_text_tokens": sizes.max_text_tokens,
        "max_codes": longest_generation(synthesizer.model),
        "start_audio_token": model.start_audio_token,
        "stop_audio_token": model.stop_audio_token,
    }


def _sampling(synthesizer: Synthesizer) -> dict[str, Any]:
    """What speaking does with the logits, as the bundle's settings say; `coqui_compatible` in its consequences."""
    settings, model = synthesizer.config.synthesis, synthesizer.model
    return {
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "repetition_penalty": settings.repetition_penalty,
        "guidance_scale": settings.guidance_scale,
        "penalised": np.flatnonzero(penalised_at_start(model, settings)).tolist(),
        "forbidden": [] if settings.coqui_compatible else [model.config.start_audio_token],
        "vocode_stop": settings.coqui_compatible,
        "pause_seconds": settings.pause_seconds,
        "duration_factor": settings.guards.duration_factor,
        "duration_seconds": DURATION_SECONDS,
    }


def _notes(settings: SynthesisConfig) -> list[str]:
    if settings.vocoder == "decoder":
        return []
    return [
        "the bundle speaks by Griffin-Lim (synthesis.vocoder), the graphs by its decoder: hear first whether that is good enough "
        "(myxtts say --vocoder decoder), else train it further"
    ]


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
