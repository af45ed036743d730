"""Div: the quotient of two values, or of one and a constant, that broadcast."""

from mien_tools.arithmetic import Arithmetic


class Div(Arithmetic):
    kind = "Div"
    plain_name = "a quotient"
    summary = "the quotient of two values, or of one and a constant, that broadcast"
    onnx = "Div"
    cpp_names = ("Div", "DivConstant", "Identity", "Reversed")
    commutes = False

    def combined(self, first, second):
        return first / second


RECORD = Div()
