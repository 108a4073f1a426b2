"""config.json of the reference implementation (coqui-tts) <-> our configuration.

Its `model_args` name the sizes that vary; the rest of the network is fixed in its code, and is the preset `xtts_v2` here. A model of other
sizes still goes out and comes back: its sizes are in the section `myxtts_model`, which the reference does not read and cannot represent.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from myxtts.config import ConfigError, DataError, ModelConfig, XTTSConfig
from myxtts.config.model import TRAINING_ONLY
from myxtts.synthesis.voice import LONGEST_REFERENCE_SECONDS
from myxtts.text.coqui_tables import COQUI_LANGUAGES
from myxtts.text.languages import get_language
from myxtts.text.tokenizer import Tokenizer

OURS = "myxtts_model"
TEXT_MARKS = ("gpt_start_text_token", "gpt_stop_text_token")
WHOLE_SECONDS = 3600.0  # for its gpt_cond_len below 1: the whole recording
# what its classes take where config.json says nothing
ARGUMENT_DEFAULTS = {
    "gpt_max_audio_tokens": 605,
    "gpt_max_text_tokens": 402,
    "gpt_layers": 30,
    "gpt_n_model_channels": 1024,
    "gpt_n_heads": 16,
    "gpt_start_text_token": None,
    "gpt_stop_text_token": None,
    "gpt_num_audio_tokens": 8194,
    "gpt_start_audio_token": 8192,
    "gpt_stop_audio_token": 8193,
    "gpt_code_stride_len": 1024,
    "gpt_use_perceiver_resampler": False,
    "input_sample_rate": 22050,
    "output_sample_rate": 24000,
    "output_hop_length": 256,
    "decoder_input_dim": 1024,
    "d_vector_dim": 512,
    "cond_d_vector_in_each_upsampling_layer": True,
}
SPEECH_DEFAULTS = {
    "temperature": 0.85,
    "top_k": 50,
    "top_p": 0.85,
    "repetition_penalty": 2.0,
    "gpt_cond_len": 12,
    "gpt_cond_chunk_len": 4,
    "max_ref_len": 10,
    "sound_norm_refs": False,
}


def read_config(path: Path) -> dict[str, Any]:
    """config.json. Raises ConfigError where it is none of an XTTS model."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no {path}: expected the config.json that belongs to the checkpoint") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({error}); take the config.json that belongs to the checkpoint") from None
    if not isinstance(values, dict) or not isinstance(values.get("model_args"), dict):
        raise ConfigError(f"{path} has no section model_args: expected the config.json of an XTTS model")
    if values.get("model", "xtts") != "xtts":
        raise ConfigError(f"{path} describes a model {values['model']!r}; expected 'xtts'")
    return values


def to_params(values: Mapping[str, Any], text_rows: int, name: str, source: str) -> tuple[XTTSConfig, list[str]]:
    """What a config.json means here, and notes on what of it has no counterpart.

    text_rows: of the checkpoint's text embedding. Raises ConfigError naming each value that our architecture cannot represent.
    """
    arguments = _typed(values["model_args"], ARGUMENT_DEFAULTS, f"{source}: model_args.")
    speech = _typed({key: value for key, value in values.items() if value is not None}, SPEECH_DEFAULTS, f"{source}: ")
    model = _section(values, OURS, source) or _model_section(arguments)
    reference, prompt = _heard(speech)
    tree = {
        "model": {**model, "num_text_tokens": text_rows},
        "prepare": {"cleaners": "coqui", "trim": "none", "loudness_lufs": None},
        "encode": {"prompt_seconds": prompt},
        "synthesis": {
            **{key: speech[key] for key in ("temperature", "top_k", "top_p", "repetition_penalty")},
            "vocoder": "decoder",
            "coqui_compatible": True,
            "reference_seconds": reference,
        },
        "bundle": {"name": name},
    }
    config = XTTSConfig.from_dict(tree, source=f"what {source} says")
    _check_arguments(arguments, _arguments(config.model, None), source)
    audio = _section(values, "audio", source)
    rates = {"sample_rate": "input_sample_rate", "dvae_sample_rate": "input_sample_rate", "output_sample_rate": "output_sample_rate"}
    for key, ours in rates.items():
        if audio.get(key, arguments[ours]) != arguments[ours]:
            raise ConfigError(f"{source}: audio.{key} is {audio[key]}, but model_args.{ours} is {arguments[ours]}; they must be one")
    return config, list(_notes_on_references(speech))


