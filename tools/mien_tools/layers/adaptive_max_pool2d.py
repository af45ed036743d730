"""AdaptiveMaxPool2d: max pooling to a given size."""

from mien_tools.pooling import AdaptivePooling2d


class AdaptiveMaxPool2d(AdaptivePooling2d):
    kind = "AdaptiveMaxPool2d"
    plain_name = "adaptive max pooling"
    summary = "largest values of windows that make an output of a given size"
    onnx = "GlobalMaxPool"
    cpp_names = ("AdaptiveMaxPool2d",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.adaptive_max_pool2d(inputs[0], self.size(options))


RECORD = AdaptiveMaxPool2d()
