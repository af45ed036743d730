"""BatchNorm2d, in evaluation: by running statistics."""

import numpy as np

from mien_tools.layer import Case, Layer, Option, require_shape

# The epsilon of every BatchNorm2d in C++; PyTorch's default.
EPSILON = 1e-5


class BatchNorm2d(Layer):
    kind = "BatchNorm2d"
    plain_name = "batch normalisation"
    summary = "batch normalisation by running statistics, of images or flat vectors"
    onnx = "BatchNormalization"
    options = (Option("channels"),)
    cpp_names = ("BatchNorm2d",)

    def operators(self):
        return {"BatchNormalization": self._convert_node}

    def _convert_node(self, node):
        if node.attribute("training_mode", 0):
            raise node.fail("running statistics (training_mode=0)", "training_mode=1")
        epsilon = node.attribute("epsilon", EPSILON)
        tensors = [node.tensor(index) for index in range(1, 5)]
        if epsilon != EPSILON:
            weight, variance = fold_epsilon(node.constant(1), node.constant(4), epsilon)
            if not np.array_equal(weight, node.constant(1)):
                tensors[0] = node.new_tensor("weight", weight)
            tensors[3] = node.new_tensor("running_var", variance)
        return node.make(self, {"channels": len(node.constant(1))}, tensors=tensors)

    def tensor_shapes(self, options):
        roles = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(roles, (options["channels"],))

    def output_shape(self, options, inputs):
        require_shape(inputs[0], options["channels"])
        return inputs[0]

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        weight, bias, mean, variance = tensors
        return functional.batch_norm(inputs[0], mean, variance, weight, bias, eps=EPSILON)

    def cpp(self, options):
        return f"BatchNorm2d<{options['channels']}>"

    def cases(self):
        from torch import nn

        return [
            Case(nn.BatchNorm2d(1), (1, 3, 3)),
            Case(nn.BatchNorm2d(7), (7, 5, 2)),
            Case(nn.BatchNorm2d(33), (33, 1, 1)),
        ]


def fold_epsilon(
    weight: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and running variance that normalise at Mien's epsilon as these do at `epsilon`.

    The difference goes into the variance. Where that would become negative, it stays 0 and the
    weight makes up for it.
    """
    folded = variance + (epsilon - EPSILON)
    with np.errstate(divide="ignore"):
        scaled_weight = weight * np.sqrt(EPSILON / (variance + epsilon))
    return np.where(folded < 0, scaled_weight, weight), np.maximum(folded, 0)


RECORD = BatchNorm2d()