def check_vocabulary(values: Mapping[str, Any], tokenizer: Tokenizer, config: str, vocab: str) -> list[str]:
    """Notes on what a config.json says of its vocabulary that `tokenizer` is not. Raises ConfigError where they are of two models."""
    arguments = values["model_args"]
    ids = {"gpt_start_text_token": ("[START]", tokenizer.start_id), "gpt_stop_text_token": ("[STOP]", tokenizer.stop_id)}
    given = {key: arguments.get(key) for key in ids}  # null: taken from the vocabulary
    wrong = [
        f"model_args.{key} is {given[key]}, but {token} has the id {index}"
        for key, (token, index) in ids.items()
        if given[key] not in (None, index)
    ]
    if wrong:
        raise ConfigError(f"{config} and {vocab} do not belong together: {'; '.join(wrong)}. Give the two that came with the checkpoint")
    tags = {*tokenizer.languages, *tokenizer.other_tags}
    lacking = [language for language in _languages(values, config) if not {language, _code(language)} & tags]
    if not lacking:
        return []
    return [
        f"config.json lists languages that the vocabulary lacks ({', '.join(lacking)}): nothing is spoken in them; if the model speaks "
        "them, this is not its vocab.json"
    ]


def _languages(values: Mapping[str, Any], source: str) -> list[str]:
    """`languages` of config.json; [] where it names none."""
    languages = values.get("languages") or []
    if not isinstance(languages, list) or not all(isinstance(language, str) for language in languages):
        raise ConfigError(
            f"{source}: languages is {json.dumps(languages)[:80]}, expected a list of codes; take the config.json that belongs to the "
            "checkpoint, as it was written"
        )
    return languages


def _code(language: str) -> str:
    """Under which a vocabulary has a tag: `zh` is `zh-cn`."""
    try:
        return get_language(language).code
    except DataError:
        return language


def from_params(config: XTTSConfig, tokenizer: Tokenizer, original: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], list[str]]:
    """config.json for a model of ours, and notes on what the reference will do otherwise.

    original: the config.json that the model, or the one that its training started from, was imported with. What it says and MyXTTS
    has no value for stays.
    """
    model, synthesis = config.model, config.synthesis
    given = {key: value for key, value in (original or {}).items() if key != OURS}
    values = {
        "length_penalty": 1.0,
        "num_gpt_outputs": 1,
        "max_ref_len": LONGEST_REFERENCE_SECONDS,
        "sound_norm_refs": False,
        **given,
        "model": "xtts",
        "model_args": _merged_arguments(model, tokenizer, given.get("model_args") or {}),
        "audio": {
            **(given.get("audio") or {}),
            "sample_rate": model.audio.input_sample_rate,
            "output_sample_rate": model.audio.output_sample_rate,
            "dvae_sample_rate": model.audio.input_sample_rate,
        },
        "languages": _merged_languages(_languages(given, "the config.json in bundle.json"), tokenizer),
        "temperature": synthesis.temperature,
        "top_k": synthesis.top_k,
        "top_p": synthesis.top_p,
        "repetition_penalty": synthesis.repetition_penalty,
        **_lengths_of_references(config, given),
    }
    notes = []
    foreign = unrepresented(model)
    if foreign:
        values[OURS] = model.model_dump(mode="json")
        notes.append(f"the reference implementation cannot load this model, for these sizes are fixed there: {'; '.join(foreign)}")
    return values, [*notes, *_notes_on_text(config, tokenizer), *_notes_on_voices(config, values), *_notes_on_sampling(config)]


