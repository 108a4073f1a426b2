"""The decoder `HiFiGAN` as an ONNX graph, for whoever speaks without TensorFlow, and for the CPU.

B batch, S codes, D width of a latent, E width of a speaker embedding, F frames of the decoder, C channels, N samples. Convolutions of
ONNX have channels before time, and ONNX Runtime has its quick ones, in blocks of channels, for images alone: they take 0.7 of the
processor's time here. So everything between the ends is (B, C, 1, time).
"""

from typing import Any

import keras
import numpy as np
from onnx import TensorProto

from myxtts.models.hifigan import FINAL_SLOPE, SLOPE, HiFiGAN, ResidualBlock
from myxtts.models.layers import WeightNormConv1D, WeightNormConv1DTranspose
from myxtts.models.onnx_graph import Graph

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


def decoder_graph(decoder: HiFiGAN) -> Graph:
    """`HiFiGAN.from_frames`: inputs `frames` (B, F, D) and `speaker` (B, E), output `wave` (B, N), all float32.

    A speaker (1, E) serves all B.
    """
    graph = Graph("decoder", _metadata(decoder))
    frames = graph.input("frames", np.float32, ("B", "F", decoder.latent_dim))
    _add_convolutions(graph, decoder, frames)
    return graph


def whole_decoder_graph(decoder: HiFiGAN) -> Graph:
    """`HiFiGAN.call`: inputs `latents` (B, S, D) and `speaker` (B, E), output `wave` (B, N), all float32."""
    graph = Graph("whole_decoder", _metadata(decoder))
    frames = graph.input("latents", np.float32, ("B", "S", decoder.latent_dim))
    for scale in decoder.scales:
        frames = _interpolate(graph, frames, scale)
    _add_convolutions(graph, decoder, frames)
    return graph


def _metadata(decoder: HiFiGAN) -> dict[str, str]:
    """What whoever runs the graph needs to cut a sentence: samples of a frame, reach of the convolutions, stretches of latents."""
    scales = " ".join(str(scale) for scale in decoder.scales)
    return {"hop_length": str(decoder.config.hop_length), "context_frames": str(decoder.context_frames), "scales": scales}


def _interpolate(graph: Graph, x: str, scale: float) -> str:
    """`interpolate` of hifigan.py, operation by operation and in float64 as there.

    The operator Resize computes coordinates in float32, which are off by 1e-4 of a frame towards the end of a long sentence.
    """
    zero, one, half, ratio = (graph.constant(np.float64(value)) for value in (0, 1, 0.5, scale))
    length = graph.op("Squeeze", [graph.op("Shape", [x], start=1, end=2)])
    out = graph.op("Floor", [graph.op("Mul", [graph.op("Cast", [length], to=DOUBLE), ratio])])
    centres = graph.op("Add", [graph.op("Range", [zero, out, one]), half])
    position = graph.op("Max", [graph.op("Sub", [graph.op("Div", [centres, ratio]), half]), zero])
    step = graph.constant(1)
    last = graph.op("Sub", [length, step])
    left = graph.op("Min", [graph.op("Cast", [position], to=INT64), last])
    right = graph.op("Min", [graph.op("Add", [left, step]), last])
    weight = graph.op("Cast", [graph.op("Sub", [position, graph.op("Cast", [left], to=DOUBLE)])], to=FLOAT)
    weight = graph.op("Unsqueeze", [weight, graph.constant([1])])  # (F, 1)
    before = graph.op("Mul", [graph.op("Gather", [x, left], axis=1), graph.op("Sub", [graph.constant(1.0), weight])])
    return graph.op("Add", [before, graph.op("Mul", [graph.op("Gather", [x, right], axis=1), weight])])


