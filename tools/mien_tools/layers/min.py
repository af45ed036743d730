"""Min: the smaller of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic


class Min(Arithmetic):
    kind = "Min"
    plain_name = "a minimum"
    summary = "the smaller of two values, or of one and a constant, that broadcast"
    onnx = "Min"
    cpp_names = ("Min", "MinConstant", "Identity", "Reversed")

    def combined(self, first, second):
        return first.minimum(second)


RECORD = Min()
