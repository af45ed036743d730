"""GroupNorm."""

from mien_tools.layer import Case, LayerError, Option
from mien_tools.normalisation import Normalisation


class GroupNorm(Normalisation):
    kind = "GroupNorm"
    plain_name = "group normalisation"
    summary = "normalisation by the mean and variance of groups of channels, with weight and bias"
    onnx = "GroupNormalization"
    options = (Option("groups"), *Normalisation.options)
    cpp_names = ("GroupNorm",)

    def node_options(self, node, channels):
        return {"groups": node.attribute("num_groups")}

    def check(self, options):
        channels, groups = options["channels"], options["groups"]
        if channels % groups:
            raise LayerError(
                f"option groups: expected a divisor of {channels} channels, found {groups}"
            )

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.group_norm(inputs[0], options["groups"], *tensors, options["epsilon"])

    def numbers(self, options):
        return [options["groups"], options["channels"]]

    def cases(self):
        return [
            Case({"channels": 6, "groups": 2}, (6, 4, 5)),
            Case({"channels": 33, "groups": 3, "epsilon": 1e-3}, (33, 3, 2)),
            Case({"channels": 16, "groups": 1}, (16, 5, 4)),
            Case({"channels": 32, "groups": 8}, (32,)),
        ]


RECORD = GroupNorm()
