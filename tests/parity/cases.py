"""What is compared: sizes, seeds, weights and inputs. NumPy only, so that both sides of the comparison can import it.

Nothing here is stored: every tensor of a state dict and every input follows from (seed, name, shape) by integer arithmetic, which
gives the same bits under every version of NumPy. Only the outputs of the reference implementation are kept, in `fixtures/`.
"""

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
KEPT = 1200  # values of an output, evenly spread; integers are kept whole
TEXT_START, TEXT_STOP = 5, 0
GENERATED = 100  # codes of the greedy comparison
SAMPLED = 12  # steps whose probabilities are compared
STREAM_CHUNK, STREAMED = 20, 47  # codes a chunk, codes in all: the last chunk is a short one
CHUNK_SECONDS, REFERENCE_SECONDS = 1, 3
INPUT_RATE, SPEAKER_RATE = 22050, 16000


@dataclass(frozen=True)
class Row:
    """One line of the report. bound: largest |ours - theirs| / max |theirs|; 0 = identical integers. keep: values in a fixture."""

    title: str
    bound: float
    keep: int = KEPT


ROWS = {
    "mel_dvae": Row("mel of the DVAE (four lengths)", 1e-5),
    "mel_conditioning": Row("mel of the reference voice, conditioning (four lengths)", 1e-5),
    "mel_speaker": Row("mel of the speaker encoder (four lengths)", 1e-5),
    "conditioning_encoder": Row("conditioning encoder", 1e-5),
    "perceiver": Row("Perceiver resampler alone", 1e-5),
    "conditioning_latents": Row("conditioning latents of a mel", 1e-5),
    "train_text_logits": Row("GPT training: text logits", 1e-5),
    "train_audio_logits": Row("GPT training: code logits", 1e-5),
    "train_losses": Row("GPT training: text and code losses, prompt at six places", 1e-5),
    "eval_losses": Row("GPT validation: text and code losses, nothing masked", 1e-5),
    "second_pass": Row("GPT latents of the second pass", 1e-5),
    "dvae_codes": Row("DVAE: codes of a mel", 0),
    "dvae_decode": Row("DVAE: mel of codes", 1e-5),
    "dvae_codebook": Row("DVAE: codebook after one update", 1e-5),
    "interpolation": Row("interpolation of latents to decoder frames", 1e-5),
    "hifigan": Row("HiFi-GAN: waveform", 1e-5),
    "speaker_embedding": Row("speaker encoder: embedding of a wave", 1e-5),
    "voice_latents": Row("voice from recordings: conditioning latents over chunks", 1e-5),
    "voice_embedding": Row("voice from recordings: speaker embedding", 1e-4),
    "greedy": Row(f"greedy generation, {GENERATED} codes", 0),
    "greedy_penalty_5": Row(f"greedy generation, {GENERATED} codes, repetition penalty 5", 0),
    "greedy_penalty_10": Row(f"greedy generation, {GENERATED} codes, repetition penalty 10", 0),
    "sampling_probabilities": Row(
        f"sampling: probabilities of {SAMPLED} steps after penalty, temperature, top-k, top-p", 1e-5, keep=20_000
    ),
    "speech": Row("text to waveform: greedy codes, their latents, decoder", 1e-4),
    "stream": Row("streaming: chunks of a waveform, cross-faded", 1e-4),
    "stream_lengths": Row("streaming: samples of each chunk", 0),
}

