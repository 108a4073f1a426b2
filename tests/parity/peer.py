"""The reference implementation's side: builds its modules at a case's sizes, gives them the case's weights, keeps their outputs.

Run by the Python of an environment with coqui-tts 0.28.0 (never by the project's own):

    PEER/bin/python tests/parity/peer.py [--out FOLDER] [CASE ...]

Each function of COMPUTE gives one row of the report; `ours.py` has the same names.
"""

import argparse
import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cases
import numpy as np
import torch
from cases import CASES, CHUNK_SECONDS, GENERATED, INPUT_RATE, REFERENCE_SECONDS, SAMPLED, STREAM_CHUNK, STREAMED, Case
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.layers.tortoise.arch_utils import TorchMelSpectrogram
from TTS.tts.layers.tortoise.autoregressive import ConditioningEncoder
from TTS.tts.layers.xtts.dvae import DiscreteVAE, dvae_wav_to_mel
from TTS.tts.layers.xtts.gpt import GPT
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder
from TTS.tts.layers.xtts.perceiver_encoder import PerceiverResampler
from TTS.tts.layers.xtts.stream_generator import init_stream_support
from TTS.tts.models import xtts

VERSION = "0.28.0"
RECOMPUTED = ("num_batches_tracked", "torch_spec.", "discrete_loss.")
SAMPLING = {"do_sample": True, "temperature": 3.0, "top_k": 12, "top_p": 0.85, "repetition_penalty": 5.0}


class Peer:
    """The networks of one case."""

    def __init__(self, case: Case):
        self.case = case
        sizes = case.model
        self.mel_stats = torch.from_numpy(cases.tensor(case.seed, "mel_stats", (80,)))
        self.gpt = _gpt(sizes)
        self.decoder = _decoder(sizes)
        self.dvae = _dvae(sizes)
        keys = ["mel_stats (80,)"]
        for prefix, module in {"gpt.": self.gpt, "hifigan_decoder.": self.decoder, "dvae.": self.dvae}.items():
            keys += _fill(module, prefix, case.seed)
        self.keys = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
        for part in (self.gpt, self.decoder, self.dvae):
            part.eval()

    @property
    def model(self) -> SimpleNamespace:
        """What the methods of its Xtts class look at, for building one takes a tokenizer file and real sizes."""
        if not hasattr(self.gpt, "gpt_inference"):
            self.gpt.init_gpt_for_inference(kv_cache=True)
            self.gpt.eval()
        found = SimpleNamespace(
            gpt=self.gpt,
            hifigan_decoder=self.decoder,
            mel_stats=self.mel_stats,
            device=torch.device("cpu"),
            gpt_batch_size=1,
            args=SimpleNamespace(gpt_use_perceiver_resampler=True, gpt_max_text_tokens=self.case.model["gpt"]["max_text_tokens"]),
            tokenizer=SimpleNamespace(encode=lambda text, lang: self.case.text[0].tolist()),
        )
        for name in ("get_gpt_cond_latents", "get_speaker_embedding", "handle_chunks"):
            setattr(found, name, partial(getattr(xtts.Xtts, name), found))
        return found


def _gpt(sizes: dict) -> GPT:
    config, codes = sizes["gpt"], sizes["dvae"]["num_codes"]
    gpt = GPT(
        start_text_token=cases.TEXT_START,
        stop_text_token=cases.TEXT_STOP,
        layers=config["num_layers"],
        model_dim=config["dim"],
        heads=config["num_heads"],
        max_text_tokens=config["max_text_tokens"],
        max_mel_tokens=config["max_audio_tokens"],
        number_text_tokens=sizes["num_text_tokens"],
        num_audio_tokens=codes + 2,
        start_audio_token=codes,
        stop_audio_token=codes + 1,
        code_stride_len=1024,
        use_perceiver_resampler=True,
    )
    # it has these two at fixed sizes
    gpt.conditioning_encoder = ConditioningEncoder(80, config["dim"], config["conditioning_blocks"], config["conditioning_heads"])
    gpt.conditioning_perceiver = PerceiverResampler(
        dim=config["dim"],
        depth=config["perceiver_layers"],
        num_latents=config["num_latents"],
        dim_head=config["perceiver_head_dim"],
        heads=config["perceiver_heads"],
    )
    for module in gpt.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return gpt


