"""What the records of convolutions share."""

from mien_tools.layer import Layer, LayerError, Options, Pair, pair_of
from mien_tools.shapes import Shape


class Convolution2d(Layer):
    """Filters in groups, with or without a bias; a row is an image of one row."""

    def operators(self):
        return {self.onnx: self._of_onnx}

    def channels(self, first: int, second: int, groups: int) -> tuple[int, int]:
        """Input and output channels by the first two dimensions of a weight."""
        raise NotImplementedError

    def weight_channels(self, options: Options) -> tuple[int, int]:
        """The first two dimensions of the weight."""
        raise NotImplementedError

    def window(self, node, kernel: Pair, size: Shape) -> dict[str, int]:
        """The options of the window on an image of such a size."""
        raise NotImplementedError

    def _of_onnx(self, node):
        value = node.value(0)
        weight = node.constant(1)
        tensors = [node.tensor(1)]
        if weight.ndim == 3:  # of a row
            weight = weight[:, :, None]
            tensors = [node.new_tensor("weight", weight)]
        if weight.ndim != 4:
            raise node.fail("a convolution of one or two axes", f"{weight.ndim - 2}")
        groups = node.attribute("group", 1)
        in_channels, out_channels = self.channels(*weight.shape[:2], groups)
        options = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            **self.window(node, weight.shape[2:], value.shape),
            "groups": groups,
            "bias": int(node.has(2)),
        }
        if node.has(2):
            tensors.append(node.tensor(2))
        return node.make(self, options, [value], tensors)

    def check(self, options):
        groups = options["groups"]
        if options["in_channels"] % groups or options["out_channels"] % groups:
            raise LayerError(
                f"option groups: expected a divisor of {options['in_channels']} and "
                f"{options['out_channels']} channels, found {groups}"
            )

    def tensor_shapes(self, options):
        weight = (*self.weight_channels(options), *pair_of(options, "kernel"))
        bias = {"bias": (options["out_channels"],)} if options["bias"] else {}
        return {"weight": weight} | bias
