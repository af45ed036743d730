"""Chooses what of a network to compute and to store in 8 bits, by what it changes.

Ranges are measured on one half of the images, everything else on the other. A change is relative:
the root of the mean squared difference of an output over the root of its mean square, and of
several outputs the root of the mean of their squares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mien_tools.graph import Graph, Node
from mien_tools.int8_options import METHOD_CHOICES, Int8Options
from mien_tools.layer import pair_of
from mien_tools.quantization import (
    InputRange,
    Tensors,
    input_rounding,
    int8_products,
    int8_weights,
    run_again,
    run_values,
    to_tensor,
    to_tensors,
)
from mien_tools.weights import Int8Values, products_misfit

# Layers are chosen for products in 8 bits, those first that by themselves change the outputs least,
# until together they would change them by more. Rounding errors of different layers are as good as
# independent, so that their squares add up.
LARGEST_CHANGE = 0.01
# The same for further weights that are only stored in 8 bits.
LARGEST_STORED_CHANGE = 0.005

IMAGES_PER_BATCH = 32

# Whose weights are stored in 8 bits.
_WEIGHTED = ("Conv2d", "ConvTranspose2d", "Dense")


class QuantizationError(ValueError):
    """A network cannot be quantised as asked; the message says what was expected and found."""


@dataclass(frozen=True)
class ProductsReport:
    """A layer with products in 8 bits, or one that was tried and left."""

    layer: str
    low: float
    high: float
    method: str
    # Of the layer's own output, and of the network's with this layer alone in 8 bits.
    output_change: float
    network_change: float
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """Tensors in 8 bits by name, and what they change on images that gave no ranges."""

    tensors: dict[str, Int8Values]
    method: str
    layers: tuple[ProductsReport, ...]
    # Weights that stay as they are, and what each would have changed.
    kept: dict[str, float]
    images: int
    change: float
    largest_difference: float
    largest_output: float
    # Predictions, for a classifier.
    changed: int | None


def report_text(choice: Choice) -> str:
    """What was chosen and what it changes, for people."""
    columns = (
        "products in 8 bits",
        "inputs from",
        "to",
        "method",
        "layer changes by",
        "outputs by",
    )
    rows = [columns]
    for layer in choice.layers:
        rows.append(
            (
                layer.layer if layer.chosen else f"({layer.layer}: left)",
                f"{layer.low:.4g}",
                f"{layer.high:.4g}",
                layer.method,
                f"{layer.output_change:.2%}",
                f"{layer.network_change:.2%}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    stored = sum(not values.has_products for values in choice.tensors.values())
    lines.append(f"further weights stored in 8 bits: {stored}")
    for name, change in choice.kept.items():
        lines.append(f"{name} is not stored in 8 bits: outputs would change by {change:.2%}")
    lines.append(
        f"method {choice.method}; on {choice.images} images that gave no ranges outputs change by "
        f"{choice.change:.2%}, those of up to {choice.largest_output:.3g} by at most "
        f"{choice.largest_difference:.2g}"
    )
    if choice.changed is not None:
        lines.append(f"{choice.changed} of their {choice.images} predictions change")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Weight:
    """A weight and the layers that it serves."""

    name: str
    nodes: tuple[int, ...]
    label: str


def store_weights(graph: Graph, tensors: Mapping[str, np.ndarray]) -> dict[str, Int8Values]:
    """The weights of all convolutions and dense layers, stored in 8 bits."""
    return {weight.name: int8_weights(tensors[weight.name]) for weight in _weights(graph)}


def choose(
    graph: Graph,
    tensors: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    options: Int8Options,
    is_classifier: bool,
) -> Choice:
    """Choose for a network with one input; `inputs` are float32 [n, channels, height, width].

    Raises QuantizationError.
    """
    if len(graph.inputs) != 1:
        raise QuantizationError(
            f"inputs: expected one of a network that is calibrated, found {len(graph.inputs)}"
        )
    if len(inputs) < 2:
        raise QuantizationError(
            f"calibration: expected 2 images or more, for ranges and to judge by, found "
            f"{len(inputs)}"
        )
    with torch.inference_mode():
        return _Chooser(graph, tensors, inputs, options, is_classifier).choose()


class _Chooser:
    def __init__(
        self,
        graph: Graph,
        tensors: Mapping[str, np.ndarray],
        inputs: np.ndarray,
        options: Int8Options,
        is_classifier: bool,
    ) -> None:
        self.graph, self.stored, self.options = graph, tensors, options
        self.is_classifier = is_classifier
        self.tensors = to_tensors(tensors, torch.float32)
        self.for_ranges, self.for_judging = inputs[::2], inputs[1::2]
        self.candidates = self._candidates()

    def choose(self) -> Choice:
        ranges = self._ranges()
        methods = METHOD_CHOICES[self.options.method]
        reach = {
            (method, name): seen.by(method) for method in methods for name, seen in ranges.items()
        }
        made = {
            method: {
                name: int8_products(self.stored[name], *input_rounding(*reach[method, name]))
                for name in ranges
            }
            for method in methods
        }
        rest = {}
        if not self.options.products_only:
            rest = store_weights(self.graph, self.stored)
        alone = self._alone(made, rest)
        best = {
            weight.name: min(methods, key=lambda m, name=weight.name: alone[m, name].change)
            for weight in self.candidates
        }
        changes = {name: alone[method, name].change for name, method in best.items()}
        chosen = list(best) if self.options.layers is not None else _within(changes, LARGEST_CHANGE)
        changes = {name: alone["", name].change for name in rest if name not in chosen}
        stored = _within(changes, LARGEST_STORED_CHANGE)
        kept = {name: change for name, change in changes.items() if name not in stored}
        rest = {name: values for name, values in rest.items() if name in stored}
        assignments = {method: dict.fromkeys(chosen, method) for method in methods}
        if len(methods) > 1:
            assignments["each layer's best"] = {name: best[name] for name in chosen}
        trials = {
            title: rest | {name: made[method][name] for name, method in assignment.items()}
            for title, assignment in assignments.items()
        }
        judged = self._judge(trials)
        title = min(trials, key=lambda title: judged[title].change)
        found = judged[title]
        layers = []
        for weight in self.candidates:
            method = assignments[title].get(weight.name, best[weight.name])
            low, high = reach[method, weight.name]
            measured = alone[method, weight.name]
            layers.append(
                ProductsReport(
                    weight.label,
                    low,
                    high,
                    method,
                    measured.of_layer,
                    measured.change,
                    weight.name in chosen,
                )
            )
        return Choice(
            trials[title],
            title,
            tuple(layers),
            kept,
            len(self.for_judging),
            found.change,
            found.largest_difference,
            found.largest_output,
            found.changed if self.is_classifier else None,
        )

    def _candidates(self) -> list[_Weight]:
        """The weights whose products can be in 8 bits and are wished to, or are worth it."""
        able = [
            weight
            for weight in _weights(self.graph)
            if not any(self._misfit(weight, index) for index in weight.nodes)
        ]
        wanted = self.options.layers
        if wanted is None:
            nodes = self.graph.nodes
            return [w for w in able if not any(_is_fast(nodes[index]) for index in w.nodes)]
        for name in wanted:
            if name not in {weight.label for weight in able}:
                labels = {weight.label: weight for weight in _weights(self.graph)}
                reason = f"'{name}'"
                if name in labels:
                    weight = labels[name]
                    reason += "; " + next(filter(None, map(self._misfit_of(weight), weight.nodes)))
                raise QuantizationError(
                    f"layers: expected some of {', '.join(w.label for w in able)}, found {reason}"
                )
        return [weight for weight in able if weight.label in wanted]

    def _misfit(self, weight: _Weight, index: int) -> str | None:
        return products_misfit(self.graph.nodes[index], self.stored[weight.name].shape)

    def _misfit_of(self, weight: _Weight):
        return lambda index: self._misfit(weight, index)

    def _batches(self, inputs: np.ndarray):
        for start in range(0, len(inputs), IMAGES_PER_BATCH):
            batch = torch.from_numpy(inputs[start : start + IMAGES_PER_BATCH])
            yield batch.contiguous(memory_format=torch.channels_last)

    def _ranges(self) -> dict[str, InputRange]:
        ranges = {weight.name: InputRange() for weight in self.candidates}
        for see in (InputRange.widen, InputRange.count):
            for batch in self._batches(self.for_ranges):
                values = run_values(self.graph, [batch], self.tensors)
                for weight in self.candidates:
                    for index in weight.nodes:
                        see(ranges[weight.name], values[self.graph.nodes[index].inputs[0]])
        return ranges

    def _alone(
        self, made: Mapping[str, Mapping[str, Int8Values]], rest: Mapping[str, Int8Values]
    ) -> dict[tuple[str, str], "_Measured"]:
        """What each tensor changes by itself, by method ("": only stored) and name."""
        trials = {
            (method, name): {name: to_tensor(values, torch.float32)}
            for method, tensors in {**made, "": rest}.items()
            for name, values in tensors.items()
        }
        nodes = {weight.name: weight.nodes[0] for weight in _weights(self.graph)}
        found = {key: _Measured(self.graph) for key in trials}
        for batch in self._batches(self.for_judging):
            exact = run_values(self.graph, [batch], self.tensors)
            for (method, name), changed in trials.items():
                values = run_again(self.graph, exact, {**self.tensors, **changed}, changed)
                found[method, name].see(exact, values)
                if method:
                    index = nodes[name]
                    node = self.graph.nodes[index]
                    taken = [exact[value] for value in node.inputs]
                    output = node.run(taken, {**self.tensors, **changed})
                    found[method, name].see_layer(exact[self.graph.value_of(index)], output)
        return found

    def _judge(self, trials: Mapping[str, Mapping[str, Int8Values]]) -> dict[str, "_Measured"]:
        """What whole sets of tensors change."""
        changed: dict[str, Tensors] = {
            title: to_tensors(values, torch.float32) for title, values in trials.items()
        }
        found = {title: _Measured(self.graph) for title in trials}
        for batch in self._batches(self.for_judging):
            exact = run_values(self.graph, [batch], self.tensors)
            for title, tensors in changed.items():
                values = run_again(self.graph, exact, {**self.tensors, **tensors}, tensors)
                found[title].see(exact, values)
        return found


class _Measured:
    """Differences of outputs, batch by batch."""

    def __init__(self, graph: Graph) -> None:
        self._outputs = [output.value for output in graph.outputs]
        self._squares = np.zeros((len(self._outputs), 2))
        self._layer = np.zeros(2)
        self.largest_difference = self.largest_output = 0.0
        self.changed = 0

    def see(self, exact: Sequence[Tensor], found: Sequence[Tensor]) -> None:
        """Values of a run and of another with tensors in 8 bits."""
        for row, value in zip(self._squares, self._outputs, strict=True):
            row += _squares(exact[value], found[value])
            difference = float((exact[value] - found[value]).abs().max())
            self.largest_difference = max(self.largest_difference, difference)
            self.largest_output = max(self.largest_output, float(exact[value].abs().max()))
        first = self._outputs[0]
        same = exact[first].flatten(1).argmax(1) == found[first].flatten(1).argmax(1)
        self.changed += int((~same).sum())

    def see_layer(self, exact: Tensor, found: Tensor) -> None:
        self._layer += _squares(exact, found)

    @property
    def change(self) -> float:
        shares = [_share(*row) for row in self._squares]
        return math.sqrt(sum(shares) / len(shares))

    @property
    def of_layer(self) -> float:
        return math.sqrt(_share(*self._layer))


def _within(changes: Mapping[str, float], largest: float) -> list[str]:
    """The names of the smallest changes that together are no larger."""
    names, total = [], 0.0
    for name in sorted(changes, key=changes.__getitem__):
        total += changes[name] ** 2
        if math.sqrt(total) > largest:
            break
        names.append(name)
    return names


def _squares(exact: Tensor, found: Tensor) -> np.ndarray:
    """The sums of squared differences and of squares."""
    exact = exact.double()
    return np.array([float(((found - exact) ** 2).sum()), float((exact**2).sum())])


def _share(difference: float, whole: float) -> float:
    if whole > 0:
        return difference / whole
    return 0.0 if difference == 0 else math.inf


def _weights(graph: Graph) -> list[_Weight]:
    """The weights of convolutions and dense layers, each with the layers that it serves."""
    found: dict[str, _Weight] = {}
    for index, node in enumerate(graph.nodes):
        if node.layer not in _WEIGHTED:
            continue
        name = node.tensors[0]
        label = node.name or name.rpartition(".")[0]
        known = found.get(name, _Weight(name, (), label))
        found[name] = replace(known, nodes=(*known.nodes, index))
    return list(found.values())


def _is_fast(node: Node) -> bool:
    """Whether C++ computes a convolution in float32 as fast as in 8 bits or faster.

    Those are convolutions by minimal filtering, depthwise ones and those of small groups.
    """
    if node.layer != "Conv2d":
        return False
    options = node.resolved
    in_channels, groups = options["in_channels"], options["groups"]
    if groups > 1 and in_channels == options["out_channels"] and in_channels <= 8 * groups:
        return True
    return (
        pair_of(options, "kernel") in ((3, 3), (5, 5))
        and pair_of(options, "stride") == (1, 1)
        and pair_of(options, "dilation") == (1, 1)
    )