# every dimension differs from the others where the architecture lets it
SIZES: dict[str, dict[str, Any]] = {
    "narrow": {
        "num_text_tokens": 97,
        "dvae": {"num_codes": 41, "code_dim": 24, "hidden_dim": 20, "num_layers": 2, "num_resnet_blocks": 2},
        "gpt": {
            "num_layers": 3,
            "dim": 60,
            "num_heads": 5,
            "max_text_tokens": 50,
            "max_audio_tokens": 130,
            "conditioning_blocks": 2,
            "conditioning_heads": 3,
            "perceiver_layers": 2,
            "perceiver_heads": 4,
            "perceiver_head_dim": 14,
            "num_latents": 7,
        },
        "decoder": {"channels": 48, "upsample_rates": (8, 8, 2, 2), "upsample_kernels": (16, 16, 4, 4), "resblock_kernels": (3, 7, 11)},
        "speaker_encoder": {"embedding_dim": 36, "filters": (8, 12, 16, 24), "blocks": (1, 2, 1, 3), "num_mels": 64},
    },
    "uneven": {
        "num_text_tokens": 130,
        "dvae": {"num_codes": 53, "code_dim": 18, "hidden_dim": 14, "num_layers": 2, "num_resnet_blocks": 1},
        "gpt": {
            "num_layers": 2,
            "dim": 88,
            "num_heads": 4,
            "max_text_tokens": 42,
            "max_audio_tokens": 121,
            "conditioning_blocks": 1,
            "conditioning_heads": 8,
            "perceiver_layers": 3,
            "perceiver_heads": 3,
            "perceiver_head_dim": 10,
            "num_latents": 11,
        },
        "decoder": {"channels": 32, "upsample_rates": (5, 4, 3), "upsample_kernels": (11, 8, 5), "resblock_kernels": (3, 5)},
        "speaker_encoder": {"embedding_dim": 28, "filters": (16, 8, 24, 32), "blocks": (2, 1, 1, 1), "num_mels": 40},
    },
    "xtts_v2": {
        "num_text_tokens": 6681,
        "dvae": {"num_codes": 1024, "code_dim": 512, "hidden_dim": 512, "num_layers": 2, "num_resnet_blocks": 3},
        "gpt": {
            "num_layers": 30,
            "dim": 1024,
            "num_heads": 16,
            "max_text_tokens": 402,
            "max_audio_tokens": 605,
            "conditioning_blocks": 6,
            "conditioning_heads": 16,
            "perceiver_layers": 2,
            "perceiver_heads": 8,
            "perceiver_head_dim": 64,
            "num_latents": 32,
        },
        "decoder": {"channels": 512, "upsample_rates": (8, 8, 2, 2), "upsample_kernels": (16, 16, 4, 4), "resblock_kernels": (3, 7, 11)},
        "speaker_encoder": {"embedding_dim": 512, "filters": (32, 64, 128, 256), "blocks": (3, 4, 6, 3), "num_mels": 64},
    },
}


@dataclass(frozen=True)
class Case:
    """One size under one seed, and its inputs. M = 80 mel bands throughout, as both sides have them."""

    size: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.size}_{self.seed}"

    @property
    def fixture(self) -> Path:
        return FIXTURES / f"{self.name}.npz"

    @property
    def model(self) -> dict[str, Any]:
        """The model section of params.yaml, without dropout."""
        sizes = SIZES[self.size]
        decoder = {**sizes["decoder"], "resblock_dilations": (1, 3, 5)}
        return {"preset": "xtts_v2", **sizes, "gpt": {**sizes["gpt"], "dropout": 0.0}, "decoder": decoder}

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        return uniform(self.seed, f"input {name}", shape)

    def integers(self, name: str, low: int, high: int, *shape: int) -> np.ndarray:
        raw = _generator(self.seed, f"input {name}").random_raw(math.prod(shape))
        return (low + raw % np.uint64(high - low)).astype(np.int64).reshape(shape)

    def wave(self, name: str, samples: int) -> np.ndarray:
        """Something like a voiced sound (N,): triangle waves of changing loudness and noise, on the grid of 16-bit PCM."""
        time = np.arange(samples) / INPUT_RATE
        pitch = 110.0 + 10 * self.seed
        tones = sum(np.abs((time * pitch * k) % 1.0 * 2 - 1) / k for k in (1, 2, 3, 5, 8, 13, 21)) - 1.3
        loudness = 0.2 + np.abs((time * 2.7) % 1.0 * 2 - 1)
        mixed = 0.2 * tones * loudness + 0.05 * self.uniform(f"wave {name}", samples)
        return (np.round(np.clip(mixed, -0.99, 0.99) * 32768) / 32768).astype(np.float32)

    @property
    def waves(self) -> list[np.ndarray]:
        """Whole hops, not whole hops, one sample more than the padding needs, an odd number."""
        return [self.wave(f"{n} samples", n) for n in (256 * 40, 256 * 25 + 100, 1025, 9999)]

    @property
    def mel(self) -> np.ndarray:
        """(2, F, M): reference mels, normalised."""
        return 3 * self.uniform("reference mel", 2, 61, 80)

    @property
    def dvae_mel(self) -> np.ndarray:
        """(2, F, M), F not a multiple of the frames of a code."""
        return 3 * self.uniform("dvae mel", 2, 45, 80)

    @property
    def text(self) -> np.ndarray:
        """(1, T) token ids without START and STOP."""
        return self.integers("text", 6, self.model["num_text_tokens"], 1, 13)

    @property
    def batch(self) -> dict[str, np.ndarray]:
        """Four clips of unequal lengths; codes behind a row's length are junk that nobody may look at.

        Texts end in STOP as the reference's data loader pads them, for there it takes its last target from the padding.
        """
        texts, codes = np.array([9, 17, 5, 12]), np.array([31, 12, 40, 22])
        ids = self.integers("texts", 6, self.model["num_text_tokens"], 4, int(texts.max()))
        return {
            "text_ids": np.where(np.arange(ids.shape[1]) < texts[:, None], ids, TEXT_STOP),
            "text_lengths": texts,
            "codes": self.integers("codes", 0, self.model["dvae"]["num_codes"], 4, int(codes.max()) + 3),
            "code_lengths": codes,
            "prompt": 3 * self.uniform("prompts", 4, 53, 80),
        }

    @property
    def spans(self) -> list[np.ndarray]:
        """Where the prompts were cut from, in codes: of all rows somewhere, and of the last row at its start, inside, at its end, whole."""
        first = np.array([[3, 9], [0, 5], [20, 31]])
        return [np.concatenate([first, [span]]) for span in ([0, 3], [2, 4], [5, 6], [4, 8], [0, 11], [12, 20])]

    @property
    def codes(self) -> np.ndarray:
        """(1, S)"""
        return self.integers("spoken codes", 0, self.model["dvae"]["num_codes"], 1, 13)

    @property
    def latents(self) -> np.ndarray:
        """(1, L, D): a voice, as the GPT knows it."""
        return 1.5 * self.uniform("voice", 1, self.model["gpt"]["num_latents"], self.model["gpt"]["dim"])

    @property
    def speech_latents(self) -> np.ndarray:
        """(1, S, D): what the decoder speaks."""
        return 2 * self.uniform("speech latents", 1, 13, self.model["gpt"]["dim"])

    @property
    def embedding(self) -> np.ndarray:
        """(1, E) of length 1."""
        vector = self.uniform("embedding", 1, self.model["speaker_encoder"]["embedding_dim"])
        return vector / np.sqrt(np.square(vector).sum(dtype=np.float64)).astype(np.float32)

    @property
    def recordings(self) -> list[np.ndarray]:
        """Two waves at INPUT_RATE, of 2.37 s together: two whole chunks and a third of 0.37 s, just long enough to count."""
        return [self.wave("first recording", int(1.4 * INPUT_RATE)), self.wave("second recording", int(0.97 * INPUT_RATE))]


