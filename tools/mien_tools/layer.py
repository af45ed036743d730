"""What a record of a layer says, and what it is asked with.

A record knows one kind of layer: its options, tensors and shapes, how ONNX spells it, how C++ does,
and test cases. Records stand in `mien_tools.layers`, a file each; they import PyTorch only in
the functions that need it, so that weight files can be read without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien_tools.shapes import Shape, shape_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mien_tools.onnx_node import OnnxNode, Value

# The most that a number of channels, a kernel's side and the like can be.
LARGEST_OPTION = 1 << 24

# The options of a node, by name.
Options = Mapping[str, float]

# Height and width.
Pair = tuple[int, int]


class LayerError(ValueError):
    """A node's options or inputs do not fit its layer; the message: "expected ..., found ..."."""


@dataclass(frozen=True)
class Option:
    """An option of a layer, a number; `default` may name another option, None: it must be given."""

    name: str
    default: float | str | None = None
    least: float = 1
    most: float = LARGEST_OPTION
    whole: bool = True

    def check(self, value: float) -> None:
        """Raise LayerError if an option cannot have this value."""
        kind = "whole number" if self.whole else "number"
        # A comparison with what is not a number is false.
        if not self.least <= value <= self.most or (self.whole and value != int(value)):
            raise LayerError(
                f"option {self.name}: expected a {kind} from {self.least:g} to {self.most:g}, "
                f"found {value:g}"
            )


@dataclass(frozen=True, eq=False)
class Case:
    """A test of a layer or of several: a module, and the shape of what goes in.

    In place of a module stand the options of a layer where PyTorch has no module with them: what is
    expected is then what the record's reference() computes. `cpp` is its C++ type, where that is
    not to be the one that mien_tools.header writes.
    """

    module: "nn.Module | Options"
    input_shape: Shape
    cpp: str = ""


# Makes layers of a node of ONNX and returns the value that they put out.
OnnxConverter = Callable[["OnnxNode"], "Value"]


class Layer:
    """The record of a kind of layer; the defaults are those of a function of one image.

    Shapes are (channels, height, width), height and width None where any are possible; a flat
    vector is an image of one pixel. Tensors are batches of such images.
    """

    # As C++ and weight files call it.
    kind: str
    # As a sentence calls it, such as "max pooling".
    plain_name: str
    # What it computes, for the table of layers.
    summary: str
    # The operator of ONNX that is most like it.
    onnx: str
    options: tuple[Option, ...] = ()
    fewest_inputs: int = 1
    most_inputs: int = 1
    # Whether each value is computed from its own input alone, wherever that stands.
    is_elementwise = False
    # What its C++ spelling uses.
    cpp_names: tuple[str, ...] = ()

    def operators(self) -> dict[str, "OnnxConverter"]:
        """By an operator of ONNX: how one of its nodes becomes this layer."""
        return {}

    def check(self, options: Options) -> None:
        """Raise LayerError if options, each in its range, do not fit together."""

    def tensor_shapes(self, options: Options) -> dict[str, tuple[int, ...]]:
        """The tensors that the layer takes, in order: role (last part of the name) and shape."""
        return {}

    def output_shape(self, options: Options, inputs: Sequence[Shape]) -> Shape:
        """The shape of the output; raises LayerError if those of the inputs do not fit."""
        return inputs[0]

    def multiply_adds(self, options: Options, inputs: Sequence[Shape], output: Shape) -> int:
        """How many the layer needs for one image."""
        return 0

    def reference(
        self, options: Options, inputs: Sequence["Tensor"], tensors: Sequence["Tensor"]
    ) -> "Tensor":
        """What PyTorch computes, given the tensors in order."""
        raise NotImplementedError

    def cpp(self, options: Options) -> str:
        """The layer's type in C++."""
        return self.kind

    def cases(self) -> list[Case]:
        """Tests of this layer."""
        return []

    # What follows is the same for all layers.

    def resolve(self, stated: Options) -> dict[str, float]:
        """All options, those that are left out by their defaults; raises LayerError."""
        known = {option.name: option for option in self.options}
        for name in stated:
            if name not in known:
                wanted = f"one of {', '.join(known)}" if known else "none"
                raise LayerError(f"option: expected {wanted}, found '{name}'")
        resolved: dict[str, float] = {}
        for option in self.options:
            value = stated.get(option.name, option.default)
            if value is None:
                raise LayerError(f"option {option.name}: expected a number, found none")
            if isinstance(value, str):
                value = resolved[value]
            option.check(value)
            resolved[option.name] = int(value) if option.whole else value
        self.check(resolved)
        return resolved

    def without_defaults(self, options: Options) -> dict[str, float]:
        """The options that a file states: all but those with a plain default."""
        plain = {option.name: option.default for option in self.options}
        return {name: value for name, value in options.items() if plain[name] != value}


