"""Sliding windows as ONNX spells them: kernel, strides, dilations and padding."""

from typing import TYPE_CHECKING

from mien_tools.layer import Pair, pair_options
from mien_tools.shapes import Shape

if TYPE_CHECKING:
    from mien_tools.onnx_node import OnnxNode


def pair(node: "OnnxNode", name: str, default: list[int]) -> Pair:
    """An attribute with a number for each axis; that of a row is its width."""
    numbers = tuple(node.attribute(name, default))
    if len(numbers) == 1:
        numbers = (1 if name != "output_padding" else 0, *numbers)
    if len(numbers) != 2:
        raise node.fail(f"{name} of one or two axes", f"{name}={list(numbers)}")
    return numbers


def window(node: "OnnxNode", kernel: Pair, size: Shape) -> dict[str, int]:
    """The options of a window on an image of such a size (channels, height, width)."""
    stride = pair(node, "strides", [1, 1])
    dilation = pair(node, "dilations", [1, 1])
    extents = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    before, after = _padding(node, extents, stride, size[1:])
    options = pair_options(kernel, stride, before)
    if after != before:
        options |= {"padding_bottom": after[0], "padding_right": after[1]}
    if dilation != (1, 1):
        options |= {"dilation_y": dilation[0], "dilation_x": dilation[1]}
    return options


def transposed_window(node: "OnnxNode", kernel: Pair, size: Shape) -> dict[str, int]:
    """The options of a transposed convolution's window."""
    stride, dilation = pair(node, "strides", [1, 1]), pair(node, "dilations", [1, 1])
    extra = pair(node, "output_padding", [0, 0])
    how = node.attribute("auto_pad", "NOTSET")
    before, after = pads(node) if how == "NOTSET" else ((0, 0), (0, 0))
    wanted = node.attribute("output_shape", [])
    if wanted or how.startswith("SAME"):
        wanted = pair(node, "output_shape", []) if wanted else (None, None)
        axes = zip(wanted, size[1:], kernel, stride, dilation, extra, strict=True)
        totals = [_total_padding(node, *axis) for axis in axes]
        # Pixels that no tap reaches are at the end.
        extra = tuple(e + max(-total, 0) for e, total in zip(extra, totals, strict=True))
        totals = [max(total, 0) for total in totals]
        # What is not even is more below and to the right only if the node says so.
        smaller = tuple(total // 2 for total in totals)
        larger = tuple(total - total // 2 for total in totals)
        before, after = (smaller, larger) if how == "SAME_UPPER" else (larger, smaller)
    options = pair_options(kernel, stride, before)
    options |= {"output_padding_y": extra[0], "output_padding_x": extra[1]}
    if after != before:
        options |= {"padding_bottom": after[0], "padding_right": after[1]}
    return options | {"dilation_y": dilation[0], "dilation_x": dilation[1]}


def _total_padding(node, wanted, length, kernel, stride, dilation, extra) -> int:
    """Padding on both sides of an axis whose output has a wanted length, None: stride * input."""
    extent = (kernel - 1) * dilation + 1
    if wanted is not None and length is None:
        raise node.fail("an input of fixed size", f"output_shape with {wanted} pixels of any")
    if wanted is None:
        if extent + extra < stride:
            raise node.fail(f"a kernel of at least the stride, {stride}, for auto_pad", f"{extent}")
        return extent + extra - stride
    return (length - 1) * stride + extent + extra - wanted


def pads(node: "OnnxNode") -> tuple[Pair, Pair]:
    """Padding above and left, then below and right."""
    numbers = node.attribute("pads", [0, 0, 0, 0])
    if len(numbers) == 2:
        numbers = [0, numbers[0], 0, numbers[1]]
    if len(numbers) != 4 or min(numbers) < 0:
        raise node.fail("pads of one or two axes, none negative", f"pads={numbers}")
    return tuple(numbers[:2]), tuple(numbers[2:])


def _padding(node: "OnnxNode", extents: Pair, stride: Pair, size: Shape) -> tuple[Pair, Pair]:
    how = node.attribute("auto_pad", "NOTSET")
    if how == "NOTSET":
        return pads(node)
    if how == "VALID":
        return (0, 0), (0, 0)
    if how not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.fail("auto_pad of NOTSET, VALID, SAME_UPPER or SAME_LOWER", f"auto_pad={how}")
    first, second = [], []
    for extent, step, length in zip(extents, stride, size, strict=True):
        if length is None and step > 1:
            raise node.fail(
                "an input of fixed size", f"auto_pad={how} with stride {step} and any size"
            )
        # As many windows as steps begin inside; what they need besides the image is padding.
        total = (
            extent - 1 if step == 1 else max((-(-length // step) - 1) * step + extent - length, 0)
        )
        smaller, larger = total // 2, total - total // 2
        first.append(smaller if how == "SAME_UPPER" else larger)
        second.append(larger if how == "SAME_UPPER" else smaller)
    return tuple(first), tuple(second)
