"""BatchNorm2d, in evaluation: by running statistics."""

import numpy as np

from mien_tools.layer import Call, Case, Layer, Option, require_shape

# The epsilon of every BatchNorm2d in C++; PyTorch's default.
EPSILON = 1e-5


class BatchNorm2d(Layer):
    kind = "BatchNorm2d"
    plain_name = "batch normalisation"
    summary = "batch normalisation by running statistics, of images or flat vectors"
    onnx = "BatchNormalization"
    options = (Option("channels"),)
    cpp_names = ("BatchNorm2d",)

    def modules(self):
        return {"BatchNorm2d": _convert, "BatchNorm1d": _convert}

    def operators(self):
        return {"BatchNormalization": self._convert_node}

    def _convert_node(self, node):
        if node.attribute("training_mode", 0):
            raise node.fail("running statistics (training_mode=0)", "training_mode=1")
        epsilon = float(np.float32(node.attribute("epsilon", EPSILON)))
        tensors = [node.tensor(index) for index in range(1, 5)]
        if epsilon != float(np.float32(EPSILON)):
            weight, variance = fold_epsilon(node.constant(1), node.constant(4), epsilon)
            if not np.array_equal(weight, node.constant(1)):
                tensors[0] = node.new_tensor("weight", weight.astype(np.float32))
            tensors[3] = node.new_tensor("running_var", variance.astype(np.float32))
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

    def values(self, module):
        mean = module.running_mean.numpy()
        weight = np.ones_like(mean) if module.weight is None else module.weight.detach().numpy()
        bias = np.zeros_like(mean) if module.bias is None else module.bias.detach().numpy()
        weight, variance = fold_epsilon(weight, module.running_var.numpy(), module.eps)
        return {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}

    def put_back(self, module, role, values):
        from torch import nn

        module.eps = EPSILON
        if getattr(module, role) is None:
            module.register_parameter(role, nn.Parameter(values))
        super().put_back(module, role, values)

    def cpp(self, options):
        return f"BatchNorm2d<{options['channels']}>"

    def cases(self):
        from torch import nn

        return [
            Case(nn.BatchNorm2d(1), (1, 3, 3)),
            Case(nn.BatchNorm2d(7), (7, 5, 2)),
            Case(nn.BatchNorm2d(33), (33, 1, 1)),
        ]


def _convert(call: Call, module) -> dict[str, float]:
    if module.running_mean is None or module.running_var is None:
        raise call.fail(
            "running statistics (track_running_stats=True)",
            "none: it normalises by each batch's own",
        )
    return {"channels": module.num_features}


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