def _decoder(sizes: dict) -> HifiDecoder:
    config, speaker = sizes["decoder"], sizes["speaker_encoder"]
    decoder = HifiDecoder(
        output_hop_length=int(np.prod(config["upsample_rates"])),
        decoder_input_dim=sizes["gpt"]["dim"],
        resblock_dilation_sizes_decoder=[list(config["resblock_dilations"])] * len(config["resblock_kernels"]),
        resblock_kernel_sizes_decoder=list(config["resblock_kernels"]),
        upsample_rates_decoder=list(config["upsample_rates"]),
        upsample_kernel_sizes_decoder=list(config["upsample_kernels"]),
        upsample_initial_channel_decoder=config["channels"],
        d_vector_dim=speaker["embedding_dim"],
    )
    decoder.speaker_encoder = ResNetSpeakerEncoder(
        input_dim=speaker["num_mels"],
        proj_dim=speaker["embedding_dim"],
        layers=list(speaker["blocks"]),
        num_filters=list(speaker["filters"]),
        log_input=True,
        use_torch_spec=True,
        audio_config={**decoder.speaker_encoder_audio_config, "num_mels": speaker["num_mels"]},
    )
    return decoder


def _dvae(sizes: dict) -> DiscreteVAE:
    config = sizes["dvae"]
    return DiscreteVAE(
        channels=80,
        positional_dims=1,
        num_tokens=config["num_codes"],
        codebook_dim=config["code_dim"],
        hidden_dim=config["hidden_dim"],
        num_resnet_blocks=config["num_resnet_blocks"],
        num_layers=config["num_layers"],
        kernel_size=3,
        use_transposed_convs=False,
    )


def _fill(module: torch.nn.Module, prefix: str, seed: int) -> list[str]:
    """Puts the case's weights into every tensor; returns "key shape" of each."""
    keys = []
    for key, value in module.state_dict().items():
        if not any(part in key for part in RECOMPUTED):
            value.copy_(torch.from_numpy(cases.tensor(seed, prefix + key, tuple(value.shape))))
            keys.append(f"{prefix}{key} {tuple(value.shape)}")
    return keys


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(-1, -2)


def _flat(parts: list) -> np.ndarray:
    return np.concatenate([np.asarray(part).ravel() for part in parts])


def mel_dvae(peer: Peer):
    return _flat([_channels_last(dvae_wav_to_mel(torch.from_numpy(wave)[None], mel_norms=peer.mel_stats)) for wave in peer.case.waves])


def mel_conditioning(peer: Peer):
    make = TorchMelSpectrogram(filter_length=2048, hop_length=256, win_length=1024, sampling_rate=INPUT_RATE, mel_norm_file=None)
    make.mel_norms = peer.mel_stats
    return _flat([_channels_last(make(torch.from_numpy(wave)[None])) for wave in peer.case.waves])


def mel_speaker(peer: Peer):
    spectrogram = peer.decoder.speaker_encoder.torch_spec
    return _flat([_channels_last((spectrogram(torch.from_numpy(wave)[None]) + 1e-6).log()) for wave in peer.case.waves])


def conditioning_encoder(peer: Peer):
    return _channels_last(peer.gpt.conditioning_encoder(torch.from_numpy(peer.case.mel).transpose(1, 2)))


def perceiver(peer: Peer):
    frames = torch.from_numpy(peer.case.uniform("frames", 2, 37, peer.case.model["gpt"]["dim"]))
    return peer.gpt.conditioning_perceiver(frames)


def conditioning_latents(peer: Peer):
    return _channels_last(peer.gpt.get_style_emb(torch.from_numpy(peer.case.mel).transpose(1, 2)))


