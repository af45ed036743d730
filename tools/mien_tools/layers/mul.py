"""Mul: the product of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic


class Mul(Arithmetic):
    kind = "Mul"
    plain_name = "a product"
    summary = "the product of two values, or of one and a constant, that broadcast"
    onnx = "Mul"
    cpp_names = ("Mul", "MulConstant", "Identity", "Reversed")

    def combined(self, first, second):
        return first * second


RECORD = Mul()
