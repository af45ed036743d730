"""ONNX's own cases of single nodes: what imports, computes what ONNX says; the rest has a reason.

    python tests/programs/test_onnx_nodes.py build/examples    # prints the table of counts

The cases are made in memory by the package onnx: those of up to two spatial dimensions whose first
input is floats, in evaluation, as one node and as the nodes that ONNX defines it by (`_expanded`).
What a case hands in besides its first input is taken for weights, but for sums and concatenations,
whose operands of as many dimensions are images. The first dimension is the batch.
"""

import importlib
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from mien_tools.onnx_import import import_model
from mien_tools.onnx_node import OnnxError
from mien_tools.weights import NamedTensor, Preprocessing, WeightFile

OPERATORS = (
    "Conv",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "Relu",
    "Clip",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Sigmoid",
    "Tanh",
    "HardSwish",
    "HardSigmoid",
    "Softmax",
    "LogSoftmax",
    "Gemm",
    "LRN",
    "Concat",
    "Flatten",
    "ConvTranspose",
    "Add",
    "Dropout",
    "Identity",
)
OF_IMAGES = ("Add", "Concat")
FEWEST_EQUAL = 150


@dataclass(frozen=True)
class Outcome:
    operator: str
    name: str
    # "equal", "refused" or "wrong", and why.
    kind: str
    reason: str = ""


def node_cases() -> list[tuple[str, object]]:
    """Operator and case: two-dimensional ones on floats, in evaluation."""
    from onnx.backend.test.case import node

    # Cases are made where the modules are imported; all of them take seconds.
    for operator in OPERATORS:
        module = {"BatchNormalization": "batch_normalization"}.get(operator, operator.lower())
        importlib.import_module(f"{node.__name__}.{module}")
    cases = node._NodeTestCases
    operators = {}
    for case in cases:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in OPERATORS and not nodes[0].domain:
            operators[case.name.partition("_expanded")[0]] = nodes[0].op_type
    found = [(operators.get(case.name.partition("_expanded")[0]), case) for case in cases]
    return [(operator, case) for operator, case in found if operator and _is_meant(case)]


def _is_meant(case) -> bool:
    types = [entry.type.tensor_type for entry in case.model.graph.input]
    if not types or types[0].elem_type != onnx.TensorProto.FLOAT or len(types[0].shape.dim) > 4:
        return False
    attributes = {entry.name: entry for node in case.model.graph.node for entry in node.attribute}
    kernel = attributes.get("kernel_shape")
    if kernel is not None and len(kernel.ints) == 3:
        return False
    is_training = "training_mode" in attributes and attributes["training_mode"].i
    return not is_training and "training" not in case.name


def try_out(operator: str, case, run: Path, folder: Path) -> Outcome:
    inputs, outputs = case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    entries = list(model.graph.input)
    rank = len(entries[0].type.tensor_type.shape.dim)
    del model.graph.input[:]
    images = []
    for entry, values in zip(entries, inputs, strict=True):
        values = _as_array(values)
        if not images or (operator in OF_IMAGES and values.ndim == rank):
            if values.ndim == 1:  # a vector without a batch
                entry.type.tensor_type.shape.dim.insert(0, onnx.TensorShapeProto.Dimension())
                values = values[None]
            entry.type.tensor_type.shape.dim[0].Clear()
            entry.type.tensor_type.shape.dim[0].dim_param = "N"
            model.graph.input.append(entry)
            images.append(values)
        else:
            model.graph.initializer.append(numpy_helper.from_array(values, entry.name))
    try:
        imported = import_model(model, case.name)
    except OnnxError as error:
        return Outcome(operator, case.name, "refused", str(error).partition(": ")[2])
    tensors = tuple(
        NamedTensor(name, np.asarray(values, np.float32))
        for name, values in imported.tensors.items()
    )
    graph = imported.graph
    shapes = graph.output_shapes()
    labels = tuple(f"class{i}" for i in range(shapes[0][0])) if shapes[0][1:] == (1, 1) else ()
    channels = graph.inputs[0].channels
    preprocessing = Preprocessing(0, (0.0,) * channels, (1.0,) * channels)
    WeightFile("node", graph, tensors, labels, preprocessing).write(folder / "node.mien")
    command: list[object] = [run, "--model", folder / "node.mien", "--output", folder / "out"]
    for index, values in enumerate(images):
        as_image = values if values.ndim != 3 else values[:, :, None, :]
        np.save(folder / f"{index}.npy", as_image.astype(np.float32))
        command += ["--input", folder / f"{index}.npy"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return Outcome(operator, case.name, "wrong", done.stderr.strip())
    found = np.load(folder / "out" / f"{graph.outputs[0].name}.npy")
    expected = _as_array(outputs[0])
    # The tolerance of ONNX's own runner, for some cases state four digits.
    same = found.size == expected.size and np.allclose(
        found.reshape(expected.shape), expected, rtol=1e-3, atol=1e-6
    )
    if not same:
        return Outcome(operator, case.name, "wrong", "other values")
    return Outcome(operator, case.name, "equal")


def _as_array(values) -> np.ndarray:
    is_tensor = isinstance(values, onnx.TensorProto)
    return numpy_helper.to_array(values) if is_tensor else np.asarray(values)


def table(outcomes: Sequence[Outcome]) -> str:
    """Counts by operator, as Markdown, and the reasons of what is refused."""
    counts = Counter((outcome.operator, outcome.kind) for outcome in outcomes)
    lines = ["| operator | equal | refused |", "|---|---|---|"]
    for operator in OPERATORS:
        equal, refused = (counts[operator, kind] for kind in ("equal", "refused"))
        lines.append(f"| {operator} | {equal} | {refused} |")
    total = Counter(outcome.kind for outcome in outcomes)
    lines.append(f"| in all | {total['equal']} | {total['refused']} |")
    lines += ["", "Refused:", ""]
    lines += [f"- {o.name}: {o.reason}" for o in outcomes if o.kind == "refused"]
    return "\n".join(lines)


def all_outcomes(run: Path) -> list[Outcome]:
    outcomes = []
    for operator, case in node_cases():
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(try_out(operator, case, run, Path(folder)))
    return outcomes


def test_nodes_compute_what_onnx_says(programs: Path) -> None:
    outcomes = all_outcomes(programs / "run")
    wrong = [outcome for outcome in outcomes if outcome.kind == "wrong"]
    assert not wrong, "\n".join(f"{outcome.name}: {outcome.reason}" for outcome in wrong)
    equal = sum(outcome.kind == "equal" for outcome in outcomes)
    assert equal >= FEWEST_EQUAL, table(outcomes)


if __name__ == "__main__":
    print(table(all_outcomes(Path(sys.argv[1]) / "run")))
