"""LocalResponseNorm."""

from mien_tools.layer import Case, Layer, LayerError, Option
from mien_tools.numbers import LARGEST_RATIO, cpp_ratio

_CONSTANTS = ("alpha", "beta", "k")


class LocalResponseNorm(Layer):
    kind = "LocalResponseNorm"
    plain_name = "local response normalisation"
    summary = "x / (k + alpha / size * sum of squares of `size` neighbouring channels) ^ beta"
    onnx = "LRN"
    options = (
        Option("size"),
        *(Option(name, least=0, most=LARGEST_RATIO, whole=False) for name in _CONSTANTS),
    )
    cpp_names = ("LocalResponseNorm",)

    def operators(self):
        return {"LRN": self._lrn}

    def _lrn(self, node):
        size = node.attribute("size")
        if size % 2 == 0:
            # ONNX's window of an even size lies one channel further than PyTorch's.
            raise node.fail("an odd size", f"size={size}")
        options = {
            "size": size,
            "alpha": node.attribute("alpha", 1e-4),
            "beta": node.attribute("beta", 0.75),
            "k": node.attribute("bias", 1.0),
        }
        return node.make(self, options)

    def check(self, options):
        if not options["k"] > 0:
            raise LayerError(f"option k: expected more than 0, found {options['k']:g}")

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        constants = (options[name] for name in _CONSTANTS)
        return functional.local_response_norm(inputs[0], options["size"], *constants)

    def cpp(self, options):
        ratios = ", ".join(cpp_ratio(options[name]) for name in _CONSTANTS)
        return f"LocalResponseNorm<{options['size']}, {ratios}>"

    def cases(self):
        from torch import nn

        return [
            Case(nn.LocalResponseNorm(5, 1 / 10000, 3 / 4, 2), (96, 3, 4)),
            Case(nn.LocalResponseNorm(5, 1 / 10, 3 / 4, 2), (33, 2, 3)),
            Case(nn.LocalResponseNorm(1, 2, 1 / 2, 1), (16, 2, 2)),
            Case(nn.LocalResponseNorm(4, 1 / 2, 1 / 4, 1 / 2), (17, 3, 1)),
            Case(nn.LocalResponseNorm(3, 1, 1, 1), (2, 2, 5)),
            Case(nn.LocalResponseNorm(7, 1 / 3, 2 / 3, 3 / 2), (9, 2, 2)),
            Case(nn.LocalResponseNorm(9, 1, 3 / 4, 1), (3, 2, 2)),
            Case(nn.LocalResponseNorm(5, 1, 0, 1), (6, 1, 2)),
        ]


RECORD = LocalResponseNorm()
