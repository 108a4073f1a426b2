"""How much memory a training step needs, predicted from the networks' sizes. `training.trial` measures whether it is true.

Activations are counted per clip, in what the compiled step keeps for its backward pass; the constants below were fitted to measured
peaks (benchmarks/memory.py), for every framework keeps somewhat more than the equations need.
"""

from dataclasses import dataclass

from myxtts.config import ModelConfig, XTTSConfig
from myxtts.data.encode import prompt_frames

GB = 1024**3
# tensors of the model's width that a block keeps for each token: norms, q, k, v, attention and the four-fold wide tanh GELU
BLOCK_WIDTHS = 27
SELECTIVE_WIDTHS = 17  # the same without the insides of GELU
# of the attention weights, heads x tokens x tokens: softmax and dropout keep this many float32 copies
SCORE_COPIES = 2.2
# while one attention is computed anew, scores, softmax and their gradients are alive
SCORE_COPIES_ONCE = 4
CONDITIONING_WIDTHS = 8  # of a conditioning block: norm, q, k, v, attention
LOGIT_COPIES = 3  # logits, their softmax and its gradient, float32
# of the generator's samples x channels for each dilated branch; of the critics' samples x first width, real and fake
GENERATOR_COPIES, CRITIC_COPIES = 5, 32
SPECTRA_COPIES = 200  # float32, of a segment's samples: three resolutions, 14 bins a sample together, and what each is made of
# what the process holds before any network: TensorFlow, its kernels' workspace, the data path
PROCESS_CPU, PROCESS_GPU = int(0.75 * GB), int(0.6 * GB)
# the compiled step in the host's memory, for each variable that it trains; accumulation compiles forward and backward pass twice
GRAPH_PER_VARIABLE = int(1.1e6)


@dataclass(frozen=True)
class Footprint:
    """Bytes of a stage: `fixed` whatever the batch, and `per_clip` of the longest bucket; `graph` of the compiled step, on a CPU."""

    weights: int
    gradients: int
    optimizer: int
    buffers: int
    per_clip: int
    graph: int = 0

    @property
    def fixed(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.buffers + self.graph

    def total(self, clips: int, grad_accum: int = 1) -> int:
        """Peak of a step. With accumulation the sum of the gradients and the latest ones are alive together."""
        return self.fixed + clips * self.per_clip + (self.accumulation if grad_accum > 1 else 0)

    @property
    def accumulation(self) -> int:
        return self.gradients + self.graph


def footprint(trained: int, frozen: int, variables: int, process: int, per_clip: int, gpu: bool, half: bool, ema: bool) -> Footprint:
    """trained, frozen: numbers of weights; variables: of trained tensors; process: bytes that the process is known to hold besides.

    half: computing in two bytes keeps a cast copy of every weight for the pass.
    """
    weights = 4 * (trained + frozen) + (2 * (trained + frozen) if half else 0)
    moments = 3 if ema else 2
    buffers, graph = (PROCESS_GPU, 0) if gpu else (max(PROCESS_CPU, process), variables * GRAPH_PER_VARIABLE)
    return Footprint(weights, 4 * trained, 4 * moments * trained, buffers, per_clip, graph)


@dataclass(frozen=True)
class ClipShape:
    """The longest clip of a GPT batch: text tokens and codes without START and STOP, frames of the prompt."""

    text: int
    codes: int
    prompt_frames: int


def gpt_clip_bytes(model: ModelConfig, clip: ClipShape, bytes_each: int, rematerialise: str) -> int:
    """Activations of one clip. bytes_each: of an activation; softmaxes and logits are float32 in every precision."""
    sizes = model.gpt
    tokens = sizes.num_latents + clip.text + 2 + clip.codes + 1
    width = tokens * sizes.dim * bytes_each
    scores = 4 * sizes.num_heads * tokens**2
    frame_width = clip.prompt_frames * sizes.dim * bytes_each
    frame_scores = 4 * sizes.conditioning_heads * clip.prompt_frames**2
    whole = BLOCK_WIDTHS * width + SCORE_COPIES * scores
    conditioning = CONDITIONING_WIDTHS * frame_width + 2 * frame_scores
    once = max(SCORE_COPIES_ONCE * scores, conditioning)  # of what is computed anew, one at a time is alive
    if rematerialise == "none":
        kept = sizes.num_layers * whole + sizes.conditioning_blocks * conditioning
    elif rematerialise == "selective":
        kept = sizes.num_layers * SELECTIVE_WIDTHS * width + sizes.conditioning_blocks * frame_width + once
    else:
        kept = sizes.num_layers * width + sizes.conditioning_blocks * frame_width + max(whole + SCORE_COPIES_ONCE * scores, conditioning)
    logits = 4 * LOGIT_COPIES * ((clip.codes + 1) * model.num_audio_tokens + (clip.text + 2) * model.num_text_tokens)
    return int(kept + logits)


def dvae_clip_bytes(model: ModelConfig, frames: int, bytes_each: int) -> int:
    """Activations of one crop."""
    sizes = model.dvae
    values, length, width = 4 * frames * model.audio.num_mels, frames, sizes.hidden_dim
    for _ in range(sizes.num_layers):
        length //= 2
        values += 2 * 2 * length * width  # convolution and ReLU, once down and once up
        values += 2 * length * width  # what is stretched on the way up
        width *= 2
    width //= 2
    values += 2 * sizes.num_resnet_blocks * 5 * length * width
    values += 3 * length * sizes.code_dim + 2 * length * sizes.num_codes
    return bytes_each * values


def decoder_clip_bytes(model: ModelConfig, samples: int, bytes_each: int) -> int:
    """Activations of one segment, generator, critics and spectra together."""
    sizes = model.decoder
    branches = len(sizes.resblock_kernels) * len(sizes.resblock_dilations) * GENERATOR_COPIES
    length, values = samples // sizes.hop_length, 0
    for level, rate in enumerate(sizes.upsample_rates, start=1):
        length *= rate
        values += length * (sizes.channels // 2**level) * branches
    critics = CRITIC_COPIES * samples * sizes.discriminator_channels * (len(sizes.discriminator_periods) + sizes.discriminator_scales)
    return bytes_each * (values + critics) + 4 * SPECTRA_COPIES * samples


def longest_clip(config: XTTSConfig) -> ClipShape:
    """The longest clip where no data is at hand: `prepare.max_seconds` of speech, a text token for each code but at most 200."""
    model = config.model
    codes = min(round(config.prepare.max_seconds * model.codes_per_second), model.gpt.max_audio_tokens - 2)
    return ClipShape(min(200, codes, model.gpt.max_text_tokens - 2), codes, prompt_frames(config))
