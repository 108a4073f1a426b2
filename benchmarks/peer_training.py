"""Run by a Python that has coqui-tts 0.28.0: trains its XTTS GPT for a while, from audio files, by its own data set and training step.

python peer_training.py JOB.json   {"clips": [[path, text, speaker, language, seconds]], "vocab", "layers", "dim", "heads", "batch",
"steps", "threads", "folder"} -> a JSON line {"seconds_audio", "wall", "cpu", "step_wall"}
"""

import json
import sys
import time
from pathlib import Path

import soundfile
import torch


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    import TTS.tts.models.xtts as xtts
    from TTS.tts.layers.xtts.dvae import DiscreteVAE
    from TTS.tts.layers.xtts.trainer import dataset, gpt_trainer
    from TTS.tts.models.xtts import XttsAudioConfig

    def load_audio(path, rate):  # its own needs torchcodec; the files are at this rate already
        wave, found = soundfile.read(path, dtype="float32")
        wave = torch.from_numpy(wave)[None]
        return wave if found == rate else xtts.torchaudio.functional.resample(wave, found, rate)

    xtts.load_audio = dataset.load_audio = load_audio
    torch.set_num_threads(job["threads"])  # the data set's module sets 1
    torch.manual_seed(0)
    folder = Path(job["folder"])
    sizes = {"num_tokens": 1024, "codebook_dim": 512, "hidden_dim": 512, "num_resnet_blocks": 3, "kernel_size": 3, "num_layers": 2}
    dvae = DiscreteVAE(channels=80, normalization=None, positional_dims=1, use_transposed_convs=False, **sizes)
    torch.save(dvae.state_dict(), folder / "dvae.pth")
    torch.save(torch.ones(80), folder / "mel_stats.pth")
    arguments = gpt_trainer.GPTArgs(
        max_conditioning_length=132300,
        min_conditioning_length=66150,
        max_wav_length=255995,
        max_text_length=200,
        mel_norm_file=str(folder / "mel_stats.pth"),
        dvae_checkpoint=str(folder / "dvae.pth"),
        tokenizer_file=job["vocab"],
        gpt_num_audio_tokens=1026,
        gpt_start_audio_token=1024,
        gpt_stop_audio_token=1025,
        gpt_use_masking_gt_prompt_approach=True,
        gpt_use_perceiver_resampler=True,
        gpt_layers=job["layers"],
        gpt_n_model_channels=job["dim"],
        gpt_n_heads=job["heads"],
        decoder_input_dim=job["dim"],
    )
    audio = XttsAudioConfig(sample_rate=22050, dvae_sample_rate=22050, output_sample_rate=24000)
    config = gpt_trainer.GPTTrainerConfig(model_args=arguments, audio=audio, batch_size=job["batch"])
    model = gpt_trainer.GPTTrainer(config)
    model.eval()
    model.xtts.gpt.train()
    samples = [
        {"audio_file": path, "text": text, "speaker_name": speaker, "language": language}
        for path, text, speaker, language, _ in job["clips"]
    ]
    data = dataset.XTTSDataset(config, samples, model.xtts.tokenizer, 22050)
    loader = torch.utils.data.DataLoader(data, batch_size=job["batch"], collate_fn=data.collate_fn, num_workers=0, drop_last=True)
    optimizer = torch.optim.AdamW(model.xtts.gpt.parameters(), lr=5e-6, betas=(0.9, 0.96), weight_decay=1e-2)

    def batches():
        while True:
            yield from loader

    def step(batch) -> None:
        _, losses = model.train_step(batch, None)
        losses["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    stream = batches()
    step(model.format_batch_on_device(next(stream)))  # warm-up
    audio_seconds, step_wall = 0.0, 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(job["steps"]):
        batch = model.format_batch_on_device(next(stream))
        audio_seconds += float(batch["wav_lengths"].sum()) / 22050
        began = time.perf_counter()
        step(batch)
        step_wall += time.perf_counter() - began
    result = {"seconds_audio": audio_seconds, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "step_wall": step_wall}
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