def _add_convolutions(graph: Graph, decoder: HiFiGAN, frames: str) -> None:
    """frames (B, F, D) and a new input `speaker` -> the output `wave`."""
    speaker = graph.input("speaker", np.float32, ("B or 1", decoder.speaker_dim))
    x = graph.op("Unsqueeze", [graph.op("Transpose", [frames], perm=[0, 2, 1]), graph.constant([2])])
    x = _conv(graph, x, _array(decoder.before.kernel), _array(decoder.before.bias))
    x = graph.op("Add", [x, _dense(graph, speaker, decoder.speaker)])
    share = 1.0  # the mean of the blocks is left a sum, and the weights that it meets next, through a leaky ReLU, take the share
    for up, stage_speaker, blocks in zip(decoder.up, decoder.stage_speakers, decoder.stages, strict=True):
        x = _conv_transpose(graph, _leaky(graph, x), up, share)
        x = graph.op("Add", [x, _dense(graph, speaker, stage_speaker)])
        parts = [_residual(graph, x, block) for block in blocks]
        x, share = graph.op("Sum", parts) if len(parts) > 1 else parts[0], 1 / len(parts)
    x = _conv(graph, _leaky(graph, x, FINAL_SLOPE), _array(decoder.after.kernel) * np.float32(share), None)  # (B, 1, 1, N)
    graph.op("Squeeze", [graph.op("Tanh", [x]), graph.constant([1, 2])], ["wave"])
    graph.output("wave", np.float32, ("B", "N"))


def _residual(graph: Graph, x: str, block: ResidualBlock) -> str:
    """ResidualBlock.call on (B, C, 1, time)."""
    for dilated, plain in zip(block.dilated, block.plain, strict=True):
        inner = _leaky(graph, _weight_norm_conv(graph, _leaky(graph, x), dilated))
        x = graph.op("Add", [x, _weight_norm_conv(graph, inner, plain)])
    return x


def _weight_norm_conv(graph: Graph, x: str, layer: WeightNormConv1D) -> str:
    return _conv(graph, x, _array(layer.weight()), _array(layer.bias), layer.dilation)


def _conv(graph: Graph, x: str, weight: np.ndarray, bias: np.ndarray | None, dilation: int = 1) -> str:
    """weight (kernel, inputs, outputs), as Keras has it. The length stays."""
    reach = dilation * (weight.shape[0] - 1)
    weights = [graph.constant(_image(weight))] + ([] if bias is None else [graph.constant(bias)])
    return graph.op("Conv", [x, *weights], dilations=[1, dilation], pads=[0, reach // 2, 0, reach - reach // 2])


def _conv_transpose(graph: Graph, x: str, layer: WeightNormConv1DTranspose, share: float) -> str:
    """x (B, inputs, 1, time) -> (B, outputs, 1, time · stride). share: what the weight is multiplied by."""
    weight = _array(layer.weight()) * np.float32(share)  # (kernel, outputs, inputs)
    cut = max(0, layer.kernel - layer.stride) // 2
    lengths = {"pads": [0, cut, 0, cut], "output_padding": [0, max(0, layer.stride - layer.kernel)]}
    weights = [graph.constant(_image(weight)), graph.constant(_array(layer.bias))]
    return graph.op("ConvTranspose", [x, *weights], strides=[1, layer.stride], **lengths)


def _dense(graph: Graph, x: str, layer: keras.layers.Dense) -> str:
    """x (B, E) -> (B, C, 1, 1)."""
    y = graph.op("Gemm", [x, graph.constant(_array(layer.kernel)), graph.constant(_array(layer.bias))])
    return graph.op("Unsqueeze", [y, graph.constant([2, 3])])


def _leaky(graph: Graph, x: str, slope: float = SLOPE) -> str:
    return graph.op("LeakyRelu", [x], alpha=slope)


def _image(weight: np.ndarray) -> np.ndarray:
    """A kernel of Keras (kernel, inputs, outputs), or transposed (kernel, outputs, inputs), as ONNX has it: (.., .., 1, kernel)."""
    return weight.transpose(2, 1, 0)[:, :, None]


def _array(variable: Any) -> np.ndarray:
    """Of a variable of any precision, float32."""
    return keras.ops.convert_to_numpy(variable).astype(np.float32)
