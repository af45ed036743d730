"""InstanceNorm2d, by each image's own statistics."""

from mien_tools.normalisation import Normalisation


class InstanceNorm2d(Normalisation):
    kind = "InstanceNorm2d"
    plain_name = "instance normalisation"
    summary = "normalisation by each channel's own mean and variance, with weight and bias"
    onnx = "InstanceNormalization"
    cpp_names = ("InstanceNorm2d",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        if inputs[0].shape[2:] == (1, 1):  # which PyTorch refuses
            return functional.group_norm(
                inputs[0], options["channels"], *tensors, options["epsilon"]
            )
        weight, bias = tensors
        return functional.instance_norm(inputs[0], weight=weight, bias=bias, eps=options["epsilon"])


RECORD = InstanceNorm2d()