def _pass(peer: Peer, span: np.ndarray | None) -> dict[str, torch.Tensor]:
    """Its training pass, with the logits of both heads caught on their way."""
    batch, caught = peer.case.batch, {}
    heads = {"text": peer.gpt.text_head, "audio": peer.gpt.mel_head}
    hooks = [
        head.register_forward_hook(lambda _, __, output, name=name: caught.__setitem__(name, output.clone()))
        for name, head in heads.items()
    ]
    text_loss, audio_loss, _ = peer.gpt(
        torch.from_numpy(batch["text_ids"]),
        torch.from_numpy(batch["text_lengths"]),
        torch.from_numpy(batch["codes"].copy()),
        torch.from_numpy(batch["code_lengths"] * 1024 - 300),  # samples, not a multiple of a code's
        cond_mels=torch.from_numpy(batch["prompt"]).transpose(1, 2)[:, None],
        cond_idxs=None if span is None else torch.from_numpy(span * 1024),
        cond_lens=torch.tensor([132300] * 4),
    )
    for hook in hooks:
        hook.remove()
    return {**caught, "losses": torch.stack([text_loss, audio_loss])}


def _training(peer: Peer, span: np.ndarray) -> dict[str, torch.Tensor]:
    peer.gpt.train()
    made = _pass(peer, span)
    peer.gpt.eval()
    return made


def train_text_logits(peer: Peer):
    logits = _training(peer, peer.case.spans[0])["text"]
    return _flat([row[: length + 1] for row, length in zip(logits, peer.case.batch["text_lengths"], strict=True)])


def train_audio_logits(peer: Peer):
    logits = _training(peer, peer.case.spans[0])["audio"]
    return _flat([row[: length + 4] for row, length in zip(logits, peer.case.batch["code_lengths"], strict=True)])


def train_losses(peer: Peer):
    return _flat([_training(peer, span)["losses"] for span in peer.case.spans])


def eval_losses(peer: Peer):
    return _pass(peer, None)["losses"]


def second_pass(peer: Peer):
    text, codes = torch.from_numpy(peer.case.text), torch.from_numpy(peer.case.codes)
    lengths = torch.tensor([text.shape[1]]), torch.tensor([codes.shape[1] * 1024])
    latents = torch.from_numpy(peer.case.latents)
    return peer.gpt(text, lengths[0], codes, lengths[1], cond_latents=latents, return_latent=True)


def dvae_codes(peer: Peer):
    return peer.dvae.get_codebook_indices(torch.from_numpy(peer.case.dvae_mel).transpose(1, 2))


def dvae_decode(peer: Peer):
    return _channels_last(peer.dvae.decode(torch.from_numpy(peer.case.codes))[0])


def dvae_codebook(peer: Peer):
    codebook = peer.dvae.codebook
    before = {name: value.clone() for name, value in codebook.state_dict().items()}
    encoded = peer.dvae.encoder(torch.from_numpy(peer.case.dvae_mel).transpose(1, 2)).transpose(1, 2)
    codebook.train()
    codebook(encoded)
    codebook.eval()
    moved = _flat([codebook.embed.T, codebook.embed_avg.T, codebook.cluster_size])
    codebook.load_state_dict(before)
    return moved


def interpolation(peer: Peer):
    caught = []
    hook = peer.decoder.waveform_decoder.conv_pre.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    hifigan(peer)
    hook.remove()
    return _channels_last(caught[0])


def hifigan(peer: Peer):
    return peer.decoder(torch.from_numpy(peer.case.speech_latents), g=torch.from_numpy(peer.case.embedding)[..., None])


def speaker_embedding(peer: Peer):
    return peer.decoder.speaker_encoder(torch.from_numpy(peer.case.wave("speaker", 21000))[None], l2_norm=True)


def _voice(peer: Peer):
    waves = dict(enumerate(peer.case.recordings))
    reader, xtts.load_audio = xtts.load_audio, lambda path, rate: torch.from_numpy(waves[path])[None]
    made = xtts.Xtts.get_conditioning_latents(
        peer.model, list(waves), gpt_cond_len=REFERENCE_SECONDS, gpt_cond_chunk_len=CHUNK_SECONDS, load_sr=INPUT_RATE
    )
    xtts.load_audio = reader
    return made


def voice_latents(peer: Peer):
    return _voice(peer)[0]


def voice_embedding(peer: Peer):
    return _voice(peer)[1]


def _generate(peer: Peer, count: int, **settings):
    return peer.model.gpt.generate(
        cond_latents=torch.from_numpy(peer.case.latents),
        text_inputs=torch.from_numpy(peer.case.text),
        min_new_tokens=count,
        max_new_tokens=count,
        **settings,
    )


