"""What records of sums, products and the like share: two values, or one and a constant."""

from collections.abc import Sequence

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.shapes import Shape, shape_text

_SIZES = ("channels", "height", "width")


class Arithmetic(Layer):
    """Channels, heights and widths of the operands are equal or 1, which broadcasts."""

    fewest_inputs = 1
    most_inputs = 2
    options = (*(Option(name, 0, least=0) for name in _SIZES), Option("reversed", 0, 0, 1))

    # Whether the order of the operands makes no difference.
    commutes = True

    def check(self, options):
        given = [options[name] > 0 for name in _SIZES]
        if any(given) != all(given):
            raise LayerError(
                "options channels, height and width: expected all 0 or none, found both"
            )
        if options["reversed"] and not all(given):
            raise LayerError("option reversed: expected 0 without a constant, found 1")

    def tensor_shapes(self, options):
        constant = tuple(options[name] for name in _SIZES)
        return {"value": constant} if constant[0] else {}

    def output_shape(self, options: dict, inputs: Sequence[Shape]) -> Shape:
        operands = [*inputs, *self.tensor_shapes(options).values()]
        if len(operands) != 2:
            raise LayerError(
                f"inputs: expected two values, or one and a constant, found {len(operands)}"
            )
        sizes = []
        for first, second in zip(*operands, strict=True):
            if first != second and 1 not in (first, second):
                raise LayerError(
                    "inputs: expected channels, height and width that are equal or 1, found "
                    f"{shape_text(operands[0])} and {shape_text(operands[1])}"
                )
            sizes.append(second if first == 1 else first)
        return tuple(sizes)

    def combined(self, first, second):
        """What PyTorch computes of two tensors."""
        raise NotImplementedError

    def reference(self, options, inputs, tensors):
        operands = [*inputs, *tensors]
        if options["reversed"]:
            operands.reverse()
        return self.combined(*operands)

    def cpp(self, options):
        arguments = [str(options[name]) for name in _SIZES]
        if options["reversed"]:
            arguments.append("Reversed")
        return f"{self.kind}Constant<{', '.join(arguments)}>"

    def cases(self):
        shapes = (((3, 1, 1), (3, 4, 5)), ((1, 1, 1), (17, 2, 3)), ((1, 4, 1), (5, 4, 3)))
        cases = [
            Case(dict(zip(_SIZES, constant, strict=True)), shape) for constant, shape in shapes
        ]
        if not self.commutes:
            options = {"channels": 7, "height": 2, "width": 3, "reversed": 1}
            cases += [
                Case(options, (7, 2, 3)),
                Case({**options, "height": 1, "width": 1}, (7, 2, 3)),
                Case(options, (1, 1, 3)),
            ]
        return cases
