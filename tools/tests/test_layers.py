"""Records of layers: they agree with themselves, with PyTorch, and with what is written of them."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.layers import LAYERS, table
from mien_tools.pytorch import trace

README = Path(__file__).resolve().parents[1] / "README.md"

CASES = [
    pytest.param(record, case, id=f"{kind} {number}")
    for kind, record in LAYERS.items()
    for number, case in enumerate(record.cases())
    if not isinstance(case.module, Mapping)
]
OPTIONS = [
    pytest.param(record, case, id=f"{kind} {number}")
    for kind, record in LAYERS.items()
    for number, case in enumerate(record.cases())
    if isinstance(case.module, Mapping)
]


@pytest.mark.parametrize(("record", "case"), CASES)
def test_records_know_shapes_and_tensors(record: Layer, case: Case) -> None:
    module = nn.Sequential(case.module).double().eval()
    graph = trace(module, case.input_shape)
    node = graph.nodes[-1]
    assert node.layer == record.kind
    state = module.state_dict()
    for name, shape in zip(node.tensors, node.tensor_shapes.values(), strict=True):
        assert tuple(state[name].shape) == shape
    with torch.no_grad():
        output = module(torch.zeros(1, *case.input_shape, dtype=torch.float64))
    found = graph.output_shapes()[0]
    assert math.prod(found) == output.numel() and found[0] == output.shape[1]
    parameters = sum(p.numel() for p in module.parameters())
    assert graph.parameter_count == parameters
    # Options that are left out are the defaults.
    assert record.without_defaults(node.resolved) == node.options
    spelling = record.cpp(node.resolved)
    words = set(spelling.replace("<", " ").replace(",", " ").replace(">", " ").split())
    names = {word for word in words if word[0].isupper()}
    assert names <= set(record.cpp_names)


@pytest.mark.parametrize(("record", "case"), OPTIONS)
def test_records_of_options_know_their_shapes(record: Layer, case: Case) -> None:
    options = record.resolve(case.module)
    shape = (*case.input_shape, 1, 1)[:3]
    tensors = [torch.ones(size).double() for size in record.tensor_shapes(options).values()]
    output = record.reference(options, [torch.zeros(1, *shape).double()], tensors)
    assert output.shape[1:] == record.output_shape(options, [shape])


@pytest.mark.parametrize("record", LAYERS.values(), ids=LAYERS)
def test_records_say_what_they_must(record: Layer) -> None:
    assert record.plain_name and record.summary and record.onnx
    assert record.cases()
    names = [option.name for option in record.options]
    assert len(set(names)) == len(names)
    with pytest.raises(LayerError, match="option: expected .*, found 'colour'"):
        record.resolve({"colour": 1})
    required = [option.name for option in record.options if option.default is None]
    if required:
        with pytest.raises(LayerError, match=f"option {required[0]}: expected a number, found"):
            record.resolve({})


def test_options_have_their_range() -> None:
    size = Option("size", least=1, most=9)
    size.check(9)
    for value in (0, 10, 2.5, math.nan, math.inf, -math.inf):
        with pytest.raises(LayerError, match="option size: expected a whole number from 1 to 9"):
            size.check(value)
    Option("share", least=0, most=1, whole=False).check(0.25)


def test_the_multiply_adds_are_those_of_the_publications() -> None:
    convolution = trace(nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2)), (4, 9, 8))
    assert convolution.multiply_adds() == 6 * 5 * 4 * 2 * 9
    dense = trace(nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU()), (3, 2, 2))
    assert dense.multiply_adds() == 60


def test_the_readme_has_the_table_of_layers() -> None:
    """Made by `python -m mien_tools.layers`."""
    assert f"\n\n{table(LAYERS.values())}\n\n" in README.read_text(encoding="utf-8")