def greedy(peer: Peer, penalty: float = 1.0):
    return _generate(peer, GENERATED, do_sample=False, repetition_penalty=penalty)


def sampling_probabilities(peer: Peer):
    torch.manual_seed(peer.case.seed)
    codes, made = _generate(peer, SAMPLED, output_scores=True, return_dict_in_generate=True, **SAMPLING)
    peer.sampled = codes
    return torch.softmax(torch.cat(made.scores), dim=-1)


def speech(peer: Peer):
    latents, embedding = torch.from_numpy(peer.case.latents), torch.from_numpy(peer.case.embedding)[..., None]
    lengths = {"min_new_tokens": 31, "max_new_tokens": 31}
    return xtts.Xtts.inference(peer.model, "text", "en", latents, embedding, do_sample=False, repetition_penalty=5.0, **lengths)["wav"]


def _stream(peer: Peer) -> list[torch.Tensor]:
    latents, embedding = torch.from_numpy(peer.case.latents), torch.from_numpy(peer.case.embedding)[..., None]
    settings = {"top_k": 1, "top_p": 1.0, "temperature": 1.0, "repetition_penalty": 5.0}  # its stream always samples: of one code
    lengths = {"min_new_tokens": STREAMED, "max_new_tokens": STREAMED}
    chunks = xtts.Xtts.inference_stream(peer.model, "text", "en", latents, embedding, stream_chunk_size=STREAM_CHUNK, **settings, **lengths)
    return [chunk.clone() for chunk in chunks]


def stream(peer: Peer):
    return torch.cat(_stream(peer))


def stream_lengths(peer: Peer):
    return np.array([len(chunk) for chunk in _stream(peer)])


COMPUTE: dict[str, Callable] = {
    function.__name__: function
    for function in (
        mel_dvae,
        mel_conditioning,
        mel_speaker,
        conditioning_encoder,
        perceiver,
        conditioning_latents,
        train_text_logits,
        train_audio_logits,
        train_losses,
        eval_losses,
        second_pass,
        dvae_codes,
        dvae_decode,
        dvae_codebook,
        interpolation,
        hifigan,
        speaker_embedding,
        voice_latents,
        voice_embedding,
        greedy,
        sampling_probabilities,
        speech,
        stream,
        stream_lengths,
    )
} | {"greedy_penalty_5": partial(greedy, penalty=5.0), "greedy_penalty_10": partial(greedy, penalty=10.0)}


def write(case: Case, out: Path) -> None:
    """Computes every row of a case and keeps it, with the versions that made it."""
    with torch.no_grad():
        peer = Peer(case)
        made = {name: np.asarray(COMPUTE[name](peer)) for name in cases.ROWS}
    versions = {name: importlib.metadata.version(name) for name in ("coqui-tts", "torch", "transformers", "torchaudio", "numpy")}
    kept = {name: cases.kept(name, values) for name, values in made.items()}
    sizes = {f"{name}/size": np.int64(values.size) for name, values in made.items()}
    out.mkdir(parents=True, exist_ok=True)
    facts = {"versions": json.dumps(versions), "keys": peer.keys, "sampled_codes": peer.sampled.numpy().astype(np.int32)}
    np.savez_compressed(out / case.fixture.name, **kept, **sizes, **facts)


def _check_versions() -> None:
    found = {name: importlib.metadata.version(name) for name in ("coqui-tts", "transformers")}
    if found["coqui-tts"] != VERSION or tuple(int(part) for part in found["transformers"].split(".")[:2]) >= (5, 24):
        raise SystemExit(
            f"expected coqui-tts {VERSION} and transformers before 5.24, which renamed the cache that its GPT reads; found {found}: "
            "pip install coqui-tts==0.28.0 transformers==5.23.0"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=cases.FIXTURES)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(case.name for case in CASES)}; default all")
    arguments = parser.parse_args()
    _check_versions()
    torch.set_num_threads(2)
    init_stream_support()
    for case in CASES:
        if not arguments.cases or case.name in arguments.cases:
            write(case, arguments.out)
            print(f"wrote {arguments.out / case.fixture.name}", flush=True)


if __name__ == "__main__":
    main()
