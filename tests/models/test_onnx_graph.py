"""The builder of ONNX graphs: what it builds runs, from memory and from a file; what cannot be is refused."""

import h5py
import ml_dtypes
import numpy as np
import onnx
import pytest

from myxtts.config import ModelError
from myxtts.models.onnx_graph import ALIGNMENT, SMALLEST_WEIGHT, Graph, session
from myxtts.models.tensor_files import StoredArray, open_weights, stored_tensor


def small_graph():
    """x (N, 33) @ weight (33, 17) + bias (17,), with a weight of a length that needs padding before the next."""
    random = np.random.default_rng(0)
    weight, other = random.normal(size=(33, 17)).astype(np.float32), random.normal(size=(300,)).astype(np.float32)
    graph = Graph("small", {"rate": "24000"})
    x = graph.input("x", np.float32, ("N", 33))
    y = graph.op("MatMul", [x, graph.constant(weight, "weight")])
    y = graph.op("Add", [y, graph.constant(np.arange(17, dtype=np.float32))])
    first, second = graph.op("Split", [graph.constant(other, "other"), graph.constant([100, 200])], ["first", "second"], axis=0)
    graph.op("Add", [y, graph.op("ReduceSum", [second], keepdims=0)], ["y"])
    graph.output("y", np.float32, ("N", 17))
    assert [first, second] == ["first", "second"]
    return graph, lambda x: x @ weight + np.arange(17) + other[100:].sum()


def test_only_large_constants_lie_apart():
    graph, _ = small_graph()
    assert set(graph.weights) == {"weight", "other"}
    assert all(array.nbytes >= SMALLEST_WEIGHT for array in graph.weights.values())
    external = {tensor.name for tensor in graph.model().graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL}
    assert external == {"weight", "other"}


def test_graph_runs_from_memory_and_keeps_its_own_weights():
    graph, expected = small_graph()
    x = np.random.default_rng(1).normal(size=(3, 33)).astype(np.float32)
    want = expected(x)
    run = session(graph, threads=1)
    for array in graph.weights.values():
        array[...] = np.nan
    del graph
    np.testing.assert_allclose(run.run(None, {"x": x})[0], want, atol=1e-4)


def test_graph_runs_from_its_file(tmp_path):
    import onnxruntime

    graph, expected = small_graph()
    path = tmp_path / "made" / "graph.onnx"
    graph.save(path)
    assert {file.name for file in path.parent.iterdir()} == {"graph.onnx", "graph.onnx.data"}
    onnx.checker.check_model(path, full_check=True)
    run = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).normal(size=(2, 33)).astype(np.float32)
    np.testing.assert_allclose(run.run(None, {"x": x})[0], expected(x), atol=1e-4)
    assert run.get_modelmeta().custom_metadata_map == {"rate": "24000"}
    tensors = [tensor for tensor in onnx.load(path, load_external_data=False).graph.initializer if tensor.external_data]
    offsets = [int(entry.value) for tensor in tensors for entry in tensor.external_data if entry.key == "offset"]
    assert offsets[0] == 0 and offsets[1] > 0 and not offsets[1] % ALIGNMENT


def test_types_that_numpy_does_not_know_and_operators_of_onnx_runtime():
    random = np.random.default_rng(3)
    weight = random.normal(size=(32, 64)).astype(ml_dtypes.bfloat16)
    codes = random.integers(0, 256, size=(16, 1, 32), dtype=np.uint8)  # 16 outputs of 32 inputs, 8 bits
    scales = random.uniform(0.5, 1, size=(16, 1)).astype(np.float32)
    graph = Graph("types")
    x = graph.input("x", np.float32, (1, 32))
    graph.op("MatMul", [x, graph.op("Cast", [graph.constant(weight)], to=onnx.TensorProto.FLOAT)], ["plain"])
    packed = [graph.constant(codes), graph.constant(scales)]
    graph.op("MatMulNBits", [x, *packed], ["quantised"], domain="com.microsoft", K=32, N=16, bits=8, block_size=32)
    graph.output("plain", np.float32, (1, 64))
    graph.output("quantised", np.float32, (1, 16))
    given = random.normal(size=(1, 32)).astype(np.float32)
    plain, quantised = session(graph, threads=1).run(["plain", "quantised"], {"x": given})
    np.testing.assert_allclose(plain, given @ weight.astype(np.float32), atol=1e-4)
    np.testing.assert_allclose(quantised[0], ((codes[:, 0] - 128.0) * scales) @ given[0], rtol=1e-4)


def test_floats_of_python_are_single():
    graph = Graph("scalars")
    assert [graph.small[graph.constant(value)].data_type for value in (0.5, [1, 2], np.float64(1))] == [
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
        onnx.TensorProto.DOUBLE,
    ]


def test_what_cannot_be_is_refused():
    graph = Graph("wrong")
    graph.input("x", np.float32, (1,))
    with pytest.raises(ModelError, match="'x'"):
        graph.constant(1.0, "x")
    with pytest.raises(ModelError, match=r"\['y'\]"):
        graph.op("Tanh", ["y"])
    with pytest.raises(ModelError, match="'y'"):
        graph.output("y", np.float32, (1,))
    with pytest.raises(ModelError, match=r"ai\.onnx\.ml"):
        graph.op("Scaler", ["x"], domain="ai.onnx.ml")
    with pytest.raises(ModelError, match="''"):
        graph.op("Split", ["x"], ["", "part"], num_outputs=2)
    graph.constant(np.zeros(1000), "nobody's")
    with pytest.raises(ModelError, match="nobody's"):
        graph.model()


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("chunks", [None, (8, 17)])
def test_weights_may_stay_in_their_file(tmp_path, chunks, linked):
    """From where a session maps them, also through a link into a cache, and `save` copies them; one that lies there in pieces is read."""
    kernel = np.random.default_rng(3).normal(size=(33, 17)).astype(np.float32)
    path = tmp_path / "cache" / "weights.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file.create_dataset("before", data=np.zeros(77, np.float32))
        file.create_dataset("kernel", data=kernel, chunks=chunks)
        file.create_dataset("bias", data=np.arange(17, dtype=np.float32))
    if linked:
        (tmp_path / "link.h5").symlink_to(path)
        path = tmp_path / "link.h5"
    graph = Graph("stored")
    with open_weights(path) as datasets:
        stored, bias = stored_tensor(datasets["kernel"]), stored_tensor(datasets["bias"])
    assert isinstance(stored, np.ndarray if chunks else StoredArray)
    x = graph.input("x", np.float32, ("N", 33))
    graph.op("Add", [graph.op("MatMul", [x, graph.constant(stored, "kernel")]), graph.constant(bias, "bias")], ["y"])
    graph.output("y", np.float32, ("N", 17))
    given = np.random.default_rng(4).normal(size=(2, 33)).astype(np.float32)
    want = given @ kernel + np.arange(17)
    np.testing.assert_allclose(session(graph, threads=1).run(None, {"x": given})[0], want, atol=1e-5)
    graph.save(tmp_path / "copy.onnx")
    copied = onnx.load(tmp_path / "copy.onnx")  # with its weights
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(copied.graph.initializer[-1]), kernel)
