"""Sub: the difference of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic


class Sub(Arithmetic):
    kind = "Sub"
    plain_name = "a difference"
    summary = "the difference of two values, or of one and a constant, that broadcast"
    onnx = "Sub"
    cpp_names = ("Sub", "SubConstant", "Identity", "Reversed")
    commutes = False

    def combined(self, first, second):
        return first - second


RECORD = Sub()