def require_shape(found: Shape, channels: int, one_pixel: bool = False) -> None:
    """Raise LayerError unless a shape has so many channels and, if asked, is a flat vector."""
    if found[0] != channels or (one_pixel and found[1:] != (1, 1)):
        expected = (channels, 1, 1) if one_pixel else (channels, None, None)
        raise LayerError(f"input: expected {shape_text(expected)}, found {shape_text(found)}")


def slide(options: Options, size: Shape) -> Shape:
    """Height and width of what a sliding window leaves of a shape; raises LayerError."""
    result = []
    for axis, length in (("height", size[1]), ("width", size[2])):
        letter = "y" if axis == "height" else "x"
        kernel, padding = options[f"kernel_{axis}"], options[f"padding_{letter}"]
        extent = (kernel - 1) * options.get(f"dilation_{letter}", 1) + 1
        both = sum(sides(options, letter))
        stride = options[f"stride_{letter}"]
        if length is None:
            result.append(None)
            continue
        room = length + both - extent
        rounds_up = options.get("ceil_mode", 0)
        places = (room + (stride - 1 if rounds_up else 0)) // stride + 1
        # No window begins behind the image.
        if rounds_up and (places - 1) * stride >= length + padding:
            places -= 1
        if places < 1:
            sides_text = str(padding) if both == 2 * padding else f"{padding} and {both - padding}"
            raise LayerError(
                f"input: expected a {axis} of at least {extent - both} for a kernel of "
                f"{extent} with padding {sides_text}, found {shape_text(size)}"
            )
        result.append(places)
    return tuple(result)


def sides(options: Options, letter: str) -> Pair:
    """Padding above and below ("y"), or left and right ("x")."""
    before = options[f"padding_{letter}"]
    after = options.get("padding_bottom" if letter == "y" else "padding_right", -1)
    return before, before if after < 0 else after


def is_symmetric(options: Options) -> bool:
    """Whether padding is the same on both sides, as PyTorch's layers have it."""
    return all(len(set(sides(options, letter))) == 1 for letter in "yx")


# What windows can have besides: padding below and to the right, -1: as above and to the left.
OTHER_SIDES = (Option("padding_bottom", -1, least=-1), Option("padding_right", -1, least=-1))
DILATION = (Option("dilation_y", 1), Option("dilation_x", 1))


def pair_options(kernel: Pair, stride: Pair, padding: Pair) -> dict[str, float]:
    """The options of a sliding window."""
    return {
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_y": stride[0],
        "stride_x": stride[1],
        "padding_y": padding[0],
        "padding_x": padding[1],
    }


def pair_of(options: Options, name: str) -> Pair:
    """The two numbers of a kernel, a stride or a padding."""
    ends = ("height", "width") if name == "kernel" else ("y", "x")
    return options[f"{name}_{ends[0]}"], options[f"{name}_{ends[1]}"]


def cpp_pair(name: str, value: Pair) -> str:
    """One number where height and width agree: "Kernel<3>"."""
    numbers = value[:1] if value[0] == value[1] else value
    return f"{name}<{', '.join(map(str, numbers))}>"


def cpp_window(options: Options, default_stride: Pair) -> list[str]:
    """The options of a sliding window in C++, but for those with their defaults."""
    arguments = [cpp_pair("Kernel", pair_of(options, "kernel"))]
    if pair_of(options, "stride") != default_stride:
        arguments.append(cpp_pair("Stride", pair_of(options, "stride")))
    padding = pair_of(options, "padding")
    others = (options["padding_bottom"], options["padding_right"])
    if others != (-1, -1):
        arguments.append(f"Padding<{', '.join(map(str, padding + others))}>")
    elif padding != (0, 0):
        arguments.append(cpp_pair("Padding", padding))
    if "dilation_y" in options and pair_of(options, "dilation") != (1, 1):
        arguments.append(cpp_pair("Dilation", pair_of(options, "dilation")))
    return arguments
