"""Makes layers/*.mien and layer_cases.inc: what PyTorch computes for layers over many shapes.

    python tests/data/make_layers.py          # from a Python that has the package in tools/

The cases are those of the records in mien_tools.layers and the compositions here. Each becomes a
weight file of one small network with the input and the whole output, computed in float64, as its
test vector; the .inc file lists them with their C++ types for test_layers.cpp.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien_tools.graph import Graph, Input, Node, Output
from mien_tools.header import cpp_type
from mien_tools.layer import Case
from mien_tools.layers import LAYERS
from mien_tools.networks.mini_fer import InvertedResidual
from mien_tools.pytorch import import_module
from mien_tools.shapes import Shape
from mien_tools.weights import NamedTensor, OutputSample, Preprocessing, TestVector, WeightFile

HERE = Path(__file__).parent


class Concatenate(nn.Module):
    """torch.cat of the branches' outputs, along the channels"""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Residual(nn.Module):
    """body(x) + shortcut(x)"""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Written(nn.Module):
    """A forward as a function of the module and the images."""

    def __init__(self, function: Callable[[nn.Module, torch.Tensor], torch.Tensor], **children):
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return self.function(self, x)


# C++ type, module, input shape.
COMPOSITIONS = [
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, ReLU>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, ReLU6>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU6()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, BatchNorm2d<6>>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 18, Kernel<3>, NoBias>, BatchNorm2d<18>, ReLU>",
        nn.Sequential(nn.Conv2d(3, 18, 3, bias=False), nn.BatchNorm2d(18), nn.ReLU()),
        (3, 6, 5),
    ),
    (
        "Sequential<Conv2d<3, 6, Kernel<3>>, BatchNorm2d<6>, ReLU6>",
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU6()),
        (3, 6, 5),
    ),
    (
        "Sequential<DepthwiseConv2d<6, Kernel<3>>, BatchNorm2d<6>, ReLU6>",
        nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.ReLU6()),
        (6, 6, 5),
    ),
    (
        "Sequential<BatchNorm2d<3>, Conv2d<3, 6, Kernel<3>, Padding<1>>, ReLU, BatchNorm2d<6>>",
        nn.Sequential(
            nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6)
        ),
        (3, 5, 5),
    ),
    (
        "Sequential<Flatten, Dense<30, 9>, ReLU, Dense<9, 5>, ReLU6, Dense<5, 4>, Softmax>",
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(30, 9),
            nn.ReLU(),
            nn.Linear(9, 5),
            nn.ReLU6(),
            nn.Linear(5, 4),
            nn.Softmax(1),
        ),
        (3, 2, 5),
    ),
    (
        "Sequential<Conv2d<1, 3, Kernel<3>, Padding<1>>, MaxPool2d<Kernel<2>>,"
        " Conv2d<3, 9, Kernel<3>>, ReLU, Conv2d<9, 2, Kernel<1>>, ReLU, Flatten, Dense<12, 7>>",
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 9, 3),
            nn.ReLU(),
            nn.Conv2d(9, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12, 7),
        ),
        (1, 8, 10),
    ),
    ("InvertedResidual<5, 13>", InvertedResidual(5, 13), (5, 7, 6)),
    ("InvertedResidual<16, 32>", InvertedResidual(16, 32), (16, 1, 1)),
    (
        "Sequential<InvertedResidual<4, 8>, InvertedResidual<4, 8>, MaxPool2d<Kernel<2>>>",
        nn.Sequential(InvertedResidual(4, 8), InvertedResidual(4, 8), nn.MaxPool2d(2)),
        (4, 5, 5),
    ),
    (
        "Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>",
        Residual(nn.Conv2d(3, 3, 3, padding=1)),
        (3, 4, 4),
    ),
    (
        "Residual<Sequential<Conv2d<4, 6, Kernel<3>, Stride<2>, Padding<1>>, BatchNorm2d<6>, ReLU,"
        " Conv2d<6, 6, Kernel<3>, Padding<1>>, BatchNorm2d<6>>,"
        " Sequential<Conv2d<4, 6, Kernel<1>, Stride<2>>, BatchNorm2d<6>>>",
        Residual(
            nn.Sequential(
                nn.Conv2d(4, 6, 3, 2, 1),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Conv2d(6, 6, 3, 1, 1),
                nn.BatchNorm2d(6),
            ),
            nn.Sequential(nn.Conv2d(4, 6, 1, 2), nn.BatchNorm2d(6)),
        ),
        (4, 7, 6),
    ),
    (
        "Residual<Sequential<Conv2d<3, 3, Kernel<1>>, Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>"
        ", ReLU>>",
        Residual(
            nn.Sequential(nn.Conv2d(3, 3, 1), Residual(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU())
        ),
        (3, 5, 4),
    ),
    (
        "Sequential<Residual<Conv2d<3, 3, Kernel<3>, Padding<1>>>, ReLU>",
        nn.Sequential(Residual(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU()),
        (3, 5, 4),
    ),
    (
        "Sequential<Residual<Conv2d<5, 7, Kernel<3>, Stride<2>, Padding<1>>,"
        " Conv2d<5, 7, Kernel<1>, Stride<2>>>, ReLU6, BatchNorm2d<7>>",
        nn.Sequential(
            Residual(nn.Conv2d(5, 7, 3, 2, 1), nn.Conv2d(5, 7, 1, 2)),
            nn.ReLU6(),
            nn.BatchNorm2d(7),
        ),
        (5, 5, 6),
    ),
    (
        "Sequential<Dense<9, 33>, BatchNorm2d<33>, ReLU, Dense<33, 5, NoBias>, BatchNorm2d<5>>",
        nn.Sequential(
            nn.Linear(9, 33),
            nn.BatchNorm1d(33),
            nn.ReLU(),
            nn.Linear(33, 5, bias=False),
            nn.BatchNorm1d(5),
        ),
        (9,),
    ),
    (
        "Sequential<Conv2d<2, 5, Kernel<3>>, ReLU, MaxPool2d<Kernel<3>, Stride<2>>,"
        " BatchNorm2d<5>>",
        nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.BatchNorm2d(5)),
        (2, 9, 10),
    ),
    (
        "Concatenate<Conv2d<3, 5, Kernel<1>>, MaxPool2d<Kernel<3>, Stride<1>, Padding<1>>>",
        Concatenate(nn.Conv2d(3, 5, 1), nn.MaxPool2d(3, 1, 1)),
        (3, 4, 5),
    ),
    (
        "Sequential<Concatenate<Sequential<Conv2d<4, 17, Kernel<1>>, ReLU>,"
        " Sequential<Conv2d<4, 2, Kernel<1>, NoBias>, BatchNorm2d<2>, ReLU,"
        " Conv2d<2, 6, Kernel<5>, Padding<2>>>, AvgPool2d<Kernel<3>, Stride<1>, Padding<1>>>,"
        " MaxPool2d<Kernel<2>>, Concatenate<Conv2d<27, 3, Kernel<1>>,"
        " Conv2d<27, 2, Kernel<1>>>>",
        nn.Sequential(
            Concatenate(
                nn.Sequential(nn.Conv2d(4, 17, 1), nn.ReLU()),
                nn.Sequential(
                    nn.Conv2d(4, 2, 1, bias=False),
                    nn.BatchNorm2d(2),
                    nn.ReLU(),
                    nn.Conv2d(2, 6, 5, padding=2),
                ),
                nn.AvgPool2d(3, 1, 1),
            ),
            nn.MaxPool2d(2),
            Concatenate(nn.Conv2d(27, 3, 1), nn.Conv2d(27, 2, 1)),
        ),
        (4, 6, 7),
    ),
]


