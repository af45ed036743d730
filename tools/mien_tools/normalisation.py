"""What records of normalisation by an image's own values share."""

import numpy as np

from mien_tools.layer import Case, Layer, Option, require_shape
from mien_tools.numbers import LARGEST_REAL, cpp_ratio

EPSILON = 1e-5


class Normalisation(Layer):
    """A weight and a bias for every channel follow."""

    options = (
        Option("channels"),
        Option("epsilon", EPSILON, least=0, most=LARGEST_REAL, whole=False),
    )

    def operators(self):
        return {self.onnx: self._from_node}

    def node_options(self, node, channels):
        """What a node of ONNX says besides its channels and epsilon."""
        return {}

    def _from_node(self, node):
        channels = node.value(0).shape[0]
        options = {
            "channels": channels,
            "epsilon": node.attribute("epsilon", EPSILON),
            **self.node_options(node, channels),
        }
        tensors = []
        for index, role in enumerate(self.tensor_shapes(options), start=1):
            if not node.has(index):
                values = np.full(channels, role == "weight", np.float32)
                tensors.append(node.new_tensor(role, values))
                continue
            values = node.constant(index)
            if values.size == channels:
                tensors.append(node.tensor(index))
                continue
            # One number for all, or one a group, is repeated.
            if values.ndim > 1 or channels % values.size != 0:
                raise node.fail(f"{channels} numbers, one a channel", f"the shape {values.shape}")
            repeated = np.repeat(values.reshape(-1), channels // values.size)
            tensors.append(node.new_tensor(role, repeated.astype(np.float32)))
        return node.make(self, options, tensors=tensors)

    def tensor_shapes(self, options):
        return dict.fromkeys(("weight", "bias"), (options["channels"],))

    def output_shape(self, options, inputs):
        require_shape(inputs[0], options["channels"])
        return inputs[0]

    def numbers(self, options):
        """The whole numbers of the C++ type."""
        return [options["channels"]]

    def cpp(self, options):
        arguments = list(map(str, self.numbers(options)))
        if options["epsilon"] != EPSILON:
            arguments.append(cpp_ratio(options["epsilon"]))
        return f"{self.kind}<{', '.join(arguments)}>"

    def cases(self):
        return [
            Case({"channels": 3}, (3, 4, 5)),
            Case({"channels": 33, "epsilon": 1e-3}, (33, 3, 2)),
            Case({"channels": 16}, (16, 9, 8)),
        ]