def _heard(speech: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds of a voice's recordings that count, and of each chunk of them: our reference_seconds and prompt_seconds."""
    reference = float(speech["gpt_cond_len"]) if speech["gpt_cond_len"] > 0 else WHOLE_SECONDS
    return reference, min(float(speech["gpt_cond_chunk_len"]), reference)


def _lengths_of_references(config: XTTSConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Its gpt_cond_len and gpt_cond_chunk_len: those given where they mean what `config` says."""
    keys = ("gpt_cond_len", "gpt_cond_chunk_len")
    if given:
        values = {key: SPEECH_DEFAULTS[key] if given.get(key) is None else given[key] for key in keys}
        if _heard(values) == (config.synthesis.reference_seconds, config.encode.prompt_seconds):
            return values
    chunk = max(1, round(config.encode.prompt_seconds))  # it counts whole seconds
    return dict(zip(keys, (max(chunk, round(config.synthesis.reference_seconds or 0)), chunk), strict=True))


def _merged_arguments(model: ModelConfig, tokenizer: Tokenizer, given: Mapping[str, Any]) -> dict[str, Any]:
    ours = {**_arguments(model, tokenizer), "gpt_number_text_tokens": model.num_text_tokens}
    left_open = {key: None for key in TEXT_MARKS if key in given and given[key] is None}
    return {"gpt_use_masking_gpt_prompt_approach": True, **given, **ours, **left_open}


def _merged_languages(given: list[str], tokenizer: Tokenizer) -> list[str]:
    """Those given, then those that the vocabulary was extended by: which tags of a vocabulary a model speaks, its maker knows."""
    if not given:
        return list(tokenizer.languages)
    known = {*given, *map(_code, given)}
    return [*given, *(language for language in tokenizer.added_languages if language not in known)]


def _notes_on_references(speech: Mapping[str, Any]) -> Iterator[str]:
    if speech["sound_norm_refs"]:
        yield "sound_norm_refs is true there: recordings of a voice are scaled to a peak of 0.75; here they are heard as they are"
    longest = speech["max_ref_len"]
    if longest != LONGEST_REFERENCE_SECONDS:
        yield (
            f"max_ref_len is {longest}: its synthesize hears the first {longest} s of each recording, in the speaker embedding and in the "
            f"latents; here it is the first {LONGEST_REFERENCE_SECONDS} s. For the same voice, give recordings of at most "
            f"{min(longest, LONGEST_REFERENCE_SECONDS)} s"
        )


def _notes_on_text(config: XTTSConfig, tokenizer: Tokenizer) -> Iterator[str]:
    if others := tokenizer.languages_of_two_readings:
        yield (
            f"texts in {', '.join(others)} have other ids there: the reference applies the merges of an extended vocabulary to every "
            "language, MyXTTS only to those it was extended by; speak them here"
        )
    if lacking := [language for language in tokenizer.languages if language not in COQUI_LANGUAGES]:
        yield f"the reference refuses texts in {', '.join(lacking)}, which it cannot normalise: speak them here"
    if config.prepare.cleaners != "coqui":
        yield "the model was made with prepare.cleaners myxtts: the reference reads numbers and signs otherwise; spell them out there"


def _notes_on_voices(config: XTTSConfig, values: Mapping[str, Any]) -> Iterator[str]:
    seconds, chunk = config.encode.prompt_seconds, _heard(values)[1]
    if chunk != seconds:
        yield f"encode.prompt_seconds {seconds:g} became {chunk:g}: the reference counts whole seconds"
    if config.synthesis.reference_seconds is None:
        yield (
            f"synthesis.reference_seconds is empty: here a voice is the first {seconds:g} s of each recording, repeated where it is "
            f"shorter; there the first {values['gpt_cond_len']} s of all joined (gpt_cond_len)"
        )
    if config.prepare.trim != "none" or config.prepare.loudness_lufs is not None:
        yield "the model was made from trimmed or levelled recordings (prepare): the reference takes those of a voice as they are"
    yield from _notes_on_references(_typed({key: value for key, value in values.items() if value is not None}, SPEECH_DEFAULTS, ""))


def _notes_on_sampling(config: XTTSConfig) -> Iterator[str]:
    if config.synthesis.temperature == 0:
        yield "synthesis.temperature is 0, always the likeliest code: the reference draws codes and refuses 0; give it another temperature"
    if config.synthesis.guidance_scale != 1:
        yield f"synthesis.guidance_scale is {config.synthesis.guidance_scale:g}: the reference has none, and follows the text less"
    if not config.synthesis.coqui_compatible:
        yield (
            "synthesis.coqui_compatible is false: there, the repetition penalty counts code 1 and [START] from the first step on, "
            "[START] may be drawn, and a sentence has a last latent more"
        )
    if config.synthesis.vocoder != "decoder":
        yield f"synthesis.vocoder is {config.synthesis.vocoder}: the reference always speaks by the decoder"


def unrepresented(model: ModelConfig) -> list[str]:
    """Each value of a model that the reference has no argument for and fixes otherwise: `decoder.channels is 96, there 512`."""
    arguments = {key: value for key, value in _arguments(model, None).items() if key in ARGUMENT_DEFAULTS}
    fixed = ModelConfig.model_validate({**_model_section(arguments), "num_text_tokens": model.num_text_tokens})
    ours, theirs = _flat(model.model_dump()), _flat(fixed.model_dump())
    return [f"{key} is {ours[key]}, there {theirs[key]}" for key in ours if key not in TRAINING_ONLY and ours[key] != theirs[key]]


def _model_section(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Our section `model` of its model_args: the preset, and the values that may differ from it."""
    return {
        "preset": "xtts_v2",
        "audio": {key: arguments[key] for key in ("input_sample_rate", "output_sample_rate")},
        "gpt": {
            "num_layers": arguments["gpt_layers"],
            "dim": arguments["gpt_n_model_channels"],
            "num_heads": arguments["gpt_n_heads"],
            "max_text_tokens": arguments["gpt_max_text_tokens"],
            "max_audio_tokens": arguments["gpt_max_audio_tokens"],
        },
        "dvae": {"num_codes": arguments["gpt_num_audio_tokens"] - 2},
    }


def _arguments(model: ModelConfig, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Its model_args of a model of ours."""
    return {
        "gpt_max_audio_tokens": model.gpt.max_audio_tokens,
        "gpt_max_text_tokens": model.gpt.max_text_tokens,
        "gpt_layers": model.gpt.num_layers,
        "gpt_n_model_channels": model.gpt.dim,
        "gpt_n_heads": model.gpt.num_heads,
        "gpt_start_text_token": tokenizer.start_id if tokenizer else None,
        "gpt_stop_text_token": tokenizer.stop_id if tokenizer else None,
        "gpt_num_audio_tokens": model.num_audio_tokens,
        "gpt_start_audio_token": model.start_audio_token,
        "gpt_stop_audio_token": model.stop_audio_token,
        "gpt_code_stride_len": model.samples_per_code,
        "gpt_use_perceiver_resampler": True,
        "input_sample_rate": model.audio.input_sample_rate,
        "output_sample_rate": model.audio.output_sample_rate,
        "output_hop_length": model.decoder.hop_length,
        "decoder_input_dim": model.gpt.dim,
        "d_vector_dim": model.speaker_encoder.embedding_dim,
        "cond_d_vector_in_each_upsampling_layer": True,
    }


def _section(values: Mapping[str, Any], name: str, source: str) -> dict[str, Any]:
    """A section of config.json; {} where it is missing or null."""
    section = values.get(name)
    if section is not None and not isinstance(section, dict):
        raise ConfigError(f"{source}: {name} is {json.dumps(section)[:80]}, expected a section (an object)")
    return section or {}


def _typed(given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The defaults with what is given in their place. Raises ConfigError naming each value of another kind than its default."""
    values = {key: given.get(key, default) for key, default in defaults.items()}
    wrong = []
    for key, value in values.items():
        kind = "true or false" if isinstance(defaults[key], bool) else "a number"
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        fits = isinstance(value, bool) if isinstance(defaults[key], bool) else number
        if not fits and not (value is None and defaults[key] is None):
            wrong.append(f"{prefix}{key} is {json.dumps(value)[:80]}, expected {kind}")
    if wrong:
        raise ConfigError("\n".join(wrong) + "\ntake the config.json that belongs to the checkpoint, as it was written")
    return values


def _check_arguments(given: Mapping[str, Any], expected: Mapping[str, Any], source: str) -> None:
    """What our network makes of the arguments must be what they say; those of the vocabulary are `check_vocabulary`'s."""
    wrong = [
        f"  model_args.{key} is {given[key]!r}, expected {value!r}"
        for key, value in expected.items()
        if key not in TEXT_MARKS and given[key] != value
    ]
    if wrong:
        hint = ""
        if not given["gpt_use_perceiver_resampler"]:
            hint = "\nXTTS version 1 conditions without a Perceiver resampler, which MyXTTS does not build; import a version 2 model"
        raise ConfigError(f"{source} describes a network that MyXTTS cannot represent:\n" + "\n".join(wrong) + hint)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
