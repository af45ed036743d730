"""Max: the larger of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic


class Max(Arithmetic):
    kind = "Max"
    plain_name = "a maximum"
    summary = "the larger of two values, or of one and a constant, that broadcast"
    onnx = "Max"
    cpp_names = ("Max", "MaxConstant", "Identity", "Reversed")

    def combined(self, first, second):
        return first.maximum(second)


RECORD = Max()