CASES = (Case("narrow", 0), Case("narrow", 1), Case("narrow", 2), Case("uneven", 3), Case("xtts_v2", 4))


def tensor(seed: int, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor `key` of the reference's state dict, of a sensible scale: activations neither vanish nor grow."""
    noise = uniform(seed, key, tuple(shape))  # variance 1/3
    for pattern, scaled in SCALES.items():
        if re.search(pattern, key):
            return scaled(noise).astype(np.float32)
    inputs = shape[0] if re.search(r"c_attn|c_proj|c_fc", key) else math.prod(shape[1:])  # GPT-2's kernels are stored inputs-first
    if len(shape) < 2:
        return np.float32(1) + np.float32(0.2) * noise  # the gain of a norm
    return noise * np.float32((3 / inputs) ** 0.5)


# first match decides
SCALES = {
    r"^mel_stats$": lambda noise: 2.5 + noise,
    r"running_var$": lambda noise: 1 + 0.5 * noise,
    r"running_mean$": lambda noise: 0.3 * noise,
    r"\.bias$": lambda noise: 0.1 * noise,
    r"gamma$|original0$": lambda noise: 1 + 0.3 * noise,
    r"_pos_embedding": lambda noise: 0.5 * noise,
    r"_embedding|latents$": lambda noise: 1.5 * noise,
    r"mel_head\.weight$": lambda noise: 12 * noise / noise.shape[1] ** 0.5,  # wide logits: no two codes nearly alike
    r"cluster_size$": lambda noise: 7 + 2 * noise,  # no entry is dead
    r"codebook\.embed_avg$": lambda noise: 5 * noise,
    r"codebook\.embed$": lambda noise: 0.5 * noise,
}


def uniform(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1), from raw bits: no distribution of NumPy's, whose streams may change with its version."""
    raw = _generator(seed, name).random_raw(math.prod(shape))
    values = (raw >> np.uint64(40)).astype(np.float32)
    values *= np.float32(2.0**-23)
    values -= np.float32(1)
    return values.reshape(shape)


def kept(name: str, values: np.ndarray) -> np.ndarray:
    """What a fixture holds of the output `name`: (N,) int32, or float32 of at most `keep` values."""
    flat, limit = np.asarray(values).ravel(), ROWS[name].keep
    if np.issubdtype(flat.dtype, np.integer):
        return flat.astype(np.int32)
    if flat.size > limit:
        flat = flat[np.arange(limit) * flat.size // limit]
    return flat.astype(np.float32)


def _generator(seed: int, name: str) -> np.random.PCG64:
    return np.random.PCG64([seed, zlib.crc32(name.encode())])
