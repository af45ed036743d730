"""AdaptiveAvgPool2d: mean pooling to a given size."""

from mien_tools.pooling import AdaptivePooling2d


class AdaptiveAvgPool2d(AdaptivePooling2d):
    kind = "AdaptiveAvgPool2d"
    plain_name = "adaptive average pooling"
    summary = "means of windows that make an output of a given size; 1 x 1 is global pooling"
    onnx = "GlobalAveragePool"
    cpp_names = ("AdaptiveAvgPool2d",)

    def reference(self, options, inputs, tensors):
        from torch.nn import functional

        return functional.adaptive_avg_pool2d(inputs[0], self.size(options))


RECORD = AdaptiveAvgPool2d()