def crossing(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Branches that part and meet more than once."""
    a, b = m.f(x), m.g(x)
    return (a + b) + a


def dense_block(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """As in DenseNet (Huang et al., arXiv 1608.06993): every layer sees all that came before."""
    for layer in (m.f, m.g, m.h):
        x = torch.cat((x, layer(x).relu()), dim=1)
    return x


def pyramid(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Early values return at the end, in another order."""
    a = m.f(x)
    b = m.g(a).relu()
    c = m.h(b)
    return torch.cat((b, c + a, x), dim=1)


def fork_in_a_branch(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A skip connection around branches that cross."""
    y = m.f(x).relu()
    return x + crossing(m, y)


# Written by mien_tools.header, with Mark and From where branches are not enough.
GRAPHS = {
    "crossing": Case(
        Written(crossing, f=nn.Conv2d(3, 4, 3, padding=1), g=nn.Conv2d(3, 4, 1)), (3, 5, 4)
    ),
    "dense_block": Case(
        Written(
            dense_block,
            f=nn.Conv2d(3, 4, 3, padding=1),
            g=nn.Conv2d(7, 17, 1),
            h=nn.Conv2d(24, 2, 3, padding=1),
        ),
        (3, 6, 5),
    ),
    "pyramid": Case(
        Written(
            pyramid,
            f=nn.Conv2d(3, 5, 3, padding=1),
            g=nn.Sequential(nn.Conv2d(5, 6, 1), nn.BatchNorm2d(6)),
            h=nn.Conv2d(6, 5, 3, padding=1),
        ),
        (3, 4, 7),
    ),
    "fork_in_a_branch": Case(
        Written(fork_in_a_branch, f=nn.Conv2d(3, 3, 1), g=nn.Conv2d(3, 3, 3, padding=1)), (3, 5, 6)
    ),
    "the_input_again": Case(
        Written(lambda m, x: m.f(m.g(x) + x) + x, f=nn.Conv2d(4, 4, 1), g=nn.Conv2d(4, 4, 1)),
        (4, 3, 5),
    ),
    "with_the_input": Case(
        Written(lambda m, x: torch.cat((x, m.f(x)), dim=1), f=nn.Conv2d(3, 4, 1)), (3, 4, 4)
    ),
    "twice_the_same": Case(
        Written(lambda m, x: (lambda y: torch.cat((y, y), dim=1))(m.f(x)), f=nn.Conv2d(3, 5, 1)),
        (3, 2, 4),
    ),
    "one_module_twice": Case(
        Written(lambda m, x: m.f(m.f(x).relu()), f=nn.Conv2d(3, 3, 3, padding=1)), (3, 4, 5)
    ),
    "flat_vectors": Case(
        Written(
            lambda m, x: torch.cat((m.f(x), m.g(x) + x), dim=1),
            f=nn.Linear(9, 4),
            g=nn.Linear(9, 9),
        ),
        (9,),
    ),
}


# Nodes: kind, options, the values they take, as their records compute them; the input is value 0.
MEAN = ("AvgPool2d", {"kernel_height": 5, "kernel_width": 4}, (0,))
NODES = {
    "squeeze_and_excitation": ([MEAN, ("Sigmoid", {}, (1,)), ("Mul", {}, (2, 0))], (17, 5, 4)),
    "times_its_mean": ([MEAN, ("Mul", {}, (0, 1))], (3, 5, 4)),
    "without_its_mean": ([MEAN, ("Sub", {}, (0, 1))], (3, 5, 4)),
    "mean_without_it": ([MEAN, ("Sub", {}, (1, 0))], (18, 5, 4)),
    "divided_by_its_sigmoid": ([("Sigmoid", {}, (0,)), ("Div", {}, (0, 1))], (7, 3, 4)),
    "at_most_its_mean": ([MEAN, ("Min", {}, (0, 1)), ("ReLU", {}, (2,))], (33, 5, 4)),
    "at_least_its_tanh": ([("Tanh", {}, (0,)), ("Max", {}, (0, 1))], (5, 3, 4)),
    "mean_added_and_rectified": ([MEAN, ("Add", {}, (1, 0)), ("ReLU6", {}, (2,))], (6, 5, 4)),
    "itself_times_itself": ([("Mul", {}, (0, 0))], (5, 3, 4)),
    "normalised_input": (
        [
            ("Sub", {"channels": 3, "height": 1, "width": 1}, (0,)),
            ("Div", {"channels": 3, "height": 1, "width": 1}, (1,)),
        ],
        (3, 7, 6),
    ),
}


def cases() -> Iterator[tuple[str, Case]]:
    """All cases by name; a layer's are numbered, so that new ones leave the others as they are."""
    for kind, record in LAYERS.items():
        for number, case in enumerate(record.cases()):
            yield f"{kind}_{number:02}", case
    for number, (cpp, module, shape) in enumerate(COMPOSITIONS):
        yield f"composition_{number:02}", Case(module, shape, cpp)
    for name, case in GRAPHS.items():
        yield f"graph_{name}", case
    for name, (nodes, shape) in NODES.items():
        yield f"nodes_{name}", Case(nodes, shape)


def randomise(module: nn.Module, seed: int) -> None:
    """New weights; statistics and scales as a trained network has them, not zeros and ones."""
    torch.manual_seed(seed)
    for layer in module.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(layer.weight, -1.5, 1.5)
            nn.init.uniform_(layer.bias, -1, 1)
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.01, 4)


def as_image(tensor: torch.Tensor) -> torch.Tensor:
    """C, H, W, where a flat vector has one row and column."""
    return tensor if tensor.dim() == 3 else tensor[:, None, None]


class Recorded(nn.Module):
    """Nodes as their records compute them, with random tensors."""

    def __init__(self, nodes: Iterable[Node]):
        super().__init__()
        self.nodes = tuple(nodes)
        self.parts = nn.ModuleList(map(self._tensors, self.nodes))

    @staticmethod
    def _tensors(node: Node) -> nn.ParameterDict:
        tensors = nn.ParameterDict()
        for role, shape in node.tensor_shapes.items():
            tensors[role] = torch.rand(shape) + 0.5 if role == "running_var" else torch.randn(shape)
        return tensors

    def forward(self, x):
        values = [x]
        for node, tensors in zip(self.nodes, self.parts, strict=True):
            inputs = [values[index] for index in node.inputs]
            values.append(node.record.reference(node.resolved, inputs, list(tensors.values())))
        return values[-1]

    def named_tensors(self) -> Iterator[NamedTensor]:
        for node, tensors in zip(self.nodes, self.parts, strict=True):
            for name, values in zip(node.tensors, tensors.values(), strict=True):
                yield NamedTensor(name, values.detach().numpy())


def nodes_of(stated: list[tuple[str, dict[str, float], tuple[int, ...]]]) -> Iterator[Node]:
    """The nodes with their tensors, which are numbered if there are several nodes."""
    for number, (kind, options, inputs) in enumerate(stated):
        record = LAYERS[kind]
        roles = record.tensor_shapes(record.resolve(options))
        names = roles if len(stated) == 1 else [f"{number}.{role}" for role in roles]
        yield Node(kind, inputs, record.without_defaults(record.resolve(options)), tuple(names))


def nodes_file(name: str, nodes: tuple[Node, ...], input_shape: Shape) -> WeightFile:
    """A network of these nodes, an input and its output."""
    torch.manual_seed(zlib.crc32(name.encode()))
    x = 4 * torch.randn(input_shape)
    module = Recorded(nodes)
    tensors = tuple(module.named_tensors())
    with torch.no_grad():
        y = module.double()(as_image(x).double()[None])[0]
    graph = Graph((Input(*as_image(x).shape),), nodes, (Output(len(nodes)),))
    return one_vector_file(name, graph, tensors, x, y)


def layer_file(name: str, case: Case) -> WeightFile:
    """The case's network with an input and its output."""
    if isinstance(case.module, Mapping):
        kind = name.rpartition("_")[0]
        return nodes_file(name, tuple(nodes_of([(kind, case.module, (0,))])), case.input_shape)
    if isinstance(case.module, list):
        return nodes_file(name, tuple(nodes_of(case.module)), case.input_shape)
    module = nn.Sequential(case.module).eval()
    randomise(module, seed=zlib.crc32(name.encode()))
    x = 4 * torch.randn(case.input_shape)
    module.double()
    imported = import_module(module, [case.input_shape])
    with torch.no_grad():
        y = module(x.double()[None])[0]
    tensors = tuple(
        NamedTensor(tensor, values.astype(np.float32))
        for tensor, values in imported.tensors.items()
    )
    return one_vector_file(name, imported.graph, tensors, x, y)


def one_vector_file(
    name: str,
    graph: Graph,
    tensors: tuple[NamedTensor, ...],
    x: torch.Tensor,
    y: torch.Tensor,
) -> WeightFile:
    channels = graph.inputs[0].channels
    vector = TestVector(
        (as_image(x).numpy(),), (OutputSample(y.flatten().numpy().astype(np.float32)),)
    )
    return WeightFile(
        name,
        graph,
        tensors,
        preprocessing=Preprocessing(0, (0.0,) * channels, (1.0,) * channels),
        vectors=(vector,),
        replayed=1,
    )


def main() -> None:
    folder = HERE / "layers"
    folder.mkdir(exist_ok=True)
    old = set(folder.glob("*.mien"))
    lines = ["// Made by make_layers.py."]
    for name, case in cases():
        file = layer_file(name, case)
        path = folder / f"{name}.mien"
        file.write(path)
        old.discard(path)
        shape = ", ".join(map(str, file.graph.inputs[0].shape))
        lines.append(f'LAYER_CASE("{name}", {case.cpp or cpp_type(file.graph)}, Input<{shape}>)')
    for path in old:
        path.unlink()
    (HERE / "layer_cases.inc").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
