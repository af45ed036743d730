"""What records of activations share: functions of single values."""

from mien_tools.layer import Case, Layer
from mien_tools.numbers import cpp_ratio


class Activation(Layer):
    """A function without tensors, whose options are all real numbers."""

    is_elementwise = True

    # By option: the attribute of ONNX and its default there.
    attributes: dict[str, tuple[str, float]] = {}

    def operators(self):
        return {self.onnx: self._convert}

    def _convert(self, node):
        options = {
            option: node.attribute(name, default)
            for option, (name, default) in self.attributes.items()
        }
        return node.make(self, options)

    def cpp(self, options):
        if not self.options:
            return self.cpp_names[0]
        numbers = (cpp_ratio(options[option.name]) for option in self.options)
        return f"{self.cpp_names[0]}<{', '.join(numbers)}>"

    def cases(self):
        return [Case({}, (3, 4, 5)), *(Case(options, (5, 3, 1)) for options in self.other_options)]

    # Options of further test cases.
    other_options: tuple[dict[str, float], ...] = ()
