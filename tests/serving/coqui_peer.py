"""Run by a Python that has coqui-tts 0.28.0 (MYXTTS_PEER), for test_coqui_export.py:

python coqui_peer.py make FOLDER        a small random checkpoint, beside the vocab.json that is there
python coqui_peer.py compare A B        loads both folders strictly and prints the largest difference of each output, as JSON
"""

import json
import sys
from pathlib import Path

import torch
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
from TTS.tts.layers.xtts.dvae import DiscreteVAE
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts

DIM, CODES = 64, 1024


def _dvae() -> DiscreteVAE:
    sizes = {"num_tokens": CODES, "codebook_dim": 512, "hidden_dim": 512, "num_resnet_blocks": 3, "kernel_size": 3, "num_layers": 2}
    return DiscreteVAE(channels=80, normalization=None, positional_dims=1, use_transposed_convs=False, **sizes)


def make(folder: Path) -> None:
    torch.manual_seed(0)
    sizes = {"gpt_layers": 2, "gpt_n_model_channels": DIM, "gpt_n_heads": 4, "decoder_input_dim": DIM}
    codes = {"gpt_num_audio_tokens": CODES + 2, "gpt_start_audio_token": CODES, "gpt_stop_audio_token": CODES + 1}
    arguments = XttsArgs(gpt_use_perceiver_resampler=True, **sizes, **codes)
    config = XttsConfig(model_args=arguments, gpt_cond_len=6, max_ref_len=30, languages=["en", "fa"])
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(str(folder / "vocab.json"))
    model.init_models()
    model.mel_stats.copy_(torch.rand(80) - 6)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("proj_out.weight"):
                tensor.normal_(0, 0.02)
            elif key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif key.endswith("running_mean"):
                tensor.normal_(0, 0.1)
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict(), "step": 1}, folder / "model.pth")
    torch.save(_dvae().state_dict(), folder / "dvae.pth")


@torch.no_grad()
def outputs(folder: Path) -> dict[str, torch.Tensor]:
    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Xtts(config)
    model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True, strict=True)
    dvae = _dvae()
    dvae.load_state_dict(torch.load(folder / "dvae.pth"), strict=True)
    generator = torch.Generator().manual_seed(1)
    wave = 0.1 * torch.randn(1, 22050 * 5, generator=generator)
    codes = torch.randint(0, CODES, (1, 20), generator=generator)
    text = torch.randint(4, 40, (1, 12), generator=generator)
    latents = model.get_gpt_cond_latents(wave, 22050, config.gpt_cond_len, config.gpt_cond_chunk_len)
    speaker = model.get_speaker_embedding(wave, 22050)
    lengths = torch.tensor([12]), torch.tensor([20 * 1024])
    gpt = model.gpt(text, lengths[0], codes, lengths[1], cond_latents=latents, return_latent=True)
    mel = torch.randn(1, 80, 64, generator=generator)
    return {
        "conditioning": latents,
        "speaker": speaker,
        "gpt": gpt,
        "wave": model.hifigan_decoder(gpt, g=torch.ones_like(speaker)),
        "codes": dvae.eval().get_codebook_indices(mel).float(),
        "mel": dvae.decode(codes)[0],
    }


def main() -> None:
    mode, *folders = sys.argv[1:]
    if mode == "make":
        make(Path(folders[0]))
        return
    first, second = (outputs(Path(folder)) for folder in folders)
    print(json.dumps({name: float((first[name] - second[name]).abs().max()) for name in first}))


if __name__ == "__main__":
    main()
