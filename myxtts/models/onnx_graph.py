"""Networks as ONNX graphs: a builder, a file of it, and a session of ONNX Runtime on the CPU.

Weights lie apart from the graph: a message of Protocol Buffers holds 2 GiB at most, and neither a file nor a session needs a second copy.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from myxtts.audio.networks import runtime
from myxtts.audio.wave import atomic_file
from myxtts.config import ModelError
from myxtts.models.tensor_files import StoredArray

OPSETS = {"": 20, "com.microsoft": 1}  # 20: GELU; the second: what ONNX Runtime adds
IR_VERSION = 10  # of ONNX 1.16: what ONNX Runtime 1.18 and later read
SMALLEST_WEIGHT = 1024  # bytes: smaller constants stay in the graph, where ONNX Runtime can compute with them ahead
ALIGNMENT = 64  # bytes of a weight in its file, so that it can be mapped


class Graph:
    """An ONNX graph under construction. Values are known by their names.

    weights: name -> array of all constants of SMALLEST_WEIGHT bytes or more. They are not copied: do not change them, nor the files
    where they are stored, before `save` or `session`. metadata: strings that a file of the graph keeps, for whoever runs it.
    """

    def __init__(self, name: str, metadata: Mapping[str, str] | None = None):
        self.name, self.metadata = name, dict(metadata or {})
        self.weights: dict[str, np.ndarray | StoredArray] = {}
        self.small: dict[str, TensorProto] = {}
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self._names: set[str] = set()

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        """A value that whoever runs the graph gives. A string in `shape` names a dimension that is only known then."""
        self.inputs.append(helper.make_tensor_value_info(self._new(name), _onnx_type(dtype), shape))
        return name

    def output(self, name: str, dtype: Any, shape: Sequence[int | str]) -> None:
        """Makes a value, which some `op` has given that name, a result of the graph. Shapes as for `input`."""
        if name not in self._names:
            raise ModelError(f"expected a value of the graph {self.name} as its output, got {name!r}: let an op make it first")
        self.outputs.append(helper.make_tensor_value_info(name, _onnx_type(dtype), shape))

    def constant(self, value: Any, name: str = "") -> str:
        """A weight or another array that stays as it is. Floats of Python become float32, integers int64."""
        stored = isinstance(value, StoredArray) and value.nbytes >= SMALLEST_WEIGHT
        array = value if stored else np.asarray(value)
        if array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic):
            array = array.astype(np.float32)
        name = self._new(name or f"constant_{len(self._names)}")
        if array.nbytes < SMALLEST_WEIGHT:
            self.small[name] = numpy_helper.from_array(array, name)
        else:
            self.weights[name] = array if stored else np.ascontiguousarray(array)
        return name

    def op(self, kind: str, inputs: Sequence[str], outputs: int | Sequence[str] = 1, domain: str = "", **attributes: Any) -> Any:
        """Appends a node of operator `kind`. An empty string among the inputs leaves out an optional one.

        outputs: how many there are, or their names; none in between may be left out. Returns the name of the output, or a list of the
        names where there are several.
        """
        if domain not in OPSETS:
            raise ModelError(f"expected an operator of {sorted(OPSETS)}, got {kind} of {domain!r}: add its domain to OPSETS")
        unknown = [name for name in inputs if name and name not in self._names]
        if unknown:
            raise ModelError(f"{kind} of the graph {self.name} expects values that are there, got {unknown}: make them first")
        label = f"{kind}_{len(self.nodes)}"
        names = [f"{label}.{index}" for index in range(outputs)] if isinstance(outputs, int) else list(outputs)
        for name in names:
            self._new(name)
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=label, domain=domain, **attributes))
        return names[0] if len(names) == 1 else names

    def model(self, location: str | None = None) -> ModelProto:
        """The graph without `weights`: it says of each where it lies in the file `location`, as `save` writes it.

        None: of a StoredArray where it is stored, the name of its file; of the others nothing that holds, for a session is given them.
        """
        unused = self.weights.keys() - {name for node in self.nodes for name in node.input}
        if unused:  # ONNX Runtime would refuse them, too
            raise ModelError(f"expected that the graph {self.name} uses all its weights; it leaves {sorted(unused)}: do not add them")
        tensors, offset = list(self.small.values()), 0
        for name, array in self.weights.items():
            tensor = TensorProto(name=name, data_type=_onnx_type(array.dtype), dims=array.shape, data_location=TensorProto.EXTERNAL)
            stored = location is None and isinstance(array, StoredArray)
            place = (array.path.name, array.offset) if stored else (location or "given", offset)
            for key, value in zip(("location", "offset", "length"), (*place, array.nbytes), strict=True):
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            offset += array.nbytes + _padding(array)
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, initializer=tensors)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="myxtts")
        helper.set_model_props(model, self.metadata)
        return model

    def save(self, path: str | os.PathLike) -> None:
        """Writes the graph to `path` and its weights to one file beside it, whose name has `.data` appended: the two belong together.

        Raises DataError where the disk is full or the folder not writable.
        """
        path = Path(path)
        weights = path.with_name(path.name + ".data")
        if self.weights:
            with atomic_file(weights) as file:
                for array in self.weights.values():
                    file.write(np.asarray(array).reshape(-1).view(np.uint8).data)
                    file.write(bytes(_padding(array)))
        with atomic_file(path) as file:  # last: where it is, its weights are too
            file.write(self.model(weights.name).SerializeToString())

    def _new(self, name: str) -> str:
        # ONNX allows outputs without a name: ONNX Runtime 1.32 crashes where it computes such a node ahead
        if not name or name in self._names:
            raise ModelError(f"expected a new name for each value of the graph {self.name}, got {name!r} (again): give it another name")
        self._names.add(name)
        return name


def session(graph: Graph, threads: int) -> Any:
    """An onnxruntime.InferenceSession of the graph on the CPU, whose operators share `threads` threads. It keeps its own weights.

    It maps those that are stored, all of them in one folder, and lays each out anew as its operators want it: so they are in memory once.
    Threads without work sleep instead of spinning: they would take the cores from whatever else computes, TensorFlow first.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    given = {name: array for name, array in graph.weights.items() if not isinstance(array, StoredArray)}
    values = [onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _onnx_type(array.dtype)) for array in given.values()]
    options.add_external_initializers(list(given), values)
    for folder in {str(array.path.parent) for array in graph.weights.values() if isinstance(array, StoredArray)}:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    return onnxruntime.InferenceSession(graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"])


def _onnx_type(dtype: Any) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _padding(array: np.ndarray | StoredArray) -> int:
    return -array.nbytes % ALIGNMENT
